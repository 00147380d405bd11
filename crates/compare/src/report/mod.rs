//! What a comparison found, as data, and its forms: a terminal's text, the log's Markdown, JSON, HTML, charts, GitHub.

mod ceiling;
pub mod charts;
mod entry;
mod figures;
mod first_form;
pub mod github;
#[cfg(test)]
mod golden;
pub mod html;
mod json;
mod label;
mod log_entry;
mod metrics;
mod row;
mod sentence;
mod several;
pub mod text;

pub use ceiling::erratum;
pub use entry::{Against, Entry, Method, RENDER, Revision, SCHEMA};
pub use figures::Figures;
pub use json::json;
pub(crate) use label::{listed, plain};
pub use log_entry::markdown;
pub use metrics::{Change, Rules, changes};
pub use row::{Fault, Row};
pub use sentence::count;

/// What an entry found, in one sentence without a full stop.
pub fn sentence(entry: &Entry) -> String {
    sentence::sentence(entry)
}

#[cfg(test)]
pub(crate) use entry::tests::example as example_entry;
#[cfg(test)]
pub(crate) use golden::full as example_full;
