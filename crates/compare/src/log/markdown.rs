//! BENCHMARKS.md as text: where groups and entries stand, and how one is added without touching another byte.
//!
//! The file is people's: `## title` opens a group, `### time - change` an entry in it. Headings inside fenced code do
//! not count. Entries that this tool wrote carry `<!-- assay:ID -->` under their heading; others are history.

use std::ops::Range;

/// What a new log begins with.
pub const HEAD: &str = "# Benchmark Results

This file tracks performance across changes to the codebase. Entries are written by the tool and checked against their
data (`log check`); each compares two revisions that were built and measured in the same run, in turns.

**How to use:**
1. Run a comparison BEFORE making changes, under a title of your choice
2. Make your changes
3. Run it AFTER with the SAME title: the state of the last entry under the title is measured again beside the new one

```bash
cargo assay compare --title \"<title>\" --change \"<description>\"
```

---
";

/// A group of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Text of the heading.
    pub title: String,
    /// Bytes from the heading to the next group's heading, or the end of the file.
    pub range: Range<usize>,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Title of its group; empty before the first group.
    pub title: String,
    /// Its id, if this tool wrote it.
    pub id: Option<String>,
    /// Bytes from its heading to the next heading of its level or above, or the end of the file.
    pub range: Range<usize>,
}

/// Headings of the second and third level outside fenced code, as (offset, level, text).
fn headings(text: &str) -> Vec<(usize, usize, &str)> {
    let mut found = Vec::new();
    let mut fence: Option<(char, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\r', '\n']);
        let shifted = bare.trim_start_matches(' ');
        let indent = bare.len() - shifted.len();
        let marker = shifted.chars().next().filter(|c| matches!(c, '`' | '~'));
        let run = marker.map_or(0, |c| shifted.chars().take_while(|other| *other == c).count());
        match (fence, marker) {
            (None, Some(c)) if indent < 4 && run >= 3 => fence = Some((c, run)),
            (Some((open, length)), Some(c)) if c == open && run >= length && shifted[run..].trim().is_empty() => {
                fence = None
            }
            (None, _) => {
                for (level, prefix) in [(2, "## "), (3, "### ")] {
                    if let Some(heading) = bare.strip_prefix(prefix) {
                        found.push((at, level, heading.trim()));
                    }
                }
            }
            _ => {}
        }
        at += line.len();
    }
    found
}

/// The groups, in order.
pub fn groups(text: &str) -> Vec<Group> {
    let starts: Vec<_> = headings(text).into_iter().filter(|(_, level, _)| *level == 2).collect();
    let ends = starts.iter().skip(1).map(|(at, ..)| *at).chain([text.len()]);
    let group =
        |((at, _, title), end): (&(usize, usize, &str), usize)| Group { title: (*title).to_owned(), range: *at..end };
    starts.iter().zip(ends).map(group).collect()
}

/// The entries, in order.
pub fn entries(text: &str) -> Vec<Found> {
    let headings = headings(text);
    let mut title = String::new();
    let mut found = Vec::new();
    for (index, (at, level, heading)) in headings.iter().enumerate() {
        if *level == 2 {
            title = (*heading).to_owned();
            continue;
        }
        let end = headings.get(index + 1).map_or(text.len(), |(next, ..)| *next);
        found.push(Found { title: title.clone(), id: id_of(&text[*at..end]), range: *at..end });
    }
    found
}

/// The id under an entry's heading.
fn id_of(entry: &str) -> Option<String> {
    let comment = entry.lines().nth(1)?.trim().strip_prefix("<!-- assay:")?.strip_suffix("-->")?;
    Some(comment.trim().to_owned())
}

/// `text` with `entry` at the end of the group of exactly this title, or in a new group at the end of the file. All
/// other bytes stay; the file's own line ends are used.
pub fn insert(text: &str, title: &str, entry: &str) -> String {
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let (at, heading) = match groups(text).iter().find(|group| group.title == title) {
        Some(group) => (group.range.end, String::new()),
        None => (text.len(), format!("## {title}\n\n")),
    };
    let (before, after) = text.split_at(at);
    let mut added = String::new();
    if !before.is_empty() && !before.ends_with('\n') {
        added.push('\n');
    }
    if !before.trim_end_matches([' ', '\r']).ends_with("\n\n") && !before.ends_with("\n\r\n") && !before.is_empty() {
        added.push('\n');
    }
    added.push_str(&heading);
    added.push_str(entry.trim_end_matches('\n'));
    added.push('\n');
    if !after.is_empty() {
        added.push('\n');
    }
    let added = if line_end == "\n" { added } else { added.replace('\n', line_end) };
    format!("{before}{added}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "# Log\n\n```bash\n## not a title\n```\n\n\
        ## Cache\n\n### 2026-01-01 00:00:00 - old\n\n| a | b |\n\n\
        ## Cache Size\n\n### 2026-01-02 00:00:00 - other\n<!-- assay:x1 -->\n\ntext\n";

    /// `insert`, checked to keep every byte of the original in place around the addition.
    fn inserted(text: &str, title: &str, entry: &str) -> String {
        let result = insert(text, title, entry);
        let at = (0..=text.len())
            .rev()
            .filter(|at| text.is_char_boundary(*at))
            .find(|at| result.starts_with(&text[..*at]) && result.ends_with(&text[*at..]))
            .expect("some bytes of the original changed");
        assert_eq!(result.len() - text.len(), result.len() - at - (text.len() - at));
        result
    }

    #[test]
    fn groups_are_matched_exactly_and_fences_hide_headings() {
        let titles: Vec<_> = groups(LOG).into_iter().map(|group| group.title).collect();
        assert_eq!(titles, ["Cache", "Cache Size"]);
        let with = inserted(LOG, "Cache", "### now - new\n");
        assert!(with.contains("| a | b |\n\n### now - new\n\n## Cache Size"), "{with}");
    }

    #[test]
    fn a_new_title_and_a_prefix_of_a_title_go_to_the_end() {
        let with = inserted(LOG, "Cach", "### now - new\n");
        assert!(with.ends_with("text\n\n## Cach\n\n### now - new\n"), "{with}");
        assert_eq!(entries(&with).last().unwrap().title, "Cach");
    }

    #[test]
    fn entries_know_their_group_and_id() {
        let found = entries(LOG);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].title.as_str(), found[0].id.as_deref()), ("Cache", None));
        assert_eq!((found[1].title.as_str(), found[1].id.as_deref()), ("Cache Size", Some("x1")));
        assert!(LOG[found[1].range.clone()].ends_with("text\n"));
    }

    #[test]
    fn a_file_with_windows_line_ends_keeps_them() {
        let windows = LOG.replace('\n', "\r\n");
        let with = inserted(&windows, "Cache", "### now - new\nx\n");
        assert!(!with.replace("\r\n", "").contains('\n'), "a bare line end crept in");
        assert!(with.contains("| a | b |\r\n\r\n### now - new\r\nx\r\n\r\n## Cache Size"));
    }

    #[test]
    fn odd_files_are_appended_to() {
        assert_eq!(inserted("", "T", "### e\n"), "## T\n\n### e\n");
        assert_eq!(inserted("no newline", "T", "### e\n"), "no newline\n\n## T\n\n### e\n");
        assert_eq!(inserted("## T", "T", "### e\n"), "## T\n\n### e\n");
        let twice = inserted(&inserted("", "T", "### e\n"), "T", "### f\n");
        assert_eq!(twice, "## T\n\n### e\n\n### f\n");
        assert_eq!(
            entries(&inserted("```\nopen fence\n", "T", "### e\n")).len(),
            0,
            "inside an unclosed fence nothing is seen"
        );
    }

    #[test]
    fn the_head_of_a_new_log_holds_no_group() {
        assert!(groups(HEAD).is_empty());
    }
}
