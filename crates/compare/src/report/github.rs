//! GitHub: a step summary, a comment, annotations at the bench's line.

use std::fmt::Write;

use record::{Align, Table};

use super::entry::Entry;
use super::label::{Labels, code, no_tags, plain, reason as shown_reason};
use super::row::Row;
use super::sentence::sentence;
use super::text::{self, Face};
use crate::exit::Exit;
use crate::judge::Verdict;

/// First line of a comment, by which the next run finds and edits it instead of adding another.
pub const MARKER: &str = "<!-- assay-gate:v1 -->";
/// GitHub rejects a step summary above 1 MiB, and with it the whole upload.
const SUMMARY_LIMIT: usize = 1_000_000;
/// GitHub rejects a comment above 65536 characters.
const COMMENT_LIMIT: usize = 65_000;
/// Characters of an id in an annotation.
const ANNOTATED: usize = 120;

/// The step summary: headline, what stands out, all rows folded away.
pub fn summary(entry: &Entry) -> String {
    let labels = Labels::of(&entry.rows);
    let mut text = headline(entry);
    let _ = write!(
        text,
        "\n{}\n<details><summary>All {} rows{}</summary>\n\n{}\n</details>\n",
        notable(entry, &labels),
        entry.rows.len(),
        if labels.prefix.is_empty() {
            String::new()
        } else {
            format!(", names below <code>{}</code>", no_tags(&labels.prefix))
        },
        text::table(&entry.rows, &labels, Face::Markdown)
    );
    if !entry.notes.is_empty() {
        text.push_str("\n<details><summary>Notes</summary>\n\n");
        entry.notes.iter().for_each(|note| writeln!(text, "- {}", no_tags(&plain(note))).unwrap_or_default());
        text.push_str("\n</details>\n");
    }
    cut(text, SUMMARY_LIMIT)
}

/// The comment: the same without the full table.
pub fn comment(entry: &Entry) -> String {
    cut(format!("{MARKER}\n{}\n{}", headline(entry), notable(entry, &Labels::of(&entry.rows))), COMMENT_LIMIT)
}

/// Workflow commands that mark the lines of benchmarks that failed.
pub fn annotations(entry: &Entry) -> Vec<String> {
    let annotate = |row: &Row| {
        let kind = match row.exit() {
            Exit::Fine if row.verdict == Verdict::Slower => "warning",
            Exit::Fine => return None,
            Exit::Regression if entry.contaminated.is_some() => "warning",
            _ => "error",
        };
        let place = row
            .source
            .as_ref()
            .map_or_else(String::new, |source| format!(" file={},line={}", property(&source.file), source.line));
        let separator = if place.is_empty() { " " } else { "," };
        let (kind_of, why) = reason(row);
        let title = property(&format!("{kind_of}: {}", chart::shorten(&plain(&row.id), ANNOTATED)));
        let accepted = accepted(row);
        Some(format!("::{kind}{place}{separator}title={title}::{}", data(&format!("{why}{accepted}"))))
    };
    entry.rows.iter().filter_map(annotate).collect()
}

/// What a row is annotated as, and why: its verdict, or the metrics that grew.
fn reason(row: &Row) -> (String, String) {
    let grown = row.metrics.iter().filter(|change| change.worse && change.gates && row.verdict != Verdict::Slower);
    let grown: Vec<String> = grown.map(|change| text::grown(&plain(&row.id), change)).collect();
    if grown.is_empty() {
        (row.verdict.to_string(), shown_reason(&row.why))
    } else {
        ("WORSE".to_owned(), grown.join("; "))
    }
}

/// " (accepted: reason)" where a regression is accepted.
fn accepted(row: &Row) -> String {
    row.accepted.as_ref().map_or_else(String::new, |reason| format!(" (accepted: {})", plain(reason)))
}

fn headline(entry: &Entry) -> String {
    let state = match entry.exit() {
        Exit::Fine => "✅ nothing proven worse",
        Exit::Regression => "❌ proven regression",
        Exit::Invalid => "❌ wrong output, or a benchmark is missing",
        _ => "⚠️ no verdict: this run cannot be trusted",
    };
    let base = entry.base.as_ref().map_or("nothing", |base| base.label.as_str());
    let mut text = format!(
        "### Benchmarks: {state}\n\n{}. {} → {} on {}\n",
        sentence(entry),
        code(base),
        code(&entry.head.label),
        code(&entry.machine_class)
    );
    if let Some(reason) = &entry.contaminated {
        let _ = writeln!(text, "\n{}", no_tags(&plain(reason)));
    }
    text
}

/// The rows that a reader must see.
fn notable(entry: &Entry, labels: &Labels) -> String {
    let mut table = Table::new([
        ("benchmark", Align::Left),
        ("verdict", Align::Left),
        ("time change", Align::Right),
        ("95 % interval", Align::Right),
        ("why", Align::Left),
    ]);
    let shown = entry.rows.iter().filter(|row| {
        row.exit() != Exit::Fine
            || row.accepted.is_some()
            || matches!(row.verdict, Verdict::Slower | Verdict::Faster | Verdict::Invalid | Verdict::Timeout)
    });
    for row in shown {
        table.row([
            code(&chart::shorten(&plain(&row.id), ANNOTATED)),
            format!("{}{}", row.verdict, no_tags(&accepted(row))),
            row.shown_effect(),
            row.shown_interval(),
            no_tags(&shown_reason(&row.why)),
        ]);
    }
    let mut text = if table.is_empty() { String::new() } else { table.to_string() };
    for remark in text::remarks(entry, labels)
        .iter()
        .filter(|remark| ["WORSE", "largest", "wrong"].iter().any(|start| remark.starts_with(start)))
    {
        let _ = writeln!(text, "\n{}", no_tags(remark));
    }
    text
}

/// Cut at a line, under GitHub's limit, saying so.
fn cut(text: String, limit: usize) -> String {
    if text.len() <= limit {
        return text;
    }
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let end = text[..end].rfind('\n').unwrap_or(end);
    format!("{}\n\n(cut: the whole table is in the JSON of this run)\n", &text[..end])
}

/// Escapes the data of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::example;
    use super::*;
    use record::bench_row::SourceLine;

    #[test]
    fn failing_rows_are_annotated_at_their_line() {
        let mut entry = example();
        entry.rows[0].source = Some(SourceLine { file: "benches/a,b.rs".into(), line: 7 });
        let lines = annotations(&entry);
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].starts_with("::error file=benches/a%2Cb.rs,line=7,title=SLOWER%3A slow|er::+12.7 %25"),
            "{}",
            lines[0]
        );
        assert!(lines[1].starts_with("::error title=INVALID%3A broken::wrong output"), "{}", lines[1]);
        entry.rows[0].accepted = Some("known".into());
        assert!(annotations(&entry)[0].starts_with("::warning"));
    }

    #[test]
    fn the_summary_stays_under_the_limit_and_comments_carry_the_marker() {
        let mut entry = example();
        entry.rows = std::iter::repeat_with(|| entry.rows[0].clone()).take(20_000).collect();
        assert!(summary(&entry).len() <= 1 << 20);
        let comment = comment(&entry);
        assert!(comment.starts_with(MARKER) && comment.len() <= 65_536 && comment.contains("(cut:"));
    }

    #[test]
    fn accepted_regressions_are_told_with_their_reason() {
        let mut entry = example();
        entry.rows[0].accepted = Some("bounds checks, #12".into());
        assert!(summary(&entry).contains("SLOWER (accepted: bounds checks, #12)"));
    }
}
