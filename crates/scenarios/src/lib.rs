//! `cargo xtask run NAME`: runs the cells of a scenario and reports them.
//!
//! The crate `scenario` has the grammar; a cell is `assay cell NAME CELL --out FILE`, or the same of another program
//! that the matrix names. Here is what a run of many cells needs:
//!
//! 1. Build `assay` and the other programs (`build`).
//! 2. Plan (`plan`): every cell once, in random order, before one runs again. What the journal of the same state has is
//!    not run again (`journal`): an interrupted run resumes.
//! 3. Run each process in a group of its own, with a time limit (`process`). A process that ends without its record
//!    becomes a row with an error: status and last lines.
//! 4. Keep: rows go to `baselines/<machine class>/`, and `assay report` writes report and figures beside them. Parts of
//!    a matrix (`--set`, `--smoke`) are only shown. `--render` makes kept reports again from their rows.
//!
//! One run at a time has the machine: the lock is that of `compare`.
#![forbid(unsafe_code)]

mod build;
mod journal;
mod packed;
mod plan;
mod process;
mod smoke;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use compare::command;
use compare::comparison::{self, Invocation, Project};
use compare::exit::{Exit, usage};
use compare::repo::Snapshot;
use machine::Fingerprint;
use record::{SCHEMA, jsonl};
use scenario::{Cell, Level, Matrix, Provenance, Row, Setting, disagreements};

pub use packed::{PackedCells, PackedFile, PackedScenario};
pub use smoke::{Smoked, smoke};

use build::Programs;
use journal::Journal;
use plan::Task;
use process::CellProcesses;

/// `run`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The scenario, as in `benches/scenarios/NAME.toml`; without it, list the scenarios
    pub name: Option<String>,
    /// Which cells.
    #[command(flatten)]
    pub choice: Choice,
    /// Run finished cells again
    #[arg(long)]
    pub again: bool,
    /// Print the processes that would run
    #[arg(long)]
    pub dry_run: bool,
    /// Seed of the order [default: drawn, and recorded]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Measure nothing: make the kept reports again from their rows, those of all machine classes
    #[arg(long, conflicts_with_all = ["set", "full", "smoke", "again", "dry_run", "seed"])]
    pub render: bool,
}

/// Which cells of a scenario.
#[derive(Debug, Clone, clap::Args)]
pub struct Choice {
    /// Restrict an axis to some of its values, or to a path of yours (`./m.gguf`); no report is kept (repeatable)
    #[arg(long, value_name = "AXIS=VALUE,…")]
    set: Vec<Setting>,
    /// All cells, not only those that are measured by default
    #[arg(long, conflicts_with = "smoke")]
    full: bool,
    /// Only the few small cells that CI runs, once each; the report is printed but not kept
    #[arg(long)]
    smoke: bool,
}

impl Choice {
    fn level(&self) -> Level {
        match self {
            Self { smoke: true, .. } => Level::Smoke,
            Self { full: true, .. } => Level::Full,
            _ => Level::Default,
        }
    }

    /// The path of a setting, if one has a path.
    fn own_path(&self) -> Result<Option<PathBuf>> {
        let mut paths = self.set.iter().filter_map(|setting| setting.path.clone());
        let path = paths.next();
        match (&path, paths.next()) {
            (Some(first), Some(second)) => {
                Err(usage(format!("--set takes one path, not {} and {}", first.display(), second.display())))
            }
            (Some(path), None) if path.metadata().is_err() => {
                Err(usage(format!("--set: there is no {}", path.display())))
            }
            _ => Ok(path),
        }
    }

    /// Whether the rows are kept.
    fn is_whole(&self) -> bool {
        self.set.is_empty() && !self.smoke
    }
}

/// What a run of one scenario has at hand.
struct Run<'a> {
    name: &'a str,
    matrix: &'a Matrix,
    cells: &'a [Cell],
    /// Processes of each cell.
    runs: u32,
    made: &'a Provenance,
    root: &'a Path,
    programs: &'a Programs,
}

/// Runs `run`.
///
/// # Errors
/// A matrix that is not valid, a program that cannot be built, a full disk, an interrupt. A cell that fails is a row.
pub fn run(invocation: &Invocation, root: &Path, arguments: &Arguments) -> Result<Exit> {
    let names = names(root)?;
    let Some(name) = arguments.name.as_deref() else {
        invocation.console.print(&names.join("\n"))?;
        return Ok(Exit::Fine);
    };
    if !names.iter().any(|known| known == name) {
        return Err(usage(format!("there is no {}; there are {}", scenario::matrix_path(name), names.join(", "))));
    }
    if arguments.render {
        return render(invocation, root, name);
    }
    let matrix = matrix(root, name)?;
    let (cells, runs) = selected(&matrix, name, &arguments.choice)?;
    let own_path = arguments.choice.own_path()?;
    // Before the build, which would disturb what another run measures.
    let _lock = comparison::lock(invocation)?;
    let programs = Programs::build(invocation, root, &matrix, &cells)?;
    let made = provenance(invocation, root, (&matrix, &programs), arguments.seed)?;
    let path = journal::path(&invocation.cache()?, root, (&made.machine, name));
    let (mut journal, faults) = Journal::open(&path, &made)?;
    for fault in faults {
        invocation.console.note(&format!("not used, so its process runs again: {fault}"));
    }
    // Another file may stand at the same path.
    if arguments.again || own_path.is_some() {
        journal.forget(&cells);
    }
    let run = Run { name, matrix: &matrix, cells: &cells, runs, made: &made, root, programs: &programs };
    let tasks = plan::tasks(&cells, runs, made.seed, |cell, number| journal.is_finished(cell, number));
    let all = cells.len() * runs as usize;
    invocation.console.note(&format!(
        "{name}: {} cells, {all} processes, {} of them finished; seed {}",
        cells.len(),
        all - tasks.len(),
        made.seed
    ));
    if arguments.dry_run {
        let lines: Vec<String> = tasks.iter().map(|task| format!("{} process {}", task.cell, task.run)).collect();
        invocation.console.print(&lines.join("\n"))?;
        return Ok(Exit::Fine);
    }
    journal.begin()?;
    let processes = CellProcesses::new(&invocation.cache()?, invocation.interrupt.clone())?.with_own_path(own_path);
    measure(invocation, (&run, &processes), &tasks, &mut journal)?;
    report(invocation, &run, &journal, arguments.choice.is_whole())
}

/// The chosen cells, and the number of processes of each.
fn selected(matrix: &Matrix, name: &str, choice: &Choice) -> Result<(Vec<Cell>, u32)> {
    let cells = matrix.select(choice.level(), &choice.set).map_err(|error| usage(format!("{name}: {error}")))?;
    Ok((cells, if choice.smoke { 1 } else { matrix.runs }))
}

/// Names of all scenarios, sorted.
///
/// # Errors
/// `benches/scenarios/` cannot be listed.
pub fn names(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("benches/scenarios")).context("failed to list benches/scenarios/")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".toml").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn matrix(root: &Path, name: &str) -> Result<Matrix> {
    let path = scenario::matrix_path(name);
    let text = fs::read_to_string(root.join(&path)).with_context(|| format!("failed to read {path}"))?;
    Matrix::parse(&text).map_err(|error| usage(format!("{path}: {error}")))
}

fn provenance(
    invocation: &Invocation,
    root: &Path,
    (matrix, programs): (&Matrix, &Programs),
    seed: Option<u64>,
) -> Result<Provenance> {
    let project = Project::open(invocation, Some(root))?;
    let state = Snapshot::of_work_tree(&project.git, &project.own_paths())?;
    let machine = Fingerprint::collect();
    let brand = machine.processor.brand.clone().unwrap_or_else(|| "unknown processor".to_owned());
    let now = jiff::Timestamp::now();
    Ok(Provenance {
        revision: state.commit,
        label: format!("revision {}, {}", state.label, now.strftime("%Y-%m-%d")),
        dirty: state.dirty,
        matrix: matrix.hash.clone(),
        program: scenario::hash(&fs::read(&programs.assay).context("failed to read the program that was built")?),
        machine: machine.class(),
        processor: format!("{brand} with {} threads", machine.allowed_threads),
        toolchain: command::stdout_of(command::in_directory("rustc", root).arg("--version"))?.trim().to_owned(),
        seed: seed.unwrap_or_else(|| now.as_nanosecond() as u64),
    })
}

/// Runs the tasks one after another; a row is in the journal before the next one starts.
fn measure(
    invocation: &Invocation,
    (run, processes): (&Run<'_>, &CellProcesses),
    tasks: &[Task],
    journal: &mut Journal,
) -> Result<()> {
    let progress = invocation.console.spinner(&format!("running {}", run.name));
    for (at, task) in tasks.iter().enumerate() {
        let left =
            plan::time_left(&tasks[at..], journal.rows()).map_or_else(String::new, |left| format!(", {left} left"));
        progress.say(&format!("{} of {}{left}: {}", at + 1, tasks.len(), task.cell));
        let began = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let command = run.programs.command(run.matrix, &task.cell, run.root);
        let ran = processes.run(run.matrix, (run.name, &task.cell), command);
        if invocation.interrupt.is_set() {
            let (kept, all) = (journal.count(run.cells, run.runs), run.cells.len() * run.runs as usize);
            bail!("interrupted: {kept} of {all} processes are finished and kept; run the same command to continue");
        }
        let (record, process_s) = ran?;
        if !invocation.console.is_interactive() {
            let outcome = record.fault().map_or_else(|| format!("{process_s:.1} s"), |why| why.replace('\n', " | "));
            invocation.console.note(&format!("{}/{} {}: {outcome}{left}", at + 1, tasks.len(), task.cell));
        }
        let place = at as u32 + 1;
        journal.add(Row { schema: SCHEMA, run: task.run, place, began, process_s, made: run.made.clone(), record })?;
    }
    progress.finish();
    Ok(())
}

/// Shows the report; keeps rows, report and figures of a whole run.
fn report(invocation: &Invocation, run: &Run<'_>, journal: &Journal, is_whole: bool) -> Result<Exit> {
    let rows = journal.of(run.cells, run.runs);
    let place = (run.root, run.name, run.made.machine.as_str());
    kept_report(invocation, place, (run.matrix, &run.programs.assay), &rows, is_whole)
}

/// Shows the report of rows of a machine class; if they are whole, keeps them, the report and its figures.
fn kept_report(
    invocation: &Invocation,
    (root, name, class): (&Path, &str, &str),
    (matrix, assay): (&Matrix, &Path),
    rows: &[&Row],
    is_whole: bool,
) -> Result<Exit> {
    let rows = reported(matrix, rows);
    let scratch = tempfile::tempdir().context("failed to make a scratch directory")?;
    let kept = scenario::rows_path(class, name);
    let path = if is_whole { root.join(&kept) } else { scratch.path().join("rows.jsonl") };
    let directory = path.parent().map(Path::to_owned).unwrap_or_default();
    fs::create_dir_all(&directory).with_context(|| format!("failed to make {}", directory.display()))?;
    jsonl::write(&path, &rows).with_context(|| format!("failed to write {}; is the disk full?", path.display()))?;
    let text = rendered(assay, (root, name), &path, is_whole.then_some(directory.as_path()))?;
    invocation.console.print(text.trim_end())?;
    if is_whole {
        invocation.console.note(&format!("wrote {kept} and, beside it, scenario-{name}.md with its figures"));
    }
    Ok(exit(&rows))
}

/// The rows of a report: those of its own cells. Outputs that break a promise of the matrix become wrong ones.
fn reported(matrix: &Matrix, own: &[&Row]) -> Vec<Row> {
    let mut rows: Vec<Row> = own.iter().map(|row| (*row).clone()).collect();
    for (place, why) in disagreements(matrix, &rows) {
        if let Some(proof) = &mut rows[place].record.proof {
            proof.failure = Some(why);
        }
    }
    rows
}

/// Whether everything was measured, and nothing was wrong.
fn exit(rows: &[Row]) -> Exit {
    let wrong = if rows.iter().any(|row| row.record.is_wrong()) { Exit::Invalid } else { Exit::Fine };
    let is_failed = |row: &Row| !row.is_measured() && !row.record.is_wrong();
    if rows.iter().any(is_failed) { wrong.max(Exit::Failure) } else { wrong }
}

/// Makes the kept reports of a scenario again.
fn render(invocation: &Invocation, root: &Path, name: &str) -> Result<Exit> {
    let _lock = comparison::lock(invocation)?;
    let kept = kept(root, name)?;
    if kept.is_empty() {
        return Err(usage(format!("no rows of {name} are kept; `cargo xtask run {name}` measures and keeps them")));
    }
    let assay = peers::assay(invocation, root)?;
    for rows in kept {
        rendered(&assay, (root, name), &rows, rows.parent())?;
        let report = rows.with_extension("md");
        let shown = report.strip_prefix(root).unwrap_or(&report).display();
        invocation.console.note(&format!("wrote {shown} and its figures"));
    }
    Ok(Exit::Fine)
}

/// The files of kept rows of a scenario, of all machine classes, sorted.
fn kept(root: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root.join("baselines")).context("failed to list baselines/")? {
        let class = entry?.file_name().to_string_lossy().into_owned();
        files.push(root.join(scenario::rows_path(&class, name)));
    }
    files.retain(|file| file.is_file());
    files.sort();
    Ok(files)
}

fn rendered(assay: &Path, (root, name): (&Path, &str), rows: &Path, out: Option<&Path>) -> Result<String> {
    let mut assay: Command = command::in_directory(&assay.to_string_lossy(), root);
    assay.args(["report", name, "--rows"]).arg(rows);
    if let Some(out) = out {
        assay.arg("--out").arg(out);
    }
    command::stdout_of(&mut assay)
}

#[cfg(test)]
mod tests {
    use record::Proof;

    use super::*;
    use crate::journal::tests::{begun, row};

    const MATRIX: &str = "title = 't'\nprimary = 'load_s'\nruns = 2\nlimit_s = 1\n[[axis]]\nname = 'a'\n\
        values = [1, 2, 3]\n[smoke]\n[default]\na = [1, 2]\n[full]\n[[same]]\naxis = 'a'\nvalues = [1, 2, 3]\n";

    fn hashed(cell: &str, run: u32, hash: &str) -> Row {
        let proof = Proof { output_hash: Some(hash.to_owned()), ..Proof::new("hash", Some(0.0), 0.0) };
        let mut row = row(cell, run);
        row.record.proof = Some(proof);
        row
    }

    /// Rows that `--set` or `--full` left in the journal are not part of the report of a default run.
    #[test]
    fn a_report_has_the_rows_of_its_own_cells_and_processes() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = begun(&directory.path().join("j.jsonl"));
        for (cell, run) in [("a=1", 1), ("a=2", 1), ("a=3", 1), ("a=1", 2), ("a=1", 3)] {
            journal.add(hashed(cell, run, "x")).unwrap();
        }
        let matrix = Matrix::parse(MATRIX).unwrap();
        let rows = reported(&matrix, &journal.of(matrix.level(Level::Default), matrix.runs));
        let kept: Vec<(&str, u32)> = rows.iter().map(|row| (row.record.cell.as_str(), row.run)).collect();
        assert_eq!(kept, [("a=1", 1), ("a=2", 1), ("a=1", 2)]);
        assert_eq!(exit(&rows), Exit::Fine);
    }

    #[test]
    fn an_output_that_breaks_a_promise_is_wrong_and_ends_with_its_exit() {
        let matrix = Matrix::parse(MATRIX).unwrap();
        let rows = [hashed("a=1", 1, "x"), hashed("a=2", 1, "y"), row("a=3", 1)];
        let rows = reported(&matrix, &rows.iter().collect::<Vec<_>>());
        assert!(rows[0].record.is_wrong() && rows[1].record.is_wrong() && !rows[2].record.is_wrong());
        assert!(rows[0].record.fault().unwrap().contains("promises the same bits"));
        assert_eq!(exit(&rows), Exit::Invalid);
        let mut failed = row("a=3", 1);
        failed.record.error = Some("killed".into());
        assert_eq!(exit(&[rows[0].clone(), failed]), Exit::Failure);
    }

    #[test]
    fn kept_rows_of_all_classes_are_found() {
        let root = tempfile::tempdir().unwrap();
        for (class, name) in [("b", "s"), ("a", "s"), ("c", "other")] {
            let path = root.path().join(scenario::rows_path(class, name));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::write(root.path().join("baselines/agree.md"), "").unwrap();
        let found = kept(root.path(), "s").unwrap();
        let expected = ["a", "b"].map(|class| root.path().join(scenario::rows_path(class, "s")));
        assert_eq!(found, expected);
    }
}
