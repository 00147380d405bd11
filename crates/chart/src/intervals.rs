//! The figure of a comparison: one line per benchmark with its interval and blocks, the margin as a band, the verdict
//! by shape.
//!
//! ```text
//! Title
//! subtitle
//! ▲ slower  ▼ faster  ● same  ○ not proven  ▒ margin
//!                 -10 %      0 %      +10 %
//! m512/t1           |      ▒▒|▒▒  ├─▲─┤      ▲ SLOWER +12.0 %
//! m512/t2           |      ▒├●┤▒             ● SAME -0.1 %
//!                         change of time
//! ```

use crate::canvas::{Anchor, Canvas, Page};
use crate::label::{shorten, width};
use crate::mark::{Mark, legend, whisker};
use crate::scale::Scale;

/// Height of a row.
const ROW: f64 = 22.0;
/// Height of what stands above the rows.
const HEAD: f64 = 96.0;
/// Height of what stands below them.
const FOOT: f64 = 34.0;
/// Width of the plot.
const PLOT: f64 = 400.0;
/// Characters of a label.
const LABEL: usize = 48;
/// Changes beyond these ratios are drawn at the edge, so that one row cannot flatten all others.
const EXTREMES: [f64; 2] = [-0.95, 19.0];

/// One benchmark of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalRow {
    /// Short name.
    pub label: String,
    /// Full id, shown when the pointer rests on the row.
    pub full: String,
    /// Change of time: ratio minus one. `None` if not measured.
    pub estimate: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<[f64; 2]>,
    /// Change of each block, drawn as small points; empty if there are none to show.
    pub blocks: Vec<f64>,
    /// Margin around 0 that decides, as a ratio minus one.
    pub margin: Option<f64>,
    /// What it came to.
    pub mark: Mark,
    /// The verdict in a word or two.
    pub verdict: String,
}

/// Intervals of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervals {
    /// Title.
    pub title: String,
    /// Second line: what was compared.
    pub subtitle: String,
    /// Name of the quantity, below the axis.
    pub axis: String,
    /// The benchmarks, from top to bottom.
    pub rows: Vec<IntervalRow>,
}

impl Intervals {
    /// The figure as an SVG document.
    pub fn svg(&self) -> String {
        let label = |row: &IntervalRow| shorten(&row.label, LABEL);
        let left = self.rows.iter().map(|row| width(&label(row))).fold(60.0, f64::max) + 28.0;
        let right = self.rows.iter().map(|row| width(&verdict(row))).fold(60.0, f64::max) + 44.0;
        let (page_width, bottom) = (left + PLOT + right, HEAD + ROW * self.rows.len() as f64);
        // Proportional text is narrower than the fixed-width estimate; what is too long gives way in its middle.
        let fits = |factor: f64| ((page_width - 32.0) / width("x") * factor) as usize;
        let scale = Scale::change(self.domain(), [left, left + PLOT]);
        let mut canvas = Canvas::default();
        canvas.text("title", (16.0, 26.0), Anchor::Start, &shorten(&self.title, fits(0.8)));
        canvas.text("muted", (16.0, 44.0), Anchor::Start, &shorten(&self.subtitle, fits(1.0)));
        self.legend(&mut canvas);
        for (at, row) in self.rows.iter().enumerate() {
            let y = HEAD + ROW * at as f64;
            if let Some(band) = row.margin.filter(|margin| *margin > 0.0)
                && let (Some(low), Some(high)) = (scale.clamped(1.0 / (1.0 + band) - 1.0), scale.clamped(band))
            {
                canvas.rect("band", (low, y), (high - low, ROW));
            }
        }
        for tick in scale.ticks(6) {
            let Some(x) = scale.at(tick.value) else { continue };
            canvas.line(if tick.value == 0.0 { "axis" } else { "grid" }, (x, HEAD - 4.0), (x, bottom));
            canvas.text("muted", (x, HEAD - 10.0), Anchor::Middle, &tick.label);
        }
        for (at, row) in self.rows.iter().enumerate() {
            let y = HEAD + ROW * (at as f64 + 0.5);
            canvas.group(&tip(row), |canvas| {
                canvas.text("id", (left - 12.0, y + 4.0), Anchor::End, &label(row));
                draw(canvas, &scale, row, y);
                row.mark.draw(canvas, (left + PLOT + 18.0, y));
                canvas.text(row.mark.class(), (left + PLOT + 29.0, y + 4.0), Anchor::Start, &verdict(row));
            });
        }
        let axis = format!("{} (95 % interval)", self.axis);
        canvas.text("muted", (left + PLOT / 2.0, bottom + 20.0), Anchor::Middle, &axis);
        canvas.finish(&Page {
            title: &self.title,
            description: &self.description(),
            width: page_width,
            height: bottom + FOOT,
        })
    }

    /// From the lowest to the highest of what is drawn, and a little more; 0 and the margins are always inside.
    fn domain(&self) -> [f64; 2] {
        let ends = self.rows.iter().flat_map(|row| {
            let margin = row.margin.map(|margin| [1.0 / (1.0 + margin) - 1.0, margin]);
            let measured = row.estimate.into_iter().chain(row.interval.into_iter().flatten());
            measured.chain(margin.into_iter().flatten()).chain(row.blocks.iter().copied())
        });
        let mut domain = [-0.02f64, 0.02f64];
        for end in ends.filter(|end| end.is_finite()) {
            domain = [domain[0].min(end), domain[1].max(end)];
        }
        let [low, high] = [domain[0].max(EXTREMES[0]).ln_1p(), domain[1].min(EXTREMES[1]).ln_1p()];
        let room = 0.04 * (high - low);
        [(low - room).exp_m1(), (high + room).exp_m1()]
    }

    /// Only the marks that occur.
    fn legend(&self, canvas: &mut Canvas) {
        let name = |mark| match mark {
            Mark::Worse => "slower",
            Mark::Better => "faster",
            Mark::Even => "same",
            Mark::Open => "not proven",
            Mark::Missing => "no number",
        };
        let occurring = Mark::ALL.into_iter().filter(|mark| self.rows.iter().any(|row| row.mark == *mark));
        let end = legend(canvas, (16.0, 64.0), occurring.map(|mark| (mark, name(mark))));
        let mut x = end;
        if self.rows.iter().any(|row| row.margin.is_some()) {
            canvas.rect("band", (x, 55.0), (14.0, 11.0));
            canvas.text("muted", (x + 20.0, 64.0), Anchor::Start, "margin");
            x += 76.0;
        }
        if self.rows.iter().any(|row| !row.blocks.is_empty()) {
            canvas.circle("point", (x + 3.0, 60.0), 1.6);
            canvas.text("muted", (x + 11.0, 64.0), Anchor::Start, "one block");
        }
    }

    /// The chart in words.
    fn description(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(|row| format!("{}: {}", row.full, verdict(row))).collect();
        format!("{}. {}. {}", self.subtitle, self.axis, rows.join("; "))
    }
}

/// A row's blocks, interval and estimate, where it has them. Blocks alternate between two heights, so that equal ones
/// do not hide each other.
fn draw(canvas: &mut Canvas, scale: &Scale, row: &IntervalRow, y: f64) {
    for (at, x) in row.blocks.iter().filter_map(|block| scale.clamped(*block)).enumerate() {
        canvas.circle("point", (x, y + if at % 2 == 0 { -4.5 } else { 4.5 }), 1.6);
    }
    if let Some([low, high]) = row.interval
        && let (Some(low), Some(high)) = (scale.clamped(low), scale.clamped(high))
    {
        whisker(canvas, row.mark, y, [low, high]);
    }
    if let Some(x) = row.estimate.and_then(|estimate| scale.clamped(estimate)) {
        row.mark.draw(canvas, (x, y));
    }
}

/// "SLOWER +12.0 %".
fn verdict(row: &IntervalRow) -> String {
    match row.estimate {
        Some(estimate) => format!("{} {:+.1} %", row.verdict, 100.0 * estimate),
        None => row.verdict.clone(),
    }
}

fn tip(row: &IntervalRow) -> String {
    let interval = row.interval.map_or_else(String::new, |[low, high]| {
        format!(", 95 % interval {:+.1} % .. {:+.1} %", 100.0 * low, 100.0 * high)
    });
    format!("{}: {}{interval}", row.full, verdict(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(label: &str, mark: Mark, estimate: Option<f64>) -> IntervalRow {
        IntervalRow {
            label: label.into(),
            full: format!("group/{label}"),
            estimate,
            interval: estimate.map(|e| [e - 0.01, e + 0.02]),
            blocks: estimate.map_or_else(Vec::new, |e| vec![e - 0.02, e, e + 0.03]),
            margin: Some(0.03),
            mark,
            verdict: format!("{mark:?}").to_uppercase(),
        }
    }

    fn figure() -> Intervals {
        Intervals {
            title: "Title".into(),
            subtitle: "before a, after b".into(),
            axis: "change of time".into(),
            rows: vec![
                row("slow", Mark::Worse, Some(0.12)),
                row("quick", Mark::Better, Some(-0.2)),
                row("even", Mark::Even, Some(0.0)),
                row("open", Mark::Open, Some(0.03)),
                row("gone", Mark::Missing, None),
            ],
        }
    }

    #[test]
    fn equal_data_give_equal_bytes_and_every_row_names_itself() {
        let svg = figure().svg();
        assert_eq!(svg, figure().svg());
        for row in figure().rows {
            assert!(svg.contains(&format!("<title>{}", row.full)) && svg.contains(&row.verdict), "{}", row.label);
        }
        for name in ["slower", "faster", "same", "not proven", "no number", "margin", "prefers-color-scheme:dark"] {
            assert!(svg.contains(name), "{name}");
        }
    }

    #[test]
    fn a_slower_row_lies_right_of_zero_and_outside_the_band() {
        let figure = figure();
        let scale = Scale::change(figure.domain(), [0.0, 1.0]);
        let at = |value: f64| scale.at(value).unwrap();
        assert!(at(-0.2) < at(0.0) && at(0.0) < at(0.03) && at(0.03) < at(0.12));
        assert!(at(-0.21) > 0.0 && at(0.14) < 1.0, "whiskers are inside");
    }

    #[test]
    fn extreme_long_and_missing_values_still_make_a_document() {
        let mut figure = figure();
        figure.rows.push(row(&"x".repeat(300), Mark::Worse, Some(1e9)));
        figure.rows.push(row("nan", Mark::Open, Some(f64::NAN)));
        figure.rows.push(row("inf", Mark::Open, Some(f64::INFINITY)));
        let svg = figure.svg();
        assert!(!svg.contains("NaN\"") && !svg.contains("inf\""));
        let width: f64 = svg.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        assert!(width < 1400.0, "{width}");
        assert!(Intervals { rows: Vec::new(), ..figure }.svg().ends_with("</svg>\n"));
    }
}
