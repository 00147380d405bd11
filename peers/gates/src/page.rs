//! The page that is rendered from the kept lines: a row for each rule, losing cells included.

use std::collections::{BTreeMap, BTreeSet};

use record::stats::{clopper_pearson, median};
use record::{Align, Table};

use crate::pair::Kind;
use crate::record::{Finding, Record, Says};

/// A finding with the line that holds it.
type Case<'a> = (&'a Record, &'a Finding);

/// Renders the lines of one machine class and one subject.
pub fn page(class: &str, records: &[Record]) -> String {
    let mut text = format!(
        "# Gates on the same code in the same hour\n\nMachine class `{class}`. {}\n\n{}",
        described(records),
        rows(records)
    );
    let reasons = reasons(records);
    if !reasons.is_empty() {
        text += &format!("\nWhat did not run, and why:\n\n{reasons}");
    }
    text + "\nFalse alarms are of comparisons in which no benchmark changed; a gain that is not there counts like a \
        loss. An interval is exact (Clopper and\nPearson, 95 %). Minutes are the median of a comparison, builds of \
        both sides included. `cargo run --release --manifest-path\npeers/gates/Cargo.toml` adds comparisons and \
        writes this page; peers/gates/README.md says how each gate is run.\n"
}

/// Days, seeds, and how far apart the tools of a comparison ran.
fn described(records: &[Record]) -> String {
    let days: BTreeSet<&str> = records.iter().filter_map(|record| record.at.split('T').next()).collect();
    let (first, last) = (days.first().copied().unwrap_or("-"), days.last().copied().unwrap_or("-"));
    let subjects: BTreeSet<&str> = records.iter().map(|record| record.subject.as_str()).collect();
    let subjects = subjects.into_iter().collect::<Vec<_>>().join(", ");
    let mut comparisons: BTreeMap<(Kind, u32), Vec<&Record>> = BTreeMap::new();
    for record in records {
        if let Some(pair) = record.pair {
            comparisons.entry(pair).or_default().push(record);
        }
    }
    // From the start of the first tool to the end of the last.
    let span = |records: &Vec<&Record>| {
        let starts = records.iter().filter_map(|record| record.started_s());
        let ends = records.iter().filter_map(|record| Some(record.started_s()? + record.seconds));
        Some((ends.fold(f64::NEG_INFINITY, f64::max) - starts.reduce(f64::min)?) / 60.0)
    };
    let spans: Vec<f64> = comparisons.values().filter_map(span).collect();
    let within = spans.iter().filter(|minutes| **minutes <= 60.0).count();
    let middle = median(&spans).map_or_else(|| "-".to_owned(), |minutes| format!("{minutes:.0} minutes"));
    format!(
        "{first} to {last}, subject {subjects}. {} comparisons; in each, all gates ran one after the other in random\n\
         order, which took {middle} in the median and at most an hour in {within}.",
        comparisons.len()
    )
}

fn rows(records: &[Record]) -> String {
    let sizes: BTreeSet<u32> = records.iter().flat_map(|record| record.slowdowns.values().copied()).collect();
    let mut columns = vec![
        ("gate".to_owned(), Align::Left),
        ("version".to_owned(), Align::Left),
        ("unchanged".to_owned(), Align::Right),
        ("with a false alarm".to_owned(), Align::Right),
        ("95 % interval".to_owned(), Align::Right),
        ("benchmarks called slower + faster".to_owned(), Align::Right),
    ];
    columns.extend(sizes.iter().map(|size| (format!("+{size} % found"), Align::Right)));
    columns.extend(["no verdict", "failed", "minutes"].map(|name| (name.to_owned(), Align::Right)));
    let mut table = Table::new(columns);
    for (rule, cases) in by_rule(records) {
        let of = |kind| -> Vec<&Case<'_>> {
            let is_kind = |case: &&Case<'_>| case.0.pair.is_some_and(|(of, _)| of == kind);
            cases.iter().filter(is_kind).filter(|case| case.1.no_verdict.is_none()).collect()
        };
        let (unchanged, slowed) = (of(Kind::Unchanged), of(Kind::Slowed));
        let alarms = unchanged.iter().filter(|case| case.1.has_alarm()).count();
        let called =
            |says| unchanged.iter().flat_map(|case| case.1.benchmarks.values()).filter(|of| **of == says).count();
        let tools: BTreeSet<&str> = cases.iter().map(|case| case.0.tool.as_str()).collect();
        let versions: BTreeSet<&str> = cases.iter().map(|case| case.0.version.as_str()).collect();
        let mut cells = vec![
            rule,
            versions.into_iter().collect::<Vec<_>>().join(", "),
            unchanged.len().to_string(),
            alarms.to_string(),
            interval(alarms, unchanged.len()),
            format!("{} + {}", called(Says::Slower), called(Says::Faster)),
        ];
        cells.extend(sizes.iter().map(|size| detections(&slowed, *size)));
        let seconds: Vec<f64> = cases.iter().map(|case| case.0.seconds).collect();
        cells.push(cases.iter().filter(|case| case.1.no_verdict.is_some()).count().to_string());
        cells.push(failures(records).filter(|record| tools.contains(record.tool.as_str())).count().to_string());
        cells.push(median(&seconds).map_or_else(|| "-".to_owned(), |seconds| format!("{:.1}", seconds / 60.0)));
        table.row(cells);
    }
    // A tool that never gave a finding is a row, too.
    let heard: BTreeSet<&str> = records.iter().filter(|of| of.finding.is_some()).map(|of| of.tool.as_str()).collect();
    let mut silent: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for record in failures(records).filter(|record| !heard.contains(record.tool.as_str())) {
        silent.entry(&record.tool).or_insert((0, &record.version)).0 += 1;
    }
    for (tool, (count, version)) in silent {
        let dashes = std::iter::repeat_n("-".to_owned(), 4 + sizes.len() + 1);
        let ends = [count.to_string(), "-".to_owned()];
        table.row([tool.to_owned(), version.to_owned()].into_iter().chain(dashes).chain(ends));
    }
    table.to_string()
}

/// Cases by rule; one that was asked for something beyond its documented use is a row of its own.
fn by_rule(records: &[Record]) -> BTreeMap<String, Vec<Case<'_>>> {
    let mut rules: BTreeMap<String, Vec<Case<'_>>> = BTreeMap::new();
    for record in records {
        if let Some(finding) = &record.finding {
            let settings = if record.settings.is_empty() { String::new() } else { format!(" ({})", record.settings) };
            rules.entry(format!("{}{settings}", finding.rule)).or_default().push((record, finding));
        }
    }
    rules
}

/// Slowdowns of a size that are called slower, of those that were put in.
fn detections(slowed: &[&Case<'_>], size: u32) -> String {
    let put_in = || {
        slowed.iter().flat_map(|(record, finding)| {
            let ids = record.slowdowns.iter().filter(|(_, of)| **of == size);
            ids.map(|(id, _)| finding.benchmarks.get(id) == Some(&Says::Slower))
        })
    };
    let (found, n) = (put_in().filter(|is_found| *is_found).count(), put_in().count());
    if n == 0 { "-".to_owned() } else { format!("{found} of {n} ({})", interval(found, n)) }
}

fn interval(count: usize, of: usize) -> String {
    clopper_pearson(count as u64, of as u64, 0.95)
        .map_or_else(|| "-".to_owned(), |of| format!("{:.0} .. {:.0} %", 100.0 * of.low, 100.0 * of.high))
}

fn failures(records: &[Record]) -> impl Iterator<Item = &Record> {
    records.iter().filter(|record| record.error.is_some())
}

/// A line for each different first line of an error.
fn reasons(records: &[Record]) -> String {
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let reasons: BTreeSet<(&str, String)> =
        failures(records).map(|of| (of.tool.as_str(), first(of.error.as_deref().unwrap_or_default()))).collect();
    reasons.into_iter().map(|(tool, reason)| format!("- {tool}: {reason}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::SCHEMA;

    fn record(tool: &str, pair: (Kind, u32), slower: &[&str]) -> Record {
        let mut finding = Finding::of(&format!("rule of {tool}"));
        finding.benchmarks = ["a", "b", "c"].map(|id| (id.to_owned(), Says::Nothing)).into();
        finding.benchmarks.extend(slower.iter().map(|id| ((*id).to_owned(), Says::Slower)));
        let slowdowns = if pair.0 == Kind::Slowed { vec![("a", 5), ("b", 10)] } else { Vec::new() };
        Record {
            schema: SCHEMA,
            at: format!("2026-11-26T14:{:02}:00Z", pair.1),
            subject: "s".to_owned(),
            seed: 1,
            pair: Some(pair),
            slowdowns: slowdowns.into_iter().map(|(id, size)| (id.to_owned(), size)).collect(),
            tool: tool.to_owned(),
            version: "1.0".to_owned(),
            settings: String::new(),
            seconds: 90.0,
            finding: Some(finding),
            error: None,
        }
    }

    fn cells(text: &str, row: &str) -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with('|') && line.contains(row)).unwrap_or_default();
        line.split('|').map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
    }

    #[test]
    fn alarms_and_detections_are_counted_with_their_intervals() {
        let mut quiet = record("x", (Kind::Unchanged, 2), &[]);
        quiet.finding.as_mut().unwrap().whole = Says::Faster;
        let mut none = record("x", (Kind::Unchanged, 3), &["a"]);
        none.finding.as_mut().unwrap().no_verdict = Some("exit 4".to_owned());
        let records = [
            record("x", (Kind::Unchanged, 0), &["a", "c"]),
            record("x", (Kind::Unchanged, 1), &[]),
            quiet,
            none,
            // c was not slowed down: no detection.
            record("x", (Kind::Slowed, 0), &["a", "c"]),
            record("x", (Kind::Slowed, 1), &["a", "b"]),
        ];
        let text = page("class", &records);
        let expected =
            ["rule of x", "1.0", "3", "2", "9 .. 99 %", "2 + 0", "2 of 2 (16 .. 100 %)", "1 of 2 (1 .. 99 %)"];
        assert_eq!(cells(&text, "rule of x")[..8], expected, "{text}");
        assert_eq!(cells(&text, "rule of x")[8..], ["1", "0", "1.5"], "{text}");
        assert!(text.contains("6 comparisons") && text.contains("at most an hour in 6"), "{text}");
    }

    #[test]
    fn a_tool_that_cannot_run_is_a_row_with_its_reason() {
        let mut broken = record("y", (Kind::Unchanged, 0), &[]);
        (broken.finding, broken.error) = (None, Some("no such program\nmore".to_owned()));
        let text = page("class", &[record("x", (Kind::Unchanged, 0), &[]), broken]);
        assert_eq!(cells(&text, "| y ")[..], ["y", "1.0", "-", "-", "-", "-", "-", "1", "-"], "{text}");
        assert!(text.contains("- y: no such program\n"), "{text}");
    }

    #[test]
    fn other_settings_are_another_row() {
        let mut short = record("x", (Kind::Unchanged, 0), &["a"]);
        short.settings = "--budget 300s".to_owned();
        let text = page("class", &[record("x", (Kind::Unchanged, 0), &[]), short]);
        assert_eq!(cells(&text, "rule of x (--budget 300s)")[2..4], ["1", "1"], "{text}");
        assert_eq!(cells(&text, "rule of x  ")[2..4], ["1", "0"], "{text}");
    }

    #[test]
    fn one_late_tool_makes_a_comparison_longer_than_an_hour() {
        let mut late = record("y", (Kind::Unchanged, 0), &[]);
        late.at = "2026-11-26T16:00:00Z".to_owned();
        let text = page("class", &[record("x", (Kind::Unchanged, 0), &[]), late]);
        assert!(text.contains("122 minutes in the median and at most an hour in 0"), "{text}");
    }
}
