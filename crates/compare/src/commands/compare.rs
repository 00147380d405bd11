//! `compare`: before and after, measured now, logged by title and change.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{exclude, filter, list, pages, quoted, scope_words, wanted};
use crate::build::Wanted;
use crate::cli::{Compare, Scope};
use crate::comparison::{
    Invocation, Options, Outcome, PackedComparison, Project, Purpose, Put, Revisions, lock, lock_log, pack, run,
};
use crate::exit::{Exit, usage};
use crate::log::valid_title;
use crate::policy::Policy;
use crate::repo::Snapshot;
use crate::report::{Entry, json, markdown, text};
use crate::slot::{MOST_BASES, Slots};

/// Measurement time unless the command line or a setting says otherwise.
pub(super) const BUDGET: Duration = Duration::from_secs(300);

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
    check_bases(invocation, arguments)?;
    let project = Project::open(invocation, arguments.scope.manifest_path.as_deref())?;
    let mut policy = Policy::read(&project.root)?;
    arguments.accept.iter().try_for_each(|text| policy.accept(text))?;
    let (scope, budget) = policy.settings.under(&arguments.scope, arguments.budget, BUDGET);
    let options = options(arguments, &scope, budget)?;
    if arguments.list {
        let _lock = lock(invocation)?;
        let head = head(invocation, &project, arguments)?;
        return Ok(Outcome::Planned(list::print(invocation, &project, head, &options, &policy)?));
    }
    let logs = !arguments.no_log && !arguments.dry_run;
    let logged_as = title.as_ref().filter(|_| logs);
    if let Some(title) = logged_as {
        project.git.check_can_log()?;
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
    let mut entry = match run(invocation, &project, &revisions, &options, &policy)? {
        Outcome::Measured(entry) => *entry,
        planned @ Outcome::Planned(_) => return Ok(planned),
    };
    let logs = logged_as.is_some();
    entry.title = title.unwrap_or_default();
    entry.change = change.unwrap_or_default();
    entry.command = command(invocation, arguments, &scope, &entry);
    show(invocation, arguments.json, &entry)?;
    let written = if logs { write_log(invocation, &project, &entry) } else { Ok(()) };
    let data = project.log.data().unwrap_or_default();
    pages::write(invocation, &arguments.pages, &entry, &pages::history(&data, &entry))?;
    written?;
    Ok(Outcome::Measured(Box::new(entry)))
}

/// Builds what `compare` with these arguments would measure, for a pack: `put` takes each program, at most `room`
/// bytes.
///
/// # Errors
/// What `compare` reports before it measures, or arguments that say how to measure or report here.
pub fn packed_comparison(
    invocation: &Invocation,
    arguments: &Compare,
    (put, room): (Put<'_>, u64),
) -> Result<PackedComparison> {
    let Compare { scenario, instructions, dry_run, list, json, pages, budget, .. } = arguments;
    if scenario.is_some() || *instructions || *dry_run || *list || budget.is_some() {
        let not = "--scenario, --instructions, --dry-run, --list and --budget";
        return Err(usage(format!("{not} are for a comparison here, not for a pack or Slurm")));
    }
    if *json {
        return Err(usage("--json is not for a pack: `import --json` prints it"));
    }
    if pages.html.is_some() || pages.charts.is_some() {
        return Err(usage(
            "--html and --charts are not for a pack or Slurm: `log show TITLE --html FILE` writes them after import",
        ));
    }
    let title = arguments.title.as_deref().map(valid_title).transpose()?;
    let change = arguments.change.as_deref().map(valid_change).transpose()?;
    check_bases(invocation, arguments)?;
    let project = Project::open(invocation, arguments.scope.manifest_path.as_deref())?;
    let mut policy = Policy::read(&project.root)?;
    arguments.accept.iter().try_for_each(|text| policy.accept(text))?;
    let (scope, budget) = policy.settings.under(&arguments.scope, None, BUDGET);
    let options = options(arguments, &scope, budget)?;
    let logged_as = title.filter(|_| !arguments.no_log);
    if let Some(title) = &logged_as {
        project.git.check_can_log()?;
        project.log.check_writable(title)?;
    }
    let _lock = lock(invocation)?;
    let revisions = revisions(invocation, &project, arguments, logged_as.as_deref())?;
    let mut packed = pack(invocation, &project, &revisions, &options, &policy, (put, room))?;
    packed.logged_as = logged_as.zip(change);
    if revisions.head.dirty {
        // Until the entry that names it is logged.
        project.git.keep(&format!("pack-{:.12}", revisions.head.commit), &revisions.head.commit)?;
    }
    Ok(packed)
}

/// Shows the entry of a pack, as a table or as JSON, and logs it if it is to be logged. One that is in the log already
/// stays.
///
/// # Errors
/// The log cannot be written.
pub fn import_entry(invocation: &Invocation, root: &Path, entry: &Entry, is_json: bool) -> Result<Exit> {
    show(invocation, is_json, entry)?;
    if entry.title.is_empty() {
        invocation.console.note("not logged: there is no --title and --change, or --no-log was given");
        return Ok(entry.exit());
    }
    let project = Project::open(invocation, Some(root))?;
    // Beside the report, which may be JSON.
    invocation.console.note(&super::log::add(invocation, &project, entry)?);
    Ok(entry.exit())
}

/// What the arguments ask for, with the scope and budget that are in force.
fn options(arguments: &Compare, scope: &Scope, budget: Duration) -> Result<Options> {
    Ok(Options {
        purpose: Purpose::Compare,
        wanted: Wanted {
            scenario: arguments.scenario.clone().map(|name| (name, arguments.set.clone())),
            ..wanted(scope)
        },
        filter: filter(scope)?,
        exclude: exclude(scope)?,
        // A list is there to show what else could be measured.
        tier: scope.tier.unwrap_or(if arguments.list { u8::MAX } else { 1 }),
        budget_s: budget.as_secs_f64(),
        timeout: scope.timeout,
        wait: scope.wait,
        dry_run: arguments.dry_run,
        json: arguments.json,
        seed: scope.seed,
        one_link: scope.one_link,
        all_instructions: arguments.instructions,
        accept_quality: arguments.accept_quality,
        least_blocks: 0,
    })
}

/// Rejects a comparison with nothing, more bases than there are slots for, and several bases for an entry of the log,
/// which has one.
fn check_bases(invocation: &Invocation, arguments: &Compare) -> Result<()> {
    let n = arguments.base.len();
    if arguments.title.is_none() && n == 0 && !arguments.no_log && !arguments.list {
        let called = &invocation.called;
        return Err(usage(format!(
            "say what to compare with:\n  \
             {called} compare --base REV                  with a revision, without a log\n  \
             {called} compare --title T --change C        with what the last entry under T measured, and log it\n  \
             {called} compare --list                      only show the benchmarks"
        )));
    }
    if n > MOST_BASES {
        return Err(usage(format!("--base is given {n} times; at most {MOST_BASES} bases are compared at a time")));
    }
    if n > 1 && arguments.title.is_some() && !arguments.no_log {
        return Err(usage("an entry of the log compares with one revision: leave out --title, or add --no-log"));
    }
    Ok(())
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
        "the first entry in this repository: it will write {} and baselines/ beside it, both meant to be committed, \
         and keep the measured state under refs/assay/; with --no-log nothing is written",
        project.log.text_path().display()
    )
}

/// The head as asked or as the work tree is.
fn head(invocation: &Invocation, project: &Project, arguments: &Compare) -> Result<Snapshot> {
    let head = match &arguments.head {
        Some(revision) => Snapshot::of_commit(&project.git, project.git.require_commit(revision, "--head")?)?,
        None => Snapshot::of_work_tree(&project.git, &project.own_paths())?,
    };
    for path in &head.left_out {
        invocation.console.note(&format!("left out, because it is untracked and over 10 MiB: {path}"));
    }
    Ok(head)
}

/// The head as asked or as the work tree is; the bases as asked or as the log says.
fn revisions(
    invocation: &Invocation,
    project: &Project,
    arguments: &Compare,
    title: Option<&str>,
) -> Result<Revisions> {
    let head = head(invocation, project, arguments)?;
    let last = title.map(|title| project.log.last(title)).transpose()?.flatten();
    let title = title.unwrap_or_default();
    let named = |revision: &String| {
        let snapshot = Snapshot::of_commit(&project.git, project.git.require_commit(revision, "--base")?)?;
        Ok(if arguments.base.len() > 1 { snapshot.named(revision) } else { snapshot })
    };
    let mut bases: Vec<Snapshot> = arguments.base.iter().map(named).collect::<Result<_>>()?;
    let others = bases.split_off(bases.len().min(1));
    let base = match (bases.pop(), last) {
        (Some(base), _) => Some(base),
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
    for base in base.iter().chain(&others) {
        invocation.console.note(&format!("before: {}", base.label));
    }
    if base.is_some() {
        invocation.console.note(&format!("after:  {}", head.label));
    }
    if base.as_ref().is_some_and(|base| base.commit == head.commit) && others.is_empty() {
        invocation.console.note("both sides are the same state: nothing has changed since");
    }
    Ok(Revisions { base, others, head })
}

/// The command that measures the same revisions again.
fn command(invocation: &Invocation, arguments: &Compare, scope: &Scope, entry: &Entry) -> String {
    let mut words = vec![invocation.called.clone(), "compare".to_owned()];
    if entry.title.is_empty() {
        words.push("--no-log".to_owned());
    } else {
        words.extend(["--title".to_owned(), quoted(&entry.title), "--change".to_owned(), quoted(&entry.change)]);
    }
    for base in entry.base.iter().chain(entry.others.iter().map(|against| &against.base)) {
        words.extend(["--base".to_owned(), base.commit[..12].to_owned()]);
    }
    words.extend(["--head".to_owned(), entry.head.commit[..12].to_owned()]);
    if let Some(scenario) = &arguments.scenario {
        words.extend(["--scenario".to_owned(), quoted(scenario)]);
        words.extend(arguments.set.iter().flat_map(|set| ["--set".to_owned(), quoted(&without_directory(set))]));
    }
    words.extend(scope_words(scope));
    words.join(" ")
}

/// A setting for the log: of a path of the user's, the name of the file.
fn without_directory(set: &str) -> String {
    let path = set.split_once('=').and_then(|(axis, value)| Some((axis, record::own_path(value)?)));
    match path {
        Some((axis, path)) => format!("{axis}=./{}", path.file_name().unwrap_or_default().display()),
        None => set.to_owned(),
    }
}

fn show(invocation: &Invocation, is_json: bool, entry: &Entry) -> Result<()> {
    if is_json {
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
                format!("it is saved; once the cause is fixed, log it with: {} log import {path}", invocation.called)
            } else {
                "it stands above".to_owned()
            };
            Err(error.context(format!("the entry could not be logged; {place}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_names_a_file_and_not_where_it_lies() {
        assert_eq!(without_directory("model=/data/models/model.gguf"), "model=./model.gguf");
        assert_eq!(without_directory("model=../model.gguf"), "model=./model.gguf");
        assert_eq!(without_directory("threads=1,2"), "threads=1,2");
    }
}
