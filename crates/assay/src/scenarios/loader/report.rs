//! The report: cells by throughput, as the summary that this scenario goes back to, and throughput over workers and
//! patches.

use chart::{RatePoint, RateSeries, Rates};
use record::{Align, Metric, Table};
use scenario::{Cell, CellResult, Figure, PEAK_RSS, Report, Results};

use super::program::CHILDREN_PSS;

const PRIMARY: &str = "samples_per_s";
/// Rows of the summary.
const TOP: usize = 10;

pub(super) fn report(results: &Results<'_>) -> Report {
    let mut ranked: Vec<&CellResult<'_>> =
        results.cells().iter().filter(|result| result.median(PRIMARY).is_some()).collect();
    ranked.sort_by(|a, b| b.median(PRIMARY).unwrap_or(0.0).total_cmp(&a.median(PRIMARY).unwrap_or(0.0)));
    let body = format!(
        "## Benchmark Summary {}\n\n### Top Throughput Cells\n\n{}\n### Caveats\n\n{}",
        stamp(results.began),
        table(&ranked),
        caveats(&ranked).iter().map(|line| format!("- {line}\n")).collect::<String>()
    );
    let figures = [("workers", "threads that make samples", "patches"), ("patches", "patches of a view", "workers")]
        .into_iter()
        .filter_map(|(axis, label, other)| figure(results, axis, label, other))
        .collect();
    Report { summary: table(&ranked[..ranked.len().min(TOP)]), body, figures }
}

/// `20261127_130915` of `2026-11-27T13:09:15Z`.
fn stamp(time: &str) -> String {
    let digits: String = time.chars().filter(char::is_ascii_digit).take(14).collect();
    match digits.split_at_checked(8) {
        Some((date, time)) => format!("{date}_{time}"),
        None => digits,
    }
}

/// `fused__warm_pool__w4__n64__b1`, and the data where they are not the phantoms.
fn cell_id(cell: &Cell) -> String {
    let of = |axis| cell.get(axis).unwrap_or("-");
    let data = if of("data") == "mixed" { String::new() } else { format!("__{}", of("data")) };
    format!("{}__{}__w{}__n{}__b{}{data}", of("loader"), of("cache"), of("workers"), of("patches"), of("batch"))
}

fn table(ranked: &[&CellResult<'_>]) -> Table {
    let right = |name: &str| (name.to_owned(), Align::Right);
    let mut table = Table::new([
        right("rank"),
        ("cell_id".to_owned(), Align::Left),
        right("throughput (samples/sec)"),
        right("ttfb (ms)"),
        right("peak_cpu_rss_gb"),
        right("peak_vram_reserved_gb"),
        right("p50 wait"),
        right("p99 wait"),
        right("turnovers"),
        right("n"),
    ]);
    for (rank, result) in ranked.iter().enumerate() {
        let plain = |name| result.metric(name).map_or_else(|| "-".to_owned(), |metric: Metric| metric.to_string());
        let scaled = |name, factor: f64, digits: usize| {
            result.median(name).map_or_else(|| "-".to_owned(), |value| format!("{:.digits$}", factor * value))
        };
        table.row([
            (rank + 1).to_string(),
            cell_id(&result.cell),
            throughput(result),
            scaled("ttfb_s", 1e3, 2),
            memory(result),
            "-".to_owned(),
            plain("batch_p50_s"),
            plain("batch_p99_s"),
            scaled("pool_turnovers", 1.0, 1),
            result.records.len().to_string(),
        ]);
    }
    table
}

/// Samples per second, with their spread.
fn throughput(result: &CellResult<'_>) -> String {
    let Some(Metric { value: Some(value), low, high, .. }) = result.metric(PRIMARY) else { return "-".to_owned() };
    let digits = if value < 100.0 { 3 } else { 0 };
    match low.zip(high) {
        Some((low, high)) => format!("{value:.digits$} ({low:.digits$} .. {high:.digits$})"),
        None => format!("{value:.digits$}"),
    }
}

/// Of the process and its children, in GiB.
fn memory(result: &CellResult<'_>) -> String {
    let own = result.median(PEAK_RSS);
    let all = own.map(|own| own + result.median(CHILDREN_PSS).unwrap_or(0.0));
    all.map_or_else(|| "-".to_owned(), |bytes| format!("{:.3}", bytes / (1_u64 << 30) as f64))
}

fn caveats(ranked: &[&CellResult<'_>]) -> Vec<String> {
    let mut lines = vec![
        "peak_vram_reserved_gb is empty: batches stay in main memory, and no cell uses a GPU.".to_owned(),
        "peak_cpu_rss_gb is the peak of the cell's process and what its children hold at the end (PSS). Workers are \
         threads; only programs of peers are children. Where such a program decodes, the cell holds a copy of every \
         volume and the program one process for each file, so the number says little about it."
            .to_owned(),
        "p99 wait is empty where fewer than 1000 batches were timed; turnovers, where there is no pool.".to_owned(),
        "A cell is timed for 5 s and 20 batches at least and 60 s at most (0.3 s and 3 s with `data=small`), after \
         what was filled ahead is taken. Cells of `fused` with `warm_pool` go on to 3 turnovers of the pool within \
         that; the others print what they reached."
            .to_owned(),
        "All loaders draw the same samples, which is checked by a hash of the first 16; their pixels are compared with \
         a reference in f64."
            .to_owned(),
    ];
    let has_cache = |name| ranked.iter().any(|result| result.cell.get("cache") == Some(name));
    if has_cache("cold_approx") {
        lines.push("cold_approx decodes every sample, but its files may be in the page cache.".to_owned());
    }
    if has_cache("cold_fadvise") {
        let line = "cold_fadvise drops a file from the page cache before every decode, and checks by mincore that at most a \
             quarter of it stayed; both count.";
        lines.push(line.to_owned());
    }
    lines
}

/// Throughput over an axis, for each loader, cache and value of `other`, with batches of 1.
fn figure(results: &Results<'_>, axis: &str, label: &str, other: &str) -> Option<Figure> {
    let mut series: Vec<RateSeries> = Vec::new();
    for result in results.cells() {
        let (cell, Some(rate)) = (&result.cell, result.metric(PRIMARY)) else { continue };
        let size: f64 = cell.get(axis)?.parse().ok()?;
        // The axis is logarithmic, and a caller that makes its own samples has no worker.
        if cell.get("batch") != Some("1") || size < 1.0 {
            continue;
        }
        let of = |axis| cell.get(axis).unwrap_or_default();
        let name = format!("{} {} {other} {}", of("loader"), of("cache"), of(other));
        let interval = rate.low.zip(rate.high).map(|(low, high)| [low, high]);
        let point = RatePoint { size, rate: rate.value?, interval, is_lost: false };
        match series.iter_mut().find(|series| series.name == name) {
            Some(series) => series.points.push(point),
            None => series.push(RateSeries { name, points: vec![point] }),
        }
    }
    series.retain(|series| series.points.len() > 1);
    series.iter_mut().for_each(|series| series.points.sort_by(|a, b| a.size.total_cmp(&b.size)));
    series.truncate(7);
    if series.is_empty() {
        return None;
    }
    let title = format!("Samples per second over {axis}");
    let svg = Rates {
        title: title.clone(),
        subtitle: format!("batches of 1; class {}", results.made.machine),
        size: label.to_owned(),
        rate: "samples/s".to_owned(),
        ceiling_name: String::new(),
        ceiling: Vec::new(),
        series,
    }
    .svg();
    Some(Figure { name: axis.to_owned(), title, svg })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_has_the_time_as_the_original_writes_it() {
        assert_eq!(stamp("2026-02-28T19:08:53Z"), "20260228_190853");
        assert_eq!(stamp(""), "");
    }
}
