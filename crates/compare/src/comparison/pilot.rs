//! The pilot: one process of every benchmark on each side.
//!
//! It proves before anything is timed (a bench with our glue checks its output in the process), finds benches that
//! fail, hang, keep no time or work on other inputs than the other side's, and measures what a process of each really costs, set-up included: groups that set
//! their own times do not obey the command line.

use anyhow::Result;

use crate::console::Console;
use crate::judge::Verdict;
use crate::measure::{BenchPair, Sample, Sampler, Side, Trouble, TroubleKind};
use crate::report::{Fault, Row};

use super::paired::bare_row;

/// A pair that passed.
#[derive(Debug)]
pub struct Pilot {
    /// The pair.
    pub pair: BenchPair,
    /// The pilot's samples: base, then head.
    pub samples: [Sample; 2],
}

/// Runs the pilot. Pairs that fail become rows.
pub fn pilot(sampler: &Sampler<'_>, pairs: Vec<BenchPair>, console: &Console) -> Result<(Vec<Pilot>, Vec<Row>)> {
    let progress = console.bar("proving and piloting", 2 * pairs.len() as u64, "processes");
    let (mut passed, mut rows) = (Vec::new(), Vec::new());
    for mut pair in pairs {
        progress.say(&pair.key.id());
        let run = |side: Side| {
            let variant = pair.variant(side);
            let sample = sampler.sample(&variant.target.program, &pair.key, variant.version, None);
            progress.step();
            sample
        };
        match (run(Side::Base)?, run(Side::Head)?) {
            (Ok(base), Ok(head)) if base.unit != head.unit => {
                let why = format!("the base measures in {} and the head in {}", base.unit, head.unit);
                rows.push(bare_row(&pair, Verdict::Invalid, why));
            }
            (Ok(base), Ok(head)) if other_inputs(&base, &head) => {
                let why = "the sides work on different inputs, so their times say nothing about each other: give the benchmark \
                           another id, or compare with a revision that has the new inputs"
                    .to_owned();
                rows.push(bare_row(&pair, Verdict::Invalid, why));
            }
            (Ok(base), Ok(head)) => {
                pair.single_threaded = base.threads == Some(1) && head.threads == Some(1);
                pair.process_s = (base.process_s + head.process_s) / 2.0;
                passed.push(Pilot { pair, samples: [base, head] });
            }
            (_, Err(trouble)) => rows.push(trouble_row(&pair, Side::Head, &trouble)),
            (Err(trouble), Ok(_)) => rows.push(trouble_row(&pair, Side::Base, &trouble)),
        }
    }
    Ok((passed, rows))
}

/// Whether both sides say what they work on, and it is not the same.
fn other_inputs(base: &Sample, head: &Sample) -> bool {
    let hash = |sample: &Sample| Some(sample.row.as_ref()?.proof.as_ref()?.input_hash.clone());
    hash(base).zip(hash(head)).is_some_and(|(base, head)| base != head)
}

/// The row of a benchmark that gave no number on a side.
pub(super) fn trouble_row(pair: &BenchPair, side: Side, trouble: &Trouble) -> Row {
    let verdict = match trouble.kind {
        TroubleKind::Invalid => Verdict::Invalid,
        TroubleKind::Timeout => Verdict::Timeout,
    };
    let fault = match side {
        Side::Base => Fault::Base,
        Side::Head => Fault::Head,
    };
    Row { fault: Some(fault), ..bare_row(pair, verdict, format!("on the {side}: {}", trouble.reason)) }
}
