//! The exact list of a side's benchmarks. Names that criterion prints are cut at 100 characters and may be ambiguous.
//! The list therefore comes from a run whose filter matches nothing: it reports every id over the wire.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use record::bench_row::SourceLine;

use crate::bench::{CriterionVersion, End, Key, RawId, Run, ScratchDir, Selection};
use crate::build::Built;
use crate::console::Console;

/// One benchmark of one side.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its identity.
    pub key: Key,
    /// Index of its program in [`Built::targets`].
    pub target: usize,
    /// 1 for benchmarks that represent the suite; benches without our rows are all of tier 1.
    pub tier: u8,
    /// Where it is declared, if it reports that.
    pub source: Option<SourceLine>,
}

/// A program that offers no benchmarks, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Package.
    pub package: String,
    /// Bench target.
    pub target: String,
    /// Whether it should have offered some.
    pub kind: ProblemKind,
    /// The reason.
    pub reason: String,
}

/// Why a program offers no benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// It has none that we can run: not criterion, a feature that is off, a nightly compiler.
    Skipped,
    /// It is a criterion program that failed.
    Failed,
    /// It is a criterion program that did not get to its benchmarks within the limit.
    TimedOut,
}

/// All benchmarks of one side.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// In the order of the programs.
    pub benches: Vec<Listed>,
    /// Programs without benchmarks.
    pub problems: Vec<Problem>,
    /// Criterion's version by index of the program.
    pub versions: HashMap<usize, CriterionVersion>,
}

impl Problem {
    /// The key of a row about the whole target.
    pub fn key(&self) -> Key {
        let raw = RawId { group: target_name(&self.package, &self.target), function: None, value: None };
        Key { package: self.package.clone(), target: self.target.clone(), raw, occurrence: 0 }
    }
}

/// The id of a row about a whole target.
pub(crate) fn target_name(package: &str, target: &str) -> String {
    format!("({package}/{target})")
}

impl Catalog {
    /// Lists the benchmarks of every program of a side.
    pub fn list(side: &str, built: &Built, scratch: &ScratchDir, timeout: Duration, console: &Console) -> Result<Self> {
        let mut catalog = Catalog::default();
        for skipped in &built.skipped {
            let (package, target, reason) = (skipped.package.clone(), skipped.name.clone(), skipped.reason.clone());
            catalog.problems.push(Problem { package, target, kind: ProblemKind::Skipped, reason });
        }
        let progress = console.spinner(&format!("listing the benchmarks of {side}"));
        for (index, target) in built.targets.iter().enumerate() {
            progress.say(&target.name);
            let run = scratch.run(&target.program, &Selection::List, &[], timeout)?;
            if let Some((kind, reason)) = problem(&run, timeout) {
                let (package, target) = (target.package.clone(), target.name.clone());
                catalog.problems.push(Problem { package, target, kind, reason });
                continue;
            }
            catalog.versions.extend(run.version.map(|version| (index, version)));
            let mut seen: HashMap<RawId, u32> = HashMap::new();
            for raw in run.listed {
                let count = seen.entry(raw.clone()).or_default();
                let row = run.rows.iter().find(|row| row.id() == raw.full());
                catalog.benches.push(Listed {
                    tier: row.map_or(1, |row| row.tier),
                    source: row.and_then(|row| row.source.clone()),
                    key: Key { package: target.package.clone(), target: target.name.clone(), raw, occurrence: *count },
                    target: index,
                });
                *count += 1;
            }
        }
        Ok(catalog)
    }

    /// Whether a target offers benchmarks.
    pub fn has(&self, package: &str, target: &str) -> bool {
        self.benches.iter().any(|listed| listed.key.package == package && listed.key.target == target)
    }

    /// Why a target offers none, if so.
    pub fn problem(&self, package: &str, target: &str) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.package == package && problem.target == target)
    }

    /// The benchmark of this name.
    pub fn find(&self, key: &Key) -> Option<&Listed> {
        self.benches.iter().find(|listed| listed.key == *key)
    }
}

/// Why a program did not list its benchmarks.
fn problem(run: &Run, timeout: Duration) -> Option<(ProblemKind, String)> {
    let limit = format!("{} s (--timeout)", timeout.as_secs_f64());
    Some(match &run.end {
        End::NotCriterion if run.tail.contains("running 0 tests") => {
            let reason = "not criterion: it is a libtest harness (a criterion bench says `harness = false`)";
            (ProblemKind::Skipped, reason.to_owned())
        }
        End::NotCriterion => {
            let said = if run.tail.is_empty() { String::new() } else { format!("; it printed: {}", run.tail) };
            (ProblemKind::Skipped, format!("not criterion: it does not speak cargo-criterion's protocol{said}"))
        }
        End::NotConnected => {
            let reason = "it ended without connecting to 127.0.0.1: either it stops before criterion starts, or the \
                          loopback interface is down or `localhost` leads elsewhere";
            (ProblemKind::Failed, format!("{reason}. {}", run.tail))
        }
        End::TimedOut if run.version.is_none() => {
            let reason = format!("its set-up before criterion starts did not end within {limit}");
            (ProblemKind::TimedOut, reason)
        }
        End::TimedOut => (ProblemKind::TimedOut, format!("listing its benchmarks did not end within {limit}")),
        End::Failed(status) => (ProblemKind::Failed, format!("listing its benchmarks failed ({status}): {}", run.tail)),
        End::Success if run.listed.is_empty() => (ProblemKind::Skipped, "it has no benchmarks".to_owned()),
        End::Success => return None,
    })
}
