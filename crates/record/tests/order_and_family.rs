//! Order statistics, Holm and binomial bounds, compared with published values and values computed by hand.

use proptest::prelude::*;
use record::stats::*;

#[test]
fn middle_and_spread() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[f64::INFINITY]), None);
    assert_eq!(median(&[2.0, 2.0, 2.0]), Some(2.0));
    assert_eq!(median(&[f64::MAX, f64::MAX]), Some(f64::MAX));
    assert_eq!(median_abs_deviation(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]), Some(1.0));
    assert_eq!(median_abs_deviation(&[5.0]), Some(0.0));
    assert_eq!(median_abs_deviation(&[1.0, f64::NAN]), None);
}

/// MLPerf LoadGen's early stopping: 64 samples for p90, 662 for p99.
#[test]
fn percentiles_need_enough_samples() {
    assert_eq!(smallest_sample(0.90), Some(64));
    assert_eq!(smallest_sample(0.10), Some(64));
    assert_eq!(smallest_sample(0.99), Some(662));
    assert_eq!(smallest_sample(0.50), Some(1));
    for outside in [0.0, 1.0, -0.1, 99.0, f64::NAN] {
        assert_eq!(smallest_sample(outside), None);
        assert_eq!(percentile(&[1.0; 1000], outside), None);
    }
    let x: Vec<f64> = (0..=100).rev().map(f64::from).collect();
    assert_eq!(percentile(&x, 0.9), Some(90.0));
    assert_eq!(percentile(&x, 0.5), Some(50.0));
    assert_eq!(percentile(&x[..63], 0.9), None);
    assert_eq!(percentile(&x, 0.99), None);
    assert_eq!(percentile(&[3.0, 1.0], 0.5), Some(2.0));
    assert_eq!(percentile(&[], 0.5), None);
    let mut with_nan = x.clone();
    with_nan[7] = f64::NAN;
    assert_eq!(percentile(&with_nan, 0.9), None);
    // R: quantile(0:65, 0.9) = 58.5
    let y: Vec<f64> = (0..66).map(f64::from).collect();
    assert!((percentile(&y, 0.9).unwrap() - 58.5).abs() < 1e-12);
}

#[test]
fn holm_by_hand() {
    assert_eq!(holm(&[]), Vec::<f64>::new());
    assert_eq!(holm(&[0.2]), [0.2]);
    // Holm 1979 in the usual worked form: 4·0.005, 3·0.01, 2·0.03, then the running maximum 0.06 over 1·0.04.
    let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
    for (got, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
        assert!((got - expected).abs() < 1e-15, "{adjusted:?}");
    }
    assert_eq!(holm(&[0.6, 0.6]), [1.0, 1.0]);
}

#[test]
fn holm_counts_values_that_are_not_probabilities() {
    let adjusted = holm(&[0.01, f64::NAN, -0.5, 1.5]);
    assert_eq!(adjusted[0], 0.04);
    assert!(adjusted[1..].iter().all(|p| p.is_nan()));
}

/// A plan that cannot detect any change: 8 blocks with Holm over more than 12 benches.
#[test]
fn plans_that_cannot_fire() {
    assert_eq!(smallest_p(8), 1.0 / 256.0);
    assert_eq!(smallest_p(0), 1.0);
    assert_eq!(smallest_p(usize::MAX), 0.0);
    assert!(can_fire(8, 12, 0.05));
    assert!(!can_fire(8, 13, 0.05));
    assert!(can_fire(12, 100, 0.05));
    assert!(!can_fire(4, 0, 0.05));
    assert!(!can_fire(12, 1, f64::NAN));
    // A plan that can fire does so on the best possible data, with the largest possible family.
    let best = signed_rank_greater(&[1.0; 8], 0.0).unwrap();
    let family = |m: usize| [vec![best], vec![1.0; m - 1]].concat();
    assert!(holm(&family(12))[0] <= 0.05);
    assert!(holm(&family(13))[0] > 0.05);
}

#[test]
fn clopper_pearson_as_published() {
    // 1 - 0.05^(1/n): 20 nights 13.9 %, 59 nights 4.95 %, 100 nights 2.95 %, 300 nights 1.0 %.
    for (n, percent) in [(20, 13.91), (59, 4.95), (100, 2.95), (300, 0.99)] {
        let bound = clopper_pearson_upper(0, n, 0.95).unwrap();
        assert!((bound - (1.0 - 0.05_f64.powf(1.0 / n as f64))).abs() < 1e-14);
        assert!((100.0 * bound - percent).abs() < 0.01, "{n}: {bound}");
    }
    // R: binom.test(682, 925)$conf.int (Conover 1971, p. 97f); binom.test(5, 10); binom.test(0, 10); binom.test(1, 10)
    let published = [
        (682, 925, 0.707_668_3, 0.765_406_6),
        (5, 10, 0.187_086_0, 0.812_914_0),
        (0, 10, 0.0, 0.308_497_1),
        (10, 10, 0.691_502_9, 1.0),
        (1, 10, 0.002_528_6, 0.445_016_1),
    ];
    for (k, n, low, high) in published {
        let interval = clopper_pearson(k, n, 0.95).unwrap();
        assert!((interval.low - low).abs() < 6e-8 && (interval.high - high).abs() < 6e-8, "{k}/{n}: {interval:?}");
    }
    assert_eq!(clopper_pearson(0, 0, 0.95), None);
    assert_eq!(clopper_pearson(3, 2, 0.95), None);
    assert_eq!(clopper_pearson(1, 2, 1.0), None);
    assert_eq!(clopper_pearson(1, 2, f64::NAN), None);
    assert_eq!(clopper_pearson_upper(2, 2, 0.95), Some(1.0));
}

/// P(X ≤ k) term by term with exact binomial coefficients, independent of the series under test.
fn at_most(k: u64, n: u64, p: f64) -> f64 {
    let choose = |i: u64| (0..i).fold(1.0, |c, j| c * (n - j) as f64 / (j + 1) as f64);
    (0..=k).map(|i| choose(i) * p.powi(i as i32) * (1.0 - p).powi((n - i) as i32)).sum()
}

proptest! {
    #[test]
    fn bounds_leave_the_tails_they_promise(n in 1_u64..=200, share in 0.0_f64..=1.0, confidence in 0.05_f64..0.999) {
        let k = (share * n as f64).round() as u64;
        let interval = clopper_pearson(k, n, confidence).unwrap();
        let tail = (1.0 - confidence) / 2.0;
        if k < n {
            prop_assert!((at_most(k, n, interval.high) - tail).abs() < 1e-11);
        }
        if k > 0 {
            prop_assert!((1.0 - at_most(k - 1, n, interval.low) - tail).abs() < 1e-11);
        }
        prop_assert!(interval.low <= interval.high);
    }

    /// Any sample gives no panic, and either a result inside the range of the data or none.
    #[test]
    fn nothing_panics(x in prop::collection::vec(prop::num::f64::ANY, 0..80), p in prop::num::f64::ANY) {
        let range = x.iter().copied().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        for answer in [median(&x), percentile(&x, p), percentile(&x, 0.9), hodges_lehmann(&x)].into_iter().flatten() {
            prop_assert!(range.0 <= answer && answer <= range.1);
        }
        let _ = (median_abs_deviation(&x), signed_rank_interval(&x, p), equivalent(&x, p), holm(&x));
        if let Some(value) = signed_rank_greater(&x, p) {
            prop_assert!((0.0..=1.0).contains(&value));
        }
    }

    #[test]
    fn holm_is_monotone_and_never_below_p(p in prop::collection::vec(0.0_f64..=1.0, 0..30)) {
        let adjusted = holm(&p);
        for i in 0..p.len() {
            prop_assert!(adjusted[i] >= p[i] && adjusted[i] <= 1.0);
            for j in 0..p.len() {
                prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
            }
        }
    }
}
