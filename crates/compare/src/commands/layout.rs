//! `selftest --layout`: measures how much links of the same compiled code differ in speed.
//!
//! Each benchmark is built twice: with functions where the compiler puts them, and with functions on 64-byte
//! boundaries. Each build is linked eight times with random section padding. Processes of all links run in random
//! order, round by round. The table shows the spread of the eight medians. It also shows the spread over eight groups
//! of processes of one plain link: that much is noise.

use anyhow::Result;
use record::{Align, Table, stats};

use crate::bench::Program;
use crate::comparison::{Invocation, Project};
use crate::measure::{BenchPair, Links, Random, Sampler};

/// Padded links of each program, and groups of processes of its plain link.
const LINKS: usize = 8;
/// Processes per link or group.
const PROCESSES: usize = 8;

/// Measures every benchmark and returns the table. `builds` are the same benchmarks in natural and in aligned programs.
pub(super) fn layout(
    invocation: &Invocation,
    project: &Project,
    sampler: &Sampler<'_>,
    builds: [Vec<BenchPair>; 2],
) -> Result<String> {
    let links = Links::new(&project.environment);
    let mut table = Table::new([
        ("benchmark", Align::Left),
        ("functions", Align::Left),
        ("one link, 8 groups", Align::Right),
        ("8 links", Align::Right),
        ("8 links, minima", Align::Right),
    ]);
    for (pairs, functions) in builds.iter().zip(["as compiled", "on 64 bytes"]) {
        for pair in pairs {
            let [plain, padded] = spreads(invocation, sampler, &links, pair)?;
            table.row([
                pair.key.to_string(),
                functions.to_owned(),
                percent(plain.0),
                percent(padded.0),
                percent(padded.1),
            ]);
        }
    }
    let head = format!("Spread of medians (largest to smallest) over {LINKS} links of {PROCESSES} processes each\n\n");
    Ok(format!("{head}{table}"))
}

/// Spread of medians and of minima, first over the groups of one link, then over the different links.
fn spreads(
    invocation: &Invocation,
    sampler: &Sampler<'_>,
    links: &Links,
    pair: &BenchPair,
) -> Result<[(Option<f64>, Option<f64>); 2]> {
    let mut programs: Vec<Program> = vec![links.program(&pair.head, 0)?; LINKS];
    for seed in 1..=LINKS as u64 {
        programs.push(links.program(&pair.head, seed)?);
    }
    // Pin to one processor, as a block does: on a shared machine two processors differ in speed.
    let processor = if pair.single_threaded { machine::threads::allowed_cpus().last().copied() } else { None };
    for program in &mut programs {
        program.processor = processor;
    }
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); programs.len()];
    let mut order: Vec<usize> = (0..programs.len()).collect();
    let mut random = Random::new(0x006c_6179_6f75_7400);
    let progress = invocation.console.bar(&pair.key.id(), (PROCESSES * programs.len()) as u64, "processes");
    for _ in 0..PROCESSES {
        random.shuffle(&mut order);
        for &at in &order {
            if let Ok(sample) = sampler.sample(&programs[at], &pair.key, pair.head.version, None)? {
                times[at].push(sample.time);
            }
            progress.step();
        }
    }
    let (plain, padded) = times.split_at(LINKS);
    Ok([plain, padded].map(|group| {
        let minimum = |times: &[f64]| times.iter().copied().reduce(f64::min);
        (spread(group, stats::median), spread(group, minimum))
    }))
}

/// Ratio of the largest to the smallest value of a statistic, minus one.
fn spread(groups: &[Vec<f64>], of: fn(&[f64]) -> Option<f64>) -> Option<f64> {
    let values: Option<Vec<f64>> = groups.iter().map(|times| of(times)).collect();
    let values = values?;
    let largest = values.iter().copied().reduce(f64::max)?;
    let smallest = values.iter().copied().reduce(f64::min)?;
    Some(largest / smallest - 1.0)
}

fn percent(x: Option<f64>) -> String {
    x.map_or_else(|| "-".to_owned(), |x| format!("{:.1} %", 100.0 * x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_uses_the_given_statistic_and_requires_every_group() {
        let groups = vec![vec![1.0, 2.0, 3.0], vec![1.0, 3.0, 9.0]];
        assert_eq!(spread(&groups, stats::median), Some(0.5));
        assert_eq!(spread(&[vec![1.0], vec![]], stats::median), None);
    }
}
