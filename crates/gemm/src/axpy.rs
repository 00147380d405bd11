//! A row against a matrix whose rows are contiguous: y = x B, the sum of the rows of B, each times one number.
//!
//! Reading B column by column would touch a page for each element. Instead a stretch of y lies in the nearest cache, and
//! eight rows of B at a time are added to it: B streams through once, in eight streams, and y is loaded and stored once
//! for eight multiply-adds.
//!
//! ```text
//!   for every stretch of columns:                   8 KiB of y
//!     for every 8 rows p of B:
//!       for every vector of columns:  y += x[p] b[p]; y += x[p + 1] b[p + 1]; ..
//! ```
//!
//! An element's terms are added in the order of k, wherever C is cut.

use crate::{
    dot::rows_of_floats,
    element::{Element, with_type},
    error::GemmError,
    exchange::{Finish, Gather},
    operand::Input,
    packed::stretches,
    parallel::{Grid, for_each_part},
    prepack::Source,
    problem::Problem,
    vector::{Simd, Vector, Vectorized},
    view::MatRef,
    workspace::Workspace,
};

/// Columns of a stretch: 8 KiB of sums, and on the stack.
const STRETCH: usize = 2048;

/// Rows of B that are added together: with their factors, half of the registers of AVX2.
const ROWS: usize = 8;

/// C <- act(alpha A B + beta C + bias) + residual for an A of one row and a B with contiguous rows.
pub(crate) fn product<S: Simd>(
    simd: S,
    problem: Problem<'_>,
    grid: Grid,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    let x = rows_of_floats(simd, problem.a, workspace)?;
    debug_assert!(x.rows() == 1);
    for_each_part(problem, grid, (1, LINE_COLUMNS), &mut [], &|part, _| {
        let Source::Matrix(b) = part.b.0 else { unreachable!("the choice of this path asks for a matrix") };
        let Problem { alpha, beta, mut c, epilogue, .. } = part;
        let mut sums = [0.0; STRETCH];
        for cols in stretches(0..b.cols(), STRETCH) {
            let sums = &mut sums[..cols.len()];
            sums.fill(0.0);
            simd.run(AddRows { x, rows: b.part(0..b.rows(), cols.clone()), sums });
            let out = c.reborrow().part(0..1, cols.clone());
            sums.iter_mut().for_each(|sum| *sum *= alpha);
            if beta != 0.0 {
                let mut before = [0.0; STRETCH];
                simd.run(Gather { from: out.as_input(), to: &mut before, stride: STRETCH });
                sums.iter_mut().zip(before).for_each(|(sum, before)| *sum += beta * before);
            }
            simd.run(Finish { tile: sums, stride: STRETCH, epilogue: epilogue.part(0..1, cols), out });
        }
    });
    Ok(())
}

/// C is cut at multiples of this, so that two threads seldom write to one cache line.
const LINE_COLUMNS: usize = 16;

/// sums += x times rows.
struct AddRows<'a, 's> {
    x: MatRef<'a, f32>,
    rows: Input<'a>,
    sums: &'s mut [f32],
}

impl Vectorized for AddRows<'_, '_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { x, rows, sums } = self;
        let k = rows.rows();
        assert!(x.cols() == k && rows.cols() == sums.len());
        with_type!(rows.element_type(), E => if let Some(rows) = rows.typed::<E>() {
            let mut p = 0;
            while p < k {
                let from = rows.as_ptr().wrapping_offset(p as isize * rows.row_stride());
                let x = x.as_ptr().wrapping_add(p);
                // SAFETY: the machine has V; row p exists, as do the seven below it in the first case, and rows are
                // contiguous (the choice of the path).
                unsafe {
                    if p + ROWS <= k {
                        add::<V, E, ROWS>(x, from, rows.row_stride(), sums);
                        p += ROWS;
                    } else {
                        add::<V, E, 1>(x, from, rows.row_stride(), sums);
                        p += 1;
                    }
                }
            }
        });
    }
}

/// # Safety
/// The machine has V's instruction set; `x` can be read for R numbers, and each of R rows, `stride` apart, for as many
/// elements as there are sums.
#[inline(always)]
unsafe fn add<V: Vector, E: Element, const R: usize>(x: *const f32, rows: *const E, stride: isize, sums: &mut [f32]) {
    let n = sums.len();
    // SAFETY: vectors end where the rows do.
    unsafe {
        let mut factors = [V::splat(0.0); R];
        for r in 0..R {
            factors[r] = V::splat(*x.add(r));
        }
        let mut j = 0;
        while j < n {
            let is_whole = j + V::LANES <= n;
            let to = sums.as_mut_ptr().add(j);
            let mut sum = if is_whole { V::load(to) } else { V::load_first(to, n - j) };
            for r in 0..R {
                let at = rows.offset(r as isize * stride).add(j);
                // The rows that are added next.
                V::fetch(at.wrapping_offset(R as isize * stride));
                let row: V = if is_whole { E::load(at) } else { E::load_first(at, n - j) };
                sum = factors[r].mul_add(row, sum);
            }
            match is_whole {
                true => sum.store(to),
                false => sum.store_first(to, n - j),
            }
            j += V::LANES;
        }
    }
}
