//! Rows that another machine measured: into `baselines/`, as what they are.
//!
//! A whole table takes the place of the one before, as at home. A part of a table has a file of its own,
//! `peers-OP-part`, beside it: rows of a case, a number of threads and a peer that it has already are replaced, and the
//! others stay. Each row says where it comes from.

use std::path::Path;

use anyhow::{Context as _, Result};
use compare::comparison::Invocation;
use compare::exit::Exit;
use serde_json::Value;

use crate::report::Report;
use crate::row::Row;
use crate::suite::Suite;
use crate::{keep, store};

/// Rows of a pack.
#[derive(Debug)]
pub struct Imported<'a> {
    /// The op.
    pub op: &'a str,
    /// Class of the machine that measured them.
    pub class: &'a str,
    /// Revision, day and machine, in a line.
    pub made: &'a str,
    /// What is missing, in words; `None` if the table is whole.
    pub missing: Option<&'a str>,
    /// The rows as [`Measuring::unit`](crate::Measuring::unit) gave them.
    pub rows: &'a [Value],
}

/// Keeps the rows in the table of their class. What is the same already stays as it is.
///
/// # Errors
/// Rows of another version, or files that cannot be read or written.
pub fn import(invocation: &Invocation, root: &Path, imported: &Imported<'_>) -> Result<Exit> {
    let Imported { op, class, made, missing, rows } = imported;
    let rows: Result<Vec<Row>, _> = rows.iter().cloned().map(serde_json::from_value).collect();
    let mut rows = rows.context("the rows were written by another version: import with the revision of the pack")?;
    let of = missing.map_or_else(|| format!("{made}, from a pack"), |what| format!("{made}, from a pack: {what}"));
    rows.iter_mut().for_each(|row| row.made.clone_from(&of));
    let exit = crate::exit(&rows);
    let mut suite = Suite::read(root, op)?;
    let is_part = missing.is_some();
    if is_part {
        // Goals are about whole tables.
        suite.goals.clear();
        let known = store::rows(root, class, &store::part(op))?;
        rows = merged(known.unwrap_or_default(), rows);
    }
    let report = Report { suite: &suite, rows: &rows, op, class, made: &of, is_part };
    let path = store::rows_path(class, &report.stem());
    let table = store::read(root, &store::table_path(class, &report.stem()))?;
    if store::read(root, &path)? == Some(report.lines()?) && table == Some(report.markdown(root)?) {
        invocation.console.note(&format!("{path} has these rows already"));
    } else {
        keep(invocation, root, &report)?;
    }
    Ok(exit)
}

/// `known` with the rows of `newer` in place of those of the same case, threads and peer, or after them.
fn merged(mut known: Vec<Row>, newer: Vec<Row>) -> Vec<Row> {
    for row in newer {
        let same = |known: &&mut Row| (&known.case, known.threads, &known.peer) == (&row.case, row.threads, &row.peer);
        match known.iter_mut().find(same) {
            Some(place) => *place = row,
            None => known.push(row),
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(case: &str, version: &str) -> Row {
        let text = format!(
            r#"{{"case":"{case}","threads":1,"peer":"p","version":"{version}","ran":"","ours_ran":"","ours_s":null,"share":null,"prepare_s":null,"outcome":{{"outcome":"unsupported","why":"w"}},"made":""}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn rows_of_a_part_are_replaced_one_by_one() {
        let merged = merged(vec![row("a", "1"), row("b", "1")], vec![row("b", "2"), row("c", "2")]);
        let shown: Vec<(&str, &str)> = merged.iter().map(|row| (row.case.as_str(), row.version.as_str())).collect();
        assert_eq!(shown, [("a", "1"), ("b", "2"), ("c", "2")]);
    }
}
