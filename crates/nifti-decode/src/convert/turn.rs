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
const TURNED: usize = 1024;
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
    /// The voxels of the output among which its own lie: its run, or its volume.
    pub(crate) out: Range<usize>,
}

/// A stored volume, or some slices of one, and the order that it is wanted in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    /// Stored extents of the three spatial axes.
    stored: [usize; 3],
    /// Volumes, one behind the other.
    volumes: usize,
    pub(crate) turn: Turn,
    pub(crate) voxel_bytes: usize,
    /// Slices of a whole volume in the output, and which of them is the first of these.
    out_slices: usize,
    first_slice: usize,
}

impl Walk {
    /// All of `volumes` volumes.
    pub(crate) fn new(stored: [usize; 3], volumes: usize, turn: Turn, voxel_bytes: usize) -> Self {
        Self { stored, volumes, turn, voxel_bytes, out_slices: stored[2], first_slice: 0 }
    }

    /// Voxels in their order, as part of a straight walk.
    pub(crate) fn straight(voxels: usize, voxel_bytes: usize) -> Self {
        Self::new([voxels, 1, 1], 1, Turn::NONE, voxel_bytes)
    }

    pub(crate) fn voxels(&self) -> usize {
        self.stored.iter().product::<usize>() * self.volumes
    }

    /// Whether voxels stay in their order.
    pub(crate) fn is_straight(&self) -> bool {
        self.turn == Turn::NONE
    }

    /// Whether every run of the output lies within a slice, so that a file can be converted slice by slice.
    pub(crate) fn keeps_slices(&self) -> bool {
        self.turn.from[0] != 2
    }

    /// The parts that the voxels can be converted in one after the other, of up to `most_bytes` stored bytes, but at least a slice:
    /// runs where the order stays, else some slices of a volume. Only where [runs lie in slices](Self::keeps_slices).
    pub(crate) fn parts(self, most_bytes: usize) -> impl Iterator<Item = Part> {
        let [x, y, z] = self.stored;
        // In their order, all voxels are slices of one.
        let (slice, slices) = if self.is_straight() { (1, self.voxels()) } else { (x * y, z) };
        let is_flipped = (0..3).any(|axis| self.turn.from[axis] == 2 && self.turn.flip[axis]);
        let step = (most_bytes / (slice * self.voxel_bytes).max(1)).max(1);
        let volumes = self.voxels().checked_div(slice * slices).unwrap_or(0);
        (0..volumes).flat_map(move |volume| {
            (0..slices).step_by(step).map(move |first| {
                let count = step.min(slices - first);
                let start = |slice_at: usize| (volume * slices + slice_at) * slice;
                let stored = start(first) * self.voxel_bytes..start(first + count) * self.voxel_bytes;
                if self.is_straight() {
                    let walk = Self::straight(count, self.voxel_bytes);
                    return Part { walk, stored, out: start(first)..start(first + count) };
                }
                let first_slice = if is_flipped { slices - first - count } else { first };
                let walk = Walk { stored: [x, y, count], volumes: 1, first_slice, ..self };
                Part { walk, stored, out: start(0)..start(slices) }
            })
        })
    }

    /// Calls `convert` with runs of stored voxels in the order of the output, and with their place in `dst`. Every voxel is passed
    /// once. Of a part, `dst` is the volume that it belongs to.
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
        let slice = self.stored[0] * self.stored[1];
        let (volume, out_volume) = (slice * self.stored[2], slice * self.out_slices);
        if volume == 0 {
            return;
        }
        for (src, dst) in src.chunks_exact(volume * self.voxel_bytes).zip(dst.chunks_exact_mut(out_volume)) {
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

    /// Voxels of the output from one to the next along each of its axes, and where the first voxel of this walk lies.
    fn out(&self) -> ([usize; 3], usize) {
        let extent = |axis: usize| if self.turn.from[axis] == 2 { self.out_slices } else { self.extent(axis) };
        let strides = [1, extent(0), extent(0) * extent(1)];
        let of_slices = (0..3).find(|&axis| self.turn.from[axis] == 2).map_or(0, |axis| strides[axis]);
        (strides, self.first_slice * of_slices)
    }

    fn rows<D>(&self, src: &[u8], dst: &mut [D], space: &mut Space, convert: &mut dyn FnMut(&[u8], &mut [D])) {
        let (nx, bytes, (strides, first)) = (self.stored[0], self.voxel_bytes, self.out());
        let row = |k: usize, j: usize| &src[(self.offset(2, k) + self.offset(1, j)) * bytes..][..nx * bytes];
        // Rows of the output follow each other: some are turned around, and converted at once.
        let most_rows = if self.turn.flip[0] { (TURNED / nx).max(1) } else { 1 };
        let turned = space.get(if self.turn.flip[0] { most_rows * nx * bytes } else { 0 });
        for k in 0..self.extent(2) {
            for j in (0..self.extent(1)).step_by(most_rows) {
                let rows = most_rows.min(self.extent(1) - j);
                let dst = &mut dst[first + k * strides[2] + j * strides[1]..][..rows * nx];
                if !self.turn.flip[0] {
                    convert(row(k, j), dst);
                    continue;
                }
                let turned = &mut turned[..rows * nx * bytes];
                for (i, turned) in turned.chunks_exact_mut(nx * bytes).enumerate() {
                    reverse(bytes, row(k, j + i), turned);
                }
                convert(turned, dst);
            }
        }
    }

    fn tiles<D>(&self, src: &[u8], dst: &mut [D], space: &mut Space, convert: &mut dyn FnMut(&[u8], &mut [D])) {
        let (nx, bytes) = (self.stored[0], self.voxel_bytes);
        // Output axis that stored x becomes, and the third one.
        let across = if self.turn.from[1] == 0 { 1 } else { 2 };
        let along = 3 - across;
        let (n0, (out_strides, out_first)) = (self.extent(0), self.out());
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
                        let at = out_first + k * out_strides[along] + out_x * out_strides[across] + i;
                        convert(&run[..rows * bytes], &mut dst[at..at + rows]);
                    }
                }
            }
        }
    }
}
