//! `log`: check and show.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::pages;
use crate::cli::{Log as Arguments, LogAction};
use crate::comparison::{Invocation, Project, lock_log};
use crate::exit::{Exit, usage};
use crate::log::{check, markdown, valid_title};
use crate::report::{Entry, SCHEMA};

/// Runs the command.
pub fn log(invocation: &Invocation, arguments: &Arguments) -> Result<Exit> {
    let project = Project::open(invocation, arguments.manifest_path.as_deref())?;
    match &arguments.action {
        LogAction::Check => {
            let (checked, history, faults) = check(&project.log)?;
            for fault in &faults {
                invocation.console.print(&format!("{}: {}", fault.id, fault.reason))?;
            }
            let state = if faults.is_empty() { "agree with their data" } else { "checked" };
            invocation.console.print(&format!(
                "{checked} entries {state}, {history} are history without data, {} faults",
                faults.len()
            ))?;
            Ok(if faults.is_empty() { Exit::Fine } else { Exit::Failure })
        }
        LogAction::Import { file } => import(invocation, &project, &invocation.directory.join(file)),
        LogAction::Index => {
            let renewed = project.log.renew_index()?;
            invocation.console.print(if renewed { "wrote the index again" } else { "the index is as it should be" })?;
            Ok(Exit::Fine)
        }
        LogAction::Show { title, pages } => {
            let text = project.log.text()?;
            let groups = markdown::groups(&text);
            let Some(group) = groups.iter().find(|group| group.title == title.trim()) else {
                let titles: Vec<_> = groups.iter().map(|group| group.title.as_str()).collect();
                return Err(usage(format!("no title \"{title}\" in the log; it has: {}", titles.join(" · "))));
            };
            if pages.html.is_none() && pages.charts.is_none() {
                invocation.console.print(text[group.range.clone()].trim_end())?;
                return Ok(Exit::Fine);
            }
            let data = project.log.data()?;
            let last = data.iter().flat_map(|(_, entries)| entries).filter(|entry| entry.title == group.title);
            let last =
                last.max_by(|a, b| a.at.cmp(&b.at)).ok_or_else(|| usage("no entry under that title has data"))?;
            pages::write(invocation, pages, last, &pages::history(&data, last))?;
            Ok(Exit::Fine)
        }
    }
}

/// Logs an entry that an earlier run kept because it could not write the log.
fn import(invocation: &Invocation, project: &Project, path: &Path) -> Result<Exit> {
    let wrong = |reason: String| usage(format!("{} is no entry to import: {reason}", path.display()));
    let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let entry: Entry = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    if entry.schema > SCHEMA {
        return Err(wrong(format!("its schema is {}, this build knows {SCHEMA}", entry.schema)));
    }
    invocation.console.print(&add(invocation, project, &entry)?)?;
    Ok(Exit::Fine)
}

/// Logs an entry that was measured before, unless it is in the log already. Says which.
pub(super) fn add(invocation: &Invocation, project: &Project, entry: &Entry) -> Result<String> {
    valid_title(&entry.title)?;
    let _lock = lock_log(invocation, &project.git)?;
    if let Some(done) = project.log.recover()? {
        invocation.console.note(&done);
    }
    if project.log.data()?.iter().flat_map(|(_, entries)| entries).any(|known| known.id == entry.id) {
        return Ok(format!("entry {} is in the log already", entry.id));
    }
    project.log.check_writable(&entry.title)?;
    project.git.keep(&entry.id, &entry.head.commit)?;
    project.log.append(entry)?;
    Ok(format!("logged under \"{}\" in {}", entry.title, project.log.text_path().display()))
}
