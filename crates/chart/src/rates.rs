//! Rates against size, one line a tool, under the ceiling.
//!
//! ```text
//! GFLOP/s
//!  240 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ ceiling
//!  200        ●──●──▲──●    ours
//!  100    ●──●              peer
//!    0 ──┴───┴───┴───┴──
//!        16  64  256 1024
//! ```

use crate::canvas::{Anchor, Canvas, Page};
use crate::mark::{Mark, legend};
use crate::scale::{Scale, show_number};
use crate::width;

/// Place of the plot: left, top, right and bottom.
const LEFT: f64 = 62.0;
const TOP: f64 = 96.0;
const RIGHT: f64 = 640.0;
const BOTTOM: f64 = 430.0;
/// Height of what stands below it.
const FOOT: f64 = 48.0;
/// Least distance of two names at the right.
const LINE: f64 = 15.0;
/// Classes of the tools: ours first. `s1` has the color of losses and is left out.
const CLASSES: [&str; 7] = ["s0", "s2", "s3", "s4", "s5", "s6", "even"];

/// A rate at one size.
#[derive(Clone, Debug, PartialEq)]
pub struct RatePoint {
    /// Size.
    pub size: f64,
    /// Rate.
    pub rate: f64,
    /// Its interval, where it is known.
    pub interval: Option<[f64; 2]>,
    /// For our own tool: whether a peer is proven to be faster at this size.
    pub is_lost: bool,
}

/// One tool.
#[derive(Clone, Debug, PartialEq)]
pub struct RateSeries {
    /// Its name.
    pub name: String,
    /// Rates by size, ascending.
    pub points: Vec<RatePoint>,
}

/// Rates against size.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// Title.
    pub title: String,
    /// Second line: what was measured.
    pub subtitle: String,
    /// Name of the size, below its axis.
    pub size: String,
    /// Name of the rate, above its axis.
    pub rate: String,
    /// Name of the ceiling.
    pub ceiling_name: String,
    /// The ceiling by size, ascending.
    pub ceiling: Vec<[f64; 2]>,
    /// The tools; the first is ours. At most seven are drawn.
    pub series: Vec<RateSeries>,
}

impl Rates {
    /// The figure as an SVG document.
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let sizes = || points().map(|point| point.size).chain(self.ceiling.iter().map(|point| point[0]));
        let highs = points().map(|point| point.interval.map_or(point.rate, |interval| interval[1]));
        let top =
            highs.chain(self.ceiling.iter().map(|point| point[1])).filter(|rate| rate.is_finite()).fold(0.0, f64::max);
        let x = Scale::log(
            [sizes().fold(f64::INFINITY, f64::min), sizes().fold(0.0, f64::max)],
            [LEFT + 14.0, RIGHT - 10.0],
        );
        let y = Scale::linear([0.0, 1.04 * top], [BOTTOM, TOP]);
        let mut canvas = Canvas::default();
        canvas.text("title", (16.0, 26.0), Anchor::Start, &self.title);
        canvas.text("muted", (16.0, 44.0), Anchor::Start, &self.subtitle);
        if points().any(|point| point.is_lost) {
            legend(&mut canvas, (16.0, 64.0), [(Mark::Worse, "a peer is faster at this size (95 % interval)")]);
        }
        self.axes(&mut canvas, (&x, &y));
        self.draw_ceiling(&mut canvas, (&x, &y));
        for (series, class) in self.series.iter().zip(CLASSES).rev() {
            let is_ours = class == "s0";
            draw(&mut canvas, (&x, &y), series, class, is_ours);
        }
        let names = self.names(&mut canvas, &y);
        canvas.finish(&Page {
            title: &self.title,
            description: &self.description(),
            width: RIGHT + names + 26.0,
            height: BOTTOM + FOOT,
        })
    }

    fn axes(&self, canvas: &mut Canvas, (x, y): (&Scale, &Scale)) {
        for tick in y.ticks(6) {
            let Some(at) = y.at(tick.value) else { continue };
            canvas.line(if tick.value == 0.0 { "axis" } else { "grid" }, (LEFT, at), (RIGHT, at));
            canvas.text("muted", (LEFT - 8.0, at + 4.0), Anchor::End, &tick.label);
        }
        canvas.text("muted", (16.0, TOP - 12.0), Anchor::Start, &self.rate);
        // Sizes are few: each that our tool has is a tick, unless its label would touch the one before.
        let mut end = f64::NEG_INFINITY;
        for point in self.series.iter().take(1).flat_map(|series| &series.points) {
            let (Some(at), label) = (x.at(point.size), plain(point.size)) else { continue };
            canvas.line("axis", (at, BOTTOM), (at, BOTTOM + 4.0));
            if at - width(&label) / 2.0 > end + 4.0 {
                canvas.text("muted", (at, BOTTOM + 18.0), Anchor::Middle, &label);
                end = at + width(&label) / 2.0;
            }
        }
        canvas.text("muted", ((LEFT + RIGHT) / 2.0, BOTTOM + 37.0), Anchor::Middle, &self.size);
    }

    fn draw_ceiling(&self, canvas: &mut Canvas, (x, y): (&Scale, &Scale)) {
        let place = |point: &[f64; 2]| Some((x.at(point[0])?, y.at(point[1])?));
        let points: Vec<(f64, f64)> = self.ceiling.iter().filter_map(place).collect();
        canvas.group(&self.ceiling_name, |canvas| canvas.path("even line limit", &points, false));
        if let Some((x, y)) = points.first() {
            canvas.text("muted", (*x, y - 8.0), Anchor::Start, &self.ceiling_name);
        }
    }

    /// Names of the tools beside the ends of their lines, moved apart. Returns the width of the longest.
    fn names(&self, canvas: &mut Canvas, y: &Scale) -> f64 {
        let end = |series: &RateSeries| y.at(series.points.last()?.rate);
        let mut names: Vec<(f64, &str, &str)> = self
            .series
            .iter()
            .zip(CLASSES)
            .filter_map(|(series, class)| Some((end(series)?, series.name.as_str(), class)))
            .collect();
        names.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut above = f64::NEG_INFINITY;
        for (end, name, class) in &names {
            let at = end.max(above + LINE);
            above = at;
            canvas.line(class, (RIGHT + 2.0, at), (RIGHT + 14.0, at));
            let class = if *class == "s0" { "strong" } else { "ink" };
            canvas.text(class, (RIGHT + 19.0, at + 4.0), Anchor::Start, name);
        }
        names.iter().map(|(_, name, _)| width(name)).fold(0.0, f64::max)
    }

    /// The chart in words.
    fn description(&self) -> String {
        let of = |series: &RateSeries| {
            let points: Vec<String> =
                series.points.iter().map(|p| format!("{:.1} at {}", p.rate, plain(p.size))).collect();
            format!("{}: {}", series.name, points.join(", "))
        };
        let series: Vec<String> = self.series.iter().map(of).collect();
        format!("{}. {} by {}. {}", self.subtitle, self.rate, self.size, series.join("; "))
    }
}

/// A size as people write it, without prefixes.
fn plain(size: f64) -> String {
    if size < 1e6 { format!("{size}") } else { show_number(size) }
}

/// A tool's line and marks.
fn draw(canvas: &mut Canvas, (x, y): (&Scale, &Scale), series: &RateSeries, class: &str, is_ours: bool) {
    let place = |point: &RatePoint| Some((x.at(point.size)?, y.at(point.rate)?));
    let places: Vec<(f64, f64)> = series.points.iter().filter_map(place).collect();
    let weight = if is_ours { " bold" } else { "" };
    canvas.path(&format!("{class} line{weight}"), &places, false);
    for point in &series.points {
        let Some((at, height)) = place(point) else { continue };
        let tip = format!("{}, {}: {:.1}", series.name, plain(point.size), point.rate);
        canvas.group(&tip, |canvas| {
            if let Some([Some(low), Some(high)]) = point.interval.map(|interval| interval.map(|end| y.at(end))) {
                canvas.line(class, (at, low), (at, high));
            }
            match (is_ours, point.is_lost) {
                (true, true) => Mark::Worse.draw(canvas, (at, height)),
                (true, false) => canvas.circle(class, (at, height), 4.0),
                _ => canvas.circle(class, (at, height), 2.5),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Rates {
        let point = |size: f64, rate: f64| RatePoint {
            size,
            rate,
            interval: Some([rate - 1.0, rate + 1.0]),
            is_lost: size == 64.0,
        };
        let series = |name: &str, factor: f64| RateSeries {
            name: name.into(),
            points: [16.0, 64.0, 256.0].map(|size| point(size, factor * size)).to_vec(),
        };
        Rates {
            title: "Products".into(),
            subtitle: "class a".into(),
            size: "n".into(),
            rate: "GFLOP/s".into(),
            ceiling_name: "the ceiling".into(),
            ceiling: vec![[16.0, 300.0], [256.0, 290.0]],
            series: vec![series("ours", 1.0), series("peer", 0.99)],
        }
    }

    #[test]
    fn every_tool_is_named_and_losses_are_marked() {
        let svg = figure().svg();
        assert_eq!(svg, figure().svg());
        for part in
            ["the ceiling", ">ours<", ">peer<", "ours: 16.0 at 16, 64.0 at 64", "a peer is faster", "class=\"worse\""]
        {
            assert!(svg.contains(part), "{part}");
        }
    }

    #[test]
    fn names_of_close_lines_are_moved_apart() {
        let mut canvas = Canvas::default();
        let figure = figure();
        let longest = figure.names(&mut canvas, &Scale::linear([0.0, 300.0], [BOTTOM, TOP]));
        assert_eq!(longest, width("peer"));
        let text = format!("{canvas:?}");
        let heights: Vec<f64> =
            text.split("y1=\\\"").skip(1).map(|rest| rest.split('\\').next().unwrap().parse().unwrap()).collect();
        assert!(heights.len() == 2 && heights[1] - heights[0] >= LINE - 1e-9, "{heights:?}");
    }

    #[test]
    fn without_data_it_is_still_a_document() {
        assert!(Rates { ceiling: Vec::new(), series: Vec::new(), ..figure() }.svg().ends_with("</svg>\n"));
    }
}
