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
pub(super) fn absolute(means: &Means<'_>, contests: &[Contest], first: bool, entry: &mut Draft) -> Result<()> {
    if contests.is_empty() {
        return Ok(());
    }
    let processes = if first { 2 * PROCESSES } else { PROCESSES };
    let progress = means.console.bar("measuring", (processes * contests.len()) as u64);
    let mut random = Random::new(means.seed);
    let mut results: Vec<Result<Vec<Sample>, Trouble>> = contests.iter().map(|_| Ok(Vec::new())).collect();
    let mut order: Vec<usize> = (0..contests.len()).collect();
    for _ in 0..processes {
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
    for (contest, result) in contests.iter().zip(results) {
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
