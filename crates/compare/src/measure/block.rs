//! One block: four processes in alternating order, and whether the machine disturbed them.

use anyhow::Result;
use machine::ceiling::Canary;
use machine::noise::{self, Noise};
use record::stats;
use serde::{Deserialize, Serialize};

use super::links::Links;
use super::pair::{BenchPair, Side};
use super::sample::{Sample, Sampler, Trouble, TroubleKind};

/// Share of processor time stolen by other guests of the hypervisor above which a block does not count.
const MOST_STEAL: f64 = 0.05;
/// Forced context switches per second that are allowed above twice the benchmark's own norm.
const MOST_SWITCHES_PER_S: f64 = 20.0;
/// Share of the time in which some thread waited for a processor that is allowed above twice the benchmark's own norm.
/// A benchmark with as many threads as processors waits for its own threads.
const MOST_PRESSURE: f64 = 0.25;
/// The same limit while the norm is not known.
const MOST_PRESSURE_AT_FIRST: f64 = 0.5;
/// Largest ratio of the canary's times before and after a block. On an otherwise idle pair of virtual processors, the
/// ratio of the register part alone is 1.06 in the median and 1.46 at the ninth decile, so a bound of 1.1 would reject
/// every third good block.
const MOST_CANARY: f64 = 1.5;

/// A finished block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Block {
    /// Log ratio head/base: (y_B1 + y_B2 − y_A1 − y_A2) / 2.
    pub d: f64,
    /// The two samples of the base.
    pub base: [Sample; 2],
    /// The two samples of the head.
    pub head: [Sample; 2],
    /// How much the machine disturbed it.
    pub disturbance: Disturbance,
}

/// Disturbances by the rest of the machine during a block.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Disturbance {
    /// Share of processor time that other guests took.
    pub steal: Option<f64>,
    /// Median over the processes of forced context switches per second.
    pub involuntary_per_s: Option<f64>,
    /// Share of the time in which at least one thread of the machine waited for a processor.
    pub pressure: Option<f64>,
    /// Ratio of the canary's times before and after.
    pub canary: Option<f64>,
}

/// Usual disturbances of a benchmark; `None` until there are enough blocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Norm {
    /// Of [`Disturbance::involuntary_per_s`].
    pub involuntary_per_s: Option<f64>,
    /// Of [`Disturbance::pressure`].
    pub pressure: Option<f64>,
}

impl Norm {
    /// The norm over these blocks, once there are three.
    pub fn of(blocks: &[Block]) -> Self {
        let middle = |of: fn(&Disturbance) -> Option<f64>| {
            let values: Vec<f64> = blocks.iter().filter_map(|block| of(&block.disturbance)).collect();
            if values.len() < 3 { None } else { stats::median(&values) }
        };
        Self { involuntary_per_s: middle(|block| block.involuntary_per_s), pressure: middle(|block| block.pressure) }
    }
}

impl Disturbance {
    /// Whether the block must be measured again. The decision never uses the block's effect: that would select effects.
    pub fn is_contaminated(&self, norm: Norm) -> bool {
        let stolen = self.steal.is_some_and(|steal| steal > MOST_STEAL);
        let switched = match (self.involuntary_per_s, norm.involuntary_per_s) {
            (Some(rate), Some(norm)) => rate > 2.0 * norm + MOST_SWITCHES_PER_S,
            _ => false,
        };
        let most_pressure = norm.pressure.map_or(MOST_PRESSURE_AT_FIRST, |norm| 2.0 * norm + MOST_PRESSURE);
        let pressed = self.pressure.is_some_and(|pressure| pressure > most_pressure);
        stolen || switched || pressed || self.canary.is_some_and(|factor| factor > MOST_CANARY)
    }
}

/// The side that had trouble, and the trouble.
pub(super) type SideTrouble = (Side, Trouble);

/// How a block ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Four processes gave a number.
    Finished(Box<Block>),
    /// A process could not be timed although the pilot's could: the machine disturbed it. The block may be repeated.
    Spoiled,
    /// The budget ended.
    OutOfTime,
    /// A side of the benchmark is broken.
    Broken(SideTrouble),
}

/// Runs one block: ABBA if `base_first`, else BAAB, with both sides in the layouts of their `seeds`, and all processes
/// on `processor` if it is given.
#[expect(clippy::too_many_arguments, reason = "one call site; a struct of these would only rename them")]
pub(super) fn run(
    sampler: &Sampler<'_>,
    links: &Links,
    pair: &BenchPair,
    base_first: bool,
    seeds: (u64, u64),
    processor: Option<usize>,
    canary: &mut Option<Canary>,
    stepped: &mut dyn FnMut(),
) -> Result<Outcome> {
    let mut programs = (links.program(&pair.base, seeds.0)?, links.program(&pair.head, seeds.1)?);
    programs.0.processor = processor;
    programs.1.processor = processor;
    let order = if base_first {
        [Side::Base, Side::Head, Side::Head, Side::Base]
    } else {
        [Side::Head, Side::Base, Side::Base, Side::Head]
    };
    let canary_before = canary.as_mut().map(Canary::run);
    let before = noise::Sample::take();
    let (mut base, mut head) = (Vec::with_capacity(2), Vec::with_capacity(2));
    for side in order {
        let (program, into) = match side {
            Side::Base => (&programs.0, &mut base),
            Side::Head => (&programs.1, &mut head),
        };
        let variant = pair.variant(side);
        match sampler.sample(program, &pair.key, variant.version, variant.inject.as_deref())? {
            Ok(sample) => into.push(sample),
            Err(trouble) => {
                return Ok(match trouble.kind {
                    TroubleKind::TooFast => Outcome::Spoiled,
                    TroubleKind::OutOfTime => Outcome::OutOfTime,
                    TroubleKind::Invalid | TroubleKind::WrongOutput | TroubleKind::Timeout => {
                        Outcome::Broken((side, trouble))
                    }
                });
            }
        }
        stepped();
    }
    let noise = noise::Sample::take().since(&before);
    let canary = canary_before.zip(canary.as_mut().map(Canary::run)).map(|(before, after)| before.factor(&after));
    Ok(Outcome::Finished(Box::new(assemble(both(base), both(head), &noise, canary))))
}

fn both(samples: Vec<Sample>) -> [Sample; 2] {
    samples.try_into().unwrap_or_else(|_| unreachable!("each side runs exactly twice in a block"))
}

fn assemble(base: [Sample; 2], head: [Sample; 2], noise: &Noise, canary: Option<f64>) -> Block {
    let sum = |samples: &[Sample; 2]| samples.iter().map(Sample::log_time).sum::<f64>();
    let rates: Vec<f64> = base.iter().chain(&head).filter_map(|sample| sample.involuntary_per_s).collect();
    Block {
        d: (sum(&head) - sum(&base)) / 2.0,
        disturbance: Disturbance {
            steal: noise.steal_share,
            involuntary_per_s: stats::median(&rates),
            pressure: noise.psi_share,
            canary,
        },
        base,
        head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time: f64) -> Sample {
        Sample {
            time,
            batches: vec![time],
            unit: "ns".into(),
            throughput: None,
            row: None,
            peak_rss_bytes: None,
            involuntary_per_s: None,
            threads: None,
            measurement_s: None,
            process_s: 0.3,
        }
    }

    #[test]
    fn a_straight_drift_cancels_and_a_real_ratio_stays() {
        // Speed falls by a constant factor from process to process; the head is 10 % slower.
        let at = |position: i32, side: f64| sample(1e6 * side * 1.03_f64.powi(position));
        let block = assemble([at(0, 1.0), at(3, 1.0)], [at(1, 1.1), at(2, 1.1)], &Noise::default(), None);
        assert!((block.d - 1.1_f64.ln()).abs() < 1e-12, "{}", block.d);
    }

    #[test]
    fn contamination_depends_on_the_machine_alone() {
        let none = Disturbance::default();
        let unknown = Norm::default();
        assert!(Disturbance { canary: Some(1.6), ..none.clone() }.is_contaminated(unknown));
        assert!(Disturbance { steal: Some(0.06), ..none.clone() }.is_contaminated(unknown));
        assert!(!Disturbance { steal: Some(0.04), ..none.clone() }.is_contaminated(unknown));
        let switched = |rate| Disturbance { involuntary_per_s: Some(rate), ..Disturbance::default() };
        let norm = Norm { involuntary_per_s: Some(10.0), pressure: Some(0.3) };
        assert!(switched(45.0).is_contaminated(norm));
        assert!(!switched(35.0).is_contaminated(norm));
        assert!(!switched(500.0).is_contaminated(unknown));
        let pressed = |pressure| Disturbance { pressure: Some(pressure), ..Disturbance::default() };
        assert!(pressed(0.6).is_contaminated(unknown));
        assert!(!pressed(0.4).is_contaminated(unknown));
        assert!(pressed(0.9).is_contaminated(norm));
        assert!(!pressed(0.8).is_contaminated(norm), "a benchmark that waits for itself");
        assert!(!none.is_contaminated(norm));
    }
}
