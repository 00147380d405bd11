//! What is kept of a comparison: a line for each rule, in `baselines/<machine class>/gates.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::pair::Kind;

/// Newest form of a line.
pub const SCHEMA: u32 = 1;

/// What a rule says of a benchmark, or of a comparison as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// The head is slower.
    Slower,
    /// The head is faster.
    Faster,
    /// Neither.
    #[default]
    Nothing,
}

/// What a rule says of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule, as the table names it; one tool may have several.
    pub rule: String,
    /// By id of the benchmark. One that the tool does not name is missing.
    pub benchmarks: BTreeMap<String, Says>,
    /// What the tool says beside that of the comparison as a whole, naming no benchmark.
    #[serde(default)]
    pub whole: Says,
    /// Why the tool gives no verdict, where it has that outcome.
    #[serde(default)]
    pub no_verdict: Option<String>,
}

impl Finding {
    /// A rule that says nothing yet.
    pub fn of(rule: &str) -> Self {
        Self { rule: rule.to_owned(), ..Self::default() }
    }

    /// Whether anything is called changed.
    pub fn has_alarm(&self) -> bool {
        self.whole != Says::Nothing || self.benchmarks.values().any(|says| *says != Says::Nothing)
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When the tool was started, UTC.
    pub at: String,
    /// Identity of the workspace that was compared.
    pub subject: String,
    /// Seed of the pairs.
    pub seed: u64,
    /// The comparison; `None` if the tool could not be installed.
    pub pair: Option<(Kind, u32)>,
    /// Slowdowns that were put in, in percent, by id.
    pub slowdowns: BTreeMap<String, u32>,
    /// The tool.
    pub tool: String,
    /// Its version.
    pub version: String,
    /// What was asked of it beyond its documented use; empty if nothing.
    pub settings: String,
    /// Seconds from its first command to its last, builds of the two sides included.
    pub seconds: f64,
    /// What it said; `None` if it failed.
    pub finding: Option<Finding>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Record {
    /// Seconds since 1970 of the start; `None` for a line that somebody wrote by hand.
    pub fn started_s(&self) -> Option<f64> {
        self.at.parse::<jiff::Timestamp>().ok().map(|at| at.as_second() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_a_change_of_a_benchmark_or_of_the_whole() {
        let mut finding = Finding::of("rule");
        finding.benchmarks.insert("a".to_owned(), Says::Nothing);
        assert!(!finding.has_alarm());
        assert!(Finding { whole: Says::Faster, ..finding.clone() }.has_alarm());
        finding.benchmarks.insert("b".to_owned(), Says::Slower);
        assert!(finding.has_alarm());
    }

    #[test]
    fn lines_survive_a_round_trip() {
        let record = Record {
            schema: SCHEMA,
            at: "2026-11-26T14:00:00Z".to_owned(),
            subject: "0123abcd".to_owned(),
            seed: 1,
            pair: Some((Kind::Slowed, 2)),
            slowdowns: BTreeMap::from([("stencil".to_owned(), 5)]),
            tool: "tango".to_owned(),
            version: "0.9.0".to_owned(),
            settings: String::new(),
            seconds: 1.5,
            finding: Some(Finding::of("tango compare")),
            error: None,
        };
        let line = serde_json::to_string(&record).unwrap();
        assert!(line.contains(r#""pair":["slowed",2]"#), "{line}");
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        assert_eq!(record.started_s(), Some(1_795_701_600.0));
    }
}
