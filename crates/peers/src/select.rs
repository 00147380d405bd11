//! Cases that a file takes from our own table: it repeats ids or a pattern, never parameters.

use std::num::NonZeroUsize;

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::ceiling::Ceiling;
use crate::suite::{Case, Params, pattern};

/// Cases of our table by a regular expression of their ids, and how they are compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selection {
    /// Regular expression of ids.
    cases: String,
    /// As in [`Case`].
    #[serde(default)]
    tolerance: f64,
    threads: Option<Vec<NonZeroUsize>>,
    ceiling: Option<Ceiling>,
    #[serde(default = "yes")]
    timed: bool,
}

/// A row of our table of cases, as `assay peer OP` reports it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TableCase {
    name: String,
    params: Params,
    regime: String,
}

fn yes() -> bool {
    true
}

/// The selected cases, selection by selection, each in the order of the table. A case belongs to the first selection
/// that matches it, so that exceptions stand above the rule.
pub(crate) fn select(selections: &[Selection], table: &[TableCase]) -> Result<Vec<Case>> {
    let mut is_taken = vec![false; table.len()];
    let mut cases = Vec::new();
    for selection in selections {
        let ids = pattern(&selection.cases)?;
        let before = cases.len();
        for (row, is_taken) in table.iter().zip(&mut is_taken) {
            if *is_taken || !ids.is_match(&row.name) {
                continue;
            }
            *is_taken = true;
            cases.push(Case {
                id: row.name.clone(),
                params: row.params.clone(),
                regime: row.regime.clone(),
                tolerance: selection.tolerance,
                threads: selection.threads.clone(),
                ceiling: selection.ceiling,
                timed: selection.timed,
                over: Default::default(),
            });
        }
        ensure!(
            cases.len() > before,
            "select {:?}: our table has no such case that is not selected above",
            selection.cases
        );
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(text: &str) -> Result<Vec<Case>> {
        #[derive(Deserialize)]
        struct File {
            select: Vec<Selection>,
        }
        let file: File = toml::from_str(text).unwrap();
        let row = |id: &str| TableCase {
            name: id.to_owned(),
            params: Params::from_iter([("id".to_owned(), id.into())]),
            regime: "streamed".to_owned(),
        };
        select(&file.select, &["a-1", "a-2", "b-1", "c"].map(row))
    }

    #[test]
    fn a_case_belongs_to_the_first_selection_that_matches() {
        let text = "[[select]]\ncases = '2$'\ntolerance = 0.5\n[[select]]\ncases = '^[ab]'\ntimed = false";
        let cases = selected(text).unwrap();
        let shown: Vec<_> = cases.iter().map(|case| (case.id.as_str(), case.tolerance, case.timed)).collect();
        assert_eq!(shown, [("a-2", 0.5, true), ("a-1", 0.0, false), ("b-1", 0.0, false)]);
        assert_eq!((&cases[1].params["id"], cases[1].regime.as_str()), (&"a-1".into(), "streamed"));
    }

    #[test]
    fn a_selection_of_nothing_is_refused() {
        for text in ["cases = '^d'", "cases = 'c'\n[[select]]\ncases = '^c$'", "cases = '('"] {
            assert!(selected(&format!("[[select]]\n{text}")).is_err(), "{text}");
        }
    }
}
