//! Which benchmarks of the two sides are paired, and which need no timing.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Result;

use super::catalog::{Catalog, Listed, Problem, ProblemKind, target_name};
use super::inputs;
use crate::bench::Key;
use crate::build::{Built, Target, identical};
use crate::judge::Verdict;
use crate::measure::{BenchPair, Random, Side, Trouble, TroubleKind, Variant};
use crate::policy::Policy;
use crate::report::{Fault, Row};

/// Base, head and each null control draw their links from separate ranges of seeds, so that no benchmark is compared
/// with its own layout.
const RANGE: usize = 1000;

/// What must be measured, and what is already known.
#[derive(Debug, Default)]
pub struct PairedBenches {
    /// Benchmarks of both sides whose code differs.
    pub pairs: Vec<BenchPair>,
    /// Benchmarks of both sides whose code is identical.
    pub identical: Vec<BenchPair>,
    /// Benchmarks of one side, and targets that offer none.
    pub rows: Vec<Row>,
    /// Remarks.
    pub notes: Vec<String>,
}

impl PairedBenches {
    /// Whether no benchmark was found on either side, and no target that should have some.
    pub fn is_empty(&self) -> bool {
        let skipped = self.rows.iter().all(|row| row.verdict == Verdict::Skipped);
        self.pairs.is_empty() && self.identical.is_empty() && skipped
    }

    /// Turns the benchmarks and targets that the policy excludes on `today` (`YYYY-MM-DD`) into rows: they are not run.
    pub(super) fn exclude(&mut self, policy: &Policy, today: &str) {
        let excluded = |why: String| format!("excluded in assay.toml: {why}");
        let name = |key: &Key| target_name(&key.package, &key.target);
        for pairs in [&mut self.pairs, &mut self.identical] {
            for pair in std::mem::take(pairs) {
                match policy.exclusion(&pair.key.to_string(), &name(&pair.key), today) {
                    Some(why) => self.rows.push(bare_row(&pair, Verdict::Skipped, excluded(why))),
                    None => pairs.push(pair),
                }
            }
        }
        for row in self.rows.iter_mut().filter(|row| row.verdict != Verdict::Skipped) {
            let target = target_name(&row.package, &row.target);
            let why = match row.id == target {
                true => policy.target_exclusion(&target, today),
                false => policy.exclusion(&row.id, &target, today),
            };
            if let Some(why) = why {
                *row = Row { verdict: Verdict::Skipped, fault: None, why: excluded(why), ..row.clone() };
            }
        }
    }
}

/// Both sides, built and listed.
#[derive(Debug)]
pub struct Pairing<'a> {
    /// Before.
    pub base: (&'a Built, &'a Catalog),
    /// After.
    pub head: (&'a Built, &'a Catalog),
    /// The slots' directories, whose paths may occur in the programs.
    pub slots: [&'a Path; 2],
    /// Files that differ between the revisions, relative to the top of the work tree.
    pub changed: &'a [String],
    /// Paths of the log, relative to the top of the work tree.
    pub own: &'a [String],
}

impl Pairing<'_> {
    /// Pairs the two sides. `wanted` says which benchmarks count.
    pub fn pair(&self, wanted: &dyn Fn(&Listed) -> bool) -> Result<PairedBenches> {
        let mut paired = PairedBenches::default();
        let same = self.identical_targets(&mut paired.notes)?;
        for listed in self.head.1.benches.iter().filter(|listed| wanted(listed)) {
            let Some(before) = self.base.1.find(&listed.key) else {
                let why = if self.base.0.targets.is_empty() {
                    "the base has no benchmarks"
                } else {
                    "the base does not have it"
                };
                paired.rows.push(Row {
                    source: listed.source.clone(),
                    ..Row::new(&listed.key, listed.tier, Verdict::New, why)
                });
                continue;
            };
            let pair = BenchPair {
                key: listed.key.clone(),
                tier: listed.tier,
                source: listed.source.clone(),
                base: self.variant(self.base, before),
                head: self.variant(self.head, listed),
                is_control: false,
                single_threaded: false,
                process_s: 0.0,
            };
            let is_same = same.contains(&(listed.key.package.clone(), listed.key.target.clone()));
            if is_same { paired.identical.push(pair) } else { paired.pairs.push(pair) }
        }
        // A target that can no longer be listed gets one row below, not a hundred missing benchmarks.
        let is_gone = |listed: &&Listed| {
            let key = &listed.key;
            let unlisted = self.head.1.problem(&key.package, &key.target).is_some();
            wanted(listed) && self.head.1.find(key).is_none() && !unlisted
        };
        for listed in self.base.1.benches.iter().filter(is_gone) {
            paired.rows.push(Row::new(
                &listed.key,
                listed.tier,
                Verdict::Gone,
                "the head no longer has it; list it under [removed] in assay.toml if that is meant",
            ));
        }
        for problem in &self.head.1.problems {
            paired.rows.push(problem_row(problem, self.fault_of(problem)));
        }
        for problem in &self.base.1.problems {
            if self.head.1.has(&problem.package, &problem.target) {
                paired.rows.push(problem_row(problem, Some(Fault::Base)));
            }
        }
        Ok(paired)
    }

    /// The side at fault for a target that the head cannot list. No side is at fault for a target that is skipped on
    /// purpose, unless the base still has benchmarks there, which are now missing.
    fn fault_of(&self, problem: &Problem) -> Option<Fault> {
        let before = self.base.1.problem(&problem.package, &problem.target);
        let was_broken = before.is_some_and(|before| before.kind != ProblemKind::Skipped);
        match problem.kind {
            _ if self.base.1.has(&problem.package, &problem.target) => Some(Fault::Head),
            ProblemKind::Skipped => None,
            _ if was_broken => Some(Fault::Both),
            _ => Some(Fault::Head),
        }
    }

    fn variant(&self, (built, catalog): (&Built, &Catalog), listed: &Listed) -> Variant {
        Variant {
            target: built.targets[listed.target].clone(),
            version: catalog.versions.get(&listed.target).copied(),
            seed_offset: 0,
            inject: None,
        }
    }

    /// Targets whose machine code is the same and whose benches read no changed file.
    fn identical_targets(&self, notes: &mut Vec<String>) -> Result<HashSet<(String, String)>> {
        let mut same = HashSet::new();
        let packages: Vec<String> = self.head.0.targets.iter().map(|target| directory(target, self.slots)).collect();
        for head in &self.head.0.targets {
            let name = (head.package.clone(), head.name.clone());
            let Some(base) = self.base.0.targets.iter().find(|base| (&base.package, &base.name) == (&name.0, &name.1))
            else {
                continue;
            };
            let inputs = inputs::read_by(self.changed, &directory(head, self.slots), &packages, self.own);
            if !identical::same_code(&base.program.executable, &head.program.executable, self.slots)? {
                if self.changed.contains(&head.source) {
                    notes.push(format!("harness changed: {} itself differs between the sides", head.source));
                }
                continue;
            }
            if inputs.is_empty() {
                same.insert(name);
            } else {
                notes.push(format!(
                    "{}/{} is the same code, but is measured: {} changed and it may read it",
                    name.0,
                    name.1,
                    inputs.join(", ")
                ));
            }
        }
        Ok(same)
    }
}

/// The package's directory relative to the top of its slot's work tree.
fn directory(target: &Target, slots: [&Path; 2]) -> String {
    let directory = &target.program.directory;
    let inside = slots.iter().find_map(|slot| directory.strip_prefix(slot.join("tree")).ok());
    inside.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Draws the first seed of each side within its range, one for the pairs of each base and one for the head. Each run
/// draws again: with the same few layouts in every run, their effect would never average out.
pub fn draw_layouts<'a>(pairs_of_bases: impl Iterator<Item = &'a mut [BenchPair]>, random: &mut Random) {
    let (mut base, head) = (first_seed(0, random), first_seed(1, random));
    for (at, pairs) in pairs_of_bases.enumerate() {
        if at > 0 {
            // The ranges of null controls, which only a comparison with one base has.
            base = first_seed(1 + at, random);
        }
        for pair in pairs {
            pair.base.seed_offset = base;
            pair.head.seed_offset = head;
        }
    }
}

/// The `number`th null control: a benchmark against itself in other layouts, which must find nothing. Each control has
/// its own layouts, because otherwise one odd layout would affect all controls.
pub(super) fn null_of(pair: &BenchPair, number: usize, random: &mut Random) -> BenchPair {
    let base = Variant { seed_offset: first_seed(2 + number, random), ..pair.head.clone() };
    BenchPair { base, is_control: true, ..pair.clone() }
}

fn first_seed(range: usize, random: &mut Random) -> u64 {
    // The gap between two ranges is as wide as a range, for seeds beyond the last possible first seed.
    (2 * range * RANGE + random.below(RANGE)) as u64
}

/// A row of a pair that has only a verdict.
pub(super) fn bare_row(pair: &BenchPair, verdict: Verdict, why: impl Into<String>) -> Row {
    let key: &Key = &pair.key;
    Row { source: pair.source.clone(), ..Row::new(key, pair.tier, verdict, why) }
}

/// The row of a pair whose code is the same on both sides.
pub(super) fn identical_row(pair: &BenchPair) -> Row {
    bare_row(pair, Verdict::Same, "identical machine code, and no run-time input changed")
}

/// A row about a target that offers no benchmarks.
pub(super) fn problem_row(problem: &Problem, fault: Option<Fault>) -> Row {
    let verdict = match (problem.kind, fault) {
        // Its benchmarks are missing, whatever the reason is.
        (ProblemKind::Skipped, Some(Fault::Head)) | (ProblemKind::Failed, _) => Verdict::Invalid,
        (ProblemKind::Skipped, _) => Verdict::Skipped,
        (ProblemKind::TimedOut, _) => Verdict::Timeout,
    };
    let why = match fault {
        Some(Fault::Both) => format!("on both sides: {}", problem.reason),
        Some(Fault::Base) => format!("on the base: {}", problem.reason),
        _ => problem.reason.clone(),
    };
    Row { fault, ..Row::new(&problem.key(), 1, verdict, why) }
}

/// The verdict for a benchmark that gave no number.
pub(super) fn verdict_of(kind: TroubleKind) -> Verdict {
    match kind {
        TroubleKind::Invalid | TroubleKind::WrongOutput | TroubleKind::TooFast => Verdict::Invalid,
        TroubleKind::Timeout => Verdict::Timeout,
        TroubleKind::OutOfTime => Verdict::Inconclusive,
    }
}

/// The row of a benchmark that gave no number on `fault`'s side, or on both.
pub(super) fn trouble_row(pair: &BenchPair, fault: Fault, trouble: &Trouble) -> Row {
    let place = match fault {
        Fault::Base => "on the base: ",
        Fault::Head => "on the head: ",
        Fault::Both => "on both sides: ",
        Fault::Target => "",
    };
    let why = format!("{place}{}", trouble.reason);
    Row { fault: Some(fault), ..bare_row(pair, verdict_of(trouble.kind), why) }
}

/// The fault of one side.
pub(super) fn fault(side: Side) -> Fault {
    match side {
        Side::Base => Fault::Base,
        Side::Head => Fault::Head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    /// `exclude = [{ filter = "t" }]` is meant for ids; the name of every target `t` matches it, too.
    #[test]
    fn a_filter_for_ids_does_not_excuse_a_broken_target() {
        let (package, target, reason) = ("p".to_owned(), "t".to_owned(), "it panics".to_owned());
        let broken = problem_row(&Problem { package, target, kind: ProblemKind::Failed, reason }, Some(Fault::Head));
        let gone = Row { id: "a test".into(), verdict: Verdict::Gone, fault: None, ..broken.clone() };
        let excluded = |text: &str| {
            let root = tempfile::tempdir().unwrap();
            std::fs::write(root.path().join(crate::policy::FILE), text).unwrap();
            let rows = vec![broken.clone(), gone.clone()];
            let mut paired = PairedBenches { rows, ..PairedBenches::default() };
            paired.exclude(&Policy::read(root.path()).unwrap(), "2026-01-01");
            [0, 1].map(|at| (paired.rows[at].verdict, paired.rows[at].exit()))
        };
        let (failed, skipped) = ((Verdict::Invalid, Exit::Invalid), (Verdict::Skipped, Exit::Fine));
        let filter = "[settings]\nexclude = [{ filter = \"t\", reason = \"needs a server\" }]\n";
        assert_eq!(excluded(filter), [failed, skipped]);
        let named = "[excluded]\n\"(p/t)\" = { reason = \"needs a server\", until = \"2026-12-31\" }\n";
        assert_eq!(excluded(named), [skipped, skipped]);
    }
}
