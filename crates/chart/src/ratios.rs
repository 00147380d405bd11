//! Ratios of many cases by peer: one line per peer, one mark per case, whiskers for intervals, losses in front.
//!
//! ```text
//! Title
//! ▲ slower  ▼ faster  ○ not proven            0.5   1    2     5    10
//! Panel                                              |
//! peer a                                        ▲ ▼ |▼▼┆▼  ▼▼        1.4x   2 of 37 slower
//! peer b                                            |    ▼▼ ┆▼ ▼     3.1x   0 of 37 slower
//! ```

use crate::canvas::{Anchor, Canvas, Page};
use crate::mark::{Mark, legend, whisker};
use crate::scale::Scale;
use crate::width;

/// Height of a peer's line.
const ROW: f64 = 28.0;
/// Height of a panel's heading.
const HEADING: f64 = 30.0;
/// Height of what stands above the panels.
const HEAD: f64 = 92.0;
/// Height of what stands below them.
const FOOT: f64 = 36.0;
/// Width of the plot.
const PLOT: f64 = 520.0;
/// Width of the figures beside it.
const FIGURES: f64 = 230.0;
/// Width of a whisker that disappears behind its mark.
const HIDDEN: f64 = 9.0;
/// Vertical distances of marks from the middle of their line, in turns, so that close ratios stay apart.
const SPREAD: [f64; 5] = [0.0, -7.0, 7.0, -3.5, 3.5];

/// One case.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    /// Its name, shown when the pointer rests on the mark.
    pub name: String,
    /// The peer's time divided by ours: above 1 ours is faster.
    pub ratio: f64,
    /// Its interval.
    pub interval: [f64; 2],
}

impl Ratio {
    /// Lost if the whole interval lies below 1, won if above, else open.
    pub fn mark(&self) -> Mark {
        let [low, high] = self.interval;
        if high < 1.0 {
            Mark::Worse
        } else if low > 1.0 {
            Mark::Better
        } else {
            Mark::Open
        }
    }
}

/// All cases of one peer.
#[derive(Clone, Debug, PartialEq)]
pub struct RatioRow {
    /// The peer.
    pub label: String,
    /// Median of the ratios; `None` without cases.
    pub median: Option<f64>,
    /// The cases.
    pub ratios: Vec<Ratio>,
}

/// Peers with a heading.
#[derive(Clone, Debug, PartialEq)]
pub struct RatioPanel {
    /// Heading.
    pub title: String,
    /// Where the numbers come from, beside the heading.
    pub source: String,
    /// The peers, from top to bottom.
    pub rows: Vec<RatioRow>,
}

/// Ratios by peer.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratios {
    /// Title.
    pub title: String,
    /// Second line: what was compared.
    pub subtitle: String,
    /// Name of the quantity, below the axis.
    pub axis: String,
    /// Ends of the axis. Ratios beyond it are drawn at its edge.
    pub domain: [f64; 2],
    /// The panels, from top to bottom.
    pub panels: Vec<RatioPanel>,
}

impl Ratios {
    /// The figure as an SVG document.
    pub fn svg(&self) -> String {
        let labels = self.panels.iter().flat_map(|panel| &panel.rows).map(|row| width(&row.label));
        let left = labels.fold(60.0, f64::max) + 28.0;
        let height = |panel: &RatioPanel| HEADING + ROW * panel.rows.len() as f64;
        let bottom = HEAD + self.panels.iter().map(height).sum::<f64>();
        let scale = Scale::log(self.domain, [left, left + PLOT]);
        let mut canvas = Canvas::default();
        canvas.text("title", (16.0, 26.0), Anchor::Start, &self.title);
        canvas.text("muted", (16.0, 44.0), Anchor::Start, &self.subtitle);
        legend(
            &mut canvas,
            (16.0, 64.0),
            [(Mark::Worse, "ours is slower"), (Mark::Better, "ours is faster"), (Mark::Open, "not proven")],
        );
        for tick in scale.ticks(8) {
            let Some(x) = scale.at(tick.value) else { continue };
            canvas.line(if tick.value == 1.0 { "axis" } else { "grid" }, (x, HEAD - 4.0), (x, bottom));
            canvas.text("muted", (x, HEAD - 10.0), Anchor::Middle, &format!("{}×", tick.label));
        }
        let figures = left + PLOT + 46.0;
        canvas.text("muted", (figures + 40.0, HEAD - 10.0), Anchor::End, "median");
        canvas.text("muted", (figures + 58.0, HEAD - 10.0), Anchor::Start, "ours is slower in");
        let mut y = HEAD;
        for panel in &self.panels {
            canvas.text("heading", (16.0, y + 20.0), Anchor::Start, &panel.title);
            canvas.text("muted", (left + PLOT + FIGURES - 6.0, y + 20.0), Anchor::End, &panel.source);
            y += HEADING;
            for row in &panel.rows {
                draw(&mut canvas, &scale, row, (left, y + ROW / 2.0), figures);
                y += ROW;
            }
        }
        let axis = format!("{} (95 % intervals; what lies beyond the axis is drawn at its edge)", self.axis);
        canvas.text("muted", (left + PLOT / 2.0, bottom + 20.0), Anchor::Middle, &axis);
        canvas.finish(&Page {
            title: &self.title,
            description: &self.description(),
            width: left + PLOT + FIGURES + 10.0,
            height: bottom + FOOT,
        })
    }

    /// The chart in words.
    fn description(&self) -> String {
        let rows = self.panels.iter().flat_map(|panel| panel.rows.iter().map(move |row| (panel, row)));
        let rows: Vec<String> = rows
            .map(|(panel, row)| {
                let median = row.median.map_or("no number".to_owned(), |median| format!("median {median:.2}"));
                format!("{}, {}: {median}, {}", panel.title, row.label, losses(row))
            })
            .collect();
        format!("{}. {}. {}", self.subtitle, self.axis, rows.join("; "))
    }
}

/// "3 of 37".
fn losses(row: &RatioRow) -> String {
    let lost = row.ratios.iter().filter(|ratio| ratio.mark() == Mark::Worse).count();
    format!("{lost} of {}", row.ratios.len())
}

/// A peer's line: losses are drawn last, so that none hides behind a gain.
fn draw(canvas: &mut Canvas, scale: &Scale, row: &RatioRow, (left, y): (f64, f64), figures: f64) {
    canvas.text("id", (left - 12.0, y + 4.0), Anchor::End, &row.label);
    let mut ratios: Vec<&Ratio> = row.ratios.iter().collect();
    ratios.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
    let mut placed: Vec<(&Ratio, f64)> =
        ratios.into_iter().enumerate().map(|(at, ratio)| (ratio, SPREAD[at % SPREAD.len()])).collect();
    placed.sort_by_key(|(ratio, _)| {
        [Mark::Better, Mark::Open, Mark::Worse].iter().position(|mark| *mark == ratio.mark())
    });
    for (ratio, offset) in placed {
        let [low, high] = ratio.interval;
        let (Some(x), Some(low), Some(high)) = (scale.clamped(ratio.ratio), scale.clamped(low), scale.clamped(high))
        else {
            continue;
        };
        let tip = format!("{}: {:.2} ({:.2} .. {:.2})", ratio.name, ratio.ratio, ratio.interval[0], ratio.interval[1]);
        canvas.group(&tip, |canvas| {
            // A whisker that its mark hides is left out: there may be hundreds.
            if high - low > HIDDEN {
                whisker(canvas, ratio.mark(), y + offset, [low, high]);
            }
            ratio.mark().draw(canvas, (x, y + offset));
        });
    }
    if let Some(median) = row.median {
        canvas.text("ink", (figures + 40.0, y + 4.0), Anchor::End, &format!("{}×", shown(median)));
    }
    let has_losses = row.ratios.iter().any(|ratio| ratio.mark() == Mark::Worse);
    let (class, mark) = if has_losses { ("worse", "▲ ") } else { ("muted", "") };
    canvas.text(class, (figures + 58.0, y + 4.0), Anchor::Start, &format!("{mark}{}", losses(row)));
}

/// Three digits, and all digits before the point.
fn shown(ratio: f64) -> String {
    let decimals = if ratio < 10.0 { 2 } else { usize::from(ratio < 100.0) };
    format!("{ratio:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Ratios {
        let ratio =
            |name: &str, ratio: f64| Ratio { name: name.to_owned(), ratio, interval: [ratio - 0.05, ratio + 0.05] };
        let row = |label: &str, ratios: Vec<Ratio>| RatioRow { label: label.into(), median: Some(1.5), ratios };
        Ratios {
            title: "Peers".into(),
            subtitle: "class a".into(),
            axis: "time of the peer divided by ours".into(),
            domain: [0.5, 100.0],
            panels: vec![RatioPanel {
                title: "Sums".into(),
                source: "revision 1a2b3c".into(),
                rows: vec![
                    row("one", vec![ratio("small", 1.5), ratio("large", 0.8), ratio("even", 1.01)]),
                    row("two", vec![ratio("far", 5000.0), ratio("nan", f64::NAN)]),
                    row("none", Vec::new()),
                ],
            }],
        }
    }

    #[test]
    fn every_case_has_a_mark_and_losses_are_counted() {
        let svg = figure().svg();
        assert_eq!(svg, figure().svg());
        for part in ["small: 1.50 (1.45 .. 1.55)", "large: 0.80", "▲ 1 of 3", "0 of 2", "0 of 0", "median 1.50, 1 of 3"]
        {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!svg.contains("NaN\""));
        let last = svg.rfind("<title>large").unwrap();
        assert!(
            last > svg.rfind("<title>small").unwrap() && last > svg.rfind("<title>even").unwrap(),
            "losses lie in front"
        );
    }

    #[test]
    fn an_interval_decides_and_not_the_ratio() {
        let of = |low: f64, high: f64| Ratio { name: String::new(), ratio: 1.0, interval: [low, high] }.mark();
        assert_eq!([of(0.8, 0.99), of(0.9, 1.1), of(1.01, 1.1)], [Mark::Worse, Mark::Open, Mark::Better]);
        assert_eq!(of(f64::NAN, f64::NAN), Mark::Open, "nothing is proven by no number");
    }
}
