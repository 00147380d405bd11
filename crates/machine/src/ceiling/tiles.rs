//! Products of bf16 and of bytes in tile registers: AMX-BF16 and AMX-INT8.

use std::{fmt, time::Duration};

use super::{
    Burst, Unavailable,
    thread_team::{Task, ThreadTeam},
};
use crate::isa::Amx;

/// What tile registers multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TileNumbers {
    /// bf16, with sums of f32: 16 x 16 x 32 multiply-adds.
    Bf16,
    /// Unsigned and signed bytes, with sums of 32 bits: 16 x 16 x 64 multiply-adds.
    Bytes,
}

/// Products in tile registers, on one or more threads. One that is started takes 16 cycles.
///
/// ```
/// use std::time::Duration;
/// use machine::ceiling::{TileLoop, TileNumbers, Unavailable};
///
/// match TileLoop::new(TileNumbers::Bf16, 1) {
///     Ok(mut tiles) => assert!(tiles.burst(Duration::from_micros(100)).per_s() > 0.0),
///     Err(Unavailable::Amx(reason)) => assert!(!reason.to_string().is_empty()),
///     Err(other) => return Err(other),
/// }
/// # Ok::<(), Unavailable>(())
/// ```
pub struct TileLoop {
    numbers: TileNumbers,
    threads: usize,
    thread_team: ThreadTeam<Products>,
}

impl fmt::Debug for TileLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TileLoop({})", self.name())
    }
}

impl TileLoop {
    /// A loop of `threads` threads over products of `numbers`. More than one thread are started here, see the
    /// [module](super).
    ///
    /// # Errors
    /// Where tiles cannot be used, or `threads` is 0 or cannot be started.
    pub fn new(numbers: TileNumbers, threads: usize) -> Result<Self, Unavailable> {
        let task = Products(Amx::detect().map_err(Unavailable::Amx)?, numbers);
        Ok(Self { numbers, threads, thread_team: ThreadTeam::new(threads, move |_| Ok(task))? })
    }

    /// Name of the ceiling in a record: `tiles bf16 amx t1`, `tiles u8 i8 amx t1`.
    pub fn name(&self) -> String {
        let numbers = match self.numbers {
            TileNumbers::Bf16 => "bf16",
            TileNumbers::Bytes => "u8 i8",
        };
        format!("tiles {numbers} amx t{}", self.threads)
    }

    /// Runs for at least `min`; work in floating-point operations.
    pub fn burst(&mut self, min: Duration) -> Burst {
        self.thread_team.burst(min)
    }
}

#[derive(Clone, Copy)]
struct Products(Amx, TileNumbers);

impl Task for Products {
    fn prime(&mut self) {
        self.piece();
    }

    fn piece(&mut self) -> u64 {
        2 * match self.1 {
            TileNumbers::Bf16 => products(self.0),
            TileNumbers::Bytes => products_of_bytes(self.0),
        }
    }
}

/// Rounds of four products: some 25 us.
#[cfg(target_arch = "x86_64")]
const ROUNDS: u32 = 1024;

/// Multiply-adds of [`ROUNDS`] rounds. All numbers are 1, so the sums count them, and exactly: each counts to 2^15.
///
/// Four sums hide the latency of one. The tiles are released at the end, and a kernel of the caller configures its own.
#[cfg(target_arch = "x86_64")]
macro_rules! rounds {
    ($instruction:literal, $ones:expr, $sums:expr) => {
        // SAFETY: an `Amx` exists only where these instructions exist and this process may execute them. A tile is 1024
        // bytes: as many are read of `ones`, and four times as many are written to `sums`.
        unsafe {
            std::arch::asm!(
                "ldtilecfg [{config}]",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "tileloadd tmm4, [{ones} + {stride}]",
                "tileloadd tmm5, [{ones} + {stride}]",
                "2:",
                concat!($instruction, " tmm0, tmm4, tmm5"),
                concat!($instruction, " tmm1, tmm4, tmm5"),
                concat!($instruction, " tmm2, tmm4, tmm5"),
                concat!($instruction, " tmm3, tmm4, tmm5"),
                "dec {rounds:e}",
                "jnz 2b",
                "tilestored [{sums} + {stride}], tmm0",
                "tilestored [{sums} + {stride} + 1024], tmm1",
                "tilestored [{sums} + {stride} + 2048], tmm2",
                "tilestored [{sums} + {stride} + 3072], tmm3",
                "tilerelease",
                config = in(reg) CONFIG.as_ptr(),
                ones = in(reg) $ones.as_ptr(),
                sums = in(reg) $sums.as_mut_ptr(),
                stride = in(reg) 64_usize,
                rounds = inout(reg) ROUNDS => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    };
}

/// Palette 1, then for eight registers rows of 64 bytes, then 16 rows of each.
#[cfg(target_arch = "x86_64")]
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

#[cfg(target_arch = "x86_64")]
fn products(_: Amx) -> u64 {
    let ones = [0x3f80_u16; 512];
    let mut sums = [0.0_f32; 4 * 256];
    rounds!("tdpbf16ps", ones, sums);
    sums.iter().map(|&sum| sum as u64).sum()
}

#[cfg(target_arch = "x86_64")]
fn products_of_bytes(_: Amx) -> u64 {
    let ones = [1_u8; 1024];
    let mut sums = [0_i32; 4 * 256];
    rounds!("tdpbusd", ones, sums);
    sums.iter().map(|&sum| u64::from(sum.cast_unsigned())).sum()
}

#[cfg(not(target_arch = "x86_64"))]
fn products(_: Amx) -> u64 {
    0
}

#[cfg(not(target_arch = "x86_64"))]
fn products_of_bytes(_: Amx) -> u64 {
    0
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn a_piece_counts_every_operation() {
        let Some(amx) = Amx::new() else { return };
        for (numbers, depth, name) in
            [(TileNumbers::Bf16, 32, "tiles bf16 amx t2"), (TileNumbers::Bytes, 64, "tiles u8 i8 amx t2")]
        {
            let piece = 2 * 4 * u64::from(ROUNDS) * 16 * 16 * depth;
            assert_eq!(Products(amx, numbers).piece(), piece);
            let mut tiles = TileLoop::new(numbers, 2).unwrap();
            assert_eq!(tiles.name(), name);
            assert!(tiles.burst(Duration::ZERO).work >= 2 * piece);
        }
    }
}
