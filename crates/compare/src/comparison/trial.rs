//! The trial: carries out the plan, with a finding for every pair.

use std::time::{Duration, Instant};

use anyhow::Result;
use machine::ceiling::Canary;
use record::stats;

use crate::console::Console;
use crate::judge::{self, Finding, GLOBAL_WORST, Margin, SCREEN_BLOCKS, Verdict, blocks_for, confirming_blocks};
use crate::measure::{
    BenchPair, Limits, Links, Random, Sample, Sampler, Series, Side, Stage, Trouble, Variant, run_stage,
};
use crate::report::Method;

use super::paired::verdict_of;
use super::plan::Plan;

/// Length of each part of the canary before and after a block.
pub(super) const CANARY_PART: Duration = Duration::from_millis(4);
/// Blocks that may be measured again, in percent.
pub(super) const LIMITS: Limits = Limits { discard_percent: 25 };

/// A pair that is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Both sides.
    pub pair: &'a BenchPair,
    /// Margin to apply.
    pub margin: Margin,
    /// Number of the base that the head is compared with. A shift is global within one column.
    pub column: usize,
}

/// What happened to one pair.
#[derive(Debug)]
pub struct Judged {
    /// The finding; Invalid or Timeout if there is trouble.
    pub finding: Finding,
    /// Margin that was applied.
    pub margin: Margin,
    /// Members of the family that Holm corrected for; 0 if nothing was tested.
    pub family: usize,
    /// The blocks that the finding rests on.
    pub series: Series,
    /// Blocks of the screen, which select but do not test.
    pub screen: Option<Series>,
}

impl Judged {
    /// What ended the pair early.
    pub fn trouble(&self) -> Option<&(Side, Trouble)> {
        self.series.trouble.as_ref().or_else(|| self.screen.as_ref()?.trouble.as_ref())
    }

    /// The series of every stage, the screen first.
    pub fn stages(&self) -> impl Iterator<Item = &Series> {
        self.screen.iter().chain([&self.series])
    }

    /// All samples of a side.
    pub fn samples(&self, side: Side) -> Vec<&Sample> {
        let blocks = self.stages().flat_map(|series| &series.blocks);
        blocks.flat_map(|block| if side == Side::Base { &block.base } else { &block.head }).collect()
    }
}

/// The outcome of a trial.
#[derive(Debug)]
pub struct Trial {
    /// One per pair, in order.
    pub judged: Vec<Judged>,
    /// How it was measured.
    pub method: Method,
    /// The columns in which so many benchmarks moved that one common cause is more likely than many separate ones, with
    /// a description of the shift.
    pub global: Vec<(usize, String)>,
    /// Blocks that count, in all stages, those of the controls included.
    pub counted: usize,
    /// Blocks that were planned but are missing, because a process could not be timed or the budget ended.
    pub missing: usize,
}

impl Trial {
    fn of(judged: Vec<Judged>, method: Method, global: Vec<(usize, String)>) -> Self {
        let series = || judged.iter().flat_map(Judged::stages);
        let counted = series().map(|series| series.blocks.len()).sum();
        let missing = series().map(|series| series.missing).sum();
        Self { counted, missing, judged, method, global }
    }
}

/// What a trial needs besides its pairs.
#[derive(Debug)]
pub struct MeasureContext<'a> {
    /// Runs processes.
    pub sampler: &'a Sampler<'a>,
    /// Makes layouts.
    pub links: &'a Links,
    /// Whether both sides of every pair can be linked again.
    pub relinked: bool,
    /// Seed of the schedule.
    pub seed: u64,
    /// How long each part of the canary runs before and after each block: 4 ms, or less where times are scripted.
    pub canary_part: Duration,
    /// Progress.
    pub console: &'a Console,
}

impl<'a> MeasureContext<'a> {
    /// With the standard canary.
    pub fn new(sampler: &'a Sampler<'a>, links: &'a Links, relinked: bool, seed: u64, console: &'a Console) -> Self {
        Self { sampler, links, relinked, seed, canary_part: CANARY_PART, console }
    }
}

/// Measures and judges. `plan` says whether a screen comes first.
pub fn trial(context: &MeasureContext<'_>, pairs: &[Candidate<'_>], plan: &Plan) -> Result<Trial> {
    let mut random = Random::new(context.seed);
    if plan.one_stage {
        one_stage(context, pairs, plan.blocks, &mut random)
    } else {
        two_stage(context, pairs, plan.budget_s, &mut random)
    }
}

fn one_stage(
    context: &MeasureContext<'_>,
    pairs: &[Candidate<'_>],
    blocks: usize,
    random: &mut Random,
) -> Result<Trial> {
    let all: Vec<&BenchPair> = pairs.iter().map(|candidate| candidate.pair).collect();
    let series = stage(context, "measuring", &all, blocks, 1, random)?;
    Ok(concluded(context, pairs, blocks, series))
}

/// The trial of pairs that all ran the same number of blocks.
pub(super) fn concluded(
    context: &MeasureContext<'_>,
    pairs: &[Candidate<'_>],
    blocks: usize,
    series: Vec<Series>,
) -> Trial {
    let findings = judge_family(&series, pairs.iter().map(|candidate| candidate.margin));
    let family = pairs.len();
    let judged = findings.into_iter().zip(series).zip(pairs).map(|((finding, series), candidate)| Judged {
        finding,
        margin: candidate.margin,
        family,
        series,
        screen: None,
    });
    let judged: Vec<Judged> = judged.collect();
    let method = method(context, &judged, blocks, None, family);
    Trial::of(judged, method, Vec::new())
}

fn two_stage(
    context: &MeasureContext<'_>,
    pairs: &[Candidate<'_>],
    budget_s: f64,
    random: &mut Random,
) -> Result<Trial> {
    let started = Instant::now();
    let all: Vec<&BenchPair> = pairs.iter().map(|candidate| candidate.pair).collect();
    let screens = stage(context, "screening", &all, SCREEN_BLOCKS, 1, random)?;
    let effects: Vec<Vec<f64>> = screens.iter().map(Series::effects).collect();
    let (flagged, global) = flagged(pairs, &screens, &effects);
    let chosen: Vec<&BenchPair> = flagged.iter().map(|at| pairs[*at].pair).collect();
    // Decided before the first block, from the time that is left: the results of the blocks have no part in it.
    let blocks = confirming_blocks_within(&chosen, context, budget_s - started.elapsed().as_secs_f64());
    let first = 1 + SCREEN_BLOCKS as u64;
    let confirms =
        if chosen.is_empty() { Vec::new() } else { stage(context, "confirming", &chosen, blocks, first, random)? };
    let findings = judge_family(&confirms, flagged.iter().map(|at| pairs[*at].margin));
    let mut confirmed: Vec<Option<(Finding, Series)>> = pairs.iter().map(|_| None).collect();
    for ((at, finding), series) in flagged.iter().zip(findings).zip(confirms) {
        confirmed[*at] = Some((finding, series));
    }
    let judged =
        screens.into_iter().zip(confirmed).zip(pairs).map(|((screen, confirmed), candidate)| match confirmed {
            Some((finding, series)) => {
                Judged { finding, margin: candidate.margin, family: flagged.len(), series, screen: Some(screen) }
            }
            None => {
                let finding = with_trouble(judge::screened(&screen.effects()), &screen);
                Judged { finding, margin: candidate.margin, family: 0, series: screen, screen: None }
            }
        });
    let judged: Vec<Judged> = judged.collect();
    let method = method(context, &judged, blocks, Some(SCREEN_BLOCKS), flagged.len());
    Ok(Trial::of(judged, method, global))
}

/// The pairs that a screen selects, and the columns that shifted as a whole. Each column is judged alone: a base from
/// which every benchmark differs must not hide a benchmark that differs from another base. Of a column that shifted,
/// only the benchmarks that moved most are selected.
fn flagged(pairs: &[Candidate<'_>], screens: &[Series], effects: &[Vec<f64>]) -> (Vec<usize>, Vec<(usize, String)>) {
    let is_flagged = |at: &usize| screens[*at].trouble.is_none() && judge::is_flagged(&effects[*at], pairs[*at].margin);
    let (mut flagged, mut global) = (Vec::new(), Vec::new());
    for column in 0..pairs.iter().map(|candidate| candidate.column + 1).max().unwrap_or(0) {
        let own = (0..pairs.len()).filter(|at| pairs[*at].column == column);
        // A control compares a benchmark with itself, so it does not count toward a global shift.
        let (controls, real): (Vec<usize>, Vec<usize>) = own.partition(|at| pairs[*at].pair.is_control);
        let mut moved: Vec<usize> = real.iter().copied().filter(is_flagged).collect();
        if judge::is_global(moved.len(), real.len()) {
            let timed: Vec<&[f64]> = real.iter().map(|at| effects[*at].as_slice()).collect();
            global.push((column, describe_shift(&timed, moved.len())));
            let distance = |at: &usize| stats::median(&effects[*at]).unwrap_or(0.0).abs();
            moved.sort_by(|a, b| distance(b).total_cmp(&distance(a)));
            moved.truncate(GLOBAL_WORST);
        }
        flagged.extend(moved);
        flagged.extend(controls.into_iter().filter(is_flagged));
    }
    (flagged, global)
}

/// Share of the remaining time that a confirmation plans with; the rest is for blocks that are measured again.
const PLANNED: f64 = 0.9;

/// Blocks to confirm each of `chosen` with: as many as are useful and fit into `left_s` seconds, but never fewer than
/// can prove anything.
fn confirming_blocks_within(chosen: &[&BenchPair], context: &MeasureContext<'_>, left_s: f64) -> usize {
    let processes_s: f64 = chosen.iter().map(|pair| 4.0 * pair.process_s).sum();
    let variants: Vec<&Variant> = chosen.iter().flat_map(|pair| [&pair.base, &pair.head]).collect();
    let links_s = if context.relinked { Links::programs(&variants) as f64 * context.links.mean_s() } else { 0.0 };
    let fitting = (PLANNED * left_s / (processes_s + links_s).max(f64::MIN_POSITIVE)) as usize;
    fitting.clamp(blocks_for(chosen.len()), confirming_blocks(chosen.len()))
}

fn stage(
    context: &MeasureContext<'_>,
    what: &str,
    pairs: &[&BenchPair],
    blocks: usize,
    first_link: u64,
    random: &mut Random,
) -> Result<Vec<Series>> {
    if context.sampler.until.is_some_and(|until| Instant::now() >= until) {
        return Ok(pairs.iter().map(|_| Series { missing: blocks, ..Series::default() }).collect());
    }
    let links = if context.relinked { blocks } else { 1 };
    if links > 1 {
        let variants: Vec<&Variant> = pairs.iter().flat_map(|pair| [&pair.base, &pair.head]).collect();
        let seeds: Vec<u64> = (first_link..first_link + links as u64).collect();
        context.links.make(&variants, &seeds, context.console)?;
    }
    let progress = context.console.bar(what, (4 * blocks * pairs.len()) as u64, "processes");
    // Without a canary, the counters of the kernel still show disturbance.
    let mut canary = Canary::with_length(context.canary_part).ok();
    let stage = Stage { blocks, links, first_link };
    run_stage(context.sampler, context.links, pairs, stage, LIMITS, &mut canary, random, &progress)
}

/// Findings of a family. A member in trouble counts as a member but is not judged.
fn judge_family(series: &[Series], margins: impl Iterator<Item = Margin>) -> Vec<Finding> {
    let family: Vec<(Vec<f64>, Margin)> = series
        .iter()
        .zip(margins)
        .map(|(series, margin)| (if series.trouble.is_some() { Vec::new() } else { series.effects() }, margin))
        .collect();
    judge::confirmed(&family).into_iter().zip(series).map(|(finding, series)| with_trouble(finding, series)).collect()
}

fn with_trouble(finding: Finding, series: &Series) -> Finding {
    let without_number = |verdict| Finding { verdict, estimate: None, p: None };
    match &series.trouble {
        Some((_, trouble)) => without_number(verdict_of(trouble.kind)),
        None if series.blocks.is_empty() => without_number(Verdict::Inconclusive),
        None => finding,
    }
}

fn describe_shift(effects: &[&[f64]], flagged: usize) -> String {
    let medians: Vec<f64> = effects.iter().filter_map(|effects| stats::median(effects)).collect();
    let middle = stats::hodges_lehmann(&medians).unwrap_or(0.0);
    let interval = stats::signed_rank_interval(&medians, 0.95);
    let percent = |x: f64| format!("{:+.1} %", 100.0 * x.exp_m1());
    let interval = interval.map_or_else(String::new, |i| format!(" ({} .. {})", percent(i.low), percent(i.high)));
    format!(
        "global shift: {flagged} of {} benchmarks moved, {} in the middle{interval}; look for one cause (toolchain, \
         allocator, a shared dependency, the host). The {GLOBAL_WORST} that moved most were confirmed singly.",
        effects.len(),
        percent(middle)
    )
}

fn method(
    context: &MeasureContext<'_>,
    judged: &[Judged],
    blocks: usize,
    screen_blocks: Option<usize>,
    family: usize,
) -> Method {
    let series = || judged.iter().flat_map(Judged::stages);
    Method {
        blocks,
        screen_blocks,
        links: if context.relinked { blocks } else { 1 },
        family,
        warm_up_s: context.sampler.settings.warm_up_s,
        measurement_s: context.sampler.settings.measurement_s,
        seed: context.seed,
        discarded: series().map(|series| series.discarded).sum(),
        disturbed: series().map(|series| series.disturbed).sum(),
        smallest_p: stats::smallest_p(blocks),
    }
}
