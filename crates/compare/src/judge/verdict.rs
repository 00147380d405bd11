//! Verdicts over the effects of blocks.

use std::fmt;

use record::stats::{self, Interval};
use serde::{Deserialize, Serialize};

use super::ALPHA;
use super::margin::Margin;

/// The verdict on a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// Proven slower than the margin.
    Slower,
    /// Proven faster than the margin.
    Faster,
    /// Proven to lie inside the margin, or to be the same machine code.
    Same,
    /// Nothing is proven; more or quieter blocks would be needed.
    Inconclusive,
    /// The screen's median did not move; nothing is claimed.
    NotFlagged,
    /// Wrong output, a failed process, a broken timer: no number.
    Invalid,
    /// Only the head has it.
    New,
    /// Only the base has it.
    Gone,
    /// A process did not end within the limit.
    Timeout,
    /// Not measured on purpose, with the reason: no criterion benchmark, a feature that is off, an exclusion.
    Skipped,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Slower => "SLOWER",
            Verdict::Faster => "FASTER",
            Verdict::Same => "SAME",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::NotFlagged => "NOT FLAGGED",
            Verdict::Invalid => "INVALID",
            Verdict::New => "NEW",
            Verdict::Gone => "GONE",
            Verdict::Timeout => "TIMEOUT",
            Verdict::Skipped => "SKIPPED",
        })
    }
}

/// The estimated size of an effect and its uncertainty, as logs of head/base.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Hodges-Lehmann estimate.
    pub effect: f64,
    /// 95 % interval; `None` where there are too few blocks for one.
    pub interval: Option<Interval>,
    /// Number of blocks behind it.
    pub n: usize,
}

/// A verdict and the evidence for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// The effect, where the blocks gave one.
    pub estimate: Option<Estimate>,
    /// Holm-adjusted p of the test behind the verdict; the smaller p of the two tests if neither rejected.
    pub p: Option<f64>,
}

/// The effect of a series; `None` if there is none or it is not finite.
pub fn estimate(effects: &[f64]) -> Option<Estimate> {
    let effect = stats::hodges_lehmann(effects)?;
    Some(Estimate { effect, interval: stats::signed_rank_interval(effects, 0.95), n: effects.len() })
}

/// Verdicts of benchmarks that were all tested on fresh data; they are one family.
pub fn confirmed(family: &[(Vec<f64>, Margin)]) -> Vec<Finding> {
    let test = |sign: f64| -> Vec<f64> {
        let p = family.iter().map(|(effects, margin)| {
            let turned: Vec<f64> = effects.iter().map(|d| sign * d).collect();
            // A series that cannot be tested still counts as a member of the family.
            stats::signed_rank_greater(&turned, margin.log()).unwrap_or(1.0)
        });
        stats::holm(&p.collect::<Vec<_>>())
    };
    let (slower, faster) = (test(1.0), test(-1.0));
    let judge = |((effects, margin), (slower, faster)): (&(Vec<f64>, Margin), (f64, f64))| {
        let Some(estimate) = estimate(effects) else {
            return Finding { verdict: Verdict::Invalid, estimate: None, p: None };
        };
        let (verdict, p) = if slower <= ALPHA {
            (Verdict::Slower, slower)
        } else if faster <= ALPHA {
            (Verdict::Faster, faster)
        } else if stats::equivalent(effects, margin.log()) == Some(true) {
            (Verdict::Same, slower.min(faster))
        } else {
            (Verdict::Inconclusive, slower.min(faster))
        };
        Finding { verdict, estimate: Some(estimate), p: Some(p) }
    };
    family.iter().zip(slower.into_iter().zip(faster)).map(judge).collect()
}

/// The finding of a screen alone: the median, which decides whether to confirm, and no claim.
pub fn screened(effects: &[f64]) -> Finding {
    let median = stats::median(effects).filter(|median| median.is_finite());
    match median.zip(estimate(effects)) {
        Some((effect, estimate)) => {
            Finding { verdict: Verdict::NotFlagged, estimate: Some(Estimate { effect, ..estimate }), p: None }
        }
        None => Finding { verdict: Verdict::Invalid, estimate: None, p: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: Margin = Margin { ratio: 0.03, noise: None };

    /// Twelve blocks around `center` with the given half-width, all different and symmetric.
    fn around(center: f64, half_width: f64) -> Vec<f64> {
        (0..12).map(|i| center + half_width * (f64::from(i) - 5.5) / 5.5).collect()
    }

    fn verdicts(family: &[Vec<f64>]) -> Vec<Verdict> {
        let family: Vec<_> = family.iter().map(|effects| (effects.clone(), MARGIN)).collect();
        confirmed(&family).into_iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn slower_faster_same_and_inconclusive() {
        let family = [around(0.10, 0.02), around(-0.10, 0.02), around(0.0, 0.02), around(0.03, 0.05)];
        assert_eq!(verdicts(&family), [Verdict::Slower, Verdict::Faster, Verdict::Same, Verdict::Inconclusive]);
    }

    #[test]
    fn an_effect_inside_the_margin_is_never_slower_however_sure() {
        assert_eq!(verdicts(&[around(0.025, 0.001)]), [Verdict::Same]);
    }

    #[test]
    fn holm_needs_stronger_proof_in_a_larger_family() {
        // Eleven of twelve blocks lie beyond the margin, and the other one far on the wrong side: p is about 13/4096
        // alone.
        let mut effects = around(0.06, 0.02);
        effects[0] = -0.08;
        let mut family = vec![effects];
        assert_eq!(verdicts(&family)[0], Verdict::Slower);
        family.extend((0..40).map(|_| around(0.0, 0.02)));
        assert_eq!(verdicts(&family)[0], Verdict::Inconclusive);
    }

    #[test]
    fn ties_and_all_equal_blocks_are_judged() {
        assert_eq!(verdicts(&[vec![0.10; 12]]), [Verdict::Slower]);
        assert_eq!(verdicts(&[vec![0.0; 12]]), [Verdict::Same]);
        assert_eq!(verdicts(&[[vec![0.05; 6], vec![0.06; 6]].concat()]), [Verdict::Slower]);
    }

    #[test]
    fn nan_and_missing_blocks_are_invalid_and_leave_other_benchmarks_alone() {
        let mut broken = around(0.10, 0.02);
        broken[3] = f64::NAN;
        assert_eq!(
            verdicts(&[broken, vec![], around(0.10, 0.02)]),
            [Verdict::Invalid, Verdict::Invalid, Verdict::Slower]
        );
    }

    #[test]
    fn too_few_blocks_prove_nothing() {
        assert_eq!(verdicts(&[vec![0.5, 0.6, 0.7]]), [Verdict::Inconclusive]);
        assert_eq!(screened(&[0.5, 0.6, 0.7]).verdict, Verdict::NotFlagged);
        let shown = screened(&[0.0, 0.03, 0.3]).estimate.unwrap().effect;
        assert_eq!(shown, 0.03, "the figure that is shown is the median, which decided");
        assert_eq!(screened(&[]).verdict, Verdict::Invalid);
    }

    #[test]
    fn margins_differ_by_benchmark() {
        let wide = Margin { ratio: 0.15, noise: Some(0.05) };
        let findings = confirmed(&[(around(0.10, 0.02), wide), (around(0.10, 0.02), MARGIN)]);
        assert_eq!((findings[0].verdict, findings[1].verdict), (Verdict::Same, Verdict::Slower));
    }
}
