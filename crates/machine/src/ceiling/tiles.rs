//! Products of bf16 in tile registers: AMX-BF16.

use std::{fmt, time::Duration};

use super::{
    Burst, Unavailable,
    thread_team::{Task, ThreadTeam},
};
use crate::isa::Amx;

/// bf16 products with f32 sums in tile registers, on one or more threads. One that is started takes 16 cycles and is
/// 16 x 16 x 32 multiply-adds.
///
/// ```
/// use std::time::Duration;
/// use machine::ceiling::{TileLoop, Unavailable};
///
/// match TileLoop::new(1) {
///     Ok(mut tiles) => assert!(tiles.burst(Duration::from_micros(100)).per_s() > 0.0),
///     Err(Unavailable::Amx(reason)) => assert!(!reason.to_string().is_empty()),
///     Err(other) => return Err(other),
/// }
/// # Ok::<(), Unavailable>(())
/// ```
pub struct TileLoop {
    threads: usize,
    thread_team: ThreadTeam<Products>,
}

impl fmt::Debug for TileLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TileLoop({})", self.name())
    }
}

impl TileLoop {
    /// A loop of `threads` threads. More than one thread are started here, see the [module](super).
    ///
    /// # Errors
    /// Where tiles cannot be used, or `threads` is 0 or cannot be started.
    pub fn new(threads: usize) -> Result<Self, Unavailable> {
        let task = Products(Amx::detect().map_err(Unavailable::Amx)?);
        Ok(Self { threads, thread_team: ThreadTeam::new(threads, move |_| Ok(task))? })
    }

    /// Name of the ceiling in a record: `tiles bf16 amx t1`.
    pub fn name(&self) -> String {
        format!("tiles bf16 amx t{}", self.threads)
    }

    /// Runs for at least `min`; work in floating-point operations.
    pub fn burst(&mut self, min: Duration) -> Burst {
        self.thread_team.burst(min)
    }
}

#[derive(Clone, Copy)]
struct Products(Amx);

impl Task for Products {
    fn prime(&mut self) {
        self.piece();
    }

    fn piece(&mut self) -> u64 {
        2 * products(self.0)
    }
}

/// Rounds of four products: some 25 us.
#[cfg(target_arch = "x86_64")]
const ROUNDS: u32 = 1024;

/// Multiply-adds of [`ROUNDS`] rounds. All numbers are 1, so the sums count them, and exactly: each counts to 2^15.
///
/// Four sums hide the latency of one. The tiles are released at the end, and a kernel of the caller configures its own.
#[cfg(target_arch = "x86_64")]
fn products(_: Amx) -> u64 {
    use std::arch::asm;

    /// Palette 1, then for eight registers rows of 64 bytes, then 16 rows of each.
    static CONFIG: [u8; 64] = {
        let mut bytes = [0; 64];
        let mut i = 0;
        bytes[0] = 1;
        while i < 8 {
            bytes[16 + 2 * i] = 64;
            bytes[48 + i] = 16;
            i += 1;
        }
        bytes
    };
    let ones = [0x3f80_u16; 512];
    let mut sums = [0.0_f32; 4 * 256];
    // SAFETY: an `Amx` exists only where these instructions exist and this process may execute them. A tile is 1024
    // bytes: as many are read of `ones`, and four times as many are written to `sums`.
    unsafe {
        asm!(
            "ldtilecfg [{config}]",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "tileloadd tmm4, [{ones} + {stride}]",
            "tileloadd tmm5, [{ones} + {stride}]",
            "2:",
            "tdpbf16ps tmm0, tmm4, tmm5",
            "tdpbf16ps tmm1, tmm4, tmm5",
            "tdpbf16ps tmm2, tmm4, tmm5",
            "tdpbf16ps tmm3, tmm4, tmm5",
            "dec {rounds:e}",
            "jnz 2b",
            "tilestored [{sums} + {stride}], tmm0",
            "tilestored [{sums} + {stride} + 1024], tmm1",
            "tilestored [{sums} + {stride} + 2048], tmm2",
            "tilestored [{sums} + {stride} + 3072], tmm3",
            "tilerelease",
            config = in(reg) CONFIG.as_ptr(),
            ones = in(reg) ones.as_ptr(),
            sums = in(reg) sums.as_mut_ptr(),
            stride = in(reg) 64_usize,
            rounds = inout(reg) ROUNDS => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
    sums.iter().map(|&sum| sum as u64).sum()
}

#[cfg(not(target_arch = "x86_64"))]
fn products(_: Amx) -> u64 {
    0
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn a_piece_counts_every_operation() {
        let Some(amx) = Amx::new() else { return };
        assert_eq!(Products(amx).piece(), 2 * 4 * u64::from(ROUNDS) * 16 * 16 * 32);
        let mut tiles = TileLoop::new(2).unwrap();
        assert_eq!(tiles.name(), "tiles bf16 amx t2");
        assert!(tiles.burst(Duration::ZERO).work >= 2 * Products(amx).piece());
    }
}
