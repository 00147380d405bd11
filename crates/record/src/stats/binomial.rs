//! Clopper-Pearson bounds: bounds of a probability, given k events in n trials.
//!
//! The upper bound is the p at which k or fewer events would have probability (1 − confidence)/2; the lower bound
//! mirrors it. Both are found by bisection on the exact tail of the binomial distribution, which is summed outwards
//! from its largest term and costs O(√n) per step.

use super::{Interval, proper_confidence};

/// Above this many trials the sums would take seconds; no caller counts that many.
const MOST_TRIALS: u64 = 1_000_000_000;

/// The exact (Clopper-Pearson) two-sided interval for a probability, `k` events in `n` trials.
///
/// Coverage is at least `confidence` for every true probability. `None` for n = 0, n above 10⁹, k > n or a confidence
/// outside (0, 1).
pub fn clopper_pearson(k: u64, n: u64, confidence: f64) -> Option<Interval> {
    proper_trials(k, n)?;
    proper_confidence(confidence)?;
    let tail = (1.0 - confidence) / 2.0;
    // k events or more at p are n − k non-events or fewer at 1 − p.
    Some(Interval { low: 1.0 - upper(n - k, n, tail), high: upper(k, n, tail), confidence })
}

/// The exact one-sided upper bound: with `confidence`, the probability is at most this.
///
/// No event in 59 trials bounds it at 4.95 %. `None` as in [`clopper_pearson`].
///
/// ```
/// let bound = record::stats::clopper_pearson_upper(0, 59, 0.95).unwrap();
/// assert!((bound - 0.0495).abs() < 5e-5);
/// ```
pub fn clopper_pearson_upper(k: u64, n: u64, confidence: f64) -> Option<f64> {
    proper_trials(k, n)?;
    proper_confidence(confidence)?;
    Some(upper(k, n, 1.0 - confidence))
}

fn proper_trials(k: u64, n: u64) -> Option<()> {
    (n > 0 && n <= MOST_TRIALS && k <= n).then_some(())
}

/// The p with P(X ≤ k) = `tail`; 1 when k = n, where the tail is always 1.
fn upper(k: u64, n: u64, tail: f64) -> f64 {
    if k == n {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    // Until the bracket is two neighboring numbers.
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return high;
        }
        if at_most(k, n, middle) > tail { low = middle } else { high = middle }
    }
}

/// P(X ≤ k) for X ~ Binomial(n, p), 0 ≤ k < n, 0 < p < 1.
fn at_most(k: u64, n: u64, p: f64) -> f64 {
    let odds = p / (1.0 - p);
    let (k_f, n_f) = (k as f64, n as f64);
    // Sum the side on which the terms shrink from the first one on.
    if p * n_f >= k_f {
        let (mut term, mut sum, mut i) = (term(k, n, p), 0.0, k_f);
        while term > sum * f64::EPSILON / 4.0 {
            sum += term;
            term *= i / ((n_f - i + 1.0) * odds);
            i -= 1.0;
        }
        sum.min(1.0)
    } else {
        let (mut term, mut sum, mut i) = (term(k + 1, n, p), 0.0, k_f + 1.0);
        while term > sum * f64::EPSILON / 4.0 {
            sum += term;
            term *= (n_f - i) * odds / (i + 1.0);
            i += 1.0;
        }
        (1.0 - sum).max(0.0)
    }
}

/// P(X = k) for X ~ Binomial(n, p).
fn term(k: u64, n: u64, p: f64) -> f64 {
    let ln_choose = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    (ln_choose + k as f64 * p.ln() + (n - k) as f64 * (-p).ln_1p()).exp()
}

/// ln n!: by addition while that is short, by Stirling's series (error below 10⁻¹⁶ from n = 64 on) afterward.
fn ln_factorial(n: u64) -> f64 {
    if n < 64 {
        return (2..=n).map(|i| (i as f64).ln()).sum();
    }
    let x = n as f64;
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x + 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}
