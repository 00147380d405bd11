//! Crops of the voxel grid, by MONAI's definitions: random, centered, and by label.
//!
//! Crops show scaled values. A volume that is smaller than the crop along an axis counts as padded with 0 first, by
//! half of what lacks before it and the rest behind (MONAI's `SpatialPad`, `symmetric`). A sample has the axes
//! [channel, x, y, z], z fastest, as MONAI's arrays: channel 0 is the image, channel 1, where there is one, the labels.

use op::random::Random;

use crate::{LoaderError, Pixel, Sampler, Volume};

use super::{
    augment::Turn,
    cut::{self, Box3},
};

/// Where a crop lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crop {
    /// Its first voxel in the volume; negative where it was padded.
    pub start: [i64; 3],
    /// Whether its center was chosen for its label; `None` where labels do not matter.
    pub is_positive: Option<bool>,
}

/// A rule that says where crops lie. Each is a [`Sampler`] of the crops themselves.
pub trait Place: Send + Sync + 'static {
    /// Voxels along x, y and z.
    fn size(&self) -> [usize; 3];

    /// Whether a sample shows the labels, in a channel of its own.
    fn has_labels(&self) -> bool {
        false
    }

    /// Where the next crop lies.
    ///
    /// # Errors
    /// [`LoaderError::NoLabels`].
    fn place(&self, volume: &Volume, random: &mut Random) -> Result<Crop, LoaderError>;
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

impl Place for RandomCrop {
    fn size(&self) -> [usize; 3] {
        self.size
    }

    fn place(&self, volume: &Volume, random: &mut Random) -> Result<Crop, LoaderError> {
        let start = [0, 1, 2].map(|axis| match volume.shape()[axis].checked_sub(self.size[axis]) {
            Some(room) => random.below(room + 1) as i64,
            None => padded(volume, self.size, axis),
        });
        Ok(Crop { start, is_positive: None })
    }
}

impl Place for CenterCrop {
    fn size(&self) -> [usize; 3] {
        self.size
    }

    fn place(&self, volume: &Volume, _: &mut Random) -> Result<Crop, LoaderError> {
        let start = [0, 1, 2].map(|axis| around(volume, self.size, axis, volume.shape()[axis] / 2));
        Ok(Crop { start, is_positive: None })
    }
}

impl Place for PosNegCrop {
    fn size(&self) -> [usize; 3] {
        self.size
    }

    fn has_labels(&self) -> bool {
        true
    }

    fn place(&self, volume: &Volume, random: &mut Random) -> Result<Crop, LoaderError> {
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
        Ok(Crop { start, is_positive: Some(is_positive) })
    }
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

/// Extents of the samples of a rule: [channels, x, y, z].
pub(super) fn shape(place: &impl Place) -> Vec<usize> {
    let [x, y, z] = place.size();
    vec![1 + usize::from(place.has_labels()), x, y, z]
}

impl<P: Place> Sampler for P {
    type Label = Crop;

    fn shape(&self) -> Vec<usize> {
        shape(self)
    }

    fn sample<T: Pixel>(
        &self,
        volume: &Volume,
        random: &mut Random,
        out: &mut [T],
        label: &mut Crop,
    ) -> Result<(), LoaderError> {
        *label = self.place(volume, random)?;
        let area = Box3 { start: label.start, size: self.size(), turn: Turn::NONE };
        let (image, labels) = out.split_at_mut(self.size().iter().product());
        cut::image(volume, area, image);
        if self.has_labels() {
            cut::labels(volume, area, labels);
        }
        Ok(())
    }
}
