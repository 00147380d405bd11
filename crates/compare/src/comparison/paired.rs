//! Which benchmarks of the two sides are paired, and which need no timing.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Result;

use super::catalog::{Catalog, Listed, Problem};
use super::inputs;
use crate::bench::Key;
use crate::build::{Built, Target, identical};
use crate::judge::Verdict;
use crate::measure::{BenchPair, Random, Variant};
use crate::report::{Fault, Row};

/// Base, head and each null control draw their links from a range of seeds of their own, so that no benchmark is compared with
/// its own layout.
const RANGE: usize = 1000;

/// What must be measured, and what is known already.
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
    /// Whether there is no benchmark on either side.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.identical.is_empty() && self.rows.is_empty()
    }
}

/// Both sides, built and listed.
#[derive(Debug)]
pub struct Pairing<'a> {
    /// Before.
    pub base: (&'a Built, &'a Catalog),
    /// After.
    pub head: (&'a Built, &'a Catalog),
    /// The slots' directories, whose paths may stand in the programs.
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
                single_threaded: false,
                process_s: 0.0,
            };
            let is_same = same.contains(&(listed.key.package.clone(), listed.key.target.clone()));
            if is_same { paired.identical.push(pair) } else { paired.pairs.push(pair) }
        }
        // A target that cannot be listed any more is one row of its own below, not a hundred missing benchmarks.
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
            let lost = self.base.1.has(&problem.package, &problem.target);
            paired.rows.push(problem_row(problem, if lost { Fault::Head } else { Fault::Target }));
        }
        for problem in &self.base.1.problems {
            if self.head.1.has(&problem.package, &problem.target) {
                paired.rows.push(problem_row(problem, Fault::Base));
            }
        }
        Ok(paired)
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

/// Draws where in its range each side's seeds begin, one place for all pairs. Each run draws anew: the same few layouts
/// in every run would be the same luck in every run.
pub fn draw_layouts(pairs: &mut [BenchPair], random: &mut Random) {
    let (base, head) = (first_seed(0, random), first_seed(1, random));
    for pair in pairs {
        pair.base.seed_offset = base;
        pair.head.seed_offset = head;
    }
}

/// The `number`th null control: a benchmark against itself in other layouts, which must find nothing. Its layouts are its
/// own, or one odd layout would speak for all controls.
pub(super) fn null_of(pair: &BenchPair, number: usize, random: &mut Random) -> BenchPair {
    let base = Variant { seed_offset: first_seed(2 + number, random), ..pair.head.clone() };
    BenchPair { base, ..pair.clone() }
}

fn first_seed(range: usize, random: &mut Random) -> u64 {
    // Ranges stand apart by as much as they are wide, for the links beyond the last beginning.
    (2 * range * RANGE + random.below(RANGE)) as u64
}

/// A row of a pair that only says `verdict`.
pub(super) fn bare_row(pair: &BenchPair, verdict: Verdict, why: impl Into<String>) -> Row {
    let key: &Key = &pair.key;
    Row { source: pair.source.clone(), ..Row::new(key, pair.tier, verdict, why) }
}

/// The row of a pair whose code is the same on both sides.
pub(super) fn identical_row(pair: &BenchPair) -> Row {
    bare_row(pair, Verdict::Same, "identical machine code, and no run-time input changed")
}

/// A row about a target that offers no benchmarks.
pub(super) fn problem_row(problem: &Problem, fault: Fault) -> Row {
    Row { fault: Some(fault), ..Row::new(&problem.key(), 1, Verdict::Invalid, problem.reason.clone()) }
}
