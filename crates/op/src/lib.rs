//! What every op shares with its tests, benches, peers and GPU twins.
//!
//! An op crate (`gemm`, `quant`, `nifti-decode`, …) holds plain functions on slices that its users call. This crate
//! holds what surrounds them:
//!
//! | item | what it is for |
//! |---|---|
//! | [`Op`], [`Kernel`], [`Loaded`], [`Ran`] | one list of kernels per op, which tests, benches and peers iterate |
//! | [`NamedCase`], [`CaseRow`], [`Params`] | one table of cases per op, which tests, benches and peers read |
//! | [`Threads`] | how many threads may work on one call |
//! | [`Buffer`], [`Workspace`] | aligned memory, on huge pages where asked for; memory that calls share |
//! | [`random`] | seeded numbers, the same bits on every machine |
//! | [`fnv1a`] | a hash of names and results, the same in every language |
//!
//! It computes nothing, starts no thread and prints nothing. Its only dependencies are `machine`, `serde` and
//! `thiserror`, so a peer's program may link it.
#![forbid(unsafe_code)]

mod case;
mod hash;
mod kernel;
mod params;
pub mod random;
mod threads;
mod workspace;

pub use case::{CaseRow, NamedCase, Regime, TableError, check_table};
pub use hash::fnv1a;
pub use kernel::{Kernel, Loaded, Op, Ran};
pub use machine::memory::{Buffer, OutOfMemory};
pub use params::{ParamError, Parameters, Params, Value};
pub use threads::Threads;
pub use workspace::Workspace;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
