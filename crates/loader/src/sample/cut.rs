//! The pass that copies a crop out of a volume: scaled, turned, with zeros where the volume ends.

use std::ops::Range;

use crate::{Pixel, Volume, volume::with_voxels};

use super::{
    augment::Turn,
    kernel::{Loop, Voxel, run},
};

/// A crop, and how it is turned while it is copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Box3 {
    /// Its first voxel; negative where zeros come first.
    pub(super) start: [i64; 3],
    /// Voxels along x, y and z, before it is turned.
    pub(super) size: [usize; 3],
    pub(super) turn: Turn,
}

pub(super) fn image<T: Pixel>(volume: &Volume, area: Box3, out: &mut [T]) {
    let scale = (volume.scale().slope as f32, volume.scale().inter as f32);
    with_voxels!(volume.voxels(), voxels => copy(voxels, volume.shape(), area, scale, out));
}

/// The labels of a volume that has some.
pub(super) fn labels<T: Pixel>(volume: &Volume, area: Box3, out: &mut [T]) {
    if let Some(labels) = volume.labels() {
        copy(labels, volume.shape(), area, (1.0, 0.0), out);
    }
}

/// Voxels along both sides of a tile.
const TILE: usize = 16;
/// Voxels of a run: what is converted at a time where x stays the fastest axis.
const RUN: usize = 128;

/// Copies a crop with z fastest, before it is turned; voxels outside become 0.
///
/// The volume has x fastest. Where the crop, once it is turned, has x fastest, too, rows are copied. Else one of both
/// is read or written in steps of whole rows: tiles of 16 x 16 voxels turn between the two. They are read along x, and
/// written along the crop's fastest axis.
fn copy<T: Pixel, V: Voxel>(
    voxels: &[V],
    shape: [usize; 3],
    Box3 { start, size, turn }: Box3,
    (slope, inter): (f32, f32),
    out: &mut [T],
) {
    // The part of each axis of the crop that is inside.
    let inside = [0, 1, 2].map(|axis| {
        let first = (-start[axis]).clamp(0, size[axis] as i64);
        let last = (shape[axis] as i64 - start[axis]).clamp(first, size[axis] as i64);
        first as usize..last as usize
    });
    if (0..3).any(|axis| inside[axis].len() < size[axis]) {
        out.fill(T::default());
    }
    if inside.iter().any(Range::is_empty) {
        return;
    }
    let (first, to) = turn.places(size);
    let from = [1, shape[0] as i64, (shape[0] * shape[1]) as i64];
    let origin = (0..3).map(|axis| from[axis] * start[axis]).sum();
    // Axes of one voxel have steps of 1, too: the longest run is wanted.
    let fastest = (0..3).rev().filter(|&axis| to[axis].abs() == 1).max_by_key(|&axis| inside[axis].len()).unwrap_or(2);
    let cut = Cut { voxels, out, origin, first, from, to, inside, slope, inter };
    if fastest == 0 { run(Rows(cut)) } else { run(Tiles { cut, fast: fastest }) }
}

/// A crop that is copied.
struct Cut<'a, T, V> {
    voxels: &'a [V],
    out: &'a mut [T],
    /// Where the crop's first voxel is, or would be, in the volume, and where it goes.
    origin: i64,
    first: i64,
    /// Elements from one voxel to the next along each axis, in the volume and in the crop.
    from: [i64; 3],
    to: [i64; 3],
    inside: [Range<usize>; 3],
    slope: f32,
    inter: f32,
}

impl<T: Pixel, V: Voxel> Cut<'_, T, V> {
    #[inline(always)]
    fn place(first: i64, steps: [i64; 3], voxel: [usize; 3]) -> usize {
        (first + (0..3).map(|axis| steps[axis] * voxel[axis] as i64).sum::<i64>()) as usize
    }

    /// Scaled voxels along x, from this voxel of the crop on.
    #[inline(always)]
    fn read(&self, voxel: [usize; 3], values: &mut [f32]) {
        let at = Self::place(self.origin, self.from, voxel);
        let voxels = &self.voxels[at..at + values.len()];
        for (value, &voxel) in values.iter_mut().zip(voxels) {
            *value = self.slope * voxel.into() + self.inter;
        }
    }

    /// Writes values along an axis of the crop whose elements are adjacent, perhaps backward.
    #[inline(always)]
    fn write(&mut self, voxel: [usize; 3], axis: usize, values: &mut [f32]) {
        let (at, count) = (Self::place(self.first, self.to, voxel), values.len());
        if self.to[axis] == 1 {
            T::store(values, &mut self.out[at..at + count]);
        } else {
            values.reverse();
            T::store(values, &mut self.out[at + 1 - count..=at]);
        }
    }
}

/// A crop that is copied row by row.
struct Rows<'a, T, V>(Cut<'a, T, V>);

impl<T: Pixel, V: Voxel> Loop for Rows<'_, T, V> {
    #[inline(always)]
    fn run(self) {
        let Self(mut cut) = self;
        let [xs, ys, zs] = cut.inside.clone();
        let mut values = [0.0_f32; RUN];
        for z in zs {
            for y in ys.clone() {
                for x in xs.clone().step_by(RUN) {
                    let values = &mut values[..RUN.min(xs.end - x)];
                    cut.read([x, y, z], values);
                    cut.write([x, y, z], 0, values);
                }
            }
        }
    }
}

/// A crop that is copied in tiles of x and its fastest axis.
struct Tiles<'a, T, V> {
    cut: Cut<'a, T, V>,
    /// 1 or 2.
    fast: usize,
}

impl<T: Pixel, V: Voxel> Loop for Tiles<'_, T, V> {
    #[inline(always)]
    fn run(self) {
        let Self { mut cut, fast } = self;
        let other = 3 - fast;
        let [xs, fasts, others] = [0, fast, other].map(|axis| cut.inside[axis].clone());
        let at = |x: usize, f: usize, o: usize| if fast == 2 { [x, o, f] } else { [x, f, o] };
        let mut tile = [[0.0_f32; TILE]; TILE];
        for o in others {
            for f in fasts.clone().step_by(TILE) {
                let high = TILE.min(fasts.end - f);
                for x in xs.clone().step_by(TILE) {
                    let wide = TILE.min(xs.end - x);
                    for (j, row) in tile[..high].iter_mut().enumerate() {
                        cut.read(at(x, f + j, o), &mut row[..wide]);
                    }
                    for i in 0..wide {
                        let mut values = [0.0; TILE];
                        for (value, row) in values.iter_mut().zip(&tile[..high]) {
                            *value = row[i];
                        }
                        cut.write(at(x + i, f, o), fast, &mut values[..high]);
                    }
                }
            }
        }
    }
}
