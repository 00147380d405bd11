//! A comparison from start to end.

use std::time::Instant;

use anyhow::Result;

use super::absolute::{PROCESSES, absolute};
use super::budget::Budget;
use super::catalog::Listed;
use super::dropped::{not_reached, too_long};
use super::entry_builder::EntryBuilder;
use super::known::{Known, State};
use super::options::{Options, Purpose, Revisions};
use super::paired::{PairedBenches, bare_row, draw_layouts, fault, identical_row, null_of, trouble_row};
use super::pilot::{Pilot, pilot};
use super::plan::Plan;
use super::preflight::wait_for_quiet;
use super::prepare::{Prepared, pair_sides, prepare};
use super::project::{Invocation, Project};
use super::trial::{Candidate, Judged, MeasureContext, Trial, trial};
use super::unmatched::{KnownIds, nothing};
use crate::bench::{ScratchDir, Settings};
use crate::build::identical;
use crate::command::is_interrupted;
use crate::console::Console;
use crate::disk::DiskFull;
use crate::exit::{Exit, usage};
use crate::instructions;
use crate::judge::{Margins, Verdict};
use crate::measure::{BenchPair, Links, Random, Sampler, Side, Trouble, TroubleKind, Variant};
use crate::policy::Policy;
use crate::repo::Snapshot;
use crate::report::{Entry, Figures, Method, Row, changes, count, text};
use crate::slot::Slots;

/// How many benchmarks a gate runs against themselves.
const NULLS: usize = 3;

/// How a comparison ended.
#[derive(Debug)]
pub enum Outcome {
    /// Measured.
    Measured(Box<Entry>),
    /// A dry run: the plan was printed. The exit code follows from what is known before measuring.
    Planned(Exit),
}

/// Runs a comparison.
pub fn run(
    invocation: &Invocation,
    project: &Project,
    revisions: &Revisions,
    options: &Options,
    policy: &Policy,
) -> Result<Outcome> {
    let slots = Slots::open(&invocation.cache()?, &project.git)?;
    let scratch = ScratchDir::new(slots.root(), invocation.interrupt.clone())?;
    let links = Links::new(&project.environment);
    let mut entry = EntryBuilder::new(revisions, options);
    entry.notes.extend(project.notes.iter().cloned());
    let mut known = Known::read(slots.root());
    let paired =
        find_pairs(invocation, project, revisions, options, policy, (&slots, &scratch, &mut known), &mut entry)?;
    let first = revisions.base.is_none();
    let mut budget = Budget::new(options.budget_s);
    let (paired, identical): (Vec<_>, Vec<_>) =
        paired.into_iter().map(|paired| (paired.pairs, paired.identical)).unzip();
    let mut dropped = Vec::new();
    let (pilots, columns) = if first {
        Default::default()
    } else {
        let sampler = sampler(&scratch, options, Some(budget.pilots_until()));
        pilot_columns(&sampler, paired, (options.accept_quality, &invocation.console), &mut entry, &mut dropped)?
    };
    known.remember_pilots(&pilots);
    // What is not kept is only not known next time.
    let _ = known.write(slots.root());
    let nulls = if options.purpose == Purpose::Gate { NULLS.min(pilots.len()) } else { 0 };
    let relinked = !options.one_link && can_relink(&links, &pilots, &invocation.console)?;
    let mut plan = Plan::new(&pilots, nulls, if relinked { links.mean_s() } else { 0.0 }, budget.left_s());
    plan.blocks = plan.blocks.max(options.least_blocks);
    announce(invocation, &plan, &identical, first, options.purpose);
    dropped.extend(plan.dropped.iter().map(|&at| too_long(&pilots[at])));
    if options.dry_run {
        let planned = (&plan, pilots.as_slice(), columns.as_slice());
        return show_plan(invocation, options, policy, revisions, planned, &identical, &dropped, entry);
    }
    let proven = options.purpose == Purpose::Compare && identical.iter().any(|pairs| !pairs.is_empty());
    if plan.kept.is_empty() && !dropped.is_empty() && !proven && entry.rows().all(is_silent) {
        let all = dropped.join("\n  ");
        return Err(usage(format!("no benchmark fits the budget of {} s:\n  {all}", options.budget_s)));
    }
    if !plan.kept.is_empty() && !relinked {
        entry.notes.push(
            "each side was linked once (--one-link, or a linker that cannot draw layouts): the margin is at least 5 %"
                .to_owned(),
        );
    }
    entry.notes.extend(dropped);
    if !plan.kept.is_empty() {
        entry.notes.extend(budget.pause(|| wait_for_quiet(invocation, options.wait))?);
    }
    let started = Instant::now();
    let sampler = sampler(&scratch, options, Some(budget.until()));
    let context = MeasureContext::new(&sampler, &links, relinked, entry.seed, &invocation.console);
    if !plan.kept.is_empty() {
        let margins = crate::nulls::margins(&crate::nulls::read(&project.root)?);
        let bases: Vec<&Snapshot> = revisions.bases().collect();
        let measured = (pilots.as_slice(), columns.as_slice(), identical.as_slice());
        measure(&context, measured, &bases, &plan, nulls, &margins, policy, options, &mut entry)?;
    }
    add_identical(&context, identical, first, options, &mut entry)?;
    entry.measured_s =
        if plan.kept.is_empty() && (options.purpose == Purpose::Gate) { 0.0 } else { started.elapsed().as_secs_f64() };
    invocation.interrupt.check()?;
    Ok(Outcome::Measured(Box::new(entry.finish(revisions, policy))))
}

/// Adds the rows of benchmarks that are the same code on both sides. A person gets figures of the head for them: once,
/// beside the first base.
fn add_identical(
    context: &MeasureContext<'_>,
    identical: Vec<Vec<BenchPair>>,
    first: bool,
    options: &Options,
    entry: &mut EntryBuilder,
) -> Result<()> {
    let mut identical = identical.into_iter().enumerate();
    if first || options.purpose == Purpose::Compare {
        let (_, pairs) = identical.next().unwrap_or_default();
        absolute(context, &pairs, first, options.budget_s, entry)?;
    }
    identical.for_each(|(column, pairs)| entry.columns[column].extend(pairs.iter().map(identical_row)));
    Ok(())
}

/// Builds all sides and pairs the head's benchmarks with those of each base. What is known without measuring goes into
/// the entry, and what the build told into `known`.
pub(super) fn find_pairs(
    invocation: &Invocation,
    project: &Project,
    revisions: &Revisions,
    options: &Options,
    policy: &Policy,
    (slots, scratch, known): (&Slots, &ScratchDir, &mut Known),
    entry: &mut EntryBuilder,
) -> Result<Vec<PairedBenches>> {
    let selection = KnownIds::of(project, revisions, options, known)?;
    selection.check_head(options, policy, None)?;
    let mut remember = |side: &Prepared, state: Option<&State>| {
        // Cells are listed by another program, whose list is not kept.
        if let Some(state) = state.filter(|_| options.wanted.scenario.is_none()) {
            known.remember(state.clone(), &side.built, &side.catalog);
            // What is not kept is only not known next time.
            let _ = known.write(slots.root());
        }
    };
    let sides = prepare(invocation, project, revisions, options, (slots, scratch), &mut |head| {
        remember(head, selection.states().last());
        selection.check_head(options, policy, Some(&head.catalog))
    })?;
    sides.bases.iter().zip(selection.states()).for_each(|(base, state)| remember(base, Some(state)));
    for note in sides.bases.iter().chain([&sides.head]).flat_map(|side| &side.built.notes) {
        if !entry.notes.contains(note) {
            entry.notes.push(note.clone());
        }
    }
    entry.rustc(sides.bases.iter().map(|side| side.built.rustc.clone()).collect(), &sides.head.built.rustc);
    let wanted = |listed: &Listed| options.takes(&listed.key.id(), listed.tier);
    let mut paired = pair_sides(project, revisions, &sides, &wanted)?;
    let today = entry.today();
    let mut random = Random::new(entry.seed);
    for paired in &mut paired {
        paired.exclude(policy, &today);
    }
    draw_layouts(paired.iter_mut().map(|paired| paired.pairs.as_mut_slice()), &mut random);
    if paired.iter().all(PairedBenches::is_empty) {
        let rows: Vec<Row> = paired.into_iter().flat_map(|paired| paired.rows).collect();
        return Err(nothing(options, &sides.head.catalog, &rows));
    }
    for (paired, rows) in paired.iter_mut().zip(&mut entry.columns) {
        entry.notes.append(&mut paired.notes);
        rows.append(&mut paired.rows);
    }
    entry.notes.extend(paired.iter().filter_map(|paired| overlapping(options, &paired.pairs)).take(1));
    Ok(paired)
}

/// Pilots of all pairs, and for each the base that it belongs to. Rows of what failed go into the entry.
fn pilot_columns(
    sampler: &Sampler<'_>,
    paired: Vec<Vec<BenchPair>>,
    (accept_quality, console): (bool, &Console),
    entry: &mut EntryBuilder,
    dropped: &mut Vec<String>,
) -> Result<(Vec<Pilot>, Vec<usize>)> {
    let (mut pilots, mut columns) = (Vec::new(), Vec::new());
    for (column, pairs) in paired.into_iter().enumerate() {
        let piloted = pilot(sampler, pairs, accept_quality, console)?;
        entry.columns[column].extend(piloted.failed);
        dropped.extend(piloted.not_reached.iter().map(not_reached));
        columns.extend(piloted.passed.iter().map(|_| column));
        pilots.extend(piloted.passed);
    }
    Ok((pilots, columns))
}

fn sampler<'a>(scratch: &'a ScratchDir, options: &Options, until: Option<Instant>) -> Sampler<'a> {
    Sampler { scratch, timeout: options.timeout, settings: Settings::STANDARD, until }
}

/// Whether a row says nothing about a benchmark's speed or output.
fn is_silent(row: &Row) -> bool {
    matches!(row.verdict, Verdict::Skipped | Verdict::Inconclusive)
}

/// Prints the plan of a dry run: as JSON for programs, or its problems and the settings in force for people.
#[expect(clippy::too_many_arguments, reason = "one call site; a struct of these would only rename them")]
fn show_plan(
    invocation: &Invocation,
    options: &Options,
    policy: &Policy,
    revisions: &Revisions,
    (plan, pilots, columns): (&Plan, &[Pilot], &[usize]),
    identical: &[Vec<BenchPair>],
    dropped: &[String],
    mut entry: EntryBuilder,
) -> Result<Outcome> {
    let (problems, same): (Vec<Row>, _) = (entry.rows().cloned().collect(), identical.concat());
    identical.iter().zip(&mut entry.columns).for_each(|(pairs, rows)| rows.extend(pairs.iter().map(identical_row)));
    for &at in &plan.kept {
        entry.columns[columns[at]].push(bare_row(&pilots[at].pair, Verdict::Inconclusive, ""));
    }
    let entry = entry.finish(revisions, policy);
    let settings = policy.settings.remarks(&|id| entry.rows.iter().any(|row| row.id == id));
    let print = |text: &str| invocation.console.print(text);
    if options.json {
        print(&serde_json::to_string_pretty(&plan.json(pilots, &same, &problems, dropped, &settings))?)?;
    } else {
        if plan.kept.is_empty() && same.is_empty() {
            print("plan: nothing can be measured")?;
        }
        problems.iter().try_for_each(|row| print(&format!("{}: {}: {}", row.verdict, row.id, row.why)))?;
        dropped.iter().chain(&settings).try_for_each(|text| print(text))?;
    }
    Ok(Outcome::Planned(entry.exit()))
}

/// Notes an id that is equal in two targets. An id that contains another one as a whole part is legal.
fn overlapping(options: &Options, pairs: &[BenchPair]) -> Option<String> {
    let mut ids: Vec<String> = pairs.iter().map(|pair| pair.key.to_string()).collect();
    ids.sort();
    let twice = ids.windows(2).find(|pair| pair[0] == pair[1])?;
    let hint = if options.wanted.benches.is_empty() { " (--bench tells them apart)" } else { "" };
    Some(format!("the id {} stands in more than one target{hint}", twice[0]))
}

fn announce(invocation: &Invocation, plan: &Plan, identical: &[Vec<BenchPair>], first: bool, purpose: Purpose) {
    if !plan.kept.is_empty() {
        let bases = if identical.len() > 1 {
            format!("; a benchmark counts once for each of the {} bases", identical.len())
        } else {
            String::new()
        };
        invocation.console.note(&format!("{plan}{bases}"));
    }
    let same: usize = identical.iter().map(Vec::len).sum();
    if first {
        let s = same as f64 * PROCESSES as f64 * 2.0 * 0.35;
        invocation.console.note(&format!(
            "plan: first entry under this title: {}, {} processes each, about {}",
            count(same, "benchmark"),
            2 * PROCESSES,
            text::minutes(s)
        ));
    } else if same > 0 {
        let then = if purpose == Purpose::Compare {
            format!("; {PROCESSES} processes each for their figures")
        } else {
            String::new()
        };
        let (noun, verb) = (count(same, "benchmark"), if same == 1 { "is" } else { "are" });
        invocation
            .console
            .note(&format!("plan: {noun} {verb} the same machine code on both sides: proven the same{then}"));
    }
}

/// Whether every program can be linked in another layout on both sides. Makes the first such link of each, which the
/// first stage needs in any case. An error only if it is not the linker that refuses.
fn can_relink(links: &Links, pilots: &[Pilot], console: &Console) -> Result<bool> {
    let variants: Vec<&Variant> = pilots.iter().flat_map(|pilot| [&pilot.pair.base, &pilot.pair.head]).collect();
    if variants.iter().any(|variant| variant.target.link.is_none()) {
        return Ok(false);
    }
    match links.make(&variants, &[1], console) {
        Err(error) if error.is::<DiskFull>() || is_interrupted(&error) => Err(error),
        made => Ok(made.is_ok()),
    }
}

/// Runs the trial and its controls, and turns findings into rows.
#[expect(clippy::too_many_arguments, reason = "one call site; a struct of these would only rename them")]
fn measure(
    context: &MeasureContext<'_>,
    (pilots, columns, identical): (&[Pilot], &[usize], &[Vec<BenchPair>]),
    bases: &[&Snapshot],
    plan: &Plan,
    nulls: usize,
    margins: &Margins,
    policy: &Policy,
    options: &Options,
    entry: &mut EntryBuilder,
) -> Result<()> {
    let kept: Vec<&Pilot> = plan.kept.iter().map(|&at| &pilots[at]).collect();
    let kept_columns: Vec<usize> = plan.kept.iter().map(|&at| columns[at]).collect();
    // A margin is set for the id that the report shows; noise was recorded under the benchmark's own.
    let reported =
        entry.reported_ids(kept.iter().map(|pilot| &pilot.pair).zip(kept_columns.iter().copied()), identical);
    let margin =
        |at: usize| margins.of(&kept[at].pair.key.to_string(), context.relinked, policy.settings.margin(&reported[at]));
    let mut shuffled: Vec<usize> = (0..kept.len()).collect();
    let mut random = Random::new(context.seed ^ 0x6e75_6c6c);
    random.shuffle(&mut shuffled);
    shuffled.truncate(nulls);
    let chosen = shuffled.iter().enumerate();
    let controls: Vec<BenchPair> = chosen.map(|(number, &at)| null_of(&kept[at].pair, number, &mut random)).collect();
    let real = kept.iter().zip(&kept_columns).enumerate();
    let real = real.map(|(at, (pilot, &column))| Candidate { pair: &pilot.pair, margin: margin(at), column });
    // Only a comparison with one base has controls.
    let controls = controls.iter().zip(&shuffled).map(|(pair, &at)| Candidate { pair, margin: margin(at), column: 0 });
    let pairs: Vec<Candidate<'_>> = real.chain(controls).collect();
    let Trial { judged, method, global, counted, missing } = trial(context, &pairs, plan)?;
    for (column, shift) in global {
        let against = bases.get(column).filter(|_| bases.len() > 1);
        entry.notes.push(against.map_or_else(|| shift.clone(), |base| format!("against {}: {shift}", base.name())));
    }
    for (Candidate { pair, .. }, control) in pairs[kept.len()..].iter().zip(&judged[kept.len()..]) {
        entry.control(pair, control);
    }
    told(entry, options.purpose, &method, (counted, missing));
    let mut uncounted = instructions::Uncounted::default();
    for ((pilot, &column), judged) in kept.iter().zip(&kept_columns).zip(&judged) {
        let mut row = row(&pilot.pair, judged, policy);
        // If the clock does not decide, instructions are evidence: they are shown beside the verdict, which depends on
        // time alone.
        let wanted = matches!(row.verdict, Verdict::Slower | Verdict::Inconclusive) || options.all_instructions;
        if wanted && judged.trouble().is_none() && options.purpose != Purpose::Bisect {
            instructions::add(context.sampler, &pilot.pair, policy, &mut row, &mut uncounted)?;
        }
        entry.columns[column].push(row);
    }
    entry.notes.extend(uncounted.notes());
    entry.method = Some(method);
    Ok(())
}

/// Says how many blocks are missing, and whether too many ran on a disturbed machine.
pub(super) fn told(entry: &mut EntryBuilder, purpose: Purpose, method: &Method, (counted, missing): (usize, usize)) {
    if missing > 0 {
        entry.notes.push(format!(
            "{missing} of {} planned blocks are missing: the budget ended, or processes were disturbed so much that \
             their batches were too short to time",
            counted + missing
        ));
    }
    if method.disturbed * 4 > counted {
        entry.disturbed(purpose, method.disturbed, counted);
    }
}

/// The row of a judged pair.
pub(super) fn row(pair: &BenchPair, judged: &Judged, policy: &Policy) -> Row {
    if let Some((side, trouble)) = judged.trouble() {
        return trouble_row(pair, fault(*side), trouble);
    }
    let mut row = bare_row(pair, Verdict::Inconclusive, "");
    row.set_finding(&judged.finding, judged.margin, judged.family);
    row.blocks = judged.series.effects();
    for side in [Side::Base, Side::Head] {
        match Figures::of(&judged.samples(side)) {
            Some(Ok(figures)) if side == Side::Base => row.base = Some(figures),
            Some(Ok(figures)) => row.head = Some(figures),
            Some(Err(reason)) => {
                let trouble = Trouble { kind: TroubleKind::Invalid, reason };
                return trouble_row(pair, fault(side), &trouble);
            }
            None => {}
        }
    }
    if let (Some(base), Some(head)) = (&row.base, &row.head) {
        let size = |side| identical::loaded_bytes(&pair.variant(side).target.program.executable);
        row.metrics = changes(&policy.rules(), base, head, (size(Side::Base), size(Side::Head)));
    }
    row
}
