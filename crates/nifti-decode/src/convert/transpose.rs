//! Tiles in another order of axes.

use std::ops::Range;

use bytemuck::Pod;

use super::kernel::Path;

/// Extents of a tile and of what it becomes.
#[derive(Debug, Clone, Copy)]
pub(super) struct TileShape {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// From one row of the tile to the next.
    pub(super) tile_row: usize,
    /// From one row of the transposed tile to the next.
    pub(super) turned_row: usize,
}

/// How tiles are transposed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transpose(pub(super) Path);

impl Transpose {
    /// For voxels that are only copied.
    pub(crate) fn scalar() -> Self {
        Self(Path::Scalar)
    }

    /// Has the cache line with byte `at` brought near, if there is that byte.
    #[inline]
    pub(super) fn fetch(self, bytes: &[u8], at: usize) {
        #[cfg(target_arch = "x86_64")]
        if let Path::Avx2(token) = self.0 {
            super::avx2::fetch(token, bytes, at);
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (bytes, at);
    }

    /// Column `c` of `tile` becomes row `c` of `dst`.
    pub(super) fn run<D: Pod>(self, tile: &[D], shape: TileShape, dst: &mut [D]) {
        let done = self.by_vectors(tile, shape, dst);
        let mut copy = |rows: Range<usize>, columns: Range<usize>| {
            for c in columns {
                let row = &mut dst[c * shape.turned_row..];
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
