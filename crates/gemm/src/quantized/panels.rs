//! Many rows of A: codes are unpacked into panels, which are multiplied with all rows.
//!
//! A panel has 2 to 4 registers of columns of B and [`SLAB`] block of k. Four codes of a column are 32 bits, as the
//! instruction multiplies them:
//!
//! ```text
//!   step 0: c0 k0..4 | c1 k0..4 | ..      step 1: c0 k4..8 | ..        4 NR bytes for each 4 numbers of k
//! ```
//!
//! with the factors of the blocks beside it, NR words of each. For all rows of A, R at a time, a tile of R x NR is
//! updated. For K types:
//!
//! ```text
//!   for every slab of k: unpack the panel                              up to 16 KiB of codes, in the L1 cache
//!     for every R rows of A:
//!       for every block:
//!         for every sub-block j: products[R][NR] += scale[j] (sum over 4 numbers of  codes * q[R])       integers
//!         for every two sub-blocks:  mins[R][NR] += min[j] sum(q)[R][j] + min[j + 1] sum(q)[R][j + 1]   integers
//!         tile[R][NR] += d dx[R] products - dmin dx[R] mins               two multiply-adds
//! ```
//!
//! For the others, scales are floats, and each sub-block is added to the sum of its 256 numbers by one multiply-add.
//! Either way an element is the sum that the dot products form, in the same order, so its bits do not depend on how
//! many rows A has.
//!
//! Codes with an offset begin their integers at minus the offset times `sum(q)`, which costs a load. With 32 numbers to
//! a sub-block, 8 products of bytes stand beside 2 instructions for the scale.
//!
//! Unpacking costs as much as about 12 rows of A. So m rows are taken at once, up to [`MOST_ROWS`], and their tiles lie
//! in the level-2 cache until all of k is done. The weights of the next panel lie in short rows, for which the
//! processor does not prefetch. They are prefetched while rows of A are multiplied, and so is C before it is stored.

mod block;
mod unpack;

use std::ops::Range;

use simd::{ByteSimd, ByteVectorized, Simd};

use self::{
    block::{Panel, k_block, plain_block},
    unpack::Unpack,
};
use super::{
    activations::Activations,
    format::{Format, GROUPS, QK},
    scale_and_add,
};
use crate::{
    chunks::chunks,
    grid::{Grid, for_each_part},
    problem::Problem,
    tile::{Prefetcher, StoreTile},
    weights::QMatRef,
};

/// Blocks of k in a panel. With two, panel, rows of A and tiles evict each other from a level-1 cache of 32 KiB.
const SLAB: usize = 1;

/// Rows of A for which a panel is unpacked once.
const MOST_ROWS: usize = 512;

/// Columns of a panel: four registers of 32, two of 16.
const fn width<B: ByteSimd>() -> usize {
    let registers = if B::BYTES == 64 { 4 } else { 2 };
    registers * <B::Float as Simd>::LANES
}

/// Words of a column and a block behind the scales: the minima and two floats, and room for a multiple of eight.
const OTHERS: usize = 8;

/// Floats of a panel: codes, scales and other factors.
const fn panel_floats<B: ByteSimd>() -> usize {
    SLAB * width::<B>() * (QK / 4 + GROUPS + OTHERS)
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
                let out = c.reborrow().part(rows.clone(), cols.clone());
                let calls = rows.len().div_ceil(most_rows::<B>());
                for blocks in chunks(0..x.per_row(), SLAB) {
                    let is_last = blocks.end == x.per_row();
                    let next = match (is_last, rows.end == m) {
                        (false, _) => (cols.clone(), blocks.end),
                        (true, false) => (cols.clone(), 0),
                        (true, true) => (cols.end..b.rows().min(cols.end + nr), 0),
                    };
                    let ahead =
                        [weights_ahead::<F>(b, next, calls), Prefetcher::new(is_last.then(|| out.as_input()), calls)];
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
                        ahead,
                        format: std::marker::PhantomData,
                    });
                }
                scale_and_add(simd.float(), (alpha, beta), tiles, nr, before, &out);
                let epilogue = epilogue.part(rows, cols.clone());
                simd.float().run(StoreTile { tile: tiles, stride: nr, epilogue, out });
            }
        }
    });
}

/// Prefetches the blocks of the next panel: of columns `cols`, from block `first` on.
fn weights_ahead<F: Format>(weights: QMatRef<'_>, (cols, first): (Range<usize>, usize), calls: usize) -> Prefetcher {
    let row = weights.row(cols.start);
    let start = row.len().min(first * F::BYTES);
    let bytes = (row.len() - start).min(SLAB * F::BYTES);
    Prefetcher::of_bytes(row[start..].as_ptr(), (cols.len(), weights.row_bytes() as isize), bytes, calls)
}

/// Where the parts of a panel begin, in floats.
struct Layout {
    scales: usize,
    others: usize,
}

const fn layout<B: ByteSimd>() -> Layout {
    let scales = SLAB * width::<B>() * (QK / 4);
    Layout { scales, others: scales + SLAB * width::<B>() * GROUPS }
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
    /// What is read and written after that.
    ahead: [Prefetcher; 2],
    format: std::marker::PhantomData<F>,
}

/// Rows of A that are multiplied at once. Their integers and as many sums are 24 of 32 registers, or 8 of 16.
const fn most_rows<B: ByteSimd>() -> usize {
    if B::BYTES == 64 { 3 } else { 2 }
}

impl<F: Format> ByteVectorized for Multiply<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn run<B: ByteSimd>(self, simd: B) {
        let Self { x, rows: (first_row, rows), first, count, panel, tiles, mut ahead, .. } = self;
        assert!(panel.len() >= panel_floats::<B>() && tiles.len() >= rows * width::<B>() && count <= SLAB);
        let mut i = 0;
        while i < rows {
            ahead[0].step();
            ahead[1].step();
            let (row, at) = (first_row + i, &mut tiles[i * width::<B>()..]);
            i += match (rows - i, B::BYTES == 64) {
                (1, true) => tile::<B, F, 1, 4>(simd, x, row, first, count, panel, at),
                (2, true) => tile::<B, F, 2, 4>(simd, x, row, first, count, panel, at),
                (_, true) => tile::<B, F, 3, 4>(simd, x, row, first, count, panel, at),
                (1, false) => tile::<B, F, 1, 2>(simd, x, row, first, count, panel, at),
                (_, false) => tile::<B, F, 2, 2>(simd, x, row, first, count, panel, at),
            };
        }
    }
}

/// R rows of A times a panel. Returns R.
#[inline(always)]
fn tile<B: ByteSimd, F: Format, const R: usize, const V: usize>(
    simd: B,
    x: Activations<'_>,
    row: usize,
    first: usize,
    count: usize,
    panel: &[f32],
    to: &mut [f32],
) -> usize {
    let nr = width::<B>();
    let Layout { scales, others } = layout::<B>();
    // Constants, but for the lengths; the pointers below rely on V registers being as wide as the panel.
    assert!(V * <B::Float as Simd>::LANES == nr);
    assert!(to.len() >= R * nr && panel.len() >= panel_floats::<B>() && count <= SLAB);
    let mut rows = [&x.row(row)[first..first + count]; R];
    for r in 1..R {
        rows[r] = &x.row(row + r)[first..first + count];
    }
    for at in 0..count {
        let mut x = [&rows[0][at]; R];
        for r in 1..R {
            x[r] = &rows[r][at];
        }
        let block = Panel {
            codes: panel[at * nr * (QK / 4)..][..nr * (QK / 4)].as_ptr().cast(),
            scales: panel[scales + at * nr * GROUPS..][..nr * GROUPS].as_ptr(),
            others: panel[others + at * nr * OTHERS..][..nr * OTHERS].as_ptr(),
        };
        // SAFETY: the parts of the panel are as long as they have to be, and the tile has R rows.
        unsafe {
            match F::HAS_ONE_SCALE {
                true => k_block::<B, F, R, V>(simd, x, block, to.as_mut_ptr()),
                false => plain_block::<B, F, R, V>(simd, x, block, to.as_mut_ptr()),
            }
        }
    }
    R
}
