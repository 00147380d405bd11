//! A scenario that is built here and measured elsewhere: the processes of its cells, in the order of `run`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use compare::command::Interrupt;
use compare::comparison::Invocation;
use compare::exit::{Exit, usage};
use machine::Fingerprint;
use record::SCHEMA;
use scenario::{Cell, Matrix, Provenance, Row};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::build::Programs;
use crate::plan::{self, Task};
use crate::process::CellProcesses;
use crate::{Choice, kept_report, matrix, provenance, selected};

/// Path of our program in a pack.
const ASSAY: &str = "bin/assay";

/// A scenario in a pack.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedScenario {
    /// Its name.
    pub name: String,
    /// The cells that run.
    cells: Vec<String>,
    /// Processes of each.
    runs: u32,
    /// Whether these are all cells, so that rows and report are kept.
    is_whole: bool,
    /// What was built; the machine is not known here.
    pub made: Provenance,
}

impl PackedScenario {
    /// Builds `assay`. Gives what describes the scenario, and the files that it needs: each with its path in the pack.
    ///
    /// # Errors
    /// There is no such scenario or no such cell, or `assay` does not build.
    pub fn pack(
        invocation: &Invocation,
        root: &Path,
        name: &str,
        choice: &Choice,
    ) -> Result<(Self, Vec<(PathBuf, String)>)> {
        let names = crate::names(root)?;
        if !names.iter().any(|known| known == name) {
            return Err(usage(format!("there is no {}; there are {}", scenario::matrix_path(name), names.join(", "))));
        }
        let matrix = matrix(root, name)?;
        let (cells, runs) = selected(&matrix, name, choice)?;
        let programs = Programs::of(peers::assay(invocation, root)?);
        let mut made = provenance(invocation, root, (&matrix, &programs), None)?;
        made.label += ", from a pack";
        (made.machine, made.processor) = Default::default();
        let file = scenario::matrix_path(name);
        let files = vec![(root.join(&file), file), (programs.assay, ASSAY.to_owned())];
        let cells = cells.iter().map(Cell::to_string).collect();
        Ok((Self { name: name.to_owned(), cells, runs, is_whole: choice.is_whole(), made }, files))
    }

    fn cells(&self) -> Result<Vec<Cell>> {
        let parse = |text: &String| text.parse().map_err(|error| anyhow::anyhow!("{text}: {error}"));
        self.cells.iter().map(parse).collect()
    }

    /// The processes in order.
    fn tasks(&self) -> Result<Vec<Task>> {
        Ok(plan::tasks(&self.cells()?, self.runs, self.made.seed, |_, _| false))
    }

    /// Names of the processes, in the order in which they run.
    ///
    /// # Errors
    /// A cell that is none.
    pub fn plan(&self) -> Result<Vec<String>> {
        Ok(self.tasks()?.iter().map(|task| format!("{} process {}", task.cell, task.run)).collect())
    }

    /// Keeps the rows of all processes as `run` would; the report of a part is only shown.
    ///
    /// # Errors
    /// Rows of another version, `assay` if it does not build here, or files that cannot be written.
    pub fn import(
        &self,
        invocation: &Invocation,
        root: &Path,
        class: &str,
        rows: &[Value],
        is_complete: bool,
    ) -> Result<Exit> {
        let rows: Result<Vec<Row>, _> = rows.iter().cloned().map(serde_json::from_value).collect();
        let rows = rows.context("the rows were written by another version: import with the revision of the pack")?;
        let matrix = matrix(root, &self.name)?;
        ensure!(
            matrix.hash == self.made.matrix,
            "{} has changed since the pack was made: import with the revision of the pack",
            scenario::matrix_path(&self.name)
        );
        let assay = peers::assay(invocation, root)?;
        let rows: Vec<&Row> = rows.iter().collect();
        let is_kept = self.is_whole && is_complete;
        kept_report(invocation, (root, &self.name, class), (&matrix, &assay), &rows, is_kept)
    }
}

/// A packed scenario on the machine that measures it.
pub struct PackedCells {
    packed: PackedScenario,
    folder: PathBuf,
    matrix: Matrix,
    programs: Programs,
    tasks: Vec<Task>,
    processes: CellProcesses,
    made: Provenance,
}

impl PackedCells {
    /// Opens the scenario in `folder`, with files of processes below `scratch`.
    ///
    /// # Errors
    /// A matrix that is not valid, or no directory below `scratch`.
    pub fn open(folder: &Path, packed: &PackedScenario, (scratch, interrupt): (&Path, Interrupt)) -> Result<Self> {
        let matrix = matrix(folder, &packed.name)?;
        let machine = Fingerprint::collect();
        let brand = machine.processor.brand.clone().unwrap_or_else(|| "unknown processor".to_owned());
        Ok(Self {
            folder: folder.to_owned(),
            programs: Programs::carried(folder.join(ASSAY), &matrix),
            matrix,
            tasks: packed.tasks()?,
            processes: CellProcesses::new(scratch, interrupt)?,
            made: Provenance {
                machine: machine.class(),
                processor: format!("{brand} with {} threads", machine.allowed_threads),
                ..packed.made.clone()
            },
            packed: packed.clone(),
        })
    }

    /// As [`PackedScenario::plan`].
    #[must_use]
    pub fn plan(&self) -> Vec<String> {
        self.packed.plan().unwrap_or_default()
    }

    /// Runs one process, and gives its row.
    ///
    /// # Errors
    /// A full disk or an interrupt.
    pub fn unit(&self, place: usize) -> Result<Value> {
        let task = &self.tasks[place];
        let began = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let command = self.programs.command(&self.matrix, &task.cell, &self.folder);
        let (record, process_s) = self.processes.run(&self.matrix, (&self.packed.name, &task.cell), command)?;
        let (place, made) = (place as u32 + 1, self.made.clone());
        let row = Row { schema: SCHEMA, run: task.run, place, began, process_s, made, record };
        serde_json::to_value(row).context("a row is not JSON")
    }

    /// What a row means for the exit code, and in words.
    #[must_use]
    pub fn told(row: &Value) -> (Exit, String) {
        let Ok(row) = serde_json::from_value::<Row>(row.clone()) else {
            return (Exit::Failure, "not a row".to_owned());
        };
        match row.record.fault() {
            None => (Exit::Fine, format!("{:.1} s", row.process_s)),
            Some(why) => {
                let exit = if row.record.is_wrong() { Exit::Invalid } else { Exit::Failure };
                (exit, why.replace('\n', " | "))
            }
        }
    }
}
