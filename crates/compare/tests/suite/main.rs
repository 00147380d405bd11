//! What `compare` does with real processes, real repositories and the built `cargo-assay`.
//!
//! Most tests use fake benchmarks (`examples/fake_bench.rs`), whose times are scripted, so that nothing here depends
//! on how fast the machine is; `criterion` drives the real thing once. All of it is Unix: process groups, signals.
#![cfg(unix)]

mod catalog;
mod fake;
mod process;
mod sample;
mod trial;
