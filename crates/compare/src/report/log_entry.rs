//! The entry as it stands in BENCHMARKS.md: at a glance what happened, and everything else folded away, once.
//!
//! The shape is the one that people's logs had before this tool: a heading with time and change, a table of metrics and
//! their values, details folded. The metrics are the verdict in a sentence, each benchmark that moved, and memory.
//!
//! An entry's `render` names its form. Every form ever written stays renderable, so that `log check` can compare the
//! text of an old entry with its data to the last byte.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::entry::Entry;
use super::figures::Figures;
use super::label::{Labels, code, no_tags, plain, reason};
use super::metrics::{Change, MEMORY};
use super::row::Row;
use super::sentence::sentence;
use super::{ceiling, first_form, text};
use crate::judge::Verdict;

/// Benchmarks that are named above the fold.
const SHOWN: usize = 12;
/// Benchmarks that are named in one remark.
const NAMED: usize = 6;

/// The entry in the form that it was first written in, from its heading to its last line. `None` if a later version of
/// the tool wrote it in a form that this one does not know.
pub fn markdown(entry: &Entry) -> Option<String> {
    match entry.render {
        1 => Some(first_form::markdown(entry)),
        2 => Some(second_form(entry)),
        _ => None,
    }
}

fn second_form(entry: &Entry) -> String {
    let labels = Labels::of(&entry.rows);
    let mut text = format!("### {} - {}\n<!-- assay:{} -->\n\n", entry.at, plain(&entry.change), entry.id);
    text.push_str("| Metric | Value |\n|--------|-------|\n");
    let mut line = |name: &str, value: &str| {
        let [name, value] = [name, value].map(|cell| plain(cell).replace('|', "\\|"));
        let _ = writeln!(text, "| {name} | {value} |");
    };
    if let Some(why) = &entry.contaminated {
        line("**No verdict**", &no_tags(why));
    }
    line("**Verdict**", &format!("**{}**", sentence(entry)));
    let moved = moved(entry);
    let (named, unnamed) = moved.split_at(moved.len().min(SHOWN));
    for &at in named {
        line(&format!("**{}**", code(&labels.labels[at])), &value(&entry.rows[at]));
    }
    if !unnamed.is_empty() {
        line("…", &format!("{} more below", unnamed.len()));
    }
    if let Some(unproven) = largest_unproven(&entry.rows) {
        line("Not proven", &format!("{} {}", code(&labels.labels[unproven]), change_of(&entry.rows[unproven])));
    }
    if let Some(memory) = memory(&entry.rows, &labels) {
        line("Memory", &memory);
    }
    for (name, rows) in other_metrics(&entry.rows) {
        let named = rows.iter().take(NAMED);
        let named: Vec<String> =
            named.map(|(at, change)| format!("{} {}", code(&labels.labels[*at]), values(change))).collect();
        line(&name, &format!("**more** in {}: {}{}", rows.len(), named.join("; "), more(rows.len())));
    }
    if !labels.prefix.is_empty() {
        line("Names", &format!("below {}", code(&labels.prefix)));
    }
    if let Some(base) = &entry.base {
        line("Before", &no_tags(&base.label));
    }
    line("After", &no_tags(&entry.head.label));
    line("Machine", &machine(entry));
    text.push_str(&details(entry, &labels, named));
    text
}

/// Rows that a reader must see, worst first: what became slower, what gave no number, what became faster. Of a first
/// entry, all that were recorded.
pub(super) fn moved(entry: &Entry) -> Vec<usize> {
    let rank = |row: &Row| match row.verdict {
        Verdict::Slower => Some(0),
        Verdict::Invalid | Verdict::Timeout | Verdict::Gone => Some(1),
        Verdict::Faster => Some(2),
        Verdict::New if entry.base.is_none() => Some(3),
        _ => None,
    };
    let mut moved: Vec<(usize, u8)> =
        entry.rows.iter().enumerate().filter_map(|(at, row)| rank(row).map(|rank| (at, rank))).collect();
    let size = |at: usize| entry.rows[at].effect.map_or(0.0, |effect| effect.ln_1p().abs());
    moved.sort_by(|a, b| a.1.cmp(&b.1).then(size(b.0).total_cmp(&size(a.0))).then(a.0.cmp(&b.0)));
    moved.into_iter().map(|(at, _)| at).collect()
}

/// "**7.026 ms → 2.610 ms, -63.2 %** (-63.7 % .. -62.8 %)", or what stands in its place.
fn value(row: &Row) -> String {
    let accepted =
        row.accepted.as_ref().map_or_else(String::new, |why| format!(", accepted: {}", no_tags(&reason(why))));
    match (row.verdict, &row.base, &row.head) {
        (Verdict::Slower | Verdict::Faster, Some(base), Some(head)) => {
            let interval = row.ci.map_or_else(String::new, |_| format!(" ({})", row.shown_interval()));
            let word = if row.verdict == Verdict::Slower { ", slower" } else { "" };
            let advisory = if row.advisory { ", advisory: too noisy to gate" } else { "" };
            let (before, after) = (base.shown_time(), head.shown_time());
            format!("**{before} → {after}, {}**{interval}{word}{advisory}{accepted}", row.shown_effect())
        }
        (Verdict::New, _, Some(head)) => {
            let rate = head.rate.map_or_else(String::new, |(rate, unit)| format!(", {}", unit.show(rate)));
            let share = head.share.map_or_else(String::new, |share| format!(", {:.1} % of the ceiling", 100.0 * share));
            format!("**{}**{rate}{share}", head.shown_time())
        }
        _ => format!("**{}**: {}{accepted}", row.verdict, no_tags(&reason(&row.why))),
    }
}

/// "-5.5 % (-14.7 % .. +5.2 %)".
fn change_of(row: &Row) -> String {
    let interval = row.ci.map_or_else(String::new, |_| format!(" ({})", row.shown_interval()));
    format!("{}{interval}", row.shown_effect())
}

/// The unproven row that moved most.
fn largest_unproven(rows: &[Row]) -> Option<usize> {
    let unproven =
        rows.iter().enumerate().filter(|(_, row)| matches!(row.verdict, Verdict::Inconclusive | Verdict::NotFlagged));
    let effects = unproven.filter_map(|(at, row)| Some((at, row.effect?)));
    effects.max_by(|a, b| a.1.ln_1p().abs().total_cmp(&b.1.ln_1p().abs())).map(|(at, _)| at)
}

/// Rows with metrics of a kind that grew beyond their rule.
fn grown<'a>(rows: &'a [Row], of: &dyn Fn(&Change) -> bool) -> Vec<(usize, Vec<&'a Change>)> {
    let changes = |row: &'a Row| row.metrics.iter().filter(|change| change.worse && of(change)).collect::<Vec<_>>();
    rows.iter().enumerate().map(|(at, row)| (at, changes(row))).filter(|(_, changes)| !changes.is_empty()).collect()
}

/// One line about memory: what grew, else that nothing did, else what one side takes; `None` if nothing was measured.
fn memory(rows: &[Row], labels: &Labels) -> Option<String> {
    let is_memory = |change: &Change| MEMORY.contains(&change.name.as_str());
    let grown = grown(rows, &is_memory);
    if !grown.is_empty() {
        let named = grown.iter().take(NAMED);
        let named: Vec<String> =
            named.map(|(at, changes)| format!("{} {}", code(&labels.labels[*at]), shown_all(changes))).collect();
        return Some(format!(
            "**more** in {} of {}: {}{}",
            grown.len(),
            rows.len(),
            named.join("; "),
            more(grown.len())
        ));
    }
    let both = |change: &Change| is_memory(change) && change.base.is_some() && change.head.is_some();
    let compared = rows.iter().filter(|row| row.metrics.iter().any(both)).count();
    if compared > 0 {
        return Some(format!("not more in any of {compared}"));
    }
    let peaks = rows.iter().filter_map(|row| row.head.as_ref()?.peak_rss_bytes);
    let peak = peaks.fold(None, |most: Option<f64>, peak| Some(most.map_or(peak, |most| most.max(peak))))?;
    Some(format!("at most {} in a process", record::Unit::Bytes.show(peak)))
}

/// "; 3 more below", where more than are named.
fn more(n: usize) -> String {
    if n > NAMED { format!("; {} more below", n - NAMED) } else { String::new() }
}

/// "allocations 1 → 3, allocated 64 B → 192 B".
fn shown_all(changes: &[&Change]) -> String {
    let shown = |change: &&Change| {
        let name = match change.name.as_str() {
            "allocated_bytes" => "allocated",
            "peak_rss_bytes" => "peak",
            name => name,
        };
        format!("{name} {}", values(change))
    };
    changes.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// "1 → 3".
fn values(change: &Change) -> String {
    let show = |value: Option<f64>| value.map_or_else(|| "not measured".to_owned(), |value| change.unit.show(value));
    let gates = if change.gates { "" } else { " (reported only)" };
    format!("{} → {}{gates}", show(change.base), show(change.head))
}

/// Metrics other than time and memory that grew, by name.
fn other_metrics(rows: &[Row]) -> BTreeMap<String, Vec<(usize, &Change)>> {
    let mut lines: BTreeMap<String, Vec<(usize, &Change)>> = BTreeMap::new();
    for (at, changes) in grown(rows, &|change| !MEMORY.contains(&change.name.as_str())) {
        for change in changes {
            let name = if change.name == "program_bytes" { "Program".to_owned() } else { capitalized(&change.name) };
            lines.entry(name).or_default().push((at, change));
        }
    }
    lines
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn machine(entry: &Entry) -> String {
    let brand = entry.fingerprint.processor.brand.as_deref().unwrap_or("unknown processor");
    format!("{brand}, {} threads, class {}", entry.fingerprint.allowed_threads, code(&entry.machine_class))
}

/// Everything else, once: the table of all rows, what the table cannot say, how it was measured, how to repeat it.
fn details(entry: &Entry, labels: &Labels, named: &[usize]) -> String {
    let mut text = format!("\n<details><summary>All {} rows, method and command</summary>\n\n", entry.rows.len());
    if !entry.rows.is_empty() {
        let _ = writeln!(text, "{}", text::table(&entry.rows, labels, text::Face::Log));
    }
    for remark in remarks(entry, labels, named) {
        let _ = writeln!(text, "- {}", plain(&remark));
    }
    let _ = writeln!(text, "- Method: {}", text::method(entry));
    let _ = writeln!(text, "- Toolchain: {}", plain(&entry.head.rustc));
    if let Some(base) = entry.base.as_ref().filter(|base| base.rustc != entry.head.rustc) {
        let _ = writeln!(text, "- Toolchain before: {}", plain(&base.rustc));
    }
    for note in &entry.notes {
        let _ = writeln!(text, "- Note: {}", no_tags(&plain(note)));
    }
    let _ = write!(text, "\n```bash\n{}\n```\n\n</details>\n", plain(&entry.command));
    text
}

/// What the table has no column for and the lines above did not say: reasons without numbers, decisions, further
/// metrics that grew, what ran, ceilings that cannot be. `named` rows stand above.
fn remarks(entry: &Entry, labels: &Labels, named: &[usize]) -> Vec<String> {
    let mut remarks = Vec::new();
    let unsaid = || entry.rows.iter().enumerate().filter(|(at, _)| !named.contains(at));
    let untested = unsaid().filter(|(_, row)| row.effect.is_none());
    let why = |row: &Row| format!("{}: {}", row.verdict, no_tags(&reason(&row.why)));
    remarks.extend(grouped(untested.map(|(at, row)| (at, why(row))), labels));
    let advisory = unsaid().filter(|(_, row)| row.advisory);
    remarks.extend(grouped(advisory.map(|(at, _)| (at, "Advisory, too noisy to gate".to_owned())), labels));
    for (at, row) in unsaid() {
        if let Some(why) = &row.accepted {
            remarks.push(format!("Accepted: {}: {}", code(&labels.labels[at]), no_tags(&reason(why))));
        }
    }
    let of_memory = grown(&entry.rows, &|change| MEMORY.contains(&change.name.as_str()));
    for (at, changes) in of_memory.iter().skip(NAMED) {
        remarks.push(format!("More memory: {} {}", code(&labels.labels[*at]), shown_all(changes)));
    }
    for (name, rows) in other_metrics(&entry.rows) {
        for (at, change) in rows.iter().skip(NAMED) {
            remarks.push(format!("{name}: {} {}", code(&labels.labels[*at]), values(change)));
        }
    }
    let ran = entry.rows.iter().enumerate().filter_map(|(at, row)| Some((at, row.head.as_ref().and_then(ran)?)));
    remarks.extend(grouped(ran, labels));
    remarks.extend(ceiling::erratum(entry).map(|said| format!("Ceiling: {said}")));
    remarks
}

/// "Ran isa avx2, kernel packed, threads 1", where the code that ran says so.
fn ran(figures: &Figures) -> Option<String> {
    let fields: Vec<String> = figures.ran.iter().map(|(key, value)| format!("{key} {}", no_tags(value))).collect();
    (!fields.is_empty()).then(|| format!("Ran {}", fields.join(", ")))
}

/// Equal remarks about different rows as one, in the order in which they first occur.
fn grouped(remarks: impl Iterator<Item = (usize, String)>, labels: &Labels) -> Vec<String> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for (at, remark) in remarks {
        match groups.iter_mut().find(|(known, _)| *known == remark) {
            Some((_, rows)) => rows.push(at),
            None => groups.push((remark, vec![at])),
        }
    }
    let group = |(remark, rows): (String, Vec<usize>)| {
        if rows.len() == labels.labels.len() && rows.len() > 1 {
            return format!("{remark}: all");
        }
        let names: Vec<String> = rows.iter().map(|&at| code(&labels.labels[at])).collect();
        format!("{remark}: {}", names.join(", "))
    };
    groups.into_iter().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example_entry;
    use crate::report::golden::full;

    #[test]
    fn an_entry_has_a_heading_an_id_and_a_table_of_metrics() {
        let text = markdown(&example_entry()).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("### 2026-01-31 12:34:56 - a change"));
        assert_eq!(lines.next(), Some("<!-- assay:20260131T123456-0a1b2c -->"));
        assert!(
            text.contains("| Metric | Value |\n|--------|-------|\n| **Verdict** | **4 benchmarks: 1 slower"),
            "{text}"
        );
        assert!(text.contains("slow\\|er"), "a bar in an id must not open a column");
        assert!(text.ends_with("</details>\n"));
    }

    #[test]
    fn an_entry_says_nothing_twice() {
        let entry = full();
        let text = markdown(&entry).unwrap();
        let (glance, details) = text.split_once("<details>").unwrap();
        for (part, times) in [(glance, 1), (details, 1)] {
            assert_eq!(part.matches("+12.5 % .. +13.0 %").count(), times, "{text}");
        }
        assert_eq!(text.matches("wrong output: element 3 is 1.5, not 1.0").count(), 1, "{text}");
        assert_eq!(text.matches("64 B → 192 B").count(), 1, "{text}");
        assert_eq!(details.matches("Ran isa avx2").count(), 1, "{text}");
    }

    #[test]
    fn ids_of_any_kind_break_neither_table_nor_page() {
        let mut entry = full();
        for (row, id) in entry.rows.iter_mut().zip([
            "x".repeat(300),
            "a\u{1b}[2J\nb".to_owned(),
            "Vec<T>|`code`".to_owned(),
            format!("</details>{}", "\u{202e}"),
        ]) {
            row.id = id;
        }
        let text = markdown(&entry).unwrap();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let table: Vec<&str> =
            text.split_once("<details>").unwrap().1.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(table.len(), 6);
        assert!(table.iter().all(|line| columns(line) == columns(table[0])), "{text}");
        assert!(table.iter().all(|line| line.chars().count() < 300), "{text}");
        for line in text.lines().filter(|line| line.contains("</details>") && line.trim() != "</details>") {
            assert!(line.contains("`</details>"), "outside code it would end the fold: {line}");
        }
    }

    #[test]
    fn a_form_of_later_versions_is_not_guessed() {
        assert_eq!(markdown(&Entry { render: 99, ..example_entry() }), None);
    }
}
