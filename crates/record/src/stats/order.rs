//! Order statistics: median, median absolute deviation, percentiles.

use super::all_finite;

/// The median; the mean of the middle two for an even number of values. `None` for an empty sample.
///
/// ```
/// assert_eq!(record::stats::median(&[3.0, 1.0, 2.0]), Some(2.0));
/// assert_eq!(record::stats::median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
/// assert_eq!(record::stats::median(&[1.0, f64::NAN]), None);
/// ```
pub fn median(x: &[f64]) -> Option<f64> {
    all_finite(x)?;
    let mut scratch = x.to_vec();
    median_of(&mut scratch)
}

/// The raw median of absolute deviations from the median.
///
/// Multiply by 1.4826 to estimate the standard deviation of normally distributed values.
pub fn median_abs_deviation(x: &[f64]) -> Option<f64> {
    let center = median(x)?;
    let mut deviations: Vec<f64> = x.iter().map(|v| (v - center).abs()).collect();
    all_finite(&deviations)?;
    median_of(&mut deviations)
}

/// The `p`-quantile, `p` as a fraction (0.99 for p99), interpolated linearly between order statistics (R's type 7), so
/// that `percentile(x, 0.5)` is the median. `None` outside 0 < p < 1 and when the sample is smaller than
/// [`smallest_sample`].
pub fn percentile(x: &[f64], p: f64) -> Option<f64> {
    if x.len() < smallest_sample(p)? {
        return None;
    }
    all_finite(x)?;
    if p == 0.5 {
        return median(x); // one definition of the middle, to the last bit
    }
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = p * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let weight = position - below as f64;
    Some(sorted[below] * (1.0 - weight) + sorted[above] * weight)
}

/// How many values a sample needs before its `p`-quantile may be printed. `None` outside 0 < p < 1.
///
/// The rule is MLPerf LoadGen's: with 99 % confidence at least two values must lie beyond the quantile, that is
/// P(Binomial(n, q) ≤ 1) ≤ 1 % where q = min(p, 1 − p). It gives 64 for p90, 130 for p95 and 662 for p99. The median
/// has no tail to wait for, so one value is enough.
pub fn smallest_sample(p: f64) -> Option<usize> {
    if !(p > 0.0 && p < 1.0) {
        return None;
    }
    if p == 0.5 {
        return Some(1);
    }
    let q = p.min(1.0 - p);
    let too_small = |n: usize| {
        let n = n as f64;
        // ln(1 - q) by ln_1p: a rare tail (p99.99) must not be rounded away.
        let none = (n * (-q).ln_1p()).exp();
        let one = n * q * ((n - 1.0) * (-q).ln_1p()).exp();
        none + one > 0.01
    };
    let mut high = 2;
    while too_small(high) {
        high = high.checked_mul(2)?;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if too_small(middle) { low = middle } else { high = middle }
    }
    Some(high)
}

/// Median of finite values, reordering them.
pub(super) fn median_of(x: &mut [f64]) -> Option<f64> {
    if x.is_empty() {
        return None;
    }
    let half = x.len() / 2;
    let even = x.len().is_multiple_of(2);
    let (below, &mut upper, _) = x.select_nth_unstable_by(half, f64::total_cmp);
    if !even {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(lower, upper))
}
