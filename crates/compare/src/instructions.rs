//! Instructions per iteration, counted by callgrind. The count has no noise, but it leaves out the effects of memory.
//!
//! A count of a whole process is useless: start-up alone executes a million instructions. The count is therefore the
//! difference of two runs in test mode. A bench with our glue repeats its iteration on request (`ASSAY_REPEAT`), so
//! that the proof cancels in the difference. Any other bench is run once with and once without the benchmark. Each
//! count is taken twice. If the two disagree, the benchmark is not deterministic (a randomly seeded hash table
//! suffices): the count is shown but fails nothing. Valgrind has no AVX-512, so a bench that chooses its kernel at run
//! time may run another kernel here; the README says so.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use record::Unit;

use crate::bench::{End, Program, Protocol};
use crate::command;
use crate::judge::Verdict;
use crate::measure::{BenchPair, Sampler, Side};
use crate::policy::Policy;
use crate::report::{Row, listed};

/// How often the glue repeats the iteration in the longer of the two runs.
const REPEATS: u32 = 3;

/// The time limit of a process is multiplied by this, because valgrind slows a process down by 20 to 50 times.
const SLOWDOWN: u32 = 4;
/// A relative change of the count below this is no change.
const UNCHANGED: f64 = 0.001;

/// Benchmarks whose instructions were not counted, by reason.
#[derive(Debug, Default)]
pub struct Uncounted {
    ids_by_reason: Vec<(String, Vec<String>)>,
    /// Whether callgrind can run here, once that was tried.
    is_available: Option<bool>,
}

impl Uncounted {
    fn add(&mut self, why: String, id: String) {
        match self.ids_by_reason.iter_mut().find(|(known, _)| *known == why) {
            Some((_, ids)) => ids.push(id),
            None => self.ids_by_reason.push((why, vec![id])),
        }
    }

    /// One note for each reason.
    pub fn notes(self) -> impl Iterator<Item = String> {
        self.ids_by_reason
            .into_iter()
            .map(|(why, ids)| format!("instructions of {} were not counted: {why}", listed(&ids)))
    }
}

/// Adds the row's instruction count, or the reason why it could not be taken to `uncounted`. The count is evidence
/// beside the verdict, which depends on time alone. It fails a gate only if both counts are exact.
pub fn add(
    sampler: &Sampler<'_>,
    pair: &BenchPair,
    policy: &Policy,
    row: &mut Row,
    uncounted: &mut Uncounted,
) -> Result<()> {
    if matches!(pair.variant(Side::Head).target.program.protocol, Protocol::Cells { .. }) {
        // A cell is a process with its proof and its ceilings: a count of all would say nothing of what is timed.
        return Ok(());
    }
    if !*uncounted.is_available.get_or_insert_with(is_available) {
        let why = "valgrind is not installed (Debian: apt-get install valgrind)";
        uncounted.add(why.to_owned(), pair.key.to_string());
        return Ok(());
    }
    let ours = row.head.as_ref().is_some_and(|figures| !figures.ran.is_empty());
    let count = |side: Side| count(sampler, &pair.variant(side).target.program, &pair.key.id(), ours);
    let (base, head) = match (count(Side::Base)?, count(Side::Head)?) {
        (Ok(base), Ok(head)) => (base, head),
        (Err(why), _) | (_, Err(why)) => {
            uncounted.add(why, pair.key.to_string());
            return Ok(());
        }
    };
    let bandwidth_bound = [&row.base, &row.head]
        .into_iter()
        .flatten()
        .any(|figures| matches!(figures.rate, Some((_, Unit::BytesPerSecond))) && figures.ceiling.is_some());
    let gates = base.is_exact() && head.is_exact() && !bandwidth_bound;
    let mut change = policy.rules().instructions(Some(base.instructions), Some(head.instructions), gates);
    // Growth within the variation of the counts is not growth.
    let least = policy.rules().instructions(Some(base.most()), Some(head.least()), gates);
    change.worse &= least.worse;
    row.metrics.push(change);
    row.why.push_str(&evidence(&base, &head));
    let ratio = head.instructions / base.instructions;
    if row.verdict == Verdict::Slower && (ratio - 1.0).abs() < UNCHANGED {
        row.why.push_str(", unchanged: look at layout, memory or the host first");
    }
    Ok(())
}

/// Both counts in words.
fn evidence(base: &Count, head: &Count) -> String {
    let show = |count: &Count| match count.variation {
        0.0 => Unit::Instructions.show(count.instructions),
        varies => format!("{} ± {}", Unit::Instructions.show(count.instructions), Unit::Instructions.show(varies)),
    };
    let percent = 100.0 * (head.instructions / base.instructions - 1.0);
    format!("; {} before, {} after ({percent:+.1} %)", show(base), show(head))
}

/// Whether callgrind can run here.
pub fn is_available() -> bool {
    command::output_of(Command::new("valgrind").arg("--version")).is_ok_and(|output| output.status.success())
}

/// Instructions of one iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Count {
    instructions: f64,
    /// By how much repeated counts differ, per iteration; 0 if they are equal.
    variation: f64,
}

impl Count {
    fn is_exact(&self) -> bool {
        self.variation == 0.0
    }

    fn least(&self) -> f64 {
        self.instructions - self.variation
    }

    fn most(&self) -> f64 {
        self.instructions + self.variation
    }
}

/// The count, or why there is none.
fn count(sampler: &Sampler<'_>, program: &Program, id: &str, ours: bool) -> Result<Result<Count, String>> {
    let filter = format!("^(?:{})$", regex_lite::escape(id));
    // This filter differs in one letter, because compiling the regular expression is part of the count.
    let nothing = format!("^(?:{})$", regex_lite::escape(&unlike(id)));
    let runs = if ours { [(&filter, Some(REPEATS)), (&filter, Some(1))] } else { [(&filter, None), (&nothing, None)] };
    let mut counts = [[0; 2]; 2];
    for ((filter, repeats), taken) in runs.into_iter().zip(&mut counts) {
        for count in taken {
            match collected(sampler, program, filter, repeats)? {
                Ok(instructions) => *count = instructions,
                Err(why) => return Ok(Err(why)),
            }
        }
    }
    let iterations = if ours { f64::from(REPEATS - 1) } else { 1.0 };
    let [long, short] = counts;
    Ok(difference(long, short, iterations).ok_or_else(|| {
        let mean = |counts: [u64; 2]| (counts[0] + counts[1]) / 2;
        format!(
            "the process varies by {} instructions, one iteration takes about {}",
            long[0].abs_diff(long[1]) + short[0].abs_diff(short[1]),
            mean(long).saturating_sub(mean(short))
        )
    }))
}

/// The difference of two runs that were each counted twice; `None` if it is no larger than what the counts vary by.
fn difference(long: [u64; 2], short: [u64; 2], iterations: f64) -> Option<Count> {
    let mean = |counts: [u64; 2]| (counts[0] as f64 + counts[1] as f64) / 2.0;
    let varies = (long[0].abs_diff(long[1]) + short[0].abs_diff(short[1])) as f64;
    let total = mean(long) - mean(short);
    let usable = total > 0.0 && varies < total;
    usable.then(|| Count { instructions: total / iterations, variation: varies / iterations })
}

/// An equally long id that no benchmark has.
fn unlike(id: &str) -> String {
    let last = id.char_indices().rev().find(|(_, c)| c.is_ascii_alphanumeric());
    last.map_or_else(|| format!("{id}~"), |(at, _)| format!("{}~{}", &id[..at], &id[at + 1..]))
}

/// Instructions of one run in test mode.
fn collected(
    sampler: &Sampler<'_>,
    program: &Program,
    filter: &str,
    repeats: Option<u32>,
) -> Result<Result<u64, String>> {
    let limit = SLOWDOWN * sampler.timeout.max(Duration::from_secs(1));
    let left = sampler.until.map_or(limit, |until| until.saturating_duration_since(Instant::now()).min(limit));
    if left.is_zero() {
        return Ok(Err("the budget had ended (--budget)".to_owned()));
    }
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(&program.executable);
    command.args(["--test", "--", filter]).current_dir(&program.directory).env_clear();
    command.envs(program.environment.iter().map(|(key, value)| (key, value)));
    // Without this variable, criterion asks cargo for the target directory, and the count would include parsing the
    // answer.
    command.env("CRITERION_HOME", "/nonexistent");
    if let Some(repeats) = repeats {
        command.env("ASSAY_REPEAT", repeats.to_string());
    }
    let (end, said) = sampler.scratch.capture(&mut command, left)?;
    match end {
        End::Success => Ok(parse(&said).ok_or_else(|| "valgrind did not say how many it counted".to_owned())),
        End::Failed(status) => {
            let last = said.lines().next_back().unwrap_or_default();
            Ok(Err(format!("it fails under valgrind ({status}): {last}")))
        }
        _ => Ok(Err(format!("it did not end under valgrind within {:.0} s (--timeout)", left.as_secs_f64()))),
    }
}

/// Reads "==123== Collected : 960364".
fn parse(text: &str) -> Option<u64> {
    text.lines().rev().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reason_is_one_note() {
        let mut uncounted = Uncounted::default();
        for id in ["a", "b", "c", "d", "e"] {
            uncounted.add("the budget had ended".to_owned(), id.to_owned());
        }
        uncounted.add("it crashed".to_owned(), "f".to_owned());
        let notes: Vec<String> = uncounted.notes().collect();
        assert_eq!(notes.len(), 2);
        assert_eq!(notes[0], "instructions of a, b, c and 2 more were not counted: the budget had ended");
        assert_eq!(notes[1], "instructions of f were not counted: it crashed");
    }

    #[test]
    fn the_filter_that_matches_nothing_has_the_same_length() {
        assert_eq!(unlike("f 1000/x"), "f 1000/~");
        assert_eq!(unlike("ä-1:?"), "ä-~:?");
        assert_eq!(unlike("?"), "?~");
    }

    #[test]
    fn counts_that_vary_are_shown_with_their_variation_and_dropped_when_it_is_larger() {
        let count = |instructions, variation| Some(Count { instructions, variation });
        assert_eq!(difference([3000, 3000], [1000, 1000], 2.0), count(1000.0, 0.0));
        assert_eq!(difference([2_772_010, 2_772_000], [2_000_000, 2_000_010], 1.0), count(772_000.0, 20.0));
        assert_eq!(
            difference([1_000_120, 1_000_100], [1_000_000, 1_000_000], 1.0),
            count(110.0, 20.0),
            "a short bench"
        );
        assert_eq!(difference([2_000_900, 2_000_000], [2_000_000, 1_999_000], 1.0), None);
        assert_eq!(difference([1000, 1000], [1000, 1000], 1.0), None);
    }

    #[test]
    fn evidence_names_both_counts_and_their_variation() {
        let (base, head) =
            (Count { instructions: 1000.0, variation: 0.0 }, Count { instructions: 1120.0, variation: 4.0 });
        let text = evidence(&base, &head);
        assert!(text.contains("before") && text.contains("±") && text.contains("(+12.0 %)"), "{text}");
    }

    #[test]
    fn the_total_is_read_from_callgrinds_output() {
        assert_eq!(parse("==7== Events    : Ir\n==7== Collected : 960364\n==7== \n"), Some(960_364));
        assert_eq!(parse("no such line\nCollected : many"), None);
    }
}
