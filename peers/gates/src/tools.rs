//! The gates: how each is installed, run as its documentation says, and read.

mod assay;
mod autor3search;
mod criterion;
mod perfgate;
mod tango;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::pair::{Pair, Side};
use crate::process::{command, succeed};
use crate::record::Finding;
use crate::subject::Repository;

/// Where everything is built and run.
pub struct Workplace {
    /// Directory of tools, subjects and caches.
    pub root: PathBuf,
    /// The root of this repository, for our own gate.
    pub assay: PathBuf,
    /// Measurement time of our own gate; `None` for its default.
    pub budget: Option<Duration>,
    /// Whether to measure next to nothing, to try whether all tools run.
    pub quick: bool,
}

impl Workplace {
    /// Programs of a tool.
    fn programs(&self, tool: &str) -> PathBuf {
        self.root.join("tools").join(tool)
    }

    /// Installs a program from crates.io at exactly this version, once, with its own lock file.
    fn install(&self, package: &str, version: &str, program: &str) -> Result<()> {
        let root = self.programs(&format!("{package}-{version}"));
        if root.join("bin").join(program).is_file() {
            return Ok(());
        }
        let mut cargo = command("cargo", &self.root);
        cargo.args(["install", "--locked", "--quiet", "--root"]).arg(&root);
        cargo.arg("--target-dir").arg(self.root.join("tools/target"));
        succeed(cargo.arg(format!("{package}@{version}"))).map(drop)
    }

    /// The repository of a gate.
    fn repository(&self, gate: &str) -> Result<Repository> {
        Repository::open(&self.root, gate)
    }
}

/// A gate.
pub trait Tool {
    /// The name of the tool.
    fn name(&self) -> &'static str;
    /// Its version.
    fn version(&self, place: &Workplace) -> Result<String>;
    /// Makes it ready: programs and, where it wants that, its build of dependencies.
    fn install(&self, place: &Workplace) -> Result<()>;
    /// Compares the two sides; one finding for each of its rules.
    fn compare(&self, place: &Workplace, pair: &Pair) -> Result<Vec<Finding>>;
}

/// All of them.
pub fn all() -> Vec<Box<dyn Tool>> {
    vec![
        Box::new(assay::Assay),
        Box::new(autor3search::Autor3search),
        Box::new(criterion::Criterion),
        Box::new(perfgate::Perfgate),
        Box::new(tango::Tango),
    ]
}

/// Builds a side and copies the program that it makes to `to`. `cargo` is a build with JSON messages.
fn build(repository: &Repository, pair: &Pair, side: Side, mut cargo: Command, to: &Path) -> Result<()> {
    repository.put(pair, side)?;
    let messages = succeed(cargo.args(["--message-format=json", "--quiet"]))?;
    let Some(program) = executable(&messages) else { bail!("cargo names no program that it built") };
    to.parent().map_or(Ok(()), fs::create_dir_all).context("failed to make a directory")?;
    fs::copy(&program, to).with_context(|| format!("failed to copy {program} to {}", to.display())).map(drop)
}

/// The last executable that cargo's messages name.
fn executable(messages: &str) -> Option<String> {
    let of = |line: &str| -> Option<String> {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(str::to_owned)
    };
    messages.lines().filter_map(of).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_one_that_cargo_names_last() {
        let messages = "not a message\n{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"executable\":\"/a/once\"}\n{\"reason\":\"build-finished\"}\n";
        assert_eq!(executable(messages).as_deref(), Some("/a/once"));
        assert_eq!(executable("{\"executable\":null}"), None);
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = all().iter().map(|tool| tool.name()).collect();
        names.dedup();
        assert_eq!(names.len(), 5);
    }
}
