//! One process of a cell: started in a group of its own, limited in time, turned into a record in any case.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use compare::bench::{End, ScratchDir};
use compare::command::Interrupt;
use record::CellRecord;
use scenario::{Cell, Matrix, OWN_PATH};

/// Begin of the names of scratch directories, by which [`ScratchDir::new`] knows those of killed runs.
const SCRATCH: &str = "run-";

/// Starts processes one after another.
pub(crate) struct CellProcesses {
    scratch: ScratchDir,
    directory: tempfile::TempDir,
    /// For cells with the value `own`.
    own_path: Option<PathBuf>,
}

impl CellProcesses {
    /// `parent` is where scratch files go: the records, and what the cells put into their temporary directory. One that
    /// was killed cannot tidy up after itself, so that is done here, and by the next run if this one is killed too.
    pub(crate) fn new(parent: &Path, interrupt: Interrupt) -> Result<Self> {
        // Removes what killed runs left.
        let scratch = ScratchDir::new(parent, interrupt)?;
        let directory = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(parent);
        Ok(Self {
            scratch,
            directory: directory.context("failed to make a scratch directory; is the disk full?")?,
            own_path: None,
        })
    }

    /// Gives the cells a path of the user's.
    pub(crate) fn with_own_path(self, own_path: Option<PathBuf>) -> Self {
        Self { own_path, ..self }
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
        if let Some(path) = &self.own_path {
            command.env(OWN_PATH, path);
        }
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
    let (scenario, cell) = (&expected.scenario, &expected.cell);
    let record = CellRecord::read(&bytes, scenario, cell, Some(&matrix.primary));
    let record = record.map_err(|error| Some(error.to_string()))?;
    // A promise that cannot be checked is not kept.
    let is_promised = cell.parse().is_ok_and(|cell| matrix.same_output(&cell).is_some());
    let has_hash = record.proof.as_ref().is_some_and(|proof| proof.output_hash.is_some());
    if record.fault().is_none() && is_promised && !has_hash {
        return Err(Some("its record lacks the hash of its output, which the matrix promises ([[same]])".to_owned()));
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

#[cfg(test)]
mod tests {
    use record::{Direction, Metric, Proof, Unit};

    use super::*;

    const MATRIX: &str = "title = 't'\nprimary = 'load_s'\nruns = 1\nlimit_s = 1\n[[axis]]\nname = 'a'\n\
        values = [1, 2, 3]\n[smoke]\n[full]\n[[same]]\naxis = 'a'\nvalues = [1, 2]\n";

    /// What `read` makes of a record of `cell` that was left where one of `a=1` was asked for, if it differs.
    fn left(cell: &str, asked: &str, hash: Option<&str>) -> Result<CellRecord, Option<String>> {
        let metric = Metric {
            name: "load_s".into(),
            value: Some(1.0),
            unit: Unit::Seconds,
            direction: Direction::LowerIsBetter,
            n: 1,
            low: None,
            high: None,
        };
        let proof = Proof { output_hash: hash.map(str::to_owned), ..Proof::new("hash", Some(0.0), 0.0) };
        let record = CellRecord { metrics: vec![metric], proof: Some(proof), ..CellRecord::empty("s", cell) };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
        read(&path, &Matrix::parse(MATRIX).unwrap(), &CellRecord::empty("s", asked))
    }

    #[test]
    fn a_record_is_checked_and_a_promised_hash_is_asked_for() {
        assert!(left("a=1", "a=1", Some("x")).is_ok());
        assert!(left("a=3", "a=3", None).is_ok(), "nothing is promised of it");
        let why = |left: Result<CellRecord, Option<String>>| left.unwrap_err().unwrap();
        assert!(why(left("a=2", "a=2", None)).contains("[[same]]"));
        assert!(why(left("a=3", "a=1", Some("x"))).contains("cell `a=3`"));
    }
}
