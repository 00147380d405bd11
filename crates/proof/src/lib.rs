//! Proves that a kernel is right before criterion times it.
//!
//! A number from a benchmark is worth nothing when the output was wrong, so the check and the timing live in one
//! process: the glue in [`mod@bench`] runs the check first, stores its figures beside the time, and never times what
//! failed.
//!
//! | module | what it does |
//! |---|---|
//! | [`input`] | seeded, asymmetric inputs that are the same bits on every machine, and their hash |
//! | [`guarded`] | output memory framed by guard words and poisoned with NaN |
//! | [`elements`] | the same for tensors of any element type |
//! | `fenced` | memory between inaccessible pages, on Unix |
//! | [`compare`] | element-wise and norm tests with tolerances derived from the length of the sums |
//! | [`attention`] | rows of softmax(scale Q Kᵀ + bias) V in f64, with the error that rounding explains |
//! | [`product`] | a proof of C = αAB + βC₀ that costs less than the product |
//! | [`alloc`] | an allocator that counts |
//! | [`mod@bench`] | declares, proves, times and records benches |
//!
//! Every comparison is written `!(error <= tolerance)`, so that NaN fails. A check that could not fail would be worse
//! than none: the tests of this crate feed every check with wrong kernels.

pub mod alloc;
pub mod attention;
pub mod bench;
pub mod compare;
pub mod elements;
#[cfg(unix)]
pub mod fenced;
pub mod guarded;
pub mod input;
pub mod product;

pub use compare::{Checked, Mismatch, Tolerance};

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
