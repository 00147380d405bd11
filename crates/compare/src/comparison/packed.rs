//! A comparison that is built here and measured elsewhere.
//!
//! [`pack`] does what a comparison does before it measures: it builds both sides, pairs their benchmarks, finds what is
//! the same code, and links every program again in as many layouts as there is room for. `PackedRun` does the rest on
//! the other machine: pilots, blocks, verdicts. There is one stage, with a number of blocks that is fixed here: a run
//! that is cut short has fewer blocks, as when a budget ends, and the tests stay valid.
//!
//! A unit is the pilot of one benchmark, one block of it, or the figures of one that is the same on both sides. Round
//! by round, every benchmark has its next block. What a unit gives can be written down, and a run goes on from there.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use record::bench_row::SourceLine;
use serde::{Deserialize, Serialize};

use super::entry_builder::EntryBuilder;
use super::known::Known;
use super::options::{Options, Revisions};
use super::project::{Invocation, Project};
use super::run::find_pairs;
use crate::bench::{CriterionVersion, Key, ScratchDir};
use crate::command::is_interrupted;
use crate::console::Console;
use crate::exit::usage;
use crate::judge::blocks_for;
use crate::measure::{BenchPair, Links, Random, Variant};
use crate::policy::Policy;
use crate::repo::Snapshot;
use crate::report::Row;
use crate::slot::Slots;

/// Puts a program into a pack: where it is, and its path there. Gives its size.
pub type Put<'a> = &'a mut dyn FnMut(&Path, &str) -> Result<u64>;

/// A comparison in a pack. Paths are relative to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedComparison {
    /// Title and change of the entry, if it is to be logged.
    pub logged_as: Option<(String, String)>,
    /// Before.
    pub base: PackedRevision,
    /// After.
    pub head: PackedRevision,
    /// Seed of layouts and orders.
    pub(super) seed: u64,
    /// Blocks of each benchmark.
    pub(super) blocks: usize,
    /// Layouts of each program; 1 is the plain link alone.
    pub(super) links: usize,
    pub(super) timeout_s: f64,
    #[serde(default)]
    pub(super) accept_quality: bool,
    pub(super) programs: Vec<PackedProgram>,
    /// Benchmarks whose code differs.
    pub(super) pairs: Vec<PackedPair>,
    /// Benchmarks that are the same code on both sides.
    pub(super) identical: Vec<PackedPair>,
    /// What is known without measuring.
    pub(super) rows: Vec<Row>,
    pub(super) notes: Vec<String>,
}

/// One side.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedRevision {
    /// The commit.
    pub commit: String,
    /// For people.
    pub label: String,
    /// Whether it is a snapshot of uncommitted work.
    pub dirty: bool,
    pub(super) rustc: String,
}

/// A bench program of one side.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PackedProgram {
    pub(super) package: String,
    pub(super) name: String,
    pub(super) source: String,
    /// Path of the plain link.
    pub(super) path: String,
    pub(super) seed_offset: u64,
}

/// A benchmark, with the numbers of its programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PackedPair {
    pub(super) key: Key,
    pub(super) tier: u8,
    pub(super) source: Option<SourceLine>,
    pub(super) base: (usize, Option<CriterionVersion>),
    pub(super) head: (usize, Option<CriterionVersion>),
}

/// Builds a comparison with one base. `put` takes each program; at most `room` bytes are put.
///
/// # Errors
/// What a comparison reports before it measures, or programs for which there is no room.
pub fn pack(
    invocation: &Invocation,
    project: &Project,
    revisions: &Revisions,
    options: &Options,
    policy: &Policy,
    (put, room): (Put<'_>, u64),
) -> Result<PackedComparison> {
    let (Some(base), true) = (&revisions.base, revisions.others.is_empty()) else {
        return Err(usage(
            "a pack or Slurm compares two revisions: give one --base REV, or a --title that has an entry (`compare --title T \
             --change C` here makes the first)",
        ));
    };
    let slots = Slots::open(&invocation.cache()?, &project.git)?;
    let scratch = ScratchDir::new(slots.root(), invocation.interrupt.clone())?;
    let mut entry = EntryBuilder::new(revisions, options);
    entry.notes.extend(project.notes.iter().cloned());
    let mut known = Known::read(slots.root());
    let paired =
        find_pairs(invocation, project, revisions, options, policy, (&slots, &scratch, &mut known), &mut entry)?;
    let Some(paired) = paired.into_iter().next() else { bail!("no side was built") };
    let blocks = blocks_for(paired.pairs.len()).max(options.least_blocks);
    let mut programs = Programs { list: Vec::new(), put, left: room };
    let pairs = paired.pairs.iter().map(|pair| programs.pair(pair)).collect::<Result<Vec<_>>>()?;
    let identical = paired.identical.iter().map(|pair| programs.pair(pair)).collect::<Result<Vec<_>>>()?;
    let most = if options.one_link { 1 } else { blocks };
    let links = programs.link(&paired.pairs, most, &Links::new(&project.environment), &invocation.console)?;
    if !pairs.is_empty() && links < blocks {
        entry.notes.push(format!(
            "each program is in the pack in {links} of {blocks} layouts, so the margin is at least 5 %: fewer benches (-p, \
             --bench) leave room for more"
        ));
    }
    let (base_rustc, head_rustc) = entry.compilers();
    let revision = |snapshot: &Snapshot, rustc: String| PackedRevision {
        commit: snapshot.commit.clone(),
        label: snapshot.label.clone(),
        dirty: snapshot.dirty,
        rustc,
    };
    Ok(PackedComparison {
        logged_as: None,
        base: revision(base, base_rustc),
        head: revision(&revisions.head, head_rustc),
        seed: entry.seed,
        blocks,
        links,
        timeout_s: options.timeout.as_secs_f64(),
        accept_quality: options.accept_quality,
        programs: programs.list.into_iter().map(|(_, program)| program).collect(),
        pairs,
        identical,
        rows: entry.rows().cloned().collect(),
        notes: entry.notes,
    })
}

/// The programs of a pack that is being built.
struct Programs<'a> {
    /// Each with its plain link.
    list: Vec<(PathBuf, PackedProgram)>,
    put: Put<'a>,
    left: u64,
}

impl Programs<'_> {
    fn put(&mut self, from: &Path, to: &str) -> Result<u64> {
        let bytes = (self.put)(from, to)?;
        self.left = self.left.checked_sub(bytes).with_context(|| {
            format!("the programs do not fit into a pack, {to} has {bytes} bytes: choose fewer by -p and --bench")
        })?;
        Ok(bytes)
    }

    fn pair(&mut self, pair: &BenchPair) -> Result<PackedPair> {
        Ok(PackedPair {
            key: pair.key.clone(),
            tier: pair.tier,
            source: pair.source.clone(),
            base: (self.program(&pair.base, "base")?, pair.base.version),
            head: (self.program(&pair.head, "head")?, pair.head.version),
        })
    }

    /// The number of a variant's program.
    fn program(&mut self, variant: &Variant, side: &str) -> Result<usize> {
        let target = &variant.target;
        let plain = &target.program.executable;
        if let Some(known) = self.list.iter().position(|(known, _)| known == plain) {
            return Ok(known);
        }
        // Names of equal length on both sides, as in slots: they are part of what a process finds on its stack.
        let path = format!("{side}/{:03}-0000", self.list.len());
        self.put(plain, &path)?;
        let (package, name, source) = (target.package.clone(), target.name.clone(), target.source.clone());
        let program = PackedProgram { package, name, source, path, seed_offset: variant.seed_offset };
        self.list.push((plain.clone(), program));
        Ok(self.list.len() - 1)
    }

    /// Links all programs of the pairs again, layout by layout, while there is room for all of them. Gives the number
    /// of layouts.
    fn link(&mut self, pairs: &[BenchPair], most: usize, links: &Links, console: &Console) -> Result<usize> {
        let variants: Vec<&Variant> = pairs.iter().flat_map(|pair| [&pair.base, &pair.head]).collect();
        if most < 2 || variants.iter().any(|variant| variant.target.link.is_none()) {
            return Ok(1);
        }
        let mut made = 0;
        while made < most {
            let seed = made as u64 + 1;
            match links.make(&variants, &[seed], console) {
                // A linker that cannot draw layouts.
                Err(error) if made == 0 && !is_interrupted(&error) => return Ok(1),
                result => result?,
            }
            let before = self.left;
            let mut put = Vec::new();
            for variant in &variants {
                let number = self.program(variant, "")?;
                if put.contains(&number) {
                    continue;
                }
                put.push(number);
                let linked = links.program(variant, seed)?;
                let plain = self.list[number].1.path.clone();
                let seed = seed + variant.seed_offset;
                self.put(&linked.executable, &plain.replace("-0000", &format!("-{seed:04}")))?;
            }
            made += 1;
            if before - self.left > self.left {
                break;
            }
        }
        Ok(made)
    }
}

/// A unit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// Of the pair of this number.
    Pilot(usize),
    /// Of the pair of this number, in this round.
    Block(usize, usize),
    /// Of the identical pair of this number.
    Figures(usize),
}

impl PackedComparison {
    /// Names of the units, in the order in which they are measured.
    #[must_use]
    pub fn plan(&self) -> Vec<String> {
        let name = |unit: &Unit| match *unit {
            Unit::Pilot(at) => format!("pilot {}", self.pairs[at].key),
            Unit::Block(at, round) => format!("block {} {}", round + 1, self.pairs[at].key),
            Unit::Figures(at) => format!("figures {}", self.identical[at].key),
        };
        self.units().iter().map(name).collect()
    }

    /// Pilots, then rounds of blocks, each in an order of its own, then what is only orientation.
    pub(super) fn units(&self) -> Vec<Unit> {
        let mut random = Random::new(self.seed ^ 0x6f72_6465);
        let mut units: Vec<Unit> = (0..self.pairs.len()).map(Unit::Pilot).collect();
        let mut order: Vec<usize> = (0..self.pairs.len()).collect();
        for round in 0..self.blocks {
            random.shuffle(&mut order);
            units.extend(order.iter().map(|&at| Unit::Block(at, round)));
        }
        units.extend((0..self.identical.len()).map(Unit::Figures));
        units
    }
}
