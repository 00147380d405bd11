//! One block: four processes in turns, and whether the machine disturbed them.

use anyhow::Result;
use machine::ceiling::{Canary, CanaryTimes};
use machine::noise::{self, Noise};
use record::stats;

use super::contest::{Contest, Side};
use super::links::Links;
use super::sample::{Sample, Sampler, Trouble};

/// Time stolen by the hypervisor's other guests above which a block does not count.
const MOST_STEAL: f64 = 0.05;
/// Forced context switches per second above twice the benchmark's own norm.
const MOST_SWITCHES_PER_S: f64 = 20.0;
/// Factor between the canary's times before and after a block. On an otherwise idle pair of virtual processors the
/// register part alone differs by 1.06 in the median and by 1.46 at the ninth decile, so a bound of 1.1 would throw away
/// every third good block. The memory part is left out: the bandwidth swings even more.
const MOST_CANARY: f64 = 1.5;

/// A finished block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Log ratio head/base: (y_B1 + y_B2 − y_A1 − y_A2) / 2.
    pub d: f64,
    /// The two samples of the base.
    pub base: [Sample; 2],
    /// The two samples of the head.
    pub head: [Sample; 2],
    /// What the machine did meanwhile.
    pub disturbance: Disturbance,
}

/// What else the machine did during a block.
#[derive(Clone, Debug, Default)]
pub struct Disturbance {
    /// Share of processor time that other guests took.
    pub steal: Option<f64>,
    /// Median over the processes of forced context switches per second.
    pub involuntary_per_s: Option<f64>,
    /// Factor between the canary's times before and after.
    pub canary: Option<f64>,
}

impl Disturbance {
    /// Whether the block must be measured again. `norm` is the benchmark's usual rate of forced switches. The
    /// decision never looks at the block's effect, or it would select the effects.
    pub fn is_contaminated(&self, norm: Option<f64>) -> bool {
        let stolen = self.steal.is_some_and(|steal| steal > MOST_STEAL);
        let switched = match (self.involuntary_per_s, norm) {
            (Some(rate), Some(norm)) => rate > 2.0 * norm + MOST_SWITCHES_PER_S,
            _ => false,
        };
        stolen || switched || self.canary.is_some_and(|factor| factor > MOST_CANARY)
    }
}

/// Which side of a contest ran into what.
pub(super) type SideTrouble = (Side, Trouble);

/// Runs one block: ABBA when `base_first`, else BAAB, both sides in the layouts of their `seeds`, all on one `processor`
/// if one is named.
#[expect(clippy::too_many_arguments, reason = "one call site; a struct of these would only rename them")]
pub(super) fn run(
    sampler: &Sampler<'_>,
    links: &Links,
    contest: &Contest,
    base_first: bool,
    seeds: (u64, u64),
    processor: Option<usize>,
    canary: &mut Option<Canary>,
    stepped: &mut dyn FnMut(),
) -> Result<Result<Block, SideTrouble>> {
    let mut programs = (links.variant(&contest.base, seeds.0)?, links.variant(&contest.head, seeds.1)?);
    programs.0.processor = processor;
    programs.1.processor = processor;
    let order = if base_first {
        [Side::Base, Side::Head, Side::Head, Side::Base]
    } else {
        [Side::Head, Side::Base, Side::Base, Side::Head]
    };
    let sung = canary.as_mut().map(Canary::run);
    let before = noise::Sample::take();
    let (mut base, mut head) = (Vec::with_capacity(2), Vec::with_capacity(2));
    for side in order {
        let (program, into) = match side {
            Side::Base => (&programs.0, &mut base),
            Side::Head => (&programs.1, &mut head),
        };
        let entrant = contest.entrant(side);
        match sampler.sample(program, &contest.key, entrant.version, entrant.inject.as_deref())? {
            Ok(sample) => into.push(sample),
            Err(trouble) => return Ok(Err((side, trouble))),
        }
        stepped();
    }
    let noise = noise::Sample::take().since(&before);
    let canary = sung.zip(canary.as_mut().map(Canary::run)).map(|(before, after)| change(&before, &after));
    Ok(Ok(assemble(pair(base), pair(head), &noise, canary)))
}

/// Largest factor between two runs of the canary, without its memory part.
fn change(before: &CanaryTimes, after: &CanaryTimes) -> f64 {
    before.factor(&CanaryTimes { memory_s: before.memory_s, ..*after })
}

fn pair(samples: Vec<Sample>) -> [Sample; 2] {
    samples.try_into().unwrap_or_else(|_| unreachable!("each side runs exactly twice in a block"))
}

fn assemble(base: [Sample; 2], head: [Sample; 2], noise: &Noise, canary: Option<f64>) -> Block {
    let sum = |samples: &[Sample; 2]| samples.iter().map(Sample::log_time).sum::<f64>();
    let rates: Vec<f64> = base.iter().chain(&head).filter_map(|sample| sample.involuntary_per_s).collect();
    Block {
        d: (sum(&head) - sum(&base)) / 2.0,
        disturbance: Disturbance { steal: noise.steal_share, involuntary_per_s: stats::median(&rates), canary },
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
    fn contamination_is_judged_by_the_machine_alone() {
        let disturbance = |steal, rate| Disturbance { steal: Some(steal), involuntary_per_s: Some(rate), canary: None };
        assert!(Disturbance { canary: Some(1.6), ..Disturbance::default() }.is_contaminated(None));
        assert!(disturbance(0.06, 0.0).is_contaminated(None));
        assert!(!disturbance(0.04, 500.0).is_contaminated(None));
        assert!(disturbance(0.0, 45.0).is_contaminated(Some(10.0)));
        assert!(!disturbance(0.0, 35.0).is_contaminated(Some(10.0)));
        assert!(!Disturbance::default().is_contaminated(Some(1.0)));
    }
}
