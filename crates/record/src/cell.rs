//! What one cell of a scenario reports: one process, one record, one file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bench_row::{CeilingSample, Proof, impossible_share};
use crate::metric::{Direction, Metric, Unit};

/// The record of one cell: the JSON that `assay cell NAME CELL --out FILE` writes, by rename, also on failure.
///
/// A program in another language writes the same file; fields that it leaves out are "not measured".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellRecord {
    /// [`SCHEMA`](crate::SCHEMA) of the writer.
    pub schema: u32,
    /// Scenario.
    pub scenario: String,
    /// The cell, `axis=value,…` in the order of the matrix.
    pub cell: String,
    /// Name of the metric that a comparison judges.
    #[serde(default)]
    pub primary: Option<String>,
    /// What was measured in this process.
    #[serde(default)]
    pub metrics: Vec<Metric>,
    /// Ceilings that were measured in this process, each for one metric.
    #[serde(default)]
    pub ceilings: Vec<MetricCeiling>,
    /// The check of the cell's output; `None` is unproved.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// What ran, as reported by the code that ran.
    #[serde(default)]
    pub ran: BTreeMap<String, String>,
    /// Class of the machine that it ran on.
    #[serde(default)]
    pub machine: Option<String>,
    /// Why there are no numbers.
    #[serde(default)]
    pub error: Option<String>,
}

/// The limit of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricCeiling {
    /// Name of the metric, a rate in the ceiling's unit.
    pub metric: String,
    /// What was measured around it.
    pub ceiling: CeilingSample,
}

impl CellRecord {
    /// A record without numbers.
    pub fn empty(scenario: &str, cell: &str) -> Self {
        Self {
            schema: crate::SCHEMA,
            scenario: scenario.to_owned(),
            cell: cell.to_owned(),
            primary: None,
            metrics: Vec::new(),
            ceilings: Vec::new(),
            proof: None,
            ran: BTreeMap::new(),
            machine: None,
            error: None,
        }
    }

    /// The measured value of a metric.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|metric| metric.name == name)?.value.filter(|value| value.is_finite())
    }

    /// Why the numbers of this record do not count: an error, or a failed proof.
    pub fn fault(&self) -> Option<&str> {
        self.error.as_deref().or_else(|| self.proof.as_ref()?.failure.as_deref())
    }

    /// What a comparison compares: the primary metric as a positive number that is better when lower, with its unit. A
    /// rate becomes the seconds that one of its things takes; the number of another metric that is better when higher
    /// becomes its reciprocal. `None` if the record has no such number.
    pub fn cost(&self) -> Option<(f64, Unit)> {
        let metric = self.metrics.iter().find(|metric| Some(&metric.name) == self.primary.as_ref())?;
        let value = metric.value.filter(|value| *value > 0.0 && value.is_finite())?;
        let is_rate = matches!(metric.unit, Unit::ElementsPerSecond | Unit::FlopPerSecond | Unit::BytesPerSecond);
        match metric.direction {
            Direction::LowerIsBetter => Some((value, metric.unit)),
            Direction::HigherIsBetter => Some((value.recip(), if is_rate { Unit::Seconds } else { metric.unit })),
            Direction::Neutral => None,
        }
    }

    /// The ceiling of a metric.
    pub fn ceiling(&self, metric: &str) -> Option<&CeilingSample> {
        self.ceilings.iter().find(|ceiling| ceiling.metric == metric).map(|found| &found.ceiling)
    }

    /// A metric over its ceiling's median burst: the paired share of this process.
    pub fn share_of_ceiling(&self, metric: &str) -> Option<f64> {
        let bursts = self.ceiling(metric)?.bursts_per_s;
        (bursts > 0.0).then_some(self.value(metric)? / bursts)
    }

    /// The first metric that is further above the best of its ceiling than
    /// [`IMPOSSIBLE_SHARE`](crate::IMPOSSIBLE_SHARE) allows, and its share: an error of the cell or of the ceiling.
    pub fn impossible(&self) -> Option<(&str, f64)> {
        self.ceilings.iter().find_map(|MetricCeiling { metric, ceiling }| {
            Some((metric.as_str(), impossible_share(self.value(metric)?, ceiling.best_per_s)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str, unit: Unit, direction: Direction, value: Option<f64>) -> Metric {
        Metric { name: name.into(), value, unit, direction, n: 1, low: None, high: None }
    }

    fn record(primary: &str) -> CellRecord {
        let metrics = vec![
            metric("load_s", Unit::Seconds, Direction::LowerIsBetter, Some(2.0)),
            metric("bytes_per_s", Unit::BytesPerSecond, Direction::HigherIsBetter, Some(4.0)),
            metric("kept_ratio", Unit::Ratio, Direction::HigherIsBetter, Some(0.5)),
            metric("peak_rss_bytes", Unit::Bytes, Direction::LowerIsBetter, Some(64.0)),
            metric("frames", Unit::Count, Direction::Neutral, Some(8.0)),
            metric("missing_s", Unit::Seconds, Direction::LowerIsBetter, None),
        ];
        CellRecord { metrics, primary: Some(primary.into()), ..CellRecord::empty("s", "a=1") }
    }

    #[test]
    fn the_cost_is_the_primary_metric_turned_so_that_lower_is_better() {
        assert_eq!(record("load_s").cost(), Some((2.0, Unit::Seconds)));
        assert_eq!(record("bytes_per_s").cost(), Some((0.25, Unit::Seconds)));
        assert_eq!(record("kept_ratio").cost(), Some((2.0, Unit::Ratio)));
        assert_eq!(record("peak_rss_bytes").cost(), Some((64.0, Unit::Bytes)));
        for without in ["frames", "missing_s", "typo_s"] {
            assert_eq!(record(without).cost(), None, "{without}");
        }
        assert_eq!(CellRecord { primary: None, ..record("") }.cost(), None);
    }

    #[test]
    fn a_rate_above_its_ceiling_is_impossible() {
        let mut record = record("bytes_per_s");
        let ceiling = |best_per_s| CeilingSample {
            name: "read".into(),
            unit: Unit::BytesPerSecond,
            bursts_per_s: 8.0,
            best_per_s,
            n: 2,
        };
        record.ceilings.push(MetricCeiling { metric: "bytes_per_s".into(), ceiling: ceiling(8.0) });
        assert_eq!((record.share_of_ceiling("bytes_per_s"), record.impossible()), (Some(0.5), None));
        record.ceilings[0].ceiling = ceiling(2.0);
        assert_eq!(record.impossible(), Some(("bytes_per_s", 2.0)));
        assert_eq!(record.share_of_ceiling("load_s"), None);
    }

    #[test]
    fn a_program_in_another_language_may_leave_fields_out() {
        let record: CellRecord = serde_json::from_str(r#"{"schema":1,"scenario":"s","cell":"a=1"}"#).unwrap();
        assert_eq!(record, CellRecord::empty("s", "a=1"));
        assert_eq!(record.fault(), None);
    }
}
