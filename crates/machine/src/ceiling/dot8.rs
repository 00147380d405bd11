//! Multiply-adds of bytes on registers.

use std::{fmt, time::Duration};

use super::{
    Burst, Unavailable,
    thread_team::{Task, ThreadTeam},
};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::isa::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod chains;

/// Products of unsigned and signed bytes, summed in 32 bits, on registers, on one or more threads: the limit of kernels
/// that multiply quantized weights by quantized activations.
///
/// ```
/// use std::time::Duration;
/// use machine::{ceiling::{Dot8Loop, Unavailable}, isa::Isa};
///
/// match Dot8Loop::new(Isa::best(), 1) {
///     Ok(mut dot) => assert!(dot.burst(Duration::from_micros(100)).per_s() > 0.0),
///     Err(Unavailable::Dot8(isa)) => assert!(matches!(isa, Isa::Scalar | Isa::Neon)),
///     Err(other) => return Err(other),
/// }
/// # Ok::<(), Unavailable>(())
/// ```
pub struct Dot8Loop {
    instructions: Dot8,
    threads: usize,
    thread_team: ThreadTeam<Dot8>,
}

impl fmt::Debug for Dot8Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dot8Loop({})", self.name())
    }
}

impl Dot8Loop {
    /// A loop of `threads` threads with the vectors of `isa`. More than one thread are started here, see the
    /// [module](super).
    ///
    /// [`Isa::Avx512`] takes `vpdpbusd` where the machine has AVX512-VNNI. Without it, and with [`Isa::Avx2`], products
    /// are added in 16 bits and widened every eighth time, as many as 4-bit weights allow.
    ///
    /// # Errors
    /// Where the machine lacks `isa`, where no such loop is written for it, or `threads` is 0 or cannot be started.
    pub fn new(isa: Isa, threads: usize) -> Result<Self, Unavailable> {
        if !isa.is_supported() {
            return Err(Unavailable::Isa(isa));
        }
        let instructions = Dot8::new(isa).ok_or(Unavailable::Dot8(isa))?;
        Ok(Self { instructions, threads, thread_team: ThreadTeam::new(threads, move |_| Ok(instructions))? })
    }

    /// Name of the ceiling in a record: `dot u8 i8 avx512-vnni t1`.
    pub fn name(&self) -> String {
        format!("dot u8 i8 {} t{}", self.instructions.name(), self.threads)
    }

    /// Runs for at least `min`; work in operations, two of each multiply-add.
    pub fn burst(&mut self, min: Duration) -> Burst {
        self.thread_team.burst(min)
    }
}

/// The loop's body, chosen by the token that its instructions need.
#[derive(Clone, Copy)]
enum Dot8 {
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// The second field exists only where `avx512vnni` was detected.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Avx512, Vnni),
}

/// Proof that the machine has AVX512-VNNI.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Vnni(());

impl Dot8 {
    fn new(isa: Isa) -> Option<Self> {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Avx2::new().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                let vnni = is_x86_feature_detected!("avx512vnni").then_some(Vnni(()));
                Avx512::new().map(|token| vnni.map_or(Self::Avx512(token), |vnni| Self::Avx512Vnni(token, vnni)))
            }
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(..) => "avx512-vnni",
        }
    }
}

impl Task for Dot8 {
    /// Wide vectors need some tens of microseconds to be powered up.
    fn prime(&mut self) {
        self.piece();
    }

    fn piece(&mut self) -> u64 {
        match *self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Avx2` exists only where avx2 was detected.
            Self::Avx2(_) => 2 * unsafe { chains::avx2() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Avx512` exists only where avx512f and avx512bw were detected.
            Self::Avx512(_) => 2 * unsafe { chains::avx512() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Avx512` and a `Vnni` exist only where avx512f and avx512vnni were detected.
            Self::Avx512Vnni(..) => 2 * unsafe { chains::avx512_vnni() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_piece_counts_every_product_of_every_chain_and_lane() {
        let rounds = u64::from(chains::ROUNDS);
        if let Some(token) = Avx2::new() {
            assert_eq!(Dot8::Avx2(token).piece(), 2 * rounds * 6 * 32);
        }
        let Some(token) = Avx512::new() else { return };
        assert_eq!(Dot8::Avx512(token).piece(), 2 * rounds * 12 * 64);
        if let Some(vnni @ Dot8::Avx512Vnni(..)) = Dot8::new(Isa::Avx512).as_mut() {
            assert_eq!(vnni.piece(), 2 * rounds * 24 * 64);
        }
    }

    #[test]
    fn every_vector_set_of_this_machine_has_a_loop_and_no_other() {
        for isa in Isa::ALL {
            match Dot8Loop::new(isa, 2) {
                Ok(mut dot) => {
                    assert!(matches!(isa, Isa::Avx2 | Isa::Avx512) && isa.is_supported());
                    assert!(dot.name().starts_with(&format!("dot u8 i8 {isa}")) && dot.name().ends_with(" t2"));
                    let burst = dot.burst(Duration::ZERO);
                    assert!(burst.work > 0 && burst.per_s().is_finite(), "{burst:?}");
                }
                Err(Unavailable::Isa(missing)) => assert!(missing == isa && !isa.is_supported()),
                Err(Unavailable::Dot8(without)) => {
                    assert!(without == isa && matches!(isa, Isa::Scalar | Isa::Neon));
                }
                Err(other) => panic!("{isa}: {other}"),
            }
        }
    }
}
