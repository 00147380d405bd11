//! Statistics of types with too many values to count, by radix search over the stored voxels.
//!
//! A value's key ([`Stored::key`]) has the order of the values. One pass counts the keys by their top 16 bits, which says in which
//! bucket a rank lies; the next pass counts the keys of those buckets by their next 16 bits; and so on: two passes for 32-bit
//! types, four for 64-bit ones, whatever the values.

use super::{Distribution, Moments, Voxels};
use crate::{
    Datatype, Endian,
    convert::{Map, Stored, with_stored},
};

/// Voxels whose sum is taken at a time: sums of sums keep rounding errors small.
const RUN: usize = 4096;
const DIGITS: usize = 1 << 16;

/// Stored voxels and how they are scaled.
pub(crate) struct Searched<'a> {
    stored: &'a [u8],
    datatype: Datatype,
    is_swapped: bool,
    map: Map,
    n: u64,
    n_nan: u64,
}

/// Calls a function of the stored type and of whether its bytes are swapped.
macro_rules! pass {
    ($self:expr, $function:ident, $default:expr, ($($argument:expr),*)) => {
        with_stored!($self.datatype, |S| if $self.is_swapped {
            $function::<S, true>($self.stored, $($argument),*)
        } else {
            $function::<S, false>($self.stored, $($argument),*)
        })
        .unwrap_or($default)
    };
}

impl<'a> Searched<'a> {
    /// `datatype` is a real type, and `stored` voxels of it.
    pub(crate) fn new(stored: &'a [u8], datatype: Datatype, endian: Endian, map: Map) -> Self {
        let mut searched = Self { stored, datatype, is_swapped: endian.is_swapped(), map, n: 0, n_nan: 0 };
        searched.n_nan = pass!(searched, count_nan, 0, ());
        searched.n = (stored.len() / datatype.bytes()) as u64 - searched.n_nan;
        searched
    }

    fn key_to_value(&self, key: u64) -> f64 {
        let stored = with_stored!(self.datatype, |S| S::of_key(key).to_f64()).unwrap_or(f64::NAN);
        scaled(&self.map, stored)
    }
}

impl Distribution for Searched<'_> {
    fn count(&self) -> (u64, u64) {
        (self.n, self.n_nan)
    }

    fn at(&self, ranks: &[u64]) -> Vec<f64> {
        if self.n == 0 {
            return vec![f64::NAN; ranks.len()];
        }
        // A negative slope turns the order around.
        let mut wanted: Vec<Search> = ranks
            .iter()
            .map(|&rank| rank.min(self.n - 1))
            .map(|rank| Search { prefix: 0, rank: if self.map.slope < 0.0 { self.n - 1 - rank } else { rank } })
            .collect();
        let mut shift = self.datatype.bytes() as u32 * 8;
        while shift > 0 {
            shift = shift.saturating_sub(16);
            let mut prefixes: Vec<u64> = wanted.iter().map(|search| search.prefix).collect();
            prefixes.sort_unstable();
            prefixes.dedup();
            let mut counts = vec![0_u64; prefixes.len() * DIGITS];
            pass!(self, count_digits, (), (&prefixes, shift, &mut counts));
            for search in &mut wanted {
                let table = prefixes.binary_search(&search.prefix).unwrap_or(0);
                search.descend(&counts[table * DIGITS..][..DIGITS]);
            }
        }
        wanted.iter().map(|search| self.key_to_value(search.prefix)).collect()
    }

    fn moments(&self, low: f64, high: f64, over: Voxels) -> Moments {
        let clip = Clip { map: self.map, low, high, over };
        let (n, sum) = pass!(self, sums, (0, 0.0), (&clip, None));
        let mean = sum / n as f64;
        let (_, square) = pass!(self, sums, (0, 0.0), (&clip, Some(mean)));
        Moments { n, mean, std: (square / n as f64).sqrt() }
    }
}

/// A rank on its way down: the digits found so far, and the rank among the keys that begin with them.
struct Search {
    prefix: u64,
    rank: u64,
}

impl Search {
    fn descend(&mut self, counts: &[u64]) {
        for (digit, &count) in counts.iter().enumerate() {
            if self.rank < count {
                self.prefix = self.prefix << 16 | digit as u64;
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

fn scaled(map: &Map, stored: f64) -> f64 {
    if map.is_scaled() { stored * map.slope + map.inter } else { stored }
}

fn count_nan<S: Stored, const SWAP: bool>(stored: &[u8]) -> u64 {
    if !S::IS_FLOAT {
        return 0;
    }
    S::each::<SWAP>(stored).filter(|value| value.to_f64().is_nan()).count() as u64
}

/// Counts the 16 bits above `shift` of the keys that begin with each of `prefixes`.
fn count_digits<S: Stored, const SWAP: bool>(stored: &[u8], prefixes: &[u64], shift: u32, counts: &mut [u64]) {
    let is_top = shift + 16 >= S::BYTES as u32 * 8;
    for value in S::each::<SWAP>(stored) {
        if S::IS_FLOAT && value.to_f64().is_nan() {
            continue;
        }
        let key = value.key();
        let prefix = if is_top { 0 } else { key >> (shift + 16) };
        let digit = (key >> shift) as usize % DIGITS;
        for (table, _) in prefixes.iter().enumerate().filter(|(_, wanted)| **wanted == prefix) {
            counts[table * DIGITS + digit] += 1;
        }
    }
}

/// Number of voxels and sum of their clipped values, or of the squares of their distances from `mean`.
fn sums<S: Stored, const SWAP: bool>(stored: &[u8], clip: &Clip, mean: Option<f64>) -> (u64, f64) {
    let (mut n, mut sum) = (0, 0.0);
    for run in stored.chunks(RUN * S::BYTES) {
        let mut part = 0.0;
        for value in S::each::<SWAP>(run) {
            let value = scaled(&clip.map, value.to_f64());
            if value.is_nan() || (clip.over == Voxels::NonZero && value == 0.0) {
                continue;
            }
            let clipped = if value < clip.low { clip.low } else { value };
            let clipped = if clipped > clip.high { clip.high } else { clipped };
            part += mean.map_or(clipped, |mean| (clipped - mean).powi(2));
            n += 1;
        }
        sum += part;
    }
    (n, sum)
}
