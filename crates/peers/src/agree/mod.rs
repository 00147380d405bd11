//! `cargo xtask agree OP`: whether other people's programs find in files and numbers what ours finds.
//!
//! Two kinds of evidence, both declared in `peers/OP.toml`:
//! 1. Every case, the ones that are not timed too, is shown once by everybody, and results are compared with ours ([`cases`]).
//! 2. Programs that compare by themselves, for what does not fit a case: thousands of small files, verdicts on hostile ones.
//!    They are built as peers are, and end with a line of counts ([`finding`]).
//!
//! A difference has a reason in the file, or the command fails ([`judge`]). The counts ([`report`]) go to
//! `baselines/agree-OP.md`: they belong to no machine.

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

use crate::build::{self, Built};
use crate::suite::{self, Suite};
use crate::{revision, table};
use finding::Finding;
use report::Report;

/// `agree`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The op, as in `peers/OP.toml`; without it, those that there are
    op: Option<String>,
    /// Only cases and programs whose name matches this regular expression; the counts are then shown, not kept
    #[arg(long, value_name = "RE")]
    filter: Option<String>,
    /// Print what would be compared
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub fn agree(invocation: &Invocation, root: &Path, arguments: &Arguments) -> Result<Exit> {
    let Some(op) = suite::chosen(invocation, root, arguments.op.as_deref(), "agree")? else {
        return Ok(Exit::Usage);
    };
    let mut suite = Suite::read(root, op)?;
    if let Some(filter) = &arguments.filter {
        choose(&mut suite, filter)?;
    }
    invocation.console.print(&plan(&suite))?;
    if arguments.dry_run {
        return Ok(Exit::Fine);
    }
    let made = revision(root)?;
    let scratch = tempfile::tempdir().context("failed to make a scratch directory; is the disk full?")?;
    let findings = findings(invocation, root, op, &suite, scratch.path())?;
    let judged = judge::judge(&findings, &suite.known)?;
    let report = Report { title: &suite.title, op, findings: &findings, judged: &judged, made };
    let text = report.markdown();
    invocation.console.print(&text)?;
    // What was not compared is no evidence, so that a partial run leaves the counts of a whole one alone.
    let is_whole = arguments.filter.is_none() && findings.iter().all(|finding| finding.failure.is_none());
    if is_whole {
        keep(invocation, root, op, &text, &report)?;
    }
    if !judged.unexplained.is_empty() {
        invocation.console.note(&format!(
            "{} open differences: mend what is wrong, or list each as [[known]] in peers/{op}.toml with its reason",
            judged.unexplained.len()
        ));
    }
    Ok(if judged.is_fine(&findings) { Exit::Fine } else { Exit::Failure })
}

/// Writes the counts below `baselines/`, and between the markers of the op in README.
fn keep(invocation: &Invocation, root: &Path, op: &str, text: &str, report: &Report<'_>) -> Result<()> {
    let path = root.join(format!("baselines/agree-{op}.md"));
    table::write(&path, text)?;
    invocation.console.note(&format!("wrote {}", path.display()));
    let readme = root.join("README.md");
    let old = fs::read_to_string(&readme).with_context(|| format!("failed to read {}", readme.display()))?;
    let shown = format!("{}\nMade by `cargo xtask agree {op}`: {}.\n", report.totals(), report.made);
    if let Some(new) = table::with_summary(&old, &format!("agree {op}"), &shown)? {
        table::write(&readme, &new)?;
    }
    Ok(())
}

fn choose(suite: &mut Suite, filter: &str) -> Result<()> {
    let filter = Regex::new(filter).map_err(|error| usage(format!("--filter: {error}")))?;
    suite.cases.retain(|case| filter.is_match(&case.id));
    suite.agreements.retain(|agreement| filter.is_match(&agreement.name));
    if suite.cases.is_empty() && suite.agreements.is_empty() {
        return Err(usage("nothing matches --filter; `--dry-run` without it lists cases and programs"));
    }
    Ok(())
}

fn plan(suite: &Suite) -> String {
    let mut text = format!(
        "{}: {} cases with {} peers, {} programs that compare by themselves, {} known differences\n",
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
        text += &format!("program  {}: {}\n", agreement.name, agreement.command.join(" "));
    }
    text
}

fn findings(invocation: &Invocation, root: &Path, op: &str, suite: &Suite, scratch: &Path) -> Result<Vec<Finding>> {
    let ours = build::ours(invocation, root, op)?;
    let mut built = Built::default();
    let mut findings = Vec::new();
    if !suite.cases.is_empty() {
        let peers = build::peers(invocation, root, suite, &ours, &mut built)?;
        findings = cases::compared(invocation, suite, (&ours, &peers), scratch)?;
    }
    for (serial, agreement) in suite.agreements.iter().enumerate() {
        if let Some(why) = built.make(invocation, root, &agreement.name, agreement.recipe()) {
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
