//! Criterion benchmarks and scenario cells as processes: what a program has to offer, and one run of it.

mod catalog;
mod cells;
mod process;
mod protocol;

pub use catalog::{Catalog, Key, Listed, Problem};
pub use process::{End, Program, Protocol, Run, Selection, Settings, Yard};
pub use protocol::{CriterionVersion, RawId, Samples, Throughput};
