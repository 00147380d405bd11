//! Ceilings: what this machine can do at most, measured now.
//!
//! A kernel's figure means something only against the machine's own limit at that moment, and the limit moves: a
//! register-only loop swings by 5 % from one millisecond to the next on a shared machine. So a ceiling is a *loop
//! object* that is built once, untimed, and gives a [`Burst`] whenever it is asked: as long as the kernel's own batch,
//! before and after it, in the same process.
//!
//! * [`FmaLoop`]: multiply-adds on registers, in flop/s. The limit of compute-bound work on f32.
//! * [`Dot8Loop`]: products of bytes with sums of 32 bits, in op/s. The limit of quantized weights times quantized
//!   activations.
//! * [`TileLoop`]: products of bf16 or bytes in tile registers, in flop/s. The limit of kernels that use them.
//! * [`ReadLoop`]: loads from L2, L3 or main memory, or of the same bytes again and again, in bytes/s. The limit of
//!   work that reads more than it computes.
//! * [`Canary`]: a fixed job made of both, timed to detect that the machine was disturbed.
//!
//! The loops count their work from its result, not from their parameters: each multiply-add adds 1 to an accumulator,
//! each word read adds 1 to a sum, and a burst's work is what the accumulators hold at its end. A loop that the
//! compiler had folded away would report no work.
//!
//! With one thread the loop runs on the caller's thread. With more, it keeps as many threads of its own, asleep between
//! bursts, while the caller only waits; each is pinned to a processor of its own where there are exactly as many
//! threads as allowed processors, because no other placement uses all of them. Threads start together behind a gate and
//! all work until the time is up, so that one that is held up costs its own share only: an upper bound for kernels that
//! balance their load, too. The burst lasts from the opening of the gate to the last thread's finish.

use std::{fmt, io, time::Duration};

use crate::isa::{Isa, NoAmx};

mod canary;
mod dot8;
mod fma;
mod lines;
mod read;
mod thread_team;
mod tiles;

pub use canary::{Canary, CanaryTimes};
pub use dot8::Dot8Loop;
pub use fma::FmaLoop;
pub use read::{Level, ReadLoop};
pub use tiles::{TileLoop, TileNumbers};

/// One measured burst of a loop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burst {
    /// What was done: operations (a multiply-add is 2) or bytes.
    pub work: u64,
    /// How long it took: at least what was asked for, and at most about 0.2 ms more where nothing disturbs.
    pub elapsed: Duration,
}

impl Burst {
    /// Work per second, in flop/s, op/s or bytes/s.
    pub fn per_s(&self) -> f64 {
        self.work as f64 / self.elapsed.as_secs_f64()
    }
}

/// Why a ceiling cannot be measured here.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unavailable {
    /// The machine lacks the instruction set.
    Isa(Isa),
    /// No loop of byte products is written for the instruction set.
    Dot8(Isa),
    /// Tile registers cannot be used.
    Amx(NoAmx),
    /// No buffer fits this level and no nearer one: the third level is absent, or less than four times the second.
    Level {
        /// The level asked for.
        level: Level,
        /// Size of the second level.
        l2_bytes: usize,
        /// Size of the third.
        l3_bytes: usize,
    },
    /// Memory for the buffer was refused.
    Memory {
        /// What was asked for.
        bytes: usize,
    },
    /// 0 threads were asked for.
    NoThreads,
    /// A thread could not be started.
    Thread(io::Error),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Isa(isa) => write!(f, "this machine has no {isa}"),
            Self::Dot8(isa) => write!(f, "no loop of byte products is written for {isa}"),
            Self::Amx(reason) => reason.fmt(f),
            Self::Level { level, l2_bytes, l3_bytes } => {
                write!(f, "no buffer lies in {level} alone (L2 has {l2_bytes} bytes, L3 {l3_bytes})")
            }
            Self::Memory { bytes } => write!(f, "no memory for a buffer of {bytes} bytes"),
            Self::NoThreads => f.write_str("a loop needs at least one thread"),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for Unavailable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            Self::Amx(reason) => Some(reason),
            _ => None,
        }
    }
}
