//! A few rows of A: dot products with rows of weights as they lie in memory.
//!
//! ```text
//!   for every 32 columns of C:
//!     for every W rows of weights, for every X rows of A:
//!       for every block of k:
//!         for every row of weights: unpack its codes, once for the X rows
//!           sums[x][w] += dx (d sum(scale c q) - dmin sum(min q))
//! ```
//!
//! `sum(scale c q)` of a block is one integer. Products of pairs of codes are 16-bit words, and words are multiplied
//! with the scale, a word, and added up in 32 bits by one instruction. Then the lanes of four rows of weights are added
//! up together, which takes three instructions a row, and one multiply-add of four floats adds the block to the four
//! sums. The headers of four blocks are unpacked together, too. So an element is the sum of its blocks, one after the
//! other, as it is in a panel, and has the same bits.
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

/// Columns of C that are formed before they are stored.
const STRIP: usize = 32;

/// Rows of weights that are read together, as [`Format::dot`] takes them.
const W: usize = 4;

/// How far ahead of four rows of weights the weights behind them are prefetched, front to back. Four rows that are read
/// side by side are four streams, of which a Zen 4 gets 10 GB/s of memory, as its own prefetchers start again with each
/// row; of one stream through the level-2 cache, it gets 19.
const PREFETCH_BYTES: usize = 32 << 10;

/// C <- act(alpha A W^T + beta C + bias) + residual for an A of any number of rows, which is rounded to `x`.
pub(super) fn product<B: ByteSimd, F: Format>(
    simd: B,
    problem: Problem<'_, QMatRef<'_>>,
    x: Activations<'_>,
    grid: Grid,
) {
    let m = problem.c.rows();
    for_each_part(problem, grid, (m.max(1), STRIP), &mut [], &|part, _| {
        let Problem { alpha, b, beta, mut c, epilogue, .. } = part;
        for cols in chunks(0..b.rows(), STRIP) {
            for rows in chunks(0..m, MAX_ROWS) {
                let mut sums = [[0.0; STRIP]; MAX_ROWS];
                simd.run_bytes(Dots::<F> {
                    x,
                    row: rows.start,
                    rows: rows.len(),
                    weights: b,
                    first: cols.start,
                    count: cols.len(),
                    sums: &mut sums,
                    format: std::marker::PhantomData,
                });
                let (sums, mut before) = (sums.as_flattened_mut(), [0.0; STRIP * MAX_ROWS]);
                let out = c.reborrow().part(rows.clone(), cols.clone());
                scale_and_add(simd.float(), (alpha, beta), sums, STRIP, &mut before, &out);
                let epilogue = epilogue.part(rows, cols.clone());
                simd.float().run(StoreTile { tile: sums, stride: STRIP, epilogue, out });
            }
        }
    });
}

/// sums[i][j] = x[row + i] . weights[first + j], for at most [`MAX_ROWS`] rows and [`STRIP`] columns.
struct Dots<'a, 's, F> {
    x: Activations<'a>,
    row: usize,
    rows: usize,
    weights: QMatRef<'a>,
    first: usize,
    count: usize,
    sums: &'s mut [[f32; STRIP]; MAX_ROWS],
    format: std::marker::PhantomData<F>,
}

impl<F: Format> ByteVectorized for Dots<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn run<B: ByteSimd>(self, simd: B) {
        let Self { x, row, rows, weights, first, count, sums, .. } = self;
        assert!(rows <= MAX_ROWS && count <= STRIP && first + count <= weights.rows());
        assert!(weights.ggml_type() == F::TYPE && x.per_row() == weights.cols().div_ceil(QK));
        // Sums of X rows and W columns stay in registers: 32 of them with 64 bytes, 16 with 32.
        let most = if B::BYTES == 64 { 4 } else { 2 };
        for j in (0..count).step_by(W) {
            let mut i = 0;
            while i < rows {
                let at = Place { x, row: row + i, weights, col: first + j, cols: (count - j).min(W) };
                i += match (rows - i).min(most) {
                    1 => group::<B, F, 1>(simd, at, i, j, sums),
                    4 => group::<B, F, 4>(simd, at, i, j, sums),
                    _ => group::<B, F, 2>(simd, at, i, j, sums),
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
    j: usize,
    to: &mut [[f32; STRIP]; MAX_ROWS],
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
    for at in 0..whole {
        let mut blocks = origins;
        for b in 0..W {
            blocks[b] = blocks[b].wrapping_add(at * F::BYTES);
        }
        if i == 0 {
            let ahead = origins[0].wrapping_add(PREFETCH_BYTES + W * F::BYTES * at);
            for line in 0..(W * F::BYTES).div_ceil(64) {
                prefetch_l2(ahead.wrapping_add(64 * line));
            }
        }
        // SAFETY: each of these rows of weights has `whole` blocks.
        sums = unsafe { F::dot(simd, blocks, block_of_each(&rows, at), sums) };
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
        sums = unsafe { F::dot(simd, blocks, block_of_each(&rows, whole), sums) };
    }
    for b in 0..cols {
        for a in 0..X {
            to[i + a][j + b] = sums[a][b];
        }
    }
    X
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
