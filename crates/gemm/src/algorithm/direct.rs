//! Products with a small B: A is read in place, and so is B if its rows are contiguous.
//!
//! Where all of B fits the level-2 cache, a row of tiles finds it there, and the rows of A that the row needs are in
//! level 1 after the first tile. So blocks gain nothing, and packing A, which takes the time of some sixteen
//! multiply-adds an element, is saved. There are three loops, over blocks of k and tiles of C. The sums have the order,
//! and so the bits, of the packed path. Vectors cannot be loaded from rows of B that are not contiguous: such a B is
//! packed after all.

use crate::{
    chunks::{chunks, equal_parts},
    epilogue::Epilogue,
    error::GemmError,
    grid::{Grid, PACKING, for_each_part},
    matrix::{Input, MatRef},
    problem::Problem,
    shape::Shape,
    tile::{MicroKernel, Target, Tile},
};
use op::Workspace;

/// C <- act(alpha A B + beta C + bias) + residual, where `a` is the A of the problem as floats. `grid` cuts rows only.
/// If k is more than one block, C is of floats, too: it holds the sums between two blocks.
pub(crate) fn product<K: MicroKernel>(
    kernel: K,
    mut problem: Problem<'_, Input<'_>>,
    grid: Grid,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    debug_assert!(grid.cols == 1);
    let b = match problem.b.typed::<f32>().filter(|b| b.col_stride() == 1) {
        Some(b) => Rows { origin: b.as_ptr(), step: b.row_stride(), is_packed: false },
        None => {
            let panels = pack(kernel, problem.b, workspace)?;
            Rows { origin: panels.as_ptr(), step: K::NR as isize, is_packed: true }
        }
    };
    if grid.parts() == 1 {
        tiles(kernel, &mut problem, b);
    } else {
        for_each_part(problem, grid, (K::MR, K::NR), &mut [], &|mut part, _| tiles(kernel, &mut part, b));
    }
    Ok(())
}

/// Estimated time on the threads of `grid`, in multiply-adds of one core for each step of k, to compare with
/// [`Split::time`](crate::Split): the largest part, all of B for each part, at 16 bytes per cycle from level 3, and
/// packing a B without contiguous rows on one thread.
pub(crate) fn time<K: MicroKernel>(Shape { m, n, .. }: Shape, b_is_row_major: bool, grid: Grid) -> f64 {
    let rows = m.div_ceil(K::MR).div_ceil(grid.rows) * K::MR;
    let cols = n.next_multiple_of(K::NR) as f64;
    let fetch = cols * size_of::<f32>() as f64 / 16.0 * (2 * K::LANES) as f64;
    let pack = if b_is_row_major { 0.0 } else { PACKING * cols };
    rows as f64 * cols + fetch + pack
}

/// Where a micro-kernel reads B: the matrix itself, or its panels, block after block of k.
#[derive(Clone, Copy)]
struct Rows {
    origin: *const f32,
    /// Floats from one row of B, or of a panel, to the next.
    step: isize,
    is_packed: bool,
}

// SAFETY: B, or the workspace with its panels, is borrowed while the parts are computed, and is only read.
unsafe impl Sync for Rows {}

impl Rows {
    /// Address of column `col` of the block of `depth` steps from `step` on, in a B of `width` columns.
    fn at<K: MicroKernel>(self, step: usize, depth: usize, col: usize, width: usize) -> *const f32 {
        match self.is_packed {
            true => self.origin.wrapping_add(step * width.next_multiple_of(K::NR) + col * depth),
            false => self.origin.wrapping_offset(step as isize * self.step).wrapping_add(col),
        }
    }
}

fn tiles<K: MicroKernel>(kernel: K, problem: &mut Problem<'_, Input<'_>>, b: Rows) {
    let Shape { m, n, k } = problem.shape();
    let &mut Problem { alpha, a, beta, ref mut c, epilogue, .. } = problem;
    let a: MatRef<'_, f32> = match a.typed::<f32>() {
        Some(a) => a,
        None => unreachable!("the route takes this path for an A of floats only"),
    };
    let (a_row, a_step, b_stride) = (a.row_stride(), a.col_stride(), b.step);
    // Panels are as wide as a tile. Only a B in place has columns for three vectors side by side.
    let narrow = if b.is_packed { n } else { narrow_columns::<K>(n) };
    for steps in chunks(0..k, K::k_block(k)) {
        let (depth, beta) = (steps.len(), if steps.start == 0 { beta } else { 1.0 });
        let epilogue = if steps.end == k { epilogue } else { Epilogue::NONE };
        let mut target = Target::new(kernel, c.reborrow(), epilogue);
        for (strip, width, most) in [(0..narrow, K::NR, K::MR), (narrow..n, 3 * K::LANES, K::WIDE_ROWS)] {
            for rows in chunks(0..m, equal_parts(m, most, 1)) {
                let start = (rows.start as isize * a_row).wrapping_add(steps.start as isize * a_step);
                let from = a.as_ptr().wrapping_offset(start);
                for cols in chunks(strip.clone(), width) {
                    let at_b = b.at::<K>(steps.start, depth, cols.start, n);
                    let (height, width, c_stride) = (rows.len(), cols.len(), 0);
                    let tile =
                        Tile { rows: height, cols: width, depth, a_row, a_step, b_stride, c_stride, alpha, beta };
                    target.tile(tile, rows.start, cols.start, |tile, c| {
                        // SAFETY: the tile is inside the product: A has its rows and `depth` columns, B as many rows of
                        // at least its columns, be it panels or the matrix; C is what the target gives. A tile of three
                        // vectors has at most `WIDE_ROWS` rows.
                        unsafe { kernel.plain_tile(tile, from, at_b, c) }
                    });
                }
            }
        }
    }
}

/// Columns before those that form tiles of three vectors: a remainder of at most one vector joins the tile before it.
fn narrow_columns<K: MicroKernel>(n: usize) -> usize {
    let rest = n % K::NR;
    if n > K::NR && rest > 0 && rest <= K::LANES { n - rest - K::NR } else { n }
}

/// Largest extent of a product for [`small`].
pub(crate) const SMALL: usize = 64;

/// The same for a small product, with less to set up: C <- alpha A B + beta C as one part and one block of k, where all
/// matrices are of floats, rows of B and C are contiguous, and no extent exceeds [`SMALL`].
#[inline]
pub(crate) fn small<K: MicroKernel>(kernel: K, problem: &mut Problem<'_>, b: &Input<'_>) {
    const { assert!(SMALL <= K::KC) };
    let Problem { alpha, ref a, beta, ref mut c, .. } = *problem;
    let (m, n, k) = (a.rows(), b.cols(), a.cols());
    debug_assert!(m.max(n).max(k) <= SMALL && b.col_stride() == 1 && c.col_stride() == 1);
    let (a_row, b_stride, c_stride) = (a.row_stride(), b.row_stride(), c.row_stride());
    let mut tile = Tile { rows: 0, cols: 0, depth: k, a_row, a_step: a.col_stride(), b_stride, c_stride, alpha, beta };
    let (a, b, c) = (a.as_ptr().cast::<f32>(), b.as_ptr().cast::<f32>(), c.as_mut_ptr().cast::<f32>());
    let narrow = narrow_columns::<K>(n);
    for (first, end, width, most) in [(0, narrow, K::NR, K::MR), (narrow, n, 3 * K::LANES, K::WIDE_ROWS)] {
        if first == end {
            continue;
        }
        for rows in chunks(0..m, equal_parts(m, most, 1)) {
            tile.rows = rows.len();
            let row = rows.start as isize;
            let (from, to) = (a.wrapping_offset(row * a_row), c.wrapping_offset(row * c_stride));
            for cols in chunks(first..end, width) {
                tile.cols = cols.len();
                // SAFETY: the tile is inside the product, whose three matrices are of floats with contiguous rows of B
                // and C; C is borrowed as a whole. A tile of three vectors has at most `WIDE_ROWS` rows.
                unsafe { kernel.plain_tile(&tile, from, b.wrapping_add(cols.start), to.wrapping_add(cols.start)) }
            }
        }
    }
}

/// Packs all of B into panels, block after block of k.
fn pack<'w, K: MicroKernel>(kernel: K, b: Input<'_>, workspace: &'w mut Workspace) -> Result<&'w [f32], GemmError> {
    let (k, n) = (b.rows(), b.cols());
    let panels = workspace.floats(k * n.next_multiple_of(K::NR))?;
    let mut rest = &mut panels[..];
    for steps in chunks(0..k, K::k_block(k)) {
        for cols in chunks(0..n, K::NR) {
            let (panel, after) = rest.split_at_mut(steps.len() * K::NR);
            kernel.pack_b(b.part(steps.clone(), cols).t(), panel);
            rest = after;
        }
    }
    Ok(panels)
}
