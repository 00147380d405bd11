//! A comparison from start to end.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use machine::Fingerprint;
use record::stats;
use regex_lite::Regex;

use super::field::{Field, Pairing, bare_row, null_of};
use super::pilot::{Pilot, pilot, trouble_row};
use super::place::{Context, Place};
use super::plan::Plan;
use super::trial::{Judged, Means, Trial, trial};
use crate::bench::{Catalog, Listed, Settings, Yard};
use crate::build::{self, Built, Wanted, identical};
use crate::exit::usage;
use crate::instructions;
use crate::judge::{Margins, Verdict};
use crate::measure::{Contest, Links, Random, Sample, Sampler, Side};
use crate::policy::Policy;
use crate::repo::Snapshot;
use crate::report::{Entry, Fault, Figures, Method, RENDER, Revision, Row, SCHEMA, changes, text};
use crate::slot::{Slot, Slots};

/// What is compared, and with what effort.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the result is for.
    pub purpose: Purpose,
    /// What to build.
    pub wanted: Wanted,
    /// Full ids that count.
    pub filter: Option<Regex>,
    /// Highest tier that counts.
    pub tier: u8,
    /// Measurement time. Seconds.
    pub budget_s: f64,
    /// Limit of one process.
    pub timeout: Duration,
    /// Print the plan and stop.
    pub dry_run: bool,
    /// Seed of the schedule; drawn if absent.
    pub seed: Option<u64>,
    /// Time each side in a single layout even where it could be linked again.
    pub one_link: bool,
    /// Count instructions of every timed benchmark, not only of those that moved.
    pub all_instructions: bool,
}

/// Both revisions.
#[derive(Clone, Debug)]
pub struct Revisions {
    /// Before; `None` measures the head alone.
    pub base: Option<Snapshot>,
    /// After.
    pub head: Snapshot,
}

/// What the result is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A person looks: identical code is still given absolute figures.
    Compare,
    /// A pull request waits: identical code takes no time, and controls run beside.
    Gate,
}

/// How many benchmarks a gate runs against themselves.
const NULLS: usize = 3;
/// Processes per benchmark where only absolute figures are wanted.
const ABSOLUTE_PROCESSES: usize = 6;

/// One side in its slot.
struct Prepared {
    slot: Slot,
    built: Built,
    catalog: Catalog,
}

/// Runs a comparison; `None` after a dry run.
pub fn run(
    context: &Context,
    place: &Place,
    revisions: &Revisions,
    options: &Options,
    policy: &Policy,
) -> Result<Option<Entry>> {
    let slots = Slots::open(&context.cache()?, &place.git)?;
    let yard = Yard::new(slots.root(), context.interrupt.clone())?;
    let sampler = Sampler { yard: &yard, timeout: options.timeout, settings: Settings::STANDARD };
    let links = Links::new(&place.environment);
    let mut entry = Draft::new(revisions, options);
    let (base, head) = prepare(context, place, revisions, options, &slots, &yard)?;
    entry.rustc(base.as_ref().map(|side| side.built.rustc.clone()), &head.built.rustc);
    let wanted = |listed: &Listed| {
        options.filter.as_ref().map_or(listed.tier <= options.tier, |filter| filter.is_match(&listed.key.id()))
    };
    let field = match (&base, &revisions.base) {
        (Some(base), Some(base_revision)) => {
            let changed = place.git.changed_paths(&base_revision.commit, &revisions.head.commit)?;
            let directories =
                [base, &head].map(|side| side.slot.tree().parent().map(Path::to_owned).unwrap_or_default());
            let pairing = Pairing {
                base: (&base.built, &base.catalog),
                head: (&head.built, &head.catalog),
                slots: [&directories[0], &directories[1]],
                changed: &changed,
                own: &place.own_paths(),
                measure_identical: false,
            };
            pairing.meet(&wanted)?
        }
        _ => alone(&head, &wanted),
    };
    let first = revisions.base.is_none();
    if field.contests.is_empty() && field.identical.is_empty() && field.rows.is_empty() {
        let reasons = if field.notes.is_empty() {
            "the selected packages have no bench targets".to_owned()
        } else {
            field.notes.join("\n")
        };
        return Err(usage(format!("no benchmark to measure:\n{reasons}")));
    }
    entry.notes.extend(field.notes);
    entry.rows.extend(field.rows);
    if let Some(over) = overlapping(options, &field.contests) {
        entry.notes.push(over);
    }
    let (pilots, rows) =
        if first { (Vec::new(), Vec::new()) } else { pilot(&sampler, field.contests, &context.console)? };
    entry.rows.extend(rows);
    let nulls = if options.purpose == Purpose::Gate { NULLS.min(pilots.len()) } else { 0 };
    let plan = Plan::new(&pilots, nulls, options.budget_s);
    announce(context, &plan, &field.identical, first, options.purpose);
    if options.dry_run {
        return Ok(None);
    }
    let started = Instant::now();
    for &at in &plan.dropped {
        let contest = &pilots[at].contest;
        entry.notes.push(format!(
            "dropped for the budget: {} (tier {}, {:.1} s per process)",
            contest.key, contest.tier, pilots[at].process_s
        ));
    }
    let relinked = !options.one_link && can_relink(&links, &pilots, &plan);
    if !relinked && !plan.kept.is_empty() {
        entry.notes.push(
            "each side is one link (the linker cannot lay out again, or --one-link): the margin is 5 %".to_owned(),
        );
    }
    let means = Means { sampler: &sampler, links: &links, relinked, seed: entry.seed, console: &context.console };
    if !plan.kept.is_empty() {
        let margins = crate::nulls::margins(place)?;
        measure(&means, &pilots, &plan, nulls, &margins, policy, options, &mut entry)?;
    }
    if first || options.purpose == Purpose::Compare {
        absolute(&means, &field.identical, first, &mut entry)?;
    } else {
        entry.rows.extend(field.identical.iter().map(identical_row));
    }
    entry.measured_s =
        if plan.kept.is_empty() && (options.purpose == Purpose::Gate) { 0.0 } else { started.elapsed().as_secs_f64() };
    Ok(Some(entry.finish(revisions, policy)))
}

/// Checks out, builds and lists one or both sides.
fn prepare(
    context: &Context,
    place: &Place,
    revisions: &Revisions,
    options: &Options,
    slots: &Slots,
    yard: &Yard,
) -> Result<(Option<Prepared>, Prepared)> {
    let surroundings = place.surroundings(context);
    let lock = place.root.join("Cargo.lock");
    let build_side = |side: &str, slot: Slot, lock: Option<&Path>| -> Result<Prepared> {
        context.interrupt.check()?;
        let built = build::build(side, &slot, &place.relative, &options.wanted, lock, &surroundings)?;
        let catalog = Catalog::list(side, &built, yard, options.timeout, &context.console)?;
        Ok(Prepared { slot, built, catalog })
    };
    let own_lock = lock.exists().then_some(lock.as_path());
    match &revisions.base {
        None => Ok((None, build_side("head", slots.check_out_one(&place.git, &revisions.head)?, own_lock)?)),
        Some(base) => {
            let (base_slot, head_slot) = slots.check_out(&place.git, base, &revisions.head)?;
            let head = build_side("head", head_slot, own_lock)?;
            // Without a lock file of its own the base takes the head's resolution: the dependencies are not the question.
            let resolved = head.built.workspace.join("Cargo.lock");
            let base = build_side("base", base_slot, Some(&resolved))?;
            Ok((Some(base), head))
        }
    }
}

/// The field of a head without a base.
fn alone(head: &Prepared, wanted: &dyn Fn(&Listed) -> bool) -> Field {
    let contest = |listed: &Listed| {
        let entrant = crate::measure::Entrant {
            target: head.built.targets[listed.target].clone(),
            version: head.catalog.versions.get(&listed.target).copied(),
            seed_offset: 0,
            inject: None,
        };
        Contest {
            key: listed.key.clone(),
            tier: listed.tier,
            source: listed.source.clone(),
            base: entrant.clone(),
            head: entrant,
        }
    };
    let notes =
        head.catalog.problems.iter().map(|p| format!("{}/{} was not measured: {}", p.package, p.target, p.reason));
    Field {
        identical: head.catalog.benches.iter().filter(|listed| wanted(listed)).map(contest).collect(),
        notes: notes.collect(),
        ..Field::default()
    }
}

/// Ids that contain another one's as a whole part are legal; ids that are equal in two targets deserve a word.
fn overlapping(options: &Options, contests: &[Contest]) -> Option<String> {
    let mut ids: Vec<String> = contests.iter().map(|contest| contest.key.to_string()).collect();
    ids.sort();
    let twice = ids.windows(2).find(|pair| pair[0] == pair[1])?;
    let hint = if options.wanted.benches.is_empty() { " (--bench tells them apart)" } else { "" };
    Some(format!("the id {} stands in more than one target{hint}", twice[0]))
}

fn announce(context: &Context, plan: &Plan, identical: &[Contest], first: bool, purpose: Purpose) {
    if !plan.kept.is_empty() {
        context.console.note(&plan.to_string());
    }
    if first {
        let s = identical.len() as f64 * ABSOLUTE_PROCESSES as f64 * 2.0 * 0.35;
        context.console.note(&format!(
            "plan: first entry under this title: {} benchmarks, {} processes each, about {}",
            identical.len(),
            2 * ABSOLUTE_PROCESSES,
            text::minutes(s)
        ));
    } else if !identical.is_empty() {
        let then = if purpose == Purpose::Compare {
            format!("; {ABSOLUTE_PROCESSES} processes each for their figures")
        } else {
            String::new()
        };
        context.console.note(&format!(
            "plan: {} benchmarks are the same machine code on both sides: proven the same{then}",
            identical.len()
        ));
    }
}

/// Whether every program of the plan takes another layout on both sides.
fn can_relink(links: &Links, pilots: &[Pilot], plan: &Plan) -> bool {
    plan.kept.iter().all(|&at| links.available(&pilots[at].contest.base) && links.available(&pilots[at].contest.head))
}

/// Runs the trial and its controls, and turns findings into rows.
#[expect(clippy::too_many_arguments, reason = "one call site; a struct of these would only rename them")]
fn measure(
    means: &Means<'_>,
    pilots: &[Pilot],
    plan: &Plan,
    nulls: usize,
    margins: &Margins,
    policy: &Policy,
    options: &Options,
    entry: &mut Draft,
) -> Result<()> {
    let kept: Vec<&Pilot> = plan.kept.iter().map(|&at| &pilots[at]).collect();
    let mut shuffled = kept.clone();
    Random::new(means.seed ^ 0x6e75_6c6c).shuffle(&mut shuffled);
    let controls: Vec<Contest> = shuffled.iter().take(nulls).map(|pilot| null_of(&pilot.contest)).collect();
    let real = kept.iter().map(|pilot| &pilot.contest);
    let contests: Vec<_> =
        real.chain(&controls).map(|contest| (contest, margins.of(&contest.key.to_string(), means.relinked))).collect();
    let Trial { judged, method, global } = trial(means, &contests, plan)?;
    entry.notes.extend(global);
    for ((contest, _), control) in contests[kept.len()..].iter().zip(&judged[kept.len()..]) {
        entry.control(contest, control);
    }
    let bound = method.blocks * contests.len();
    if method.disturbed * 4 > bound.max(1) {
        let text = format!(
            "{} of {bound} blocks ran on a disturbed machine (stolen time or forced switches)",
            method.disturbed
        );
        // Turns and exact tests bear it, at the price of wide intervals; only a gate must not decide on it.
        match options.purpose {
            Purpose::Gate => entry.contaminated = Some(text),
            Purpose::Compare => entry.notes.push(text),
        }
    }
    for (pilot, judged) in kept.iter().zip(&judged) {
        let mut row = row(&pilot.contest, judged, policy);
        let moved = judged.screen.is_some() || matches!(row.verdict, Verdict::Slower | Verdict::Faster);
        if (moved || options.all_instructions) && judged.trouble().is_none() {
            instructions::add(means.sampler, &pilot.contest, policy, &mut row, &mut entry.notes)?;
        }
        entry.rows.push(row);
    }
    entry.method = Some(method);
    Ok(())
}

/// The row of a judged contest.
fn row(contest: &Contest, judged: &Judged, policy: &Policy) -> Row {
    if let Some((side, trouble)) = judged.trouble() {
        return trouble_row(contest, *side, trouble);
    }
    let mut row = bare_row(contest, Verdict::Inconclusive, "");
    row.set_finding(&judged.finding, judged.margin, judged.family);
    row.blocks = judged.series.effects();
    for (side, fault) in [(Side::Base, Fault::Base), (Side::Head, Fault::Head)] {
        match Figures::of(&judged.samples(side)) {
            Some(Ok(figures)) if side == Side::Base => row.base = Some(figures),
            Some(Ok(figures)) => row.head = Some(figures),
            Some(Err(reason)) => {
                let trouble = crate::measure::Trouble { kind: crate::measure::TroubleKind::Invalid, reason };
                return Row { fault: Some(fault), ..trouble_row(contest, side, &trouble) };
            }
            None => {}
        }
    }
    if let (Some(base), Some(head)) = (&row.base, &row.head) {
        let size = |side| identical::loaded_bytes(&contest.entrant(side).target.program.executable);
        row.metrics = changes(&policy.rules(), base, head, (size(Side::Base), size(Side::Head)));
    }
    row
}

fn identical_row(contest: &Contest) -> Row {
    bare_row(contest, Verdict::Same, "identical machine code, and no run-time input changed")
}

/// Absolute figures of benchmarks that have nobody to be compared with: processes in random order, round by round.
fn absolute(means: &Means<'_>, contests: &[Contest], first: bool, entry: &mut Draft) -> Result<()> {
    if contests.is_empty() {
        return Ok(());
    }
    let processes = if first { 2 * ABSOLUTE_PROCESSES } else { ABSOLUTE_PROCESSES };
    let progress = means.console.bar("measuring", (processes * contests.len()) as u64);
    let mut random = Random::new(means.seed);
    let mut results: Vec<Result<Vec<Sample>, crate::measure::Trouble>> =
        contests.iter().map(|_| Ok(Vec::new())).collect();
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
            let invalid = |reason| crate::measure::Trouble { kind: crate::measure::TroubleKind::Invalid, reason };
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

/// An entry in the making.
struct Draft {
    seed: u64,
    base_rustc: String,
    head_rustc: String,
    rows: Vec<Row>,
    notes: Vec<String>,
    method: Option<Method>,
    contaminated: Option<String>,
    measured_s: f64,
}

impl Draft {
    fn new(revisions: &Revisions, options: &Options) -> Self {
        let clock =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        let left_out = revisions.head.left_out.iter();
        Self {
            seed: options.seed.unwrap_or_else(|| Random::new(clock).next() >> 16),
            base_rustc: String::new(),
            head_rustc: String::new(),
            rows: Vec::new(),
            notes: left_out
                .map(|path| format!("left out of the snapshot, being untracked and over 10 MiB: {path}"))
                .collect(),
            method: None,
            contaminated: None,
            measured_s: 0.0,
        }
    }

    fn rustc(&mut self, base: Option<String>, head: &str) {
        self.base_rustc = base.unwrap_or_default();
        head.clone_into(&mut self.head_rustc);
        if !self.base_rustc.is_empty() && self.base_rustc != self.head_rustc {
            self.notes.push(format!("the toolchains differ: {} before, {} after", self.base_rustc, self.head_rustc));
        }
    }

    /// Takes in a control: a benchmark against itself, about which any verdict is a false alarm.
    fn control(&mut self, contest: &Contest, judged: &Judged) {
        if matches!(judged.finding.verdict, Verdict::Slower | Verdict::Faster) {
            let effect = judged.finding.estimate.map_or(0.0, |estimate| 100.0 * estimate.effect.exp_m1());
            self.contaminated =
                Some(format!("the null control fired: {} against itself reads {effect:+.1} %", contest.key));
        }
        let effect = stats::hodges_lehmann(&judged.series.effects()).map_or(f64::NAN, |d| 100.0 * d.exp_m1());
        self.notes.push(format!("null control {}: {effect:+.1} %, {}", contest.key, judged.finding.verdict));
    }

    fn finish(mut self, revisions: &Revisions, policy: &Policy) -> Entry {
        let now = jiff::Timestamp::now();
        let shown = now.strftime("%Y-%m-%d %H:%M:%S").to_string();
        let order = |row: &Row| (row.tier, row.package.clone(), row.target.clone());
        self.rows.sort_by_key(order);
        self.notes.extend(policy.apply(&mut self.rows, &shown[..10]));
        let fingerprint = Fingerprint::collect();
        let revision = |snapshot: &Snapshot, rustc: &str| Revision {
            commit: snapshot.commit.clone(),
            label: snapshot.label.clone(),
            dirty: snapshot.dirty,
            rustc: rustc.to_owned(),
        };
        let unique = Random::new(now.as_nanosecond() as u64 ^ u64::from(std::process::id())).next() & 0xff_ffff;
        Entry {
            schema: SCHEMA,
            render: RENDER,
            id: format!("{}-{unique:06x}", now.strftime("%Y%m%dT%H%M%S")),
            title: String::new(),
            change: String::new(),
            at: shown,
            machine_class: fingerprint.class(),
            fingerprint,
            base: revisions.base.as_ref().map(|base| revision(base, &self.base_rustc)),
            head: revision(&revisions.head, &self.head_rustc),
            method: self.method,
            rows: self.rows,
            notes: self.notes,
            contaminated: self.contaminated,
            measured_s: self.measured_s,
            command: String::new(),
        }
    }
}
