//! What a cell measures, in the order that the law of measurement asks for: prove, then time.
//!
//! A scenario gets an [`Unproved`] and gives back a [`Measured`]. The only ways from one to the other are a proof that
//! passed and an open statement that there is none, so a cell cannot time first and check later.

use std::collections::BTreeMap;
use std::fmt::Display;

use machine::heap::Meter;
use machine::noise;
use record::{CeilingSample, CellRecord, Direction, Metric, MetricCeiling, Proof, Unit, stats};

/// The largest resident set of the process.
pub const PEAK_RSS: &str = "peak_rss_bytes";
/// The most bytes of the heap that were in use at once.
pub const PEAK_HEAP: &str = "peak_heap_bytes";

/// A cell whose output was not checked yet: it says what runs, and has no place for times.
#[derive(Clone, Debug, Default)]
pub struct Unproved {
    ran: BTreeMap<String, String>,
}

/// The output of a cell is wrong, so it is not timed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("wrong output: {}", proof.failure.as_deref().unwrap_or("the error exceeds the tolerance"))]
pub struct Wrong {
    /// The figures of the check.
    pub proof: Box<Proof>,
    /// What ran.
    pub ran: BTreeMap<String, String>,
}

/// What a proved cell measured.
#[derive(Clone, Debug)]
pub struct Measured {
    ran: BTreeMap<String, String>,
    proof: Option<Proof>,
    output_hash: Option<String>,
    metrics: Vec<Metric>,
    ceilings: Vec<MetricCeiling>,
}

/// Why what was measured is no record.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The name of a metric does not end in its unit.
    #[error("the metric `{name}` counts in {unit:?}, so its name ends in `{suffix}`")]
    Name {
        /// The metric.
        name: String,
        /// Its unit.
        unit: Unit,
        /// What its name must end in.
        suffix: &'static str,
    },
    /// A metric was measured twice.
    #[error("the metric `{name}` was reported twice")]
    Twice {
        /// The metric.
        name: String,
    },
    /// A value is no number, or it is negative.
    #[error("the metric `{name}` is {value}")]
    Value {
        /// The metric.
        name: String,
        /// Its value.
        value: f64,
    },
    /// The metric that a comparison judges is missing, or is no positive number with a better direction.
    #[error("the cell did not report its primary metric `{name}`")]
    Primary {
        /// The metric.
        name: String,
    },
    /// A metric exceeds its ceiling.
    #[error("`{name}` is {share:.2} times the best of its ceiling: the work is not done, or the ceiling is wrong")]
    Impossible {
        /// The metric.
        name: String,
        /// The metric over the ceiling's best burst.
        share: f64,
    },
}

impl Unproved {
    /// Says something about what runs, as reported by the code that runs: `isa`, `threads`, `by`.
    pub fn ran(&mut self, key: &str, value: impl Display) -> &mut Self {
        self.ran.insert(key.to_owned(), value.to_string());
        self
    }

    /// Goes on if the output is right, and lets [memory count](Measured::memory_from_here) from here: what the check
    /// needed is not charged to the work.
    ///
    /// # Errors
    /// [`Wrong`] if the check failed, with its figures. A caller passes it on with `?`.
    pub fn prove(self, proof: Proof) -> Result<Measured, Wrong> {
        if proof.is_right() {
            Ok(self.begin(Some(proof)))
        } else {
            Err(Wrong { proof: Box::new(proof), ran: self.ran })
        }
    }

    /// Goes on without a proof; the row says `unproved`, and why.
    pub fn without_proof(mut self, why: &str) -> Measured {
        self.ran("unproved", why);
        self.begin(None)
    }

    fn begin(self, proof: Option<Proof>) -> Measured {
        let mut measured =
            Measured { ran: self.ran, proof, output_hash: None, metrics: Vec::new(), ceilings: Vec::new() };
        measured.memory_from_here();
        measured
    }
}

impl Measured {
    /// Says something about what ran, as in [`Unproved::ran`].
    pub fn ran(&mut self, key: &str, value: impl Display) -> &mut Self {
        self.ran.insert(key.to_owned(), value.to_string());
        self
    }

    /// The hash of what the timed work computed. It ties the proof to what was timed: if the proof has a hash, the two
    /// must be equal, or the record is that of a wrong output. Cells of which the matrix promises the same output
    /// (`[[same]]`) must report it.
    pub fn output(&mut self, hash: String) -> &mut Self {
        self.output_hash = Some(hash);
        self
    }

    /// A time in seconds; lower is better.
    pub fn seconds(&mut self, name: &str, value: f64) -> &mut Self {
        self.metric(name, value, Unit::Seconds, Direction::LowerIsBetter)
    }

    /// The median of several iterations in this process, in seconds, after `warm_up` others that are not among them.
    /// They are one sample: the process is. Both numbers stand in the row.
    pub fn iterations(&mut self, name: &str, seconds: &[f64], warm_up: usize) -> &mut Self {
        self.ran("iterations", seconds.len()).ran("warm_up_iterations", warm_up);
        self.seconds(name, stats::median(seconds).unwrap_or(f64::NAN))
    }

    /// A number of bytes; lower is better.
    pub fn bytes(&mut self, name: &str, value: u64) -> &mut Self {
        self.metric(name, value as f64, Unit::Bytes, Direction::LowerIsBetter)
    }

    /// A rate in `unit`; higher is better.
    pub fn rate(&mut self, name: &str, value: f64, unit: Unit) -> &mut Self {
        self.metric(name, value, unit, Direction::HigherIsBetter)
    }

    /// A rate under a ceiling that was measured around it in this process.
    pub fn rate_under(&mut self, name: &str, value: f64, ceiling: CeilingSample) -> &mut Self {
        self.rate(name, value, ceiling.unit);
        self.ceilings.push(MetricCeiling { metric: name.to_owned(), ceiling });
        self
    }

    /// Any other number.
    pub fn metric(&mut self, name: &str, value: f64, unit: Unit, direction: Direction) -> &mut Self {
        let name = name.to_owned();
        self.metrics.push(Metric { name, value: Some(value), unit, direction, n: 1, low: None, high: None });
        self
    }

    /// Lets the peaks of the resident set and of the heap begin anew from what is in use now.
    pub fn memory_from_here(&mut self) -> &mut Self {
        if let Some(meter) = Meter::find() {
            meter.reset_peak();
        }
        if !noise::reset_peak_rss() {
            self.ran(PEAK_RSS, "of the whole process, its proof included");
        }
        self
    }

    /// Reports [`PEAK_RSS`] and [`PEAK_HEAP`] as they are now: what comes later is not charged to the work. Peaks that
    /// the cell reported itself stay.
    pub fn memory_to_here(&mut self) -> &mut Self {
        let heap = Meter::find().map(|meter| meter.peak_bytes() as u64);
        let rss = noise::process_counters(std::process::id()).and_then(|counters| counters.vm_hwm_bytes);
        for (name, peak) in [(PEAK_RSS, rss), (PEAK_HEAP, heap)] {
            if let Some(peak) = peak.filter(|_| self.metrics.iter().all(|metric| metric.name != name)) {
                self.bytes(name, peak);
            }
        }
        self
    }

    /// The record of a cell. Memory counts [to here](Self::memory_to_here) if the cell did not say otherwise.
    ///
    /// # Errors
    /// [`MeasureError`]: what a row must not say.
    pub fn record(mut self, scenario: &str, cell: &str, primary: &str) -> Result<CellRecord, MeasureError> {
        self.memory_to_here();
        if let Some(proof) = &mut self.proof {
            tie(proof, self.output_hash.take());
            if !proof.is_right() {
                return Ok(CellRecord {
                    primary: Some(primary.to_owned()),
                    proof: self.proof,
                    ran: self.ran,
                    ..CellRecord::empty(scenario, cell)
                });
            }
        }
        for (at, metric) in self.metrics.iter().enumerate() {
            check(metric, &self.metrics[..at])?;
        }
        let record = CellRecord {
            primary: Some(primary.to_owned()),
            metrics: self.metrics,
            ceilings: self.ceilings,
            proof: self.proof,
            ran: self.ran,
            ..CellRecord::empty(scenario, cell)
        };
        if record.cost().is_none() {
            return Err(MeasureError::Primary { name: primary.to_owned() });
        }
        match record.impossible() {
            Some((name, share)) => Err(MeasureError::Impossible { name: name.to_owned(), share }),
            None => Ok(record),
        }
    }
}

/// The proof with the hash of what was timed; a failed one if it proved something else.
fn tie(proof: &mut Proof, timed: Option<String>) {
    let Some(timed) = timed else { return };
    if let Some(proved) = proof.output_hash.replace(timed.clone()).filter(|proved| *proved != timed) {
        proof.failure = Some(format!("wrong output: the timed work gave the hash {timed}, proved was {proved}"));
    }
}

fn check(metric: &Metric, before: &[Metric]) -> Result<(), MeasureError> {
    let name = metric.name.clone();
    if before.iter().any(|other| other.name == name) {
        return Err(MeasureError::Twice { name });
    }
    let suffix = match metric.unit {
        Unit::Seconds => "_s",
        Unit::Bytes => "_bytes",
        Unit::BytesPerSecond | Unit::FlopPerSecond | Unit::ElementsPerSecond => "_per_s",
        Unit::Ratio => "_ratio",
        _ => "",
    };
    let is_rate = name.ends_with("_per_s");
    if !name.ends_with(suffix) || (metric.unit == Unit::Seconds && is_rate) {
        return Err(MeasureError::Name { name, unit: metric.unit, suffix });
    }
    match metric.value {
        Some(value) if !(value >= 0.0 && value.is_finite()) => Err(MeasureError::Value { name, value }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(error: f64) -> Proof {
        Proof::new("hash", Some(error), 0.0)
    }

    fn measured() -> Measured {
        Unproved::default().prove(proof(0.0)).unwrap()
    }

    #[test]
    fn a_wrong_output_leaves_no_place_for_times() {
        let mut unproved = Unproved::default();
        unproved.ran("isa", "avx2");
        for bad in [proof(1.0), proof(f64::NAN), Proof { failure: Some("row 3".into()), ..proof(0.0) }] {
            let wrong = unproved.clone().prove(bad).unwrap_err();
            assert!(wrong.to_string().starts_with("wrong output: "), "{wrong}");
            assert_eq!(wrong.ran["isa"], "avx2");
        }
        assert!(unproved.clone().prove(Proof { error: None, ..proof(0.0) }).is_err(), "no figure is no proof");
        let record = unproved.without_proof("there is no oracle");
        assert_eq!(record.ran["unproved"], "there is no oracle");
    }

    #[test]
    fn a_timed_output_that_is_not_the_proved_one_leaves_no_times() {
        let record = |proved: Option<&str>, timed: &str| {
            let proof = Proof { output_hash: proved.map(str::to_owned), ..proof(0.0) };
            let mut cell = Unproved::default().prove(proof).unwrap();
            cell.seconds("load_s", 1.0).output(timed.to_owned());
            cell.record("s", "a=1", "load_s").unwrap()
        };
        for proved in [None, Some("a")] {
            let right = record(proved, "a");
            let hash = right.proof.as_ref().and_then(|proof| proof.output_hash.as_deref());
            assert_eq!((right.fault(), hash), (None, Some("a")));
            assert_eq!(right.metrics[0].name, "load_s");
        }
        let wrong = record(Some("a"), "b");
        assert!(wrong.is_wrong() && wrong.fault().unwrap().starts_with("wrong output"), "{wrong:?}");
        assert!(wrong.metrics.is_empty());
    }

    #[test]
    fn a_record_has_the_primary_metric_and_the_peaks() {
        let mut cell = measured();
        cell.iterations("load_s", &[3.0, 1.0, 2.0], 1).bytes(PEAK_HEAP, 7);
        let record = cell.record("s", "a=1", "load_s").unwrap();
        assert_eq!(record.cost(), Some((2.0, Unit::Seconds)));
        assert_eq!((record.ran["iterations"].as_str(), record.ran["warm_up_iterations"].as_str()), ("3", "1"));
        assert_eq!(record.value(PEAK_HEAP), Some(7.0), "the cell's own figure stays");
        #[cfg(target_os = "linux")]
        assert!(record.value(PEAK_RSS).is_some_and(|bytes| bytes > 0.0));
    }

    #[test]
    fn what_a_row_must_not_say_is_an_error() {
        let error = |fill: &dyn Fn(&mut Measured)| {
            let mut cell = measured();
            cell.seconds("load_s", 1.0);
            fill(&mut cell);
            cell.record("s", "a=1", "load_s").err()
        };
        assert_eq!(error(&|_| {}), None);
        assert!(matches!(
            error(&|cell| {
                cell.seconds("time_ms", 1.0);
            }),
            Some(MeasureError::Name { .. })
        ));
        assert!(matches!(
            error(&|cell| {
                cell.seconds("frames_per_s", 1.0);
            }),
            Some(MeasureError::Name { .. })
        ));
        assert!(matches!(
            error(&|cell| {
                cell.seconds("load_s", 1.0);
            }),
            Some(MeasureError::Twice { .. })
        ));
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(matches!(
                error(&|cell| {
                    cell.seconds("x_s", value);
                }),
                Some(MeasureError::Value { .. })
            ));
        }
        let ceiling = |best_per_s| CeilingSample {
            name: "read".into(),
            unit: Unit::BytesPerSecond,
            bursts_per_s: best_per_s,
            best_per_s,
            n: 1,
        };
        assert_eq!(
            error(&|cell| {
                cell.rate_under("read_per_s", 9.0, ceiling(10.0));
            }),
            None
        );
        let impossible = error(&|cell| {
            cell.rate_under("read_per_s", 20.0, ceiling(10.0));
        });
        assert_eq!(impossible, Some(MeasureError::Impossible { name: "read_per_s".into(), share: 2.0 }));
        assert_eq!(measured().record("s", "a=1", "x_s"), Err(MeasureError::Primary { name: "x_s".into() }));
    }
}
