//! SVG charts of measurements.
//!
//! Each figure is one file with a data struct and a `svg` method: [`Intervals`] shows the rows of a comparison,
//! [`History`] what was measured under a title, [`Ratios`] ratios to peers case by case, [`Rates`] rates against size
//! under a ceiling, [`Times`] times by tool. What figures share lies below them: [`Scale`] maps values to coordinates
//! and chooses ticks, [`Mark`] is a shape that says who won without relying on color, [`Canvas`] writes elements, and
//! [`theme`] holds the only colors.
//!
//! Every chart is one SVG file that needs nothing else: no font, no script, no network. Text stays text, colors follow
//! the reader's light or dark setting, a title and a description stand for readers who do not see it, and equal data
//! give equal bytes, so that a chart in git changes only when its data do.
//!
//! # Why not a plotting library
//!
//! `plotters` places everything on whole pixels, and its SVG backend writes colors as attributes: without classes a
//! chart cannot follow `prefers-color-scheme`, and without groups and titles its rows cannot name themselves. Rewriting
//! its output as text would be more code than [`Canvas`], which is about a hundred lines.
//!
//! ```
//! use chart::{IntervalRow, Intervals, Mark};
//!
//! let svg = Intervals {
//!     title: "Packing".into(),
//!     subtitle: "before: 1a2b3c, after: 4d5e6f".into(),
//!     axis: "change of time".into(),
//!     rows: vec![IntervalRow {
//!         label: "m512/t1".into(),
//!         full: "gemm/f32/m512/t1".into(),
//!         estimate: Some(0.12),
//!         interval: Some([0.10, 0.15]),
//!         blocks: vec![0.09, 0.12, 0.15],
//!         margin: Some(0.03),
//!         mark: Mark::Worse,
//!         verdict: "SLOWER".into(),
//!     }],
//! }
//! .svg();
//! assert!(svg.starts_with("<svg ") && svg.contains("SLOWER"));
//! ```
#![forbid(unsafe_code)]

mod canvas;
mod history;
mod intervals;
mod label;
mod mark;
mod rates;
mod ratios;
mod scale;
pub mod theme;
mod times;

pub use canvas::{Anchor, Canvas, Page};
pub use history::{History, HistoryPoint, HistoryRow};
pub use intervals::{IntervalRow, Intervals};
pub use label::{shorten, width};
pub use mark::{Mark, legend, whisker};
pub use rates::{RatePoint, RateSeries, Rates};
pub use ratios::{Ratio, RatioPanel, RatioRow, Ratios};
pub use scale::{Scale, Tick, show_number};
pub use times::{Bar, BarKind, TimePanel, Times};
