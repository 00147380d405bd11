//! The index at the top of a log: its titles, what each found last, and errata.
//!
//! Only a file that this tool began has one: another's first lines belong to its people. It is derived from the entries
//! and their data, so it can be written again at any time (`log index`), for example after two branches were merged.
//! Entries are never changed; what is later found to be wrong in one is said here.

use std::ops::Range;

use record::{Align, Table};

use super::markdown::{self, HEAD};
use crate::report::{Entry, erratum, plain, sentence};

/// First line of the index.
const BEGIN: &str = "<!-- assay:index -->";
/// Last line of the index.
const END: &str = "<!-- assay:index end -->";
/// Longest change and finding in the table. Characters.
const CELL: usize = 90;

/// Whether the tool began this text.
pub(super) fn is_ours(text: &str) -> bool {
    head_length(text).is_some()
}

/// Bytes of [`HEAD`] at the beginning of `text`, whose line ends may be those of Windows.
fn head_length(text: &str) -> Option<usize> {
    let mut length = 0;
    let mut lines = text.split_inclusive('\n');
    for expected in HEAD.lines() {
        let line = lines.next()?;
        (line.trim_end_matches(['\r', '\n']) == expected).then_some(())?;
        length += line.len();
    }
    Some(length)
}

/// Where the index stands, from its first line to the end of its last.
fn found(text: &str) -> Option<Range<usize>> {
    let head = head_length(text)?;
    let rest = &text[head..];
    let begin = head + (rest.len() - rest.trim_start().len());
    text[begin..].starts_with(BEGIN).then_some(())?;
    let end = begin + text[begin..].find(END)? + END.len();
    Some(begin..end)
}

/// Whether `text` begins an index that it does not end, so that nobody can say what is index and what is entry.
pub(super) fn is_torn(text: &str) -> bool {
    head_length(text).is_some_and(|head| text[head..].trim_start().starts_with(BEGIN)) && found(text).is_none()
}

/// Whether `text` has an index.
pub(super) fn exists(text: &str) -> bool {
    found(text).is_some()
}

/// `text` with an index that says what its entries and their data say. A text that the tool did not begin, or whose
/// index is torn, stays as it is; so does one without entries of ours.
pub(super) fn renewed(text: &str, data: &[&Entry]) -> String {
    let Some(head) = head_length(text).filter(|_| !is_torn(text)) else { return text.to_owned() };
    let index = rendered(text, data);
    let index = if text.contains("\r\n") { index.replace('\n', "\r\n") } else { index };
    match found(text) {
        Some(range) => format!("{}{index}{}", &text[..range.start], &text[range.end..]),
        None if markdown::entries(text).iter().all(|entry| entry.id.is_none()) => text.to_owned(),
        None => {
            let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
            format!("{}{line_end}{index}{line_end}{}", &text[..head], &text[head..])
        }
    }
}

/// The index, without a line end behind it.
fn rendered(text: &str, data: &[&Entry]) -> String {
    let entries = markdown::entries(text);
    let of_id = |id: &Option<String>| data.iter().find(|entry| Some(&entry.id) == id.as_ref());
    let mut table = Table::new([
        ("title", Align::Left),
        ("entries", Align::Right),
        ("last entry", Align::Left),
        ("change", Align::Left),
        ("found", Align::Left),
    ]);
    for group in markdown::groups(text) {
        // History that people keep in their own words beside ours is theirs to list.
        let members: Vec<_> = entries.iter().filter(|entry| entry.title == group.title && entry.id.is_some()).collect();
        if members.is_empty() {
            continue;
        }
        let last = members.iter().rev().find_map(|member| of_id(&member.id));
        let short = |text: &str| chart::shorten(&plain(text), CELL).replace('<', "&lt;");
        table.row([
            format!("[{}](#{})", link_text(&group.title), anchor(&group.title)),
            members.len().to_string(),
            last.map_or_else(|| "-".to_owned(), |entry| entry.at.clone()),
            last.map_or_else(|| "-".to_owned(), |entry| short(&entry.change)),
            last.map_or_else(|| "-".to_owned(), |entry| short(&sentence(entry))),
        ]);
    }
    let mut index = format!("{BEGIN}\n{table}");
    let errata: Vec<String> = entries
        .iter()
        .filter_map(|found| of_id(&found.id))
        .filter_map(|entry| {
            Some(format!("- {}, \"{}\": {}\n", entry.at, plain(&entry.change).replace('<', "&lt;"), erratum(entry)?))
        })
        .collect();
    if !errata.is_empty() {
        index.push_str("\n**Errata** in entries, which stay as they were written:\n\n");
        index.extend(errata);
    }
    index.push_str(END);
    index
}

/// A title as the text of a link.
fn link_text(title: &str) -> String {
    title.replace('[', "\\[").replace(']', "\\]").replace('<', "&lt;")
}

/// The name by which forges link a heading: lower case, spaces as hyphens, nothing but letters, digits, `-` and `_`.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{example_entry, markdown as entry_text};

    fn log(entry: &Entry) -> String {
        markdown::insert(HEAD, &entry.title, &entry_text(entry).unwrap())
    }

    #[test]
    fn only_a_log_that_the_tool_began_has_an_index_and_no_other_byte_changes() {
        let entry = example_entry();
        let text = log(&entry);
        let with = renewed(&text, &[&entry]);
        let range = found(&with).unwrap();
        assert_eq!(format!("{}{}", &with[..range.start - 1], &with[range.end + 1..]), text);
        assert!(
            with[range]
                .contains("| [Title](#title) |       1 | 2026-01-31 12:34:56 | a change | 4 benchmarks: 1 slower")
        );
        assert_eq!(renewed(&with, &[&entry]), with, "writing it again changes nothing");
        let foreign = markdown::insert("# Our log\n", "Title", "### a\n");
        assert_eq!(renewed(&foreign, &[&entry]), foreign);
        assert_eq!(renewed(HEAD, &[]), HEAD, "no titles, no index");
    }

    #[test]
    fn an_index_follows_the_line_ends_and_a_torn_one_is_left_alone() {
        let entry = example_entry();
        let windows = renewed(&log(&entry).replace('\n', "\r\n"), &[&entry]);
        assert!(exists(&windows) && !windows.replace("\r\n", "").contains('\n'));
        assert_eq!(renewed(&windows, &[&entry]), windows);
        let torn = renewed(&log(&entry), &[&entry]).replace(END, "");
        assert!(is_torn(&torn));
        assert_eq!(renewed(&torn, &[&entry]), torn);
    }

    #[test]
    fn a_share_above_the_ceiling_is_an_erratum() {
        let mut entry = crate::report::example_full();
        entry.render = 1;
        assert!(!renewed(&log(&entry), &[&entry]).contains("Errata"));
        entry.rows[0].head.as_mut().unwrap().share = Some(1.107);
        let text = renewed(&log(&entry), &[&entry]);
        assert!(text.contains("**Errata** in entries") && text.contains("\"a change\": it shows 110.7 %"), "{text}");
    }

    #[test]
    fn titles_become_links_as_forges_make_them() {
        assert_eq!(anchor("f32 GEMM, one call"), "f32-gemm-one-call");
        assert_eq!(anchor("a | `b` # c_d"), "a--b--c_d");
        assert_eq!(link_text("u64[0] <T>"), "u64\\[0\\] &lt;T>");
    }
}
