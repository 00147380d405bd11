//! The pass that copies a crop out of a volume: scaled, turned, with zeros where the volume ends.

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

/// Copies a crop with z fastest, before it is turned; voxels outside become 0.
///
/// The volume has x fastest and the crop another axis, so one of both is read or written in steps of whole rows. Tiles
/// of 16 x 16 voxels turn between the two: they are read along x, and written along the crop's fastest axis.
fn copy<T: Pixel, V: Voxel>(
    voxels: &[V],
    shape: [usize; 3],
    Box3 { start, size, turn }: Box3,
    scale: (f32, f32),
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
    if inside.iter().any(std::ops::Range::is_empty) {
        return;
    }
    let (first, to) = turn.places(size);
    let from = [1, shape[0] as i64, (shape[0] * shape[1]) as i64];
    let origin = (0..3).map(|axis| from[axis] * start[axis]).sum();
    // Where x is the fastest axis of the crop, rows are, and a tile is a part of one.
    let fast = (0..3).rev().find(|&axis| to[axis].abs() == 1 && inside[axis].len() > 1).unwrap_or(0);
    let (fast, other) = match fast {
        1 => (1, 2),
        axis => (2, if axis == 0 { 1 } else { 3 - axis }),
    };
    run(Tiles { voxels, out, origin, first, from, to, inside, fast, other, scale });
}

/// A crop that is copied in tiles.
struct Tiles<'a, T, V> {
    voxels: &'a [V],
    out: &'a mut [T],
    /// Where the crop's first voxel is, or would be, in the volume, and where it goes.
    origin: i64,
    first: i64,
    /// Elements from one voxel to the next along each axis, in the volume and in the crop.
    from: [i64; 3],
    to: [i64; 3],
    inside: [std::ops::Range<usize>; 3],
    /// The axis of a tile beside x, and the third one.
    fast: usize,
    other: usize,
    scale: (f32, f32),
}

impl<T: Pixel, V: Voxel> Loop for Tiles<'_, T, V> {
    #[inline(always)]
    fn run(self) {
        let Self { voxels, out, origin, first, from, to, inside, fast, other, scale: (slope, inter) } = self;
        let place = |steps: [i64; 3], x: usize, f: usize, o: usize| {
            steps[0] * x as i64 + steps[fast] * f as i64 + steps[other] * o as i64
        };
        let mut tile = [[0.0_f32; TILE]; TILE];
        for o in inside[other].clone() {
            for f in inside[fast].clone().step_by(TILE) {
                let high = TILE.min(inside[fast].end - f);
                for x in inside[0].clone().step_by(TILE) {
                    let wide = TILE.min(inside[0].end - x);
                    for (j, row) in tile[..high].iter_mut().enumerate() {
                        let at = (origin + place(from, x, f + j, o)) as usize;
                        for (value, &voxel) in row.iter_mut().zip(&voxels[at..at + wide]) {
                            *value = slope * voxel.into() + inter;
                        }
                    }
                    for i in 0..wide {
                        let at = (first + place(to, x + i, f, o)) as usize;
                        let mut values = [0.0; TILE];
                        for (value, row) in values.iter_mut().zip(&tile[..high]) {
                            *value = row[i];
                        }
                        let values = &mut values[..high];
                        match to[fast] {
                            1 => T::store(values, &mut out[at..at + high]),
                            -1 => {
                                values.reverse();
                                T::store(values, &mut out[at + 1 - high..=at]);
                            }
                            step => {
                                for (j, value) in values.iter().enumerate() {
                                    let at = (at as i64 + step * j as i64) as usize;
                                    T::store(&[*value], &mut out[at..=at]);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
