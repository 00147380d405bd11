//! Sums of products of codes: a tile of C as integers, by every kernel.

#[cfg(target_arch = "x86_64")]
mod amx;
mod bytes;

#[cfg(target_arch = "x86_64")]
use simd::{Amx, Avx2, Avx512, Avx512Vnni};
use simd::{Portable, Simd};

#[cfg(target_arch = "x86_64")]
pub(crate) use self::bytes::Bytes;
use super::WIDTH;
use crate::weights::Int8Weights;

/// Who forms the sums.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kernel {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Bytes<Avx2>),
    #[cfg(target_arch = "x86_64")]
    Avx512(Bytes<Avx512>),
    #[cfg(target_arch = "x86_64")]
    Vnni(Bytes<Avx512Vnni>),
    #[cfg(target_arch = "x86_64")]
    Amx(Amx),
}

impl Kernel {
    pub(super) const PORTABLE: Self = Self::Portable(Portable);

    /// Whether a code of A may be -128.
    pub(super) fn takes_lowest(self) -> bool {
        match self {
            Self::Portable(_) => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) | Self::Avx512(_) => false,
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(_) | Self::Amx(_) => true,
        }
    }
}

/// A tile of C: rows of A by two panels of B.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// The first row of codes.
    pub(super) a: *const u8,
    /// Bytes from one row to the next.
    pub(super) a_stride: usize,
    /// At least one, at most [`SumKernel::ROWS`].
    pub(super) rows: usize,
    pub(super) b: [*const u8; 2],
    /// Numbers of k, a multiple of [`Int8Weights::DEPTH`].
    pub(super) depth: usize,
}

/// A kernel.
pub(super) trait SumKernel: Copy + Send + Sync {
    /// Most rows of a tile.
    const ROWS: usize;

    /// Whether codes of A are stored plus 128, as unsigned numbers.
    const HAS_OFFSET: bool;

    /// What changes a code to how it is stored.
    const OFFSET: u8 = if Self::HAS_OFFSET { 0x80 } else { 0 };

    /// The token for everything else.
    type Float: Simd;

    /// What a thread holds while it forms sums.
    type OnThread;

    fn float(self) -> Self::Float;

    fn on_this_thread(self) -> Self::OnThread;

    /// sums[i][j] = sum over p of a[i][p] b[p][j], rows of [`WIDTH`]; it wraps.
    ///
    /// # Safety
    /// `depth` codes can be read of [`ROWS`](Self::ROWS) rows at `a`, and as many steps of both panels.
    unsafe fn sums(on_thread: &Self::OnThread, tile: &Tile, sums: &mut [i32]);
}

impl SumKernel for Portable {
    const ROWS: usize = 4;
    const HAS_OFFSET: bool = false;
    type Float = Portable;
    type OnThread = Portable;

    fn float(self) -> Portable {
        self
    }

    fn on_this_thread(self) -> Portable {
        self
    }

    unsafe fn sums(_: &Portable, tile: &Tile, sums: &mut [i32]) {
        const PANEL: usize = Int8Weights::PANEL;
        for (i, sums) in sums.as_chunks_mut::<WIDTH>().0[..tile.rows].iter_mut().enumerate() {
            // SAFETY: the caller promises `depth` codes of each row.
            let a = unsafe { std::slice::from_raw_parts(tile.a.add(i * tile.a_stride).cast::<i8>(), tile.depth) };
            for (b, sums) in tile.b.into_iter().zip(sums.as_chunks_mut::<PANEL>().0) {
                // SAFETY: the caller promises `depth` numbers of k for each column of the panel.
                let b = unsafe { std::slice::from_raw_parts(b.cast::<i8>(), tile.depth * PANEL) };
                *sums = [0; PANEL];
                for (a, b) in a.as_chunks::<4>().0.iter().zip(b.as_chunks::<{ Int8Weights::STEP }>().0) {
                    for (sum, b) in sums.iter_mut().zip(b.as_chunks::<4>().0) {
                        for p in 0..4 {
                            *sum = sum.wrapping_add(i32::from(a[p]) * i32::from(b[p]));
                        }
                    }
                }
            }
        }
    }
}
