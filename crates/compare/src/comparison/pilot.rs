//! The pilot: one process of every benchmark on each side.
//!
//! It runs every proof before anything is timed (a bench with our glue checks its output in the process). It finds
//! benches that fail, hang, report no time, or work on other inputs than the other side's. It also measures the real
//! cost of a process, set-up included: groups that set their own times ignore the command line.

use anyhow::Result;

use record::{Output, QUALITY_HASH, unequal};

use crate::console::Console;
use crate::judge::Verdict;
use crate::measure::{BenchPair, Sample, Sampler, Side, Trouble, TroubleKind};
use crate::report::{Fault, Row};

use super::paired::{bare_row, fault, trouble_row};

/// A pair that passed.
#[derive(Debug)]
pub struct Pilot {
    /// The pair.
    pub pair: BenchPair,
    /// The pilot's samples: base, then head.
    pub samples: [Sample; 2],
}

impl Pilot {
    fn sample(&self, side: Side) -> &Sample {
        let [base, head] = &self.samples;
        match side {
            Side::Base => base,
            Side::Head => head,
        }
    }
}

/// What the pilot found.
#[derive(Debug, Default)]
pub struct Piloted {
    /// Pairs that can be measured.
    pub passed: Vec<Pilot>,
    /// Rows of those that cannot.
    pub failed: Vec<Row>,
    /// Pairs that the pilot did not reach within the budget.
    pub not_reached: Vec<BenchPair>,
}

/// Runs the pilot, the lowest tier first: if the budget ends it, only the least important benchmarks are missed. Sides
/// whose outputs differ in quality pass only if that is accepted.
pub fn pilot(
    sampler: &Sampler<'_>,
    mut pairs: Vec<BenchPair>,
    accept_quality: bool,
    console: &Console,
) -> Result<Piloted> {
    let progress = console.bar("proving and piloting", 2 * pairs.len() as u64, "processes");
    let mut piloted = Piloted::default();
    pairs.sort_by_key(|pair| pair.tier);
    for mut pair in pairs {
        progress.say(&pair.key.id());
        let run = |side: Side| {
            let variant = pair.variant(side);
            let sample = sampler.sample(&variant.target.program, &pair.key, variant.version, None);
            progress.step();
            sample
        };
        match (run(Side::Base)?, run(Side::Head)?) {
            (Err(trouble), _) | (_, Err(trouble)) if trouble.kind == TroubleKind::OutOfTime => {
                piloted.not_reached.push(pair);
            }
            (Ok(base), Ok(head)) if base.unit != head.unit => {
                let why = format!("the base measures in {} and the head in {}", base.unit, head.unit);
                piloted.failed.push(bare_row(&pair, Verdict::Invalid, why));
            }
            (Ok(base), Ok(head)) if other_inputs(&base, &head) => {
                let why = "the sides work on different inputs, so their times say nothing about each other: give the \
                           benchmark another id, or compare with a revision that has the new inputs"
                    .to_owned();
                piloted.failed.push(bare_row(&pair, Verdict::Invalid, why));
            }
            (Ok(base), Ok(head)) if !accept_quality && other_quality(&base, &head) => {
                let why = "the quality of the output differs, so a difference of speed is neither a gain nor a loss: \
                           look at the proofs of both sides; if the new output is meant, add --accept-quality"
                    .to_owned();
                piloted.failed.push(bare_row(&pair, Verdict::Invalid, why));
            }
            (Ok(base), Ok(head)) => {
                pair.single_threaded = base.threads == Some(1) && head.threads == Some(1);
                pair.process_s = (base.process_s + head.process_s) / 2.0;
                piloted.passed.push(Pilot { pair, samples: [base, head] });
            }
            // A wrong output is the head's own fault, whatever the base does.
            (Err(_), Err(head)) if head.kind != TroubleKind::WrongOutput => {
                piloted.failed.push(trouble_row(&pair, Fault::Both, &head));
            }
            (_, Err(trouble)) => piloted.failed.push(trouble_row(&pair, Fault::Head, &trouble)),
            (Err(trouble), Ok(_)) => piloted.failed.push(trouble_row(&pair, Fault::Base, &trouble)),
        }
    }
    // Wrong outputs of both sides are the head's own fault.
    for side in [Side::Head, Side::Base] {
        keep_promises(&mut piloted, side);
    }
    Ok(piloted)
}

/// Fails the cells of a scenario whose outputs are not of the same bits on a side though the matrix promises it.
fn keep_promises(piloted: &mut Piloted, side: Side) {
    let passed = std::mem::take(&mut piloted.passed);
    let output = |(place, pilot): (usize, &Pilot)| {
        let proof = pilot.sample(side).row.as_ref()?.proof.as_ref()?;
        let (promise, hash) = (proof.same_as.clone()?, proof.output_hash.clone()?);
        Some(Output { place, promise, hash, name: format!("`{}`", pilot.pair.key.id()) })
    };
    let mut broken = unequal(&passed.iter().enumerate().filter_map(output).collect::<Vec<_>>());
    for (place, pilot) in passed.into_iter().enumerate() {
        match broken.remove(&place) {
            None => piloted.passed.push(pilot),
            Some(reason) => {
                let trouble = Trouble { kind: TroubleKind::WrongOutput, reason };
                piloted.failed.push(trouble_row(&pilot.pair, fault(side), &trouble));
            }
        }
    }
}

/// Whether both sides report their inputs and the inputs differ.
fn other_inputs(base: &Sample, head: &Sample) -> bool {
    let hash = |sample: &Sample| Some(sample.row.as_ref()?.proof.as_ref()?.input_hash.clone());
    hash(base).zip(hash(head)).is_some_and(|(base, head)| base != head)
}

/// Whether both sides report the quality of their output, and it differs.
fn other_quality(base: &Sample, head: &Sample) -> bool {
    let hash = |sample: &Sample| sample.row.as_ref()?.ran.get(QUALITY_HASH).cloned();
    hash(base).zip(hash(head)).is_some_and(|(base, head)| base != head)
}
