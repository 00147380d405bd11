//! What `compare` does with real processes, real repositories and the built `cargo-assay`.
//!
//! Most tests use fake benchmarks (`examples/fake_bench.rs`), whose times are scripted, so that nothing here depends on
//! how fast the machine is; `criterion` runs a real criterion bench. Linux only: the tests read from /proc whether
//! processes are left.
#![cfg(target_os = "linux")]

mod bisect;
mod catalog;
mod criterion;
mod elsewhere;
mod fake;
mod full_disk;
mod interrupted;
mod kill;
mod kill_points;
mod log;
mod no_verdict;
mod packed;
mod process;
mod sample;
mod scenario;
mod selection;
mod several;
mod tools;
mod trial;
mod trouble;
mod usage;
mod verdict;
mod version;
mod workspace;
