//! Portable loops, laid out so that a compiler finds the vectors of the target's baseline.
//!
//! Element by element, the definition reads a column of B for every element of C. Instead, 8 columns of B are copied
//! next to each other for up to KC steps of k (a strip: 8 KiB, so it stays in the level-1 cache), and then 4 rows of A
//! run down the strip at once, with the 4 x 8 sums in registers:
//!
//! ```text
//!   for every stretch of KC steps of k:          so that a strip fits the level-1 cache
//!     for every 8 columns of C:
//!       copy the strip of B
//!       for every 4 rows of C:
//!         sums[4][8] over the stretch, then C <- alpha sums + beta C (beta = 1 after the first stretch)
//! ```
//!
//! Sums are multiplied and added, not fused: baseline x86-64 has no fused multiply-add.

use crate::{
    choice::{Path, Plan},
    kernel::Shape,
    parallel::{Grid, Parallelism, for_each_part},
    problem::Problem,
    view::{MatMut, MatRef},
};

/// Rows of a register tile: with 8 columns, 8 of the 16 vectors of SSE2.
const MR: usize = 4;
/// Columns of a register tile.
const NR: usize = 8;
/// Steps of k in a strip.
const KC: usize = 256;

/// How a product of `shape` is cut.
pub(crate) fn plan(shape: Shape, parallelism: Parallelism) -> Plan {
    Plan { path: Path::Strips, tile: None, grid: Grid::new(shape, parallelism.threads(), MR, NR) }
}

/// C <- alpha A B + beta C, with alpha and k not 0.
pub(crate) fn product(problem: Problem<'_>, parallelism: Parallelism) -> Plan {
    let plan = plan(problem.shape(), parallelism);
    for_each_part(problem, plan.grid, (MR, NR), &mut [], &|part, _| part_product(part));
    plan
}

fn part_product(problem: Problem<'_>) {
    let Shape { m, n, k } = problem.shape();
    let Problem { alpha, a, b, beta, mut c } = problem;
    let mut strip = [[0.0; NR]; KC];
    for start in (0..k).step_by(KC) {
        let beta = if start == 0 { beta } else { 1.0 };
        let steps = start..k.min(start + KC);
        for j in (0..n).step_by(NR) {
            let strip = &mut strip[..steps.len()];
            for (row, p) in strip.iter_mut().zip(steps.clone()) {
                *row = std::array::from_fn(|lane| b.get(p, j + lane).copied().unwrap_or(0.0));
            }
            let mut i = 0;
            while i + MR <= m {
                update(&mut c, i, j, alpha, sums::<MR>(a, i, steps.start, strip), beta);
                i += MR;
            }
            for i in i..m {
                update(&mut c, i, j, alpha, sums::<1>(a, i, steps.start, strip), beta);
            }
        }
    }
}

/// `ROWS` rows of A from row `i` and step `start` on, times the strip.
fn sums<const ROWS: usize>(a: MatRef<'_, f32>, i: usize, start: usize, strip: &[[f32; NR]]) -> [[f32; NR]; ROWS] {
    let a = a.part(i..i + ROWS, start..start + strip.len());
    let mut sums = [[0.0; NR]; ROWS];
    for (p, b) in strip.iter().enumerate() {
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: `a` has ROWS rows and a column for each row of the strip.
            let a = unsafe { a.get_unchecked(r, p) };
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum += a * b;
            }
        }
    }
    sums
}

/// C <- alpha sums + beta C for the elements of the tile at (i, j) that exist; without reading C if beta is 0.
fn update<const ROWS: usize>(
    c: &mut MatMut<'_, f32>,
    i: usize,
    j: usize,
    alpha: f32,
    sums: [[f32; NR]; ROWS],
    beta: f32,
) {
    for (r, sums) in sums.iter().enumerate() {
        for (lane, sum) in sums.iter().enumerate() {
            if let Some(c) = c.get_mut(i + r, j + lane) {
                *c = if beta == 0.0 { alpha * sum } else { alpha * sum + beta * *c };
            }
        }
    }
}
