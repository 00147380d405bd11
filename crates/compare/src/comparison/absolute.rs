//! Absolute figures of benchmarks without a counterpart to compare with.

use anyhow::Result;

use super::entry_builder::EntryBuilder;
use super::paired::{bare_row, identical_row, trouble_row};
use super::trial::MeasureContext;
use crate::judge::Verdict;
use crate::measure::{BenchPair, Random, Sample, Trouble, TroubleKind};
use crate::report::{Fault, Figures, Row};

/// Processes per benchmark.
pub(super) const PROCESSES: usize = 6;

/// Measures benchmarks without a counterpart: processes in random order, round by round. Benchmarks that do not fit the
/// budget after the first round are dropped, highest tier and slowest first, and named.
pub(super) fn absolute(
    context: &MeasureContext<'_>,
    pairs: &[BenchPair],
    first: bool,
    budget_s: f64,
    entry: &mut EntryBuilder,
) -> Result<()> {
    if pairs.is_empty() {
        return Ok(());
    }
    let processes = if first { 2 * PROCESSES } else { PROCESSES };
    let progress = context.console.bar("measuring", (processes * pairs.len()) as u64, "processes");
    let mut random = Random::new(context.seed);
    let mut results: Vec<Result<Vec<Sample>, Trouble>> = pairs.iter().map(|_| Ok(Vec::new())).collect();
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    for round in 0..processes {
        if round == 1 {
            for at in over_budget(pairs, &results, processes, budget_s) {
                order.retain(|kept| *kept != at);
                results[at] = Ok(Vec::new());
                entry.notes.push(format!("dropped for the budget: {} (tier {})", pairs[at].key, pairs[at].tier));
            }
        }
        random.shuffle(&mut order);
        for &at in &order {
            let pair = &pairs[at];
            progress.say(&pair.key.id());
            if let Ok(samples) = &mut results[at] {
                match context.sampler.sample(&pair.head.target.program, &pair.key, pair.head.version, None)? {
                    Ok(sample) => samples.push(sample),
                    // A process that the machine disturbed, or that the budget ended, is left out.
                    Err(trouble) if trouble.kind == TroubleKind::OutOfTime => {}
                    Err(trouble) if trouble.kind == TroubleKind::TooFast && !samples.is_empty() => {}
                    Err(trouble) => results[at] = Err(trouble),
                }
            }
            progress.step();
        }
    }
    let dropped = |at: usize| !order.contains(&at);
    for (at, (pair, result)) in pairs.iter().zip(results).enumerate() {
        if dropped(at) {
            continue;
        }
        if result.as_ref().is_ok_and(Vec::is_empty) {
            entry.notes.push(format!("dropped for the budget: {} (tier {})", pair.key, pair.tier));
            continue;
        }
        let figures = result.and_then(|samples| {
            let figures = Figures::of(&samples.iter().collect::<Vec<_>>());
            let invalid = |reason| Trouble { kind: TroubleKind::Invalid, reason };
            figures.unwrap_or_else(|| Err("no process gave a number".to_owned())).map_err(invalid)
        });
        entry.columns[0].push(match figures {
            Err(trouble) => trouble_row(pair, Fault::Head, &trouble),
            Ok(figures) if first => {
                let why = format!("first entry under this title; median of {} processes", figures.n);
                Row { head: Some(figures), ..bare_row(pair, Verdict::New, why) }
            }
            Ok(figures) => Row { head: Some(figures), ..identical_row(pair) },
        });
    }
    Ok(())
}

/// The pairs that do not fit the budget, judged by the time of one process of each.
fn over_budget(
    pairs: &[BenchPair],
    results: &[Result<Vec<Sample>, Trouble>],
    processes: usize,
    budget_s: f64,
) -> Vec<usize> {
    let cost = |at: usize| results[at].as_ref().ok().and_then(|samples| samples.first()).map_or(0.0, |s| s.process_s);
    let mut kept: Vec<usize> = (0..pairs.len()).collect();
    kept.sort_by(|&a, &b| pairs[a].tier.cmp(&pairs[b].tier).then(cost(a).total_cmp(&cost(b))));
    let mut dropped = Vec::new();
    while kept.len() > 1 && kept.iter().map(|&at| cost(at)).sum::<f64>() * processes as f64 > budget_s {
        dropped.extend(kept.pop());
    }
    dropped
}
