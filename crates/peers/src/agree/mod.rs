//! `cargo xtask agree OP`: compares results with other people's programs and counts what agrees. Nothing is timed.
//!
//! There are two kinds of evidence, both declared in `peers/OP.toml`:
//! 1. Every implementation runs every case once, including cases that are not timed, and the results are compared with
//!    ours ([`cases`]).
//! 2. Checkers: programs that do the comparing themselves, for what does not fit a case, such as thousands of small
//!    files or verdicts on hostile ones ([`checker`]). They are built like peers, and their last line of output has the
//!    counts ([`finding`]).
//!
//! A difference must have a reason in the file, or the command fails ([`judge`]). The counts ([`report`]) go to
//! `baselines/agree-OP.md`; they do not depend on the machine.

mod cases;
mod checker;
mod declared;
mod finding;
mod judge;
mod report;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use compare::comparison::Invocation;
use compare::exit::{Exit, usage};
use regex_lite::Regex;

pub(crate) use declared::{Agreement, Known};

use crate::build::{self, BuildCache, Program};
use crate::suite::{self, Suite};
use crate::{resolve, results, revision, store};
use finding::Finding;
use report::Report;

/// `agree`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The op, as in `peers/OP.toml`; without it, list the ops
    op: Option<String>,
    /// Only cases and checkers whose name matches this regular expression; the counts are printed but not kept
    #[arg(long, value_name = "RE")]
    filter: Option<String>,
    /// Print what would be compared
    #[arg(long)]
    dry_run: bool,
}

/// Runs `agree`.
///
/// # Errors
/// A file below `peers/` that is not valid, our own program if it cannot be built or fails, or a disk that is full.
pub fn agree(invocation: &Invocation, root: &Path, arguments: &Arguments) -> Result<Exit> {
    let Some(op) = suite::requested(invocation, root, arguments.op.as_deref(), "agree")? else {
        return Ok(Exit::Usage);
    };
    let mut suite = Suite::read(root, op)?;
    let made = revision(root)?;
    let ours = build::ours(invocation, root, op)?;
    resolve(&mut suite, &ours)?;
    if let Some(filter) = &arguments.filter {
        choose(&mut suite, filter)?;
    }
    // Where operands are changes no result, and copies of them take time and memory.
    suite.cases.iter_mut().for_each(|case| case.regime = suite::resident());
    invocation.console.print(&plan(&suite))?;
    if arguments.dry_run {
        return Ok(Exit::Fine);
    }
    let scratch = tempfile::tempdir().context("failed to make a scratch directory; is the disk full?")?;
    let findings = findings(invocation, root, (&suite, &ours), scratch.path())?;
    let judged = judge::judge(&findings, &suite.known)?;
    let report = Report { title: &suite.title, op, findings: &findings, judged: &judged, made };
    let text = report.markdown();
    invocation.console.print(&text)?;
    // A partial run does not replace the counts of a whole one.
    let is_whole = arguments.filter.is_none() && findings.iter().all(|finding| finding.failure.is_none());
    if is_whole {
        keep(invocation, root, op, &text)?;
    }
    if !judged.unexplained.is_empty() {
        invocation.console.note(&format!(
            "{} open differences: fix what is wrong, or list each as [[known]] in peers/{op}.toml with its reason",
            judged.unexplained.len()
        ));
    }
    Ok(if judged.is_fine(&findings) { Exit::Fine } else { Exit::Failure })
}

/// Writes the counts below `baselines/`, and the op's page in `docs/results/` if there is one.
fn keep(invocation: &Invocation, root: &Path, op: &str, text: &str) -> Result<()> {
    let path = results::agreement_path(op);
    store::write(root, &path, text)?;
    for path in std::iter::once(path).chain(results::refresh(root)?) {
        invocation.console.note(&format!("wrote {path}"));
    }
    Ok(())
}

fn choose(suite: &mut Suite, filter: &str) -> Result<()> {
    let filter = Regex::new(filter).map_err(|error| usage(format!("--filter: {error}")))?;
    suite.cases.retain(|case| filter.is_match(&case.id));
    suite.agreements.retain(|agreement| filter.is_match(&agreement.name));
    if suite.cases.is_empty() && suite.agreements.is_empty() {
        return Err(usage("nothing matches --filter; `--dry-run` without it lists cases and checkers"));
    }
    Ok(())
}

fn plan(suite: &Suite) -> String {
    let mut text = format!(
        "{}: {} cases with {} peers, {} checkers, {} known differences\n",
        suite.title,
        suite.cases.len(),
        suite.peers.len(),
        suite.agreements.len(),
        suite.known.len()
    );
    for case in &suite.cases {
        text += &format!("case     {}\n", case.id);
    }
    for agreement in &suite.agreements {
        text += &format!("checker  {}: {}\n", agreement.name, agreement.command.join(" "));
    }
    text
}

fn findings(
    invocation: &Invocation,
    root: &Path,
    (suite, ours): (&Suite, &Program),
    scratch: &Path,
) -> Result<Vec<Finding>> {
    let mut cache = BuildCache::default();
    let mut findings = Vec::new();
    if !suite.cases.is_empty() {
        let peers = build::peers(invocation, root, suite, ours, build::Place::Here, &mut cache)?;
        findings = cases::compared(invocation, suite, (ours, &peers), scratch)?;
    }
    for (serial, agreement) in suite.agreements.iter().enumerate() {
        if let Some(why) = cache.build(invocation, root, &agreement.name, agreement.recipe()) {
            let with = agreement.name.clone();
            findings.push(Finding { with, version: String::new(), topics: Vec::new(), failure: Some(why) });
            continue;
        }
        let progress = invocation.console.spinner(&format!("comparing with {}", agreement.name));
        let directory = scratch.join(format!("program-{serial}"));
        fs::create_dir_all(&directory)?;
        findings.push(checker::run(invocation, root, agreement, ours.program(), &directory)?);
        fs::remove_dir_all(&directory)?;
        progress.finish();
    }
    Ok(findings)
}
