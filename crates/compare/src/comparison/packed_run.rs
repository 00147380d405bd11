//! A packed comparison on the machine that measures it: pilots, blocks and verdicts, unit by unit.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use machine::ceiling::Canary;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::absolute::PROCESSES;
use super::entry_builder::EntryBuilder;
use super::options::{Options, Purpose, Revisions};
use super::packed::{PackedComparison, PackedPair, PackedProgram, PackedRevision, Unit};
use super::paired::{identical_row, trouble_row};
use super::pilot::pilot;
use super::run::{row, told};
use super::trial::{CANARY_PART, Candidate, LIMITS, MeasureContext, concluded};
use crate::bench::{CriterionVersion, Program, Protocol, ScratchDir, Settings};
use crate::build::{Target, Wanted};
use crate::command::Interrupt;
use crate::console::Console;
use crate::judge::Margins;
use crate::measure::{
    BenchPair, Links, Random, Sample, Sampler, Series, Stage, Trouble, TroubleKind, Variant, layouts, run_block,
};
use crate::policy::Policy;
use crate::repo::Snapshot;
use crate::report::{Entry, Fault, Figures, Row};

/// What a unit gave.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Given {
    /// The pilot of a benchmark passed: base, then head.
    Pilot(Box<[Sample; 2]>),
    /// The benchmark cannot be measured.
    Failed(Box<Row>),
    /// A block, or why there is none.
    Block(Series),
    /// Processes of the head.
    Figures(Vec<Sample>),
    /// Why the head gave no figures.
    Trouble(Trouble),
    /// Nothing was measured: the benchmark failed before.
    Nothing,
}

/// A packed comparison on the machine that measures it.
pub struct PackedRun {
    packed: PackedComparison,
    policy: Policy,
    pairs: Vec<BenchPair>,
    identical: Vec<BenchPair>,
    links: Links,
    /// Layouts of the blocks of each pair.
    layouts: Vec<(Vec<u64>, Vec<u64>)>,
    units: Vec<Unit>,
    given: HashMap<usize, Given>,
    canary: Option<Canary>,
    scratch: ScratchDir,
    /// Units are so short that their progress would only be noise.
    silent: Console,
}

impl PackedRun {
    /// Opens the comparison in `folder`. Programs run in `environment`, and files of processes go below `scratch`.
    ///
    /// # Errors
    /// No directory can be made below `scratch`, or the policy in the folder is broken.
    pub fn open(
        folder: &Path,
        packed: &PackedComparison,
        environment: &[(OsString, OsString)],
        (scratch, interrupt): (&Path, Interrupt),
    ) -> Result<Self> {
        let variant = |(number, version): &(usize, Option<CriterionVersion>)| -> Result<Variant> {
            let program = packed.programs.get(*number).context("the manifest names a program that it does not have")?;
            Ok(Variant {
                target: target(folder, program, environment),
                version: *version,
                seed_offset: program.seed_offset,
                inject: None,
            })
        };
        let pair = |pair: &PackedPair| -> Result<BenchPair> {
            Ok(BenchPair {
                key: pair.key.clone(),
                tier: pair.tier,
                source: pair.source.clone(),
                base: variant(&pair.base)?,
                head: variant(&pair.head)?,
                is_control: false,
                single_threaded: false,
                process_s: 0.0,
            })
        };
        let pairs = packed.pairs.iter().map(pair).collect::<Result<Vec<_>>>()?;
        let identical = packed.identical.iter().map(pair).collect::<Result<Vec<_>>>()?;
        let variants: Vec<&Variant> = pairs.iter().flat_map(|pair| [&pair.base, &pair.head]).collect();
        let seeds: Vec<u64> = (1..=packed.links as u64).collect();
        let links = if packed.links > 1 { Links::made(&variants, &seeds) } else { Links::new(&[]) };
        let stage = Stage { blocks: packed.blocks, links: packed.links, first_link: 1 };
        let layouts = layouts(pairs.len(), stage, &mut Random::new(packed.seed));
        Ok(Self {
            policy: Policy::read(folder)?,
            units: packed.units(),
            packed: packed.clone(),
            pairs,
            identical,
            links,
            layouts,
            given: HashMap::new(),
            canary: Canary::with_length(CANARY_PART).ok(),
            scratch: ScratchDir::new(scratch, interrupt)?,
            silent: Console::silent(),
        })
    }

    /// As [`PackedComparison::plan`].
    #[must_use]
    pub fn plan(&self) -> Vec<String> {
        self.packed.plan()
    }

    /// Takes back what a unit gave before.
    ///
    /// # Errors
    /// It is of another version.
    pub fn remember(&mut self, place: usize, given: &Value) -> Result<()> {
        let given = serde_json::from_value(given.clone()).context("a record is of another version")?;
        self.given.insert(place, given);
        Ok(())
    }

    /// What a unit gave, in words.
    #[must_use]
    pub fn in_words(&self, place: usize) -> String {
        match self.given.get(&place) {
            Some(Given::Pilot(_)) => "proved on both sides".to_owned(),
            Some(Given::Failed(row)) => format!("{}: {}", row.verdict, row.why.lines().next().unwrap_or_default()),
            Some(Given::Block(Series { blocks, .. })) => match blocks.first() {
                Some(block) => format!("{:+.1} %", 100.0 * block.d.exp_m1()),
                None => "no block".to_owned(),
            },
            Some(Given::Figures(samples)) => format!("{} processes", samples.len()),
            Some(Given::Trouble(trouble)) => trouble.reason.lines().next().unwrap_or_default().to_owned(),
            Some(Given::Nothing) | None => "nothing: its pilot failed".to_owned(),
        }
    }

    /// Measures a unit.
    ///
    /// # Errors
    /// An interrupt, a program that cannot be started, or a full disk.
    pub fn unit(&mut self, place: usize) -> Result<Value> {
        let given = match self.units[place] {
            Unit::Pilot(at) => self.pilot(at)?,
            Unit::Block(at, _) if !matches!(self.given.get(&at), Some(Given::Pilot(_))) => Given::Nothing,
            Unit::Block(at, round) => self.block(place, at, round)?,
            Unit::Figures(at) => self.figures(at)?,
        };
        let value = serde_json::to_value(&given)?;
        self.given.insert(place, given);
        Ok(value)
    }

    fn sampler(&self) -> Sampler<'_> {
        let timeout = Duration::from_secs_f64(self.packed.timeout_s);
        Sampler { scratch: &self.scratch, timeout, settings: Settings::STANDARD, until: None }
    }

    fn pilot(&self, at: usize) -> Result<Given> {
        let mut piloted =
            pilot(&self.sampler(), vec![self.pairs[at].clone()], self.packed.accept_quality, &self.silent)?;
        Ok(match (piloted.passed.pop(), piloted.failed.pop()) {
            (Some(passed), _) => Given::Pilot(Box::new(passed.samples)),
            (None, Some(failed)) => Given::Failed(Box::new(failed)),
            (None, None) => bail!("the pilot said nothing"),
        })
    }

    fn block(&mut self, place: usize, at: usize, round: usize) -> Result<Given> {
        let mut pair = self.pairs[at].clone();
        if let Some(Given::Pilot(samples)) = self.given.get(&at) {
            pair.single_threaded = samples.iter().all(|sample| sample.threads == Some(1));
        }
        let before = self.series(at);
        if before.trouble.is_some() {
            return Ok(Given::Nothing);
        }
        let discarded: usize = (0..self.pairs.len()).map(|at| self.series(at).discarded).sum();
        let mut spare = LIMITS.spare(self.pairs.len() * self.packed.blocks).saturating_sub(discarded);
        let mut canary = self.canary.take();
        let mut random = Random::new(self.packed.seed ^ ((place as u64 + 1) << 16));
        let seeds = (self.layouts[at].0[round], self.layouts[at].1[round]);
        let progress = self.silent.bar("measuring", 4, "processes");
        // The blocks before say what is usual.
        let mut series = before.clone();
        let (sampler, links) = (self.sampler(), &self.links);
        let ran =
            run_block(&sampler, links, &pair, seeds, &mut series, &mut spare, &mut canary, &mut random, &progress);
        self.canary = canary;
        ran?;
        Ok(Given::Block(Series {
            blocks: series.blocks.split_off(before.blocks.len()),
            discarded: series.discarded - before.discarded,
            disturbed: series.disturbed - before.disturbed,
            missing: series.missing - before.missing,
            trouble: series.trouble,
        }))
    }

    fn figures(&self, at: usize) -> Result<Given> {
        let pair = &self.identical[at];
        let mut samples = Vec::new();
        for _ in 0..PROCESSES {
            let program = &pair.head.target.program;
            match self.sampler().sample(program, &pair.key, pair.head.version, None)? {
                Ok(sample) => samples.push(sample),
                Err(trouble) if trouble.kind == TroubleKind::TooFast && !samples.is_empty() => {}
                Err(trouble) => return Ok(Given::Trouble(trouble)),
            }
        }
        Ok(Given::Figures(samples))
    }

    /// The blocks of a pair so far.
    fn series(&self, at: usize) -> Series {
        let mut series = Series::default();
        for (place, unit) in self.units.iter().enumerate() {
            if let (Unit::Block(of, _), Some(Given::Block(block))) = (unit, self.given.get(&place))
                && *of == at
            {
                series.extend(block.clone());
            }
        }
        series
    }

    /// The entry of what is measured so far.
    pub fn entry(&self, measured_s: f64) -> Entry {
        let packed = &self.packed;
        let snapshot = |revision: &PackedRevision| Snapshot {
            commit: revision.commit.clone(),
            label: revision.label.clone(),
            dirty: revision.dirty,
            left_out: Vec::new(),
        };
        let (base, head) = (snapshot(&packed.base), snapshot(&packed.head));
        let revisions = Revisions { base: Some(base), others: Vec::new(), head };
        let options = self.options();
        let mut entry = EntryBuilder::new(&revisions, &options);
        entry.rustc(vec![packed.base.rustc.clone()], &packed.head.rustc);
        // It has the remark on compilers already.
        entry.notes.clone_from(&packed.notes);
        entry.notes.push("built elsewhere and measured from a pack (docs/elsewhere.md)".to_owned());
        entry.columns[0].clone_from(&packed.rows);
        let relinked = packed.links >= packed.blocks;
        let sampler = self.sampler();
        let context = MeasureContext::new(&sampler, &self.links, relinked, packed.seed, &self.silent);
        let (mut measured, mut not_reached) = (Vec::new(), 0);
        for (at, pair) in self.pairs.iter().enumerate() {
            match self.given.get(&at) {
                Some(Given::Pilot(_)) => measured.push((at, pair)),
                Some(Given::Failed(row)) => entry.columns[0].push((**row).clone()),
                _ => not_reached += 1,
            }
        }
        if not_reached > 0 {
            entry.notes.push(format!("{not_reached} benchmarks were not reached before the limit"));
        }
        let identical = [self.identical.clone()];
        let ids = entry.reported_ids(measured.iter().map(|(_, pair)| (*pair, 0)), &identical);
        let margins = Margins::default();
        let candidates = measured.iter().zip(&ids).map(|((_, pair), id)| Candidate {
            pair,
            margin: margins.of(&pair.key.to_string(), relinked, self.policy.settings.margin(id)),
            column: 0,
        });
        let candidates: Vec<Candidate<'_>> = candidates.collect();
        if !candidates.is_empty() {
            let series = measured.iter().map(|(at, _)| {
                let mut series = self.series(*at);
                if series.trouble.is_none() {
                    series.missing = packed.blocks - series.blocks.len();
                }
                series
            });
            let trial = concluded(&context, &candidates, packed.blocks, series.collect());
            told(&mut entry, options.purpose, &trial.method, (trial.counted, trial.missing));
            let rows = measured.iter().zip(&trial.judged).map(|((_, pair), judged)| row(pair, judged, &self.policy));
            entry.columns[0].extend(rows);
            entry.method = Some(trial.method);
        }
        for (at, pair) in self.identical.iter().enumerate() {
            let row = self.identical(at, pair);
            entry.columns[0].push(row);
        }
        entry.measured_s = measured_s;
        let mut entry = entry.finish(&revisions, &self.policy);
        if let Some((title, change)) = &packed.logged_as {
            entry.title.clone_from(title);
            entry.change.clone_from(change);
        }
        let (base, head) = (&packed.base.commit, &packed.head.commit);
        entry.command = format!("cargo xtask pack compare --base {base:.12} --head {head:.12}");
        entry
    }

    /// The row of a benchmark that is the same code on both sides.
    fn identical(&self, at: usize, pair: &BenchPair) -> Row {
        let place = self.units.iter().position(|unit| matches!(unit, Unit::Figures(of) if *of == at));
        match place.and_then(|place| self.given.get(&place)) {
            Some(Given::Figures(samples)) => match Figures::of(&samples.iter().collect::<Vec<_>>()) {
                Some(Ok(figures)) => Row { head: Some(figures), ..identical_row(pair) },
                Some(Err(reason)) => trouble_row(pair, Fault::Head, &Trouble { kind: TroubleKind::Invalid, reason }),
                None => identical_row(pair),
            },
            Some(Given::Trouble(trouble)) => trouble_row(pair, Fault::Head, trouble),
            _ => identical_row(pair),
        }
    }

    fn options(&self) -> Options {
        Options {
            purpose: Purpose::Compare,
            wanted: Wanted::default(),
            filter: None,
            exclude: Vec::new(),
            tier: u8::MAX,
            budget_s: f64::INFINITY,
            timeout: Duration::from_secs_f64(self.packed.timeout_s),
            wait: Duration::ZERO,
            dry_run: false,
            json: false,
            seed: Some(self.packed.seed),
            one_link: false,
            all_instructions: false,
            accept_quality: self.packed.accept_quality,
            least_blocks: 0,
        }
    }
}

fn target(folder: &Path, program: &PackedProgram, environment: &[(OsString, OsString)]) -> Target {
    Target {
        package: program.package.clone(),
        name: program.name.clone(),
        source: program.source.clone(),
        program: Program {
            protocol: Protocol::Criterion,
            executable: folder.join(&program.path),
            processor: None,
            directory: folder.to_owned(),
            environment: environment.to_vec(),
        },
        link: None,
    }
}
