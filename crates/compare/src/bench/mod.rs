//! Criterion benchmarks and scenario cells as processes: what a program has to offer, and one run of it.

mod catalog;
mod cells;
mod process;
mod protocol;
mod request;

pub use catalog::{Catalog, Key, Listed, Problem};
pub use process::{End, Program, Protocol, Run, ScratchDir};
pub use protocol::{CriterionVersion, RawId, Samples, Throughput};
pub use request::{Selection, Settings};
