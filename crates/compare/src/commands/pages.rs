//! Reports for a browser: an HTML page, and charts as files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cli::Pages;
use crate::comparison::Invocation;
use crate::report::{Entry, charts, html};

/// Writes what was asked for. `history` holds the entries of the same title and machine class, oldest first, this one
/// last.
pub(super) fn write(invocation: &Invocation, pages: &Pages, entry: &Entry, history: &[&Entry]) -> Result<()> {
    if let Some(path) = &pages.html {
        put(&invocation.directory.join(path), &html::page(entry, history))?;
    }
    if let Some(directory) = &pages.charts {
        let directory = invocation.directory.join(directory);
        fs::create_dir_all(&directory).with_context(|| format!("failed to make {}", directory.display()))?;
        let mut files = vec![("history.svg".to_owned(), charts::history(history))];
        for (at, entry) in entry.comparisons().iter().enumerate() {
            let name = if at == 0 { "comparison.svg".to_owned() } else { format!("comparison-{}.svg", at + 1) };
            files.push((name, charts::comparison(entry)));
        }
        for (name, svg) in files {
            if let Some(svg) = svg {
                put(&directory.join(name), &svg)?;
            }
        }
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// The entries under the title of `entry` on its machine class, oldest first, with `entry` as the last whether it was
/// logged or not.
pub(super) fn history<'a>(data: &'a [(PathBuf, Vec<Entry>)], entry: &'a Entry) -> Vec<&'a Entry> {
    let logged = data.iter().flat_map(|(_, entries)| entries);
    let same = |other: &&Entry| {
        !entry.title.is_empty()
            && other.title == entry.title
            && other.machine_class == entry.machine_class
            && other.id != entry.id
    };
    logged.filter(same).chain([entry]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example_entry;

    #[test]
    fn a_history_is_of_one_title_and_one_machine_and_ends_with_the_entry() {
        let of = |id: &str, title: &str, class: &str| Entry {
            id: id.into(),
            title: title.into(),
            machine_class: class.into(),
            ..example_entry()
        };
        let entry = of("now", "T", "m");
        let data = vec![
            (PathBuf::new(), vec![of("a", "T", "m"), of("b", "U", "m"), of("now", "T", "m")]),
            (PathBuf::new(), vec![of("c", "T", "n")]),
        ];
        let ids: Vec<&str> = history(&data, &entry).into_iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(ids, ["a", "now"]);
    }
}
