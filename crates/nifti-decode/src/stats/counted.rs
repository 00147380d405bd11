//! Statistics of 8- and 16-bit integers, from the number of voxels of each value.

use super::{Distribution, Moments, Summary, Voxels};
use crate::{
    Datatype, Endian, NiftiError,
    convert::{Map, Stored, with_stored},
};

/// Values of 16 bits.
const BINS: usize = 1 << 16;
/// Number of tables, which are used in rotation: neighboring voxels are often equal, and an increment must not wait for
/// the previous one.
const TABLES: usize = 4;

/// Counts a run of stored voxels of one type.
type Adder = fn(&mut [[u32; BINS]], &[u8]);

/// Counts voxels by value.
pub(crate) struct Tally {
    tables: Vec<[u32; BINS]>,
    add: Adder,
    datatype: Datatype,
    /// Voxels since the tables were last emptied: a count of 32 bits must not overflow.
    pending: u64,
    totals: Vec<u64>,
}

impl Tally {
    /// Whether there are few enough values of `datatype` to count each.
    pub(crate) fn counts(datatype: Datatype) -> bool {
        Self::adder(datatype, false).is_some()
    }

    /// A tally for `datatype`; `None` for types that have too many values to count.
    pub(crate) fn new(datatype: Datatype, endian: Endian) -> Option<Self> {
        let add = Self::adder(datatype, endian.is_swapped())?;
        Some(Self { tables: vec![[0; BINS]; TABLES], add, datatype, pending: 0, totals: vec![0; BINS] })
    }

    fn adder(datatype: Datatype, is_swapped: bool) -> Option<Adder> {
        Some(match (datatype, is_swapped) {
            (Datatype::Uint8, _) => add::<u8, false>,
            (Datatype::Int8, _) => add::<i8, false>,
            (Datatype::Uint16, false) => add::<u16, false>,
            (Datatype::Uint16, true) => add::<u16, true>,
            (Datatype::Int16, false) => add::<i16, false>,
            (Datatype::Int16, true) => add::<i16, true>,
            _ => return None,
        })
    }

    /// Counts a run of stored voxels.
    pub(crate) fn add(&mut self, stored: &[u8]) {
        for run in stored.chunks(1 << 30) {
            self.pending += run.len() as u64;
            if self.pending > u64::from(u32::MAX) {
                self.empty();
                self.pending = run.len() as u64;
            }
            (self.add)(&mut self.tables, run);
        }
    }

    /// Adds the counts of another.
    pub(crate) fn merge(&mut self, other: &mut Self) {
        other.empty();
        for (total, add) in self.totals.iter_mut().zip(&other.totals) {
            *total += add;
        }
    }

    fn empty(&mut self) {
        for table in &mut self.tables {
            for (total, count) in self.totals.iter_mut().zip(table.iter_mut()) {
                *total += u64::from(std::mem::take(count));
            }
        }
        self.pending = 0;
    }

    /// The distribution of the counted values after `map` scales them.
    pub(crate) fn finish(mut self, map: &Map) -> Counted {
        self.empty();
        let scaled = |key: usize| {
            let stored = with_stored!(self.datatype, |S| S::of_key(key as u64).to_f64()).unwrap_or(f64::NAN);
            if map.is_scaled() { stored * map.slope + map.inter } else { stored }
        };
        let counted = self.totals.iter().enumerate().filter(|(_, count)| **count > 0);
        let mut values: Vec<(f64, u64)> = counted.map(|(key, &count)| (scaled(key), count)).collect();
        if map.slope < 0.0 {
            values.reverse();
        }
        Counted { n: values.iter().map(|(_, count)| count).sum(), values }
    }
}

/// Bytes that are compared at once. If all voxels in them are equal, as in the background of a head, one addition
/// counts them.
const EQUALS: usize = 64;

fn add<S: Stored, const SWAP: bool>(tables: &mut [[u32; BINS]], stored: &[u8]) {
    let (groups, rest) = stored.as_chunks::<EQUALS>();
    let mut first = 0;
    for (i, group) in groups.iter().enumerate() {
        if are_equal::<S>(group) {
            add_each::<S, SWAP>(tables, groups[first..i].as_flattened());
            first = i + 1;
            if let Some(value) = S::each::<SWAP>(group).next() {
                tables[0][value.key() as u16 as usize] += (EQUALS / S::BYTES) as u32;
            }
        }
    }
    add_each::<S, SWAP>(tables, groups[first..].as_flattened());
    add_each::<S, SWAP>(tables, rest);
}

/// Whether all values are the same: every byte equals the corresponding byte of the previous value.
fn are_equal<S: Stored>(group: &[u8; EQUALS]) -> bool {
    let words: [u64; EQUALS / 8] = bytemuck::cast(*group);
    let first = words[0];
    let other = words.iter().fold(first ^ first.rotate_left(8 * S::BYTES as u32), |other, word| other | (word ^ first));
    other == 0
}

fn add_each<S: Stored, const SWAP: bool>(tables: &mut [[u32; BINS]], stored: &[u8]) {
    let [a, b, c, d] = tables else { return };
    let quads = stored.len() / (4 * S::BYTES) * (4 * S::BYTES);
    let mut values = S::each::<SWAP>(&stored[..quads]).map(|value| value.key() as u16 as usize);
    while let (Some(i), Some(j), Some(k), Some(l)) = (values.next(), values.next(), values.next(), values.next()) {
        a[i] += 1;
        b[j] += 1;
        c[k] += 1;
        d[l] += 1;
    }
    for value in S::each::<SWAP>(&stored[quads..]) {
        a[value.key() as u16 as usize] += 1;
    }
}

/// Scaled values that occur, ascending, and how often.
pub(crate) struct Counted {
    values: Vec<(f64, u64)>,
    n: u64,
}

impl Counted {
    pub(super) fn n(&self) -> u64 {
        self.n
    }

    /// Scaled values that occur, ascending, and how often.
    pub(super) fn values(&self) -> &[(f64, u64)] {
        &self.values
    }

    pub(super) fn values_at(&self, ranks: &[u64]) -> Vec<f64> {
        let mut below = 0;
        let ends: Vec<u64> = self
            .values
            .iter()
            .map(|(_, count)| {
                below += count;
                below
            })
            .collect();
        let at = |rank| self.values.get(ends.partition_point(|&end| end <= rank)).map_or(f64::NAN, |&(value, _)| value);
        ranks.iter().map(|&rank| at(rank)).collect()
    }

    fn moments_of(&self, low: f64, high: f64, over: Voxels) -> Moments {
        let chosen = || {
            self.values.iter().filter(|(value, _)| over == Voxels::All || *value != 0.0).map(|&(value, count)| {
                let clipped = if value < low { low } else { value };
                (if clipped > high { high } else { clipped }, count)
            })
        };
        let n: u64 = chosen().map(|(_, count)| count).sum();
        let mean = chosen().map(|(value, count)| value * count as f64).sum::<f64>() / n as f64;
        let square: f64 = chosen().map(|(value, count)| (value - mean).powi(2) * count as f64).sum();
        Moments { n, mean, std: (square / n as f64).sqrt() }
    }

    pub(super) fn summary_of(&self, low: f64, high: f64) -> Summary {
        Summary {
            n_nonzero: self.values.iter().filter(|(value, _)| *value != 0.0).map(|(_, count)| count).sum(),
            plain: self.moments_of(f64::NEG_INFINITY, f64::INFINITY, Voxels::All),
            robust: self.moments_of(low, high, Voxels::All),
        }
    }
}

impl Distribution for Counted {
    fn count(&self) -> (u64, u64) {
        (self.n, 0)
    }

    fn at(&mut self, ranks: &[u64]) -> Result<Vec<f64>, NiftiError> {
        Ok(self.values_at(ranks))
    }

    fn moments(&mut self, low: f64, high: f64, over: Voxels) -> Result<Moments, NiftiError> {
        Ok(self.moments_of(low, high, over))
    }

    fn summary(&mut self, low: f64, high: f64, _: f64) -> Result<Summary, NiftiError> {
        Ok(self.summary_of(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests runs of equal values of all lengths, and runs of unequal values that contain equal bytes.
    #[test]
    fn equal_values_are_counted_as_if_one_by_one() {
        for datatype in [Datatype::Uint8, Datatype::Int8, Datatype::Uint16, Datatype::Int16] {
            for endian in [Endian::Little, Endian::Big] {
                let mut stored = Vec::new();
                for run in 0..300_usize {
                    let value = [[0, 0], [0, 0xfc], [7, 7], [0xff, 0xff], [1, 2]][run % 5];
                    let voxel = &value[..datatype.bytes()];
                    stored.extend(std::iter::repeat_n(voxel, run).flatten().copied());
                    if run % 3 == 0 {
                        stored.extend([5, 6, 5, 6].iter().copied().take(2 * datatype.bytes()));
                    }
                }
                let mut tally = Tally::new(datatype, endian).unwrap();
                tally.add(&stored);
                tally.empty();
                let mut expected = vec![0_u64; BINS];
                for voxel in stored.chunks_exact(datatype.bytes()) {
                    let key = with_stored!(datatype, |S| {
                        let mut values = if endian.is_swapped() {
                            S::each::<true>(voxel).next()
                        } else {
                            S::each::<false>(voxel).next()
                        };
                        values.take().unwrap().key()
                    });
                    expected[key.unwrap() as usize] += 1;
                }
                assert!(tally.totals == expected, "{datatype:?} {endian:?}");
            }
        }
    }
}
