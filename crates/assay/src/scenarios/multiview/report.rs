//! Rows to the report of the sweep: the same headings as its model, every sentence computed from rows.

mod figures;
mod goals;

use std::fmt::Write as _;

use record::{Align, Table, stats};
use scenario::{CellResult, PEAK_HEAP, Report, Results};

use super::cases;

const MIB: f64 = 1024.0 * 1024.0;

const NOTES: &str = "
Notes:

- \"full\" keeps the outputs of all layers; \"opt\" projects what the heads read when it is formed, and drops the rest.
- Memory is the most bytes of the heap in use at once, weights included, in MiB. Images are made one at a time.
- Times end with what the depth head reads: full projects it from the outputs, eight images at a time.
";

/// One case with all outputs kept ("full") and with projections ("opt"), medians over seeds.
struct Pair {
    dims: String,
    case: String,
    batch: usize,
    frames: usize,
    pixels: usize,
    full: Figures,
    opt: Figures,
    /// Time of full over that of opt, in paired processes.
    speedup: f64,
    /// Whether both gave the heads the same bits, for every seed; `None` if no seed has both.
    same_result: Option<bool>,
}

#[derive(Clone, Copy)]
struct Figures {
    seconds: f64,
    frames_per_s: f64,
    peak: f64,
    kept: f64,
    weights: f64,
    transient: f64,
    model_error: f64,
}

impl Pair {
    fn images(&self) -> usize {
        self.batch * self.frames
    }

    fn label(&self) -> String {
        if self.dims == "toy" { self.case.clone() } else { format!("{} {}", self.dims, self.case) }
    }

    /// Positive where opt needs less.
    fn peak_reduction(&self) -> f64 {
        100.0 * (1.0 - self.opt.peak / self.full.peak)
    }

    fn kept_reduction(&self) -> f64 {
        100.0 * (1.0 - self.opt.kept / self.full.kept)
    }
}

pub(super) fn report(results: &Results<'_>) -> Report {
    let pairs = pairs(results);
    let mut body = String::new();
    for (heading, text) in [
        ("Summary", summary(&pairs)),
        ("Observations", observations(&pairs)),
        ("By Resolution", by_resolution(&pairs)),
        ("Scaling at 518px by Total Frames", scaling(&pairs)),
        ("Detailed Results", detailed(&pairs).to_string()),
        ("Memory by purpose", purposes(&pairs).to_string()),
        ("Storage by what is kept", storage(results).to_string()),
        ("Takeaways", takeaways(&pairs)),
        ("Recommendations", goals::recommendations(&pairs)),
    ] {
        // Writing to a string does not fail.
        let _ = write!(body, "## {heading}\n\n{}\n\n", text.trim_end());
    }
    Report { summary: short(&pairs), body, figures: figures::of(&large(&pairs)) }
}

/// Cases for which both variants were measured, in the order of the matrix.
fn pairs(results: &Results<'_>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    for dims in results.values("dims") {
        for case in results.values("case") {
            let Ok(shape) = cases::shape(case) else { continue };
            let of = |keep: &str, seed: &str| {
                let wanted = [("dims", dims), ("case", case), ("keep", keep), ("seed", seed)];
                results.cells().iter().find(|result| {
                    !result.records.is_empty()
                        && wanted.iter().all(|(axis, value)| result.cell.get(axis) == Some(value))
                })
            };
            let seeds = results.values("seed");
            let both: Vec<_> =
                seeds.iter().filter_map(|seed| Some((of("all", seed)?, of("projected", seed)?))).collect();
            let fulls: Vec<Figures> = both.iter().filter_map(|(full, _)| measured(full)).collect();
            let opts: Vec<Figures> = both.iter().filter_map(|(_, opt)| measured(opt)).collect();
            let ratios: Vec<f64> = both.iter().filter_map(|(full, opt)| full.ratio(opt, "run_s")?.value).collect();
            let (Some(full), Some(opt), Some(speedup)) = (middle(&fulls), middle(&opts), stats::median(&ratios)) else {
                continue;
            };
            let same_result = both.iter().map(|(full, opt)| full.ran("result") == opt.ran("result"));
            pairs.push(Pair {
                dims: dims.to_owned(),
                case: case.to_owned(),
                batch: shape.batch,
                frames: shape.frames,
                pixels: shape.width,
                full,
                opt,
                speedup,
                same_result: same_result.reduce(|all, this| all && this),
            });
        }
    }
    pairs
}

fn measured(result: &CellResult<'_>) -> Option<Figures> {
    Some(Figures {
        seconds: result.median("run_s")?,
        frames_per_s: result.median("frames_per_s")?,
        peak: result.median(PEAK_HEAP)?,
        kept: result.median("kept_bytes")?,
        weights: result.median("weights_bytes")?,
        transient: result.median("transient_bytes")?,
        model_error: result.median("model_error_ratio")?,
    })
}

/// The median of every figure.
fn middle(all: &[Figures]) -> Option<Figures> {
    let of = |figure: fn(&Figures) -> f64| stats::median(&all.iter().map(figure).collect::<Vec<f64>>());
    Some(Figures {
        seconds: of(|all| all.seconds)?,
        frames_per_s: of(|all| all.frames_per_s)?,
        peak: of(|all| all.peak)?,
        kept: of(|all| all.kept)?,
        weights: of(|all| all.weights)?,
        transient: of(|all| all.transient)?,
        model_error: of(|all| all.model_error)?,
    })
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let all: Vec<f64> = values.collect();
    all.iter().sum::<f64>() / all.len() as f64
}

fn ms(seconds: f64) -> String {
    format!("{:.2}", 1e3 * seconds)
}

fn mib(bytes: f64) -> String {
    format!("{:.2}", bytes / MIB)
}

fn largest(pairs: &[Pair], by: impl Fn(&Pair) -> f64) -> Option<&Pair> {
    pairs.iter().max_by(|a, b| by(a).total_cmp(&by(b)))
}

fn short(pairs: &[Pair]) -> Table {
    let right = |name| (name, Align::Right);
    let mut table = Table::new([
        ("case", Align::Left),
        right("frames"),
        right("speedup"),
        right("peak saved"),
        right("kept bytes saved"),
    ]);
    for pair in pairs {
        table.row([
            pair.label(),
            pair.images().to_string(),
            format!("{:.3}×", pair.speedup),
            format!("{:.1} %", pair.peak_reduction()),
            format!("{:.3} %", pair.kept_reduction()),
        ]);
    }
    table
}

fn summary(pairs: &[Pair]) -> String {
    let mut text = String::new();
    let mut line = |line: String| text += &format!("- {line}\n");
    line(format!("Average speedup (opt vs full): {:.3}×", mean(pairs.iter().map(|pair| pair.speedup))));
    for (name, pair) in
        [("Best", largest(pairs, |pair| pair.speedup)), ("Slowest", largest(pairs, |pair| -pair.speedup))]
    {
        if let Some(pair) = pair {
            line(format!("{name} speedup: {:.3}× (`{}`, {}px)", pair.speedup, pair.label(), pair.pixels));
        }
    }
    let average = mean(pairs.iter().map(Pair::peak_reduction));
    line(format!("Peak memory change (opt vs full): {average:+.2}% on average (opt lower is positive)"));
    if let (Some(low), Some(high)) = (largest(pairs, |p| -p.peak_reduction()), largest(pairs, Pair::peak_reduction)) {
        line(format!("Range: {:+.2}% to {:+.2}%", low.peak_reduction(), high.peak_reduction()));
    }
    if let (Some(low), Some(high)) = (largest(pairs, |p| -p.kept_reduction()), largest(pairs, Pair::kept_reduction)) {
        line(format!("Storage reduction: {:.2}% to {:.2}%", low.kept_reduction(), high.kept_reduction()));
    }
    text + NOTES
}

fn observations(pairs: &[Pair]) -> String {
    let mut text = String::new();
    let mut line = |line: String| text += &format!("- {line}\n");
    let slower: Vec<String> = pairs.iter().filter(|pair| pair.speedup < 1.0).map(Pair::label).collect();
    line(match slower.is_empty() {
        true => format!("Performance: opt was not slower in any of {} cases.", pairs.len()),
        false => {
            format!("Performance: opt was slower in {} of {} cases: {}.", slower.len(), pairs.len(), slower.join(", "))
        }
    });
    let higher: Vec<String> = pairs.iter().filter(|pair| pair.opt.peak > pair.full.peak).map(Pair::label).collect();
    line(match higher.is_empty() {
        true => "Memory: the peak of opt was not above that of full in any case.".to_owned(),
        false => format!("Memory: the peak of opt was above that of full in {}.", higher.join(", ")),
    });
    let compared: Vec<bool> = pairs.iter().filter_map(|pair| pair.same_result).collect();
    let same = compared.iter().filter(|same| **same).count();
    line(format!("Results: what the heads read had the same bits in {same} of {} cases.", compared.len()));
    let errors = pairs.iter().flat_map(|pair| [pair.full.model_error, pair.opt.model_error]);
    if let Some(worst) = errors.reduce(f64::max) {
        line(format!("Model of memory: within {:.2} % of the metered peak in every case.", 100.0 * worst));
    }
    text
}

fn by_resolution(pairs: &[Pair]) -> String {
    let mut sizes: Vec<(&str, usize)> = pairs.iter().map(|pair| (pair.dims.as_str(), pair.pixels)).collect();
    sizes.dedup();
    let mut seen = Vec::new();
    sizes.retain(|size| {
        !seen.contains(size) && {
            seen.push(*size);
            true
        }
    });
    let mut text = String::new();
    for (dims, pixels) in sizes {
        let of: Vec<&Pair> = pairs.iter().filter(|pair| (pair.dims.as_str(), pair.pixels) == (dims, pixels)).collect();
        let average = |figure: fn(&Pair) -> f64| mean(of.iter().map(|pair| figure(pair)));
        let (full, opt) = (average(|pair| pair.full.peak), average(|pair| pair.opt.peak));
        let name = if dims == "toy" { String::new() } else { format!("{dims}, ") };
        text += &format!(
            "- {name}{pixels}px (n={})\n  \
             - Avg speedup: {:.3}×; full {} ms → opt {} ms; {:.2} → {:.2} frames/s\n  \
             - Avg peak memory: {} MiB → {} MiB (opt {:+.2} MiB); avg mem_red: {:+.3}%\n",
            of.len(),
            average(|pair| pair.speedup),
            ms(average(|pair| pair.full.seconds)),
            ms(average(|pair| pair.opt.seconds)),
            average(|pair| pair.full.frames_per_s),
            average(|pair| pair.opt.frames_per_s),
            mib(full),
            mib(opt),
            (opt - full) / MIB,
            average(Pair::peak_reduction),
        );
    }
    text
}

/// The toy model at 518 pixels, by frames, each number once.
fn large(pairs: &[Pair]) -> Vec<&Pair> {
    let mut large: Vec<&Pair> = pairs.iter().filter(|pair| pair.dims == "toy" && pair.pixels == 518).collect();
    large.sort_by_key(|pair| pair.images());
    large.dedup_by_key(|pair| pair.images());
    large
}

fn scaling(pairs: &[Pair]) -> String {
    let line = |pair: &&Pair| {
        format!(
            "- {} frames: mem_red {:+.2}%, {} MiB → {} MiB\n",
            pair.images(),
            pair.peak_reduction(),
            mib(pair.full.peak),
            mib(pair.opt.peak)
        )
    };
    let lines: String = large(pairs).iter().map(line).collect();
    if lines.is_empty() { "No case at 518px was measured.".to_owned() } else { lines }
}

fn detailed(pairs: &[Pair]) -> Table {
    let right =
        ["batch", "seq", "frames", "img", "full_ms", "opt_ms", "speedup", "full_mem_MiB", "opt_mem_MiB", "mem_red_%"];
    let rest = ["storage_red_%", "full_frames/s", "opt_frames/s"];
    let columns = right.into_iter().chain(rest).map(|name| (name, Align::Right));
    let mut table = Table::new([("name", Align::Left)].into_iter().chain(columns));
    for pair in pairs {
        table.row([
            pair.label(),
            pair.batch.to_string(),
            pair.frames.to_string(),
            pair.images().to_string(),
            pair.pixels.to_string(),
            ms(pair.full.seconds),
            ms(pair.opt.seconds),
            format!("{:.3}", pair.speedup),
            mib(pair.full.peak),
            mib(pair.opt.peak),
            format!("{:.3}", pair.peak_reduction()),
            format!("{:.3}", pair.kept_reduction()),
            format!("{:.2}", pair.full.frames_per_s),
            format!("{:.2}", pair.opt.frames_per_s),
        ]);
    }
    table
}

fn purposes(pairs: &[Pair]) -> Table {
    let right = |name| (name, Align::Right);
    let mut table = Table::new([
        ("name", Align::Left),
        right("weights_MiB"),
        right("full_kept_MiB"),
        right("full_transient_MiB"),
        right("opt_kept_MiB"),
        right("opt_transient_MiB"),
        right("opt_peak/full_peak"),
    ]);
    for pair in pairs {
        table.row([
            pair.label(),
            mib(pair.full.weights),
            mib(pair.full.kept),
            mib(pair.full.transient),
            mib(pair.opt.kept),
            mib(pair.opt.transient),
            format!("{:.3}", pair.opt.peak / pair.full.peak),
        ]);
    }
    table
}

/// Kept bytes of every variant that was measured, against all outputs of the same case.
fn storage(results: &Results<'_>) -> Table {
    let right = |name| (name, Align::Right);
    let columns =
        [("dims", Align::Left), ("case", Align::Left), ("keep", Align::Left), right("kept_MiB"), right("reduction_%")];
    let mut table = Table::new(columns);
    let seed = |result: &&CellResult<'_>| result.cell.get("seed") == Some("1");
    for result in results.cells().iter().filter(seed) {
        let cell = &result.cell;
        let is_same = |other: &&CellResult<'_>| {
            other.cell.get("keep") == Some("all")
                && ["dims", "case", "seed"].iter().all(|axis| other.cell.get(axis) == cell.get(axis))
        };
        let all = results.cells().iter().find(is_same).and_then(|all| all.median("kept_bytes"));
        let Some((kept, all)) = result.median("kept_bytes").zip(all) else { continue };
        let text = |axis: &str| cell.get(axis).unwrap_or_default().to_owned();
        table.row([text("dims"), text("case"), text("keep"), mib(kept), format!("{:.3}", 100.0 * (1.0 - kept / all))]);
    }
    table
}

fn takeaways(pairs: &[Pair]) -> String {
    let mut text = String::new();
    let mut line = |line: String| text += &format!("- {line}\n");
    let (small, large): (Vec<&Pair>, Vec<&Pair>) = pairs.iter().partition(|pair| pair.pixels <= 224);
    for (name, of) in [("up to 224px", &small), ("above 224px", &large)] {
        if !of.is_empty() {
            line(format!(
                "Runtime, {name}: opt is {:.3}× as fast as full on average.",
                mean(of.iter().map(|p| p.speedup))
            ));
        }
    }
    if let Some(best) = largest(pairs, Pair::peak_reduction) {
        line(format!(
            "Peak memory: the largest saving is {:.1} %, at {} frames of {}px (`{}`).",
            best.peak_reduction(),
            best.images(),
            best.pixels,
            best.label()
        ));
    }
    if let Some(least) = largest(pairs, |pair| -pair.kept_reduction()) {
        line(format!("Storage: at least {:.2} % of the kept bytes are saved.", least.kept_reduction()));
    }
    text
}
