//! Multiply-adds on registers.

use std::{fmt, hint::black_box, time::Duration};

use super::{
    Burst, Unavailable,
    thread_team::{Task, ThreadTeam},
};
use crate::isa::Isa;
#[cfg(target_arch = "aarch64")]
use crate::isa::Neon;
#[cfg(target_arch = "x86_64")]
use crate::isa::{Avx2, Avx512};

mod chains;

/// f32 multiply-adds on registers, on one or more threads.
///
/// ```
/// use std::time::Duration;
/// use machine::{ceiling::FmaLoop, isa::Isa};
///
/// let mut fma = FmaLoop::new(Isa::best(), 1)?;
/// let burst = fma.burst(Duration::from_micros(100));
/// assert!(burst.per_s() > 0.0);
/// # Ok::<(), machine::ceiling::Unavailable>(())
/// ```
pub struct FmaLoop {
    isa: Isa,
    threads: usize,
    thread_team: ThreadTeam<Fma>,
}

impl fmt::Debug for FmaLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FmaLoop({})", self.name())
    }
}

impl FmaLoop {
    /// A loop of `threads` threads with instruction set `isa`. More than one thread are started here, see the
    /// [module](super).
    ///
    /// [`Isa::Scalar`] means the compiler's vectors of the target's baseline, multiplied and added by two instructions
    /// (on x86-64 four lanes of SSE2). It bounds every kernel in portable Rust.
    ///
    /// # Errors
    /// Where the machine lacks `isa`, or `threads` is 0 or cannot be started.
    pub fn new(isa: Isa, threads: usize) -> Result<Self, Unavailable> {
        let task = Fma::new(isa).ok_or(Unavailable::Isa(isa))?;
        Ok(Self { isa, threads, thread_team: ThreadTeam::new(threads, move |_| Ok(task))? })
    }

    /// Name of the ceiling in a record: `fma f32 avx2 t1`.
    pub fn name(&self) -> String {
        format!("fma f32 {} t{}", self.isa, self.threads)
    }

    /// Runs for at least `min`; work in floating-point operations.
    pub fn burst(&mut self, min: Duration) -> Burst {
        self.thread_team.burst(min)
    }
}

/// The loop's body, chosen by the token that its instructions need.
#[derive(Clone, Copy)]
pub(super) enum Fma {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

impl Fma {
    fn new(isa: Isa) -> Option<Self> {
        match isa {
            Isa::Scalar => Some(Self::Scalar),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Avx2::new().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Avx512::new().map(Self::Avx512),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Neon::new().map(Self::Neon),
            _ => None,
        }
    }
}

impl Task for Fma {
    /// Wide vectors need some tens of microseconds to be powered up.
    fn prime(&mut self) {
        self.piece();
    }

    fn piece(&mut self) -> u64 {
        let one = black_box(1.0);
        let links = match *self {
            Self::Scalar => chains::scalar(one),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Avx2` exists only where the features that `avx2` enables were detected.
            Self::Avx2(_) => unsafe { chains::avx2(one) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Avx512` exists only where the features that `avx512` enables were detected.
            Self::Avx512(_) => unsafe { chains::avx512(one) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: a `Neon` exists only where NEON was detected.
            Self::Neon(_) => unsafe { chains::neon(one) },
        };
        2 * links
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_counts_every_operation_of_every_chain_and_lane() {
        for isa in Isa::supported() {
            let (chains, lanes) = match isa {
                Isa::Scalar => (14, chains::BASELINE_LANES as u64),
                Isa::Neon => (24, 4),
                Isa::Avx2 => (12, 8),
                Isa::Avx512 => (24, 16),
            };
            let mut fma = Fma::new(isa).unwrap();
            assert_eq!(fma.piece(), 2 * u64::from(chains::ROUNDS) * chains * lanes, "{isa}");
        }
    }

    #[test]
    fn two_threads_do_whole_pieces_each() {
        let mut fma = FmaLoop::new(Isa::Scalar, 2).unwrap();
        assert_eq!(fma.name(), "fma f32 scalar t2");
        let piece = Fma::Scalar.piece();
        for _ in 0..3 {
            let burst = fma.burst(Duration::ZERO);
            assert!(burst.work >= 2 * piece && burst.work.is_multiple_of(piece), "{burst:?}");
            assert!(burst.per_s().is_finite() && burst.per_s() > 0.0);
        }
    }

    #[test]
    fn an_instruction_set_that_is_not_there_is_an_error() {
        for isa in Isa::ALL.into_iter().filter(|isa| !isa.is_supported()) {
            assert!(matches!(FmaLoop::new(isa, 1), Err(Unavailable::Isa(missing)) if missing == isa));
        }
    }
}
