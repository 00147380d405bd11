//! Conversion into another order of axes, in the same pass.
//!
//! Voxels are stored x first, and so is the output. Where x stays the first axis, rows are converted one by one to where
//! they belong, backwards if x is flipped. Where it does not, tiles are: 64 stored voxels from each of 128 rows, converted into the
//! first-level cache and written from there as runs of 128.

use bytemuck::Pod;

use super::transpose::{COLUMNS, ROWS, TileShape, Transpose};
use crate::affine::Turn;

/// Voxels of a run where the order stays: 32 KiB of 16-bit voxels, so that a second look at them finds them in a cache.
const RUN: usize = 16 << 10;

/// A stored volume and the order that it is wanted in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    /// Stored extents of the three spatial axes.
    pub(crate) stored: [usize; 3],
    /// Volumes, one behind the other.
    pub(crate) volumes: usize,
    pub(crate) turn: Turn,
    pub(crate) voxel_bytes: usize,
}

impl Walk {
    pub(crate) fn voxels(&self) -> usize {
        self.stored.iter().product::<usize>() * self.volumes
    }

    /// Whether voxels stay in their order.
    pub(crate) fn is_straight(&self) -> bool {
        self.turn == Turn::NONE
    }

    /// Calls `convert` with runs of stored voxels and the place of as many outputs, until `dst` is full. Every voxel is passed
    /// once.
    pub(crate) fn run<D: Pod>(
        &self,
        src: &[u8],
        dst: &mut [D],
        transpose: Transpose,
        convert: &mut dyn FnMut(&[u8], &mut [D]),
    ) {
        if self.is_straight() {
            for (src, dst) in src.chunks(RUN * self.voxel_bytes).zip(dst.chunks_mut(RUN)) {
                convert(src, dst);
            }
            return;
        }
        let volume = self.stored.iter().product::<usize>();
        if volume == 0 {
            return;
        }
        for (src, dst) in src.chunks_exact(volume * self.voxel_bytes).zip(dst.chunks_exact_mut(volume)) {
            if self.turn.from[0] == 0 {
                self.rows(src, dst, convert);
            } else {
                self.tiles(src, dst, transpose, convert);
            }
        }
    }

    /// Stored voxels from one to the next along each stored axis.
    fn strides(&self) -> [usize; 3] {
        [1, self.stored[0], self.stored[0] * self.stored[1]]
    }

    /// Where index `i` of output axis `axis` lies in the stored volume, in voxels.
    fn offset(&self, axis: usize, i: usize) -> usize {
        let from = self.turn.from[axis];
        let stored = if self.turn.flip[axis] { self.stored[from] - 1 - i } else { i };
        stored * self.strides()[from]
    }

    fn extent(&self, axis: usize) -> usize {
        self.stored[self.turn.from[axis]]
    }

    fn rows<D: Pod>(&self, src: &[u8], dst: &mut [D], convert: &mut dyn FnMut(&[u8], &mut [D])) {
        let (nx, bytes) = (self.stored[0], self.voxel_bytes);
        let mut rows = dst.chunks_exact_mut(nx);
        for k in 0..self.extent(2) {
            for j in 0..self.extent(1) {
                let start = (self.offset(2, k) + self.offset(1, j)) * bytes;
                let (src, Some(dst)) = (&src[start..start + nx * bytes], rows.next()) else { return };
                convert(src, dst);
                if self.turn.flip[0] {
                    dst.reverse();
                }
            }
        }
    }

    fn tiles<D: Pod>(&self, src: &[u8], dst: &mut [D], transpose: Transpose, convert: &mut dyn FnMut(&[u8], &mut [D])) {
        let (nx, bytes) = (self.stored[0], self.voxel_bytes);
        // Output axis that stored x becomes, and the third one.
        let across = if self.turn.from[1] == 0 { 1 } else { 2 };
        let along = 3 - across;
        let (n0, out_strides) = (self.extent(0), [1, self.extent(0), self.extent(0) * self.extent(1)]);
        let mut tile = vec![D::zeroed(); ROWS * COLUMNS];
        for k in 0..self.extent(along) {
            for x in (0..nx).step_by(COLUMNS) {
                let columns = COLUMNS.min(nx - x);
                // A flipped x puts the tile's columns at the other end.
                let out_x = if self.turn.flip[across] { nx - x - columns } else { x };
                for i in (0..n0).step_by(ROWS) {
                    let rows = ROWS.min(n0 - i);
                    for (r, row) in tile.chunks_exact_mut(COLUMNS).take(rows).enumerate() {
                        let start = (self.offset(along, k) + self.offset(0, i + r) + x) * bytes;
                        convert(&src[start..start + columns * bytes], &mut row[..columns]);
                    }
                    let at = k * out_strides[along] + out_x * out_strides[across] + i;
                    let (dst_row, is_flipped) = (out_strides[across], self.turn.flip[across]);
                    let shape = TileShape { rows, columns, tile_row: COLUMNS, dst_row, is_flipped };
                    transpose.run(&tile, shape, &mut dst[at..]);
                }
            }
        }
    }
}
