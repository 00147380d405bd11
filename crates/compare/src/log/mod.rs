//! The log: `baselines/<machine class>/log.jsonl` is the data, BENCHMARKS.md the append-only text for people.

mod check;
mod index;
pub mod markdown;
mod store;

pub use check::{Fault, check};
pub use store::{Last, Log, valid_title};
