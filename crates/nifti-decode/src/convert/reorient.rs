//! Reorientation: conversion into another order of axes, in the same pass.
//!
//! Voxels are stored x first, and the output has its first axis first. The stored voxels are moved, because they are
//! smaller than converted ones: a run of the output is gathered in a buffer that stays in a cache, and is converted
//! from there to its place. Where x stays the first axis, rows are runs, reversed if x is flipped. Where it does not,
//! tiles are transposed, and every column of a tile becomes a run. A tile has up to 512 rows, and as many voxels of
//! each as fit the second-level cache: whole rows of most volumes, so that memory is read in long stretches.

use std::ops::Range;

use super::{
    reverse::reverse,
    transpose::{Tile, transpose},
};
use crate::affine::Reorientation;

/// Voxels of a run where the order stays: 32 KiB of 16-bit voxels, so that counting them again finds them in a cache.
const RUN: usize = 16 << 10;
/// Voxels of rows that are reversed before they are converted: few enough to stay in L1.
const REVERSED: usize = 1024;
/// Bytes of a tile: part of a second-level cache.
const TILE_BYTES: usize = 128 << 10;
/// Most rows of a tile: the length of a run of the output.
const MAX_ROWS: usize = 512;

/// A tile, or some rows, of stored voxels in the order of the output. Allocated once for all parts of a traversal.
#[derive(Debug, Default)]
pub(crate) struct TileBuffer(Vec<u8>);

impl TileBuffer {
    fn get(&mut self, bytes: usize) -> &mut [u8] {
        if self.0.len() < bytes {
            self.0.resize(bytes, 0);
        }
        &mut self.0[..bytes]
    }
}

/// A part of a traversal that needs only one range of the file.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) traversal: Traversal,
    /// Bytes of the stored voxels.
    pub(crate) stored: Range<usize>,
    /// Voxels of the output that contain those of the part: its run, or its volume.
    pub(crate) out: Range<usize>,
}

/// The order in which the voxels of a stored volume, or of some slices of one, are converted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traversal {
    /// Stored extents of the three spatial axes.
    stored: [usize; 3],
    /// Volumes, one after the other.
    volumes: usize,
    pub(crate) reorientation: Reorientation,
    pub(crate) voxel_bytes: usize,
    /// Slices of a whole volume in the output.
    out_slices: usize,
    /// Index of the first slice of this part among them.
    first_slice: usize,
}

impl Traversal {
    /// All of `volumes` volumes.
    pub(crate) fn new(stored: [usize; 3], volumes: usize, reorientation: Reorientation, voxel_bytes: usize) -> Self {
        Self { stored, volumes, reorientation, voxel_bytes, out_slices: stored[2], first_slice: 0 }
    }

    /// A run of voxels in stored order.
    pub(crate) fn contiguous(voxels: usize, voxel_bytes: usize) -> Self {
        Self::new([voxels, 1, 1], 1, Reorientation::IDENTITY, voxel_bytes)
    }

    pub(crate) fn voxels(&self) -> usize {
        self.stored.iter().product::<usize>() * self.volumes
    }

    /// Whether the output has the stored order.
    pub(crate) fn keeps_order(&self) -> bool {
        self.reorientation == Reorientation::IDENTITY
    }

    /// Whether every run of the output lies within one slice, so that a file can be converted slice by slice.
    pub(crate) fn is_slicewise(&self) -> bool {
        self.reorientation.from[0] != 2
    }

    /// Splits the traversal into parts of up to `max_bytes` stored bytes, but at least a slice: runs where the order
    /// stays, else some slices of a volume. Only for [slicewise](Self::is_slicewise) traversals.
    pub(crate) fn parts(self, max_bytes: usize) -> impl Iterator<Item = Part> {
        let [x, y, z] = self.stored;
        // In stored order, every voxel counts as a slice.
        let (slice, slices) = if self.keeps_order() { (1, self.voxels()) } else { (x * y, z) };
        let is_flipped = (0..3).any(|axis| self.reorientation.from[axis] == 2 && self.reorientation.flip[axis]);
        let step = (max_bytes / (slice * self.voxel_bytes).max(1)).max(1);
        let volumes = self.voxels().checked_div(slice * slices).unwrap_or(0);
        (0..volumes).flat_map(move |volume| {
            (0..slices).step_by(step).map(move |first| {
                let count = step.min(slices - first);
                let start = |slice_at: usize| (volume * slices + slice_at) * slice;
                let stored = start(first) * self.voxel_bytes..start(first + count) * self.voxel_bytes;
                if self.keeps_order() {
                    let traversal = Self::contiguous(count, self.voxel_bytes);
                    return Part { traversal, stored, out: start(first)..start(first + count) };
                }
                let first_slice = if is_flipped { slices - first - count } else { first };
                let traversal = Traversal { stored: [x, y, count], volumes: 1, first_slice, ..self };
                Part { traversal, stored, out: start(0)..start(slices) }
            })
        })
    }

    /// Calls `convert` with runs of stored voxels in the order of the output, and with their places in `dst`. Every
    /// voxel is passed once. For a part, `dst` is the volume that contains it.
    pub(crate) fn run<D>(
        &self,
        src: &[u8],
        dst: &mut [D],
        buffer: &mut TileBuffer,
        convert: &mut dyn FnMut(&[u8], &mut [D]),
    ) {
        if self.keeps_order() {
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
            if self.reorientation.from[0] == 0 {
                self.rows(src, dst, buffer, convert);
            } else {
                self.tiles(src, dst, buffer, convert);
            }
        }
    }

    /// Strides of the stored axes, in voxels.
    fn strides(&self) -> [usize; 3] {
        [1, self.stored[0], self.stored[0] * self.stored[1]]
    }

    /// Offset in the stored volume of index `i` along output axis `axis`, in voxels.
    fn offset(&self, axis: usize, i: usize) -> usize {
        let from = self.reorientation.from[axis];
        let stored = if self.reorientation.flip[axis] { self.stored[from] - 1 - i } else { i };
        stored * self.strides()[from]
    }

    fn extent(&self, axis: usize) -> usize {
        self.stored[self.reorientation.from[axis]]
    }

    /// Strides of the output's axes in voxels, and the offset of this part's first voxel.
    fn out_layout(&self) -> ([usize; 3], usize) {
        let extent = |axis: usize| if self.reorientation.from[axis] == 2 { self.out_slices } else { self.extent(axis) };
        let strides = [1, extent(0), extent(0) * extent(1)];
        let of_slices = (0..3).find(|&axis| self.reorientation.from[axis] == 2).map_or(0, |axis| strides[axis]);
        (strides, self.first_slice * of_slices)
    }

    fn rows<D>(&self, src: &[u8], dst: &mut [D], buffer: &mut TileBuffer, convert: &mut dyn FnMut(&[u8], &mut [D])) {
        let (nx, bytes, (strides, first)) = (self.stored[0], self.voxel_bytes, self.out_layout());
        let row = |k: usize, j: usize| &src[(self.offset(2, k) + self.offset(1, j)) * bytes..][..nx * bytes];
        // Rows of the output are adjacent, so several are reversed and then converted together.
        let max_rows = if self.reorientation.flip[0] { (REVERSED / nx).max(1) } else { 1 };
        let reversed = buffer.get(if self.reorientation.flip[0] { max_rows * nx * bytes } else { 0 });
        for k in 0..self.extent(2) {
            for j in (0..self.extent(1)).step_by(max_rows) {
                let rows = max_rows.min(self.extent(1) - j);
                let dst = &mut dst[first + k * strides[2] + j * strides[1]..][..rows * nx];
                if !self.reorientation.flip[0] {
                    convert(row(k, j), dst);
                    continue;
                }
                let reversed = &mut reversed[..rows * nx * bytes];
                for (i, reversed) in reversed.chunks_exact_mut(nx * bytes).enumerate() {
                    reverse(bytes, row(k, j + i), reversed);
                }
                convert(reversed, dst);
            }
        }
    }

    fn tiles<D>(&self, src: &[u8], dst: &mut [D], buffer: &mut TileBuffer, convert: &mut dyn FnMut(&[u8], &mut [D])) {
        let (nx, bytes) = (self.stored[0], self.voxel_bytes);
        // The output axis that stored x becomes, and the remaining one.
        let across = if self.reorientation.from[1] == 0 { 1 } else { 2 };
        let along = 3 - across;
        let (n0, (out_strides, out_first)) = (self.extent(0), self.out_layout());
        let max_rows = n0.min(MAX_ROWS);
        let max_columns = (TILE_BYTES / Tile::column_bytes(max_rows, bytes)).clamp(1, nx);
        let transposed = buffer.get(max_columns * Tile::column_bytes(max_rows, bytes));
        // A flipped axis has negative steps. Offsets fit an isize, because a slice has at most isize::MAX bytes.
        let offset = |axis, i| (self.offset(axis, i) * bytes) as isize;
        let step = offset(0, 1.min(n0 - 1)) - offset(0, 0);
        for k in 0..self.extent(along) {
            for x in (0..nx).step_by(max_columns) {
                let columns = max_columns.min(nx - x);
                for i in (0..n0).step_by(MAX_ROWS) {
                    let rows = MAX_ROWS.min(n0 - i);
                    let first = (offset(along, k) + offset(0, i)) as usize + x * bytes;
                    transpose(bytes, src, &Tile { first, step, rows, columns }, transposed);
                    for (c, run) in transposed.chunks(Tile::column_bytes(rows, bytes)).take(columns).enumerate() {
                        // A flipped x counts from the other end.
                        let out_x = if self.reorientation.flip[across] { nx - 1 - x - c } else { x + c };
                        let at = out_first + k * out_strides[along] + out_x * out_strides[across] + i;
                        convert(&run[..rows * bytes], &mut dst[at..at + rows]);
                    }
                }
            }
        }
    }
}
