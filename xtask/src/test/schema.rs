//! Checks workflows against GitHub's schema with an installed checker.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use compare::command;

/// A program that checks workflows.
#[derive(Clone, Copy)]
pub(super) struct Checker {
    pub(super) name: &'static str,
    /// Arguments for no output without faults.
    arguments: &'static [&'static str],
}

/// In order of preference.
const CHECKERS: [Checker; 2] = [
    Checker { name: "actionlint", arguments: &["-oneline"] },
    Checker { name: "check-jsonschema", arguments: &["--quiet", "--builtin-schema", "vendor.github-workflows"] },
];

impl Checker {
    /// The first that is installed.
    pub(super) fn installed() -> Option<Self> {
        CHECKERS.into_iter().find(|checker| Command::new(checker.name).arg("--version").output().is_ok())
    }

    /// Its messages about the workflows below `root`.
    pub(super) fn check(self, root: &Path) -> Result<Vec<String>> {
        let mut workflows = Vec::new();
        for entry in std::fs::read_dir(root.join(".github/workflows"))? {
            workflows.push(entry?.path());
        }
        workflows.sort();
        let mut checker = Command::new(self.name);
        let output = command::output_of(checker.args(self.arguments).args(&workflows).current_dir(root))?;
        if output.status.success() {
            return Ok(Vec::new());
        }
        Ok(vec![command::tail(&output.stdout), command::tail(&output.stderr)])
    }
}
