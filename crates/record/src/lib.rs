//! A measured row: metrics with units, JSON lines, statistics, Markdown tables.
//!
//! This crate knows what a number means and how sure one may be of it. It does not measure, does not run processes and
//! does not print. Two invariants hold everywhere in it:
//!
//! - what was not measured is `None` (JSON `null`), never 0;
//! - a statistic that the sample is too small for is `None`, never a guess.
#![forbid(unsafe_code)]

pub mod bench_row;
pub mod cell;
pub mod jsonl;
pub mod metric;
pub mod stats;
pub mod table;

pub use bench_row::{
    Allocations, BenchRow, CeilingSample, IMPOSSIBLE_SHARE, Proof, SCHEMA, SourceLine, State, Work, impossible_share,
};
pub use cell::CellRecord;
pub use metric::{Direction, Metric, Unit};
pub use stats::Interval;
pub use table::{Align, Table};
