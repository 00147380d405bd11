//! Times by tool: one panel a case, one bar a tool, each panel from zero on its own scale.

use crate::canvas::{Anchor, Canvas, Page};
use crate::mark::{Mark, legend};
use crate::scale::Scale;
use crate::width;

/// Height of a bar with its distance to the next.
const ROW: f64 = 19.0;
/// Height of a bar.
const BAR: f64 = 12.0;
/// Height of a panel's heading.
const HEADING: f64 = 32.0;
/// Height of what stands above the panels.
const HEAD: f64 = 76.0;
/// Width of the longest bar.
const PLOT: f64 = 170.0;
/// Width of a bar's figures.
const FIGURES: f64 = 118.0;
/// Panels side by side.
const COLUMNS: usize = 2;

/// What a bar stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// Our own tool.
    Ours,
    /// A peer that is slower, or not proven to be faster.
    Peer,
    /// A peer that is proven to be faster.
    Faster,
    /// Our own program with less or other work, such as a part of it alone: no peer.
    Bound,
}

impl BarKind {
    fn class(self) -> &'static str {
        match self {
            Self::Ours => "s0",
            Self::Peer => "even",
            Self::Faster => "worse",
            Self::Bound => "open",
        }
    }
}

/// One tool in one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The tool.
    pub name: String,
    /// Its time in the unit of the figure.
    pub time: f64,
    /// Interval of the time, where it is known.
    pub interval: Option<[f64; 2]>,
    /// The time with its unit, and what else belongs beside the bar.
    pub shown: String,
    /// What it stands for.
    pub kind: BarKind,
}

/// One case.
#[derive(Clone, Debug, PartialEq)]
pub struct TimePanel {
    /// Heading.
    pub title: String,
    /// The tools, from top to bottom.
    pub bars: Vec<Bar>,
}

/// Times by tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// Title.
    pub title: String,
    /// Second line: what was measured.
    pub subtitle: String,
    /// The cases, row by row.
    pub panels: Vec<TimePanel>,
}

impl Times {
    /// The figure as an SVG document.
    pub fn svg(&self) -> String {
        let bars = || self.panels.iter().flat_map(|panel| &panel.bars);
        let label = bars().map(|bar| width(&bar.name)).fold(60.0, f64::max) + 12.0;
        let column = label + PLOT + FIGURES + 20.0;
        let mut canvas = Canvas::default();
        canvas.text("title", (16.0, 26.0), Anchor::Start, &self.title);
        canvas.text("muted", (16.0, 44.0), Anchor::Start, &self.subtitle);
        let has = |kind| bars().any(|bar| bar.kind == kind);
        let losses = has(BarKind::Faster).then_some((Mark::Worse, "a peer is faster (95 % interval)"));
        let end = legend(&mut canvas, (16.0, 64.0), losses);
        if has(BarKind::Bound) {
            canvas.rect(BarKind::Bound.class(), (end, 54.0), (14.0, 10.0));
            canvas.text("muted", (end + 20.0, 64.0), Anchor::Start, "our own program with other work, for comparison");
        }
        let mut y = HEAD;
        for row in self.panels.chunks(COLUMNS) {
            for (at, panel) in row.iter().enumerate() {
                draw(&mut canvas, panel, (16.0 + column * at as f64, y), label);
            }
            y += HEADING + ROW * row.iter().map(|panel| panel.bars.len()).max().unwrap_or(0) as f64 + 8.0;
        }
        canvas.finish(&Page {
            title: &self.title,
            description: &self.description(),
            width: 16.0 + column * COLUMNS as f64,
            height: y + 10.0,
        })
    }

    /// The chart in words.
    fn description(&self) -> String {
        let of = |panel: &TimePanel| {
            let bars: Vec<String> = panel.bars.iter().map(|bar| format!("{} {}", bar.name, bar.shown)).collect();
            format!("{}: {}", panel.title, bars.join(", "))
        };
        let panels: Vec<String> = self.panels.iter().map(of).collect();
        format!("{}. {}", self.subtitle, panels.join("; "))
    }
}

fn draw(canvas: &mut Canvas, panel: &TimePanel, (left, top): (f64, f64), label: f64) {
    canvas.text("heading", (left, top + 20.0), Anchor::Start, &panel.title);
    let longest = panel.bars.iter().map(|bar| bar.time).filter(|time| time.is_finite()).fold(0.0, f64::max);
    let start = left + label;
    let scale = Scale::linear([0.0, longest], [start, start + PLOT]);
    let bottom = top + HEADING + ROW * panel.bars.len() as f64;
    for (at, bar) in panel.bars.iter().enumerate() {
        let y = top + HEADING + ROW * (at as f64 + 0.5);
        let Some(end) = scale.clamped(bar.time) else { continue };
        canvas.group(&format!("{}: {}", bar.name, bar.shown), |canvas| {
            let class = if bar.kind == BarKind::Ours { "id strong" } else { "id" };
            canvas.text(class, (start - 8.0, y + 4.0), Anchor::End, &bar.name);
            canvas.rect(bar.kind.class(), (start, y - BAR / 2.0), (end - start, BAR));
            let [low, high] =
                bar.interval.map_or([end; 2], |interval| interval.map(|at| scale.clamped(at).unwrap_or(end)));
            if bar.interval.is_some() {
                canvas.line("whisker", (low, y), (high, y));
            }
            let (class, mark) = match bar.kind {
                BarKind::Faster => ("worse", "▲ "),
                BarKind::Ours => ("strong", ""),
                _ => ("muted", ""),
            };
            canvas.text(class, (high.max(end) + 8.0, y + 4.0), Anchor::Start, &format!("{mark}{}", bar.shown));
        });
    }
    canvas.line("axis", (start, top + HEADING), (start, bottom));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Times {
        let bar = |name: &str, time: f64, kind| Bar {
            name: name.into(),
            time,
            interval: Some([0.9 * time, 1.1 * time]),
            shown: format!("{time} ms"),
            kind,
        };
        let panel = |title: &str| TimePanel {
            title: title.into(),
            bars: vec![
                bar("ours", 2.0, BarKind::Ours),
                bar("one", 20.0, BarKind::Peer),
                bar("two", 1.5, BarKind::Faster),
                bar("floor", 1.0, BarKind::Bound),
            ],
        };
        Times { title: "Volumes".into(), subtitle: "class a".into(), panels: ["x", "y", "z"].map(panel).to_vec() }
    }

    #[test]
    fn bars_are_named_and_faster_peers_marked() {
        let svg = figure().svg();
        assert_eq!(svg, figure().svg());
        for part in ["▲ 1.5 ms", "x: ours 2 ms, one 20 ms, two 1.5 ms", "a peer is faster"] {
            assert!(svg.contains(part), "{part}");
        }
        assert_eq!(svg.matches("<rect class=\"s0\"").count(), 3);
    }

    #[test]
    fn bars_begin_at_zero_and_the_longest_is_full() {
        let svg = figure().svg();
        let widths: Vec<f64> = svg
            .split("<rect class=\"")
            .skip(3) // what stands before the first, the surface, the legend
            .take(2)
            .map(|rest| rest.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(widths, [PLOT / 10.0, PLOT], "ours takes a tenth of the slowest");
    }

    #[test]
    fn without_data_it_is_still_a_document() {
        assert!(Times { panels: Vec::new(), ..figure() }.svg().ends_with("</svg>\n"));
        let mut figure = figure();
        figure.panels[0].bars[0].time = f64::NAN;
        assert!(!figure.svg().contains("NaN\""));
    }
}
