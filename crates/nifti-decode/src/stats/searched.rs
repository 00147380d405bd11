//! Statistics of types with too many values to count, by radix search in passes over the stored voxels.
//!
//! The key of a value ([`Stored::key`]) sorts in the same order as the value. The first pass counts the keys by their
//! top 16 bits, which gives the bucket of each wanted rank. Every further pass counts the keys of those buckets by
//! their next 16 bits, until all bits are known, or until the buckets hold so few keys that the pass collects and sorts
//! them. So percentiles are exact after at most two passes for 32-bit types and four for 64-bit ones, and memory does
//! not depend on the number of voxels.
//!
//! Means and deviations of [`Stats`](super::Stats) take one more pass: it sums the distances from the median and their
//! squares. The median is at most one standard deviation away from the mean, so subtracting the squared mean distance
//! loses at most one bit.

use super::{Distribution, Moments, Passes, Summary, Voxels};
use crate::{
    Datatype, Endian, NiftiError,
    convert::{Map, Stored, with_stored},
};

/// Voxels that are summed at a time: adding such partial sums keeps rounding errors small.
const RUN: usize = 4096;
/// Bits of a key that one pass counts by.
const DIGIT_BITS: u32 = 16;
const DIGITS: usize = 1 << DIGIT_BITS;
/// Maximum number of keys that are collected instead of counted: 1 MiB.
const MAX_COLLECTED: u64 = 128 << 10;

/// Stored voxels and their scaling.
pub(crate) struct Searched<'a> {
    passes: &'a mut dyn Passes,
    datatype: Datatype,
    is_swapped: bool,
    map: Map,
    /// Counts of the voxels that are numbers, by the top bits of their keys.
    counts: Vec<u64>,
    n: u64,
    n_nan: u64,
}

/// Calls a function of the stored type and of whether its bytes are swapped.
macro_rules! of_type {
    ($datatype:expr, $is_swapped:expr, $function:ident, $($argument:expr),*) => {
        with_stored!($datatype, |S| if $is_swapped {
            $function::<S, true>($($argument),*)
        } else {
            $function::<S, false>($($argument),*)
        })
        .unwrap_or_default()
    };
}

impl<'a> Searched<'a> {
    /// Makes the first pass. `datatype` is a real type, and the voxels of `passes` have it.
    pub(crate) fn new(
        passes: &'a mut dyn Passes,
        datatype: Datatype,
        endian: Endian,
        map: Map,
    ) -> Result<Self, NiftiError> {
        let is_swapped = endian.is_swapped();
        let (mut counts, mut n_nan) = (vec![0; DIGITS], 0);
        passes.pass(&mut |stored| n_nan += of_type!(datatype, is_swapped, count_top_digits, stored, &mut counts))?;
        let n = counts.iter().sum();
        Ok(Self { passes, datatype, is_swapped, map, counts, n, n_nan })
    }

    /// Maximum number of passes of [`stats`](super::stats), including the first one.
    pub(crate) fn passes(datatype: Datatype) -> u64 {
        // One pass for each digit, then one for the moments.
        u64::from(key_bits(datatype).div_ceil(DIGIT_BITS)) + 1
    }

    fn key_to_value(&self, key: u64) -> f64 {
        let stored = with_stored!(self.datatype, |S| S::of_key(key).to_f64()).unwrap_or(f64::NAN);
        scaled(&self.map, stored)
    }

    /// The keys at the ranks of `searches`, whose top digit is known.
    fn search(&mut self, searches: &mut [Search]) -> Result<(), NiftiError> {
        let (datatype, is_swapped) = (self.datatype, self.is_swapped);
        let mut shift = key_bits(datatype).saturating_sub(DIGIT_BITS);
        while shift > 0 {
            let mut buckets: Vec<(u64, u64)> = searches.iter().map(|search| (search.prefix, search.count)).collect();
            buckets.sort_unstable();
            buckets.dedup();
            let prefixes: Vec<u64> = buckets.iter().map(|(prefix, _)| *prefix).collect();
            let table_of = |search: &Search| prefixes.binary_search(&search.prefix).unwrap_or(0);
            if buckets.iter().map(|(_, count)| count).sum::<u64>() <= MAX_COLLECTED {
                let mut keys = vec![Vec::new(); prefixes.len()];
                self.passes
                    .pass(&mut |stored| of_type!(datatype, is_swapped, collect, stored, &prefixes, shift, &mut keys))?;
                keys.iter_mut().for_each(|keys| keys.sort_unstable());
                for search in searches {
                    search.prefix = keys[table_of(search)].get(search.rank as usize).copied().unwrap_or_default();
                }
                return Ok(());
            }
            shift = shift.saturating_sub(DIGIT_BITS);
            let mut counts = vec![0_u64; prefixes.len() * DIGITS];
            self.passes.pass(&mut |stored| {
                of_type!(datatype, is_swapped, count_digits, stored, &prefixes, shift, &mut counts)
            })?;
            for search in searches.iter_mut() {
                let table = table_of(search);
                search.descend(&counts[table * DIGITS..][..DIGITS]);
            }
        }
        Ok(())
    }
}

impl Distribution for Searched<'_> {
    fn count(&self) -> (u64, u64) {
        (self.n, self.n_nan)
    }

    fn at(&mut self, ranks: &[u64]) -> Result<Vec<f64>, NiftiError> {
        if self.n == 0 {
            return Ok(vec![f64::NAN; ranks.len()]);
        }
        let last = self.n - 1;
        // A negative slope reverses the order.
        let rank = |&rank: &u64| if self.map.slope < 0.0 { last - rank.min(last) } else { rank.min(last) };
        let mut searches: Vec<Search> =
            ranks.iter().map(|wanted| Search { prefix: 0, rank: rank(wanted), count: self.n }).collect();
        for search in &mut searches {
            search.descend(&self.counts);
        }
        self.search(&mut searches)?;
        Ok(searches.iter().map(|search| self.key_to_value(search.prefix)).collect())
    }

    fn moments(&mut self, low: f64, high: f64, over: Voxels) -> Result<Moments, NiftiError> {
        let (datatype, is_swapped) = (self.datatype, self.is_swapped);
        let clip = Clip { map: self.map, low, high, over };
        let mut sums = [0.0; 2];
        let mut n = 0;
        let mut sum = |mean: Option<f64>| -> Result<f64, NiftiError> {
            n = 0;
            let total = &mut sums[usize::from(mean.is_some())];
            self.passes.pass(&mut |stored| {
                let (part_n, part) = of_type!(datatype, is_swapped, sum_of, stored, &clip, mean);
                n += part_n;
                *total += part;
            })?;
            Ok(*total / n as f64)
        };
        let mean = sum(None)?;
        let variance = sum(Some(mean))?;
        Ok(Moments { n, mean, std: variance.sqrt() })
    }

    fn summary(&mut self, low: f64, high: f64, median: f64) -> Result<Summary, NiftiError> {
        let (datatype, is_swapped) = (self.datatype, self.is_swapped);
        let pivot = if median.is_finite() { median } else { 0.0 };
        let (map, mut sums) = (self.map, Distances::default());
        self.passes.pass(&mut |stored| {
            sums.add(&of_type!(datatype, is_swapped, distances, stored, &map, low, high, pivot));
        })?;
        let moments = |sum: f64, square: f64| {
            let (n, shift) = (self.n as f64, sum / self.n as f64);
            // Rounding can make the variance of equal values negative. A NaN stays NaN.
            let variance = square / n - shift * shift;
            let variance = if variance < 0.0 { 0.0 } else { variance };
            Moments { n: self.n, mean: pivot + shift, std: variance.sqrt() }
        };
        Ok(Summary {
            n_nonzero: sums.n_nonzero,
            plain: moments(sums.sum, sums.square),
            robust: moments(sums.clipped_sum, sums.clipped_square),
        })
    }
}

/// The search for a rank: the digits that are known, the number of keys that begin with them, and the rank among those.
struct Search {
    prefix: u64,
    rank: u64,
    count: u64,
}

impl Search {
    fn descend(&mut self, counts: &[u64]) {
        for (digit, &count) in counts.iter().enumerate() {
            if self.rank < count {
                self.prefix = self.prefix << DIGIT_BITS | digit as u64;
                self.count = count;
                return;
            }
            self.rank -= count;
        }
    }
}

struct Clip {
    map: Map,
    low: f64,
    high: f64,
    over: Voxels,
}

/// Sums of distances from a pivot, and of their squares: of all values, and of the clipped ones.
#[derive(Debug, Clone, Copy, Default)]
struct Distances {
    n_nonzero: u64,
    sum: f64,
    square: f64,
    clipped_sum: f64,
    clipped_square: f64,
}

impl Distances {
    fn add(&mut self, other: &Self) {
        self.n_nonzero += other.n_nonzero;
        self.sum += other.sum;
        self.square += other.square;
        self.clipped_sum += other.clipped_sum;
        self.clipped_square += other.clipped_square;
    }
}

fn key_bits(datatype: Datatype) -> u32 {
    datatype.bytes() as u32 * 8
}

fn scaled(map: &Map, stored: f64) -> f64 {
    if map.is_scaled() { stored * map.slope + map.inter } else { stored }
}

fn clipped(value: f64, low: f64, high: f64) -> f64 {
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}

/// The keys of the voxels that are numbers.
#[inline(always)]
fn keys<S: Stored, const SWAP: bool>(stored: &[u8]) -> impl Iterator<Item = u64> {
    S::each::<SWAP>(stored).filter(|value| !(S::IS_FLOAT && value.to_f64().is_nan())).map(Stored::key)
}

/// Counts keys by their top digit; returns the number of NaN.
fn count_top_digits<S: Stored, const SWAP: bool>(stored: &[u8], counts: &mut [u64]) -> u64 {
    let mut n = 0;
    let shift = (S::BYTES as u32 * 8).saturating_sub(DIGIT_BITS);
    for key in keys::<S, SWAP>(stored) {
        counts[(key >> shift) as usize % DIGITS] += 1;
        n += 1;
    }
    (stored.len() / S::BYTES) as u64 - n
}

/// Counts the digit above `shift` of the keys that begin with each of `prefixes`.
fn count_digits<S: Stored, const SWAP: bool>(stored: &[u8], prefixes: &[u64], shift: u32, counts: &mut [u64]) {
    for key in keys::<S, SWAP>(stored) {
        let prefix = key >> (shift + DIGIT_BITS);
        let digit = (key >> shift) as usize % DIGITS;
        for (table, _) in prefixes.iter().enumerate().filter(|(_, wanted)| **wanted == prefix) {
            counts[table * DIGITS + digit] += 1;
        }
    }
}

/// Collects the keys whose bits from `shift` on are each of `prefixes`.
fn collect<S: Stored, const SWAP: bool>(stored: &[u8], prefixes: &[u64], shift: u32, found: &mut [Vec<u64>]) {
    for key in keys::<S, SWAP>(stored) {
        for (table, _) in prefixes.iter().enumerate().filter(|(_, wanted)| **wanted == key >> shift) {
            found[table].push(key);
        }
    }
}

/// Number of voxels and sum of their clipped values, or of the squares of their distances from `mean`.
fn sum_of<S: Stored, const SWAP: bool>(stored: &[u8], clip: &Clip, mean: Option<f64>) -> (u64, f64) {
    let (mut n, mut sum) = (0, 0.0);
    for run in stored.chunks(RUN * S::BYTES) {
        let mut part = 0.0;
        for value in S::each::<SWAP>(run) {
            let value = scaled(&clip.map, value.to_f64());
            if value.is_nan() || (clip.over == Voxels::NonZero && value == 0.0) {
                continue;
            }
            let value = clipped(value, clip.low, clip.high);
            part += mean.map_or(value, |mean| (value - mean).powi(2));
            n += 1;
        }
        sum += part;
    }
    (n, sum)
}

fn distances<S: Stored, const SWAP: bool>(stored: &[u8], map: &Map, low: f64, high: f64, pivot: f64) -> Distances {
    let map = *map;
    let mut sums = Distances::default();
    for run in stored.chunks(RUN * S::BYTES) {
        let mut part = Distances::default();
        for value in S::each::<SWAP>(run) {
            let value = scaled(&map, value.to_f64());
            if value.is_nan() {
                continue;
            }
            let (distance, near) = (value - pivot, clipped(value, low, high) - pivot);
            part.n_nonzero += u64::from(value != 0.0);
            part.sum += distance;
            part.square += distance * distance;
            part.clipped_sum += near;
            part.clipped_square += near * near;
        }
        sums.add(&part);
    }
    sums
}
