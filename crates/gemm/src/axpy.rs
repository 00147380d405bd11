//! A few rows against a matrix whose rows are contiguous: y = x B, the sum of the rows of B, each times one number.
//!
//! Reading B tile by tile would touch a page for every step of k. Instead a stretch of y lies in the nearest cache, and
//! eight rows of B at a time are added to it: B streams through once, in eight streams, and y is loaded and stored once
//! for eight multiply-adds.
//!
//! ```text
//!   for every stretch of columns:                   8 KiB of a row of y, 16 KiB of all at most
//!     for every 8 rows p of B:
//!       for every vector of columns:                the 8 rows of B in registers
//!         for every row i:  y[i] += x[i][p] b[p]; y[i] += x[i][p + 1] b[p + 1]; ..
//! ```
//!
//! An element's terms are added in the order of k, wherever C is cut.

use crate::{
    cut::stretches,
    dot::rows_of_floats,
    element::{Element, with_type},
    error::GemmError,
    exchange::{Finish, Gather},
    operand::Input,
    parallel::{Grid, for_each_part},
    prepack::Source,
    problem::Problem,
    vector::{Simd, Vector, Vectorized},
    view::MatRef,
    workspace::Workspace,
};

/// Most rows of A.
pub(crate) const MOST_ROWS: usize = 16;

/// Sums that lie in the nearest cache, and on the stack.
const SUMS: usize = 4096;

/// Most columns of a stretch: the eight rows of B that are added and the eight that are fetched ahead are 128 KiB of it, half of the
/// smallest level-2 caches. Long rows are what the hardware's prefetchers like.
const STRETCH: usize = 2048;

/// Rows of B that are added together: with their factors, half of the registers of AVX2.
const ROWS: usize = 8;

/// C <- act(alpha A B + beta C + bias) + residual for an A of at most [`MOST_ROWS`] rows and a B with contiguous rows.
pub(crate) fn product<S: Simd>(
    simd: S,
    problem: Problem<'_>,
    grid: Grid,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    let x = rows_of_floats(simd, problem.a, workspace)?;
    debug_assert!(x.rows() <= MOST_ROWS);
    let stretch = STRETCH.min(SUMS / x.rows().next_power_of_two());
    for_each_part(problem, grid, (MOST_ROWS, LINE_COLUMNS), &mut [], &|part, _| {
        let Source::Matrix(b) = part.b.0 else { unreachable!("the choice of this path asks for a matrix") };
        let Problem { alpha, beta, mut c, epilogue, .. } = part;
        let m = c.rows();
        let mut sums = [0.0; SUMS];
        for cols in stretches(0..b.cols(), stretch) {
            let sums = &mut sums[..m * stretch];
            sums.fill(0.0);
            simd.run(AddRows { x, rows: b.part(0..b.rows(), cols.clone()), sums, stride: stretch });
            let out = c.reborrow().part(0..m, cols.clone());
            sums.iter_mut().for_each(|sum| *sum *= alpha);
            if beta != 0.0 {
                let mut before = [0.0; SUMS];
                simd.run(Gather { from: out.as_input(), to: &mut before, stride: stretch });
                sums.iter_mut().zip(before).for_each(|(sum, before)| *sum += beta * before);
            }
            simd.run(Finish { tile: sums, stride: stretch, epilogue: epilogue.part(0..m, cols), out });
        }
    });
    Ok(())
}

/// C is cut at multiples of this, so that two threads seldom write to one cache line.
const LINE_COLUMNS: usize = 16;

/// sums += x times rows; rows of the sums are `stride` apart.
struct AddRows<'a, 's> {
    x: MatRef<'a, f32>,
    rows: Input<'a>,
    sums: &'s mut [f32],
    stride: usize,
}

impl Vectorized for AddRows<'_, '_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { x, rows, sums, stride } = self;
        let (k, n) = (rows.rows(), rows.cols());
        assert!(x.cols() == k && n <= stride && x.rows() * stride <= sums.len());
        with_type!(rows.element_type(), E => if let Some(rows) = rows.typed::<E>() {
            let mut p = 0;
            while p < k {
                let whole = p + ROWS <= k;
                let from = rows.as_ptr().wrapping_offset(p as isize * rows.row_stride());
                let factors = x.as_ptr().wrapping_add(p);
                let update = Update {
                    factors,
                    x_row: x.row_stride(),
                    rows: from,
                    row_stride: rows.row_stride(),
                    sums: sums.as_mut_ptr(),
                    stride,
                    m: x.rows(),
                    n,
                };
                // SAFETY: the machine has V; row p exists, as do the seven below it in the first case, and rows are
                // contiguous (the choice of the path).
                unsafe {
                    match whole {
                        true => update.add::<V, ROWS>(),
                        false => update.add::<V, 1>(),
                    }
                }
                p += if whole { ROWS } else { 1 };
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
    /// The machine has V's instruction set; R factors for each row of the sums, R rows of n elements and the sums can be
    /// read, and the sums written.
    #[inline(always)]
    unsafe fn add<V: Vector, const R: usize>(self) {
        let Self { factors, x_row, rows, row_stride, sums, stride, m, n } = self;
        let mut j = 0;
        while j < n {
            let is_whole = j + V::LANES <= n;
            // SAFETY: vectors end where the rows do.
            unsafe {
                let mut b = [V::splat(0.0); R];
                for r in 0..R {
                    let at = rows.offset(r as isize * row_stride).add(j);
                    // The rows that are added next. In the nearest cache they would drive out the sums: rows that are a
                    // power of two apart share a set.
                    V::fetch_far(at.wrapping_offset(R as isize * row_stride));
                    b[r] = if is_whole { E::load(at) } else { E::load_first(at, n - j) };
                }
                for i in 0..m {
                    let to = sums.add(i * stride + j);
                    let x = factors.offset(i as isize * x_row);
                    let mut sum = if is_whole { V::load(to) } else { V::load_first(to, n - j) };
                    for r in 0..R {
                        sum = V::splat(*x.add(r)).mul_add(b[r], sum);
                    }
                    match is_whole {
                        true => sum.store(to),
                        false => sum.store_first(to, n - j),
                    }
                }
            }
            j += V::LANES;
        }
    }
}
