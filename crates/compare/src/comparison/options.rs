//! What is compared, for what purpose and with what effort: plain types below the command line and the run.

use std::time::Duration;

use regex_lite::Regex;

use crate::build::Wanted;
use crate::repo::Snapshot;

/// What is compared, and with what effort.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the result is for.
    pub purpose: Purpose,
    /// What to build.
    pub wanted: Wanted,
    /// Full ids that count.
    pub filter: Option<Regex>,
    /// Full ids that do not count, whatever the filter says.
    pub exclude: Vec<Regex>,
    /// Highest tier that counts.
    pub tier: u8,
    /// Measurement time. Seconds.
    pub budget_s: f64,
    /// Limit of one process.
    pub timeout: Duration,
    /// Longest wait for a quiet machine.
    pub wait: Duration,
    /// Print the plan and stop.
    pub dry_run: bool,
    /// Print the plan of a dry run as JSON.
    pub json: bool,
    /// Seed of the schedule; drawn if absent.
    pub seed: Option<u64>,
    /// Time each side in a single layout even if it could be linked again.
    pub one_link: bool,
    /// Count instructions of every timed benchmark, not only of those that became slower.
    pub all_instructions: bool,
    /// Time sides whose outputs differ in quality.
    pub accept_quality: bool,
    /// Fewest blocks if all benchmarks run the full number. More blocks than the family needs detect smaller effects.
    pub least_blocks: usize,
}

impl Options {
    /// Whether filter and tier select a benchmark. A filter selects from every tier.
    pub fn selects(&self, id: &str, tier: u8) -> bool {
        self.filter.as_ref().map_or(tier <= self.tier, |filter| filter.is_match(id))
    }

    /// Whether a benchmark is selected and not excluded.
    pub fn takes(&self, id: &str, tier: u8) -> bool {
        self.selects(id, tier) && !self.exclude.iter().any(|exclude| exclude.is_match(id))
    }
}

/// All revisions.
#[derive(Clone, Debug)]
pub struct Revisions {
    /// Before; `None` measures the head alone.
    pub base: Option<Snapshot>,
    /// More of them: the head is compared with each, beside the first.
    pub others: Vec<Snapshot>,
    /// After.
    pub head: Snapshot,
}

impl Revisions {
    /// Every base, the first one first.
    pub fn bases(&self) -> impl Iterator<Item = &Snapshot> {
        self.base.iter().chain(&self.others)
    }
}

/// What the result is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// For a person: identical code still gets absolute figures.
    Compare,
    /// For a pull request: identical code is not timed, and null controls run as well.
    Gate,
    /// For one step of a bisection: only verdicts count.
    Bisect,
}
