//! What one cell of a scenario reports: one process, one record, one file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::bench_row::{CeilingSample, Proof, impossible_share};
use crate::metric::{Direction, Metric, Unit};

/// What a cell says in `ran` of the quality of its output: a hash that does not change with rounding. A comparison of
/// two sides that differ in it is no comparison of speed.
pub const QUALITY_HASH: &str = "quality_hash";

/// The variable of a cell's environment that holds the path of `--set AXIS=PATH`, where the axis has the value `own`.
pub const OWN_PATH: &str = "ASSAY_OWN_PATH";

/// The value of `--set AXIS=VALUE` as an absolute path, if it is one: no other value has a separator.
pub fn own_path(value: &str) -> Option<PathBuf> {
    value.contains(['/', '\\']).then(|| std::path::absolute(value).unwrap_or_else(|_| value.into()))
}

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

/// Why a file is no record of a cell.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It is not JSON, or lacks a field.
    #[error("its record cannot be read: {why}")]
    Unreadable {
        /// The parser's message.
        why: String,
    },
    /// It was written by a newer version.
    #[error("its record is of schema {found}; this build reads 1 to {}", crate::SCHEMA)]
    Schema {
        /// Its schema.
        found: u32,
    },
    /// It is of another cell.
    #[error("its record is of scenario `{scenario}` and cell `{cell}`")]
    Other {
        /// Its scenario.
        scenario: String,
        /// Its cell.
        cell: String,
    },
    /// There is nothing to compare.
    #[error("its record lacks the primary metric `{}`", name.as_deref().unwrap_or("none is named"))]
    Primary {
        /// The metric.
        name: Option<String>,
    },
    /// A metric exceeds its ceiling.
    #[error("`{name}` is {share:.2} times the best of its ceiling")]
    Impossible {
        /// The metric.
        name: String,
        /// The metric over the ceiling's best burst.
        share: f64,
    },
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
        self.error.as_deref().or_else(|| self.proof.as_ref()?.fault())
    }

    /// Whether the output was found to be wrong.
    pub fn is_wrong(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| !proof.is_right())
    }

    /// Reads the record that a process left, and checks it: that it is of this scenario and cell, and has a number to
    /// compare unless it says why there is none. `primary` is the metric to compare; a program other than `assay` need
    /// not know what the matrix declares.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn read(bytes: &[u8], scenario: &str, cell: &str, primary: Option<&str>) -> Result<Self, RecordError> {
        let unreadable = |error: serde_json::Error| RecordError::Unreadable { why: error.to_string() };
        let record: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        if !(1..=crate::SCHEMA).contains(&record.schema) {
            return Err(RecordError::Schema { found: record.schema });
        }
        if (record.scenario.as_str(), record.cell.as_str()) != (scenario, cell) {
            return Err(RecordError::Other { scenario: record.scenario, cell: record.cell });
        }
        let primary = primary.map(str::to_owned).or_else(|| record.primary.clone());
        let record = Self { primary, ..record };
        if record.fault().is_some() {
            return Ok(record);
        }
        if record.cost().is_none() {
            return Err(RecordError::Primary { name: record.primary });
        }
        match record.impossible() {
            Some((name, share)) => Err(RecordError::Impossible { name: name.to_owned(), share }),
            None => Ok(record),
        }
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
    fn a_proof_beyond_its_tolerance_is_a_fault_even_if_it_names_none() {
        let proof = |error: Option<f64>| Proof::new("norm", error, 1.0);
        for error in [Some(2.0), Some(f64::NAN), None] {
            let record = CellRecord { proof: Some(proof(error)), ..record("load_s") };
            assert!(record.is_wrong() && record.fault().unwrap().contains("tolerance"), "{error:?}");
        }
        let right = CellRecord { proof: Some(proof(Some(1.0))), ..record("load_s") };
        assert!(!right.is_wrong() && right.fault().is_none());
        let said = Proof { failure: Some("row 3".into()), ..proof(Some(0.0)) };
        assert_eq!((said.is_right(), said.fault()), (false, Some("row 3")));
    }

    #[test]
    fn a_file_is_checked_before_it_is_a_record() {
        let read = |record: &CellRecord, primary: Option<&str>| {
            CellRecord::read(&serde_json::to_vec(record).unwrap(), "s", "a=1", primary)
        };
        let whole = record("load_s");
        assert_eq!(read(&whole, None).as_ref(), Ok(&whole));
        assert_eq!(read(&whole, Some("bytes_per_s")).unwrap().cost(), Some((0.25, Unit::Seconds)));
        assert!(matches!(CellRecord::read(b"{", "s", "a=1", None), Err(RecordError::Unreadable { .. })));
        for schema in [0, crate::SCHEMA + 1] {
            let error = read(&CellRecord { schema, ..whole.clone() }, None);
            assert_eq!(error, Err(RecordError::Schema { found: schema }));
        }
        assert!(matches!(
            read(&CellRecord { cell: "a=2".into(), ..whole.clone() }, None),
            Err(RecordError::Other { .. })
        ));
        assert!(matches!(read(&whole, Some("frames")), Err(RecordError::Primary { .. })));
        let mut impossible = whole.clone();
        let unit = Unit::BytesPerSecond;
        let ceiling = CeilingSample { name: "read".into(), unit, bursts_per_s: 1.0, best_per_s: 1.0, n: 2 };
        impossible.ceilings.push(MetricCeiling { metric: "bytes_per_s".into(), ceiling });
        assert!(matches!(read(&impossible, None), Err(RecordError::Impossible { .. })));
        let failed = CellRecord { error: Some("no such file".into()), ..CellRecord::empty("s", "a=1") };
        assert_eq!(read(&failed, None), Ok(failed));
    }

    #[test]
    fn a_program_in_another_language_may_leave_fields_out() {
        let record: CellRecord = serde_json::from_str(r#"{"schema":1,"scenario":"s","cell":"a=1"}"#).unwrap();
        assert_eq!(record, CellRecord::empty("s", "a=1"));
        assert_eq!(record.fault(), None);
    }
}
