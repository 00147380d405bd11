//! What one cell of a scenario reports: one process, one record, one file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bench_row::Proof;
use crate::metric::{Direction, Metric, Unit};

/// The record of one cell: the JSON that `assay cell NAME CELL --out FILE` writes, by rename, also on failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellRecord {
    /// [`SCHEMA`](crate::SCHEMA) of the writer.
    pub schema: u32,
    /// Scenario.
    pub scenario: String,
    /// The cell, `axis=value,…` in the order of the matrix.
    pub cell: String,
    /// What was measured; the first one that [`CellRecord::time_s`] accepts is what a comparison compares.
    pub metrics: Vec<Metric>,
    /// The check of the cell's output; `None` is unproved.
    pub proof: Option<Proof>,
    /// What ran, as reported by the code that ran.
    pub ran: BTreeMap<String, String>,
    /// Why there are no numbers.
    pub error: Option<String>,
}

impl CellRecord {
    /// The cell's time in seconds: the first measured metric in seconds that is better when lower, or the reciprocal of
    /// the first rate. `None` if the record holds neither.
    pub fn time_s(&self) -> Option<f64> {
        let measured = |metric: &&Metric| metric.value.is_some_and(|value| value > 0.0 && value.is_finite());
        let is_time = |metric: &&Metric| metric.unit == Unit::Seconds && metric.direction == Direction::LowerIsBetter;
        let is_rate = |metric: &&Metric| {
            matches!(metric.unit, Unit::ElementsPerSecond | Unit::FlopPerSecond | Unit::BytesPerSecond)
                && metric.direction == Direction::HigherIsBetter
        };
        let time = self.metrics.iter().filter(measured).find(is_time).and_then(|metric| metric.value);
        time.or_else(|| {
            self.metrics.iter().filter(measured).find(is_rate).and_then(|metric| metric.value).map(f64::recip)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(unit: Unit, direction: Direction, value: Option<f64>) -> Metric {
        Metric { name: "m".into(), value, unit, direction, n: 1, low: None, high: None }
    }

    #[test]
    fn the_time_is_the_first_measured_one_or_the_reciprocal_of_a_rate() {
        let record = |metrics: Vec<Metric>| CellRecord {
            schema: 1,
            scenario: "s".into(),
            cell: "a=1".into(),
            metrics,
            proof: None,
            ran: BTreeMap::new(),
            error: None,
        };
        let rate = metric(Unit::ElementsPerSecond, Direction::HigherIsBetter, Some(4.0));
        let time = metric(Unit::Seconds, Direction::LowerIsBetter, Some(2.0));
        let missing = metric(Unit::Seconds, Direction::LowerIsBetter, None);
        assert_eq!(record(vec![rate.clone(), missing.clone(), time]).time_s(), Some(2.0));
        assert_eq!(record(vec![missing, rate]).time_s(), Some(0.25));
        assert_eq!(record(vec![]).time_s(), None);
    }
}
