//! Crops of the voxel grid, by MONAI's definitions: random, centered, and by label.
//!
//! Crops show scaled values. A volume that is smaller than the crop along an axis counts as padded with 0 first, by
//! half of what lacks before it and the rest behind (MONAI's `SpatialPad`, `symmetric`). A sample has the axes
//! [channel, x, y, z], z fastest, as MONAI's arrays: channel 0 is the image, channel 1, where there is one, the labels.

use op::random::Random;

use crate::{LoaderError, Pixel, Sampler, Volume, volume::with_voxels};

use super::kernel::Voxel;

/// Where a crop lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crop {
    /// Its first voxel in the volume; negative where it was padded.
    pub start: [i64; 3],
    /// Whether its center was chosen for its label; `None` where labels do not matter.
    pub is_positive: Option<bool>,
}

/// A crop at a place that is uniform among all that fit: MONAI's `RandSpatialCrop(roi_size, random_size=False)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomCrop {
    /// Voxels along x, y and z, at least 1.
    pub size: [usize; 3],
}

/// The crop around voxel extent / 2: MONAI's `CenterSpatialCrop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CenterCrop {
    /// Voxels along x, y and z, at least 1.
    pub size: [usize; 3],
}

/// A crop and its labels, around a voxel with a label other than 0 with the probability positive / (positive +
/// negative), else around one with label 0: MONAI's `RandCropByPosNegLabel`. The center is moved so that the crop is
/// inside. Where there is no voxel of a class, the other is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PosNegCrop {
    /// Voxels along x, y and z, at least 1.
    pub size: [usize; 3],
    /// Weight of centers with a label.
    pub positive: f64,
    /// Weight of centers without.
    pub negative: f64,
}

impl Sampler for RandomCrop {
    type Label = Crop;

    fn shape(&self) -> Vec<usize> {
        shape(1, self.size)
    }

    fn sample<T: Pixel>(
        &self,
        volume: &Volume,
        random: &mut Random,
        out: &mut [T],
        label: &mut Crop,
    ) -> Result<(), LoaderError> {
        let start = [0, 1, 2].map(|axis| match volume.shape()[axis].checked_sub(self.size[axis]) {
            Some(room) => random.below(room + 1) as i64,
            None => padded(volume, self.size, axis),
        });
        *label = Crop { start, is_positive: None };
        image(volume, start, self.size, out);
        Ok(())
    }
}

impl Sampler for CenterCrop {
    type Label = Crop;

    fn shape(&self) -> Vec<usize> {
        shape(1, self.size)
    }

    fn sample<T: Pixel>(
        &self,
        volume: &Volume,
        _: &mut Random,
        out: &mut [T],
        label: &mut Crop,
    ) -> Result<(), LoaderError> {
        let start = [0, 1, 2].map(|axis| around(volume, self.size, axis, volume.shape()[axis] / 2));
        *label = Crop { start, is_positive: None };
        image(volume, start, self.size, out);
        Ok(())
    }
}

impl Sampler for PosNegCrop {
    type Label = Crop;

    fn shape(&self) -> Vec<usize> {
        shape(2, self.size)
    }

    fn sample<T: Pixel>(
        &self,
        volume: &Volume,
        random: &mut Random,
        out: &mut [T],
        label: &mut Crop,
    ) -> Result<(), LoaderError> {
        let (Some(labels), Some(classes)) = (volume.labels(), volume.classes()) else {
            return Err(LoaderError::NoLabels);
        };
        let wants_positive = random.unit() * (self.positive + self.negative) < self.positive;
        let is_positive = (wants_positive && classes.positive() > 0) || classes.negative() == 0;
        let count = if is_positive { classes.positive() } else { classes.negative() };
        let center = classes.find(labels, is_positive, random.below(count as usize) as u64).unwrap_or(0);
        let [nx, ny, _] = volume.shape();
        let center = [center % nx, center / nx % ny, center / nx / ny];
        let start = [0, 1, 2].map(|axis| around(volume, self.size, axis, center[axis]));
        *label = Crop { start, is_positive: Some(is_positive) };
        let (values, marks) = out.split_at_mut(out.len() / 2);
        image(volume, start, self.size, values);
        copy(labels, volume.shape(), (start, self.size), (1.0, 0.0), marks);
        Ok(())
    }
}

fn shape(channels: usize, [x, y, z]: [usize; 3]) -> Vec<usize> {
    vec![channels, x, y, z]
}

/// The start where the volume is smaller than the crop.
fn padded(volume: &Volume, size: [usize; 3], axis: usize) -> i64 {
    -((size[axis].saturating_sub(volume.shape()[axis]) / 2) as i64)
}

/// The start of a crop around `center`, moved inside.
fn around(volume: &Volume, size: [usize; 3], axis: usize, center: usize) -> i64 {
    match volume.shape()[axis].checked_sub(size[axis]) {
        Some(room) => center.saturating_sub(size[axis] / 2).min(room) as i64,
        None => padded(volume, size, axis),
    }
}

fn image<T: Pixel>(volume: &Volume, start: [i64; 3], size: [usize; 3], out: &mut [T]) {
    let scale = (volume.scale().slope as f32, volume.scale().inter as f32);
    with_voxels!(volume.voxels(), voxels => copy(voxels, volume.shape(), (start, size), scale, out));
}

/// Copies a crop with z fastest; voxels outside become 0. Rows along x are read in order.
fn copy<T: Pixel, V: Voxel>(
    voxels: &[V],
    shape: [usize; 3],
    (start, size): ([i64; 3], [usize; 3]),
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
    for z in inside[2].clone() {
        for y in inside[1].clone() {
            let row = nx * (index(1, y) + ny * index(2, z));
            for x in inside[0].clone() {
                let value: f32 = voxels[row + index(0, x)].into();
                let at = z + size[2] * (y + size[1] * x);
                T::store(&[slope * value + inter], &mut out[at..=at]);
            }
        }
    }
}
