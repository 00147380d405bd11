//! Signed-rank test and interval, compared with published values, values computed by hand, and enumeration of all sign
//! patterns.

use proptest::prelude::*;
use record::stats::{equivalent, hodges_lehmann, signed_rank_greater, signed_rank_interval};

/// Hamilton depression scale, first minus second visit, nine patients (Hollander & Wolfe, table 3.1; R's example of
/// `wilcox.test`).
#[expect(clippy::approx_constant, reason = "3.14 is what the patient scored")]
fn depression() -> Vec<f64> {
    let first = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
    let second = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
    first.iter().zip(second).map(|(a, b)| a - b).collect()
}

/// Darwin's maize, crossed minus self-fertilized, in eighths of an inch (Fisher, The Design of Experiments, ch. 3).
const MAIZE: [f64; 15] = [49., -67., 8., 16., 6., 23., 28., 41., 14., 29., 56., 24., 75., 60., -48.];

/// P(W+ ≥ observed) by enumerating all 2^n sign patterns, independent of the tables under test.
fn greater_by_enumeration(d: &[f64], margin: f64) -> f64 {
    let x: Vec<f64> = d.iter().map(|v| v - margin).filter(|&v| v != 0.0).collect();
    let rank = |v: f64| {
        let below = x.iter().filter(|w| w.abs() < v.abs()).count() as f64;
        let equal = x.iter().filter(|w| w.abs() == v.abs()).count() as f64;
        below + (equal + 1.0) / 2.0
    };
    let ranks: Vec<f64> = x.iter().map(|&v| rank(v)).collect();
    let observed: f64 = x.iter().zip(&ranks).filter(|(v, _)| **v > 0.0).map(|(_, r)| r).sum();
    let patterns = 1_u32 << x.len();
    let reaching = (0..patterns).filter(|pattern| {
        let sum: f64 = ranks.iter().enumerate().filter(|(i, _)| pattern >> i & 1 == 1).map(|(_, r)| r).sum();
        sum >= observed
    });
    reaching.count() as f64 / f64::from(patterns)
}

#[test]
fn depression_data_as_published() {
    let d = depression();
    assert_eq!(signed_rank_greater(&d, 0.0), Some(10.0 / 512.0)); // R: V = 40, p-value = 0.01953
    let center = hodges_lehmann(&d).unwrap();
    assert!((center - 0.46).abs() < 1e-12, "{center}");
    let interval = signed_rank_interval(&d, 0.95).unwrap(); // Hollander & Wolfe: (0.010, 0.786) at 96.1 %
    assert!((interval.low - 0.010).abs() < 1e-12 && (interval.high - 0.786).abs() < 1e-12, "{interval:?}");
    assert_eq!(interval.confidence, 1.0 - 20.0 / 512.0);
}

#[test]
fn maize_data_as_published() {
    let p = signed_rank_greater(&MAIZE, 0.0).unwrap();
    assert_eq!((2.0 * p * 1e5).round(), 4126.0); // R: V = 96, two-sided p-value = 0.04126
}

/// The largest W that is significant two-sided, from standard textbook tables. The interval starts one value further
/// in.
#[test]
fn critical_values_of_the_tables() {
    let at_5 = [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (11, 10), (12, 13), (13, 17), (14, 21), (15, 25), (16, 29)];
    let more_at_5 = [(17, 34), (18, 40), (19, 46), (20, 52), (25, 89), (30, 137)];
    let at_1 = [(8, 0), (9, 1), (10, 3), (11, 5), (12, 7), (13, 9), (14, 12), (15, 15), (16, 19), (17, 23), (20, 37)];
    for (confidence, table) in [(0.95, &at_5[..]), (0.95, &more_at_5), (0.99, &at_1)] {
        for &(n, critical) in table {
            let (d, averages) = distinct_walsh_averages(n);
            let interval = signed_rank_interval(&d, confidence).unwrap();
            assert_eq!(interval.low, averages[critical], "n = {n}");
            assert_eq!(interval.high, averages[averages.len() - 1 - critical], "n = {n}");
        }
    }
}

/// The case in the gate's description: for n = 12 and 95 %, the 14th smallest and 14th largest of 78.
#[test]
fn twelve_blocks_take_the_fourteenth_of_78() {
    let (d, averages) = distinct_walsh_averages(12);
    assert_eq!(averages.len(), 78);
    let interval = signed_rank_interval(&d, 0.95).unwrap();
    assert_eq!((interval.low, interval.high), (averages[13], averages[78 - 14]));
    assert!(interval.confidence >= 0.95 && interval.confidence < 0.9577, "{interval:?}");
}

/// A sample whose Walsh averages all differ, and those averages in order, computed independently.
fn distinct_walsh_averages(n: usize) -> (Vec<f64>, Vec<f64>) {
    let d: Vec<f64> = (0..n).map(|i| (i as f64 * 0.618_033_988_7 + 0.1).fract() + (i as f64).sqrt()).collect();
    let mut averages: Vec<f64> =
        (0..n).flat_map(|i| (i..n).map(move |j| (i, j))).map(|(i, j)| (d[i] + d[j]) / 2.0).collect();
    averages.sort_by(f64::total_cmp);
    assert!(averages.windows(2).all(|w| w[0] < w[1]));
    (d, averages)
}

#[test]
fn smallest_samples() {
    assert_eq!(signed_rank_interval(&[1.0; 5], 0.95), None);
    assert!(signed_rank_interval(&[1.0; 6], 0.95).is_some());
    assert_eq!(signed_rank_interval(&[], 0.5), None);
    assert_eq!(signed_rank_greater(&[], 0.0), None);
    assert_eq!(signed_rank_greater(&[2.0], 0.0), Some(0.5));
    assert_eq!(signed_rank_greater(&[1.0; 12], 0.0), Some(1.0 / 4096.0));
    assert_eq!(hodges_lehmann(&[]), None);
    assert_eq!(hodges_lehmann(&[3.0]), Some(3.0));
}

#[test]
fn ties_and_zeros_by_hand() {
    // Shifted by 1: 0 (dropped), 1, 1, -1: midranks 2, 2, 2; sum of positives 4; P(at least two of three) = 4/8.
    assert_eq!(signed_rank_greater(&[1.0, 2.0, 2.0, 0.0], 1.0), Some(0.5));
    // 1, -1, 3: midranks 1.5, 1.5, 3; observed 4.5; subsets reaching it: {1.5,3} twice and all three: 3/8.
    assert_eq!(signed_rank_greater(&[1.0, -1.0, 3.0], 0.0), Some(0.375));
    assert_eq!(signed_rank_greater(&[0.5; 7], 0.5), Some(1.0));
    assert_eq!(signed_rank_greater(&[0.25; 7], 0.5), Some(1.0));
    let interval = signed_rank_interval(&[0.5; 7], 0.95).unwrap();
    assert_eq!((interval.low, interval.high), (0.5, 0.5));
}

#[test]
fn values_that_are_not_finite_give_none() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let d = [0.1, 0.2, bad, 0.3, 0.4, 0.5, 0.6];
        assert_eq!(hodges_lehmann(&d), None);
        assert_eq!(signed_rank_interval(&d, 0.95), None);
        assert_eq!(signed_rank_greater(&d, 0.0), None);
        assert_eq!(signed_rank_greater(&[0.1, 0.2], bad), None);
        assert_eq!(equivalent(&d, 1.0), None);
        assert_eq!(equivalent(&[0.0; 9], bad), None);
        assert_eq!(signed_rank_interval(&[0.0; 9], bad), None);
    }
    assert_eq!(signed_rank_interval(&[0.0; 9], 1.0), None);
    assert_eq!(signed_rank_interval(&[0.0; 9], 0.0), None);
    assert_eq!(equivalent(&[0.0; 9], 0.0), None);
    assert_eq!(equivalent(&[0.0; 9], -0.1), None);
}

#[test]
fn equivalence_needs_the_whole_interval() {
    let margin = 1.03_f64.ln();
    let d: Vec<f64> = (0..12).map(|i| f64::from(i - 6) * 0.002).collect();
    assert_eq!(equivalent(&d, margin), Some(true));
    let shifted: Vec<f64> = d.iter().map(|x| x + 0.02).collect();
    assert_eq!(equivalent(&shifted, margin), Some(true));
    let shifted: Vec<f64> = d.iter().map(|x| x + 0.028).collect(); // center inside, interval not
    assert!(hodges_lehmann(&shifted).unwrap() < margin);
    assert_eq!(equivalent(&shifted, margin), Some(false));
    assert_eq!(equivalent(&[margin; 12], margin), Some(false)); // strictly inside
    assert_eq!(equivalent(&[0.0; 4], margin), None);
    assert_eq!(equivalent(&[0.0; 5], margin), Some(true));
}

/// With large samples, counts do not overflow and the interval is close to the normal approximation.
#[test]
fn two_hundred_blocks() {
    let (d, averages) = distinct_walsh_averages(200);
    let interval = signed_rank_interval(&d, 0.95).unwrap();
    let at = averages.partition_point(|&a| a < interval.low) as f64;
    let n = 200.0_f64;
    let normal = n * (n + 1.0) / 4.0 - 1.959_964 * (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt();
    assert!((at - normal).abs() < 20.0, "{at} vs {normal}");
    assert!((0.95..0.9501).contains(&interval.confidence), "{interval:?}");
}

proptest! {
    /// Values on a coarse grid, with many ties and zeros.
    #[test]
    fn p_equals_enumeration(grid in prop::collection::vec(-6_i32..=6, 1..=10), margin in -4_i32..=4) {
        let d: Vec<f64> = grid.iter().map(|&g| f64::from(g) / 4.0).collect();
        let margin = f64::from(margin) / 4.0;
        prop_assert_eq!(signed_rank_greater(&d, margin), Some(greater_by_enumeration(&d, margin)));
    }

    #[test]
    fn p_equals_enumeration_without_ties(d in prop::collection::vec(-1.0_f64..1.0, 1..=10), margin in -0.5_f64..0.5) {
        prop_assert_eq!(signed_rank_greater(&d, margin), Some(greater_by_enumeration(&d, margin)));
    }

    /// The two tails overlap in the observed value alone, so they add up to at least one; order does not matter.
    #[test]
    fn symmetries(mut d in prop::collection::vec(-1.0_f64..1.0, 6..=14), margin in -0.5_f64..0.5) {
        let mirrored: Vec<f64> = d.iter().map(|x| -x).collect();
        let (above, below) = (signed_rank_greater(&d, margin).unwrap(), signed_rank_greater(&mirrored, -margin).unwrap());
        prop_assert!(above + below >= 1.0);
        let (here, there) = (signed_rank_interval(&d, 0.95).unwrap(), signed_rank_interval(&mirrored, 0.95).unwrap());
        prop_assert_eq!((here.low, here.high), (-there.high, -there.low));
        let center = hodges_lehmann(&d).unwrap();
        prop_assert!(here.contains(center));
        d.reverse();
        prop_assert_eq!(signed_rank_greater(&d, margin), Some(above));
        prop_assert_eq!(hodges_lehmann(&d), Some(center));
    }

    /// The interval is the inverse of the test: a margin just outside it is rejected at half of 1 - confidence, and one
    /// just inside is not.
    #[test]
    fn interval_inverts_the_test(d in prop::collection::vec(-1.0_f64..1.0, 6..=12)) {
        let interval = signed_rank_interval(&d, 0.95).unwrap();
        let tail = (1.0 - interval.confidence) / 2.0;
        prop_assert!(signed_rank_greater(&d, interval.low - 1e-9).unwrap() <= tail);
        prop_assert!(signed_rank_greater(&d, interval.low + 1e-9).unwrap() > tail);
    }
}
