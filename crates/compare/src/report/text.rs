//! The report of a terminal, and the parts that it shares with the log and with GitHub.

use std::fmt::Write;

use record::{Align, Table};

use super::ceiling;
use super::entry::Entry;
use super::figures::Figures;
use super::label::{Labels, code, listed, plain, reason};
use super::metrics::Change;
use super::row::{Row, percent};
use super::sentence::sentence;
use super::several;
use crate::judge::Verdict;

/// Where a table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    /// In a terminal: as it is.
    Terminal,
    /// In Markdown: names are code.
    Markdown,
    /// In the log: as Markdown, with what each verdict was decided by.
    Log,
}

/// The table of all rows.
pub(super) fn table(rows: &[Row], labels: &Labels, face: Face) -> String {
    let compared = rows.iter().any(|row| row.base.is_some() || row.effect.is_some());
    let mut columns = vec![("benchmark", Align::Left), ("verdict", Align::Left)];
    if compared {
        columns.extend([("time change", Align::Right), ("95 % interval", Align::Right)]);
        if face == Face::Log {
            columns.extend([("margin", Align::Right), ("p", Align::Right)]);
        }
        columns.extend([("n", Align::Right), ("before", Align::Right)]);
    }
    columns.extend([
        ("after", Align::Right),
        ("rate", Align::Right),
        ("of ceiling", Align::Right),
        ("proof", Align::Left),
    ]);
    let mut table = Table::new(columns);
    for (row, label) in rows.iter().zip(&labels.labels) {
        let mark = if row.accepted.is_some() { " (accepted)" } else { "" };
        let label = if face == Face::Terminal { label.clone() } else { code(label) };
        let mut cells = vec![label, format!("{}{mark}", row.verdict)];
        if compared {
            cells.extend([row.shown_effect(), row.shown_interval()]);
            if face == Face::Log {
                let margin = row.margin.map_or_else(dash, |margin| format!("{:.1} %", 100.0 * margin));
                cells.extend([margin, row.p.map_or_else(dash, |p| format!("{p:.4}"))]);
            }
            let n = if row.n > 0 { row.n.to_string() } else { dash() };
            cells.extend([n, time(row.base.as_ref())]);
        }
        cells.extend([time(row.head.as_ref()), rate(row.head.as_ref()), share(row.head.as_ref()), proof(row)]);
        table.row(cells);
    }
    table.to_string()
}

fn dash() -> String {
    "-".to_owned()
}

fn time(figures: Option<&Figures>) -> String {
    figures.map_or_else(dash, Figures::shown_time)
}

fn rate(figures: Option<&Figures>) -> String {
    figures.and_then(|figures| figures.rate).map_or_else(dash, |(rate, unit)| unit.show(rate))
}

fn share(figures: Option<&Figures>) -> String {
    figures.and_then(|figures| figures.share).map_or_else(dash, |share| format!("{:.1} %", 100.0 * share))
}

/// "1.2e-7 of 3.0e-6": the largest error found, of the largest allowed; "exact" where none is allowed; or "unproved".
fn proof(row: &Row) -> String {
    let Some(figures) = row.head.as_ref().or(row.base.as_ref()) else { return dash() };
    match &figures.proof {
        None => "unproved".to_owned(),
        Some(proof) => match proof.error {
            Some(error) if error == 0.0 && proof.tolerance == 0.0 => "exact".to_owned(),
            Some(error) => format!("{error:.1e} of {:.1e}", proof.tolerance),
            None => proof.method.clone(),
        },
    }
}

/// What stands out: the reason of every row that is not simply the same, worse metrics, the largest unproven change,
/// and ceilings that cannot be.
pub(super) fn remarks(entry: &Entry, labels: &Labels) -> Vec<String> {
    let rows = || entry.rows.iter().zip(&labels.labels);
    let mut remarks = Vec::new();
    let silent = |verdict| matches!(verdict, Verdict::Same | Verdict::NotFlagged | Verdict::New);
    for (row, label) in rows().filter(|(row, _)| !silent(row.verdict)) {
        remarks.push(format!("{}: {label}: {}", row.verdict, reason(&row.why)));
        if let Some(why) = &row.accepted {
            remarks.push(format!("  accepted: {}", reason(why)));
        }
    }
    // A program is one for many benchmarks: equal growth of several is one remark.
    let mut worse: Vec<(&'static str, String, Vec<String>)> = Vec::new();
    for (row, label) in rows() {
        for change in row.metrics.iter().filter(|change| change.worse) {
            let (kind, values) = (growth(change), grown_values(change));
            match worse.iter_mut().find(|known| (known.0, &known.1) == (kind, &values)) {
                Some((.., labels)) => labels.push(label.clone()),
                None => worse.push((kind, values, vec![label.clone()])),
            }
        }
    }
    remarks.extend(worse.iter().map(|(kind, values, labels)| format!("{kind}: {}: {values}", listed(labels))));
    let unproven = rows().filter(|(row, _)| matches!(row.verdict, Verdict::Inconclusive | Verdict::NotFlagged));
    if let Some((label, effect)) =
        unproven.filter_map(|(row, label)| Some((label, row.effect?))).max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
    {
        remarks.push(format!("largest change not proven: {label} {}", percent(effect)));
    }
    remarks.extend(ceiling::erratum(entry).map(|said| format!("wrong ceiling: {said}")));
    remarks
}

/// A metric that its rule calls worse.
pub(super) fn grown(label: &str, change: &Change) -> String {
    format!("{}: {label}: {}", growth(change), grown_values(change))
}

/// Whether growth fails a gate, in a word.
fn growth(change: &Change) -> &'static str {
    if change.gates { "WORSE" } else { "larger" }
}

/// "allocations 1 -> 3 (may grow by 0 %)".
pub(super) fn grown_values(change: &Change) -> String {
    let show = |value: Option<f64>| value.map_or_else(|| "not measured".to_owned(), |v| change.unit.show(v));
    format!("{} {} -> {} ({})", change.name, show(change.base), show(change.head), change.rule)
}

/// What the terminal shows.
pub fn terminal(entry: &Entry) -> String {
    let mut text = if entry.others.is_empty() { one_base(entry) } else { several_bases(entry) };
    if let Some(reason) = &entry.contaminated {
        let _ = write!(text, "\nNO VERDICT: {}\n", plain(reason));
    }
    entry.notes.iter().for_each(|note| writeln!(text, "note: {}", plain(note)).unwrap_or_default());
    let _ = write!(text, "\n{}", method(entry));
    text
}

fn one_base(entry: &Entry) -> String {
    let labels = Labels::of(&entry.rows);
    let mut text = format!("{}\n\n", sentence(entry));
    if !labels.prefix.is_empty() {
        let _ = writeln!(text, "below {}", labels.prefix);
    }
    if !entry.rows.is_empty() {
        text.push_str(&table(&entry.rows, &labels, Face::Terminal));
    }
    let remarks = remarks(entry, &labels);
    if !remarks.is_empty() {
        text.push('\n');
        remarks.iter().for_each(|remark| writeln!(text, "{remark}").unwrap_or_default());
    }
    text
}

/// A sentence for each base, one table, and then what stands out against each.
fn several_bases(entry: &Entry) -> String {
    let comparisons = entry.comparisons();
    let label = |entry: &Entry| entry.base.as_ref().map_or_else(String::new, |base| plain(&base.label));
    let mut text = String::new();
    for entry in &comparisons {
        let _ = writeln!(text, "against {}: {}", label(entry), sentence(entry));
    }
    let (table, prefix) = several::table(&comparisons);
    let _ = write!(text, "\n{}{table}", if prefix.is_empty() { String::new() } else { format!("below {prefix}\n") });
    for entry in &comparisons {
        let remarks = remarks(entry, &Labels::of(&entry.rows));
        if !remarks.is_empty() {
            let _ = writeln!(text, "\nagainst {}:", label(entry));
            remarks.iter().for_each(|remark| writeln!(text, "{remark}").unwrap_or_default());
        }
    }
    text
}

/// How the numbers came about.
pub(super) fn method(entry: &Entry) -> String {
    let took = minutes(entry.measured_s);
    let Some(method) = &entry.method else {
        let processes = entry.rows.iter().filter_map(|row| row.head.as_ref()).map(|figures| figures.n).max();
        return processes.map_or_else(
            || {
                if entry.is_all_trouble() { "nothing could be measured" } else { "nothing had to be measured" }
                    .to_owned()
            },
            |n| format!("{n} fresh processes per benchmark, in random order; {took} of measurement"),
        );
    };
    let screen = method.screen_blocks.map_or_else(String::new, |blocks| format!("screen of {blocks} blocks, then "));
    let links =
        if method.links > 1 { format!("{} links per side", method.links) } else { "one link per side".to_owned() };
    let family = if method.family > 0 { format!(", Holm over {}", method.family) } else { String::new() };
    let discarded = if method.discarded + method.disturbed > 0 {
        format!(", {} blocks measured again and {} kept under disturbance", method.discarded, method.disturbed)
    } else {
        String::new()
    };
    format!(
        "{screen}{} blocks of 4 processes, {links}{family}, smallest attainable p {:.1e}{discarded}; {} of measurement",
        method.blocks, method.smallest_p, took
    )
}

/// Seconds as "1 min 5 s".
pub fn minutes(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    if whole >= 60 { format!("{} min {} s", whole / 60, whole % 60) } else { format!("{whole} s") }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::example;
    use super::*;

    #[test]
    fn reasons_name_effect_margin_and_family() {
        let entry = example();
        let remarks = remarks(&entry, &Labels::of(&entry.rows));
        assert!(
            remarks[0].contains("+12.7 % over 12 blocks, beyond the margin 3.0 %, p 0.0007 after Holm over 3"),
            "{remarks:?}"
        );
        assert!(remarks.iter().any(|remark| remark.contains("element 3 is 1.5")));
    }

    #[test]
    fn equal_growth_of_several_benchmarks_is_one_remark() {
        let mut entry = crate::report::example_full();
        let of = |entry: &Entry| -> Vec<String> {
            let remarks = remarks(entry, &Labels::of(&entry.rows));
            remarks.into_iter().filter(|r| r.starts_with("WORSE") || r.starts_with("larger")).collect()
        };
        let change = entry.rows.iter().flat_map(|row| &row.metrics).find(|change| change.worse).cloned();
        let change = change.expect("the example has a metric that became worse");
        entry.rows.iter_mut().for_each(|row| row.metrics = vec![change.clone()]);
        let said = of(&entry);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains(&format!("and {} more: {}", entry.rows.len() - 3, change.name)), "{said:?}");
        entry.rows[0].metrics[0].head = entry.rows[0].metrics[0].head.map(|value| value + 1000.0);
        assert_eq!(of(&entry).len(), 2);
    }

    #[test]
    fn a_terminal_is_never_given_another_programs_control_characters() {
        let mut entry = example();
        entry.rows[0].id = "a\u{1b}]0;title\u{7}".into();
        entry.rows[3].why = "\u{1b}[31mred\nand more".into();
        entry.notes.push("\u{9b}2J".into());
        entry.contaminated = Some("\u{1b}c".into());
        let text = terminal(&entry);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert!(text.contains("\\u{1b}]0;title\\u{7}") && text.contains("\\u{1b}[31mred and more"), "{text}");
    }

    #[test]
    fn a_long_id_does_not_widen_the_table() {
        let mut entry = example();
        entry.rows[0].id = "x".repeat(300);
        let widest =
            terminal(&entry).lines().filter(|line| line.starts_with('|')).map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|width| width < 220), "{widest:?}");
    }

    #[test]
    fn an_exact_proof_is_called_exact() {
        let mut entry = crate::report::golden::full();
        let proof_of = |entry: &Entry| proof(&entry.rows[0]);
        assert_eq!(proof_of(&entry), "1.2e-7 of 3.0e-6");
        let figures = entry.rows[0].head.as_mut().and_then(|figures| figures.proof.as_mut()).unwrap();
        (figures.error, figures.tolerance) = (Some(0.0), 0.0);
        assert_eq!(proof_of(&entry), "exact");
    }

    #[test]
    fn times_read_as_minutes() {
        assert_eq!((minutes(5.2), minutes(65.0)), ("5 s".to_owned(), "1 min 5 s".to_owned()));
    }
}
