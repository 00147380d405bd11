//! Workflows against GitHub's schema, by a program that knows it, where one is installed.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use compare::command;

/// Programs that check workflows, the better one first, with what makes them silent when all is well.
const PROGRAMS: [(&str, &[&str]); 2] =
    [("actionlint", &["-oneline"]), ("check-jsonschema", &["--quiet", "--builtin-schema", "vendor.github-workflows"])];

/// Name of the program that checked, and what it found; `None` where none is installed.
pub(super) fn check(root: &Path) -> Result<Option<(&'static str, Vec<String>)>> {
    let mut workflows = Vec::new();
    for entry in std::fs::read_dir(root.join(".github/workflows")).into_iter().flatten() {
        workflows.push(entry?.path());
    }
    workflows.sort();
    for (program, arguments) in PROGRAMS {
        let mut checker = Command::new(program);
        checker.args(arguments).args(&workflows).current_dir(root);
        let output = match checker.output() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            output => output?,
        };
        let found = if output.status.success() {
            Vec::new()
        } else {
            vec![command::tail(&output.stdout), command::tail(&output.stderr)]
        };
        return Ok(Some((program, found)));
    }
    Ok(None)
}
