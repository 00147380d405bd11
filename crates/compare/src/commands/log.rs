//! `log`: check and show.

use anyhow::Result;

use crate::cli::{Log as Arguments, LogAction};
use crate::comparison::{Invocation, Project};
use crate::exit::{Exit, usage};
use crate::log::{check, markdown};

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
        LogAction::Show { title } => {
            let text = project.log.text()?;
            let groups = markdown::groups(&text);
            let Some(group) = groups.iter().find(|group| group.title == title.trim()) else {
                let titles: Vec<_> = groups.iter().map(|group| group.title.as_str()).collect();
                return Err(usage(format!("no title \"{title}\" in the log; it has: {}", titles.join(" · "))));
            };
            invocation.console.print(text[group.range.clone()].trim_end())?;
            Ok(Exit::Fine)
        }
    }
}
