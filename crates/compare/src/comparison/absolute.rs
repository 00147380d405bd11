//! Figures of benchmarks that have nobody to be compared with.

use anyhow::Result;

use super::draft::Draft;
use super::field::{bare_row, identical_row};
use super::pilot::trouble_row;
use super::trial::Means;
use crate::judge::Verdict;
use crate::measure::{Contest, Random, Sample, Side, Trouble, TroubleKind};
use crate::report::{Figures, Row};

/// Processes per benchmark.
pub(super) const PROCESSES: usize = 6;

/// Absolute figures of benchmarks that have nobody to be compared with: processes in random order, round by round.
/// What the first round shows not to fit the budget is dropped, highest tier and slowest first, and named.
pub(super) fn absolute(
    means: &Means<'_>,
    contests: &[Contest],
    first: bool,
    budget_s: f64,
    entry: &mut Draft,
) -> Result<()> {
    if contests.is_empty() {
        return Ok(());
    }
    let processes = if first { 2 * PROCESSES } else { PROCESSES };
    let progress = means.console.bar("measuring", (processes * contests.len()) as u64, "processes");
    let mut random = Random::new(means.seed);
    let mut results: Vec<Result<Vec<Sample>, Trouble>> = contests.iter().map(|_| Ok(Vec::new())).collect();
    let mut order: Vec<usize> = (0..contests.len()).collect();
    for round in 0..processes {
        if round == 1 {
            for at in over_budget(contests, &results, processes, budget_s) {
                order.retain(|kept| *kept != at);
                results[at] = Ok(Vec::new());
                entry.notes.push(format!("dropped for the budget: {} (tier {})", contests[at].key, contests[at].tier));
            }
        }
        random.shuffle(&mut order);
        for &at in &order {
            let contest = &contests[at];
            progress.say(&contest.key.id());
            if let Ok(samples) = &mut results[at] {
                match means.sampler.sample(&contest.head.target.program, &contest.key, contest.head.version, None)? {
                    Ok(sample) => samples.push(sample),
                    Err(trouble) => results[at] = Err(trouble),
                }
            }
            progress.step();
        }
    }
    let dropped = |at: usize| !order.contains(&at);
    for (at, (contest, result)) in contests.iter().zip(results).enumerate() {
        if dropped(at) {
            continue;
        }
        let figures = result.and_then(|samples| {
            let figures = Figures::of(&samples.iter().collect::<Vec<_>>());
            let invalid = |reason| Trouble { kind: TroubleKind::Invalid, reason };
            figures.unwrap_or_else(|| Err("no process gave a number".to_owned())).map_err(invalid)
        });
        entry.rows.push(match figures {
            Err(trouble) => trouble_row(contest, Side::Head, &trouble),
            Ok(figures) if first => {
                let why = format!("first entry under this title; median of {} processes", figures.n);
                Row { head: Some(figures), ..bare_row(contest, Verdict::New, why) }
            }
            Ok(figures) => Row { head: Some(figures), ..identical_row(contest) },
        });
    }
    Ok(())
}

/// The contests that do not fit, by what one process of each took.
fn over_budget(
    contests: &[Contest],
    results: &[Result<Vec<Sample>, Trouble>],
    processes: usize,
    budget_s: f64,
) -> Vec<usize> {
    let cost = |at: usize| results[at].as_ref().ok().and_then(|samples| samples.first()).map_or(0.0, |s| s.process_s);
    let mut kept: Vec<usize> = (0..contests.len()).collect();
    kept.sort_by(|&a, &b| contests[a].tier.cmp(&contests[b].tier).then(cost(a).total_cmp(&cost(b))));
    let mut dropped = Vec::new();
    while kept.len() > 1 && kept.iter().map(|&at| cost(at)).sum::<f64>() * processes as f64 > budget_s {
        dropped.extend(kept.pop());
    }
    dropped
}
