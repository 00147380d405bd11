//! Rows to the report of the sweep: the same headings as its model, every sentence computed from rows.

mod figures;
mod goals;
mod pairs;
mod times;

use std::fmt::Write as _;

use record::{Align, Table};
use scenario::{CellResult, Report, Results};

use pairs::{Figures, Pair};

const MIB: f64 = 1024.0 * 1024.0;

const NOTES: &str = "
Notes:

- \"full\" keeps the outputs of all layers; \"opt\" projects what the heads read when it is formed, and drops the rest.
- Memory is the most bytes of the heap in use at once, weights included, in MiB. Images are made one at a time.
- Times end with what the depth head reads: full projects it from the outputs, eight images at a time.
- A speedup is the median of full over opt in pairs of neighboring processes. What is said to be faster or slower is so
  by an exact signed-rank test; a speedup without an interval has too few pairs for one (95 % needs six).
- A name in parentheses, (= other), is the same input as another case: what differs between the two is noise.
";

pub(super) fn report(results: &Results<'_>) -> Report {
    let pairs = pairs::pairs(results);
    let mut body = String::new();
    for (heading, text) in [
        ("Summary", summary(&pairs)),
        ("Observations", observations(&pairs, &pairs::noise(results))),
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
        right("95 % interval"),
        right("peak saved"),
        right("kept bytes saved"),
    ]);
    for pair in pairs {
        table.row([
            pair.label(),
            pair.images().to_string(),
            format!("{:.3}×", pair.speedup()),
            times::interval(&pair.logs).unwrap_or_else(|| "-".to_owned()),
            format!("{:.1} %", pair.peak_reduction()),
            format!("{:.3} %", pair.kept_reduction()),
        ]);
    }
    table
}

fn summary(pairs: &[Pair]) -> String {
    let mut text = String::new();
    let mut line = |line: String| text += &format!("- {line}\n");
    line(format!("Average speedup (opt vs full): {:.3}×", mean(pairs.iter().map(Pair::speedup))));
    for (name, pair) in [("Best", largest(pairs, Pair::speedup)), ("Slowest", largest(pairs, |pair| -pair.speedup()))] {
        if let Some(pair) = pair {
            let interval =
                times::interval(&pair.logs).map_or_else(|| "no interval".to_owned(), |i| format!("95 % {i}"));
            let (speedup, label, pixels) = (pair.speedup(), pair.label(), pair.pixels);
            line(format!("{name} speedup: {speedup:.3}×, {interval} (`{label}`, {pixels}px)"));
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

fn observations(pairs: &[Pair], noise: &[f64]) -> String {
    let mut text = String::new();
    let mut line = |line: String| text += &format!("- {line}\n");
    line(format!("Performance: {}", times::single_cases(pairs)));
    if let Some(interval) = times::interval(noise) {
        line(format!("Noise: the time of an input over its time under another name is {interval} (95 %)."));
    }
    let higher: Vec<String> = pairs.iter().filter(|pair| pair.opt.peak > pair.full.peak).map(Pair::label).collect();
    line(match higher.is_empty() {
        true => "Memory: the peak of opt was not above that of full in any case.".to_owned(),
        false => format!("Memory: the peak of opt was above that of full in {}.", higher.join(", ")),
    });
    let equal = pairs.iter().filter(|pair| pair.has_equal_output).count();
    let all = pairs.len();
    line(format!("Results: the hash of what the heads read is the same for opt and full in {equal} of {all} cases."));
    let errors = pairs.iter().flat_map(|pair| [pair.full.model_error, pair.opt.model_error]);
    if let Some(worst) = errors.reduce(f64::max) {
        line(format!("Model of memory: within {:.2} % of the meter in every case.", 100.0 * worst));
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
            average(Pair::speedup),
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
    let right = ["batch", "seq", "frames", "img", "full_ms", "opt_ms", "speedup", "speedup_95%"];
    let rest = ["full_mem_MiB", "opt_mem_MiB", "mem_red_%", "storage_red_%", "full_frames/s", "opt_frames/s"];
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
            format!("{:.3}", pair.speedup()),
            times::interval(&pair.logs).unwrap_or_else(|| "-".to_owned()),
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
            line(format!("Runtime, {name}: {}", times::pooled(of)));
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
