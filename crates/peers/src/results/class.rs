//! Chooses the machine class to show.

use std::path::Path;

use anyhow::Result;

use crate::store;

/// The class with tables of the most ops; of several, the one with the newest table. `None` if no class has a table.
pub(crate) fn newest(root: &Path, ops: &[String]) -> Result<Option<String>> {
    let mut best: Option<(usize, String, String)> = None;
    for class in store::classes(root)? {
        let mut days = Vec::new();
        for op in ops {
            days.extend(
                store::rows(root, &class, op)?.map(|rows| day(store::made(&rows)).unwrap_or_default().to_owned()),
            );
        }
        let Some(newest) = days.iter().max() else { continue };
        let rank = (days.len(), newest.clone(), class);
        if best.as_ref().is_none_or(|best| (rank.0, &rank.1) > (best.0, &best.1)) {
            best = Some(rank);
        }
    }
    Ok(best.map(|(_, _, class)| class))
}

/// The first part of "revision 1a2b3c, 2026-11-22, …" that is a day.
pub(crate) fn day(made: &str) -> Option<&str> {
    made.split(", ").find(|part| {
        let digits = part.split('-').map(|digits| digits.chars().all(|c| c.is_ascii_digit()).then_some(digits.len()));
        digits.eq([Some(4), Some(2), Some(2)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_found_in_the_line() {
        assert_eq!(day("revision 1a with uncommitted changes, 2026-11-22, AMD EPYC"), Some("2026-11-22"));
        assert_eq!(day("revision 1a-2b-3c, AMD"), None);
    }

    #[test]
    fn the_class_with_most_ops_comes_first_and_then_the_newest() {
        let root = tempfile::tempdir().unwrap();
        let keep = |class: &str, op: &str, day: &str| {
            let row = format!(
                r#"{{"case":"x","threads":1,"peer":"p","version":"","ran":"","ours_ran":"","ours_s":null,"share":null,"prepare_s":null,"outcome":{{"outcome":"error","why":""}},"made":"revision 1a, {day}, M"}}"#
            );
            store::write(root.path(), &store::rows_path(class, op), &(row + "\n")).unwrap();
        };
        let ops = ["a", "b"].map(str::to_owned);
        let newest = || newest(root.path(), &ops).unwrap();
        keep("other", "c", "2027-01-01");
        assert_eq!(newest(), None);
        keep("later", "a", "2026-11-24");
        keep("whole", "a", "2026-11-22");
        assert_eq!(newest().as_deref(), Some("later"));
        keep("whole", "b", "2026-11-22");
        assert_eq!(newest().as_deref(), Some("whole"), "it has both ops");
        keep("later", "b", "2026-11-20");
        assert_eq!(newest().as_deref(), Some("later"), "its newest table is newer");
    }
}
