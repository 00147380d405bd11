//! The portable kernel: loops laid out so that a compiler vectorizes them with the target's baseline.
//!
//! The definition, element by element, reads a column of B for every element of C. Instead, 8 columns of B are copied
//! next to each other as floats (a strip), and 4 rows of A at a time are multiplied with the strip, with the 4 x 8 sums
//! in registers:
//!
//! ```text
//!   for every 8 columns of C:
//!     copy the strip of B
//!     for every 4 rows of C:
//!       sums[4][8] over k, then C <- act(alpha sums + beta C + bias) + residual
//! ```
//!
//! Sums are multiplied and added, not fused: baseline x86-64 has no fused multiply-add.

use op::Workspace;
use simd::{Element, Portable, Simd, with_element_type};

use crate::{
    chunks::chunks,
    error::GemmError,
    grid::{Grid, for_each_part},
    matrix::MatRef,
    problem::Problem,
    shape::Shape,
    tile::StoreTile,
};

/// Rows of a register tile: with 8 columns, 8 of the 16 vectors of SSE2.
pub(crate) const MR: usize = 4;
/// Columns of a register tile.
pub(crate) const NR: usize = 8;

/// C <- act(alpha A B + beta C + bias) + residual, with alpha and k not 0.
pub(crate) fn product(problem: Problem<'_>, grid: Grid, workspace: &mut Workspace) -> Result<(), GemmError> {
    let floats = floats(problem.shape().k, grid).ok_or(GemmError::OutOfMemory { bytes: usize::MAX })?;
    let workspace = workspace.floats(floats)?;
    for_each_part(problem, grid, (MR, NR), workspace, &|part, strip| {
        with_element_type!(part.a.element_type(), A => if let Some(a) = part.a.typed::<A>() {
            part_product(part, a, strip.as_chunks_mut::<NR>().0);
        });
    });
    Ok(())
}

/// Floats of workspace: a strip for each part. `None` if they cannot be counted: a matrix that repeats one row may have
/// more rows than memory has bytes.
pub(crate) fn floats(k: usize, grid: Grid) -> Option<usize> {
    k.checked_mul(NR)?.checked_next_multiple_of(Workspace::LINE)?.checked_mul(grid.parts())
}

fn part_product<A: Element>(problem: Problem<'_>, a: MatRef<'_, A>, strip: &mut [[f32; NR]]) {
    let Shape { m, n, k } = problem.shape();
    let Problem { alpha, b, beta, mut c, epilogue, .. } = problem;
    for cols in chunks(0..n, NR) {
        for (p, row) in strip.iter_mut().enumerate().take(k) {
            *row = std::array::from_fn(|lane| b.get(p, cols.start + lane).unwrap_or(0.0));
        }
        for rows in chunks(0..m, MR) {
            let mut tile = [[0.0; NR]; MR];
            match rows.len() {
                MR => tile = sums::<A, MR>(a, rows.start, &strip[..k]),
                _ => {
                    for (i, row) in rows.clone().zip(&mut tile) {
                        [*row] = sums::<A, 1>(a, i, &strip[..k]);
                    }
                }
            }
            let out = c.reborrow().part(rows.clone(), cols.clone());
            for (i, j) in (0..rows.len()).flat_map(|i| (0..cols.len()).map(move |j| (i, j))) {
                let before = if beta == 0.0 { 0.0 } else { beta * out.as_input().get(i, j).unwrap_or(0.0) };
                tile[i][j] = alpha * tile[i][j] + before;
            }
            let epilogue = epilogue.part(rows, cols.clone());
            Portable.run(StoreTile { tile: tile.as_flattened_mut(), stride: NR, epilogue, out });
        }
    }
}

/// `ROWS` rows of A from row `i` on, times the strip.
fn sums<A: Element, const ROWS: usize>(a: MatRef<'_, A>, i: usize, strip: &[[f32; NR]]) -> [[f32; NR]; ROWS] {
    let a = a.part(i..i + ROWS, 0..strip.len());
    let mut sums = [[0.0; NR]; ROWS];
    for (p, b) in strip.iter().enumerate() {
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: `a` has ROWS rows and a column for each row of the strip.
            let a = unsafe { a.get_unchecked(r, p) }.to_f32();
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum += a * b;
            }
        }
    }
    sums
}
