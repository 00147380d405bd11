//! One process of a cell: started in a group of its own, limited in time, turned into a record in any case.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use compare::bench::{End, ScratchDir};
use compare::command::Interrupt;
use record::{CellRecord, SCHEMA};
use scenario::{Cell, Matrix};

/// Begin of the names of scratch directories, by which [`ScratchDir::new`] knows those of killed runs.
const SCRATCH: &str = "run-";

/// Starts processes one after another.
pub(crate) struct CellProcesses {
    scratch: ScratchDir,
    directory: tempfile::TempDir,
}

impl CellProcesses {
    /// `parent` is where scratch files go: the records, and what the cells put into their temporary directory. One that
    /// was killed cannot tidy up after itself, so that is done here, and by the next run if this one is killed too.
    pub(crate) fn new(parent: &Path, interrupt: Interrupt) -> Result<Self> {
        // Removes what killed runs left.
        let scratch = ScratchDir::new(parent, interrupt)?;
        let directory = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(parent);
        Ok(Self { scratch, directory: directory.context("failed to make a scratch directory; is the disk full?")? })
    }

    /// Runs one process and gives its record, and how many seconds it took. `command` is the program, or why there is
    /// none. An error means that nothing is known: the user interrupted, or the disk is full.
    pub(crate) fn run(
        &self,
        matrix: &Matrix,
        (scenario, cell): (&str, &Cell),
        command: Result<Command, String>,
    ) -> Result<(CellRecord, f64)> {
        let empty =
            CellRecord { primary: Some(matrix.primary.clone()), ..CellRecord::empty(scenario, &cell.to_string()) };
        let failed = |why: String| CellRecord { error: Some(why), ..empty.clone() };
        let mut command = match command {
            Ok(command) => command,
            Err(why) => return Ok((failed(why), 0.0)),
        };
        let (out, temporary) = (self.directory.path().join("record.json"), self.directory.path().join("tmp"));
        remove(&out)?;
        fs::create_dir(&temporary).context("failed to make a scratch directory; is the disk full?")?;
        let name = cell.to_string();
        command.args(["cell", scenario, &name, "--out"]).arg(&out).env("TMPDIR", &temporary);
        let limit = matrix.limit(cell);
        let start = Instant::now();
        let ended = self.scratch.capture(&mut command, limit);
        let process_s = start.elapsed().as_secs_f64();
        fs::remove_dir_all(&temporary).context("failed to remove what a cell left")?;
        let (end, tail) = match ended {
            Ok(ended) => ended,
            Err(error) => match not_startable(&error) {
                Some(why) => return Ok((failed(why), 0.0)),
                None => return Err(error),
            },
        };
        let record =
            read(&out, matrix, &empty).unwrap_or_else(|why| failed(text(why, &end, limit.as_secs_f64(), &tail)));
        Ok((record, process_s))
    }
}

/// Why a program cannot be started, if that is a property of the cell and not of the machine.
fn not_startable(error: &anyhow::Error) -> Option<String> {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>())?;
    let is_own = matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
    is_own.then(|| format!("failed to start the program: {cause}"))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("failed to remove an old record"),
        _ => Ok(()),
    }
}

/// The record that a process left; `None` as the error if it left none.
fn read(path: &Path, matrix: &Matrix, expected: &CellRecord) -> Result<CellRecord, Option<String>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(None),
        Err(error) => return Err(Some(format!("its record cannot be read: {error}"))),
    };
    let record: CellRecord =
        serde_json::from_slice(&bytes).map_err(|error| Some(format!("its record cannot be read: {error}")))?;
    if record.schema > SCHEMA || (&record.scenario, &record.cell) != (&expected.scenario, &expected.cell) {
        return Err(Some(format!(
            "its record is of schema {}, scenario `{}` and cell `{}`",
            record.schema, record.scenario, record.cell
        )));
    }
    // A program other than `assay` need not know what the matrix declares.
    let record = CellRecord { primary: Some(matrix.primary.clone()), ..record };
    if record.fault().is_none() && record.cost().is_none() {
        return Err(Some(format!("its record lacks the primary metric `{}`", matrix.primary)));
    }
    if let (None, Some((name, share))) = (record.fault(), record.impossible()) {
        return Err(Some(format!("`{name}` is {share:.2} times the best of its ceiling")));
    }
    Ok(record)
}

/// Why there is no record: what is wrong with the file, how the process ended, its last lines.
fn text(why: Option<String>, end: &End, limit_s: f64, tail: &str) -> String {
    let ended = match end {
        End::TimedOut => format!("no record within {limit_s} s (limit_s)"),
        End::Failed(status) => format!("it ended without a record ({status})"),
        _ => "it ended without a record".to_owned(),
    };
    let first = why.unwrap_or(ended);
    if tail.is_empty() { first } else { format!("{first}\n{tail}") }
}
