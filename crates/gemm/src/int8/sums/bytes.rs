//! Sums in vector registers: R rows of A by two registers of columns.

use simd::{ByteSimd, ByteVectorized};

use super::{SumKernel, Tile};
use crate::{int8::WIDTH, weights::Int8Weights};

/// Registers of columns.
const VECS: usize = 2;

/// The kernel of an instruction set with products of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<B>(pub(crate) B);

impl<B: ByteSimd> SumKernel for Bytes<B> {
    /// Of 32 registers of 64 bytes, 24 hold sums; half as many where others hold magnitudes and codes with signs. Of 16
    /// registers of 32 bytes, 8 do.
    const ROWS: usize = match (B::BYTES, B::HAS_DOT) {
        (64, true) => 12,
        (64, false) => 6,
        _ => 4,
    };
    const HAS_OFFSET: bool = B::HAS_DOT;
    type Float = B::Float;
    type OnThread = B;

    fn float(self) -> B::Float {
        self.0.float()
    }

    fn on_this_thread(self) -> B {
        self.0
    }

    unsafe fn sums(on_thread: &B, tile: &Tile, sums: &mut [i32]) {
        on_thread.run_bytes(Sums { tile, sums });
    }
}

/// A tile. What [`SumKernel::sums`] asks for holds.
struct Sums<'a> {
    tile: &'a Tile,
    sums: &'a mut [i32],
}

impl ByteVectorized for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<B: ByteSimd>(self, simd: B) {
        let Self { tile, sums } = self;
        assert!(tile.rows <= Bytes::<B>::ROWS && sums.len() >= tile.rows * WIDTH);
        let mut i = 0;
        while i < tile.rows {
            let to = &mut sums[i * WIDTH..];
            i += match tile.rows - i {
                1 => rows::<B, 1>(simd, tile, i, to),
                2..4 => rows::<B, 2>(simd, tile, i, to),
                4..6 => rows::<B, 4>(simd, tile, i, to),
                6..12 => rows::<B, 6>(simd, tile, i, to),
                _ => rows::<B, 12>(simd, tile, i, to),
            };
        }
    }
}

/// R rows from row `first` on. Returns R.
#[inline(always)]
fn rows<B: ByteSimd, const R: usize>(simd: B, tile: &Tile, first: usize, to: &mut [i32]) -> usize {
    let columns = VECS * B::BYTES / 4;
    assert!(to.len() >= R * WIDTH && WIDTH.is_multiple_of(columns));
    let a = tile.a.wrapping_add(first * tile.a_stride);
    let (one, two, three) = (tile.a_stride, 2 * tile.a_stride, 3 * tile.a_stride);
    for column in (0..WIDTH).step_by(columns) {
        // Where the registers of columns begin.
        let mut b = [tile.b[0]; VECS];
        for v in 0..VECS {
            let byte = 4 * column + v * B::BYTES;
            b[v] = tile.b[byte / Int8Weights::STEP].wrapping_add(byte % Int8Weights::STEP);
        }
        // Three pointers lead to four rows each: one for each row would not fit the registers.
        let mut fours = [a, a.wrapping_add(4 * one), a.wrapping_add(8 * one)];
        let mut sums = [[simd.zero(); VECS]; R];
        for _ in 0..tile.depth / 4 {
            let mut w = [simd.zero(); VECS];
            for v in 0..VECS {
                // SAFETY: the panel has `depth / 4` steps of 64 bytes, and the register lies inside of one.
                w[v] = unsafe { simd.load_bytes(b[v]) };
                b[v] = b[v].wrapping_add(Int8Weights::STEP);
            }
            for r in 0..R {
                // SAFETY: row first + r exists, and has `depth` codes.
                let q = unsafe {
                    let four = fours[r / 4];
                    simd.repeat_4(match r % 4 {
                        0 => four,
                        1 => four.add(one),
                        2 => four.add(two),
                        _ => four.add(three),
                    })
                };
                for v in 0..VECS {
                    sums[r][v] = if B::HAS_DOT {
                        simd.dot_bytes(q, w[v], sums[r][v])
                    } else {
                        let [magnitudes, q] = simd.move_sign(w[v], q);
                        simd.dot_bytes(magnitudes, q, sums[r][v])
                    };
                }
            }
            for four in 0..R.div_ceil(4) {
                fours[four] = fours[four].wrapping_add(4);
            }
        }
        for r in 0..R {
            for v in 0..VECS {
                let place = &mut to[r * WIDTH + column + v * B::BYTES / 4..][..B::BYTES / 4];
                // SAFETY: the slice has BYTES bytes.
                unsafe { simd.store_bytes(sums[r][v], place.as_mut_ptr().cast()) }
            }
        }
    }
    R
}
