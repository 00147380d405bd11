//! What a comparison found, as data, and its faces: text, JSON, GitHub.

mod entry;
mod figures;
pub mod github;
#[cfg(test)]
mod golden;
mod json;
mod metrics;
mod row;
pub mod text;

pub use entry::{Entry, Method, RENDER, Revision, SCHEMA};
pub use figures::Figures;
pub use json::json;
pub use metrics::{Change, Rules, changes};
pub use row::{Fault, Row};

#[cfg(test)]
pub(crate) use entry::tests::example as example_entry;
