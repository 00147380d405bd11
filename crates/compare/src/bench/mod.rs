//! Criterion benchmarks and scenario cells as processes: the list of a program's benchmarks, and one run of it.

mod cells;
mod executable;
mod key;
mod process;
mod protocol;
mod request;

pub use key::{Key, shown};
pub use process::{End, Program, Protocol, Run, ScratchDir};
pub use protocol::{CriterionVersion, RawId, Samples, Throughput};
pub use request::{Selection, Settings};
