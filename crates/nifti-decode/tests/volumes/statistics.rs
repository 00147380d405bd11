//! Statistics against sorted arrays of f64, by NumPy's definitions.

use nifti_decode::{Clip, Datatype, Decoder, Endian, Pack, Plan, Stats, Version, VolumeFile, Voxels, encode};
use op::random::SplitMix64;

use crate::made::{as_f64, header, open, reals, voxels};

fn percentile(sorted: &[f64], q: f64) -> f64 {
    let at = (sorted.len() - 1) as f64 * q;
    let (low, t) = (at.floor() as usize, at.fract());
    let (a, b) = (sorted[low], sorted[(low + 1).min(sorted.len() - 1)]);
    if a == b {
        a
    } else if t >= 0.5 {
        b - (b - a) * (1.0 - t)
    } else {
        a + (b - a) * t
    }
}

fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
}

fn naive(values: &[f64]) -> Stats {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let (p0_5, p99_5) = (percentile(&sorted, 0.005), percentile(&sorted, 0.995));
    let (mean, std) = moments(&sorted);
    let clipped: Vec<f64> = sorted.iter().map(|v| v.clamp(p0_5, p99_5)).collect();
    let (robust_mean, robust_std) = moments(&clipped);
    Stats {
        n: n as u64,
        n_nan: (values.len() - n) as u64,
        n_nonzero: sorted.iter().filter(|v| **v != 0.0).count() as u64,
        min: sorted[0],
        max: sorted[n - 1],
        mean,
        std,
        p0_5,
        median: (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
        p99_5,
        robust_mean,
        robust_std,
    }
}

/// Compares to 1e-12 of the spread, because the relative error of a mean near 0 can be large.
fn assert_near(got: &Stats, expected: &Stats, place: &str) {
    assert_eq!((got.n, got.n_nan, got.n_nonzero), (expected.n, expected.n_nan, expected.n_nonzero), "{place}");
    let exact = |s: &Stats| [s.min, s.max, s.p0_5, s.median, s.p99_5];
    assert_eq!(exact(got), exact(expected), "{place}");
    let figures = |s: &Stats| [s.mean, s.std, s.robust_mean, s.robust_std];
    let scale = 1e-12 * (expected.std + expected.mean.abs());
    for (got, expected) in figures(got).into_iter().zip(figures(expected)) {
        assert!((got - expected).abs() <= scale, "{place}: {got} {expected}");
    }
}

fn make(datatype: Datatype, endian: Endian, stored: &[u8], scale: (f64, f64), pack: Pack) -> VolumeFile {
    let n = stored.len() / datatype.bytes();
    let h = header(Version::Nifti2, endian, datatype, &[n, 1, 1]).with_scale(scale.0, scale.1);
    open(&encode(&h, &[], stored, pack).unwrap()).unwrap()
}

#[test]
fn statistics_are_those_of_the_sorted_values() {
    for datatype in reals() {
        for n in [1, 2, 3, 1000, 4097] {
            for scale in [(1.0, 0.0), (0.5, 3.0), (-2.0, 1.0)] {
                let stored = voxels(datatype, n, n as u64, false);
                let values: Vec<f64> = as_f64(datatype, &stored).iter().map(|v| v * scale.0 + scale.1).collect();
                for (endian, pack) in [(Endian::Little, Pack::Plain), (Endian::Big, Pack::Gzip { level: 1 })] {
                    let file = make(datatype, endian, &stored, scale, pack);
                    let place = format!("{datatype:?} {n} {scale:?} {endian:?}");
                    let mut decoder = Decoder::new();
                    assert_near(&file.stats(&mut decoder).unwrap(), &naive(&values), &place);
                    let fused = file.decode::<f32>(&mut decoder, &Plan::scaled().with_stats()).unwrap();
                    assert_near(fused.stats().unwrap(), &naive(&values), &place);
                }
            }
        }
    }
}

#[test]
fn nan_is_counted_separately_and_infinities_are_ordered() {
    let values = [f64::NAN, 1.0, f64::INFINITY, -0.0, 0.0, f64::NEG_INFINITY, f64::NAN, 2.0, -f64::NAN];
    let stored: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
    let file = make(Datatype::Float64, Endian::Big, &stored, (1.0, 0.0), Pack::Plain);
    let stats = file.stats(&mut Decoder::new()).unwrap();
    assert_eq!((stats.n, stats.n_nan, stats.n_nonzero), (6, 3, 4));
    assert_eq!((stats.min, stats.max, stats.median), (f64::NEG_INFINITY, f64::INFINITY, 0.5));
    let nothing: Vec<u8> = [f32::NAN; 5].iter().flat_map(|v| v.to_ne_bytes()).collect();
    let file = make(Datatype::Float32, Endian::Little, &nothing, (1.0, 0.0), Pack::Plain);
    let stats = file.stats(&mut Decoder::new()).unwrap();
    assert!((stats.n, stats.n_nan) == (0, 5) && stats.mean.is_nan() && stats.p99_5.is_nan());
    // There is nothing to clip or normalize by, so the values are unchanged.
    let plan = Plan::scaled().clipped(Clip::Percentiles { low: 1.0, high: 99.0 }).zscored(Voxels::All);
    assert!(file.decode::<f32>(&mut Decoder::new(), &plan).unwrap().into_voxels().iter().all(|v| v.is_nan()));
}

/// With many equal values, a radix search must still find the correct rank.
#[test]
fn background_dominates() {
    let mut random = SplitMix64::new(5);
    for datatype in [Datatype::Float32, Datatype::Uint32, Datatype::Int64] {
        let stored = voxels(datatype, 20_000, 8, false);
        let mut sparse = stored.clone();
        for voxel in sparse.chunks_mut(datatype.bytes()) {
            if random.below(10) < 8 {
                voxel.fill(0);
            }
        }
        let file = make(datatype, Endian::Little, &sparse, (0.25, 0.0), Pack::Plain);
        let values: Vec<f64> = as_f64(datatype, &sparse).iter().map(|v| v * 0.25).collect();
        assert_near(&file.stats(&mut Decoder::new()).unwrap(), &naive(&values), datatype.name());
    }
}

#[test]
fn scores_over_voxels_that_are_not_zero() {
    let mut stored = voxels(Datatype::Int16, 3000, 3, false);
    stored[..4000].fill(0);
    let file = make(Datatype::Int16, Endian::Little, &stored, (1.0, 0.0), Pack::Plain);
    let plan = Plan::scaled().clipped(Clip::Percentiles { low: 0.5, high: 99.5 }).zscored(Voxels::NonZero);
    let scores = file.decode::<f32>(&mut Decoder::new(), &plan).unwrap().into_voxels();
    let values = as_f64(Datatype::Int16, &stored);
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (percentile(&sorted, 0.005), percentile(&sorted, 0.995));
    let inside: Vec<f64> = values.iter().filter(|v| **v != 0.0).map(|v| v.clamp(low, high)).collect();
    let (mean, std) = moments(&inside);
    for (&score, &value) in scores.iter().zip(&values) {
        assert!((f64::from(score) - (value.clamp(low, high) - mean) / std).abs() < 1e-6);
    }
}
