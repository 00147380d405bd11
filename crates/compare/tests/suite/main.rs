//! What `compare` does with real processes, real repositories and the built `cargo-assay`.
//!
//! Most tests use fake benchmarks (`examples/fake_bench.rs`), whose times are scripted, so that nothing here depends
//! on how fast the machine is; `criterion` drives the real thing once. Linux alone: whether processes are left is read from /proc.
#![cfg(target_os = "linux")]

mod bisect;
mod catalog;
mod criterion;
mod elsewhere;
mod fake;
mod interrupted;
mod kill;
mod log;
mod process;
mod sample;
mod trial;
mod trouble;
mod usage;
mod verdict;
mod workspace;
