//! Instructions per iteration, counted by callgrind: free of noise, blind to memory.
//!
//! Counting a whole process says nothing: start-up alone executes a million instructions. So the count is a
//! difference of two runs in test mode. A bench with our glue repeats its iteration on request (`ASSAY_REPEAT`), which
//! leaves the proof out of the difference; any other is run once with and once without the benchmark. Each count is
//! taken twice: if the two disagree, the benchmark is not deterministic (a randomly seeded hash table suffices) and the
//! count is shown but fails nothing. Valgrind has no AVX-512, so a bench that chooses its kernel at run time may run
//! another one here; README says so.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use record::Unit;

use crate::bench::Program;
use crate::command;
use crate::measure::{BenchPair, Sampler, Side};
use crate::policy::Policy;
use crate::report::Row;

/// How often the glue repeats the iteration in the longer of the two runs.
const REPEATS: u32 = 3;

/// Counts that vary by more than this share of their difference say nothing.
const MOST_VARIATION: f64 = 0.005;

/// Adds the row's instruction count, or a note that it could not be taken.
pub fn add(
    sampler: &Sampler<'_>,
    pair: &BenchPair,
    policy: &Policy,
    row: &mut Row,
    notes: &mut Vec<String>,
) -> Result<()> {
    const MISSING: &str = "instructions were not counted: valgrind is not installed (Debian: apt-get install valgrind)";
    if !is_available() {
        if !notes.iter().any(|note| note == MISSING) {
            notes.push(MISSING.to_owned());
        }
        return Ok(());
    }
    let ours = row.head.as_ref().is_some_and(|figures| !figures.ran.is_empty());
    let count = |side: Side| count(&pair.variant(side).target.program, &pair.key.id(), ours, sampler.timeout);
    let (base, head) = match (count(Side::Base)?, count(Side::Head)?) {
        (Ok(base), Ok(head)) => (base, head),
        (Err(why), _) | (_, Err(why)) => {
            notes.push(format!("instructions of {} were not counted: {why}", pair.key));
            return Ok(());
        }
    };
    let bandwidth_bound = [&row.base, &row.head]
        .into_iter()
        .flatten()
        .any(|figures| matches!(figures.rate, Some((_, Unit::BytesPerSecond))) && figures.ceiling.is_some());
    let gates = base.exact && head.exact && !bandwidth_bound;
    let (base, head) = (base.instructions, head.instructions);
    row.metrics.push(policy.rules().instructions(Some(base), Some(head), gates));
    if row.verdict == crate::judge::Verdict::Slower && (head / base - 1.0).abs() < 0.001 {
        row.why.push_str("; its instructions did not change: look at layout, memory or the host first");
    }
    Ok(())
}

/// Whether callgrind can run here.
pub fn is_available() -> bool {
    command::output_of(Command::new("valgrind").arg("--version")).is_ok_and(|output| output.status.success())
}

/// Instructions of one iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Count {
    instructions: f64,
    /// Whether both takings of both runs agreed.
    exact: bool,
}

/// The count, or why there is none.
fn count(program: &Program, id: &str, ours: bool, timeout: Duration) -> Result<Result<Count, String>> {
    let filter = format!("^(?:{})$", regex_lite::escape(id));
    // The same filter but for one letter: compiling the regular expression is part of the count.
    let nothing = format!("^(?:{})$", regex_lite::escape(&unlike(id)));
    let runs = if ours { [(&filter, Some(REPEATS)), (&filter, Some(1))] } else { [(&filter, None), (&nothing, None)] };
    let mut counts = [[0; 2]; 2];
    for ((filter, repeats), taken) in runs.into_iter().zip(&mut counts) {
        for count in taken {
            match collected(program, filter, repeats, timeout)? {
                Ok(instructions) => *count = instructions,
                Err(why) => return Ok(Err(why)),
            }
        }
    }
    let iterations = if ours { f64::from(REPEATS - 1) } else { 1.0 };
    let [long, short] = counts;
    Ok(difference(long, short, iterations).ok_or_else(|| {
        let varies = long[0].abs_diff(long[1]).max(short[0].abs_diff(short[1]));
        format!("one iteration is lost in what its process varies by ({varies} of {} instructions)", long[0])
    }))
}

/// The difference of two runs that were each counted twice; `None` if it drowns in what the counts vary by.
fn difference(long: [u64; 2], short: [u64; 2], iterations: f64) -> Option<Count> {
    let mean = |counts: [u64; 2]| (counts[0] as f64 + counts[1] as f64) / 2.0;
    let varies = (long[0].abs_diff(long[1]) + short[0].abs_diff(short[1])) as f64;
    let total = mean(long) - mean(short);
    let usable = total > 0.0 && varies <= MOST_VARIATION * total;
    usable.then(|| Count { instructions: total / iterations, exact: varies == 0.0 })
}

/// An equally long id that no benchmark has.
fn unlike(id: &str) -> String {
    let last = id.char_indices().rev().find(|(_, c)| c.is_ascii_alphanumeric());
    last.map_or_else(|| format!("{id}~"), |(at, _)| format!("{}~{}", &id[..at], &id[at + 1..]))
}

/// Instructions of one run in test mode. `timeout` bounds it through the `timeout` program, since valgrind slows a
/// process down by 20 to 50 times.
fn collected(program: &Program, filter: &str, repeats: Option<u32>, timeout: Duration) -> Result<Result<u64, String>> {
    let mut command = Command::new("timeout");
    command.arg((timeout.as_secs().max(1) * 4).to_string());
    command.args(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(&program.executable);
    command.args(["--test", "--", filter]).current_dir(&program.directory).env_clear();
    command.envs(program.environment.iter().map(|(key, value)| (key, value)));
    // Without it criterion asks cargo for the target directory, whose answer is parsed inside the count.
    command.env("CRITERION_HOME", "/nonexistent");
    if let Some(repeats) = repeats {
        command.env("ASSAY_REPEAT", repeats.to_string());
    }
    let output = command::output_of(&mut command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        return Ok(Err(format!("it fails under valgrind ({}): {last}", output.status)));
    }
    Ok(parse(&said).ok_or_else(|| "valgrind did not say how many it counted".to_owned()))
}

/// Reads "==123== Collected : 960364".
fn parse(text: &str) -> Option<u64> {
    text.lines().rev().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_of_nothing_is_as_long_as_the_other() {
        assert_eq!(unlike("f 1000/x"), "f 1000/~");
        assert_eq!(unlike("ä-1:?"), "ä-~:?");
        assert_eq!(unlike("?"), "?~");
    }

    #[test]
    fn counts_that_vary_are_shown_but_inexact_and_dropped_when_they_drown() {
        assert_eq!(difference([3000, 3000], [1000, 1000], 2.0), Some(Count { instructions: 1000.0, exact: true }));
        assert!(!difference([2_772_010, 2_772_000], [2_000_000, 2_000_105], 1.0).unwrap().exact);
        assert_eq!(difference([2_000_100, 2_000_000], [1_999_000, 1_999_000], 1.0), None);
        assert_eq!(difference([1000, 1000], [1000, 1000], 1.0), None);
    }

    #[test]
    fn the_total_is_read_from_callgrinds_last_words() {
        assert_eq!(parse("==7== Events    : Ir\n==7== Collected : 960364\n==7== \n"), Some(960_364));
        assert_eq!(parse("no such line\nCollected : many"), None);
    }
}
