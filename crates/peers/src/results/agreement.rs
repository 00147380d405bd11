//! Totals of `baselines/agree-OP.md`.

use std::path::Path;

use anyhow::{Context as _, Result};
use record::{Align, Table};

use crate::store;

/// Path of the counts of an op, from the root of the workspace.
pub(crate) fn agreement_path(op: &str) -> String {
    format!("baselines/agree-{op}.md")
}

/// Sums over all kinds of comparisons.
#[derive(Debug, PartialEq)]
pub(crate) struct Agreement {
    /// Revision and day.
    pub(crate) made: String,
    /// Peer or checker, and its comparisons that agree, are listed, are open, are left out; `None` if it was not
    /// available.
    totals: Vec<(String, Option<[u64; 4]>)>,
}

/// Reads the counts; `None` if the op was not compared yet.
pub(crate) fn read(root: &Path, op: &str) -> Result<Option<Agreement>> {
    let path = agreement_path(op);
    let Some(text) = store::read(root, &path)? else { return Ok(None) };
    let agreement =
        Agreement::parse(&text).with_context(|| format!("{path} has no counts: run `cargo xtask agree {op}`"))?;
    Ok(Some(agreement))
}

impl Agreement {
    fn parse(text: &str) -> Option<Self> {
        let made = text.lines().find(|line| line.starts_with("Made by"))?;
        let made = made.split_once(": ")?.1.split_once(". ")?.0.to_owned();
        let mut lines = text.lines().skip_while(|line| !line.starts_with("| with "));
        lines.nth(1)?;
        let mut totals: Vec<(String, Option<[u64; 4]>)> = Vec::new();
        for line in lines.take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [with, _, counts @ ..] = cells.as_slice() else { return None };
            let counts: Option<Vec<u64>> = counts.iter().map(|count| count.parse().ok()).collect();
            let counts = counts.and_then(|counts| <[u64; 4]>::try_from(counts).ok());
            match totals.iter_mut().find(|(known, _)| known == with) {
                Some((_, Some(sums))) => {
                    for (sum, count) in sums.iter_mut().zip(counts?) {
                        *sum += count;
                    }
                }
                _ => totals.push(((*with).to_owned(), counts)),
            }
        }
        Some(Self { made, totals })
    }

    /// A line for each peer and checker.
    pub(crate) fn table(&self) -> Table {
        let columns = ["agree", "listed", "open", "left out"].map(|name| (name, Align::Right));
        let mut table = Table::new([("with", Align::Left)].into_iter().chain(columns));
        for (with, counts) in &self.totals {
            let counts = match counts {
                Some(counts) => counts.map(|count| count.to_string()),
                None => ["not available", "-", "-", "-"].map(str::to_owned),
            };
            table.row([with.clone()].into_iter().chain(counts));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Sums\n\nMade by `cargo xtask agree sum`: revision 1a, 2026-11-22. The counts depend on nothing.\n\nWords.\n\n\
        | with | compared | agree | listed | open | left out |\n| :--- | :--- | ---: | ---: | ---: | ---: |\n\
        | one | files | 7 | 1 | 0 | 3 |\n| one | values | 5 | 0 | 2 | 0 |\n| two | not here | - | - | - | - |\n\n| with | version |\n";

    #[test]
    fn counts_are_summed_over_all_that_was_compared() {
        let agreement = Agreement::parse(TEXT).unwrap();
        assert_eq!(agreement.made, "revision 1a, 2026-11-22");
        assert_eq!(agreement.totals, [("one".to_owned(), Some([12, 1, 2, 3])), ("two".to_owned(), None)]);
        assert!(agreement.table().to_string().contains("| two  | not available |"), "{}", agreement.table());
    }

    #[test]
    fn a_file_without_counts_is_refused() {
        for text in ["", "Made by x: y. z\n", &TEXT.replace("| with ", "| who "), &TEXT.replace("| 5 |", "| x |")] {
            assert_eq!(Agreement::parse(text), None, "{text}");
        }
    }
}
