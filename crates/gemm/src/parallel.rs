//! Threads that a call may use.

use std::num::NonZeroUsize;

/// Threads that may work on one call; fewer may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parallelism {
    /// The caller's thread alone.
    Serial,
    /// Up to this many threads of the caller's rayon pool (the one it calls from, else the global one).
    Rayon(NonZeroUsize),
}

impl Parallelism {
    /// As a number.
    pub fn threads(self) -> usize {
        match self {
            Self::Serial => 1,
            Self::Rayon(threads) => threads.get(),
        }
    }
}
