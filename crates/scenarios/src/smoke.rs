//! Every scenario's `[smoke]`, once: a benchmark is a test.

use std::path::Path;

use anyhow::Result;
use compare::comparison::Invocation;
use record::{SCHEMA, jsonl};
use scenario::{Level, Provenance, Row, disagreements};

use super::build::Programs;
use super::process::CellProcesses;
use super::{matrix, names, rendered};

/// One cell that was tried, or the report of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smoked {
    /// Scenario and cell.
    pub what: String,
    /// Why it failed.
    pub fault: Option<String>,
}

/// Runs the smallest cells of all scenarios with a built `assay`, and makes a report of their rows. Cells of other
/// programs are left to whoever has them.
///
/// # Errors
/// A matrix that is not valid, an interrupt, a full disk.
pub fn smoke(invocation: &Invocation, root: &Path, assay: &Path) -> Result<Vec<Smoked>> {
    let scratch = tempfile::tempdir()?;
    let processes = CellProcesses::new(scratch.path(), invocation.interrupt.clone())?;
    let programs = Programs::of(assay.to_owned());
    let mut smoked = Vec::new();
    for name in names(root)? {
        let matrix = matrix(root, &name)?;
        let made = Provenance { matrix: matrix.hash.clone(), ..Provenance::default() };
        let mut rows = Vec::new();
        for cell in matrix.level(Level::Smoke).iter().filter(|cell| matrix.program(cell).is_none()) {
            let (record, process_s) = processes.run(&matrix, (&name, cell), programs.command(&matrix, cell, root))?;
            invocation.interrupt.check()?;
            smoked.push(Smoked { what: format!("{name} {cell}"), fault: record.fault().map(str::to_owned) });
            let (made, began) = (made.clone(), String::new());
            rows.push(Row { schema: SCHEMA, run: 1, place: 1, began, process_s, made, record });
        }
        let path = scratch.path().join(format!("{name}.jsonl"));
        jsonl::write(&path, &rows)?;
        for (place, why) in disagreements(&matrix, &rows) {
            smoked.push(Smoked { what: format!("{name} {}", rows[place].record.cell), fault: Some(why) });
        }
        let report = rendered(assay, (root, &name), &path, Some(scratch.path()));
        let fault = report.err().map(|error| format!("{error:#}"));
        smoked.push(Smoked { what: format!("{name}, report"), fault });
    }
    Ok(smoked)
}
