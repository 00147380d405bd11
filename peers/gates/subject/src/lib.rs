//! What the gates are tried on: twenty small kernels on fixed data.
//!
//! A benchmark runs one kernel a number of times on data that the optimizer may not assume anything about. That number
//! is the size of its work (`work::REPEATS`), so 105 instead of 100 is a slowdown of 5 %. `unrelated` is code that no
//! benchmark runs while it is timed.

mod kernels;
pub mod unrelated;
mod work;

use std::hint::black_box;

pub use kernels::{KERNELS, Kernel};

/// Number of benchmarks.
pub const COUNT: usize = KERNELS.len();

/// A benchmark with its data.
pub struct Benchmark {
    kernel: Kernel,
    repeats: u32,
    data: kernels::Data,
}

impl Benchmark {
    /// The benchmark at `index` of [`KERNELS`].
    pub fn set_up(index: usize) -> Self {
        black_box(unrelated::step(black_box(1)));
        Self { kernel: KERNELS[index].1, repeats: work::REPEATS[index], data: kernels::Data::fixed() }
    }

    /// One iteration.
    #[inline(never)]
    pub fn run(&mut self) -> u64 {
        (0..self.repeats).fold(0, |sum, _| sum ^ (self.kernel)(black_box(&mut self.data)))
    }
}
