//! Loop 1: a row of tiles, of one panel of A and the columns of a block of B.

use std::ops::Range;

use super::panels::Panels;
use crate::{
    chunks::chunks,
    tile::{LoadTile, MicroKernel, PanelOfB, StoreTile, Target, Tile},
};

/// A row of tiles.
pub(super) struct Row<'p> {
    /// Of C, 1 to MR.
    pub(super) rows: Range<usize>,
    pub(super) cols: Range<usize>,
    /// Steps of this block of k.
    pub(super) depth: usize,
    /// A, MR floats per step.
    pub(super) panel: *const f32,
    /// Where the columns are, whole panels and the rest.
    pub(super) full: &'p Panels,
    pub(super) rest: &'p Panels,
    /// Whether B is prefetched, if it is far.
    pub(super) prefetches: bool,
    pub(super) alpha: f32,
    pub(super) beta: f32,
}

/// C between two blocks of k, where C itself cannot hold it.
pub(super) struct Sums<'w> {
    pub(super) floats: &'w mut [f32],
    /// Floats from row to row.
    pub(super) stride: usize,
    /// Row and column of C that the first float is of.
    pub(super) row: usize,
    pub(super) col: usize,
    /// Whether this is the first block of k, and the last.
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}

impl Row<'_> {
    /// Computes the tiles, and calls `prefetch` before each.
    ///
    /// # Safety
    /// - `panel` can be read as a panel of A with these rows and steps;
    /// - `full` and `rest` have these columns and steps of B, the columns of whole panels rounded up to whole vectors;
    /// - nobody else accesses these elements of C meanwhile.
    #[inline(always)]
    pub(super) unsafe fn multiply<K: MicroKernel>(
        &self,
        target: &mut Target<'_, '_, K>,
        mut sums: Option<&mut Sums<'_>>,
        mut prefetch: impl FnMut(),
    ) {
        let kernel = target.kernel;
        for cols in chunks(self.cols.clone(), K::NR) {
            prefetch();
            let panels = if cols.len() == K::NR { self.full } else { self.rest };
            let b = PanelOfB {
                origin: panels.first.wrapping_add((cols.start - self.cols.start) * panels.column_bytes),
                element: panels.element,
                prefetch_bytes: if self.prefetches { panels.prefetch_bytes } else { None },
            };
            let tile = Tile {
                rows: self.rows.len(),
                cols: cols.len(),
                depth: self.depth,
                a_row: 1,
                a_step: K::MR as isize,
                b_stride: panels.stride,
                c_stride: 0,
                alpha: self.alpha,
                beta: self.beta,
            };
            let panel = self.panel;
            let compute = |tile: &Tile, c: *mut f32| {
                // SAFETY: `chunks` gives 1 to NR columns. As the caller promises, there are 1 to MR rows, the panel of
                // A has MR floats per step, and B is a panel or has these columns in place. C is what the target gives,
                // or the sums, which have these rows and columns.
                unsafe { kernel.panel_tile(tile, panel, &b, c) }
            };
            match &mut sums {
                None => target.tile(tile, self.rows.start, cols.start, compute),
                Some(sums) => tile_of_sums(sums, target, (tile, self.rows.start, cols.start), compute),
            }
        }
    }
}

/// A tile whose sums are kept in floats until the last block of k.
fn tile_of_sums<K: MicroKernel>(
    sums: &mut Sums<'_>,
    target: &mut Target<'_, '_, K>,
    (mut tile, row, col): (Tile, usize, usize),
    compute: impl Fn(&Tile, *mut f32),
) {
    let (stride, kernel) = (sums.stride, target.kernel);
    let (rows, cols) = (row..row + tile.rows, col..col + tile.cols);
    let out = target.c.reborrow().part(rows.clone(), cols.clone());
    let floats = &mut sums.floats[(row - sums.row) * stride + (col - sums.col)..];
    if sums.is_first && tile.beta != 0.0 {
        kernel.run(LoadTile { from: out.as_input(), to: floats, stride });
    }
    tile.c_stride = stride as isize;
    assert!(floats.len() >= (tile.rows - 1) * stride + tile.cols);
    compute(&tile, floats.as_mut_ptr());
    if sums.is_last {
        let epilogue = target.epilogue.part(rows, cols);
        kernel.run(StoreTile { tile: floats, stride, epilogue, out });
    }
}
