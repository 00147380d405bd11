//! `compare`: before and after, measured now, logged by title and change.

use std::fs;

use anyhow::{Context as _, Result};

use super::{exclude, filter, pages, quoted, scope_words, wanted};
use crate::build::Wanted;
use crate::cli::Compare;
use crate::comparison::{Invocation, Options, Outcome, Project, Purpose, Revisions, lock, lock_log, run};
use crate::exit::{Exit, usage};
use crate::log::valid_title;
use crate::policy::Policy;
use crate::repo::Snapshot;
use crate::report::{Entry, json, markdown, text};
use crate::slot::Slots;

/// Runs the command.
pub fn compare(invocation: &Invocation, arguments: &Compare) -> Result<Exit> {
    Ok(match compared(invocation, arguments)? {
        Outcome::Measured(entry) => entry.exit(),
        Outcome::Planned(exit) => exit,
    })
}

/// Compares, reports and logs.
pub(super) fn compared(invocation: &Invocation, arguments: &Compare) -> Result<Outcome> {
    invocation.console.set_quiet(arguments.scope.quiet);
    let title = arguments.title.as_deref().map(valid_title).transpose()?;
    let change = arguments.change.as_deref().map(valid_change).transpose()?;
    let filter = filter(&arguments.scope)?;
    let project = Project::open(invocation, arguments.scope.manifest_path.as_deref())?;
    let mut policy = Policy::read(&project.root)?;
    arguments.accept.iter().try_for_each(|text| policy.accept(text))?;
    let logs = !arguments.no_log && !arguments.dry_run;
    let logged_as = title.as_ref().filter(|_| logs);
    if let Some(title) = logged_as {
        project.log.check_writable(title)?;
        if !project.log.exists() {
            invocation.console.note(&first_words(&project));
        }
    } else if logs {
        invocation.console.note("not logged: that takes a --title and a --change");
    }
    // Before the base is looked up: the run that is waited for may log under the same title.
    let _lock = lock(invocation)?;
    let _log_lock = logged_as.is_some().then(|| lock_log(invocation, &project.git)).transpose()?;
    if logged_as.is_some()
        && let Some(done) = project.log.recover()?
    {
        invocation.console.note(&done);
    }
    let revisions = revisions(invocation, &project, arguments, title.as_deref())?;
    if arguments.clean {
        Slots::open(&invocation.cache()?, &project.git)?.clean(&project.git)?;
    }
    let options = Options {
        purpose: Purpose::Compare,
        wanted: Wanted {
            scenario: arguments.scenario.clone().map(|name| (name, arguments.set.clone())),
            ..wanted(&arguments.scope)
        },
        filter,
        exclude: exclude(&arguments.scope)?,
        tier: arguments.scope.tier.unwrap_or(1),
        budget_s: arguments.budget.as_secs_f64(),
        timeout: arguments.scope.timeout,
        wait: arguments.scope.wait,
        dry_run: arguments.dry_run,
        json: arguments.json,
        seed: arguments.scope.seed,
        one_link: arguments.scope.one_link,
        all_instructions: arguments.instructions,
        least_blocks: 0,
    };
    let mut entry = match run(invocation, &project, &revisions, &options, &policy)? {
        Outcome::Measured(entry) => *entry,
        planned @ Outcome::Planned(_) => return Ok(planned),
    };
    let logs = logged_as.is_some();
    entry.title = title.unwrap_or_default();
    entry.change = change.unwrap_or_default();
    entry.command = command(invocation, arguments, &entry);
    show(invocation, arguments, &entry)?;
    let written = if logs { write_log(invocation, &project, &entry) } else { Ok(()) };
    let data = project.log.data().unwrap_or_default();
    pages::write(invocation, &arguments.pages, &entry, &pages::history(&data, &entry))?;
    written?;
    Ok(Outcome::Measured(Box::new(entry)))
}

/// The trimmed change, or why it cannot stand in a heading.
fn valid_change(change: &str) -> Result<String> {
    let change = change.trim();
    if change.is_empty() || change.chars().any(char::is_control) {
        return Err(usage("--change must be one non-empty line of text"));
    }
    Ok(change.to_owned())
}

/// What the first logged run in a repository says before it takes anybody's time.
fn first_words(project: &Project) -> String {
    format!(
        "the first entry in this repository: it will write {} and baselines/ beside it, both meant to be committed, and keep \
         the measured state under refs/assay/; with --no-log nothing is written",
        project.log.text_path().display()
    )
}

/// The head as asked or as the work tree is; the base as asked or as the log says.
fn revisions(
    invocation: &Invocation,
    project: &Project,
    arguments: &Compare,
    title: Option<&str>,
) -> Result<Revisions> {
    let head = match &arguments.head {
        Some(revision) => Snapshot::of_commit(&project.git, project.git.require_commit(revision, "--head")?)?,
        None => Snapshot::of_work_tree(&project.git, &project.own_paths())?,
    };
    for path in &head.left_out {
        invocation.console.note(&format!("left out, being untracked and over 10 MiB: {path}"));
    }
    let last = title.map(|title| project.log.last(title)).transpose()?.flatten();
    let title = title.unwrap_or_default();
    let base = match (&arguments.base, last) {
        (Some(revision), _) => {
            Some(Snapshot::of_commit(&project.git, project.git.require_commit(revision, "--base")?)?)
        }
        (None, Some(last)) => {
            let commit = project
                .git
                .require_commit(&last.commit, "--base")
                .with_context(|| format!("the last entry under \"{title}\" measured {} ({})", last.label, last.id))?;
            let snapshot = Snapshot::of_commit(&project.git, commit)?;
            Some(Snapshot { label: format!("{} (\"{}\")", last.label, last.change), ..snapshot })
        }
        (None, None) => {
            invocation.console.note(&if title.is_empty() {
                "no --base and no --title: measuring the state as it is".to_owned()
            } else {
                format!("no earlier measured entry under \"{title}\": recording the state as it is")
            });
            None
        }
    };
    if let Some(base) = &base {
        invocation.console.note(&format!("before: {}\nafter:  {}", base.label, head.label));
        if base.commit == head.commit {
            invocation.console.note("both are the same state: nothing changed since");
        }
    }
    Ok(Revisions { base, head })
}

/// The command that measures the same two revisions again.
fn command(invocation: &Invocation, arguments: &Compare, entry: &Entry) -> String {
    let mut words = vec![invocation.called.clone(), "compare".to_owned()];
    if entry.title.is_empty() {
        words.push("--no-log".to_owned());
    } else {
        words.extend(["--title".to_owned(), quoted(&entry.title), "--change".to_owned(), quoted(&entry.change)]);
    }
    if let Some(base) = &entry.base {
        words.extend(["--base".to_owned(), base.commit[..12].to_owned()]);
    }
    words.extend(["--head".to_owned(), entry.head.commit[..12].to_owned()]);
    if let Some(scenario) = &arguments.scenario {
        words.extend(["--scenario".to_owned(), quoted(scenario)]);
        words.extend(arguments.set.iter().flat_map(|set| ["--set".to_owned(), quoted(set)]));
    }
    words.extend(scope_words(&arguments.scope));
    words.join(" ")
}

fn show(invocation: &Invocation, arguments: &Compare, entry: &Entry) -> Result<()> {
    if arguments.json {
        return invocation.console.print(&serde_json::to_string_pretty(&json(entry))?);
    }
    super::report(invocation, &text::terminal(entry))
}

/// Logs the entry. If that fails, the measurement is not lost: it is kept in the cache and shown.
fn write_log(invocation: &Invocation, project: &Project, entry: &Entry) -> Result<()> {
    let written = project.git.keep(&entry.id, &entry.head.commit).and_then(|()| project.log.append(entry));
    match written {
        Ok(()) => {
            let data = project.log.data()?;
            let named: Vec<String> =
                data.iter().flat_map(|(_, entries)| entries).map(|entry| entry.id.clone()).collect();
            project.git.drop_unnamed(&named, &project.own_paths()[0])?;
            invocation.console.note(&format!(
                "\nlogged under \"{}\" in {}",
                entry.title,
                project.log.text_path().display()
            ));
            Ok(())
        }
        Err(error) => {
            let path = invocation.cache()?.join(format!("unsaved-{}.json", entry.id));
            let kept = fs::write(&path, serde_json::to_vec(entry)?).is_ok();
            invocation.console.print(&markdown(entry).unwrap_or_default())?;
            let place = if kept {
                let path = quoted(&path.to_string_lossy());
                format!("it is kept; once that is mended, log it with: {} log import {path}", invocation.called)
            } else {
                "it stands above".to_owned()
            };
            Err(error.context(format!("the entry could not be logged; {place}")))
        }
    }
}
