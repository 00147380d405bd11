//! One side's absolute figures for a benchmark: orientation beside the ratio, never a side of one.

use std::collections::BTreeMap;

use record::bench_row::{Allocations, Proof, State};
use record::{Unit, stats};
use serde::{Deserialize, Serialize};

use crate::bench::Throughput;
use crate::measure::Sample;

/// Figures over the processes of one side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Median over processes of the time per iteration, in `unit`.
    pub time: f64,
    /// "ns", or the unit of the bench's own measurement.
    pub unit: String,
    /// Quartiles of the same.
    pub quartiles: Option<[f64; 2]>,
    /// Processes.
    pub n: usize,
    /// Median of the paired shares of the ceiling; `None` if the bench declares none.
    pub share: Option<f64>,
    /// The ceiling that `share` refers to.
    pub ceiling: Option<String>,
    /// Work per second at the median time, with its unit.
    pub rate: Option<(f64, Unit)>,
    /// Median peak memory of a fresh process.
    pub peak_rss_bytes: Option<f64>,
    /// Per iteration, where the bench counts them.
    pub allocations: Option<Allocations>,
    /// What ran, by the word of the code that ran.
    pub ran: BTreeMap<String, String>,
    /// The check before the timing; `None` means unproved.
    pub proof: Option<Proof>,
}

impl Figures {
    /// Figures of the given processes, or the reason why they cannot be true. `None` if there are none.
    pub fn of(samples: &[&Sample]) -> Option<Result<Self, String>> {
        let last = samples.last()?;
        let times: Vec<f64> = samples.iter().map(|sample| sample.time).collect();
        let time = stats::median(&times)?;
        let rows: Vec<_> = samples.iter().filter_map(|sample| sample.row.as_ref()).collect();
        let shares: Vec<f64> = rows.iter().filter_map(|row| row.share_of_ceiling()).collect();
        let share = stats::median(&shares);
        if let Some(reason) = impossible(&rows) {
            return Some(Err(reason));
        }
        let memory: Vec<f64> =
            samples.iter().filter_map(|sample| sample.peak_rss_bytes).map(|bytes| bytes as f64).collect();
        let row = last.row.as_ref();
        Some(Ok(Self {
            time,
            unit: last.unit.clone(),
            quartiles: quartiles(&times),
            n: samples.len(),
            share,
            ceiling: row.and_then(|row| row.ceiling.as_ref()).map(|ceiling| ceiling.name.clone()),
            rate: rate(last, time),
            peak_rss_bytes: stats::median(&memory),
            // The fewest of all processes: what a kernel allocates, it allocates in each.
            allocations: rows.iter().filter_map(|row| row.allocations).min_by_key(|a| (a.count, a.bytes)),
            ran: row.map(|row| row.ran.clone()).unwrap_or_default(),
            proof: row.filter(|row| row.state == State::Proved).and_then(|row| row.proof.clone()),
        }))
    }

    /// The time for people.
    pub fn shown_time(&self) -> String {
        match self.unit.as_str() {
            "ns" => Unit::Seconds.show(self.time / 1e9),
            unit => format!("{:.4} {unit}", self.time),
        }
    }
}

/// A median rate above the best ceiling of the whole run cannot be.
fn impossible(rows: &[&record::BenchRow]) -> Option<String> {
    let rates: Vec<f64> = rows.iter().filter_map(|row| row.rate_per_s).collect();
    let best = rows.iter().filter_map(|row| row.ceiling.as_ref()).map(|ceiling| ceiling.best_per_s).fold(0.0, f64::max);
    let rate = stats::median(&rates)?;
    let share = record::impossible_share(rate, best)?;
    let cause = "the work is not done, or the ceiling is wrong";
    Some(format!("impossible: {:.1} % of the best ceiling of this run; {cause}", 100.0 * share))
}

fn quartiles(times: &[f64]) -> Option<[f64; 2]> {
    if times.len() < 4 {
        return None;
    }
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |q: f64| sorted[((sorted.len() - 1) as f64 * q).round() as usize];
    Some([at(0.25), at(0.75)])
}

/// The rate that says most: the ceiling's unit where there is one, else what criterion was told.
fn rate(sample: &Sample, time: f64) -> Option<(f64, Unit)> {
    if sample.unit != "ns" {
        return None;
    }
    let seconds = time / 1e9;
    let work = sample.row.as_ref().map(|row| &row.work);
    let ceiling = sample.row.as_ref().and_then(|row| row.ceiling.as_ref()).map(|ceiling| ceiling.unit);
    let flops = work.and_then(|work| work.flops).map(|flops| (flops / seconds, Unit::FlopPerSecond));
    let bytes = work.and_then(|work| work.bytes).map(|bytes| (bytes / seconds, Unit::BytesPerSecond));
    let declared = sample.throughput.map(|throughput| match throughput {
        Throughput::Bytes(bytes) => (bytes / seconds, Unit::BytesPerSecond),
        Throughput::Elements(elements) => (elements / seconds, Unit::ElementsPerSecond),
    });
    match ceiling {
        Some(Unit::BytesPerSecond) => bytes.or(declared),
        _ => flops.or(bytes).or(declared),
    }
}
