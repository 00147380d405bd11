//! What a sample is: the trait of samplers, types of pixels, random numbers.

pub(crate) mod asymmetric;
pub(crate) mod augment;
pub(crate) mod classes;
pub(crate) mod crop;
mod cut;
pub(crate) mod kernel;
mod plane;
mod power;
mod rotated;

use half::{f16, slice::HalfFloatSliceExt};
use op::random::{Random, SplitMix64};

use crate::{LoaderError, Volume};

/// Makes samples of one size from volumes.
pub trait Sampler: Send + Sync + 'static {
    /// What a sample carries beside its pixels. Values are used again: [`sample`](Self::sample) overwrites them.
    type Label: Default + Clone + Send + 'static;

    /// Extents of a sample, the slowest axis first.
    fn shape(&self) -> Vec<usize>;

    /// Makes a sample of `volume`. `out` has the elements of [`shape`](Self::shape) and unspecified content; every
    /// element must be written. Nothing but `volume` and `random` may influence the result.
    ///
    /// # Errors
    /// A volume that lacks what the sampler needs.
    fn sample<T: Pixel>(
        &self,
        volume: &Volume,
        random: &mut Random,
        out: &mut [T],
        label: &mut Self::Label,
    ) -> Result<(), LoaderError>;
}

/// A type of pixels: `f32` or [`struct@f16`].
pub trait Pixel: Copy + Default + Send + Sync + PartialEq + std::fmt::Debug + bytemuck::Pod {
    /// Rounds to nearest, ties to even.
    fn store(values: &[f32], out: &mut [Self]);
}

impl Pixel for f32 {
    #[inline]
    fn store(values: &[f32], out: &mut [Self]) {
        out.copy_from_slice(values);
    }
}

impl Pixel for f16 {
    #[inline]
    fn store(values: &[f32], out: &mut [Self]) {
        out.convert_from_f32_slice(values);
    }
}

/// The random numbers of sample `i`.
pub fn random(seed: u64, i: u64) -> Random {
    Random::new(stream(seed, i))
}

/// The seed of stream `i`.
pub(crate) fn stream(seed: u64, i: u64) -> u64 {
    SplitMix64::new(seed).bits() ^ SplitMix64::new(i ^ 0x6a09_e667_f3bc_c908).bits()
}

/// Uniform in `low..high`.
pub(crate) fn uniform(random: &mut Random, low: f64, high: f64) -> f64 {
    low + (high - low) * random.unit()
}

/// Uniform on the unit sphere, by Marsaglia's method (1972). Arithmetic and square roots only, so that every machine
/// gives the same bits.
pub(crate) fn direction(random: &mut Random) -> [f64; 3] {
    loop {
        let (u, v) = (uniform(random, -1.0, 1.0), uniform(random, -1.0, 1.0));
        let s = u * u + v * v;
        if s < 1.0 {
            let factor = 2.0 * (1.0 - s).sqrt();
            return [u * factor, v * factor, 1.0 - 2.0 * s];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_neighbors_differ() {
        let first = |seed, i| random(seed, i).bits();
        let all: std::collections::BTreeSet<u64> = (0..100).flat_map(|i| (0..10).map(move |s| first(s, i))).collect();
        assert_eq!(all.len(), 1000);
    }

    #[test]
    fn directions_are_unit_vectors_without_a_preference() {
        let mut random = Random::new(1);
        let mut sum = [0.0; 3];
        let mut squares = [0.0; 3];
        for _ in 0..100_000 {
            let d = direction(&mut random);
            assert!((d.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-12);
            for axis in 0..3 {
                sum[axis] += d[axis] / 1e5;
                squares[axis] += d[axis] * d[axis] / 1e5;
            }
        }
        assert!(sum.iter().all(|mean| mean.abs() < 0.01), "{sum:?}");
        assert!(squares.iter().all(|mean| (mean - 1.0 / 3.0).abs() < 0.01), "{squares:?}");
    }
}
