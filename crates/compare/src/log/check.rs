//! `log check`: the text says what the data say.

use std::collections::HashMap;

use anyhow::Result;

use super::store::Log;
use super::{index, markdown};
use crate::report::{Entry, markdown as rendered, plain};

/// A disagreement between text and data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The entry.
    pub id: String,
    /// What disagrees, and what to do.
    pub reason: String,
}

/// How many entries were checked, how many are history without an id, and every fault.
pub fn check(log: &Log) -> Result<(usize, usize, Vec<Fault>)> {
    let text = log.text()?;
    let data = log.data()?;
    let mut by_id: HashMap<&str, &Entry> = HashMap::new();
    let mut faults = Vec::new();
    for entry in data.iter().flat_map(|(_, entries)| entries) {
        if by_id.insert(&entry.id, entry).is_some() {
            faults.push(Fault { id: entry.id.clone(), reason: "its data stand twice in baselines/".to_owned() });
        }
    }
    let (mut checked, mut history) = (0, 0);
    for found in markdown::entries(&text) {
        let Some(id) = found.id else {
            history += 1;
            continue;
        };
        checked += 1;
        let Some(entry) = by_id.remove(id.as_str()) else {
            let reason = "BENCHMARKS.md has it, but baselines/*/log.jsonl has no data for it: restore them from git";
            faults.push(Fault { id, reason: reason.to_owned() });
            continue;
        };
        if entry.title != found.title {
            let reason = format!("it stands under \"{}\" but belongs under \"{}\"", found.title, entry.title);
            faults.push(Fault { id: id.clone(), reason });
        }
        if let Some(reason) = difference(entry, &text[found.range]) {
            faults.push(Fault { id, reason });
        }
    }
    let entries: Vec<&Entry> = data.iter().flat_map(|(_, entries)| entries).collect();
    if index::is_torn(&text) || (index::exists(&text) && index::renewed(&text, &entries) != text) {
        let reason = "it does not say what the entries say; write it again with `log index`";
        faults.push(Fault { id: "the index".to_owned(), reason: reason.to_owned() });
    }
    let mut lost: Vec<&str> = by_id.into_keys().collect();
    lost.sort_unstable();
    let pending = log.pending_ids();
    faults.extend(lost.into_iter().map(|id| {
        Fault {
        id: id.to_owned(),
        reason: if pending.iter().any(|known| known == id) {
            "a run was interrupted between its data and its text: the next `compare` or `log import` finishes the entry"
        } else {
            "baselines/ has its data, but BENCHMARKS.md lacks the entry: restore it from git"
        }
        .to_owned(),
    }
    }));
    Ok((checked, history, faults))
}

/// The first line in which an entry's text and its data disagree. An entry is rendered again in the form that it was
/// written in; of one in a form of a later version, each figure that the data hold is looked for.
fn difference(entry: &Entry, found: &str) -> Option<String> {
    let found: Vec<&str> = found.trim_end().lines().collect();
    let Some(expected) = rendered(entry) else {
        let mut missing = entry.rows.iter().filter(|row| !found.iter().any(|line| line.contains(&row.shown_effect())));
        return missing.next().map(|row| format!("its text does not show {} for {}", row.shown_effect(), row.id));
    };
    let expected: Vec<&str> = expected.trim_end().lines().collect();
    let longest = expected.len().max(found.len());
    (0..longest).find(|&at| expected.get(at) != found.get(at)).map(|at| {
        let show = |lines: &[&str]| {
            lines.get(at).map_or_else(|| "nothing".to_owned(), |line| format!("`{}`", plain(line.trim())))
        };
        format!("line {} of the entry is {} but the data say {}", at + 1, show(&found), show(&expected))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example_entry;
    use std::fs;

    fn faults_after(edit: impl FnOnce(&Log)) -> Vec<Fault> {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::open(directory.path());
        log.append(&example_entry()).unwrap();
        edit(&log);
        check(&log).unwrap().2
    }

    fn edit_text(log: &Log, from: &str, to: &str) {
        let text = log.text().unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(log.text_path(), text.replace(from, to)).unwrap();
    }

    #[test]
    fn an_untouched_log_passes_and_so_does_history() {
        assert_eq!(faults_after(|_| {}), []);
        assert_eq!(
            faults_after(|log| edit_text(
                log,
                "## Title",
                "## Old\n\n### 2020-01-01 00:00:00 - history\n\nx\n\n## Title"
            )),
            []
        );
        assert_eq!(faults_after(|log| edit_text(log, "\n", "\r\n")), []);
    }

    #[test]
    fn edited_numbers_moved_and_lost_entries_are_faults() {
        assert!(faults_after(|log| edit_text(log, "+12.7 %", "+2.7 %"))[0].reason.contains("but the data say"));
        assert!(faults_after(|log| edit_text(log, "## Title", "## Other"))[0].reason.contains("belongs under"));
        assert!(faults_after(|log| fs::remove_file(log.text_path()).unwrap())[0].reason.contains("lacks the entry"));
        let no_data = faults_after(|log| fs::remove_dir_all(log.text_path().with_file_name("baselines")).unwrap());
        assert!(no_data[0].reason.contains("no data"));
    }

    #[test]
    fn entries_of_every_form_are_compared_to_the_last_byte() {
        for render in [1, crate::report::RENDER] {
            let directory = tempfile::tempdir().unwrap();
            let log = Log::open(directory.path());
            log.append(&Entry { render, ..example_entry() }).unwrap();
            assert_eq!(check(&log).unwrap().2, [], "form {render}");
            edit_text(&log, "Test Processor", "Best Processor");
            assert!(check(&log).unwrap().2[0].reason.contains("but the data say"), "form {render}");
        }
    }

    #[test]
    fn an_index_that_says_something_else_is_a_fault() {
        let faults = faults_after(|log| edit_text(log, "[Title](#title) |       1", "[Title](#title) |       2"));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].id == "the index" && faults[0].reason.contains("log index"), "{faults:?}");
        assert_eq!(faults_after(|log| edit_text(log, "<!-- assay:index end -->", "")).len(), 1);
    }

    #[test]
    fn edited_data_are_a_fault() {
        let faults = faults_after(|log| {
            let path = log.data().unwrap()[0].0.clone();
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace("\"n\":12", "\"n\":13")).unwrap();
        });
        assert_eq!(faults.len(), 1);
    }
}
