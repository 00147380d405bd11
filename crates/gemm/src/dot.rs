//! A few rows against a matrix whose columns are contiguous: y = x Wt with the weights as models store them, n rows of k.
//!
//! Each element of C is a dot product of two contiguous vectors, so nothing is packed, and the weights stream through
//! once, at the speed of the memory they lie in. X rows of activations meet W rows of weights at a time:
//!
//! ```text
//!   for every W weight rows:
//!     for every stretch of k, at most KC:        so that the rows of activations stay in the nearest cache
//!       for every X rows of activations:
//!         sums[x][w][lane] += x[p + lane] * w[p + lane]      X + W loads for X * W multiply-adds
//! ```
//!
//! With few rows of activations, memory is the bound, and W = 8 streams keep it busy. With more, W = 4, and X is up to 4
//! with AVX-512, 2 with AVX2, as many as the registers hold.
//!
//! An element's sum is formed lane by lane, and the lanes are added up at the end of each stretch: the order is fixed by
//! k and the vector's width, however rows are grouped and wherever C is cut.

use crate::{
    cut::stretches,
    element::{Element, with_type},
    error::GemmError,
    exchange::{Finish, Gather},
    kernel::Shape,
    operand::{Input, Output},
    parallel::{Grid, for_each_part},
    prepack::Source,
    problem::Problem,
    vector::{Simd, Vector, Vectorized},
    view::MatRef,
    workspace::{LINE, Workspace},
};

/// Most rows of activations.
pub(crate) const MOST_ROWS: usize = 16;

/// Longest stretch of k, if there are more than [`ONE_PASS`] rows: 16 rows of it are 64 KiB.
const KC: usize = 1024;

/// Up to so many rows of activations are handled together, so that k need not be cut.
const ONE_PASS: usize = 4;

/// Columns of C that are formed before they are stored.
const STRIP: usize = 32;

/// C <- act(alpha A B + beta C + bias) + residual for an A of at most [`MOST_ROWS`] rows and a B with contiguous
/// columns.
pub(crate) fn product<S: Simd>(
    simd: S,
    problem: Problem<'_>,
    grid: Grid,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    let Shape { m, k, .. } = problem.shape();
    let x = rows_of_floats(simd, problem.a, workspace)?;
    debug_assert!(m <= MOST_ROWS && x.cols() == k);
    for_each_part(problem, grid, (MOST_ROWS, STRIP), &mut [], &|part, _| {
        let Source::Matrix(b) = part.b.0 else { unreachable!("the choice of this path asks for a matrix") };
        let Problem { alpha, beta, mut c, epilogue, .. } = part;
        for cols in stretches(0..b.cols(), STRIP) {
            let weights = b.part(0..k, cols.clone()).t();
            let out = c.reborrow().part(0..m, cols.clone());
            let mut sums = [[0.0; STRIP]; MOST_ROWS];
            simd.run(DotProducts { x, weights, sums: &mut sums });
            let tile = scaled(simd, alpha, sums.as_flattened_mut(), beta, &out);
            simd.run(Finish { tile, stride: STRIP, epilogue: epilogue.part(0..m, cols), out });
        }
    });
    Ok(())
}

/// The matrix itself, if it is up to [`ONE_PASS`] rows of contiguous floats, else a copy. Many rows that are a power of two
/// apart would share one set of the nearest cache; those of the copy are a cache line more apart.
pub(crate) fn rows_of_floats<'a, S: Simd>(
    simd: S,
    a: Input<'a>,
    workspace: &'a mut Workspace,
) -> Result<MatRef<'a, f32>, GemmError> {
    let (m, k) = (a.rows(), a.cols());
    if let Some(a) = a.typed::<f32>().filter(|a| a.col_stride() == 1 && m <= ONE_PASS) {
        return Ok(a);
    }
    let stride = k.next_multiple_of(LINE) + LINE;
    let copy = workspace.floats(m * stride)?;
    simd.run(Gather { from: a, to: copy, stride });
    let Ok(copy) = MatRef::with_strides(copy, m, k, stride as isize, 1) else {
        unreachable!("the workspace was made for m rows of this stride")
    };
    Ok(copy)
}

/// alpha sums + beta C, in place; rows are [`STRIP`] apart.
pub(crate) fn scaled<'s, S: Simd>(
    simd: S,
    alpha: f32,
    sums: &'s mut [f32],
    beta: f32,
    c: &Output<'_>,
) -> &'s mut [f32] {
    let mut before = [[0.0; STRIP]; MOST_ROWS];
    if beta != 0.0 {
        simd.run(Gather { from: c.as_input(), to: before.as_flattened_mut(), stride: STRIP });
    }
    let before = before.as_flattened();
    for (sum, before) in sums.iter_mut().zip(before).take(c.rows() * STRIP) {
        *sum = if beta == 0.0 { alpha * *sum } else { alpha * *sum + beta * before };
    }
    sums
}

/// sums[i][j] += x[i] . weights[j] for rows of x and rows of weights, at most [`STRIP`].
struct DotProducts<'a, 's> {
    x: MatRef<'a, f32>,
    weights: Input<'a>,
    sums: &'s mut [[f32; STRIP]; MOST_ROWS],
}

impl Vectorized for DotProducts<'_, '_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { x, weights, sums } = self;
        assert!(x.rows() <= MOST_ROWS && weights.rows() <= STRIP && x.cols() == weights.cols());
        with_type!(weights.element_type(), E => if let Some(w) = weights.typed::<E>() {
            // SAFETY: the machine has V, and rows of both are contiguous (the choice of the path).
            unsafe {
                match (x.rows(), V::LANES) {
                    (1, _) => at_once::<V, E, 1>(x, w, sums),
                    (2, 16) => at_once::<V, E, 2>(x, w, sums),
                    (3, 16) => at_once::<V, E, 3>(x, w, sums),
                    _ => groups::<V, E>(x, w, sums),
                }
            }
        });
    }
}

/// All rows of activations at once, and eight rows of weights: as many streams as memory likes.
///
/// # Safety
/// As [`groups`]; there are X rows of activations.
#[inline(always)]
unsafe fn at_once<V: Vector, E: Element, const X: usize>(
    x: MatRef<'_, f32>,
    weights: MatRef<'_, E>,
    sums: &mut [[f32; STRIP]; MOST_ROWS],
) {
    const W: usize = 8;
    let (n, depth) = (weights.rows(), x.cols());
    let mut j = 0;
    while j < n {
        let w = weights.as_ptr().wrapping_offset(j as isize * weights.row_stride());
        let next = w.cast::<u8>().wrapping_add(AHEAD_BYTES / W).cast();
        let (x, x_row, w_row) = (x.as_ptr(), x.row_stride(), weights.row_stride());
        let rows = Rows { x, x_row, w, w_row, depth, next, turn: 0, turns: 1 };
        // SAFETY: these rows exist.
        unsafe {
            if j + W <= n {
                dots::<V, E, X, W>(rows, 0, j, sums);
                j += W;
            } else {
                dots::<V, E, X, 1>(rows, 0, j, sums);
                j += 1;
            }
        }
    }
}

/// In groups of four rows of weights, and of rows of activations: as few groups as the registers allow, equal but for
/// one row. What is read from memory next is asked for by all groups in turns: else the first would wait for memory, and
/// memory for the others.
///
/// # Safety
/// The machine has V's instruction set; rows of both matrices are contiguous, equally long, and no more than `sums` has
/// places for.
#[inline(always)]
unsafe fn groups<V: Vector, E: Element>(
    x: MatRef<'_, f32>,
    weights: MatRef<'_, E>,
    sums: &mut [[f32; STRIP]; MOST_ROWS],
) {
    const W: usize = 4;
    let (m, n, k) = (x.rows(), weights.rows(), x.cols());
    let kc = if m <= ONE_PASS { k } else { KC };
    // Sums in 16 of 32 registers, or 8 of 16: with more, the rows do not fit beside them.
    let most = if V::LANES == 16 { 4 } else { 2 };
    let turns = m.div_ceil(most);
    let weights_at =
        |j: usize, p: usize| weights.as_ptr().wrapping_offset(j as isize * weights.row_stride()).wrapping_add(p);
    let mut j = 0;
    while j < n {
        let width = if j + W <= n { W } else { 1 };
        let mut step = 0;
        while step < k {
            let depth = kc.min(k - step);
            let w = weights_at(j, step);
            let next = match (turns, step + depth < k) {
                (1, _) => w.cast::<u8>().wrapping_add(AHEAD_BYTES / W).cast(),
                (_, true) => weights_at(j, step + depth),
                (_, false) => weights_at(j + width, 0),
            };
            let (mut i, mut turn) = (0, 0);
            while i < m {
                let height = (m - i).div_ceil(turns - turn);
                let at_x = x.as_ptr().wrapping_offset(i as isize * x.row_stride()).wrapping_add(step);
                let (x_row, w_row) = (x.row_stride(), weights.row_stride());
                let rows = Rows { x: at_x, x_row, w, w_row, depth, next, turn, turns };
                // SAFETY: these rows and `depth` columns from `step` on exist.
                unsafe {
                    match (height, width == W) {
                        (1, true) => dots::<V, E, 1, W>(rows, i, j, sums),
                        (2, true) => dots::<V, E, 2, W>(rows, i, j, sums),
                        (3, true) => dots::<V, E, 3, W>(rows, i, j, sums),
                        (_, true) => dots::<V, E, 4, W>(rows, i, j, sums),
                        (1, false) => dots::<V, E, 1, 1>(rows, i, j, sums),
                        (2, false) => dots::<V, E, 2, 1>(rows, i, j, sums),
                        (3, false) => dots::<V, E, 3, 1>(rows, i, j, sums),
                        (_, false) => dots::<V, E, 4, 1>(rows, i, j, sums),
                    }
                }
                i += height;
                turn += 1;
            }
            step += depth;
        }
        j += width;
    }
}

/// Two groups of contiguous rows.
struct Rows<E> {
    x: *const f32,
    x_row: isize,
    w: *const E,
    w_row: isize,
    depth: usize,
    /// Where the weights lie that are asked for meanwhile, rows as far apart; and which of them, of how many groups.
    next: *const E,
    turn: usize,
    turns: usize,
}

/// How far ahead weights are fetched, all rows together, where there is one group of activations: the processor's own
/// prefetchers end at each page.
const AHEAD_BYTES: usize = 8192;

/// # Safety
/// The machine has V's instruction set; X and W rows of `depth` elements can be read.
#[inline(always)]
unsafe fn dots<V: Vector, E: Element, const X: usize, const W: usize>(
    Rows { x, x_row, w, w_row, depth, next, turn, turns }: Rows<E>,
    i: usize,
    j: usize,
    sums: &mut [[f32; STRIP]; MOST_ROWS],
) {
    // What is another group's turn is asked for where it is read, which costs nothing: a branch would.
    let mut ahead = [0; W];
    for b in (turn..W).step_by(turns) {
        ahead[b] = next.addr().wrapping_sub(w.addr());
    }
    // SAFETY: vectors end where the rows do.
    unsafe {
        let mut lanes = [[V::splat(0.0); W]; X];
        let mut p = 0;
        while p < depth {
            let is_whole = p + V::LANES <= depth;
            let mut rows = [V::splat(0.0); X];
            for a in 0..X {
                let at = x.offset(a as isize * x_row).add(p);
                rows[a] = if is_whole { V::load(at) } else { V::load_first(at, depth - p) };
            }
            for b in 0..W {
                let at = w.offset(b as isize * w_row).add(p);
                V::fetch(at.cast::<u8>().wrapping_add(ahead[b]));
                let weights: V = if is_whole { E::load(at) } else { E::load_first(at, depth - p) };
                for a in 0..X {
                    lanes[a][b] = rows[a].mul_add(weights, lanes[a][b]);
                }
            }
            p += V::LANES;
        }
        for a in 0..X {
            for b in 0..W {
                sums[i + a][j + b] += lanes[a][b].sum();
            }
        }
    }
}
