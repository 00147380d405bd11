//! Conversion into another order of axes, in the same pass.
//!
//! Voxels are stored x first, and so is the output. Where x stays the first axis, rows are converted one by one to where
//! they belong, through a buffer if x is flipped. Where it does not, tiles are: 64 stored voxels from each of up to 512 rows are
//! converted into a tile that stays in the second-level cache, and every column of it becomes a run of the output. The rows
//! of a tile lie far apart, where no hardware prefetcher finds them; so while a tile is converted, the next one is fetched.

use std::ops::Range;

use bytemuck::Pod;

use super::transpose::{TileShape, Transpose};
use crate::affine::Turn;

/// Voxels of a run where the order stays: 32 KiB of 16-bit voxels, so that a second look at them finds them in a cache.
const RUN: usize = 16 << 10;
/// Columns of a tile: a run of the input, two cache lines of 16-bit voxels.
const COLUMNS: usize = 64;
/// Rows of a tile at most: a run of the output.
const MOST_ROWS: usize = 512;
/// A cache line, which is what is fetched ahead.
const LINE: usize = 64;

/// Two tiles, or a row: what a turn needs besides its output. Made once, for all parts of a walk.
#[derive(Debug)]
pub(crate) struct Space<D>(Vec<D>);

impl<D: Pod> Space<D> {
    /// Empty; it takes what the first turn needs.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    fn get(&mut self, len: usize) -> &mut [D] {
        if self.0.len() < len {
            self.0.resize(len, D::zeroed());
        }
        &mut self.0[..len]
    }
}

/// How the voxels of a walk are converted and reach their place.
pub(crate) trait Convert<D> {
    /// Converts a run to its place in the output.
    fn run(&mut self, src: &[u8], dst: &mut [D]);
    /// Converts a run into a buffer that is read again at once.
    fn run_into_buffer(&mut self, src: &[u8], buffer: &mut [D]);
    /// Copies converted voxels to their place in the output.
    fn place(&mut self, run: &[D], dst: &mut [D]);
    /// How tiles are transposed.
    fn transpose(&self) -> Transpose;
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

    /// Converts all stored voxels to their places in `dst`, each once.
    pub(crate) fn run<D: Pod>(&self, src: &[u8], dst: &mut [D], space: &mut Space<D>, convert: &mut dyn Convert<D>) {
        if self.is_straight() {
            for (src, dst) in src.chunks(RUN * self.voxel_bytes).zip(dst.chunks_mut(RUN)) {
                convert.run(src, dst);
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

    fn rows<D: Pod>(&self, src: &[u8], dst: &mut [D], space: &mut Space<D>, convert: &mut dyn Convert<D>) {
        let (nx, bytes) = (self.stored[0], self.voxel_bytes);
        let turned = space.get(if self.turn.flip[0] { nx.min(RUN) } else { 0 });
        let mut rows = dst.chunks_exact_mut(nx);
        for k in 0..self.extent(2) {
            for j in 0..self.extent(1) {
                let start = (self.offset(2, k) + self.offset(1, j)) * bytes;
                let (src, Some(dst)) = (&src[start..start + nx * bytes], rows.next()) else { return };
                if !self.turn.flip[0] {
                    convert.run(src, dst);
                    continue;
                }
                // From the far end, so that runs stay in the nearest cache however long a row is.
                for (src, dst) in src.chunks(RUN * bytes).zip(dst.rchunks_mut(RUN)) {
                    let run = &mut turned[..dst.len()];
                    convert.run_into_buffer(src, run);
                    run.reverse();
                    convert.place(run, dst);
                }
            }
        }
    }

    fn tiles<D: Pod>(&self, src: &[u8], dst: &mut [D], space: &mut Space<D>, convert: &mut dyn Convert<D>) {
        let (nx, bytes, transpose) = (self.stored[0], self.voxel_bytes, convert.transpose());
        // Output axis that stored x becomes, and the third one.
        let across = if self.turn.from[1] == 0 { 1 } else { 2 };
        let along = 3 - across;
        let (n0, out_strides) = (self.extent(0), [1, self.extent(0), self.extent(0) * self.extent(1)]);
        let most = n0.min(MOST_ROWS) * COLUMNS;
        let (tile, turned) = space.get(2 * most).split_at_mut(most);
        // Bytes from the row of one output to that of the next; where a flip walks down, they are "negative".
        let row_bytes = self.offset(0, 1.min(n0 - 1)).wrapping_sub(self.offset(0, 0)).wrapping_mul(bytes);
        for k in 0..self.extent(along) {
            for x in (0..nx).step_by(COLUMNS) {
                let columns = COLUMNS.min(nx - x);
                // The same rows of the next tile: further along them, or in the next plane.
                let next = match (x + COLUMNS < nx, k + 1 < self.extent(along)) {
                    (true, _) => Some(self.offset(along, k) + x + COLUMNS),
                    (false, true) => Some(self.offset(along, k + 1)),
                    (false, false) => None,
                };
                for i in (0..n0).step_by(MOST_ROWS) {
                    let rows = MOST_ROWS.min(n0 - i);
                    let mut start = (self.offset(along, k) + self.offset(0, i) + x) * bytes;
                    let ahead = next.map(|next| ((next + self.offset(0, i)) * bytes).wrapping_sub(start));
                    for row in tile.chunks_exact_mut(COLUMNS).take(rows) {
                        if let Some(ahead) = ahead {
                            let next = start.wrapping_add(ahead);
                            for line in 0..(COLUMNS * bytes).div_ceil(LINE) {
                                transpose.fetch(src, next + line * LINE);
                            }
                        }
                        convert.run_into_buffer(&src[start..start + columns * bytes], &mut row[..columns]);
                        start = start.wrapping_add(row_bytes);
                    }
                    transpose.run(tile, TileShape { rows, columns, tile_row: COLUMNS, turned_row: rows }, turned);
                    for (c, run) in turned.chunks_exact(rows).take(columns).enumerate() {
                        // A flipped x counts from the other end.
                        let out_x = if self.turn.flip[across] { nx - 1 - x - c } else { x + c };
                        let at = k * out_strides[along] + out_x * out_strides[across] + i;
                        convert.place(run, &mut dst[at..at + rows]);
                    }
                }
            }
        }
    }
}
