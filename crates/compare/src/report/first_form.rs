//! The first form of a log entry, by which entries with `render` 1 were written. It is frozen: `log check` renders them
//! by it again, so not one word of what it prints may change. New entries take the form of `log_entry`.

use std::fmt::Write;

use record::{Align, Table};

use super::entry::Entry;
use super::figures::Figures;
use super::metrics::Change;
use super::row::Row;
use crate::judge::Verdict;

/// The entry as it stands in BENCHMARKS.md, from its heading to its last line.
pub(super) fn markdown(entry: &Entry) -> String {
    let mut text = format!("### {} - {}\n<!-- assay:{} -->\n\n", entry.at, entry.change, entry.id);
    text.push_str("| Metric | Value |\n|--------|-------|\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "| {name} | {} |", value.replace('|', "\\|").replace('\n', " "));
    };
    line("**Verdict**", &format!("**{}**", summary(&entry.rows)));
    if let Some(reason) = &entry.contaminated {
        line("**No verdict**", reason);
    }
    if let Some(base) = &entry.base {
        line("Before", &base.label);
    }
    line("After", &entry.head.label);
    line("Machine", &machine(entry));
    line("Toolchain", &entry.head.rustc);
    if let Some(base) = entry.base.as_ref().filter(|base| base.rustc != entry.head.rustc) {
        line("Toolchain before", &base.rustc);
    }
    line("Method", &method(entry));
    for remark in remarks(&entry.rows) {
        line("Remark", &remark);
    }
    let _ = write!(text, "\n{}\n<details><summary>How each verdict came about</summary>\n\n", table(&entry.rows));
    for row in &entry.rows {
        let _ = writeln!(
            text,
            "- `{}`: {}: {}{}",
            row.id.replace('\n', " "),
            row.verdict,
            row.why.replace('\n', " / "),
            ran(row)
        );
    }
    for note in &entry.notes {
        let _ = writeln!(text, "- Note: {}", note.replace('\n', " / "));
    }
    let _ = write!(text, "\n```bash\n{}\n```\n\n</details>\n", entry.command);
    text
}

/// One line: how many of each verdict.
fn summary(rows: &[Row]) -> String {
    let order = [
        Verdict::Slower,
        Verdict::Faster,
        Verdict::Same,
        Verdict::Inconclusive,
        Verdict::NotFlagged,
        Verdict::Invalid,
        Verdict::Timeout,
        Verdict::Gone,
        Verdict::New,
        Verdict::Skipped,
    ];
    let counts = order.iter().filter_map(|verdict| {
        let count = rows.iter().filter(|row| row.verdict == *verdict).count();
        (count > 0).then(|| format!("{count} {verdict}"))
    });
    let text = counts.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "no benchmarks".to_owned() } else { text }
}

/// The table of all rows.
fn table(rows: &[Row]) -> String {
    let compared = rows.iter().any(|row| row.base.is_some() || row.effect.is_some());
    let mut columns = vec![("benchmark", Align::Left)];
    if compared {
        columns.extend([
            ("verdict", Align::Left),
            ("time change", Align::Right),
            ("95 % interval", Align::Right),
            ("n", Align::Right),
            ("before", Align::Right),
        ]);
    } else {
        columns.push(("verdict", Align::Left));
    }
    columns.extend([
        ("after", Align::Right),
        ("rate", Align::Right),
        ("of ceiling", Align::Right),
        ("proof", Align::Left),
    ]);
    let mut table = Table::new(columns);
    for row in rows {
        let mark = if row.accepted.is_some() { " (accepted)" } else { "" };
        let mut cells = vec![row.id.clone(), format!("{}{mark}", row.verdict)];
        if compared {
            let n = if row.n > 0 { row.n.to_string() } else { "-".to_owned() };
            cells.extend([row.shown_effect(), row.shown_interval(), n, time(row.base.as_ref())]);
        }
        cells.extend([time(row.head.as_ref()), rate(row.head.as_ref()), share(row.head.as_ref()), proof(row)]);
        table.row(cells);
    }
    table.to_string()
}

fn time(figures: Option<&Figures>) -> String {
    figures.map_or_else(|| "-".to_owned(), Figures::shown_time)
}

fn rate(figures: Option<&Figures>) -> String {
    figures.and_then(|figures| figures.rate).map_or_else(|| "-".to_owned(), |(rate, unit)| unit.show(rate))
}

fn share(figures: Option<&Figures>) -> String {
    figures.and_then(|figures| figures.share).map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

/// "error 1.2e-7 of 3.0e-6" or "unproved".
fn proof(row: &Row) -> String {
    let Some(figures) = row.head.as_ref().or(row.base.as_ref()) else { return "-".to_owned() };
    match &figures.proof {
        None => "unproved".to_owned(),
        Some(proof) => match proof.error {
            Some(error) => format!("{error:.1e} of {:.1e}", proof.tolerance),
            None => proof.method.clone(),
        },
    }
}

/// What stands out: the reason of every row that is not simply the same, worse metrics, and the largest unproven move.
fn remarks(rows: &[Row]) -> Vec<String> {
    let mut remarks = Vec::new();
    for row in rows.iter().filter(|row| !matches!(row.verdict, Verdict::Same | Verdict::NotFlagged | Verdict::New)) {
        remarks.push(format!("{}: {}: {}", row.verdict, row.id, row.why));
        if let Some(reason) = &row.accepted {
            remarks.push(format!("  accepted: {reason}"));
        }
    }
    for row in rows {
        for change in row.metrics.iter().filter(|change| change.worse) {
            remarks.push(grown(row, change));
        }
    }
    let unproven = rows.iter().filter(|row| matches!(row.verdict, Verdict::Inconclusive | Verdict::NotFlagged));
    if let Some((row, effect)) =
        unproven.filter_map(|row| Some((row, row.effect?))).max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
    {
        remarks.push(format!("largest change not proven: {} {}", row.id, percent(effect)));
    }
    remarks
}

/// A metric that its rule calls worse.
fn grown(row: &Row, change: &Change) -> String {
    let show = |value: Option<f64>| value.map_or_else(|| "not measured".to_owned(), |v| change.unit.show(v));
    let kind = if change.gates { "WORSE" } else { "larger" };
    let (base, head) = (show(change.base), show(change.head));
    format!("{kind}: {}: {} {base} -> {head} ({})", row.id, change.name, change.rule)
}

fn method(entry: &Entry) -> String {
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
fn minutes(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    if whole >= 60 { format!("{} min {} s", whole / 60, whole % 60) } else { format!("{whole} s") }
}

fn machine(entry: &Entry) -> String {
    let processor = &entry.fingerprint.processor;
    let brand = processor.brand.as_deref().unwrap_or("unknown processor");
    format!("{brand}, {} threads, class `{}`", entry.fingerprint.allowed_threads, entry.machine_class)
}

/// What ran, where the code that ran says so.
fn ran(row: &Row) -> String {
    let Some(figures) = row.head.as_ref().filter(|figures| !figures.ran.is_empty()) else { return String::new() };
    let fields = figures.ran.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ");
    format!("; ran: {fields}")
}

/// A ratio minus one as a percentage with sign.
fn percent(x: f64) -> String {
    format!("{:+.1} %", 100.0 * x)
}
