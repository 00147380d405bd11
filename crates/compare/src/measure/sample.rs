//! One process as one number, with the facts that back it.

use std::time::{Duration, Instant};

use anyhow::Result;
use machine::noise::ProcessCounters;
use record::bench_row::{BenchRow, State};
use record::stats;
use serde::{Deserialize, Serialize};

use crate::bench::{CriterionVersion, End, Key, Program, Run, Samples, ScratchDir, Selection, Settings, Throughput};

/// A batch shorter than this is rejected as quantized: it is about a thousand ticks of a 20 ns clock.
const SHORTEST_BATCH_NS: f64 = 20_000.0;

/// What one process reported about one benchmark.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Median time of an iteration, in `unit`.
    pub time: f64,
    /// Time per iteration of each of criterion's batches, in the same unit.
    pub batches: Vec<f64>,
    /// Unit of `time`, "ns" unless the bench has a measurement of its own.
    pub unit: String,
    /// Work per iteration that the bench declared to criterion.
    pub throughput: Option<Throughput>,
    /// What the bench reports about itself: proof, kernel that ran, ceiling, allocations. Only benches with our glue
    /// do.
    pub row: Option<BenchRow>,
    /// Peak resident memory of the process up to the end of the measurement.
    pub peak_rss_bytes: Option<u64>,
    /// Context switches that the kernel forced, per second of the process.
    pub involuntary_per_s: Option<f64>,
    /// Threads of the process at the end of the measurement.
    pub threads: Option<u64>,
    /// Measurement time that the benchmark used, if criterion reports it: a group may set its own. Seconds.
    pub measurement_s: Option<f64>,
    /// Wall time of the process. Seconds.
    pub process_s: f64,
}

impl Sample {
    /// Log of the time, which the statistics use: a ratio of times is a difference of logs.
    pub fn log_time(&self) -> f64 {
        self.time.ln()
    }
}

/// Why a process gave no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TroubleKind {
    /// A panic, no time, a benchmark that is not there.
    Invalid,
    /// The benchmark's own check found a wrong output.
    WrongOutput,
    /// Batches were too short for the clock in every attempt. In the pilot this is a property of the benchmark. Later
    /// the machine caused it: criterion plans only a few iterations a batch if the process is preempted during its
    /// warm-up.
    TooFast,
    /// Killed at the limit.
    Timeout,
    /// Not run to its end, because the budget ended.
    OutOfTime,
}

/// A process that gave no number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Which kind.
    pub kind: TroubleKind,
    /// What happened, with the last lines of output if the process failed.
    pub reason: String,
}

impl Trouble {
    fn invalid(reason: impl Into<String>) -> Self {
        Self { kind: TroubleKind::Invalid, reason: reason.into() }
    }

    fn out_of_time() -> Self {
        Self { kind: TroubleKind::OutOfTime, reason: "the budget ended first (--budget)".to_owned() }
    }
}

/// Runs processes.
#[derive(Debug)]
pub struct Sampler<'a> {
    /// Where they run.
    pub scratch: &'a ScratchDir,
    /// Limit of one process.
    pub timeout: Duration,
    /// How long they measure.
    pub settings: Settings,
    /// When the budget ends: no process runs longer. `None` is no limit.
    pub until: Option<Instant>,
}

/// Most processes that are run to get one whose batches are long enough to time. Only the length of a batch decides, so
/// that the choice does not depend on which side is faster.
const ATTEMPTS: usize = 4;

impl Sampler<'_> {
    /// One process of `key`. The outer error ends the comparison; the inner one is the benchmark's own.
    pub fn sample(
        &self,
        program: &Program,
        key: &Key,
        version: Option<CriterionVersion>,
        inject: Option<&str>,
    ) -> Result<Result<Sample, Trouble>> {
        let id = key.id();
        let selection = Selection::Measure { id: &id, settings: self.settings, version };
        let extra: Vec<(&str, &str)> = inject.map(|text| ("ASSAY_INJECT", text)).into_iter().collect();
        let mut attempt = 1;
        loop {
            let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Err(Trouble::out_of_time()));
            }
            let limit = left.map_or(self.timeout, |left| left.min(self.timeout));
            let run = self.scratch.run(program, &selection, &extra, limit)?;
            if run.end == End::TimedOut && limit < self.timeout {
                return Ok(Err(Trouble::out_of_time()));
            }
            match read(run, key, self.timeout) {
                Err(trouble) if trouble.kind == TroubleKind::TooFast && attempt < ATTEMPTS => attempt += 1,
                Err(trouble) if trouble.kind == TroubleKind::TooFast => {
                    let reason = format!("{}, in each of {ATTEMPTS} processes", trouble.reason);
                    return Ok(Err(Trouble { reason, ..trouble }));
                }
                result => return Ok(result),
            }
        }
    }
}

/// An iteration shorter than this is below one cycle of any processor: the compiler removed the work.
const SHORTEST_ITERATION_NS: f64 = 0.1;

/// Turns a run into a sample.
fn read(run: Run, key: &Key, timeout: Duration) -> Result<Sample, Trouble> {
    let id = key.id();
    let row = run.rows.iter().rev().find(|row| row.id() == id && row.state != State::Declared).cloned();
    if let Some(failure) = row.as_ref().and_then(|row| row.proof.as_ref()).and_then(|proof| proof.failure.as_ref()) {
        return Err(Trouble { kind: TroubleKind::WrongOutput, reason: format!("wrong output: {failure}") });
    }
    match &run.end {
        End::TimedOut => {
            let reason = format!("no result within {} s (--timeout)", timeout.as_secs_f64());
            return Err(Trouble { kind: TroubleKind::Timeout, reason });
        }
        End::Failed(status) => return Err(Trouble::invalid(format!("the process failed ({status}): {}", run.tail))),
        End::NotCriterion => return Err(Trouble::invalid("the process did not speak criterion's protocol this time")),
        End::NotConnected => return Err(Trouble::invalid("the process ended without connecting to us this time")),
        End::Success => {}
    }
    let mut matching = run.samples.into_iter().filter(|samples| samples.id == key.raw);
    let Some(samples) = matching.nth(key.occurrence as usize) else {
        return Err(Trouble::invalid(format!("the process ended without a result: {}", run.tail)));
    };
    let batches = times_per_iteration(&samples)?;
    let time =
        stats::median(&batches).ok_or_else(|| Trouble::invalid("criterion reported samples without iterations"))?;
    if samples.unit == "ns" && time < SHORTEST_ITERATION_NS {
        return Err(Trouble::invalid(format!(
            "an iteration took {time:.3} ns, less than a cycle: the compiler removed the work"
        )));
    }
    let declared_rss = row.as_ref().and_then(|row| row.peak_rss_bytes);
    Ok(Sample {
        time,
        batches,
        unit: samples.unit,
        throughput: samples.throughput,
        // The bench's own figure leaves out the memory of its ceilings.
        peak_rss_bytes: declared_rss.or_else(|| run.counters.as_ref().and_then(|counters| counters.vm_hwm_bytes)),
        involuntary_per_s: run.counters.as_ref().and_then(involuntary).map(|count| count / run.seconds.max(1e-3)),
        row,
        threads: run.threads,
        measurement_s: samples.measurement_s,
        process_s: run.seconds,
    })
}

fn involuntary(counters: &ProcessCounters) -> Option<f64> {
    counters.involuntary_switches.map(|count| count as f64)
}

/// Time per iteration of each batch.
fn times_per_iteration(samples: &Samples) -> Result<Vec<f64>, Trouble> {
    if samples.times.is_empty() || samples.times.len() != samples.iters.len() {
        return Err(Trouble::invalid("criterion reported no samples"));
    }
    if samples.times.iter().any(|time| *time <= 0.0 || !time.is_finite()) {
        return Err(Trouble::invalid("a sample took no time: the timer or the measurement is broken"));
    }
    let batch = stats::median(&samples.times).unwrap_or(0.0);
    if samples.unit == "ns" && batch < SHORTEST_BATCH_NS {
        let reason = format!("too fast to classify: a batch took {batch:.0} ns, below 1000 ticks of the clock");
        return Err(Trouble { kind: TroubleKind::TooFast, reason });
    }
    Ok(samples.times.iter().zip(&samples.iters).map(|(time, iters)| time / iters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::RawId;

    fn key() -> Key {
        let raw = RawId { group: "g".into(), function: None, value: None };
        Key { package: "p".into(), target: "t".into(), raw, occurrence: 0 }
    }

    fn run(times: &[f64]) -> Run {
        let samples = Samples {
            id: key().raw,
            iters: vec![1.0; times.len()],
            times: times.to_vec(),
            throughput: None,
            measurement_s: None,
            unit: "ns".into(),
        };
        Run {
            end: End::Success,
            version: None,
            listed: vec![],
            samples: vec![samples],
            rows: vec![],
            counters: None,
            threads: Some(1),
            seconds: 0.3,
            tail: "bye".into(),
        }
    }

    fn reason(run: Run, key: &Key) -> String {
        read(run, key, Duration::from_secs(60)).unwrap_err().reason
    }

    #[test]
    fn the_median_batch_is_the_sample() {
        let sample = read(run(&[3e6, 1e6, 2e6]), &key(), Duration::from_secs(60)).unwrap();
        assert_eq!(sample.time, 2e6);
    }

    #[test]
    fn zero_nan_and_quantized_times_are_invalid() {
        assert!(reason(run(&[1e6, 0.0]), &key()).contains("no time"));
        assert!(reason(run(&[1e6, f64::NAN]), &key()).contains("no time"));
        assert!(reason(run(&[100.0, 200.0]), &key()).contains("too fast"));
        assert!(reason(run(&[]), &key()).contains("no samples"));
    }

    #[test]
    fn a_missing_occurrence_a_failure_and_a_timeout_are_distinguished() {
        assert!(reason(run(&[1e6]), &Key { occurrence: 1, ..key() }).contains("without a result"));
        assert!(reason(Run { end: End::Failed("signal: 9".into()), ..run(&[1e6]) }, &key()).contains("signal: 9"));
        let trouble = read(Run { end: End::TimedOut, ..run(&[1e6]) }, &key(), Duration::from_secs(60)).unwrap_err();
        assert_eq!(trouble.kind, TroubleKind::Timeout);
    }
}
