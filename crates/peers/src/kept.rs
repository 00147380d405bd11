//! Rows that another machine measured: into `baselines/`, as what they are.

use std::path::Path;

use anyhow::{Context as _, Result};
use compare::comparison::Invocation;
use compare::exit::{Exit, usage};
use serde_json::Value;

use crate::report::Report;
use crate::row::Row;
use crate::suite::Suite;
use crate::{keep, store};

/// Says in the line of a table that rows are missing.
const PART: &str = "a part";

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

/// Keeps the rows as the table of their class. What is the same already stays as it is. A part of a table takes the place
/// of nothing but a smaller part, unless `may_replace`.
///
/// # Errors
/// Rows of another version, a table that would be replaced by less, or files that cannot be written.
pub fn import(invocation: &Invocation, root: &Path, imported: &Imported<'_>, may_replace: bool) -> Result<Exit> {
    let Imported { op, class, made, missing, rows } = imported;
    let rows: Result<Vec<Row>, _> = rows.iter().cloned().map(serde_json::from_value).collect();
    let rows = rows.context("the rows were written by another version; import with the revision of the pack")?;
    let made = missing.map_or_else(|| format!("{made}, from a pack"), |what| format!("{made}, from a pack, {PART}: {what}"));
    let mut suite = Suite::read(root, op)?;
    if missing.is_some() {
        // Goals are about whole tables.
        suite.goals.clear();
    }
    let report = Report { suite: &suite, rows: &rows, op, class, made: &made };
    let path = store::rows_path(class, op);
    if let Some(kept) = store::read(root, &path)? {
        if kept == report.lines()? && store::read(root, &store::table_path(class, op))? == Some(report.markdown(root)?) {
            invocation.console.note(&format!("{path} has these rows already"));
            return Ok(crate::exit(&rows));
        }
        let known = store::rows(root, class, op)?.unwrap_or_default();
        let is_less = match store::made(&known).contains(&format!(", from a pack, {PART}: ")) {
            true => missing.is_some() && rows.len() < known.len(),
            false => missing.is_some(),
        };
        if is_less && !may_replace {
            let what = missing.unwrap_or_default();
            return Err(usage(format!(
                "{path} has {} rows, and these are {} ({what}): continue the run, or replace them by --replace",
                known.len(),
                rows.len()
            )));
        }
    }
    keep(invocation, root, &report)?;
    Ok(crate::exit(&rows))
}
