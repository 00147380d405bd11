//! The pass that copies a crop out of a volume: scaled, turned, with zeros where the volume ends.

use crate::{Pixel, Volume, volume::with_voxels};

use super::{augment::Turn, kernel::Voxel};

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

/// Copies a crop with z fastest; voxels outside become 0. Rows along x are read in order.
fn copy<T: Pixel, V: Voxel>(
    voxels: &[V],
    shape: [usize; 3],
    Box3 { start, size, turn }: Box3,
    (slope, inter): (f32, f32),
    out: &mut [T],
) {
    let [nx, ny, _] = shape;
    // The part of each axis of the crop that is inside.
    let inside = [0, 1, 2].map(|axis| {
        let first = (-start[axis]).clamp(0, size[axis] as i64);
        let last = (shape[axis] as i64 - start[axis]).clamp(first, size[axis] as i64);
        first as usize..last as usize
    });
    if (0..3).any(|axis| inside[axis].len() < size[axis]) {
        out.fill(T::default());
    }
    let index = |axis: usize, at: usize| (start[axis] + at as i64) as usize;
    let (first, steps) = turn.places(size);
    let place = |axis: usize, at: usize| steps[axis] * at as i64;
    for z in inside[2].clone() {
        for y in inside[1].clone() {
            let row = nx * (index(1, y) + ny * index(2, z));
            let to = first + place(1, y) + place(2, z);
            for x in inside[0].clone() {
                let value: f32 = voxels[row + index(0, x)].into();
                let at = (to + place(0, x)) as usize;
                T::store(&[slope * value + inter], &mut out[at..=at]);
            }
        }
    }
}
