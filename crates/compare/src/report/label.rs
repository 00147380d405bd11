//! Names of benchmarks in tables: without what all have in common, of bounded length, and harmless to a terminal.

use std::collections::HashMap;

use super::row::Row;

/// Longest label. Ids of our own benches have at most 100 characters, foreign ones may have any number.
const LABEL: usize = 72;
/// Longest reason in a table or a remark.
const REASON: usize = 400;

/// Short names for the rows of one report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labels {
    /// What was taken off: whole parts of the ids, with the last `/`; empty if there is nothing in common.
    pub(super) prefix: String,
    /// One label per row, in the rows' order, all different where the ids are.
    pub(super) labels: Vec<String>,
}

impl Labels {
    /// Labels for `rows`.
    pub(super) fn of(rows: &[Row]) -> Self {
        let ids: Vec<String> = rows.iter().map(|row| plain(&row.id)).collect();
        let prefix = common_prefix(&ids);
        // Shortening can make several ids one label; a number keeps them apart.
        let mut numbers: HashMap<String, HashMap<&str, usize>> = HashMap::new();
        let mut labels = Vec::with_capacity(ids.len());
        for id in &ids {
            let short = chart::shorten(&id[prefix.len()..], LABEL);
            let of_short = numbers.entry(short.clone()).or_default();
            let next = of_short.len() + 1;
            labels.push(match *of_short.entry(id.as_str()).or_insert(next) {
                1 => short,
                number => format!("{short} [{number}]"),
            });
        }
        Self { prefix, labels }
    }
}

/// The longest common beginning of at least two ids that ends with `/` and leaves something of each.
fn common_prefix(ids: &[String]) -> String {
    let Some((first, others)) = ids.split_first().filter(|(_, others)| !others.is_empty()) else {
        return String::new();
    };
    let ends = first.match_indices('/').map(|(at, _)| at + 1).rev();
    let mut prefixes = ends.map(|end| &first[..end]).filter(|prefix| first.len() > prefix.len());
    let common = prefixes.find(|prefix| others.iter().all(|id| id.starts_with(prefix) && id.len() > prefix.len()));
    common.unwrap_or_default().to_owned()
}

/// The names of benchmarks that a sentence is about: all of up to three, of more the first three and how many there
/// are.
pub(crate) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 3;
    match names.len() {
        0..=SHOWN => names.join(", "),
        all => format!("{} and {} more", names[..SHOWN].join(", "), all - SHOWN),
    }
}

/// `text` on one line, with control characters escaped: ids and messages come from other people's programs, and a
/// terminal would obey them.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => plain.push(' '),
            // Marks that reorder or hide what follows them.
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                plain.extend(c.escape_unicode());
            }
            c if c.is_control() => plain.extend(c.escape_default()),
            c => plain.push(c),
        }
    }
    plain
}

/// A reason on one line, cut where it is longer than a reader would read.
pub(super) fn reason(text: &str) -> String {
    let text = plain(text.trim()).replace("  ", " ");
    match text.char_indices().nth(REASON) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Code in Markdown: what stands in it is shown as it is. A backtick would end it.
pub(super) fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}

/// Text that Markdown must not take for a tag. Everything else is left to the writer: a reason may use emphasis.
pub(super) fn no_tags(text: &str) -> String {
    text.replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example_entry;

    fn labels(ids: &[&str]) -> Labels {
        let row = example_entry().rows[0].clone();
        Labels::of(&ids.iter().map(|id| Row { id: (*id).to_owned(), ..row.clone() }).collect::<Vec<_>>())
    }

    #[test]
    fn whole_parts_in_common_are_taken_off() {
        let found = labels(&["gemm/f32/m512/t1", "gemm/f32/m512/t2", "gemm/f32/m8/t1"]);
        assert_eq!(found.prefix, "gemm/f32/");
        assert_eq!(found.labels, ["m512/t1", "m512/t2", "m8/t1"]);
        assert_eq!(labels(&["gemm/a", "gguf/a"]).prefix, "", "half a part is none");
        assert_eq!(labels(&["g/a"]).prefix, "", "one id keeps its name");
        assert_eq!(labels(&["g/", "g/a"]).prefix, "", "no label is empty");
        assert_eq!(labels(&["g/a", "g/a"]).labels, ["a", "a"]);
    }

    #[test]
    fn long_and_hostile_ids_stay_short_and_different() {
        let (long, other) =
            (format!("{}1{}", "x".repeat(150), "y".repeat(150)), format!("{}2{}", "x".repeat(150), "y".repeat(150)));
        let found = labels(&[&long, &other, "a\u{1b}[2Jb", "line\nend"]);
        assert!(found.labels.iter().all(|label| label.chars().count() <= LABEL + 4), "{found:?}");
        assert_ne!(found.labels[0], found.labels[1]);
        let third = other.replace('2', "3");
        let found = labels(&[&long, &other, &third, &other, "a\u{1b}[2Jb", "line\nend"]).labels;
        let ends = |at: usize, number| found[at] == format!("{} [{number}]", found[0]);
        assert!(ends(1, 2) && ends(2, 3) && ends(3, 2), "each id has its own label: {found:?}");
        let found = labels(&[&long, &other, "a\u{1b}[2Jb", "line\nend"]);
        assert_eq!(found.labels[2..], ["a\\u{1b}[2Jb", "line end"]);
        assert_eq!(plain("\u{202e}x"), "\\u{202e}x");
    }
}
