//! A few rows against a matrix with contiguous columns: y = x Wt with the weights as models store them, n rows of k.
//!
//! Each element of C is a dot product of two contiguous vectors, so nothing is packed, and the weights are read once,
//! at the bandwidth of the memory that they are in. X rows of activations are multiplied with W rows of weights at a
//! time:
//!
//! ```text
//!   for every W weight rows:
//!     for every block of k, at most KC:          so that the rows of activations stay in the level-1 cache
//!       for every X rows of activations:
//!         sums[x][w][lane] += x[p + lane] * w[p + lane]      X + W loads for X * W multiply-adds
//! ```
//!
//! Threads share the columns of few rows of activations, since each column of B is read once, and the rows of many.
//!
//! With few rows of activations, memory is the bound, and W = 8, or 16 for short ones. What is read next is prefetched
//! front to back through the level-2 cache: for memory, rows side by side are one stream then. With more, W = 4, and X
//! is up to 4 with AVX-512 and 2 with AVX2, as many as the registers hold.
//!
//! The sum of an element is formed lane by lane, and the lanes are added up at the end of each block, those of sixteen
//! sums at once where there are as many: with a short k that takes longer than the multiply-adds. So the order
//! depends on k and the vector's width alone, however rows are grouped and wherever C is cut.

use op::{Threads, Workspace};
use simd::{Element, F32Vector, Simd, Vectorized, prefetch_l2, with_element_type};

use super::rows::{self, contiguous_rows_in};
use crate::{
    chunks::chunks,
    error::GemmError,
    grid::{Grid, for_each_part},
    matrix::{Input, MatRef, Output},
    problem::Problem,
    shape::Shape,
    tile::{LoadTile, Prefetcher, StoreTile},
};

/// Rows of activations that are multiplied together, and the most of a product unless a row has to be formed as alone.
pub(crate) const MAX_ROWS: usize = 16;

/// Longest block of k for many rows: 16 rows of it are 64 KiB.
const KC: usize = 1024;

/// Sixteen sums that are added up at once are worth as many rows of weights where rows are so short. Sixteen long rows,
/// 4 KiB apart, evict each other from the level-1 cache.
const SHORT: usize = 256;

/// Rows are cut for threads at multiples of this.
const UNIT: usize = 4;

/// Columns are cut for threads at multiples of this.
const COLS: usize = 32;

/// Sums that are formed before they are stored: of 32 columns of 16 rows, or 512 of one.
const SUMS: usize = COLS * MAX_ROWS;

/// How threads share it. Few rows take as long as B is read, so that columns are cut. Many take as long as they are
/// multiplied, and each thread copies its own.
pub(crate) fn grid(shape: Shape, element_bytes: usize, threads: Threads) -> Grid {
    if shape.m <= MAX_ROWS {
        Grid::of_columns(shape, element_bytes, threads)
    } else {
        Grid::of_rows(shape, threads, UNIT)
    }
}

/// C <- act(alpha A B + beta C + bias) + residual for a B with contiguous columns, `whole` without cutting k.
pub(crate) fn product<S: Simd>(
    simd: S,
    problem: Problem<'_, Input<'_>>,
    grid: Grid,
    whole: bool,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    let Shape { m, k, .. } = problem.shape();
    let kc = if whole { k } else { KC };
    let rows_of_part = if grid.rows == 1 { m } else { m.div_ceil(UNIT).div_ceil(grid.rows) * UNIT };
    let floats = grid.parts() * rows::floats(problem.a, rows_of_part);
    let memory = &mut workspace.floats(floats)?[..floats];
    let strip = SUMS / m.clamp(1, MAX_ROWS).next_power_of_two();
    for_each_part(problem, grid, (UNIT, COLS), memory, &|part, memory| {
        let Problem { alpha, a, b, beta, mut c, epilogue } = part;
        let x = contiguous_rows_in(simd, a, memory);
        for cols in chunks(0..b.cols(), strip) {
            let weights = b.part(0..k, cols.clone()).t();
            for rows in chunks(0..x.rows(), MAX_ROWS) {
                let out = c.reborrow().part(rows.clone(), cols.clone());
                // Its rows are far apart; they arrive while the sums are formed.
                Prefetcher::new(Some(out.as_input()), 1).step();
                let mut sums = Sums { sums: &mut [0.0; SUMS], stride: strip };
                simd.run(DotProducts { x: x.part(rows.clone(), 0..k), weights, kc, sums: &mut sums });
                let tile = scaled(simd, alpha, sums, beta, &out);
                simd.run(StoreTile { tile, stride: strip, epilogue: epilogue.part(rows, cols.clone()), out });
            }
        }
    });
    Ok(())
}

/// Rows of sums, `stride` apart.
struct Sums<'s> {
    sums: &'s mut [f32; SUMS],
    stride: usize,
}

/// alpha sums + beta C, in place.
fn scaled<'s, S: Simd>(
    simd: S,
    alpha: f32,
    Sums { sums, stride }: Sums<'s>,
    beta: f32,
    c: &Output<'_>,
) -> &'s mut [f32] {
    let len = c.rows() * stride;
    if beta == 0.0 {
        if alpha != 1.0 {
            sums[..len].iter_mut().for_each(|sum| *sum *= alpha);
        }
        return sums;
    }
    let mut before = [0.0; SUMS];
    simd.run(LoadTile { from: c.as_input(), to: &mut before, stride });
    for (sum, before) in sums[..len].iter_mut().zip(&before) {
        *sum = alpha * *sum + beta * before;
    }
    sums
}

/// sums[i][j] += x[i] . weights[j] for rows of x and as many rows of weights as a row of sums has.
struct DotProducts<'a, 's, 'r> {
    x: MatRef<'a, f32>,
    weights: Input<'a>,
    /// Longest block of k, if there are more than [`rows::FEW`] rows.
    kc: usize,
    sums: &'r mut Sums<'s>,
}

impl Vectorized for DotProducts<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { x, weights, kc, sums } = self;
        let fits = x.rows() * sums.stride <= SUMS && weights.rows() <= sums.stride;
        assert!(fits && x.cols() == weights.cols());
        let is_contiguous = x.cols() <= 1 || (x.col_stride() == 1 && weights.col_stride() == 1);
        assert!(is_contiguous, "rows of activations and weights are contiguous");
        with_element_type!(weights.element_type(), E => if let Some(w) = weights.typed::<E>() {
            // SAFETY: the extents agree and all rows are contiguous, as asserted above.
            unsafe {
                match (x.rows(), S::LANES) {
                    (1, 16) if x.cols() <= SHORT => all_at_once::<S, E, 1, 16>(simd, x, w, sums),
                    (1, _) => all_at_once::<S, E, 1, 8>(simd, x, w, sums),
                    (2, 16) => all_at_once::<S, E, 2, 8>(simd, x, w, sums),
                    (3, 16) => all_at_once::<S, E, 3, 8>(simd, x, w, sums),
                    _ => in_groups::<S, E>(simd, x, w, kc, sums),
                }
            }
        });
    }
}

/// All rows of activations at once, and W rows of weights.
///
/// # Safety
/// As [`in_groups`]; there are X rows of activations.
#[inline(always)]
unsafe fn all_at_once<S: Simd, E: Element, const X: usize, const W: usize>(
    simd: S,
    x: MatRef<'_, f32>,
    weights: MatRef<'_, E>,
    sums: &mut Sums<'_>,
) {
    let (n, depth) = (weights.rows(), x.cols());
    let mut j = 0;
    while j < n {
        let w = weights.as_ptr().wrapping_offset(j as isize * weights.row_stride());
        let next = Next::Memory;
        let (x, x_row, w_row) = (x.as_ptr(), x.row_stride(), weights.row_stride());
        let rows = Rows { x, x_row, w, w_row, depth, next, group: 0, groups: 1 };
        // SAFETY: rows j..j + W of the weights exist, or row j, and all X rows of activations.
        unsafe {
            if j + W <= n {
                dots::<S, E, X, W>(simd, rows, 0, j, sums);
                j += W;
            } else {
                dots::<S, E, X, 1>(simd, rows, 0, j, sums);
                j += 1;
            }
        }
    }
}

/// In groups of four rows of weights and of rows of activations: as few groups as the registers allow, whose sizes
/// differ by at most one. The groups share the prefetching of the weights that are read next: otherwise the first group
/// would wait for memory, and memory for the other groups.
///
/// # Safety
/// Rows of both matrices are contiguous, equally long, and no more than `sums` has room for.
#[inline(always)]
unsafe fn in_groups<S: Simd, E: Element>(
    simd: S,
    x: MatRef<'_, f32>,
    weights: MatRef<'_, E>,
    kc: usize,
    sums: &mut Sums<'_>,
) {
    const W: usize = 4;
    let (m, n, k) = (x.rows(), weights.rows(), x.cols());
    let kc = if m <= rows::FEW { k } else { kc };
    // Sums in 16 of 32 registers, or 8 of 16: with more, the rows do not fit beside them.
    let most = if S::LANES == 16 { 4 } else { 2 };
    let groups = m.div_ceil(most);
    let weights_at =
        |j: usize, p: usize| weights.as_ptr().wrapping_offset(j as isize * weights.row_stride()).wrapping_add(p);
    let mut j = 0;
    while j < n {
        let width = if j + W <= n { W } else { 1 };
        let mut step = 0;
        while step < k {
            let depth = kc.min(k - step);
            let w = weights_at(j, step);
            let next = match (groups, step + depth < k) {
                (1, _) => Next::Memory,
                (_, true) => Next::Rows(weights_at(j, step + depth)),
                (_, false) => Next::Rows(weights_at(j + width, 0)),
            };
            let (mut i, mut group) = (0, 0);
            while i < m {
                let height = (m - i).div_ceil(groups - group);
                let at_x = x.as_ptr().wrapping_offset(i as isize * x.row_stride()).wrapping_add(step);
                let (x_row, w_row) = (x.row_stride(), weights.row_stride());
                let rows = Rows { x: at_x, x_row, w, w_row, depth, next, group, groups };
                // SAFETY: `height` rows of activations from i on and `width` rows of weights from j on exist, with
                // `depth` columns from `step` on.
                unsafe {
                    match (height, width == W) {
                        (1, true) => dots::<S, E, 1, W>(simd, rows, i, j, sums),
                        (2, true) => dots::<S, E, 2, W>(simd, rows, i, j, sums),
                        (3, true) => dots::<S, E, 3, W>(simd, rows, i, j, sums),
                        (_, true) => dots::<S, E, 4, W>(simd, rows, i, j, sums),
                        (1, false) => dots::<S, E, 1, 1>(simd, rows, i, j, sums),
                        (2, false) => dots::<S, E, 2, 1>(simd, rows, i, j, sums),
                        (3, false) => dots::<S, E, 3, 1>(simd, rows, i, j, sums),
                        (_, false) => dots::<S, E, 4, 1>(simd, rows, i, j, sums),
                    }
                }
                i += height;
                group += 1;
            }
            step += depth;
        }
        j += width;
    }
}

/// A group of rows of activations and a group of rows of weights, all contiguous.
struct Rows<E> {
    x: *const f32,
    x_row: isize,
    w: *const E,
    w_row: isize,
    depth: usize,
    /// The weights to prefetch meanwhile; and which group of activations this is, of how many: each prefetches some of
    /// the rows.
    next: Next<E>,
    group: usize,
    groups: usize,
}

/// The weights that are prefetched.
#[derive(Clone, Copy)]
enum Next<E> {
    /// What lies [`PREFETCH_BYTES`] further in memory, front to back.
    Memory,
    /// As many rows from here on, with the same distance between rows.
    Rows(*const E),
}

/// How far ahead weights are prefetched, or as far as the rows are long that are read side by side. They are as many
/// streams, of which a Zen 4 gets half of what it gets of one: its own prefetchers start again with each row.
const PREFETCH_BYTES: usize = 32 << 10;

/// Adds the dot products of X rows of activations and W rows of weights to the sums from (i, j) on.
///
/// # Safety
/// X rows of activations and W rows of weights, `depth` elements each, can be read.
#[inline(always)]
unsafe fn dots<S: Simd, E: Element, const X: usize, const W: usize>(
    simd: S,
    Rows { x, x_row, w, w_row, depth, next, group, groups }: Rows<E>,
    i: usize,
    j: usize,
    sums: &mut Sums<'_>,
) {
    // The rows that other groups prefetch are prefetched where they are read, which has no effect and costs less than a
    // branch.
    let mut ahead = [w.cast::<u8>(); W];
    let bytes = size_of::<E>();
    let stride = match next {
        Next::Memory => W * bytes,
        Next::Rows(_) => bytes,
    };
    let distance = PREFETCH_BYTES.max(W * w_row.unsigned_abs() * bytes);
    for b in 0..W {
        ahead[b] = match next {
            Next::Memory => ahead[b].wrapping_add(distance + b * S::LANES * bytes),
            Next::Rows(next) if b % groups == group => next.wrapping_offset(b as isize * w_row).cast(),
            Next::Rows(_) => w.wrapping_offset(b as isize * w_row).cast(),
        };
    }
    let mut lanes = [[simd.splat(0.0); W]; X];
    let mut p = 0;
    while p < depth {
        let is_whole = p + S::LANES <= depth;
        // SAFETY: vectors end where the rows do.
        unsafe {
            let mut rows = [simd.splat(0.0); X];
            for a in 0..X {
                let at = x.offset(a as isize * x_row).add(p);
                rows[a] = if is_whole { simd.load(at) } else { simd.load_partial(at, depth - p) };
            }
            for b in 0..W {
                let at = w.offset(b as isize * w_row).add(p);
                prefetch_l2(ahead[b].wrapping_add(p * stride));
                let weights = if is_whole { E::load(simd, at) } else { E::load_partial(simd, at, depth - p) };
                for a in 0..X {
                    lanes[a][b] = rows[a].mul_add(weights, lanes[a][b]);
                }
            }
        }
        p += S::LANES;
    }
    add_up::<S, X, W>(lanes, i, j, sums);
}

/// Adds the lanes up, and the sums to those from (i, j) on. Each sum is formed in one order, in whatever groups.
#[inline(always)]
fn add_up<S: Simd, const X: usize, const W: usize>(lanes: [[S::F32; W]; X], i: usize, j: usize, sums: &mut Sums<'_>) {
    let stride = sums.stride;
    let sums = &mut sums.sums[i * stride + j..];
    if X * W == 16 {
        let mut all = [lanes[0][0]; 16];
        for at in 0..16 {
            all[at] = lanes[at / W][at % W];
        }
        let all = S::F32::reduce_sums_16(all);
        for at in 0..16 {
            sums[at / W * stride + at % W] += all[at];
        }
        return;
    }
    for a in 0..X {
        let mut b = 0;
        while b + 4 <= W {
            let four = S::F32::reduce_sums([lanes[a][b], lanes[a][b + 1], lanes[a][b + 2], lanes[a][b + 3]]);
            for at in 0..4 {
                sums[a * stride + b + at] += four[at];
            }
            b += 4;
        }
        while b < W {
            sums[a * stride + b] += lanes[a][b].reduce_sum();
            b += 1;
        }
    }
}
