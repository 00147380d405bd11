//! One row: a peer on one case.

use record::{IMPOSSIBLE_SHARE, Interval, stats};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ceiling::Ceiling;

const CONFIDENCE: f64 = 0.95;

/// A row of the table and of its file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) threads: usize,
    pub(crate) peer: String,
    /// Version and settings as the code that ran reports them; empty if it never ran.
    pub(crate) version: String,
    /// What the peer ran, as it reports.
    pub(crate) ran: String,
    /// What our side ran, as it reports.
    pub(crate) ours_ran: String,
    /// Median time of our side per iteration.
    pub(crate) ours_s: Option<f64>,
    /// Median share of the ceiling that our side reached in the same rounds.
    pub(crate) share: Option<f64>,
    /// Which ceiling.
    #[serde(default)]
    pub(crate) ceiling: Ceiling,
    /// Seconds of preparation that the peer needs once, before the first run.
    pub(crate) prepare_s: Option<f64>,
    pub(crate) outcome: Outcome,
    /// Revision, day and machine.
    #[serde(default)]
    pub(crate) made: String,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Timed: the peer's time divided by ours with its 95 % interval. Above 1 ours is faster.
    Timed { ratio: f64, low: f64, high: f64, sets: usize, peer_s: f64 },
    /// Its result differs from ours.
    Disagrees { how: String },
    /// It does not support the case.
    Unsupported { why: String },
    /// It failed.
    Error { why: String },
    /// It is not available on this machine.
    Unavailable { why: String },
}

impl Outcome {
    /// The reason why it was not timed; empty if it was.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Timed { .. } => "",
            Self::Disagrees { how } => how,
            Self::Unsupported { why } | Self::Error { why } | Self::Unavailable { why } => why,
        }
    }
}

/// Samples of our side on one case.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct OurSamples {
    ran: String,
    flops: Option<f64>,
    bytes: Option<f64>,
    times_s: Vec<f64>,
    shares: Vec<f64>,
    ceiling: Ceiling,
}

impl OurSamples {
    pub(crate) fn set_about(&mut self, about: &Value) {
        self.ran = about["ran"].as_str().unwrap_or_default().to_owned();
        self.flops = about["flops"].as_f64();
        self.bytes = about["bytes"].as_f64();
    }

    /// The bytes that a run of the case moves, if our side reports them.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.bytes.map(|bytes| bytes as u64)
    }

    /// One round: our time per iteration, and the ceiling in operations or bytes per second.
    pub(crate) fn round(&mut self, time_s: f64, ceiling: Ceiling, per_s: Option<f64>) {
        self.times_s.push(time_s);
        self.ceiling = ceiling;
        let work = match ceiling {
            Ceiling::None => None,
            Ceiling::Fma | Ceiling::Dot8 | Ceiling::Tiles => self.flops,
            Ceiling::Memory | Ceiling::Reads => self.bytes,
        };
        self.shares.extend(work.zip(per_s).map(|(work, per_s)| work / time_s / per_s));
    }
}

/// Samples of one peer on one case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PeerSamples {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) ran: String,
    pub(crate) prepare_s: Option<f64>,
    pub(crate) times_s: Vec<f64>,
    /// Median of each set of ln(peer's time / our time).
    pub(crate) sets: Vec<f64>,
    /// Whether the case is one of the peer's.
    pub(crate) has_case: bool,
    /// Set once the peer is no longer timed.
    pub(crate) outcome: Option<Outcome>,
}

impl PeerSamples {
    pub(crate) fn new(name: &str, unavailable: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            version: String::new(),
            ran: String::new(),
            prepare_s: None,
            times_s: Vec::new(),
            sets: Vec::new(),
            has_case: true,
            outcome: unavailable.map(|why| Outcome::Unavailable { why }),
        }
    }

    fn timed(&self) -> Option<Outcome> {
        let ratio = stats::hodges_lehmann(&self.sets)?.exp();
        let Interval { low, high, .. } = stats::signed_rank_interval(&self.sets, CONFIDENCE)?;
        let peer_s = stats::median(&self.times_s)?;
        Some(Outcome::Timed { ratio, low: low.exp(), high: high.exp(), sets: self.sets.len(), peer_s })
    }

    pub(crate) fn set_about(&mut self, about: &Value) {
        self.ran = about["ran"].as_str().unwrap_or_default().to_owned();
        self.prepare_s = about["prepare_s"].as_f64();
    }
}

impl Row {
    /// The share of the ceiling, unless the ceiling cannot be true because the share is above it.
    pub(crate) fn believable_share(&self) -> Option<f64> {
        self.share.filter(|&share| share <= IMPOSSIBLE_SHARE)
    }

    pub(crate) fn new(case: &str, threads: usize, ours: &OurSamples, peer: PeerSamples) -> Self {
        let timed = peer.timed();
        let too_few = || Outcome::Error { why: "its process ended too often: too few sets for an interval".to_owned() };
        Self {
            case: case.to_owned(),
            threads,
            peer: peer.name,
            version: peer.version,
            ran: peer.ran,
            ours_ran: ours.ran.clone(),
            ours_s: stats::median(&ours.times_s),
            share: stats::median(&ours.shares),
            ceiling: ours.ceiling,
            prepare_s: peer.prepare_s,
            outcome: peer.outcome.or(timed).unwrap_or_else(too_few),
            made: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(sets: &[f64]) -> PeerSamples {
        let sets = sets.iter().map(|ratio: &f64| ratio.ln()).collect();
        PeerSamples { sets, times_s: vec![2.0], ..PeerSamples::new("peer", None) }
    }

    #[test]
    fn seven_sets_give_a_ratio_and_its_interval() {
        let row = Row::new("case", 1, &OurSamples::default(), samples(&[1.2, 1.1, 1.3, 1.2, 1.25, 1.15, 1.2]));
        let Outcome::Timed { ratio, low, high, sets: 7, .. } = row.outcome else { panic!("{:?}", row.outcome) };
        assert!((ratio - 1.2).abs() < 0.01 && low > 1.09 && high < 1.31 && low < ratio && ratio < high);
        assert_eq!(row.ours_s, None, "not measured is no number");
    }

    #[test]
    fn too_few_sets_and_an_earlier_outcome_are_no_ratio() {
        assert!(matches!(
            Row::new("case", 1, &OurSamples::default(), samples(&[1.2; 3])).outcome,
            Outcome::Error { .. }
        ));
        let wrong = Outcome::Disagrees { how: "swapped".to_owned() };
        let samples = PeerSamples { outcome: Some(wrong.clone()), ..samples(&[1.2; 7]) };
        assert_eq!(Row::new("case", 1, &OurSamples::default(), samples).outcome, wrong);
    }

    #[test]
    fn shares_are_of_the_ceiling_of_the_round() {
        let mut ours = OurSamples { flops: Some(50.0), bytes: Some(10.0), ..OurSamples::default() };
        ours.round(1.0, Ceiling::Fma, Some(100.0));
        ours.round(2.0, Ceiling::Reads, Some(10.0));
        ours.round(1.0, Ceiling::None, None);
        assert_eq!(ours.shares, [0.5, 0.5]);
    }
}
