//! A scenario that is built here and measured elsewhere: the processes of its cells, in the order of `run`.

use std::ffi::OsString;
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

/// Where a pack has the file or the directory of `--set AXIS=PATH`.
const OWN: &str = "own";

/// A file that a pack needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedFile {
    /// Where it is.
    pub from: PathBuf,
    /// Its path in the pack.
    pub to: String,
    /// Whether it is a program.
    pub is_program: bool,
}

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
    /// What the value `own` of an axis stands for, by its path in the pack.
    #[serde(default)]
    own: Option<String>,
    /// Whether the loader of Vulkan drivers is in the pack.
    #[serde(default)]
    pub has_loader: bool,
    /// What was built; the machine is not known here.
    pub made: Provenance,
}

impl PackedScenario {
    /// Builds `assay`. Gives what describes the scenario, and the files that it needs, those of the user included.
    ///
    /// # Errors
    /// There is no such scenario, no such cell or no such path, or `assay` does not build.
    pub fn pack(invocation: &Invocation, root: &Path, name: &str, choice: &Choice) -> Result<(Self, Vec<PackedFile>)> {
        let names = crate::names(root)?;
        if !names.iter().any(|known| known == name) {
            return Err(usage(format!("there is no {}; there are {}", scenario::matrix_path(name), names.join(", "))));
        }
        let matrix = matrix(root, name)?;
        let (cells, runs) = selected(&matrix, name, choice)?;
        let (own, mut files) = choice.own_files()?.map_or((None, Vec::new()), |(own, files)| (Some(own), files));
        let programs = Programs::of(peers::assay(invocation, root)?);
        let mut made = provenance(invocation, root, (&matrix, &programs), None)?;
        made.label += ", from a pack";
        (made.machine, made.processor) = Default::default();
        let file = scenario::matrix_path(name);
        files.push(PackedFile { from: root.join(&file), to: file, is_program: false });
        files.push(PackedFile { from: programs.assay, to: ASSAY.to_owned(), is_program: true });
        let cells = cells.iter().map(Cell::to_string).collect();
        Ok((
            Self { name: name.to_owned(), cells, runs, is_whole: choice.is_whole(), own, has_loader: false, made },
            files,
        ))
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
    /// Of the processes.
    environment: Vec<(OsString, OsString)>,
    matrix: Matrix,
    programs: Programs,
    tasks: Vec<Task>,
    processes: CellProcesses,
    made: Provenance,
}

impl PackedCells {
    /// Opens the scenario in `folder`. Processes run in `environment`, with files below `scratch`.
    ///
    /// # Errors
    /// A matrix that is not valid, or no directory below `scratch`.
    pub fn open(
        folder: &Path,
        packed: &PackedScenario,
        environment: Vec<(OsString, OsString)>,
        (scratch, interrupt): (&Path, Interrupt),
    ) -> Result<Self> {
        let matrix = matrix(folder, &packed.name)?;
        let own = packed.own.as_ref().map(|own| folder.join(own));
        let machine = Fingerprint::collect();
        let brand = machine.processor.brand.clone().unwrap_or_else(|| "unknown processor".to_owned());
        Ok(Self {
            folder: folder.to_owned(),
            environment,
            programs: Programs::carried(folder.join(ASSAY), &matrix),
            matrix,
            tasks: packed.tasks()?,
            processes: CellProcesses::new(scratch, interrupt)?.with_own_path(own),
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
        let mut command = self.programs.command(&self.matrix, &task.cell, &self.folder);
        if let Ok(command) = &mut command {
            command.env_clear().envs(self.environment.iter().map(|(key, value)| (key, value)));
        }
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

impl Choice {
    /// The path of a setting in a pack, and its file or the files below it; `None` if no setting has a path.
    fn own_files(&self) -> Result<Option<(String, Vec<PackedFile>)>> {
        let Some(path) = self.own_path()? else { return Ok(None) };
        // Its name may say what it is.
        let real = path.canonicalize().with_context(|| format!("failed to read {}", path.display()))?;
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let own = format!("{OWN}/{}", name(&real));
        let mut files = Vec::new();
        let mut open = vec![(real, own.clone())];
        while let Some((from, to)) = open.pop() {
            if !from.is_dir() {
                files.push(PackedFile { from, to, is_program: false });
                continue;
            }
            let failed = || format!("failed to list {}", from.display());
            for entry in std::fs::read_dir(&from).with_context(failed)? {
                let below = entry.with_context(failed)?.path();
                let to = format!("{to}/{}", name(&below));
                open.push((below, to));
            }
        }
        files.sort_by(|a, b| a.to.cmp(&b.to));
        if files.is_empty() {
            return Err(usage(format!("--set: there is no file in {}", path.display())));
        }
        Ok(Some((own, files)))
    }

    /// Tells states of the files of a setting apart: another file may stand at the same path.
    ///
    /// # Errors
    /// A path that cannot be read.
    pub fn own_state(&self) -> Result<String> {
        let Some((_, files)) = self.own_files()? else { return Ok(String::new()) };
        let state = |file: &PackedFile| -> Result<String> {
            let known = file.from.metadata().with_context(|| format!("failed to read {}", file.from.display()))?;
            Ok(format!("{} {} {:?}\n", file.from.display(), known.len(), known.modified()?))
        };
        files.iter().map(state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(setting: &str) -> Choice {
        Choice { set: vec![setting.parse().unwrap()], full: false, smoke: false }
    }

    #[test]
    fn files_of_the_user_travel_under_their_names() {
        let root = tempfile::tempdir().unwrap();
        let (file, directory) = (root.path().join("m.gguf"), root.path().join("scans"));
        std::fs::write(&file, "x").unwrap();
        std::fs::create_dir_all(directory.join("more")).unwrap();
        let of = |path: &Path| choice(&format!("model={}", path.display()));
        let shown = |path: &Path| {
            let (own, files) = of(path).own_files().unwrap().unwrap();
            (own, files.into_iter().map(|file| (file.to, file.is_program)).collect::<Vec<_>>())
        };
        assert_eq!(shown(&file), ("own/m.gguf".to_owned(), vec![("own/m.gguf".to_owned(), false)]));
        assert!(of(&directory).own_files().unwrap_err().to_string().contains("there is no file in"));
        for name in ["b.nii", "more/a.nii.gz"] {
            std::fs::write(directory.join(name), "y").unwrap();
        }
        let files = ["own/scans/b.nii", "own/scans/more/a.nii.gz"].map(|to| (to.to_owned(), false));
        assert_eq!(shown(&directory), ("own/scans".to_owned(), files.to_vec()));
        assert_eq!(choice("model=small").own_files().unwrap(), None);
        assert!(of(&root.path().join("none")).own_files().is_err());
    }

    #[test]
    fn another_file_at_the_same_path_is_another_state() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("m.gguf");
        std::fs::write(&file, "x").unwrap();
        let choice = choice(&format!("model={}", file.display()));
        let before = choice.own_state().unwrap();
        assert_eq!(choice.own_state().unwrap(), before);
        std::fs::write(&file, "xy").unwrap();
        assert_ne!(choice.own_state().unwrap(), before);
    }
}
