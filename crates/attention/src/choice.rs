//! What runs: the kernel, its path and its threads.

use std::fmt;

use op::Ran;
use simd::Isa;

/// What runs, or ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// Name of the kernel: `cpu-scalar`, `cpu-avx2`, .., or `cpu-amx` where some sequence took [`Path::Amx`].
    pub kernel: &'static str,
    /// Its instruction set.
    pub isa: Isa,
    /// Its algorithm.
    pub path: Path,
    /// Threads that work, the caller's included: at most those allowed, fewer for a small problem.
    pub threads: usize,
}

/// Largest relative error of a weight e^(score - largest) of the kernel `cpu-amx`, beside that of f32 arithmetic: half
/// of the last place of bf16, which weights are rounded to, and the error of 2^x.
///
/// A row is divided by the sum of its rounded weights. So an output errs by at most this times the weighted mean of
/// |V - O|, and the log-sum-exp by at most this; the errors of weights are independent, and their mean is far smaller.
pub const BF16_WEIGHT_ERROR: f64 = 0.003_906_25 + 7.5e-5;

/// The algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// The definition, one row after the other, in f64.
    Definition,
    /// There is nothing to compute: the output has no row.
    Empty,
    /// One row after the other, with vectors along the elements of a head.
    Rows,
    /// Strips of rows against blocks of keys, with vectors along the rows.
    Tiles,
    /// Strips of rows against blocks of keys, with products of bf16 in the tile registers of AMX. It rounds weights to
    /// bf16, see [`BF16_WEIGHT_ERROR`].
    Amx,
    /// Packed sequences of which some take [`Rows`](Self::Rows), the others [`Tiles`](Self::Tiles) or
    /// [`Amx`](Self::Amx).
    Mixed,
}

impl Path {
    /// Those that a kernel chooses among.
    pub(crate) const CHOICES: [Path; 3] = [Path::Rows, Path::Tiles, Path::Amx];

    /// The name, as bench ids spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Path::Definition => "definition",
            Path::Empty => "empty",
            Path::Rows => "rows",
            Path::Tiles => "tiles",
            Path::Amx => "amx",
            Path::Mixed => "mixed",
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Choice {
    /// As a report of what ran, without work counted.
    pub(crate) fn ran(&self) -> Ran {
        Ran { path: self.path.to_string(), threads: self.threads, ..Ran::new(self.kernel, self.isa.to_string()) }
    }
}
