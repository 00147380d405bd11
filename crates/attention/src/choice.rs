//! What runs: the kernel, its path and its threads.

use std::fmt;

use op::Ran;
use simd::Isa;

/// What runs, or ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// Name of the kernel: `cpu-scalar`, `cpu-avx2`, ..
    pub kernel: &'static str,
    /// Its instruction set.
    pub isa: Isa,
    /// Its algorithm.
    pub path: Path,
    /// Threads that work, the caller's included: at most those allowed, fewer for a small problem.
    pub threads: usize,
}

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
    /// Packed sequences of which some take [`Rows`](Self::Rows), the others [`Tiles`](Self::Tiles).
    Mixed,
}

impl Path {
    /// Those that a kernel chooses among.
    pub(crate) const CHOICES: [Path; 2] = [Path::Rows, Path::Tiles];

    /// The name, as bench ids spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Path::Definition => "definition",
            Path::Empty => "empty",
            Path::Rows => "rows",
            Path::Tiles => "tiles",
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
