//! Conversion into another order of axes, in the same pass.
//!
//! Voxels are stored x first, and so is the output. What is turned is the stored voxels, which are smaller than converted ones: a run
//! of the output is gathered in a buffer that stays in a cache, and converted from there to its place. Where x stays the first
//! axis, rows are runs, turned around if x is flipped. Where it does not, tiles are transposed, and every column of a tile becomes a
//! run. A tile has up to 512 rows, and of each as many voxels as fit the second-level cache: whole rows of most volumes, so that what
//! lies together is read together.

use std::ops::Range;

use super::{
    reverse::reverse,
    transpose::{Tile, transpose},
};
use crate::affine::Turn;

/// Voxels of a run where the order stays: 32 KiB of 16-bit voxels, so that a second look at them finds them in a cache.
const RUN: usize = 16 << 10;
/// Voxels of rows that are turned around before they are converted: few enough to be found in the nearest cache.
const TURNED: usize = 512;
/// Bytes of a tile: part of a second-level cache.
const TILE_BYTES: usize = 128 << 10;
/// Rows of a tile at most: a run of the output.
const MOST_ROWS: usize = 512;

/// A tile, or a row, of stored voxels in the order of the output. Made once, for all parts of a walk.
#[derive(Debug, Default)]
pub(crate) struct Space(Vec<u8>);

impl Space {
    fn get(&mut self, bytes: usize) -> &mut [u8] {
        if self.0.len() < bytes {
            self.0.resize(bytes, 0);
        }
        &mut self.0[..bytes]
    }
}

/// A part of a walk that needs only a stretch of the file.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) walk: Walk,
    /// Bytes of the stored voxels.
    pub(crate) stored: Range<usize>,
    /// Its voxels in the output.
    pub(crate) out: Range<usize>,
}

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

    /// Whether slices stay whole, so that a file can be converted slice by slice.
    pub(crate) fn keeps_slices(&self) -> bool {
        self.turn.from[2] == 2
    }

    /// The parts that the voxels can be converted in one after the other, of up to `most_bytes` stored bytes, but at least a slice:
    /// runs where the order stays, else some slices of a volume. Only where slices [stay whole](Self::keeps_slices).
    pub(crate) fn parts(self, most_bytes: usize) -> impl Iterator<Item = Part> {
        let [x, y, z] = self.stored;
        // In their order, all voxels are slices of one.
        let (slice, slices) = if self.is_straight() { (1, self.voxels()) } else { (x * y, z) };
        let is_flipped = self.turn.flip[2];
        let step = (most_bytes / (slice * self.voxel_bytes).max(1)).max(1);
        let volumes = self.voxels().checked_div(slice * slices).unwrap_or(0);
        (0..volumes).flat_map(move |volume| {
            (0..slices).step_by(step).map(move |first| {
                let count = step.min(slices - first);
                let place = if is_flipped && !self.is_straight() { slices - first - count } else { first };
                let start = |slice_at: usize| (volume * slices + slice_at) * slice;
                let stored = if self.is_straight() { [count, 1, 1] } else { [x, y, count] };
                Part {
                    walk: Walk { stored, volumes: 1, ..self },
                    stored: start(first) * self.voxel_bytes..start(first + count) * self.voxel_bytes,
                    out: start(place)..start(place + count),
                }
            })
        })
    }

    /// Calls `convert` with runs of stored voxels in the order of the output, and with their place in `dst`, until `dst` is full.
    /// Every voxel is passed once.
    pub(crate) fn run<D>(
        &self,
        src: &[u8],
        dst: &mut [D],
        space: &mut Space,
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
                self.rows(src, dst, space, convert);
            } else {
                self.tiles(src, dst, space, convert);
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

    fn rows<D>(&self, src: &[u8], dst: &mut [D], space: &mut Space, convert: &mut dyn FnMut(&[u8], &mut [D])) {
        let (nx, bytes) = (self.stored[0], self.voxel_bytes);
        let mut starts = (0..self.extent(2))
            .flat_map(|k| (0..self.extent(1)).map(move |j| (k, j)))
            .map(|(k, j)| (self.offset(2, k) + self.offset(1, j)) * bytes);
        if !self.turn.flip[0] {
            for (start, dst) in starts.zip(dst.chunks_exact_mut(nx)) {
                convert(&src[start..start + nx * bytes], dst);
            }
            return;
        }
        // Rows of the output follow each other: as many as make a run are turned around, and converted at once.
        let rows = (TURNED / nx).max(1);
        let turned = space.get(rows * nx * bytes);
        for dst in dst.chunks_mut(rows * nx) {
            let turned = &mut turned[..dst.len() * bytes];
            for (row, start) in turned.chunks_exact_mut(nx * bytes).zip(starts.by_ref()) {
                reverse(bytes, &src[start..start + nx * bytes], row);
            }
            convert(turned, dst);
        }
    }

    fn tiles<D>(&self, src: &[u8], dst: &mut [D], space: &mut Space, convert: &mut dyn FnMut(&[u8], &mut [D])) {
        let (nx, bytes) = (self.stored[0], self.voxel_bytes);
        // Output axis that stored x becomes, and the third one.
        let across = if self.turn.from[1] == 0 { 1 } else { 2 };
        let along = 3 - across;
        let (n0, out_strides) = (self.extent(0), [1, self.extent(0), self.extent(0) * self.extent(1)]);
        let most_rows = n0.min(MOST_ROWS);
        let most_columns = (TILE_BYTES / Tile::turned_row(most_rows, bytes)).clamp(1, nx);
        let turned = space.get(most_columns * Tile::turned_row(most_rows, bytes));
        // Where a flip walks down, steps are negative: offsets are at most isize::MAX, as all bytes of a slice are.
        let offset = |axis, i| (self.offset(axis, i) * bytes) as isize;
        let step = offset(0, 1.min(n0 - 1)) - offset(0, 0);
        for k in 0..self.extent(along) {
            for x in (0..nx).step_by(most_columns) {
                let columns = most_columns.min(nx - x);
                for i in (0..n0).step_by(MOST_ROWS) {
                    let rows = MOST_ROWS.min(n0 - i);
                    let first = (offset(along, k) + offset(0, i)) as usize + x * bytes;
                    transpose(bytes, src, &Tile { first, step, rows, columns }, turned);
                    for (c, run) in turned.chunks(Tile::turned_row(rows, bytes)).take(columns).enumerate() {
                        // A flipped x counts from the other end.
                        let out_x = if self.turn.flip[across] { nx - 1 - x - c } else { x + c };
                        let at = k * out_strides[along] + out_x * out_strides[across] + i;
                        convert(&run[..rows * bytes], &mut dst[at..at + rows]);
                    }
                }
            }
        }
    }
}
