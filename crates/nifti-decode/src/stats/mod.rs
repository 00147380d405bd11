//! Exact statistics of voxels, by NumPy's definitions.
//!
//! Integers of 8 and 16 bits are counted, and everything is computed from the counts ([`Counted`]). Wider types use a
//! radix search, 16 bits at a time, in several passes over the stored voxels ([`Searched`]). It is just as exact and
//! needs no sorted copy.

mod counted;
mod in_memory;
mod order;
mod searched;

use serde::{Deserialize, Serialize};

use crate::{Datatype, Endian, NiftiError, convert::Map};

use counted::Counted;
pub(crate) use counted::Tally;
pub use in_memory::Occurrences;
pub(crate) use searched::Searched;

/// Statistics of the scaled values of a volume, before any clipping or normalization, in f64.
///
/// Each equals what NumPy computes from the array of f64, with the `nan` functions if there are NaN: `percentile` with
/// its default method `linear`, `median`, `mean`, `std` with `ddof = 0`. All are NaN if no voxel is a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Voxels that are numbers.
    pub n: u64,
    /// Voxels that are NaN; every other statistic ignores them.
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

/// The voxels that a mean and a standard deviation include.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Voxels {
    /// All.
    #[default]
    All,
    /// Those whose scaled value is not 0: the brain of a skull-stripped image.
    NonZero,
}

/// Mean and standard deviation of some voxels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moments {
    pub(crate) n: u64,
    pub(crate) mean: f64,
    pub(crate) std: f64,
}

/// The part of [`Stats`] that does not follow from ranks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) n_nonzero: u64,
    /// Of all values.
    pub(crate) plain: Moments,
    /// Of the values clipped to the percentiles.
    pub(crate) robust: Moments,
}

/// Stored voxels that can be read from first to last as often as needed.
pub(crate) trait Passes {
    /// Calls `each` with all voxels, a number of whole voxels at a time.
    fn pass(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<(), NiftiError>;
}

impl Passes for &[u8] {
    fn pass(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<(), NiftiError> {
        each(self);
        Ok(())
    }
}

/// The values of some voxels, sorted.
pub(crate) trait Distribution {
    /// The number of voxels that are numbers, and the number that are NaN.
    fn count(&self) -> (u64, u64);
    /// The values at these ranks, counted from 0 in ascending order.
    fn at(&mut self, ranks: &[u64]) -> Result<Vec<f64>, NiftiError>;
    /// The moments of the values clipped to `low..high`; `NonZero` applies to the value before it is clipped.
    fn moments(&mut self, low: f64, high: f64, over: Voxels) -> Result<Moments, NiftiError>;
    /// The summary of all values, and of those clipped to `low..high`, which contains their median.
    fn summary(&mut self, low: f64, high: f64, median: f64) -> Result<Summary, NiftiError>;
}

/// The percentiles `q`, 0 to 100.
pub(crate) fn percentiles(distribution: &mut dyn Distribution, q: &[f64]) -> Result<Vec<f64>, NiftiError> {
    let (n, _) = distribution.count();
    let mut failed = None;
    let found = percentiles_of(n, q, |ranks| {
        distribution.at(ranks).unwrap_or_else(|error| {
            failed = Some(error);
            vec![f64::NAN; ranks.len()]
        })
    });
    failed.map_or(Ok(found), Err)
}

/// The percentiles `q`, 0 to 100, of `n` values; `at` gives those at some ranks.
fn percentiles_of(n: u64, q: &[f64], at: impl FnOnce(&[u64]) -> Vec<f64>) -> Vec<f64> {
    let positions: Vec<order::Position> = q.iter().map(|&q| order::Position::linear(q / 100.0, n)).collect();
    let ranks: Vec<u64> = positions.iter().flat_map(|position| position.ranks()).collect();
    let values = at(&ranks);
    positions.iter().zip(values.chunks(2)).map(|(position, pair)| position.between(pair[0], pair[1])).collect()
}

/// All of [`Stats`].
pub(crate) fn stats(distribution: &mut dyn Distribution) -> Result<Stats, NiftiError> {
    let (n, n_nan) = distribution.count();
    let Some(wanted) = Wanted::new(n) else { return Ok(Stats::of_nothing(n_nan)) };
    let ranks = wanted.of(&distribution.at(&wanted.ranks())?);
    let summary = distribution.summary(ranks.p0_5, ranks.p99_5, ranks.median)?;
    Ok(ranks.with(n_nan, &summary))
}

/// All of [`Stats`] of voxels in memory.
pub(crate) fn of_stored(
    mut stored: &[u8],
    datatype: Datatype,
    endian: Endian,
    scaling: &Map,
) -> Result<Stats, NiftiError> {
    match Tally::new(datatype, endian) {
        Some(mut tally) => {
            tally.add(stored);
            Ok(of_counts(&tally.finish(scaling)))
        }
        None => stats(&mut Searched::new(&mut stored, datatype, endian, *scaling)?),
    }
}

/// Like [`stats`], from counts, which cannot fail.
pub(crate) fn of_counts(counted: &Counted) -> Stats {
    let (n, n_nan) = (counted.n(), 0);
    let Some(wanted) = Wanted::new(n) else { return Stats::of_nothing(n_nan) };
    let ranks = wanted.of(&counted.values_at(&wanted.ranks()));
    ranks.with(n_nan, &counted.summary_of(ranks.p0_5, ranks.p99_5))
}

/// The ranks from which [`Stats`] are computed.
struct Wanted {
    n: u64,
    low: order::Position,
    high: order::Position,
}

/// The values at those ranks.
struct Ranks {
    n: u64,
    min: f64,
    max: f64,
    p0_5: f64,
    median: f64,
    p99_5: f64,
}

impl Wanted {
    /// `None` if there are no values.
    fn new(n: u64) -> Option<Self> {
        let position = |q| order::Position::linear(q, n);
        (n > 0).then(|| Self { n, low: position(0.005), high: position(0.995) })
    }

    fn ranks(&self) -> [u64; 8] {
        let ([l0, l1], [h0, h1]) = (self.low.ranks(), self.high.ranks());
        [0, self.n - 1, (self.n - 1) / 2, self.n / 2, l0, l1, h0, h1]
    }

    fn of(&self, values: &[f64]) -> Ranks {
        Ranks {
            n: self.n,
            min: values[0],
            max: values[1],
            median: if self.n % 2 == 1 { values[2] } else { (values[2] + values[3]) / 2.0 },
            p0_5: self.low.between(values[4], values[5]),
            p99_5: self.high.between(values[6], values[7]),
        }
    }
}

impl Ranks {
    fn with(&self, n_nan: u64, summary: &Summary) -> Stats {
        let Summary { n_nonzero, plain, robust } = summary;
        Stats {
            n: self.n,
            n_nan,
            n_nonzero: *n_nonzero,
            min: self.min,
            max: self.max,
            mean: plain.mean,
            std: plain.std,
            p0_5: self.p0_5,
            median: self.median,
            p99_5: self.p99_5,
            robust_mean: robust.mean,
            robust_std: robust.std,
        }
    }
}

impl Stats {
    /// The statistics of voxels none of which is a number.
    fn of_nothing(n_nan: u64) -> Self {
        let none = f64::NAN;
        let [min, max, mean, std, p0_5, median, p99_5, robust_mean, robust_std] = [none; 9];
        Self { n: 0, n_nan, n_nonzero: 0, min, max, mean, std, p0_5, median, p99_5, robust_mean, robust_std }
    }
}
