//! A few rows against a matrix with contiguous rows: y = x B, the sum of the rows of B, each times one element of x.
//!
//! Reading B tile by tile would touch another page at every step of k. Instead a chunk of y stays in the level-1 cache,
//! and eight rows of B at a time are added to it. B is read once, as eight streams, and y is loaded and stored once for
//! eight multiply-adds.
//!
//! ```text
//!   for every chunk of columns:                     8 KiB of a row of y, 16 KiB of all rows at most
//!     for every 8 rows p of B:
//!       for every vector of columns:                the 8 rows of B in registers
//!         for every row i:  y[i] += x[i][p] b[p]; y[i] += x[i][p + 1] b[p + 1]; ..
//! ```
//!
//! The terms of an element are added in the order of k, wherever C is cut.

use op::Workspace;
use simd::{Element, F32Vector, Simd, Vectorized, prefetch_l2, with_element_type};

use super::rows::contiguous_rows;
use crate::{
    chunks::chunks,
    error::GemmError,
    grid::{Grid, for_each_part},
    matrix::{Input, MatRef},
    problem::Problem,
    tile::{LoadTile, StoreTile},
};

/// Most rows of A.
pub(crate) const MAX_ROWS: usize = 16;

/// Sums that are on the stack and stay in the level-1 cache.
const SUMS: usize = 4096;

/// Most columns of a chunk: the eight rows of B that are added and the eight that are prefetched take 128 KiB then,
/// half of the smallest level-2 caches. The hardware's prefetchers work best on long rows.
const MAX_COLUMNS: usize = 2048;

/// Rows of B that are added together: with their factors, half of the registers of AVX2.
const ROWS: usize = 8;

/// C is cut at multiples of this, so that two threads seldom write to one cache line.
const LINE_COLUMNS: usize = 16;

/// C <- act(alpha A B + beta C + bias) + residual for an A of at most [`MAX_ROWS`] rows and a B with contiguous rows.
pub(crate) fn product<S: Simd>(
    simd: S,
    problem: Problem<'_, Input<'_>>,
    grid: Grid,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    let x = contiguous_rows(simd, problem.a, workspace)?;
    debug_assert!(x.rows() <= MAX_ROWS);
    let stride = MAX_COLUMNS.min(SUMS / x.rows().next_power_of_two());
    for_each_part(problem, grid, (MAX_ROWS, LINE_COLUMNS), &mut [], &|part, _| {
        let Problem { alpha, b, beta, mut c, epilogue, .. } = part;
        let m = c.rows();
        let mut sums = [0.0; SUMS];
        for cols in chunks(0..b.cols(), stride) {
            let sums = &mut sums[..m * stride];
            sums.fill(0.0);
            simd.run(AddRows { x, rows: b.part(0..b.rows(), cols.clone()), sums, stride });
            let out = c.reborrow().part(0..m, cols.clone());
            sums.iter_mut().for_each(|sum| *sum *= alpha);
            if beta != 0.0 {
                let mut before = [0.0; SUMS];
                simd.run(LoadTile { from: out.as_input(), to: &mut before, stride });
                sums.iter_mut().zip(before).for_each(|(sum, before)| *sum += beta * before);
            }
            simd.run(StoreTile { tile: sums, stride, epilogue: epilogue.part(0..m, cols), out });
        }
    });
    Ok(())
}

/// sums += x times rows. Rows of the sums are `stride` apart; `rows` has contiguous rows.
struct AddRows<'a, 's> {
    x: MatRef<'a, f32>,
    rows: Input<'a>,
    sums: &'s mut [f32],
    stride: usize,
}

impl Vectorized for AddRows<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { x, rows, sums, stride } = self;
        let (k, n) = (rows.rows(), rows.cols());
        assert!(x.cols() == k && n <= stride && x.rows() * stride <= sums.len());
        assert!((rows.col_stride() == 1 || n <= 1) && (x.col_stride() == 1 || k <= 1), "contiguous rows");
        with_element_type!(rows.element_type(), E => if let Some(rows) = rows.typed::<E>() {
            let mut p = 0;
            while p < k {
                let is_whole = p + ROWS <= k;
                let update = Update {
                    factors: x.as_ptr().wrapping_add(p),
                    x_row: x.row_stride(),
                    rows: rows.as_ptr().wrapping_offset(p as isize * rows.row_stride()),
                    row_stride: rows.row_stride(),
                    sums: sums.as_mut_ptr(),
                    stride,
                    m: x.rows(),
                    n,
                };
                // SAFETY: row p exists, and if `is_whole` so do the seven rows after it; rows are contiguous, and the
                // sums have a row of n for each row of x, as asserted above.
                unsafe {
                    match is_whole {
                        true => update.add::<S, ROWS>(simd),
                        false => update.add::<S, 1>(simd),
                    }
                }
                p += if is_whole { ROWS } else { 1 };
            }
        });
    }
}

/// Some rows of B, their factors, and the m x n sums that they are added to.
struct Update<E> {
    factors: *const f32,
    x_row: isize,
    rows: *const E,
    row_stride: isize,
    sums: *mut f32,
    stride: usize,
    m: usize,
    n: usize,
}

impl<E: Element> Update<E> {
    /// # Safety
    /// R factors for each row of the sums, R rows of n elements and the sums can be read, and the sums written.
    #[inline(always)]
    unsafe fn add<S: Simd, const R: usize>(self, simd: S) {
        let mut j = 0;
        // SAFETY: the vectors of the loop end where the rows do or before, and the last one is partial.
        unsafe {
            while j + S::LANES <= self.n {
                self.add_vector::<S, R, true>(simd, j);
                j += S::LANES;
            }
            if j < self.n {
                self.add_vector::<S, R, false>(simd, j);
            }
        }
    }

    /// Adds columns j to j + LANES, or, if the vector is not whole, those from j on that exist.
    ///
    /// # Safety
    /// As [`add`](Self::add); the columns exist.
    #[inline(always)]
    unsafe fn add_vector<S: Simd, const R: usize, const WHOLE: bool>(&self, simd: S, j: usize) {
        let &Self { factors, x_row, rows, row_stride, sums, stride, m, n } = self;
        // SAFETY: the columns exist in R rows of B and m rows of the sums, and R factors in m rows of x.
        unsafe {
            let mut b = [simd.splat(0.0); R];
            for r in 0..R {
                let at = rows.offset(r as isize * row_stride).add(j);
                // The rows that are added next. Into level 1 they would evict the sums: rows that are a power of two
                // apart share a set.
                prefetch_l2(at.wrapping_offset(R as isize * row_stride));
                b[r] = if WHOLE { E::load(simd, at) } else { E::load_partial(simd, at, n - j) };
            }
            for i in 0..m {
                let to = sums.add(i * stride + j);
                let x = factors.offset(i as isize * x_row);
                let mut sum = if WHOLE { simd.load(to) } else { simd.load_partial(to, n - j) };
                for r in 0..R {
                    sum = simd.splat(*x.add(r)).mul_add(b[r], sum);
                }
                match WHOLE {
                    true => sum.store(to),
                    false => sum.store_partial(to, n - j),
                }
            }
        }
    }
}
