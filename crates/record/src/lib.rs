//! A measured row: metrics with units, JSON lines, statistics, Markdown tables.
//!
//! This crate holds values with their units and their uncertainty. It does not measure, run processes or print. Two
//! invariants hold everywhere:
//!
//! - what was not measured is `None` (JSON `null`), never 0;
//! - a statistic that the sample is too small for is `None`, never a guess.
#![forbid(unsafe_code)]

pub mod bench_row;
pub mod cell;
pub mod jsonl;
pub mod metric;
mod promise;
pub mod stats;
pub mod table;

pub use bench_row::{
    Allocations, BenchRow, CeilingSample, IMPOSSIBLE_SHARE, Proof, SCHEMA, SourceLine, State, Work, impossible_share,
};
pub use cell::{CellRecord, MetricCeiling, OWN_PATH, QUALITY_HASH, RecordError, own_path};
pub use metric::{Direction, Metric, Unit};
pub use promise::{Output, unequal};
pub use stats::Interval;
pub use table::{Align, Table};

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
