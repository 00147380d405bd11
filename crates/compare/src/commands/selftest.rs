//! `selftest`: measures how often the procedure reports a change that is not there, and how often it finds a slowdown
//! that is.
//!
//! Each round compares the head with itself: both sides run the same compiled code in different layouts. On some
//! benchmarks the glue of the head's side spins for a share of each batch, which is a slowdown of known size. Rounds
//! with the standard settings are appended to a file. The tables count over all rounds and give exact bounds.

use anyhow::{Context as _, Result};
use machine::Fingerprint;
use record::stats::{clopper_pearson, clopper_pearson_upper};
use record::{Align, Table, jsonl};

use super::{filter, wanted};
use crate::bench::{ScratchDir, Settings};
use crate::cli::Selftest;
use crate::comparison::{
    Candidate, Invocation, Judged, MeasureContext, Plan, Project, Trial, draw_layouts, lock, pilot_one_side, trial,
};
use crate::exit::{Exit, usage};
use crate::judge::rivals::{Decision, criterion, ratio_over_5};
use crate::judge::{Verdict, blocks_for, margin_for};
use crate::measure::{BenchPair, Links, Random, Sampler, Side};
use crate::nulls::{self, Null, SCHEMA};
use crate::repo::Snapshot;
use crate::report::{Figures, Rules, changes};
use crate::slot::{Alignment, Slots};

/// Sizes of the injected slowdowns, used in rotation.
const SLOWDOWNS: [f64; 3] = [0.05, 0.08, 0.10];

/// Runs the command.
pub fn selftest(invocation: &Invocation, arguments: &Selftest) -> Result<Exit> {
    let filter = filter(&arguments.scope)?;
    let project = Project::open(invocation, arguments.scope.manifest_path.as_deref())?;
    let mut shown = Vec::new();
    if arguments.rounds > 0 {
        let _lock = lock(invocation)?;
        let slots = Slots::open(&invocation.cache()?, &project.git)?;
        let scratch = ScratchDir::new(slots.root(), invocation.interrupt.clone())?;
        let head = Snapshot::of_work_tree(&project.git, &project.own_paths())?;
        let settings = arguments.times.map_or(Settings::STANDARD, |(warm_up_s, measurement_s)| Settings {
            warm_up_s,
            measurement_s,
            ..Settings::STANDARD
        });
        let sampler = Sampler { scratch: &scratch, timeout: arguments.scope.timeout, settings, until: None };
        let tier = arguments.scope.tier.unwrap_or(u8::MAX);
        let is_wanted = |id: &str, of: u8| filter.as_ref().map_or(of <= tier, |filter| filter.is_match(id));
        let list = |alignment| {
            pilot_one_side(
                invocation,
                &project,
                &slots,
                &head,
                &wanted(&arguments.scope),
                &sampler,
                &is_wanted,
                alignment,
            )
        };
        if arguments.layout {
            let text = super::layout::layout(
                invocation,
                &project,
                &sampler,
                [list(Alignment::Natural)?, list(Alignment::Lines)?],
            )?;
            invocation.console.print(&text)?;
            return Ok(Exit::Fine);
        }
        let pairs = list(Alignment::Lines)?;
        for round in 1..=arguments.rounds {
            invocation.interrupt.check()?;
            invocation.console.note(&format!("round {round} of {}", arguments.rounds));
            let lines = one_round(invocation, &project, &sampler, &pairs, arguments)?;
            if settings == Settings::STANDARD {
                keep(&project, &lines)?;
            } else {
                shown.extend(lines);
            }
        }
    }
    let known = if shown.is_empty() { nulls::read(&project.root)? } else { shown };
    if known.is_empty() {
        return Err(usage("nothing is known of this machine class yet; run: selftest --rounds 1"));
    }
    invocation.console.print(&report(&known))?;
    Ok(Exit::Fine)
}

/// Runs one comparison of unchanged code, with injected slowdowns.
fn one_round(
    invocation: &Invocation,
    project: &Project,
    sampler: &Sampler<'_>,
    pairs: &[BenchPair],
    arguments: &Selftest,
) -> Result<Vec<Null>> {
    let now = jiff::Timestamp::now();
    let mut random = Random::new(now.as_nanosecond() as u64);
    let links = Links::new(&project.environment);
    let mut chosen: Vec<BenchPair> = pairs.to_vec();
    random.shuffle(&mut chosen);
    chosen.truncate(arguments.ids);
    draw_layouts(std::iter::once(chosen.as_mut_slice()), &mut random);
    let mut injected = vec![0.0; chosen.len()];
    for (at, pair) in chosen.iter_mut().enumerate() {
        if at < arguments.inject {
            injected[at] = SLOWDOWNS[at % SLOWDOWNS.len()];
            pair.head.inject = Some(format!("{}=+{:.0}%", pair.key.id(), 100.0 * injected[at]));
        }
    }
    let relinked = !arguments.scope.one_link && chosen.iter().all(|pair| links.available(&pair.base));
    let context = MeasureContext::new(sampler, &links, relinked, random.bits(), &invocation.console);
    let plan = Plan {
        kept: (0..chosen.len()).collect(),
        dropped: Vec::new(),
        one_stage: arguments.one_stage,
        blocks: blocks_for(chosen.len()),
        seconds: 0.0,
        budget_s: f64::INFINITY,
    };
    // Use the default margin: margins that were fitted to earlier rounds would bias the counts.
    let margin = margin_for(None, relinked);
    let pairs: Vec<_> = chosen.iter().map(|pair| Candidate { pair, margin, column: 0 }).collect();
    let Trial { judged, method, .. } = trial(&context, &pairs, &plan)?;
    let run = now.strftime("%Y%m%dT%H%M%S").to_string();
    let mut lines = Vec::new();
    for ((pair, judged), injected) in chosen.iter().zip(&judged).zip(injected) {
        let Some(first) = judged.screen.iter().chain([&judged.series]).find_map(|series| series.blocks.first()) else {
            continue;
        };
        let (base, head) = (&first.base[0].batches, &first.head[0].batches);
        let effects = judged.series.effects();
        lines.push(Null {
            schema: SCHEMA,
            at: now.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            run: run.clone(),
            id: pair.key.to_string(),
            injected,
            one_stage: arguments.one_stage,
            effect: judged.finding.estimate.map(|estimate| estimate.effect),
            block_sd: standard_deviation(&effects),
            n: effects.len(),
            links: method.links,
            verdict: judged.finding.verdict,
            criterion_fires: criterion(base, head, context.seed) != Decision::Nothing,
            ratio_fires: ratio_over_5(base, head) != Decision::Nothing,
            worse: worse_metrics(judged),
        });
    }
    Ok(lines)
}

/// Metrics other than time that a gate would report as worse. Both sides run the same compiled program, so each one is
/// a false alarm.
fn worse_metrics(judged: &Judged) -> Option<Vec<String>> {
    let of = |side| Figures::of(&judged.samples(side))?.ok();
    let changes = changes(&Rules::default(), &of(Side::Base)?, &of(Side::Head)?, (0, 0));
    Some(changes.into_iter().filter(|change| change.worse).map(|change| change.name).collect())
}

fn keep(project: &Project, lines: &[Null]) -> Result<()> {
    let path = nulls::path(&project.root, &Fingerprint::collect().class());
    std::fs::create_dir_all(path.parent().context("the file has a directory")?).context("failed to make baselines/")?;
    lines.iter().try_for_each(|line| jsonl::append(&path, line)).context("failed to keep the round; is the disk full?")
}

fn standard_deviation(x: &[f64]) -> Option<f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    (x.len() > 1).then(|| (x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
}

/// The tables: false alarms, detections, noise.
pub(super) fn report(known: &[Null]) -> String {
    let mut text = format!("Of {} comparisons of unchanged code on this machine class\n\n", runs(known.iter()).len());
    text.push_str(&unchanged(known));
    text.push_str("\nSlowdowns put in on purpose, named SLOWER\n\n");
    text.push_str(&slowed(known));
    text.push_str(&beside_time(known));
    let sd: Vec<f64> = known.iter().filter(|null| null.n > 3).filter_map(|null| null.block_sd).collect();
    if let Some(sd) = record::stats::median(&sd) {
        text.push_str(&format!("\nMedian standard deviation of a block's effect: {:.2} %\n", 100.0 * sd));
    }
    let unstable = nulls::margins(known).unstable();
    if unstable.is_empty() {
        text.push_str("Unstable (advisory) benchmarks: none\n");
    }
    for (id, noise) in unstable {
        text.push_str(&format!("Unstable (advisory): {id}, one sigma of the effect is {:.1} %\n", 100.0 * noise));
    }
    text
}

fn runs<'a>(nulls: impl Iterator<Item = &'a Null>) -> std::collections::BTreeSet<&'a str> {
    nulls.map(|null| null.run.as_str()).collect()
}

fn unchanged(known: &[Null]) -> String {
    let mut table = Table::new([
        ("rule", Align::Left),
        ("comparisons", Align::Right),
        ("with a false alarm", Align::Right),
        ("upper 95 % bound", Align::Right),
        ("benchmarks", Align::Right),
        ("false alarms", Align::Right),
        ("proven SAME", Align::Right),
    ]);
    let clean: Vec<&Null> = known.iter().filter(|null| null.injected == 0.0).collect();
    type Rule = fn(&Null) -> bool;
    let of =
        |one_stage: bool| -> Vec<&Null> { clean.iter().copied().filter(|null| null.one_stage == one_stage).collect() };
    let alarm: Rule = |null| matches!(null.verdict, Verdict::Slower | Verdict::Faster);
    let rules: [(&str, Vec<&Null>, Rule); 4] = [
        ("this gate (screen, then confirm)", of(false), alarm),
        ("this comparison (all blocks on all)", of(true), alarm),
        ("criterion, one run each", clean.clone(), |null| null.criterion_fires),
        ("ratio of one run each over 5 %", clean.clone(), |null| null.ratio_fires),
    ];
    for (at, (name, nulls, fires)) in rules.into_iter().enumerate() {
        let total = runs(nulls.iter().copied()).len();
        if total == 0 {
            continue;
        }
        let wrong = runs(nulls.iter().copied().filter(|null| fires(null))).len();
        let bound = clopper_pearson_upper(wrong as u64, total as u64, 0.95).unwrap_or(1.0);
        let alarms = nulls.iter().filter(|null| fires(null)).count();
        let same = nulls.iter().filter(|null| null.verdict == Verdict::Same).count();
        let same = if at == 1 { format!("{:.0} %", 100.0 * same as f64 / nulls.len() as f64) } else { "-".to_owned() };
        table.row([
            name.to_owned(),
            total.to_string(),
            wrong.to_string(),
            format!("{:.0} %", 100.0 * bound),
            nulls.len().to_string(),
            alarms.to_string(),
            same,
        ]);
    }
    table.to_string()
}

fn slowed(known: &[Null]) -> String {
    let mut table = Table::new([
        ("slowdown", Align::Left),
        ("put in", Align::Right),
        ("found", Align::Right),
        ("share", Align::Right),
        ("95 % interval", Align::Right),
        ("criterion fires", Align::Right),
        ("ratio over 5 % fires", Align::Right),
    ]);
    for size in SLOWDOWNS {
        let nulls: Vec<&Null> = known.iter().filter(|null| (null.injected - size).abs() < 1e-9).collect();
        if nulls.is_empty() {
            continue;
        }
        let count = |fires: &dyn Fn(&Null) -> bool| nulls.iter().filter(|null| fires(null)).count();
        let (found, n) = (count(&|null| null.verdict == Verdict::Slower), nulls.len());
        let percent = |x: f64| format!("{:.0} %", 100.0 * x);
        let interval = clopper_pearson(found as u64, n as u64, 0.95)
            .map_or_else(|| "-".to_owned(), |i| format!("{} .. {}", percent(i.low), percent(i.high)));
        table.row([
            format!("+{:.0} %", 100.0 * size),
            n.to_string(),
            found.to_string(),
            percent(found as f64 / n as f64),
            interval,
            percent(count(&|null| null.criterion_fires) as f64 / n as f64),
            percent(count(&|null| null.ratio_fires) as f64 / n as f64),
        ]);
    }
    table.to_string()
}

/// How often metrics other than time were reported as worse for unchanged benchmarks. Benchmarks with an injected
/// slowdown are left out: it also changes how many iterations a process runs, and perhaps its memory.
fn beside_time(known: &[Null]) -> String {
    let unchanged = known.iter().filter(|null| null.injected == 0.0);
    let looked: Vec<&Vec<String>> = unchanged.filter_map(|null| null.worse.as_ref()).collect();
    if looked.is_empty() {
        return String::new();
    }
    let alarms = looked.iter().filter(|worse| !worse.is_empty()).count();
    let names: std::collections::BTreeSet<&str> =
        looked.iter().flat_map(|worse| worse.iter().map(String::as_str)).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let which = if names.is_empty() { String::new() } else { format!(" ({names})") };
    format!("\nAllocations or peak memory called worse: {alarms} of {} unchanged benchmarks{which}\n", looked.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn null(run: &str, injected: f64, verdict: Verdict) -> Null {
        Null {
            schema: SCHEMA,
            at: String::new(),
            run: run.to_owned(),
            id: "id".to_owned(),
            injected,
            one_stage: true,
            effect: Some(injected.ln_1p()),
            block_sd: Some(0.015),
            n: 13,
            links: 13,
            verdict,
            criterion_fires: true,
            ratio_fires: false,
            worse: None,
        }
    }

    #[test]
    fn metrics_other_than_time_are_counted_in_rounds_that_recorded_them() {
        let with = |worse: Option<Vec<String>>| Null { worse, ..null("a", 0.0, Verdict::Same) };
        assert!(!report(&[with(None)]).contains("called worse"));
        let text = report(&[with(None), with(Some(Vec::new())), with(Some(vec!["allocations".to_owned()]))]);
        assert!(text.contains("called worse: 1 of 2 unchanged benchmarks (allocations)"), "{text}");
    }

    #[test]
    fn alarms_and_detections_are_counted_with_their_bounds() {
        let known = [
            null("a", 0.0, Verdict::Same),
            null("a", 0.10, Verdict::Slower),
            null("b", 0.0, Verdict::Faster),
            null("b", 0.10, Verdict::Inconclusive),
        ];
        let text = report(&known);
        let cells = |name: &str| -> Vec<String> {
            let line = text.lines().find(|line| line.contains(name)).unwrap_or_default();
            line.split('|').map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
        };
        assert_eq!(cells("this comparison")[1..], ["2", "1", "97 %", "2", "1", "50 %"], "{text}");
        assert_eq!(cells("criterion, one run")[1..], ["2", "2", "100 %", "2", "2", "-"], "{text}");
        assert_eq!(cells("+10 %")[1..], ["2", "1", "50 %", "1 % .. 99 %", "100 %", "0 %"], "{text}");
    }
}
