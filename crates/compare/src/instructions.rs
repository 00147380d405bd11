//! Instructions per iteration, counted by callgrind: free of noise, blind to memory.
//!
//! Counting a whole process says nothing: start-up alone executes a million instructions. So the count is a
//! difference of two runs in test mode. A bench with our glue repeats its iteration on request (`ASSAY_REPEAT`), which
//! leaves the proof out of the difference; any other is run once with and once without the benchmark. Each count is
//! taken twice: if the two disagree, the benchmark is not deterministic and the count is not used. Valgrind has no
//! AVX-512, so a bench that chooses its kernel at run time may run another one here; the note says so.

use std::process::Command;

use anyhow::Result;
use record::Unit;

use crate::bench::Program;
use crate::command;
use crate::measure::{Contest, Sampler, Side};
use crate::policy::Policy;
use crate::report::Row;

/// How often the glue repeats the iteration in the longer of the two runs.
const REPEATS: u32 = 3;

/// Adds the row's instruction count, or a note that it could not be taken.
pub fn add(
    sampler: &Sampler<'_>,
    contest: &Contest,
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
    let count = |side: Side| count(&contest.entrant(side).target.program, &contest.key.id(), ours, sampler.timeout);
    let (base, head) = (count(Side::Base)?, count(Side::Head)?);
    if base.is_none() || head.is_none() {
        notes.push(format!("instructions of {} were not counted: it fails or varies under valgrind", contest.key));
        return Ok(());
    }
    let bandwidth_bound = [&row.base, &row.head]
        .into_iter()
        .flatten()
        .any(|figures| matches!(figures.rate, Some((_, Unit::BytesPerSecond))) && figures.ceiling.is_some());
    row.metrics.push(policy.rules().instructions(base, head, bandwidth_bound));
    if let (Some(base), Some(head)) = (base, head)
        && row.verdict == crate::judge::Verdict::Slower
        && (head / base - 1.0).abs() < 0.001
    {
        row.why.push_str("; its instructions did not change: look at layout, memory or the host first");
    }
    Ok(())
}

/// Whether callgrind can run here.
pub fn is_available() -> bool {
    command::output_of(Command::new("valgrind").arg("--version")).is_ok_and(|output| output.status.success())
}

fn count(program: &Program, id: &str, ours: bool, timeout: std::time::Duration) -> Result<Option<f64>> {
    let filter = format!("^(?:{})$", regex_lite::escape(id));
    // The same filter but for one letter: compiling the regular expression is part of the count.
    let nothing: String = format!("^(?:{})$", regex_lite::escape(&unlike(id)));
    let (long, short, iterations) = if ours {
        let run = |repeats: u32| collected_twice(program, &filter, Some(repeats), timeout);
        (run(REPEATS)?, run(1)?, f64::from(REPEATS - 1))
    } else {
        (collected_twice(program, &filter, None, timeout)?, collected_twice(program, &nothing, None, timeout)?, 1.0)
    };
    Ok(long.zip(short).filter(|(long, short)| long > short).map(|(long, short)| (long - short) as f64 / iterations))
}

/// An equally long id that no benchmark has.
fn unlike(id: &str) -> String {
    let last = id.char_indices().rev().find(|(_, c)| c.is_ascii_alphanumeric());
    last.map_or_else(|| format!("{id}~"), |(at, _)| format!("{}~{}", &id[..at], &id[at + 1..]))
}

fn collected_twice(
    program: &Program,
    filter: &str,
    repeats: Option<u32>,
    timeout: std::time::Duration,
) -> Result<Option<u64>> {
    let first = collected(program, filter, repeats, timeout)?;
    Ok(if first.is_some() && first == collected(program, filter, repeats, timeout)? { first } else { None })
}

/// Instructions of one run in test mode. `timeout` bounds it through the `timeout` program, since valgrind slows a
/// process down by 20 to 50 times.
fn collected(
    program: &Program,
    filter: &str,
    repeats: Option<u32>,
    timeout: std::time::Duration,
) -> Result<Option<u64>> {
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
    if !output.status.success() {
        return Ok(None);
    }
    Ok(parse(&String::from_utf8_lossy(&output.stderr)))
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
    fn the_total_is_read_from_callgrinds_last_words() {
        assert_eq!(parse("==7== Events    : Ir\n==7== Collected : 960364\n==7== \n"), Some(960_364));
        assert_eq!(parse("no such line\nCollected : many"), None);
    }
}
