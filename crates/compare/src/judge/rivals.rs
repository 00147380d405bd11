//! The decisions of other rules on the same processes, for the self-test's table. Nothing else uses them.

use record::stats;

use crate::measure::Random;

/// Criterion's noise threshold: it reports a change only if the interval of the mean's change lies outside.
const NOISE_THRESHOLD: f64 = 0.01;
/// Criterion's significance level.
const SIGNIFICANCE: f64 = 0.05;
/// Resamples of the bootstrap; criterion's default is 100 000, which moves p by less than 0.005 against this.
const RESAMPLES: usize = 2_000;

/// The decision of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Slower.
    Regressed,
    /// Faster.
    Improved,
    /// Neither.
    Nothing,
}

/// "The ratio of one run each is over 5 %", the rule of most hand-made gates.
pub fn ratio_over_5(base: &[f64], head: &[f64]) -> Decision {
    match stats::median(base).zip(stats::median(head)).map(|(base, head)| head / base) {
        Some(ratio) if ratio > 1.05 => Decision::Regressed,
        Some(ratio) if ratio < 1.0 / 1.05 => Decision::Improved,
        _ => Decision::Nothing,
    }
}

/// Criterion's verdict over two processes, as `criterion 0.8` reaches it (`src/analysis/compare.rs`): Welch's t against
/// a bootstrap of the pooled batches, p < 0.05, and the bootstrap interval of the mean's change outside ±1 %.
pub fn criterion(base: &[f64], head: &[f64], seed: u64) -> Decision {
    if base.len() < 2 || head.len() < 2 {
        return Decision::Nothing;
    }
    let mut random = Random::new(seed);
    let observed = welch_t(head, base);
    let pooled: Vec<f64> = base.iter().chain(head).copied().collect();
    let mut draw = |from: &[f64], n: usize| -> Vec<f64> { (0..n).map(|_| from[random.below(from.len())]).collect() };
    let beyond = (0..RESAMPLES)
        .filter(|_| welch_t(&draw(&pooled, head.len()), &draw(&pooled, base.len())).abs() >= observed.abs())
        .count();
    let p = beyond as f64 / RESAMPLES as f64;
    let mut changes: Vec<f64> =
        (0..RESAMPLES).map(|_| mean(&draw(head, head.len())) / mean(&draw(base, base.len())) - 1.0).collect();
    changes.sort_by(f64::total_cmp);
    let (low, high) = (changes[RESAMPLES / 40], changes[RESAMPLES - 1 - RESAMPLES / 40]);
    match p < SIGNIFICANCE {
        true if low > NOISE_THRESHOLD => Decision::Regressed,
        true if high < -NOISE_THRESHOLD => Decision::Improved,
        _ => Decision::Nothing,
    }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn variance(x: &[f64]) -> f64 {
    let mean = mean(x);
    x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (x.len() - 1) as f64
}

fn welch_t(a: &[f64], b: &[f64]) -> f64 {
    let t = (mean(a) - mean(b)) / (variance(a) / a.len() as f64 + variance(b) / b.len() as f64).sqrt();
    if t.is_nan() { 0.0 } else { t }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(center: f64) -> Vec<f64> {
        (0..20).map(|i| center * (1.0 + 0.002 * (f64::from(i % 5) - 2.0))).collect()
    }

    #[test]
    fn both_rules_detect_a_clear_change_and_its_direction() {
        for (rule, name) in
            [(criterion as fn(&[f64], &[f64], u64) -> Decision, "criterion"), (|a, b, _| ratio_over_5(a, b), "ratio")]
        {
            assert_eq!(rule(&batches(100.0), &batches(110.0), 1), Decision::Regressed, "{name}");
            assert_eq!(rule(&batches(110.0), &batches(100.0), 1), Decision::Improved, "{name}");
            assert_eq!(rule(&batches(100.0), &batches(100.0), 1), Decision::Nothing, "{name}");
        }
    }

    #[test]
    fn criterion_fires_on_a_shift_between_processes_that_blocks_would_average_out() {
        assert_eq!(criterion(&batches(100.0), &batches(102.0), 1), Decision::Regressed);
        assert_eq!(ratio_over_5(&batches(100.0), &batches(102.0)), Decision::Nothing);
    }
}
