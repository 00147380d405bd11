//! A few rows of A: dot products with rows of weights as they lie in memory.
//!
//! ```text
//!   for every 256 columns of C, or fewer for more rows:
//!     for every W rows of weights, for every X rows of A:
//!       for every block of k:
//!         for every row of weights: unpack its codes, once for the X rows
//!           sums[x][w] += dx (d sum(scale c q) - dmin sum(min q))
//! ```
//!
//! `sum(scale c q)` of a block is one integer. Sums of two products of codes, or of four with VNNI, are 16-bit words,
//! and words are multiplied with the scale, a word, and added up in 32 bits by one instruction. Then the lanes of four
//! rows of weights are added up together, which takes three instructions a row, and one multiply-add of four floats
//! adds the block to the four sums. The headers of four blocks are unpacked together, too. So an element is the sum of
//! its blocks, one after the other, as it is in a panel, and has the same bits.
//!
//! Reading goes through the weights from front to back, four rows at a time. The bound is memory with one row of A;
//! with several, the instructions for each row of A.

use simd::{ByteSimd, ByteVectorized, Simd, prefetch_l2};

use super::{
    activations::{ActBlock, Activations},
    format::{Format, QK},
    scale_and_add,
};
use crate::{
    chunks::chunks,
    grid::{Grid, for_each_part},
    problem::Problem,
    tile::StoreTile,
    weights::QMatRef,
};

/// Most rows of A that are multiplied together.
const MAX_ROWS: usize = 8;

/// Columns are cut for threads at multiples of this.
const UNIT: usize = 32;

/// Sums that are formed before they are stored: of 32 columns of eight rows, or 256 of one.
const SUMS: usize = UNIT * MAX_ROWS;

/// Rows of weights that are read together, as [`Format::multiply`] takes them.
const W: usize = 4;

/// How far ahead of four rows of weights the weights behind them are prefetched, front to back: so far, or as far as
/// the four rows are long. Four rows that are read side by side are four streams, of which a Zen 4 gets 10 GB/s of
/// memory, as its own prefetchers start again with each row; of one stream through the level-2 cache, it gets up to 25.
/// With twice the distance, that becomes 20 where rows have 768 numbers.
const PREFETCH_BYTES: usize = 16 << 10;

/// C <- act(alpha A W^T + beta C + bias) + residual for an A of any number of rows, which is rounded to `x`.
pub(super) fn product<B: ByteSimd, F: Format>(
    simd: B,
    problem: Problem<'_, QMatRef<'_>>,
    x: Activations<'_>,
    grid: Grid,
) {
    let m = problem.c.rows();
    let strip = SUMS / m.clamp(1, MAX_ROWS).next_power_of_two();
    for_each_part(problem, grid, (m.max(1), UNIT), &mut [], &|part, _| {
        let Problem { alpha, b, beta, mut c, epilogue, .. } = part;
        for cols in chunks(0..b.rows(), strip) {
            for rows in chunks(0..m, MAX_ROWS) {
                let (mut sums, mut before) = ([0.0; SUMS], [0.0; SUMS]);
                simd.run_bytes(Dots::<F> {
                    x,
                    row: rows.start,
                    rows: rows.len(),
                    weights: b,
                    first: cols.start,
                    count: cols.len(),
                    sums: &mut sums,
                    stride: strip,
                    format: std::marker::PhantomData,
                });
                let out = c.reborrow().part(rows.clone(), cols.clone());
                scale_and_add(simd.float(), (alpha, beta), &mut sums, strip, &mut before, &out);
                let epilogue = epilogue.part(rows, cols.clone());
                simd.float().run(StoreTile { tile: &mut sums, stride: strip, epilogue, out });
            }
        }
    });
}

/// sums[i][j] = x[row + i] . weights[first + j], for as many rows of `stride` sums as there are.
struct Dots<'a, 's, F> {
    x: Activations<'a>,
    row: usize,
    rows: usize,
    weights: QMatRef<'a>,
    first: usize,
    count: usize,
    sums: &'s mut [f32; SUMS],
    stride: usize,
    format: std::marker::PhantomData<F>,
}

impl<F: Format> ByteVectorized for Dots<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn run<B: ByteSimd>(self, simd: B) {
        let Self { x, row, rows, weights, first, count, sums, stride, .. } = self;
        assert!(rows * stride <= SUMS && count <= stride && first + count <= weights.rows());
        assert!(weights.ggml_type() == F::TYPE && x.per_row() == weights.cols().div_ceil(QK));
        // Sums of X rows and W columns stay in registers: 32 of them with 64 bytes, 16 with 32.
        let most = if B::BYTES == 64 { 4 } else { 2 };
        for j in (0..count).step_by(W) {
            let mut i = 0;
            while i < rows {
                let at = Place { x, row: row + i, weights, col: first + j, cols: (count - j).min(W) };
                i += match (rows - i).min(most) {
                    1 => group::<B, F, 1>(simd, at, i, &mut sums[i * stride + j..], stride),
                    4 => group::<B, F, 4>(simd, at, i, &mut sums[i * stride + j..], stride),
                    _ => group::<B, F, 2>(simd, at, i, &mut sums[i * stride + j..], stride),
                };
            }
        }
    }
}

/// A row of A and a row of weights, the first of a few.
#[derive(Clone, Copy)]
struct Place<'a> {
    x: Activations<'a>,
    row: usize,
    weights: QMatRef<'a>,
    col: usize,
    /// Rows of weights, 1 to W.
    cols: usize,
}

/// The sums of X rows of A, which all exist, and up to four rows of weights. Returns X.
#[inline(always)]
fn group<B: ByteSimd, F: Format, const X: usize>(
    simd: B,
    Place { x, row, weights, col, cols }: Place<'_>,
    i: usize,
    to: &mut [f32],
    stride: usize,
) -> usize {
    let mut rows = [x.row(row); X];
    for a in 1..X {
        rows[a] = x.row(row + a);
    }
    let mut sums = [[0.0; W]; X];
    let whole = weights.row_bytes() / F::BYTES;
    // Where there are fewer rows of weights, the last stands for those that are missing, and its sums are not stored.
    let mut origins = [weights.row(col).as_ptr(); W];
    for b in 1..W {
        origins[b] = weights.row(col + b.min(cols - 1)).as_ptr();
    }
    let ahead = (i == 0).then_some(PREFETCH_BYTES.max(W * weights.row_bytes()));
    if X == 1 && whole > 0 {
        // Additions depend on each other, and no processor looks ahead further than a block or two: so products are
        // added up behind those of the next block. Those of more rows of A would not fit in the registers.
        // SAFETY: each of these rows of weights has `whole` blocks.
        let mut products = unsafe { products_at::<B, F, X>(simd, origins, &rows, 0, ahead) };
        for at in 1..whole {
            // SAFETY: as above.
            let next = unsafe { products_at::<B, F, X>(simd, origins, &rows, at, ahead) };
            sums = F::add(simd, products, block_of_each(&rows, at - 1), sums);
            products = next;
        }
        sums = F::add(simd, products, block_of_each(&rows, whole - 1), sums);
    } else {
        for at in 0..whole {
            // SAFETY: as above.
            let products = unsafe { products_at::<B, F, X>(simd, origins, &rows, at, ahead) };
            sums = F::add(simd, products, block_of_each(&rows, at), sums);
        }
    }
    if !weights.row_bytes().is_multiple_of(F::BYTES) {
        // Fewer than eight blocks of 32 numbers: the others are zeros.
        let mut rest = [[0; LONGEST]; W];
        for (b, rest) in rest.iter_mut().enumerate() {
            let bytes = &weights.row(col + b.min(cols - 1))[whole * F::BYTES..];
            rest[..bytes.len()].copy_from_slice(bytes);
        }
        let blocks = [rest[0].as_ptr(), rest[1].as_ptr(), rest[2].as_ptr(), rest[3].as_ptr()];
        // SAFETY: there are as many bytes as a block of any format has.
        let products = unsafe { F::multiply(simd, blocks, block_of_each(&rows, whole)) };
        sums = F::add(simd, products, block_of_each(&rows, whole), sums);
    }
    for a in 0..X {
        let to = &mut to[a * stride..];
        match to.first_chunk_mut() {
            Some(to) if cols == W => *to = sums[a],
            _ => to[..cols].copy_from_slice(&sums[a][..cols]),
        }
    }
    X
}

/// The products of block `at` of the rows of weights from `origins` on. Those with the first rows of A prefetch what is
/// so many bytes ahead, front to back.
///
/// # Safety
/// Each of the rows has this block.
#[inline(always)]
unsafe fn products_at<B: ByteSimd, F: Format, const X: usize>(
    simd: B,
    origins: [*const u8; W],
    rows: &[&[ActBlock]; X],
    at: usize,
    ahead: Option<usize>,
) -> F::Products<B, X> {
    let mut blocks = origins;
    for b in 0..W {
        blocks[b] = blocks[b].wrapping_add(at * F::BYTES);
    }
    if let Some(bytes) = ahead {
        let ahead = origins[0].wrapping_add(bytes + W * F::BYTES * at);
        for line in 0..(W * F::BYTES).div_ceil(64) {
            prefetch_l2(ahead.wrapping_add(64 * line));
        }
    }
    // SAFETY: the caller promises the blocks.
    unsafe { F::multiply(simd, blocks, block_of_each(rows, at)) }
}

/// Bytes of eight blocks of Q8_0, the largest format.
pub(super) const LONGEST: usize = 8 * 34;

/// Block `at` of each row.
#[inline(always)]
fn block_of_each<'a, const X: usize>(rows: &[&'a [ActBlock]; X], at: usize) -> [&'a ActBlock; X] {
    let mut blocks = [&rows[0][at]; X];
    for a in 1..X {
        blocks[a] = &rows[a][at];
    }
    blocks
}
