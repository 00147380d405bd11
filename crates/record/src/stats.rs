//! Exact statistics on small samples: pure functions on slices, no approximation by a normal curve anywhere.
//!
//! The sample of a comparison is a dozen blocks (the process is the sample), so every distribution is small enough to
//! be computed in full. The functions share one convention: a NaN or an infinity in the input, or a sample too small
//! for what is asked, gives `None`. They never panic.
//!
//! | question | function |
//! |---|---|
//! | where is the middle, how wide is it | [`median`], [`median_abs_deviation`], [`percentile`] |
//! | how large is the effect, and between what bounds | [`hodges_lehmann`], [`signed_rank_interval`] |
//! | is the effect larger than a margin | [`signed_rank_greater`], then [`holm`] over the family |
//! | is it proven to be small | [`equivalent`] |
//! | can this plan reach a verdict at all | [`smallest_p`], [`can_fire`] |
//! | how often does the gate raise a false alarm, given k in n nights | [`clopper_pearson`], [`clopper_pearson_upper`] |

mod binomial;
mod family;
mod order;
mod signed_rank;

use serde::{Deserialize, Serialize};

pub use binomial::{clopper_pearson, clopper_pearson_upper};
pub use family::{can_fire, holm, smallest_p};
pub use order::{median, median_abs_deviation, percentile, smallest_sample};
pub use signed_rank::{equivalent, hodges_lehmann, signed_rank_greater, signed_rank_interval};

/// A closed confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower bound, in the unit of the sample.
    pub low: f64,
    /// Upper bound, in the unit of the sample.
    pub high: f64,
    /// Confidence that the method guarantees, as a fraction; at least the one that was asked for.
    pub confidence: f64,
}

impl Interval {
    /// Whether `x` lies in the interval, bounds included.
    pub fn contains(&self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }
}

/// `Some(())` when every value is finite: the functions of this module start with `all_finite(x)?`.
fn all_finite(x: &[f64]) -> Option<()> {
    x.iter().all(|v| v.is_finite()).then_some(())
}

/// `Some(())` for a confidence strictly between 0 and 1.
fn proper_confidence(confidence: f64) -> Option<()> {
    (confidence > 0.0 && confidence < 1.0).then_some(())
}
