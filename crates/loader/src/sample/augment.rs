//! Random changes of crops: flips, rotations by right angles, noise, gamma; each by MONAI's definition.
//!
//! Flips and rotations only change where a voxel is written while the crop is copied, so they cost nothing. Gamma needs
//! the smallest and the largest value of the crop, which the pass of the noise finds.

use std::cell::RefCell;

use op::random::Random;

use crate::{LoaderError, Pixel, Sampler, Volume};

use super::{
    crop::{self, Crop, Place},
    cut::{self, Box3},
    kernel::{self, Loop},
    power, uniform,
};

/// What may happen to a crop, in this order. Nothing does if nothing is asked for.
///
/// Each change draws its own random numbers, of the sample's stream and in this order, whether or not it happens.
/// Labels are flipped and rotated as their image; noise and gamma leave them alone.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Augment {
    flips: [f64; 3],
    rotation: Option<(f64, [usize; 2])>,
    noise: Option<Noise>,
    gamma: Option<(f64, [f64; 2])>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Noise {
    probability: f64,
    mean: f64,
    std: f64,
}

impl Augment {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Flips x, y and z, each with a probability of its own: three of MONAI's `RandFlip(prob, spatial_axis)`.
    #[must_use]
    pub fn flips(self, probabilities: [f64; 3]) -> Self {
        Self { flips: probabilities, ..self }
    }

    /// MONAI's `RandRotate90(prob, max_k=3, spatial_axes)`: `numpy.rot90` by one to three right angles, from the first
    /// axis toward the second. The crop has as many voxels along both.
    #[must_use]
    pub fn rotations(self, probability: f64, axes: [usize; 2]) -> Self {
        Self { rotation: Some((probability, axes)), ..self }
    }

    /// MONAI's `RandGaussianNoise(prob, mean, std)`: normal noise whose standard deviation is uniform in 0 to `std`.
    ///
    /// A number is the sum of eight uniform ones of 16 bits, so that every machine gives the same bits: kurtosis 2.85
    /// where a normal distribution has 3, and nothing beyond 4.9 standard deviations.
    #[must_use]
    pub fn noise(self, probability: f64, mean: f64, std: f64) -> Self {
        Self { noise: Some(Noise { probability, mean, std }), ..self }
    }

    /// MONAI's `RandAdjustContrast(prob, gamma)`, gamma uniform in a range: ((v - min) / (max - min + 1e-7))^gamma ·
    /// (max - min) + min, with the smallest and largest value of the crop.
    #[must_use]
    pub fn gamma(self, probability: f64, range: [f64; 2]) -> Self {
        Self { gamma: Some((probability, range)), ..self }
    }

    fn check(&self, size: [usize; 3]) -> Result<(), LoaderError> {
        let refuse = |option, got: String, need| Err(LoaderError::Option { option, got, need });
        let noise = self.noise.map_or([0.0; 3], |noise| [noise.probability, noise.mean, noise.std]);
        let of_rotation = self.rotation.map_or(0.0, |(probability, _)| probability);
        let (of_gamma, [low, high]) = self.gamma.unwrap_or((0.0, [1.0; 2]));
        let probabilities = [self.flips[0], self.flips[1], self.flips[2], of_rotation, noise[0], of_gamma];
        if let Some(wrong) = probabilities.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return refuse("probability", wrong.to_string(), "a number from 0 to 1");
        }
        if !(noise[1].is_finite() && noise[2].is_finite() && noise[2] >= 0.0) {
            return refuse("noise", format!("mean {}, std {}", noise[1], noise[2]), "finite numbers, std not negative");
        }
        if !(low > 0.0 && low <= high && high.is_finite()) {
            return refuse("gamma", format!("{low}..{high}"), "0 < low <= high");
        }
        match self.rotation {
            Some((_, [a, b])) if a == b || a > 2 || b > 2 => {
                refuse("axes of rotations", format!("{a} and {b}"), "two of 0, 1 and 2")
            }
            Some((_, [a, b])) if size[a] != size[b] => {
                refuse("rotations", format!("crops of {size:?}"), "as many voxels along both axes")
            }
            _ => Ok(()),
        }
    }

    /// What happens to one crop.
    pub(crate) fn draw(&self, random: &mut Random) -> Changes {
        let mut happens = |probability: f64| random.unit() < probability;
        let is_flipped = self.flips.map(&mut happens);
        let rotation = self.rotation.map(|(probability, axes)| (happens(probability), axes));
        let mut turn = Turn { is_flipped, ..Turn::NONE };
        if let Some((is_turned, axes)) = rotation {
            let quarters = 1 + random.below(3);
            if is_turned {
                (0..quarters).for_each(|_| turn.quarter(axes));
            }
        }
        let noise = self.noise.map(|Noise { probability, mean, std }| {
            let happens = random.unit() < probability;
            let (std, seed) = (uniform(random, 0.0, std), random.bits());
            happens.then_some(DrawnNoise { mean: mean as f32, std: std as f32, seed })
        });
        let gamma = self.gamma.map(|(probability, [low, high])| {
            let happens = random.unit() < probability;
            let gamma = uniform(random, low, high);
            happens.then_some(gamma as f32)
        });
        Changes { turn, noise: noise.flatten(), gamma: gamma.flatten() }
    }
}

/// How a crop is turned: its axis a becomes axis `order[a]` of the sample, reversed where `is_flipped[a]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Axis of the sample for each axis of the crop.
    pub order: [usize; 3],
    /// Whether it runs backward.
    pub is_flipped: [bool; 3],
}

impl Turn {
    /// As it is.
    pub const NONE: Self = Self { order: [0, 1, 2], is_flipped: [false; 3] };

    /// One more right angle: `numpy.rot90(m, 1, axes)`, which reverses the second axis and then swaps both.
    fn quarter(&mut self, [a, b]: [usize; 2]) {
        for axis in 0..3 {
            if self.order[axis] == b {
                self.is_flipped[axis] = !self.is_flipped[axis];
                self.order[axis] = a;
            } else if self.order[axis] == a {
                self.order[axis] = b;
            }
        }
    }

    /// Where the first voxel of a crop lies in its sample, z fastest, and the steps along x, y and z. Axes that change
    /// places have the same extent.
    pub(super) fn places(self, size: [usize; 3]) -> (i64, [i64; 3]) {
        let strides = [size[1] * size[2], size[2], 1].map(|stride| stride as i64);
        let mut first = 0;
        let steps = [0, 1, 2].map(|axis| {
            let stride = strides[self.order[axis]];
            if self.is_flipped[axis] {
                first += stride * (size[axis] as i64 - 1);
                -stride
            } else {
                stride
            }
        });
        (first, steps)
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self::NONE
    }
}

/// What happened to one crop.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Changes {
    /// Flips and rotation.
    pub turn: Turn,
    /// The noise that was added.
    pub noise: Option<DrawnNoise>,
    /// The exponent.
    pub gamma: Option<f32>,
}

/// Noise of one crop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrawnNoise {
    /// Its mean.
    pub mean: f32,
    /// Its standard deviation.
    pub std: f32,
    /// Of the random numbers: voxel i in the order of the sample has the i-th.
    pub seed: u64,
}

impl DrawnNoise {
    /// The noise of all voxels, without end.
    pub fn values(self) -> impl Iterator<Item = f32> {
        let mut random = Random::new(self.seed);
        let half = std::f32::consts::FRAC_1_SQRT_2 * self.std;
        std::iter::repeat_with(move || (random.normal() + random.normal()) * half + self.mean)
    }
}

/// Crops of a rule, changed at random.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmented<P> {
    place: P,
    augment: Augment,
}

impl<P: Place> Augmented<P> {
    /// Crops where `place` says, changed as `augment` says.
    ///
    /// # Errors
    /// [`LoaderError::Option`] for an option that means nothing, and for rotations of crops that are not square.
    pub fn new(place: P, augment: Augment) -> Result<Self, LoaderError> {
        augment.check(place.size())?;
        Ok(Self { place, augment })
    }
}

impl<P: Place> Sampler for Augmented<P> {
    type Label = (Crop, Changes);

    fn shape(&self) -> Vec<usize> {
        crop::shape(&self.place)
    }

    fn sample<T: Pixel>(
        &self,
        volume: &Volume,
        random: &mut Random,
        out: &mut [T],
        label: &mut (Crop, Changes),
    ) -> Result<(), LoaderError> {
        // A crop in f32, used again by all samples of a thread.
        thread_local! { static VALUES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) } }
        let (place, size) = (&self.place, self.place.size());
        *label = (place.place(volume, random)?, self.augment.draw(random));
        let (crop, changes) = label;
        let area = Box3 { start: crop.start, size, turn: changes.turn };
        let (image, labels) = out.split_at_mut(size.iter().product());
        if changes.noise.is_none() && changes.gamma.is_none() {
            cut::image(volume, area, image);
        } else {
            VALUES.with_borrow_mut(|values| {
                values.resize(image.len(), 0.0);
                cut::image(volume, area, values);
                change(values, changes);
                T::store(values, image);
            });
        }
        if place.has_labels() {
            cut::labels(volume, area, labels);
        }
        Ok(())
    }
}

/// Adds the noise, then applies gamma.
fn change(values: &mut [f32], changes: &Changes) {
    if let Some(noise) = changes.noise {
        values.iter_mut().zip(noise.values()).for_each(|(value, noise)| *value += noise);
    }
    if let Some(gamma) = changes.gamma {
        let mut bounds = [f32::INFINITY, f32::NEG_INFINITY];
        kernel::run(Bounds { values, bounds: &mut bounds });
        let [min, max] = bounds;
        kernel::run(Gamma { values, gamma, min, range: max - min });
    }
}

struct Bounds<'a> {
    values: &'a [f32],
    bounds: &'a mut [f32; 2],
}

impl Loop for Bounds<'_> {
    #[inline(always)]
    fn run(self) {
        // Eight at a time, which the compiler makes a vector.
        let mut bounds = [[f32::INFINITY; 8], [f32::NEG_INFINITY; 8]];
        let (groups, rest) = self.values.as_chunks::<8>();
        for group in groups {
            for lane in 0..8 {
                bounds[0][lane] = if group[lane] < bounds[0][lane] { group[lane] } else { bounds[0][lane] };
                bounds[1][lane] = if group[lane] > bounds[1][lane] { group[lane] } else { bounds[1][lane] };
            }
        }
        *self.bounds = [
            bounds[0].iter().chain(rest).copied().fold(f32::INFINITY, f32::min),
            bounds[1].iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max),
        ];
    }
}

struct Gamma<'a> {
    values: &'a mut [f32],
    gamma: f32,
    min: f32,
    range: f32,
}

impl Loop for Gamma<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { values, gamma, min, range } = self;
        let inverse = 1.0 / (range + 1e-7);
        for value in values {
            *value = power::of((*value - min) * inverse, gamma) * range + min;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.rot90(numpy.arange(12).reshape(2, 2, 3), k, (0, 1))` and for flips before it.
    #[test]
    fn turns_are_those_of_numpy() {
        let sample = |turn: Turn| {
            let (first, steps) = turn.places([2, 2, 3]);
            let mut out = [0; 12];
            for i in 0..12_i64 {
                let at = first + steps[0] * (i / 6) + steps[1] * (i / 3 % 2) + steps[2] * (i % 3);
                out[at as usize] = i;
            }
            out
        };
        let mut turn = Turn::NONE;
        turn.quarter([0, 1]);
        assert_eq!(sample(turn), [3, 4, 5, 9, 10, 11, 0, 1, 2, 6, 7, 8]);
        turn.quarter([0, 1]);
        assert_eq!(sample(turn), [9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2]);
        let mut flipped = Turn { is_flipped: [true, false, false], ..Turn::NONE };
        assert_eq!(sample(flipped), [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]);
        flipped.quarter([0, 1]);
        assert_eq!(sample(flipped), [9, 10, 11, 3, 4, 5, 6, 7, 8, 0, 1, 2]);
    }

    #[test]
    fn options_that_mean_nothing_are_refused() {
        let place = crate::CenterCrop { size: [4, 4, 5] };
        let refused = |augment: Augment| Augmented::new(place, augment).is_err();
        assert!(refused(Augment::new().flips([0.5, 1.5, 0.0])));
        assert!(refused(Augment::new().rotations(0.5, [1, 2])));
        assert!(refused(Augment::new().rotations(0.5, [1, 1])));
        assert!(refused(Augment::new().rotations(0.5, [0, 3])));
        assert!(refused(Augment::new().noise(0.5, 0.0, -1.0)));
        assert!(refused(Augment::new().gamma(0.5, [0.0, 1.0])));
        assert!(refused(Augment::new().gamma(f64::NAN, [1.0, 2.0])));
        assert!(!refused(Augment::new().rotations(0.5, [0, 1]).gamma(0.1, [0.5, 4.5]).noise(1.0, 0.0, 0.1)));
    }
}
