//! `cargo xtask peers OP`: our code and other people's, on the same bytes, in turns.
//!
//! A *peer* is a program below `peers/`, in a workspace of its own; our side is `assay peer OP`. All speak the protocol of
//! `crates/peer`. `peers/OP.toml` names the peers and the cases ([`suite`]).
//!
//! For each number of threads, [`SETS`] times:
//! 1. Every implementation is started ([`process`]); all but the one that works are stopped.
//! 2. For each case, everyone loads it and runs it once, and each result is compared with ours ([`verifier`]). Who disagrees
//!    is not timed: it is a row that says so, and the command ends with exit code 5.
//! 3. [`ROUNDS`] rounds: the implementations and the ceiling, in random order, a burst each ([`sweep`]).
//!
//! The median ratio of a set is one sample, for a set is one process of each implementation with its own luck in memory; the
//! interval is the exact one of the signed-rank test over sets ([`row`]). The table ([`table`]) goes below `baselines/`.

#![forbid(unsafe_code)]

mod agree;
mod build;
mod difference;
mod expand;
mod goals;
mod process;
mod row;
mod session;
mod suite;
mod sweep;
mod table;
mod verify;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use compare::command;
use compare::comparison::{self, Invocation};
use compare::exit::{Exit, usage};
use machine::Fingerprint;
use regex_lite::Regex;

pub use agree::{Arguments as AgreeArguments, agree};
use build::{Built, Program};
use row::{Outcome, Row};
use suite::Suite;
use sweep::Sweep;

/// Fresh processes of each implementation; the fewest whose exact interval reaches 95 % with one to spare.
const SETS: usize = 7;
/// Rounds of each set.
const ROUNDS: usize = 3;

/// `peers`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
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
pub fn peers(invocation: &Invocation, root: &Path, arguments: &Arguments) -> Result<Exit> {
    let Some(op) = suite::chosen(invocation, root, arguments.op.as_deref(), "peers")? else {
        return Ok(Exit::Usage);
    };
    let mut suite = Suite::read(root, op)?;
    if arguments.render {
        let (rows, made) = table::Report::kept(root, op)?;
        let report = table::Report { suite: &suite, rows: &rows, op, made };
        report.keep(root)?;
        invocation.console.print(&report.markdown(root)?)?;
        return Ok(Exit::Fine);
    }
    // The others are compared by `agree`.
    suite.cases.retain(|case| case.timed);
    choose(&mut suite, arguments)?;
    invocation.console.print(&plan(&suite))?;
    if arguments.dry_run {
        return Ok(Exit::Fine);
    }
    let made = provenance(root)?;
    let ours = build::ours(invocation, root, op)?;
    let implementations = build::peers(invocation, root, &suite, &ours, &mut Built::default())?;
    let lock = comparison::lock(invocation)?;
    let scratch = invocation.cache()?.join("peers");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).with_context(|| format!("failed to make {}; is the disk full?", scratch.display()))?;
    let rows = timed(invocation, &suite, (&ours, &implementations), &scratch);
    let _ = fs::remove_dir_all(&scratch);
    drop(lock);
    let rows = rows?;
    let report = table::Report { suite: &suite, rows: &rows, op, made };
    invocation.console.print(&report.markdown(root)?)?;
    if arguments.is_whole() {
        for path in report.keep(root)? {
            invocation.console.note(&format!("wrote {}", path.display()));
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

fn choose(suite: &mut Suite, arguments: &Arguments) -> Result<()> {
    if let Some(filter) = &arguments.filter {
        let filter = Regex::new(filter).map_err(|error| usage(format!("--filter: {error}")))?;
        suite.cases.retain(|case| filter.is_match(&case.id));
    }
    if !arguments.peer.is_empty() {
        if let Some(unknown) = arguments.peer.iter().find(|name| suite.peers.iter().all(|peer| peer.name != **name)) {
            let names: Vec<&str> = suite.peers.iter().map(|peer| peer.name.as_str()).collect();
            return Err(usage(format!("--peer {unknown}: there are {}", names.join(", "))));
        }
        suite.peers.retain(|peer| arguments.peer.contains(&peer.name));
    }
    // What was aimed at is a question to a whole table.
    if !arguments.is_whole() {
        suite.goals.clear();
    }
    if suite.cases.is_empty() {
        return Err(usage("no case matches --filter; `--dry-run` without it lists them"));
    }
    Ok(())
}

fn plan(suite: &Suite) -> String {
    let runs: usize = suite.cases.iter().map(|case| suite.threads_of(case).len()).sum();
    let bursts = runs * SETS * ROUNDS * (suite.peers.len() + 2);
    let cases: Vec<&str> = suite.cases.iter().map(|case| case.id.as_str()).collect();
    format!(
        "{}: {} cases, {} peers, {SETS} sets of {ROUNDS} rounds; about {:.0} minutes of bursts after the builds, and the loading\n{}",
        suite.title,
        runs,
        suite.peers.len(),
        (bursts as f64 * suite.burst_s / 60.0).ceil(),
        cases.join("\n")
    )
}

fn timed(
    invocation: &Invocation,
    suite: &Suite,
    (ours, peers): (&Program, &[Program]),
    scratch: &Path,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let steps: usize = suite.cases.iter().map(|case| suite.threads_of(case).len() * SETS).sum();
    let progress = invocation.console.bar("set by set", steps as u64, "cases");
    for &threads in &suite.threads {
        let mut sweep = Sweep::new(suite, threads, scratch)?;
        for set in 0..SETS {
            sweep.set(invocation, (ours, peers), set, &progress)?;
        }
        rows.extend(sweep.rows());
    }
    progress.finish();
    Ok(rows)
}
