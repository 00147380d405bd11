//! The figure of a title's history: one small line per benchmark over the entries, each with a scale of its own.
//!
//! ```text
//! Title
//! subtitle
//! m512/t1    ●──▼──●──▲     2.610 ms
//! m512/t2    ●──●──●──●     1.412 ms
//!            1  2  3  4     entries, oldest first
//! ```
//!
//! Values of different entries were measured at different times, so the figure shows them beside each other and divides
//! none by another. The marks are the verdicts of those entries, each of which measured both of its sides at once.

use crate::canvas::{Anchor, Canvas, Page};
use crate::label::{shorten, width};
use crate::mark::{Mark, legend};
use crate::scale::Scale;

/// Height of a row.
const ROW: f64 = 34.0;
/// Height of what stands above the rows.
const HEAD: f64 = 80.0;
/// Height of what stands below them.
const FOOT: f64 = 44.0;
/// Characters of a label.
const LABEL: usize = 48;
/// A row spans at least this ratio from bottom to top, so that noise does not look like a mountain.
const LEAST_SPAN: f64 = 1.25;

/// What one entry says of one benchmark.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPoint {
    /// The value; must be positive to be drawn.
    pub value: f64,
    /// The same for people, with its unit.
    pub shown: String,
    /// Verdict of that entry.
    pub mark: Mark,
}

/// One benchmark over the entries.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRow {
    /// Short name.
    pub label: String,
    /// Full id.
    pub full: String,
    /// One for each entry; `None` where the entry does not have it.
    pub points: Vec<Option<HistoryPoint>>,
}

/// The history of a title.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Title.
    pub title: String,
    /// Second line.
    pub subtitle: String,
    /// Names of the entries, oldest first.
    pub entries: Vec<String>,
    /// The benchmarks, from top to bottom.
    pub rows: Vec<HistoryRow>,
}

impl History {
    /// The figure as an SVG document.
    pub fn svg(&self) -> String {
        let left = self.rows.iter().map(|row| width(&shorten(&row.label, LABEL))).fold(60.0, f64::max) + 28.0;
        let right = self.rows.iter().filter_map(last).map(|point| width(&point.shown)).fold(60.0, f64::max) + 30.0;
        let plot = (70.0 * self.entries.len() as f64).clamp(160.0, 640.0);
        let bottom = HEAD + ROW * self.rows.len() as f64;
        let across =
            Scale::linear([0.0, self.entries.len().saturating_sub(1).max(1) as f64], [left + 8.0, left + plot - 8.0]);
        let mut canvas = Canvas::default();
        canvas.text("title", (16.0, 26.0), Anchor::Start, &self.title);
        canvas.text("muted", (16.0, 44.0), Anchor::Start, &self.subtitle);
        let marks = [
            (Mark::Worse, "slower"),
            (Mark::Better, "faster"),
            (Mark::Even, "same or first"),
            (Mark::Open, "not proven"),
        ];
        let points = || self.rows.iter().flat_map(|row| row.points.iter().flatten());
        legend(
            &mut canvas,
            (16.0, 64.0),
            marks.into_iter().filter(|(mark, _)| points().any(|point| point.mark == *mark)),
        );
        for (at, name) in self.entries.iter().enumerate() {
            let Some(x) = across.at(at as f64) else { continue };
            canvas.line("grid", (x, HEAD), (x, bottom));
            canvas
                .group(name, |canvas| canvas.text("muted", (x, bottom + 16.0), Anchor::Middle, &(at + 1).to_string()));
        }
        for (at, row) in self.rows.iter().enumerate() {
            let top = HEAD + ROW * at as f64;
            canvas.text("id", (left - 12.0, top + ROW / 2.0 + 4.0), Anchor::End, &shorten(&row.label, LABEL));
            self.draw(&mut canvas, row, &across, [top + ROW - 8.0, top + 8.0]);
            if let Some(point) = last(row) {
                canvas.text("id", (left + plot + 10.0, top + ROW / 2.0 + 4.0), Anchor::Start, &point.shown);
            }
        }
        let axis = "entries, oldest first; each line has a logarithmic scale of its own";
        canvas.text("muted", (left + plot / 2.0, bottom + 34.0), Anchor::Middle, axis);
        // The axis title is wider than a short plot.
        let page_width = (left + plot + right).max(left + plot / 2.0 + 0.5 * width(axis) + 16.0);
        canvas.finish(&Page {
            title: &self.title,
            description: &self.description(),
            width: page_width,
            height: bottom + FOOT,
        })
    }

    /// One row: a line that breaks where an entry lacks the benchmark, and a mark for each that has it.
    fn draw(&self, canvas: &mut Canvas, row: &HistoryRow, across: &Scale, range: [f64; 2]) {
        let Some(domain) = domain(row) else { return };
        let up = Scale::log(domain, range);
        let place = |at: usize, point: &HistoryPoint| Some((across.at(at as f64)?, up.at(point.value)?));
        let places: Vec<Option<(f64, f64)>> = row
            .points
            .iter()
            .take(self.entries.len())
            .enumerate()
            .map(|(at, point)| point.as_ref().and_then(|point| place(at, point)))
            .collect();
        for run in places.split(|place| place.is_none()) {
            let run: Vec<(f64, f64)> = run.iter().flatten().copied().collect();
            if run.len() > 1 {
                canvas.path("line even", &run, false);
            }
        }
        for ((place, point), name) in places.iter().zip(&row.points).zip(&self.entries) {
            if let (Some(place), Some(point)) = (place, point) {
                canvas.group(&format!("{}: {} ({name})", row.full, point.shown), |canvas| {
                    point.mark.draw(canvas, *place)
                });
            }
        }
    }

    /// The chart in words.
    fn description(&self) -> String {
        let row = |row: &HistoryRow| {
            let shown: Vec<&str> =
                row.points.iter().map(|point| point.as_ref().map_or("-", |point| &point.shown)).collect();
            format!("{}: {}", row.full, shown.join(", "))
        };
        let rows: Vec<String> = self.rows.iter().map(row).collect();
        format!("{}. Entries, oldest first: {}. {}", self.subtitle, self.entries.join("; "), rows.join("; "))
    }
}

fn last(row: &HistoryRow) -> Option<&HistoryPoint> {
    row.points.iter().flatten().next_back()
}

/// From the least to the greatest value, widened to the least span. `None` without a drawable value.
fn domain(row: &HistoryRow) -> Option<[f64; 2]> {
    let values =
        || row.points.iter().flatten().map(|point| point.value).filter(|value| value.is_finite() && *value > 0.0);
    let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    let widen = (LEAST_SPAN / (high / low)).max(1.0).sqrt();
    Some([low / widen, high * widen])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(value: f64, mark: Mark) -> Option<HistoryPoint> {
        Some(HistoryPoint { value, shown: format!("{value} ms"), mark })
    }

    fn figure() -> History {
        History {
            title: "Title".into(),
            subtitle: "class x".into(),
            entries: vec!["first".into(), "second".into(), "third <b>".into()],
            rows: vec![
                HistoryRow {
                    label: "a".into(),
                    full: "g/a".into(),
                    points: vec![point(7.0, Mark::Even), point(2.5, Mark::Better), point(2.6, Mark::Open)],
                },
                HistoryRow {
                    label: "b".into(),
                    full: "g/b".into(),
                    points: vec![point(1.0, Mark::Even), None, point(1.3, Mark::Worse)],
                },
            ],
        }
    }

    #[test]
    fn every_point_names_itself_and_a_gap_breaks_the_line() {
        let svg = figure().svg();
        assert_eq!(svg, figure().svg());
        for said in ["g/a: 7 ms (first)", "g/b: 1.3 ms (third &lt;b&gt;)", "faster", "slower"] {
            assert!(svg.contains(said), "{said}");
        }
        assert_eq!(svg.matches("class=\"line even\"").count(), 1, "b has two single points");
    }

    #[test]
    fn small_changes_do_not_fill_the_row() {
        let row = |values: [f64; 2]| HistoryRow {
            label: String::new(),
            full: String::new(),
            points: values.map(|value| point(value, Mark::Even)).into(),
        };
        let [low, high] = domain(&row([1.0, 1.01])).unwrap();
        assert!(low < 0.92 && high > 1.1);
        let [low, high] = domain(&row([1.0, 8.0])).unwrap();
        assert!((low - 1.0).abs() < 1e-9 && (high - 8.0).abs() < 1e-9);
        assert_eq!(domain(&row([0.0, f64::NAN])), None);
    }

    #[test]
    fn odd_figures_still_make_a_document() {
        let mut figure = figure();
        figure.rows[0].points.push(point(9.0, Mark::Even));
        figure.rows[1].points = vec![point(-1.0, Mark::Even), point(f64::INFINITY, Mark::Even)];
        assert!(figure.svg().ends_with("</svg>\n"));
        figure.entries.clear();
        figure.rows.clear();
        assert!(figure.svg().ends_with("</svg>\n"));
    }
}
