//! Tiles in another order of axes.

use std::ops::Range;

use bytemuck::Pod;

use super::kernel::Path;

/// Rows of a tile: a run of the output.
pub(super) const ROWS: usize = 128;
/// Columns of a tile: a run of the input.
pub(super) const COLUMNS: usize = 64;

/// Extents of a tile and of what it becomes.
#[derive(Debug, Clone, Copy)]
pub(super) struct TileShape {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// From one row of the tile to the next.
    pub(super) tile_row: usize,
    /// From one row of the output to the next.
    pub(super) dst_row: usize,
    /// Whether the last column becomes the first row.
    pub(super) is_flipped: bool,
}

impl TileShape {
    /// The row that a column becomes.
    #[inline(always)]
    pub(super) fn place(&self, column: usize) -> usize {
        if self.is_flipped { self.columns - 1 - column } else { column }
    }
}

/// How tiles are transposed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transpose(pub(super) Path);

impl Transpose {
    /// For voxels that are only copied.
    pub(crate) fn scalar() -> Self {
        Self(Path::Scalar)
    }

    /// Column `c` of `tile` becomes row [`place(c)`](TileShape::place) of `dst`.
    pub(super) fn run<D: Pod>(self, tile: &[D], shape: TileShape, dst: &mut [D]) {
        let done = self.by_vectors(tile, shape, dst);
        let mut copy = |rows: Range<usize>, columns: Range<usize>| {
            for c in columns {
                let row = &mut dst[shape.place(c) * shape.dst_row..];
                for r in rows.clone() {
                    row[r] = tile[r * shape.tile_row + c];
                }
            }
        };
        // What vectors left over: all of it where they did nothing.
        copy(done.0..shape.rows, 0..done.1);
        copy(0..shape.rows, done.1..shape.columns);
    }

    /// How many rows and columns were done.
    #[cfg(target_arch = "x86_64")]
    fn by_vectors<D: Pod>(self, tile: &[D], shape: TileShape, dst: &mut [D]) -> (usize, usize) {
        if let (Path::Avx2(token), 4) = (self.0, size_of::<D>())
            && let (Ok(tile), Ok(dst)) = (bytemuck::try_cast_slice(tile), bytemuck::try_cast_slice_mut(dst))
        {
            return super::avx2::transpose(token, tile, shape, dst);
        }
        (0, 0)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn by_vectors<D: Pod>(self, _tile: &[D], _shape: TileShape, _dst: &mut [D]) -> (usize, usize) {
        (0, 0)
    }
}
