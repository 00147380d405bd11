//! A comparison from start to end.

use std::time::Instant;

use anyhow::Result;

use super::absolute::{PROCESSES, absolute};
use super::budget::Budget;
use super::catalog::Listed;
use super::entry_builder::EntryBuilder;
use super::options::{Options, Purpose, Revisions};
use super::paired::{PairedBenches, bare_row, draw_layouts, fault, identical_row, null_of, trouble_row};
use super::pilot::{Pilot, Piloted, pilot};
use super::plan::Plan;
use super::preflight::wait_for_quiet;
use super::prepare::{pair_sides, prepare};
use super::project::{Invocation, Project};
use super::trial::{Judged, MeasureContext, Trial, trial};
use crate::bench::{CriterionVersion, ScratchDir, Settings};
use crate::build::identical;
use crate::command::is_interrupted;
use crate::console::Console;
use crate::disk::DiskFull;
use crate::exit::{Exit, usage};
use crate::instructions;
use crate::judge::{Margins, Verdict};
use crate::measure::{BenchPair, Links, Random, Sampler, Side, Trouble, TroubleKind, Variant};
use crate::policy::Policy;
use crate::report::{Entry, Figures, Row, changes, text};
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
    let paired = find_pairs(invocation, project, revisions, options, policy, (&slots, &scratch), &mut entry)?;
    let first = revisions.base.is_none();
    let mut budget = Budget::new(options.budget_s);
    let piloted = if first {
        Piloted::default()
    } else {
        pilot(&sampler(&scratch, options, Some(budget.pilots_until())), paired.pairs, &invocation.console)?
    };
    entry.rows.extend(piloted.failed);
    let pilots = piloted.passed;
    let mut dropped: Vec<String> = piloted.not_reached.iter().map(not_reached).collect();
    let nulls = if options.purpose == Purpose::Gate { NULLS.min(pilots.len()) } else { 0 };
    let relinked = !options.one_link && can_relink(&links, &pilots, &invocation.console)?;
    let mut plan = Plan::new(&pilots, nulls, if relinked { links.mean_s() } else { 0.0 }, budget.left_s());
    plan.blocks = plan.blocks.max(options.least_blocks);
    announce(invocation, &plan, &paired.identical, first, options.purpose);
    dropped.extend(plan.dropped.iter().map(|&at| too_long(&pilots[at])));
    if options.dry_run {
        show_plan(invocation, options, &plan, &pilots, &paired.identical, (&entry.rows, &dropped))?;
        entry.rows.extend(paired.identical.iter().map(identical_row));
        entry.rows.extend(plan.kept.iter().map(|&at| bare_row(&pilots[at].pair, Verdict::Inconclusive, "")));
        return Ok(Outcome::Planned(entry.finish(revisions, policy).exit()));
    }
    let proven = options.purpose == Purpose::Compare && !paired.identical.is_empty();
    if plan.kept.is_empty() && !dropped.is_empty() && !proven && entry.rows.iter().all(is_silent) {
        let all = dropped.join("\n  ");
        return Err(usage(format!("no benchmark fits the budget of {} s:\n  {all}", options.budget_s)));
    }
    if !plan.kept.is_empty() && !relinked {
        entry.notes.push(
            "each side is one link (the linker cannot lay out again, or --one-link): the margin is 5 %".to_owned(),
        );
    }
    entry.notes.extend(dropped);
    if !plan.kept.is_empty() {
        entry.notes.extend(budget.pause(|| wait_for_quiet(invocation, options.wait))?);
    }
    let started = Instant::now();
    let sampler = sampler(&scratch, options, Some(budget.until()));
    let context =
        MeasureContext { sampler: &sampler, links: &links, relinked, seed: entry.seed, console: &invocation.console };
    if !plan.kept.is_empty() {
        let margins = crate::nulls::margins(&crate::nulls::read(&project.root)?);
        measure(&context, &pilots, &plan, nulls, &margins, policy, options, &mut entry)?;
    }
    if first || options.purpose == Purpose::Compare {
        absolute(&context, &paired.identical, first, options.budget_s, &mut entry)?;
    } else {
        entry.rows.extend(paired.identical.iter().map(identical_row));
    }
    entry.measured_s =
        if plan.kept.is_empty() && (options.purpose == Purpose::Gate) { 0.0 } else { started.elapsed().as_secs_f64() };
    invocation.interrupt.check()?;
    Ok(Outcome::Measured(Box::new(entry.finish(revisions, policy))))
}

/// Builds both sides and pairs their benchmarks. What is known without measuring goes into the entry.
fn find_pairs(
    invocation: &Invocation,
    project: &Project,
    revisions: &Revisions,
    options: &Options,
    policy: &Policy,
    (slots, scratch): (&Slots, &ScratchDir),
    entry: &mut EntryBuilder,
) -> Result<PairedBenches> {
    let (base, head) = prepare(invocation, project, revisions, options, slots, scratch)?;
    for note in base.iter().chain([&head]).flat_map(|side| &side.built.notes) {
        if !entry.notes.contains(note) {
            entry.notes.push(note.clone());
        }
    }
    entry.rustc(base.as_ref().map(|side| side.built.rustc.clone()), &head.built.rustc);
    let wanted = |listed: &Listed| {
        let id = listed.key.id();
        options.filter.as_ref().map_or(listed.tier <= options.tier, |filter| filter.is_match(&id))
            && !options.exclude.iter().any(|exclude| exclude.is_match(&id))
    };
    let mut paired = pair_sides(project, revisions, base.as_ref(), &head, &wanted)?;
    let today = entry.today();
    paired.exclude(&|id| policy.exclusion(id, &today));
    draw_layouts(&mut paired.pairs, &mut Random::new(entry.seed));
    if paired.is_empty() {
        return Err(nothing(options, &head.catalog.benches, &paired.rows));
    }
    entry.notes.append(&mut paired.notes);
    entry.rows.append(&mut paired.rows);
    if let Some(over) = overlapping(options, &paired.pairs) {
        entry.notes.push(over);
    }
    Ok(paired)
}

fn sampler<'a>(scratch: &'a ScratchDir, options: &Options, until: Option<Instant>) -> Sampler<'a> {
    Sampler { scratch, timeout: options.timeout, settings: Settings::STANDARD, until }
}

/// Whether a row says nothing about a benchmark's speed or output.
fn is_silent(row: &Row) -> bool {
    matches!(row.verdict, Verdict::Skipped | Verdict::Inconclusive)
}

/// Prints the plan of a dry run: as JSON for programs, or only its problems for people.
fn show_plan(
    invocation: &Invocation,
    options: &Options,
    plan: &Plan,
    pilots: &[Pilot],
    identical: &[BenchPair],
    (rows, dropped): (&[Row], &[String]),
) -> Result<()> {
    if options.json {
        let plan = plan.json(pilots, identical, rows, dropped);
        return invocation.console.print(&serde_json::to_string_pretty(&plan)?);
    }
    if plan.kept.is_empty() && identical.is_empty() {
        invocation.console.print("plan: nothing can be measured")?;
    }
    for row in rows {
        invocation.console.print(&format!("{}: {}: {}", row.verdict, row.id, row.why))?;
    }
    dropped.iter().try_for_each(|text| invocation.console.print(text))
}

/// Why there is no benchmark at all, with some of the ids that there are.
fn nothing(options: &Options, listed: &[Listed], rows: &[Row]) -> anyhow::Error {
    const SHOWN: usize = 5;
    let what = match &options.wanted.scenario {
        Some(_) if listed.is_empty() => {
            "no cell to measure: no program `assay` in this workspace lists cells of that scenario"
        }
        Some(_) => "no cell to measure: none matches",
        None if listed.is_empty() => {
            "no benchmark to measure: the selected packages have no bench targets that list benchmarks"
        }
        None => "no benchmark to measure: no id matches filter and tier",
    };
    let skipped: String = rows.iter().map(|row| format!("\n  {}: {}: {}", row.verdict, row.id, row.why)).collect();
    if listed.is_empty() {
        return usage(format!("{what}{skipped}"));
    }
    let mut text = format!("{what}{skipped}; there are {} of them:", listed.len());
    for listed in listed.iter().take(SHOWN) {
        text += &format!("\n  {} (tier {})", listed.key.id(), listed.tier);
    }
    if listed.len() > SHOWN {
        text += "\n  …";
    }
    usage(text)
}

/// Why a benchmark does not fit, and what would help.
fn too_long(pilot: &Pilot) -> String {
    let Pilot { pair, samples } = pilot;
    let BenchPair { key, tier, process_s, .. } = pair;
    let asked = Settings::STANDARD.measurement_s;
    let own = samples.iter().filter_map(|sample| sample.measurement_s).fold(0.0, f64::max);
    let old = [&pair.base, &pair.head]
        .iter()
        .any(|variant| variant.version.is_some_and(CriterionVersion::counts_whole_seconds));
    let why = if old {
        "; criterion 0.3 counts whole seconds: a newer criterion measures in a tenth of that"
    } else if own > 2.0 * asked {
        &format!(
            "; its group sets {own} s of measurement itself: set it on `Criterion`, where the command line outweighs it"
        )
    } else {
        ""
    };
    format!("dropped for the budget: {key} (tier {tier}, {process_s:.1} s per process){why}")
}

fn not_reached(pair: &BenchPair) -> String {
    format!(
        "dropped for the budget: {} (tier {}): a first look at the benchmarks before it took too long",
        pair.key, pair.tier
    )
}

/// Notes an id that is equal in two targets. An id that contains another one as a whole part is legal.
fn overlapping(options: &Options, pairs: &[BenchPair]) -> Option<String> {
    let mut ids: Vec<String> = pairs.iter().map(|pair| pair.key.to_string()).collect();
    ids.sort();
    let twice = ids.windows(2).find(|pair| pair[0] == pair[1])?;
    let hint = if options.wanted.benches.is_empty() { " (--bench tells them apart)" } else { "" };
    Some(format!("the id {} stands in more than one target{hint}", twice[0]))
}

fn announce(invocation: &Invocation, plan: &Plan, identical: &[BenchPair], first: bool, purpose: Purpose) {
    if !plan.kept.is_empty() {
        invocation.console.note(&plan.to_string());
    }
    if first {
        let s = identical.len() as f64 * PROCESSES as f64 * 2.0 * 0.35;
        invocation.console.note(&format!(
            "plan: first entry under this title: {} benchmarks, {} processes each, about {}",
            identical.len(),
            2 * PROCESSES,
            text::minutes(s)
        ));
    } else if !identical.is_empty() {
        let then = if purpose == Purpose::Compare {
            format!("; {PROCESSES} processes each for their figures")
        } else {
            String::new()
        };
        invocation.console.note(&format!(
            "plan: {} benchmarks are the same machine code on both sides: proven the same{then}",
            identical.len()
        ));
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
    pilots: &[Pilot],
    plan: &Plan,
    nulls: usize,
    margins: &Margins,
    policy: &Policy,
    options: &Options,
    entry: &mut EntryBuilder,
) -> Result<()> {
    let kept: Vec<&Pilot> = plan.kept.iter().map(|&at| &pilots[at]).collect();
    let mut shuffled = kept.clone();
    let mut random = Random::new(context.seed ^ 0x6e75_6c6c);
    random.shuffle(&mut shuffled);
    let chosen = shuffled.iter().take(nulls).enumerate();
    let controls: Vec<BenchPair> = chosen.map(|(at, pilot)| null_of(&pilot.pair, at, &mut random)).collect();
    let real = kept.iter().map(|pilot| &pilot.pair);
    let pairs: Vec<_> =
        real.chain(&controls).map(|pair| (pair, margins.of(&pair.key.to_string(), context.relinked))).collect();
    let Trial { judged, method, global, counted, missing } = trial(context, &pairs, plan)?;
    entry.notes.extend(global);
    for ((pair, _), control) in pairs[kept.len()..].iter().zip(&judged[kept.len()..]) {
        entry.control(pair, control);
    }
    if missing > 0 {
        entry.notes.push(format!(
            "{missing} of {} planned blocks are missing: the budget ended, or processes were disturbed so much that their \
             batches were too short to time",
            counted + missing
        ));
    }
    if method.disturbed * 4 > counted {
        let text = format!(
            "{} of {counted} blocks ran on a disturbed machine (stolen time, forced switches, threads that waited, or the canary)",
            method.disturbed
        );
        // Alternating order and exact tests tolerate this, at the price of wide intervals; only a gate must not decide
        // on it.
        match options.purpose {
            Purpose::Gate => entry.contaminated = Some(text),
            Purpose::Compare | Purpose::Bisect => entry.notes.push(text),
        }
    }
    for (pilot, judged) in kept.iter().zip(&judged) {
        let mut row = row(&pilot.pair, judged, policy);
        // If the clock does not decide, instructions are evidence: they are shown beside the verdict, which depends on
        // time alone.
        let wanted = matches!(row.verdict, Verdict::Slower | Verdict::Inconclusive) || options.all_instructions;
        if wanted && judged.trouble().is_none() && options.purpose != Purpose::Bisect {
            instructions::add(context.sampler, &pilot.pair, policy, &mut row, &mut entry.notes)?;
        }
        entry.rows.push(row);
    }
    entry.method = Some(method);
    Ok(())
}

/// The row of a judged pair.
fn row(pair: &BenchPair, judged: &Judged, policy: &Policy) -> Row {
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
