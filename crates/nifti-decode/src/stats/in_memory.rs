//! Statistics of voxels in memory, asked for one by one.

use super::{Searched, Stats, Tally, counted::Counted, of_counts, percentiles, percentiles_of, stats};
use crate::{
    Datatype, Endian, Scale,
    convert::{Map, Stored as _, with_stored},
};

/// The scaled values of voxels in memory, and how often each occurs where there are few enough to count.
///
/// 8- and 16-bit integers are counted once, when this is made; everything that is asked afterward comes from the
/// counts. Every question about a wider type reads the voxels again.
pub struct Occurrences<'a> {
    stored: &'a [u8],
    datatype: Datatype,
    map: Map,
    counted: Option<Counted>,
}

impl<'a> Occurrences<'a> {
    /// Of voxels of `datatype` in this machine's byte order; bytes behind the last whole voxel are ignored. Colors and
    /// complex numbers have no order: of them, no voxel counts.
    pub fn new(stored: &'a [u8], datatype: Datatype, scale: Scale) -> Self {
        let end = if datatype.is_real() { stored.len() / datatype.bytes() * datatype.bytes() } else { 0 };
        let stored = &stored[..end];
        let map = Map { slope: scale.slope, inter: scale.inter, ..Map::IDENTITY };
        let counted = Tally::new(datatype, Endian::NATIVE).map(|mut tally| {
            tally.add(stored);
            tally.finish(&map)
        });
        Self { stored, datatype, map, counted }
    }

    /// All statistics.
    pub fn stats(&self) -> Stats {
        let mut stored = self.stored;
        if let Some(counted) = &self.counted {
            return of_counts(counted);
        }
        // Reading memory does not fail.
        let searched = Searched::new(&mut stored, self.datatype, Endian::NATIVE, self.map);
        searched.and_then(|mut searched| stats(&mut searched)).unwrap_or_else(|_| Stats::of_nothing(0))
    }

    /// These percentiles, 0 to 100, as `numpy.percentile` interpolates; NaN if no voxel is a number.
    pub fn percentiles(&self, q: &[f64]) -> Vec<f64> {
        let mut stored = self.stored;
        let found = match &self.counted {
            Some(counted) => Ok(percentiles_of(counted.n(), q, |ranks| counted.values_at(ranks))),
            None => Searched::new(&mut stored, self.datatype, Endian::NATIVE, self.map)
                .and_then(|mut searched| percentiles(&mut searched, q)),
        };
        found.unwrap_or_else(|_| vec![f64::NAN; q.len()])
    }

    /// Calls `each` with scaled values that are numbers and how often they occur: with every value once where they were
    /// counted, else with every voxel.
    pub fn each(&self, mut each: impl FnMut(f64, u64)) {
        if let Some(counted) = &self.counted {
            counted.values().iter().for_each(|&(value, count)| each(value, count));
            return;
        }
        let map = self.map;
        let scaled = |value: f64| if map.is_scaled() { value * map.slope + map.inter } else { value };
        let _ = with_stored!(self.datatype, |S| {
            for value in S::each::<false>(self.stored).map(|value| scaled(value.to_f64())) {
                if !value.is_nan() {
                    each(value, 1);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_and_searched_voxels_of_equal_values_agree() {
        let values: Vec<i16> = (0..5000_i32).map(|i| (i * i % 701 - 300) as i16).collect();
        let wide: Vec<f32> = values.iter().map(|&value| f32::from(value)).collect();
        let scale = Scale { slope: -0.5, inter: 3.0 };
        let counted = Occurrences::new(bytemuck::cast_slice(&values), Datatype::Int16, scale);
        let searched = Occurrences::new(bytemuck::cast_slice(&wide), Datatype::Float32, scale);
        let q = [0.0, 0.5, 33.0, 50.0, 100.0];
        assert_eq!(counted.percentiles(&q), searched.percentiles(&q));
        let sum = |of: &Occurrences<'_>| {
            let mut sum = (0.0, 0);
            of.each(|value, count| sum = (sum.0 + value * count as f64, sum.1 + count));
            sum
        };
        assert_eq!(sum(&counted), sum(&searched));
        let (a, b) = (counted.stats(), searched.stats());
        assert_eq!((a.n, a.min, a.median, a.p99_5), (b.n, b.min, b.median, b.p99_5));
        assert!((a.robust_std - b.robust_std).abs() < 1e-9);
    }

    #[test]
    fn nothing_has_no_percentile() {
        for (stored, datatype) in [
            (&[1, 2, 3][..], Datatype::Rgb24),
            (&[], Datatype::Int16),
            (bytemuck::cast_slice(&[f32::NAN]), Datatype::Float32),
        ] {
            let none = Occurrences::new(stored, datatype, Scale::NONE);
            assert!(none.percentiles(&[5.0])[0].is_nan() && none.stats().n == 0);
            none.each(|_, _| panic!("there is no number"));
        }
    }
}
