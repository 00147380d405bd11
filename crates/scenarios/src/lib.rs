//! `cargo xtask run NAME`: runs the cells of a scenario and reports them.
//!
//! The crate `scenario` has the grammar; a cell is `assay cell NAME CELL --out FILE`, or the same of another program
//! that the matrix names. Here is what a run of many cells needs:
//!
//! 1. Build `assay` and the other programs (`build`).
//! 2. Plan (`plan`): every cell once, in random order, before one runs again. What the journal of the same state has is
//!    not run again (`journal`): a run that was interrupted goes on.
//! 3. Run each process in a group of its own, with a time limit (`process`). A process that ends without its record
//!    becomes a row with an error: status and last lines.
//! 4. Keep: rows go to `baselines/<machine class>/`, and `assay report` writes report and figures beside them. Parts of
//!    a matrix (`--set`, `--smoke`) are only shown.
//!
//! One run at a time has the machine: the lock is that of `compare`.
#![forbid(unsafe_code)]

mod build;
mod journal;
mod plan;
mod process;
mod smoke;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use compare::command;
use compare::comparison::{self, Invocation, Project};
use compare::exit::{Exit, usage};
use compare::repo::Snapshot;
use machine::Fingerprint;
use record::{SCHEMA, jsonl};
use scenario::{Cell, Level, Matrix, Provenance, Row, Setting};

pub use smoke::{Smoked, smoke};

use build::Programs;
use journal::Journal;
use plan::Task;
use process::CellProcesses;

/// `run`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The scenario, as in `benches/scenarios/NAME.toml`; without it, list the scenarios
    name: Option<String>,
    /// Restrict an axis to some of its values; the report is printed but not kept (repeatable)
    #[arg(long, value_name = "AXIS=VALUE,…")]
    set: Vec<Setting>,
    /// All cells, not only those that are measured by default
    #[arg(long, conflicts_with = "smoke")]
    full: bool,
    /// Only the few small cells that CI runs, once each; the report is printed but not kept
    #[arg(long)]
    smoke: bool,
    /// Run finished cells again
    #[arg(long)]
    again: bool,
    /// Print the processes that would run
    #[arg(long)]
    dry_run: bool,
    /// Seed of the order [default: drawn, and recorded]
    #[arg(long)]
    seed: Option<u64>,
}

impl Arguments {
    fn level(&self) -> Level {
        match self {
            Self { smoke: true, .. } => Level::Smoke,
            Self { full: true, .. } => Level::Full,
            _ => Level::Default,
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
    let matrix = matrix(root, name)?;
    let cells = matrix.select(arguments.level(), &arguments.set).map_err(|error| usage(format!("{name}: {error}")))?;
    let runs = if arguments.smoke { 1 } else { matrix.runs };
    // Before the build, which would disturb what another run measures.
    let _lock = comparison::lock(invocation)?;
    let programs = Programs::build(invocation, root, &matrix, &cells)?;
    let made = provenance(invocation, root, (&matrix, &programs), arguments.seed)?;
    let path = journal::path(&invocation.cache()?, root, (&made.machine, name));
    let mut journal = Journal::open(&path, &made);
    if arguments.again {
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
    measure(invocation, &run, &tasks, &mut journal)?;
    report(invocation, &run, &journal, arguments.is_whole())
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
fn measure(invocation: &Invocation, run: &Run<'_>, tasks: &[Task], journal: &mut Journal) -> Result<()> {
    let processes = CellProcesses::new(&invocation.cache()?, invocation.interrupt.clone())?;
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
            bail!("interrupted: {kept} of {all} processes are finished and kept; the same command goes on");
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
    let rows: Vec<&Row> = if is_whole { journal.rows().iter().collect() } else { journal.of(run.cells, run.runs) };
    let scratch = tempfile::tempdir().context("failed to make a scratch directory")?;
    let kept = scenario::rows_path(&run.made.machine, run.name);
    let path = if is_whole { run.root.join(&kept) } else { scratch.path().join("rows.jsonl") };
    let directory = path.parent().map(Path::to_owned).unwrap_or_default();
    fs::create_dir_all(&directory).with_context(|| format!("failed to make {}", directory.display()))?;
    jsonl::write(&path, &rows).with_context(|| format!("failed to write {}; is the disk full?", path.display()))?;
    let text = rendered(run, &path, is_whole.then_some(directory.as_path()))?;
    invocation.console.print(text.trim_end())?;
    if is_whole {
        invocation.console.note(&format!("wrote {kept} and, beside it, scenario-{}.md with its figures", run.name));
    }
    let own = journal.of(run.cells, run.runs);
    let is_wrong = |row: &&Row| row.record.proof.as_ref().is_some_and(|proof| proof.failure.is_some());
    let wrong = if own.iter().any(is_wrong) { Exit::Invalid } else { Exit::Fine };
    Ok(if own.iter().all(|row| row.is_measured() || is_wrong(row)) { wrong } else { wrong.max(Exit::Failure) })
}

fn rendered(run: &Run<'_>, rows: &Path, out: Option<&Path>) -> Result<String> {
    let mut assay: Command = command::in_directory(&run.programs.assay.to_string_lossy(), run.root);
    assay.args(["report", run.name, "--rows"]).arg(rows);
    if let Some(out) = out {
        assay.arg("--out").arg(out);
    }
    command::stdout_of(&mut assay)
}
