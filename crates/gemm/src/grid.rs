//! Threads: C is cut into a grid of parts, and each part is a product of its own.

use op::Threads;

use crate::{problem::Problem, shape::Shape, weights::RightOperand};

/// Parts that C is cut into, one for each thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

/// A part with fewer operations is not worth handing to another thread, which takes some 10 us.
const MIN_FLOPS: f64 = 2e6;

/// A part that reads fewer bytes of B is not worth handing over, where reading B takes all the time.
const MIN_BYTES: usize = 256 << 10;

/// Columns of a part are a multiple of this, so that two threads seldom write to one cache line.
const MIN_COLUMNS: usize = 32;

/// Packing an element takes the time of this many multiply-adds: half a cycle, at 32 per cycle.
pub(crate) const PACKING: f64 = 16.0;

impl Grid {
    /// All of C is one part.
    pub(crate) const ONE: Grid = Grid { rows: 1, cols: 1 };

    /// For at most `threads`, and tiles of `mr` x `nr`.
    ///
    /// The largest part decides when all are done, so of all grids the one whose largest part costs least is taken.
    /// Each part packs its own rows of A and columns of B; nothing is shared, so nothing waits.
    pub(crate) fn new(shape: Shape, threads: Threads, mr: usize, nr: usize) -> Self {
        if threads.is_serial() {
            return Self::ONE;
        }
        let Shape { m, n, k } = shape;
        let flops = 2.0 * m as f64 * n as f64 * k as f64;
        let (most_rows, most_cols) = (m.div_ceil(mr).max(1), n.div_ceil(nr).max(1));
        let threads = worthwhile(flops, threads);
        let grids = (1..=threads.min(most_rows)).map(|rows| Grid { rows, cols: (threads / rows).min(most_cols) });
        // In multiply-adds per step of k.
        let cost = |grid: &Grid| {
            let (rows, cols) = (most_rows.div_ceil(grid.rows) * mr, most_cols.div_ceil(grid.cols) * nr);
            rows.saturating_mul(cols).saturating_add((PACKING as usize).saturating_mul(rows.saturating_add(cols)))
        };
        grids.min_by_key(cost).unwrap_or(Self::ONE)
    }

    /// For at most `threads`, where a B of `element_bytes` is read once and C has few rows: columns are cut.
    pub(crate) fn of_columns(Shape { n, k, .. }: Shape, element_bytes: usize, threads: Threads) -> Self {
        let worth = n.saturating_mul(k).saturating_mul(element_bytes) / MIN_BYTES;
        Self { rows: 1, cols: threads.get().min(worth).min(n.div_ceil(MIN_COLUMNS)).max(1) }
    }

    /// For at most `threads`, where panels of B are unpacked and multiplied with all rows of A: columns are cut.
    pub(crate) fn of_panels(Shape { m, n, k }: Shape, threads: Threads) -> Self {
        let flops = 2.0 * m as f64 * n as f64 * k as f64;
        Self { rows: 1, cols: worthwhile(flops, threads).min(n.div_ceil(MIN_COLUMNS)).max(1) }
    }

    /// For at most `threads`, where all parts read the same B: rows are cut, in multiples of `mr`.
    pub(crate) fn of_rows(Shape { m, n, k }: Shape, threads: Threads, mr: usize) -> Self {
        if threads.is_serial() {
            return Self::ONE;
        }
        let flops = 2.0 * m as f64 * n as f64 * k as f64;
        Self { rows: worthwhile(flops, threads).min(m.div_ceil(mr)).max(1), cols: 1 }
    }

    pub(crate) const fn parts(self) -> usize {
        self.rows * self.cols
    }
}

/// How many threads this many operations are worth.
pub(crate) fn worthwhile(flops: f64, threads: Threads) -> usize {
    threads.get().min((flops / MIN_FLOPS) as usize).max(1)
}

/// Cuts C into the parts of `grid` at multiples of `mr` and `nr`, and calls `f` on each, with its share of the
/// workspace.
pub(crate) fn for_each_part<B: RightOperand>(
    problem: Problem<'_, B>,
    grid: Grid,
    (mr, nr): (usize, usize),
    workspace: &mut [f32],
    f: &(impl Fn(Problem<'_, B>, &mut [f32]) + Sync),
) {
    if grid.parts() == 1 {
        return f(problem, workspace);
    }
    let Shape { m, n, .. } = problem.shape();
    // Where a range of `extent` is cut if `first` of `parts` parts are before the cut.
    let cut = |extent: usize, unit: usize, first: usize, parts: usize| {
        (extent.div_ceil(unit) * first / parts * unit).min(extent)
    };
    let (first, rest, left, right) = if grid.rows > 1 {
        let first = Grid { rows: grid.rows / 2, ..grid };
        let (left, right) = problem.split_rows(cut(m, mr, first.rows, grid.rows));
        (first, Grid { rows: grid.rows - first.rows, ..grid }, left, right)
    } else {
        let first = Grid { cols: grid.cols / 2, ..grid };
        let (left, right) = problem.split_cols(cut(n, nr, first.cols, grid.cols));
        (first, Grid { cols: grid.cols - first.cols, ..grid }, left, right)
    };
    let (left_space, right_space) = workspace.split_at_mut(workspace.len() / grid.parts() * first.parts());
    rayon::join(
        || for_each_part(left, first, (mr, nr), left_space, f),
        || for_each_part(right, rest, (mr, nr), right_space, f),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(m: usize, n: usize, k: usize, threads: usize) -> (usize, usize) {
        let Grid { rows, cols } = Grid::new(Shape { m, n, k }, Threads::new(threads).unwrap(), 12, 32);
        assert!(rows * cols <= threads && rows > 0 && cols > 0);
        (rows, cols)
    }

    #[test]
    fn grids_are_balanced() {
        assert_eq!(grid(1000, 1000, 1000, 4), (2, 2));
        assert_eq!(grid(4000, 64, 500, 4), (4, 1));
        assert_eq!(grid(8, 4096, 500, 4), (1, 4));
        // 84 x 32 tiles: 7 x 1 leaves 384 to each thread, 1 x 7 up to 420, 2 x 3 up to 462.
        assert_eq!(grid(84 * 12, 32 * 32, 1000, 7), (7, 1));
    }

    #[test]
    fn small_products_stay_together() {
        assert_eq!(grid(64, 64, 64, 8), (1, 1));
        assert_eq!(grid(128, 128, 128, 8), (1, 2));
        assert_eq!(grid(0, 5, 5, 8), (1, 1));
        assert_eq!(grid(12, 32, 1 << 20, 8), (1, 1), "one tile");
    }
}
