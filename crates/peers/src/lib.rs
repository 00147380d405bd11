//! `cargo xtask peers OP`: times our code beside other people's, on the same bytes, in interleaved bursts.
//!
//! A *peer* is a program below `peers/`, in a workspace of its own. Our side is `assay peer OP`. Each is an
//! *implementation* of the op and speaks the protocol of `crates/peer`. `peers/OP.toml` lists the peers and selects
//! cases from the op's own table (`suite`, `select`).
//!
//! For each number of threads, `SETS` times:
//! 1. Start every implementation (`process`). All but the one at work are stopped.
//! 2. For each case, every implementation loads it and runs it once; each result is compared with ours (`verify`).
//!    One that differs is not timed: its row says so, and the command ends with exit code 5.
//! 3. Time `ROUNDS` rounds: one burst of each implementation and of the ceiling, in random order (`sweep`). Where calls
//!    take seconds, fewer: a set leaves a case after `ENOUGH`.
//!
//! The median ratio of a set is one sample, because a set is one process of each implementation with one layout of its
//! memory. A run that was interrupted goes on behind its last whole set (`resume`). The interval is that of the
//! signed-rank test over the sets (`row`). `report` renders the rows, `store`
//! keeps them below `baselines/`, and `results` draws tables and charts in `docs/results/` from what is kept.
//!
//! `cargo xtask agree OP` (`agree()`) times nothing and compares more.
#![forbid(unsafe_code)]

mod agree;
mod build;
mod ceiling;
mod contestant;
mod difference;
mod expand;
mod figures;
mod goals;
mod job;
mod kept;
mod process;
mod report;
mod requirements;
mod results;
mod resume;
mod row;
mod select;
mod session;
mod store;
mod suite;
mod sweep;
mod verify;

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use compare::command;
use compare::comparison::{self, Invocation};
use compare::exit::Exit;
use machine::Fingerprint;

pub use agree::{Arguments as AgreeArguments, agree};
pub use job::{Carried, Choice, Job, Measuring, PackedJob, Unit};
pub use kept::{Imported, import};
pub use results::{Arguments as ChartsArguments, Fault, charts, check};

use build::{Place, Program};
pub use build::{TestProgram, assay, command_in, program_of, programs_of, test_programs};
use report::Report;
use resume::Resume;
use row::{Outcome, Row};
use session::PeerSession;
use suite::Suite;
use sweep::Sweep;

/// Fresh processes of each implementation: one more than the fewest whose exact interval reaches 95 %.
const SETS: usize = 7;
/// Rounds of each set.
const ROUNDS: usize = 3;
/// After so long, a set leaves a case to the next one. The interval is that over sets: what more rounds of long calls
/// would add to it is little, and a table would take hours.
const ENOUGH: Duration = Duration::from_secs(5);

/// `peers`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The op, as in `peers/OP.toml`; without it, list the ops
    op: Option<String>,
    #[command(flatten)]
    choice: Choice,
    /// Measure again what an interrupted run of the same state has finished
    #[arg(long)]
    again: bool,
    /// Print the cases and how long they would take
    #[arg(long)]
    dry_run: bool,
    /// Time nothing: write the kept table again, after its notes (peers/OP.notes.md), goals or headline changed
    #[arg(long, conflicts_with_all = ["filter", "peer", "threads", "again", "dry_run"])]
    render: bool,
    /// Machine class whose table `--render` writes; by default, this machine's
    #[arg(long, requires = "render")]
    class: Option<String>,
}

/// Runs `peers`.
///
/// # Errors
/// A file below `peers/` that is not valid, our own program if it cannot be built or fails, or a disk that is full. A
/// peer that cannot be built or fails is a row of the table, not an error.
pub fn peers(invocation: &Invocation, root: &Path, arguments: &Arguments) -> Result<Exit> {
    let Some(op) = suite::requested(invocation, root, arguments.op.as_deref(), "peers")? else {
        return Ok(Exit::Usage);
    };
    if arguments.render {
        let suite = Suite::read(root, op)?;
        return render(invocation, root, &suite, (op, arguments.class.as_deref()));
    }
    let machine = Fingerprint::collect();
    let made = format!("{}, {}", revision(root)?, machine_line(&machine));
    let mut job = Job::choose(invocation, root, op, &arguments.choice)?;
    invocation.console.print(&plan(&job.suite))?;
    if arguments.dry_run {
        return Ok(Exit::Fine);
    }
    job.build(invocation, root, Place::Here)?;
    let lock = comparison::lock(invocation)?;
    let scratch = invocation.cache()?.join("peers");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).with_context(|| format!("failed to make {}; is the disk full?", scratch.display()))?;
    let class = machine.class();
    let mut resume = resume(invocation, root, op, &job, (&class, arguments.again))?;
    let rows = timed(invocation, &job, &scratch, resume.as_mut());
    let _ = fs::remove_dir_all(&scratch);
    drop(lock);
    match (&rows, resume) {
        (Ok(_), Some(resume)) => resume.end(),
        (Err(_), Some(resume)) if resume.sets() > 0 => {
            invocation.console.error("the same command goes on behind the sets that were finished");
        }
        _ => {}
    }
    let rows = rows?;
    let report = Report { suite: &job.suite, rows: &rows, op, class: &class, made: &made, is_part: false };
    invocation.console.print(&report.markdown(root)?)?;
    if arguments.choice.is_whole() {
        keep(invocation, root, &report)?;
    }
    Ok(exit(&rows))
}

/// Whether a result differed from ours.
fn exit(rows: &[Row]) -> Exit {
    let differs = rows.iter().any(|row| matches!(row.outcome, Outcome::Disagrees { .. }));
    if differs { Exit::Invalid } else { Exit::Fine }
}

/// Checks `peers/OP.toml` against the table of cases that `assay`, a built program of ours, reports. Gives the number
/// of cases.
///
/// # Errors
/// What is wrong with the file, or with the program.
pub fn check_suite(root: &Path, op: &str, assay: &Path) -> Result<usize> {
    let mut suite = Suite::read(root, op)?;
    resolve(&mut suite, &Program::ours(root, op, &assay.to_string_lossy()))?;
    Ok(suite.cases.len())
}

/// Names of the ops that have a `peers/OP.toml`, sorted.
///
/// # Errors
/// `peers/` cannot be listed.
pub fn ops(root: &Path) -> Result<Vec<String>> {
    suite::ops(root)
}

/// Writes the kept table of an op again.
fn render(invocation: &Invocation, root: &Path, suite: &Suite, (op, class): (&str, Option<&str>)) -> Result<Exit> {
    let class = class.map_or_else(|| Fingerprint::collect().class(), str::to_owned);
    let path = store::rows_path(&class, op);
    let rows = store::rows(root, &class, op)?.with_context(|| format!("there is no {path}; see --class"))?;
    let made = store::made(&rows).to_owned();
    let report = Report { suite, rows: &rows, op, class: &class, made: &made, is_part: false };
    invocation.console.print(&report.markdown(root)?)?;
    keep(invocation, root, &report)?;
    Ok(Exit::Fine)
}

/// Writes rows and table, and what is drawn from them if `docs/results/` shows this class.
fn keep(invocation: &Invocation, root: &Path, report: &Report<'_>) -> Result<()> {
    let kept = store::keep(root, report)?;
    for path in kept.into_iter().chain(results::refresh(root)?) {
        invocation.console.note(&format!("wrote {path}"));
    }
    Ok(())
}

/// Adds the selected cases of our table.
fn resolve(suite: &mut Suite, ours: &Program) -> Result<()> {
    let mut table = Vec::new();
    if suite.selects() {
        let mut session = PeerSession::new(ours);
        session.start(suite, suite.threads.first().copied().context("`threads` is empty")?)?;
        table = session.cases()?;
    }
    suite.resolve(&table)
}

/// The machine, in a line.
fn machine_line(machine: &Fingerprint) -> String {
    let brand = machine.processor.brand.clone().unwrap_or_else(|| "unknown processor".to_owned());
    format!("{brand} with {} threads, class `{}`", machine.allowed_threads, machine.class())
}

/// Revision and day, in a line.
fn revision(root: &Path) -> Result<String> {
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
    Ok(format!("{}, {day}", state(root)?))
}

/// Behind a revision that does not tell what is built.
const UNCOMMITTED: &str = " with uncommitted changes";

/// The revision, and whether the work tree differs from it, in words.
///
/// # Errors
/// Git fails.
pub fn state(root: &Path) -> Result<String> {
    let git = |arguments: &[&str]| command::stdout_of(command::git_in(root).args(arguments));
    let revision = git(&["rev-parse", "--short=10", "HEAD"])?;
    // Generated and written documents change no measurement.
    let changed =
        git(&["status", "--porcelain", "--", ".", ":!README.md", ":!BENCHMARKS.md", ":!baselines", ":!docs"])?;
    let state = if changed.trim().is_empty() { "" } else { UNCOMMITTED };
    Ok(format!("revision {}{state}", revision.trim()))
}

fn plan(suite: &Suite) -> String {
    let runs: usize = suite.cases.iter().map(|case| suite.threads_of(case).len()).sum();
    let bursts = runs * SETS * ROUNDS * (suite.peers.len() + 2);
    let cases: Vec<&str> = suite.cases.iter().map(|case| case.id.as_str()).collect();
    format!(
        "{}: {} cases, {} peers, {SETS} sets of at most {ROUNDS} rounds; about {:.0} minutes of bursts, and several \
         times as long with building, loading, proofs and calls that last longer than a burst\n{}",
        suite.title,
        runs,
        suite.peers.len(),
        (bursts as f64 * suite.burst_s / 60.0).ceil(),
        cases.join("\n")
    )
}

/// What an interrupted run has finished.
fn resume(
    invocation: &Invocation,
    root: &Path,
    op: &str,
    job: &Job,
    (class, again): (&str, bool),
) -> Result<Option<Resume>> {
    let revision = state(root)?;
    let is_named = !revision.ends_with(UNCOMMITTED);
    let state = is_named.then(|| resume::state([&revision, class], &job.suite, job.programs()));
    let resume = Resume::open(&invocation.cache()?, op, state, again)?;
    if let Some(sets) = resume.as_ref().map(Resume::sets).filter(|&sets| sets > 0) {
        let all = job.suite.threads.len() * SETS;
        invocation
            .console
            .note(&format!("goes on behind {sets} of {all} sets, which are measured; --again begins anew"));
    }
    Ok(resume)
}

/// Set by set: each has fresh processes, which go through all cases.
fn timed(invocation: &Invocation, job: &Job, scratch: &Path, mut resume: Option<&mut Resume>) -> Result<Vec<Row>> {
    let suite = &job.suite;
    let mut rows = Vec::new();
    let sets_on = |threads: usize| resume.as_ref().map_or(0, |resume| resume.sets_on(threads));
    let left = |threads: &NonZeroUsize| SETS.saturating_sub(sets_on(threads.get()));
    let steps: usize = suite.cases.iter().flat_map(|case| suite.threads_of(case)).map(left).sum();
    let progress = invocation.console.bar("set by set", steps as u64, "cases");
    for &threads in &suite.threads {
        let mut sweep = Sweep::new(suite, threads, scratch)?;
        let before = resume.as_ref().map(|resume| resume.finished(threads.get())).unwrap_or_default();
        let first = before.sets;
        sweep.resume(before);
        for set in first..SETS {
            sweep.set(invocation, job.programs(), set, &progress)?;
            if let Some(resume) = &mut resume {
                resume.keep(threads.get(), sweep.finished(set + 1))?;
            }
        }
        rows.extend(sweep.rows());
    }
    progress.finish();
    Ok(rows)
}
