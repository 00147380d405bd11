//! From results to Markdown: what every report says, around what a scenario says.

use record::{Align, Metric, Table};

use crate::measure::{PEAK_HEAP, PEAK_RSS};
use crate::results::{CellResult, Results};

/// What a scenario makes of its results.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The few rows that belong into a README.
    pub summary: Table,
    /// Sections with headings of the second level, in Markdown; may be empty.
    pub body: String,
    /// Figures, shown below the summary.
    pub figures: Vec<Figure>,
}

/// An SVG figure, written beside the report as `scenario-NAME-FIGURE.svg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Last part of the file's name.
    pub name: String,
    /// Text that stands for the figure.
    pub title: String,
    /// The document.
    pub svg: String,
}

impl Figure {
    /// Its file beside the report of a scenario.
    pub fn file(&self, scenario: &str) -> String {
        format!("scenario-{scenario}-{}.svg", self.name)
    }
}

/// A measured number with its spread: `1.234 ms (1.200 ms .. 1.300 ms)`; `-` where it was not measured.
pub fn with_spread(metric: Option<&Metric>) -> String {
    match metric {
        None => "-".to_owned(),
        Some(Metric { low: Some(low), high: Some(high), unit, .. }) => {
            format!(
                "{} ({} .. {})",
                metric.map(Metric::to_string).unwrap_or_default(),
                unit.show(*low),
                unit.show(*high)
            )
        }
        Some(metric) => metric.to_string(),
    }
}

impl Report {
    /// A report for a scenario that has nothing special to say: the primary metric of every cell.
    pub fn plain(results: &Results<'_>) -> Self {
        let primary = results.matrix.primary.as_str();
        let mut summary =
            Table::new([("cell", Align::Left), (primary, Align::Right), ("n", Align::Right), (PEAK_RSS, Align::Right)]);
        for result in results.cells().iter().filter(|result| !result.records.is_empty()) {
            let rss = result.metric(PEAK_RSS).map_or_else(|| "-".to_owned(), |peak| peak.to_string());
            let n = result.records.len().to_string();
            summary.row([result.cell.to_string(), with_spread(result.metric(primary).as_ref()), n, rss]);
        }
        Self { summary, ..Self::default() }
    }

    /// The whole document.
    pub fn markdown(&self, scenario: &str, results: &Results<'_>) -> String {
        let made = results.made;
        let revision = format!("{}{}", made.label, if made.dirty { " (uncommitted work)" } else { "" });
        let mut text = format!(
            "# {}\n\nMade by `cargo xtask run {scenario}`: {revision}; {}, class `{}`; {}.\n\n{}\n{}\n",
            results.matrix.title,
            made.processor,
            made.machine,
            made.toolchain,
            self.summary,
            note(results)
        );
        for figure in &self.figures {
            text += &format!("\n![{}]({})\n", figure.title, figure.file(scenario));
        }
        if !self.body.trim().is_empty() {
            text += &format!("\n{}\n", self.body.trim());
        }
        text += &format!("\n## Every cell\n\n{}", every_cell(results));
        text += &format!("\n## What ran\n\n{}", what_ran(results));
        let faults = faults(results);
        if !faults.is_empty() {
            text += &format!("\n## Cells without numbers\n\n{faults}");
        }
        text
    }
}

/// How the numbers came about.
fn note(results: &Results<'_>) -> String {
    let most = results.cells().iter().map(|result| result.records.len()).max().unwrap_or(0);
    let spread = match most {
        0 | 1 => "one process each, so without a spread",
        2..=5 => "medians over processes, with the smallest and the largest in parentheses",
        _ => "medians over processes, with 95 % signed-rank intervals in parentheses",
    };
    let seeds: Vec<String> = results.seeds.iter().map(u64::to_string).collect();
    format!(
        "Every process ran one cell, in random order (seed {}): {spread}. Its output was proved before anything was \
         timed.",
        seeds.join(", then ")
    )
}

fn every_cell(results: &Results<'_>) -> Table {
    let primary = results.matrix.primary.as_str();
    let right = |name| (name, Align::Right);
    let columns = [right("n"), right(primary), right(PEAK_RSS), right(PEAK_HEAP), right("of the ceiling")];
    let mut table = Table::new([("cell", Align::Left)].into_iter().chain(columns).chain([("proof", Align::Left)]));
    for result in results.cells().iter().filter(|result| !result.records.is_empty()) {
        let plain = |name| result.metric(name).map_or_else(|| "-".to_owned(), |metric: Metric| metric.to_string());
        let ceilings = result.records.iter().flat_map(|(_, record)| &record.ceilings);
        let share = ceilings.into_iter().next().and_then(|ceiling| result.share_of_ceiling(&ceiling.metric));
        table.row([
            result.cell.to_string(),
            result.records.len().to_string(),
            with_spread(result.metric(primary).as_ref()),
            plain(PEAK_RSS),
            plain(PEAK_HEAP),
            share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", 100.0 * share)),
            proved(result),
        ]);
    }
    table
}

fn proved(result: &CellResult<'_>) -> String {
    match result.proof() {
        None => "unproved".to_owned(),
        Some(proof) => {
            let error = proof.error.map_or_else(|| "-".to_owned(), |error| format!("{error:.2e}"));
            format!("{}: {error} of {:.2e}, {} checked", proof.method, proof.tolerance, proof.checked)
        }
    }
}

/// What the code reports: what all cells say alike in one line, the rest by cell.
fn what_ran(results: &Results<'_>) -> String {
    let measured: Vec<&CellResult<'_>> = results.cells().iter().filter(|result| !result.records.is_empty()).collect();
    let mut keys: Vec<&String> = Vec::new();
    for key in measured.iter().flat_map(|result| &result.records).flat_map(|(_, record)| record.ran.keys()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys.sort();
    let same = |key: &String| {
        let first = measured.first().and_then(|result| result.ran(key));
        measured.iter().all(|result| result.ran(key) == first).then_some(first).flatten()
    };
    let common: Vec<String> = keys.iter().filter_map(|key| Some(format!("{key}: {}", same(key)?))).collect();
    let mut text = if common.is_empty() { String::new() } else { format!("All cells: {}.\n", common.join(", ")) };
    let own: Vec<&String> = keys.into_iter().filter(|key| same(key).is_none()).collect();
    if !own.is_empty() {
        let columns = own.iter().map(|key| (key.as_str(), Align::Left));
        let mut table = Table::new([("cell", Align::Left)].into_iter().chain(columns));
        for result in measured {
            let answers = own.iter().map(|key| result.ran(key).unwrap_or_else(|| "-".to_owned()));
            table.row([result.cell.to_string()].into_iter().chain(answers));
        }
        text += &format!("{}{table}", if text.is_empty() { "" } else { "\n" });
    }
    text
}

fn faults(results: &Results<'_>) -> String {
    let of = |result: &CellResult<'_>| {
        let cell = result.cell.to_string();
        result
            .faults
            .iter()
            .map(move |fault| format!("- `{cell}`, {}\n", fault.replace('\n', "\n  ")))
            .collect::<String>()
    };
    results.cells().iter().map(of).collect()
}
