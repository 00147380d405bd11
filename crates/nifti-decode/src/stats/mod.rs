//! Exact statistics of voxels, by NumPy's definitions.
//!
//! Integers of 8 and 16 bits are counted while they are converted; everything follows from the counts ([`Counted`]). Wider
//! types are searched by radix, 16 bits at a time, over the stored voxels ([`Searched`]): exact too, and no copy is sorted.

mod counted;
mod order;
mod searched;

use serde::{Deserialize, Serialize};

pub(crate) use counted::Tally;
pub(crate) use searched::Searched;

/// Statistics of the scaled values of a volume, before any clipping or normalization, in f64.
///
/// Each is what NumPy computes from the array of f64, `nan` functions where there are NaN: `percentile` with its default method
/// `linear`, `median`, `mean`, `std` with `ddof = 0`. All are NaN where no voxel is a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Voxels that are numbers.
    pub n: u64,
    /// Voxels that are NaN; they count nowhere else.
    pub n_nan: u64,
    /// Voxels that are numbers other than 0.
    pub n_nonzero: u64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation of the population.
    pub std: f64,
    /// 0.5th percentile.
    pub p0_5: f64,
    /// Median.
    pub median: f64,
    /// 99.5th percentile.
    pub p99_5: f64,
    /// Mean of the values clipped to `p0_5..p99_5`.
    pub robust_mean: f64,
    /// Standard deviation of the values clipped to `p0_5..p99_5`.
    pub robust_std: f64,
}

/// Which voxels a mean and a standard deviation are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Voxels {
    /// All.
    #[default]
    All,
    /// Those whose scaled value is not 0: the brain of a stripped image.
    NonZero,
}

/// Mean and spread of some voxels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moments {
    pub(crate) n: u64,
    pub(crate) mean: f64,
    pub(crate) std: f64,
}

/// What statistics are made from: voxels in the order of their values.
pub(crate) trait Distribution {
    /// Voxels that are numbers, and that are NaN.
    fn count(&self) -> (u64, u64);
    /// The values at these ranks, counted from 0 in ascending order.
    fn at(&self, ranks: &[u64]) -> Vec<f64>;
    /// Of the values clipped to `low..high`; `NonZero` asks about the value before it is clipped.
    fn moments(&self, low: f64, high: f64, over: Voxels) -> Moments;
}

/// The percentiles `q`, 0 to 100.
pub(crate) fn percentiles(distribution: &dyn Distribution, q: &[f64]) -> Vec<f64> {
    let (n, _) = distribution.count();
    let positions: Vec<order::Position> = q.iter().map(|&q| order::Position::linear(q / 100.0, n)).collect();
    let ranks: Vec<u64> = positions.iter().flat_map(|position| position.ranks()).collect();
    let values = distribution.at(&ranks);
    positions.iter().zip(values.chunks(2)).map(|(position, pair)| position.between(pair[0], pair[1])).collect()
}

/// All of [`Stats`].
pub(crate) fn stats(distribution: &dyn Distribution) -> Stats {
    let (n, n_nan) = distribution.count();
    let (all, none) = ((f64::NEG_INFINITY, f64::INFINITY), f64::NAN);
    if n == 0 {
        return Stats {
            n,
            n_nan,
            n_nonzero: 0,
            min: none,
            max: none,
            mean: none,
            std: none,
            p0_5: none,
            median: none,
            p99_5: none,
            robust_mean: none,
            robust_std: none,
        };
    }
    let (low, high) = (order::Position::linear(0.005, n), order::Position::linear(0.995, n));
    let ([l0, l1], [h0, h1]) = (low.ranks(), high.ranks());
    let values = distribution.at(&[0, n - 1, (n - 1) / 2, n / 2, l0, l1, h0, h1]);
    let (p0_5, p99_5) = (low.between(values[4], values[5]), high.between(values[6], values[7]));
    let plain = distribution.moments(all.0, all.1, Voxels::All);
    let robust = distribution.moments(p0_5, p99_5, Voxels::All);
    Stats {
        n,
        n_nan,
        n_nonzero: distribution.moments(all.0, all.1, Voxels::NonZero).n,
        min: values[0],
        max: values[1],
        mean: plain.mean,
        std: plain.std,
        p0_5,
        median: if n % 2 == 1 { values[2] } else { (values[2] + values[3]) / 2.0 },
        p99_5,
        robust_mean: robust.mean,
        robust_std: robust.std,
    }
}
