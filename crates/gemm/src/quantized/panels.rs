//! Many rows of A: codes are unpacked into panels, which are multiplied with all rows.
//!
//! A panel has 2 registers of columns of B and [`SLAB`] blocks of k. Four codes of a column are 32 bits, as the
//! instruction multiplies them:
//!
//! ```text
//!   step 0: c0 k0..4 | c1 k0..4 | ..      step 1: c0 k4..8 | ..        4 NR bytes for each 4 numbers of k
//! ```
//!
//! with the scale and the minimum of each sub-block beside it, NR floats each. For all rows of A, R at a time, a tile
//! of R x NR is updated:
//!
//! ```text
//!   for every slab of k: unpack the panel                                     16 KiB of codes, in the L1 cache
//!     for every R rows of A:
//!       for every block: for every sub-block j:
//!         ints[R][NR] = sum over 4 numbers of  codes * q[R]                      exact
//!         block[R][NR] += scale[j] ints + min[j] sum(q)[R][j]                    one conversion, 1 or 2 multiply-adds
//!       tile[R][NR] += dx[R] block
//! ```
//!
//! Codes with an offset begin their integers at minus the offset times `sum(q)`, which is exact and costs a load. With
//! 32 numbers to a sub-block, 8 products of bytes stand beside 2 or 3 instructions on floats.
//!
//! Unpacking costs as much as about 15 rows of A. So m rows are taken at once, up to [`MOST_ROWS`], and their tiles lie
//! in the level-2 cache until all of k is done.

mod unpack;

use simd::{ByteSimd, ByteVectorized, F32Vector, Simd};

use self::unpack::Unpack;
use super::{
    activations::{ActBlock, Activations},
    format::{Format, GROUPS, QK},
    scale_and_add,
};
use crate::{
    chunks::chunks,
    grid::{Grid, for_each_part},
    problem::Problem,
    tile::StoreTile,
    weights::QMatRef,
};

/// Blocks of k in a panel.
const SLAB: usize = 2;

/// Rows of A for which a panel is unpacked once.
const MOST_ROWS: usize = 512;

/// Registers of columns.
const VECS: usize = 2;

/// Columns of a panel.
const fn width<B: ByteSimd>() -> usize {
    VECS * <B::Float as Simd>::LANES
}

/// Floats of a panel: codes, scales and minima.
const fn panel_floats<B: ByteSimd>() -> usize {
    SLAB * width::<B>() * (QK / 4 + GROUPS + GROUPS / 2)
}

/// Floats of workspace for a part with `m` rows.
pub(super) fn floats<B: ByteSimd>(m: usize) -> usize {
    panel_floats::<B>() + 2 * m.min(MOST_ROWS) * width::<B>()
}

/// C <- act(alpha A W^T + beta C + bias) + residual.
pub(super) fn product<B: ByteSimd, F: Format>(
    simd: B,
    problem: Problem<'_, QMatRef<'_>>,
    x: Activations<'_>,
    grid: Grid,
    workspace: &mut [f32],
) {
    let (m, nr) = (problem.c.rows(), width::<B>());
    let used = grid.parts() * floats::<B>(m);
    for_each_part(problem, grid, (m.max(1), nr), &mut workspace[..used], &|part, memory| {
        let Problem { alpha, b, beta, mut c, epilogue, .. } = part;
        let (panel, tiles) = memory.split_at_mut(panel_floats::<B>());
        let (tiles, before) = tiles.split_at_mut(m.min(MOST_ROWS) * nr);
        for cols in chunks(0..b.rows(), nr) {
            for rows in chunks(0..m, MOST_ROWS) {
                let tiles = &mut tiles[..rows.len() * nr];
                tiles.fill(0.0);
                for blocks in chunks(0..x.per_row(), SLAB) {
                    simd.run_bytes(Unpack::<F> {
                        weights: b,
                        cols: (cols.start, cols.len()),
                        first: blocks.start,
                        count: blocks.len(),
                        panel,
                        format: std::marker::PhantomData,
                    });
                    simd.run_bytes(Multiply::<F> {
                        x,
                        rows: (rows.start, rows.len()),
                        first: blocks.start,
                        count: blocks.len(),
                        panel,
                        tiles,
                        format: std::marker::PhantomData,
                    });
                }
                let out = c.reborrow().part(rows.clone(), cols.clone());
                scale_and_add(simd.float(), (alpha, beta), tiles, nr, before, &out);
                let epilogue = epilogue.part(rows, cols.clone());
                simd.float().run(StoreTile { tile: tiles, stride: nr, epilogue, out });
            }
        }
    });
}

/// Where the parts of a panel begin, in floats.
struct Layout {
    scales: usize,
    mins: usize,
}

const fn layout<B: ByteSimd>() -> Layout {
    let scales = SLAB * width::<B>() * (QK / 4);
    Layout { scales, mins: scales + SLAB * width::<B>() * GROUPS }
}

/// Multiplies rows of A with a panel: tiles += A W^T over its blocks of k.
struct Multiply<'a, 'p, F> {
    x: Activations<'a>,
    /// First and count.
    rows: (usize, usize),
    first: usize,
    count: usize,
    panel: &'p [f32],
    /// A row for each of A, as wide as the panel.
    tiles: &'p mut [f32],
    format: std::marker::PhantomData<F>,
}

impl<F: Format> ByteVectorized for Multiply<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn run<B: ByteSimd>(self, simd: B) {
        let Self { x, rows: (first_row, rows), first, count, panel, tiles, .. } = self;
        assert!(panel.len() >= panel_floats::<B>() && tiles.len() >= rows * width::<B>() && count <= SLAB);
        // Integers of R rows and two registers of columns, and as many floats, stay in registers.
        let mut i = 0;
        while i < rows {
            let rest = rows - i;
            let at = &mut tiles[i * width::<B>()..];
            i += match rest {
                1 => tile::<B, F, 1>(simd, x, first_row + i, first, count, panel, at),
                2..6 => tile::<B, F, 2>(simd, x, first_row + i, first, count, panel, at),
                _ if B::BYTES == 64 => tile::<B, F, 6>(simd, x, first_row + i, first, count, panel, at),
                _ => tile::<B, F, 2>(simd, x, first_row + i, first, count, panel, at),
            };
        }
    }
}

/// R rows of A times a panel. Returns R.
#[inline(always)]
fn tile<B: ByteSimd, F: Format, const R: usize>(
    simd: B,
    x: Activations<'_>,
    row: usize,
    first: usize,
    count: usize,
    panel: &[f32],
    to: &mut [f32],
) -> usize {
    let (nr, lanes, float) = (width::<B>(), <B::Float as Simd>::LANES, simd.float());
    let Layout { scales, mins } = layout::<B>();
    assert!(to.len() >= R * nr && panel.len() >= panel_floats::<B>() && count <= SLAB);
    let mut rows = [&x.row(row)[first..first + count]; R];
    for r in 1..R {
        rows[r] = &x.row(row + r)[first..first + count];
    }
    let (panel, to) = (panel.as_ptr(), to.as_mut_ptr());
    for at in 0..count {
        let mut blocks = [&rows[0][at]; R];
        for r in 1..R {
            blocks[r] = &rows[r][at];
        }
        let mut sums = [[float.splat(0.0); VECS]; R];
        for j in 0..QK / F::SUB {
            // SAFETY: block `at` of the panel has the steps of sub-block j, its scales and its minima, NR floats each,
            // and the tile has R rows.
            unsafe {
                let codes = panel.add(at * nr * (QK / 4) + j * (F::SUB / 4) * nr).cast::<u8>();
                let ints = sub_block::<B, F, R>(simd, codes, blocks, j);
                let mut scale = [float.splat(0.0); VECS];
                let mut min = scale;
                for v in 0..VECS {
                    scale[v] = float.load(panel.add(scales + (at * GROUPS + j) * nr + v * lanes));
                    if F::OFFSET == 0 {
                        min[v] = float.load(panel.add(mins + (at * 8 + j) * nr + v * lanes));
                    }
                }
                for r in 0..R {
                    if F::HAS_ONE_SCALE {
                        let sum = float.splat(f32::from_bits(blocks[r].terms[j].cast_unsigned()));
                        for v in 0..VECS {
                            sums[r][v] = simd.ints_to_floats(ints[r][v]).mul_add(scale[v], sums[r][v]);
                            if F::OFFSET == 0 {
                                sums[r][v] = min[v].mul_add(sum, sums[r][v]);
                            }
                        }
                    } else {
                        let d = float.splat(blocks[r].scales[j]);
                        for v in 0..VECS {
                            sums[r][v] = simd.ints_to_floats(ints[r][v]).mul_add(scale[v] * d, sums[r][v]);
                        }
                    }
                }
            }
        }
        for r in 0..R {
            let d = float.splat(if F::HAS_ONE_SCALE { blocks[r].scales[0] } else { 1.0 });
            for v in 0..VECS {
                // SAFETY: the tile has R rows of NR floats.
                unsafe {
                    let place = to.add(r * nr + v * lanes);
                    sums[r][v].mul_add(d, float.load(place)).store(place);
                }
            }
        }
    }
    R
}

/// The products of a sub-block, as integers.
///
/// # Safety
/// The sub-block's steps of NR times 4 codes can be read at `codes`.
#[inline(always)]
unsafe fn sub_block<B: ByteSimd, F: Format, const R: usize>(
    simd: B,
    codes: *const u8,
    x: [&ActBlock; R],
    j: usize,
) -> [[B::Register; VECS]; R] {
    let mut ints = [[simd.zero(); VECS]; R];
    let is_signed = F::IS_SIGNED && !B::HAS_DOT;
    if F::OFFSET != 0 && !is_signed {
        for r in 0..R {
            ints[r] = [simd.splat_int(x[r].terms[j]); VECS];
        }
    }
    let steps = F::SUB / 4;
    let mut step = 0;
    while step < steps {
        let last = if B::HAS_DOT { step + 1 } else { step + F::STEPS };
        let mut words = [[simd.zero(); VECS]; R];
        while step < last {
            let group = F::SUB_GROUPS[j][step / 4];
            let mut w = [simd.zero(); VECS];
            for v in 0..VECS {
                // SAFETY: the caller promises the step's codes.
                w[v] = unsafe { simd.load_bytes(codes.add((VECS * step + v) * B::BYTES)) };
            }
            for r in 0..R {
                // SAFETY: group and step are inside the 256 codes of a block.
                let q = unsafe { simd.repeat_4(x[r].codes.as_ptr().cast::<u8>().add(16 * group + 4 * (step % 4))) };
                for v in 0..VECS {
                    if B::HAS_DOT {
                        ints[r][v] = simd.dot_bytes(w[v], q, ints[r][v]);
                    } else if is_signed {
                        let [magnitudes, q] = simd.move_sign(w[v], q);
                        ints[r][v] = simd.dot_bytes(magnitudes, q, ints[r][v]);
                    } else {
                        words[r][v] = simd.add_words(words[r][v], simd.mul_pairs(w[v], q));
                    }
                }
            }
            step += 1;
        }
        if !B::HAS_DOT && !is_signed {
            let ones = simd.splat_int(0x0001_0001);
            for r in 0..R {
                for v in 0..VECS {
                    ints[r][v] = simd.dot_words(words[r][v], ones, ints[r][v]);
                }
            }
        }
    }
    ints
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use simd::Avx2;

    use super::*;
    use crate::quantized::format::{Q4_0, Q4_K, Q5_K, Q6_K};

    /// The sum of `steps` times four products of the code with 127, as a sub-block forms it without a dot product.
    struct Sum {
        code: u8,
        steps: usize,
    }

    impl ByteVectorized for Sum {
        type Output = f32;

        fn run<B: ByteSimd>(self, simd: B) -> f32 {
            let (code, number) = (simd.splat_byte(self.code), simd.splat_byte(127));
            let mut words = simd.zero();
            for _ in 0..self.steps {
                words = simd.add_words(words, simd.mul_pairs(code, number));
            }
            let sum = simd.dot_words(words, simd.splat_int(0x0001_0001), simd.zero());
            simd.ints_to_floats(sum).reduce_sum() / <B::Float as Simd>::LANES as f32
        }
    }

    /// As many steps as a format adds up in 16 bits are exact for its largest code, and one more is not.
    #[test]
    fn words_hold_as_many_steps_as_are_added_up() {
        let Some(avx2) = Avx2::new() else { return };
        let exact = |code: u8, steps: usize| (4 * 127 * usize::from(code) * steps) as f32;
        for (code, steps) in [(15, Q4_0::STEPS), (15, Q4_K::STEPS), (31, Q5_K::STEPS), (63, Q6_K::STEPS)] {
            assert_eq!(avx2.run_bytes(Sum { code, steps }), exact(code, steps), "{code}");
            assert_ne!(avx2.run_bytes(Sum { code, steps: steps + 1 }), exact(code, steps + 1), "{code}");
        }
    }
}
