//! `cargo xtask peers OP`: our code and other people's, on the same bytes, in turns.
//!
//! A *peer* is a program below `peers/`, in a workspace of its own; our side is `assay peer OP`. All speak the protocol of
//! `crates/peer`. `peers/OP.toml` names the peers and the cases ([`matrix`]).
//!
//! For each number of threads, [`SETS`] times:
//! 1. Every contestant is started ([`process`]); all but the one that works are stopped.
//! 2. For each case, everyone loads it and runs it once, and each result is compared with ours ([`stage`]). Who disagrees
//!    is not timed: it is a row that says so, and the command ends with exit code 5.
//! 3. [`ROUNDS`] rounds: the contestants and the ceiling, in random order, a burst each ([`contest`]).
//!
//! The median ratio of a set is one sample, for a set is one process of each contestant with its own luck in memory; the
//! interval is the exact one of the signed-rank test over sets ([`row`]). The table ([`table`]) goes below `baselines/`.

mod agree;
mod build;
mod contest;
mod difference;
mod goals;
mod matrix;
mod over;
mod process;
mod row;
mod session;
mod stage;
mod table;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use compare::command;
use compare::comparison::{self, Invocation};
use compare::exit::{Exit, usage};
use machine::Fingerprint;
use regex_lite::Regex;

pub(crate) use agree::{Arguments as AgreeArguments, agree};
use build::{Built, Contestant};
use contest::Contest;
use matrix::Matrix;
use row::{Outcome, Row};

/// Fresh processes of each contestant; the fewest whose exact interval reaches 95 % with one to spare.
const SETS: usize = 7;
/// Rounds of each set.
const ROUNDS: usize = 3;

/// `peers`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// The op, as in `peers/OP.toml`; without it, those that there are
    op: Option<String>,
    /// Only cases whose id matches this regular expression; the table is then shown, not kept
    #[arg(long, value_name = "RE")]
    filter: Option<String>,
    /// Only these peers; the table is then shown, not kept (repeatable)
    #[arg(long, value_name = "NAME")]
    peer: Vec<String>,
    /// Print what would be timed and how long it would take
    #[arg(long)]
    dry_run: bool,
    /// Time nothing: write the kept table again, after its notes (peers/OP.notes.md), goals or headline have changed
    #[arg(long, conflicts_with_all = ["filter", "peer", "dry_run"])]
    render: bool,
}

impl Arguments {
    /// Whether the run covers all, so that its table may stand for the op.
    fn is_whole(&self) -> bool {
        self.filter.is_none() && self.peer.is_empty()
    }
}

/// Runs the command.
pub(crate) fn peers(context: &Invocation, root: &Path, arguments: &Arguments) -> Result<Exit> {
    let Some(op) = matrix::chosen(context, root, arguments.op.as_deref(), "peers")? else {
        return Ok(Exit::Usage);
    };
    let mut matrix = Matrix::read(root, op)?;
    if arguments.render {
        let (rows, made) = table::Report::kept(root, op)?;
        let report = table::Report { matrix: &matrix, rows: &rows, op, made };
        report.keep(root)?;
        context.console.print(&report.markdown(root)?)?;
        return Ok(Exit::Fine);
    }
    // The others are compared by `agree`.
    matrix.cases.retain(|case| case.timed);
    choose(&mut matrix, arguments)?;
    context.console.print(&plan(&matrix))?;
    if arguments.dry_run {
        return Ok(Exit::Fine);
    }
    let made = provenance(root)?;
    let ours = build::ours(context, root, op)?;
    let contestants = build::peers(context, root, &matrix, &ours, &mut Built::default())?;
    let lock = comparison::lock(context)?;
    let scratch = context.cache()?.join("peers");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).with_context(|| format!("failed to make {}; is the disk full?", scratch.display()))?;
    let rows = timed(context, &matrix, (&ours, &contestants), &scratch);
    let _ = fs::remove_dir_all(&scratch);
    drop(lock);
    let rows = rows?;
    let report = table::Report { matrix: &matrix, rows: &rows, op, made };
    context.console.print(&report.markdown(root)?)?;
    if arguments.is_whole() {
        for path in report.keep(root)? {
            context.console.note(&format!("wrote {}", path.display()));
        }
    }
    let wrong = rows.iter().any(|row| matches!(row.outcome, Outcome::Disagrees { .. }));
    Ok(if wrong { Exit::Invalid } else { Exit::Fine })
}

/// Revision, day and machine, in a line.
fn provenance(root: &Path) -> Result<String> {
    let machine = Fingerprint::collect();
    let brand = machine.processor.brand.clone().unwrap_or_else(|| "unknown processor".to_owned());
    let (threads, class) = (machine.allowed_threads, machine.class());
    Ok(format!("{}, {brand} with {threads} threads, class `{class}`", revision(root)?))
}

/// Revision and day, in a line.
fn revision(root: &Path) -> Result<String> {
    let git = |arguments: &[&str]| command::stdout_of(command::git_in(root).args(arguments));
    let revision = git(&["rev-parse", "--short=10", "HEAD"])?;
    // What the command itself writes, and what others of its kind have written, changes no measurement.
    let changed =
        git(&["status", "--porcelain", "--", ".", ":!README.md", ":!BENCHMARKS.md", ":!baselines", ":!docs"])?;
    let state = if changed.trim().is_empty() { "" } else { " with uncommitted changes" };
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d");
    Ok(format!("revision {}{state}, {day}", revision.trim()))
}

fn choose(matrix: &mut Matrix, arguments: &Arguments) -> Result<()> {
    if let Some(filter) = &arguments.filter {
        let filter = Regex::new(filter).map_err(|error| usage(format!("--filter: {error}")))?;
        matrix.cases.retain(|case| filter.is_match(&case.id));
    }
    if !arguments.peer.is_empty() {
        if let Some(unknown) = arguments.peer.iter().find(|name| matrix.peers.iter().all(|peer| peer.name != **name)) {
            let names: Vec<&str> = matrix.peers.iter().map(|peer| peer.name.as_str()).collect();
            return Err(usage(format!("--peer {unknown}: there are {}", names.join(", "))));
        }
        matrix.peers.retain(|peer| arguments.peer.contains(&peer.name));
    }
    // What was aimed at is a question to a whole table.
    if !arguments.is_whole() {
        matrix.goals.clear();
    }
    if matrix.cases.is_empty() {
        return Err(usage("no case matches --filter; `--dry-run` without it lists them"));
    }
    Ok(())
}

fn plan(matrix: &Matrix) -> String {
    let runs: usize = matrix.cases.iter().map(|case| matrix.threads_of(case).len()).sum();
    let bursts = runs * SETS * ROUNDS * (matrix.peers.len() + 2);
    let cases: Vec<&str> = matrix.cases.iter().map(|case| case.id.as_str()).collect();
    format!(
        "{}: {} cases, {} peers, {SETS} sets of {ROUNDS} rounds; about {:.0} minutes of bursts after the builds, and the loading\n{}",
        matrix.title,
        runs,
        matrix.peers.len(),
        (bursts as f64 * matrix.burst_s / 60.0).ceil(),
        cases.join("\n")
    )
}

fn timed(
    context: &Invocation,
    matrix: &Matrix,
    (ours, peers): (&Contestant, &[Contestant]),
    scratch: &Path,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let steps: usize = matrix.cases.iter().map(|case| matrix.threads_of(case).len() * SETS).sum();
    let progress = context.console.bar("set by set", steps as u64, "cases");
    for &threads in &matrix.threads {
        let mut contest = Contest::new(matrix, threads, scratch)?;
        for set in 0..SETS {
            contest.set(context, (ours, peers), set, &progress)?;
        }
        rows.extend(contest.rows());
    }
    progress.finish();
    Ok(rows)
}
