//! `gate`: compare with the merge base, decide, and report where reviewers look.

use std::fs;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{exclude, filter, list, pages, scope_words, wanted};
use crate::cli::{Format, Gate, Scope};
use crate::comparison::{Invocation, Options, Outcome, Project, Purpose, Revisions, lock, run};
use crate::exit::{Exit, usage};
use crate::policy::Policy;
use crate::repo::{Git, Snapshot};
use crate::report::{Entry, github, json, text};

/// Measurement time unless the command line or a setting says otherwise.
const BUDGET: Duration = Duration::from_secs(600);
/// What to do about a clone without history, as CI checkouts are by default.
const SHALLOW: &str =
    "this clone is shallow; get the history with: git fetch --unshallow (in GitHub Actions: fetch-depth: 0)";

/// Runs the command.
pub fn gate(invocation: &Invocation, arguments: &Gate) -> Result<Exit> {
    invocation.console.set_quiet(arguments.scope.quiet);
    let project = Project::open(invocation, arguments.scope.manifest_path.as_deref())?;
    let mut policy = Policy::read(&project.root)?;
    arguments.accept.iter().try_for_each(|text| policy.accept(text))?;
    let (scope, budget) = policy.settings.under(&arguments.scope, arguments.budget, BUDGET);
    let options = Options {
        purpose: Purpose::Gate,
        wanted: wanted(&scope),
        filter: filter(&scope)?,
        exclude: exclude(&scope)?,
        tier: scope.tier.unwrap_or(u8::MAX),
        budget_s: budget.as_secs_f64(),
        timeout: scope.timeout,
        wait: scope.wait,
        dry_run: arguments.dry_run,
        json: arguments.format == Format::Json,
        seed: scope.seed,
        one_link: scope.one_link,
        all_instructions: arguments.instructions,
        accept_quality: false,
        least_blocks: 0,
    };
    if arguments.list {
        let _lock = lock(invocation)?;
        return list::print(invocation, &project, head(&project, arguments)?, &options, &policy);
    }
    let revisions = revisions(invocation, &project, arguments)?;
    let _lock = lock(invocation)?;
    let mut entry = match run(invocation, &project, &revisions, &options, &policy)? {
        Outcome::Measured(entry) => *entry,
        Outcome::Planned(exit) => return Ok(exit),
    };
    "gate".clone_into(&mut entry.title);
    entry.command = command(invocation, &scope, &entry);
    report(invocation, arguments, &entry)?;
    Ok(entry.exit())
}

/// The head as asked or as the work tree is.
fn head(project: &Project, arguments: &Gate) -> Result<Snapshot> {
    let git = &project.git;
    match &arguments.head {
        Some(revision) => Snapshot::of_commit(git, git.require_commit(revision, "--head")?),
        None => Snapshot::of_work_tree(git, &project.own_paths()),
    }
}

fn revisions(invocation: &Invocation, project: &Project, arguments: &Gate) -> Result<Revisions> {
    let git = &project.git;
    let head = head(project, arguments)?;
    let onto = match &arguments.base {
        Some(revision) => git.require_commit(revision, "--base")?,
        None => default_branch(git)?,
    };
    let mut base = git.merge_base(&onto, &head.commit)?;
    if base == head.commit {
        let Some(parent) = git.commit(&format!("{base}^"))? else {
            let cure = if git.is_shallow()? { SHALLOW } else { "name one with --base REV" };
            return Err(usage(format!("the head has no parent to compare with; {cure}")));
        };
        invocation.console.note("the head is on the base branch already: comparing it with its parent");
        base = parent;
    }
    let base = Snapshot::of_commit(git, base)?;
    invocation.console.note(&format!("merge base: {}\nhead:       {}", base.label, head.label));
    Ok(Revisions { base: Some(base), others: Vec::new(), head })
}

/// The branch that pull requests are merged into, as far as this clone knows.
fn default_branch(git: &Git) -> Result<String> {
    for name in ["origin/HEAD", "origin/main", "origin/master", "main", "master"] {
        if let Some(commit) = git.commit(name)? {
            return Ok(commit);
        }
    }
    let cure = if git.is_shallow()? { SHALLOW } else { "name the branch that this will be merged into: --base REV" };
    Err(usage(format!("no branch main or master, here or at origin; {cure}")))
}

fn command(invocation: &Invocation, scope: &Scope, entry: &Entry) -> String {
    let mut words = vec![invocation.called.clone(), "gate".to_owned()];
    if let Some(base) = &entry.base {
        words.extend(["--base".to_owned(), base.commit[..12].to_owned()]);
    }
    words.extend(["--head".to_owned(), entry.head.commit[..12].to_owned()]);
    words.extend(scope_words(scope));
    words.join(" ")
}

fn report(invocation: &Invocation, arguments: &Gate, entry: &Entry) -> Result<()> {
    let data = serde_json::to_string_pretty(&json(entry))?;
    if let Some(path) = &arguments.json_file {
        fs::write(path, &data).with_context(|| format!("failed to write {}", path.display()))?;
    }
    if let Some(path) = &arguments.comment_file {
        fs::write(path, github::comment(entry)).with_context(|| format!("failed to write {}", path.display()))?;
    }
    pages::write(invocation, &arguments.pages, entry, &[])?;
    match arguments.format {
        Format::Json => invocation.console.print(&data),
        Format::Text => super::report(invocation, &terminal(entry)),
        Format::Github => {
            super::report(invocation, &terminal(entry))?;
            for line in github::annotations(entry) {
                invocation.console.print(&line)?;
            }
            let Some(path) = invocation.variable("GITHUB_STEP_SUMMARY") else { return Ok(()) };
            let file = fs::File::options().append(true).create(true).open(&path);
            let written = file.and_then(|mut file| writeln!(file, "{}", github::summary(entry)));
            written.with_context(|| format!("failed to write the step summary {}", path.display()))
        }
    }
}

fn terminal(entry: &Entry) -> String {
    format!("{}\nrepeat: {}\nexit {}", text::terminal(entry), entry.command, entry.exit().code())
}
