//! Builds the programs of implementations as their users would build them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use compare::command;
use compare::comparison::Invocation;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::requirements::Requirements;
use crate::suite::Suite;

/// How a program below `peers/` is built.
pub(crate) struct Recipe<'a> {
    /// Directory below `peers/`.
    pub(crate) dir: &'a str,
    /// Command that builds it there; empty if it needs none.
    pub(crate) build: &'a [String],
    /// Its Python environment, if it needs one.
    pub(crate) requirements: Option<&'a Requirements>,
}

/// Recipes that were built, and how each failed, if it did.
#[derive(Default)]
pub(crate) struct BuildCache<'a>(Vec<(Recipe<'a>, Option<String>)>);

impl<'a> BuildCache<'a> {
    /// Builds a recipe once. Notes a failure and gives its first line; the rest names paths of this machine, which do
    /// not belong in a table.
    pub(crate) fn build(
        &mut self,
        invocation: &Invocation,
        root: &Path,
        name: &str,
        recipe: Recipe<'a>,
    ) -> Option<String> {
        let is_same = |known: &Recipe<'_>| {
            known.dir == recipe.dir && known.build == recipe.build && known.requirements == recipe.requirements
        };
        if let Some((_, failure)) = self.0.iter().find(|(known, _)| is_same(known)) {
            return failure.clone();
        }
        let progress = invocation.console.spinner(&format!("building {name}"));
        let failure = build(&recipe, &root.join("peers").join(recipe.dir)).err().map(|error| format!("{error:#}"));
        progress.finish();
        if let Some(why) = &failure {
            invocation.console.note(&format!("{name} is not available: {why}"));
        }
        let failure = failure.map(|why| why.lines().next().unwrap_or_default().to_owned());
        self.0.push((recipe, failure.clone()));
        failure
    }
}

/// A program that can be started, or the reason why not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    pub(crate) name: String,
    /// Where it is started; in a pack, relative to it.
    pub(crate) directory: PathBuf,
    pub(crate) command: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// Why it is not available.
    pub(crate) unavailable: Option<String>,
}

impl Program {
    /// Our own side, by the path of `assay`.
    pub(crate) fn ours(root: &Path, op: &str, assay: &str) -> Self {
        let command = [assay, "peer", op].map(str::to_owned).to_vec();
        let (name, directory) = ("assay".to_owned(), root.to_owned());
        Self { name, directory, command, env: Vec::new(), unavailable: None }
    }

    /// Path of the program.
    pub(crate) fn program(&self) -> &str {
        &self.command[0]
    }

    /// The command that starts it with `threads` threads.
    pub(crate) fn command(&self, threads: usize) -> Command {
        let mut command = command_in(&self.directory, &self.command);
        command.args(["--threads", &threads.to_string()]);
        command.envs(self.env.iter().map(|(key, value)| (key, value.replace("{threads}", &threads.to_string()))));
        command
    }
}

/// A command in `directory`. A relative path with a directory names a program below it, whatever the working directory
/// is.
pub fn command_in(directory: &Path, words: &[String]) -> Command {
    let program = Path::new(&words[0]);
    let program = if program.components().count() > 1 { directory.join(program) } else { program.to_owned() };
    let mut command = Command::new(program);
    command.args(&words[1..]).current_dir(directory);
    // Error messages are compared and kept; a backtrace would name paths of this machine.
    command.env("RUST_BACKTRACE", "0");
    command
}

/// Builds our side.
pub(crate) fn ours(invocation: &Invocation, root: &Path, op: &str) -> Result<Program> {
    Ok(Program::ours(root, op, &assay(invocation, root)?.to_string_lossy()))
}

/// Builds the program `assay` of a workspace and gives its path.
///
/// # Errors
/// The last lines of cargo, if it fails.
pub fn assay(invocation: &Invocation, root: &Path) -> Result<PathBuf> {
    let progress = invocation.console.spinner("building assay");
    let program = program_of(root, "assay", &["build", "--package", "assay", "--release"])?;
    progress.finish();
    Ok(program)
}

/// Path of the program `name`, which cargo builds with these arguments if it is not built yet.
///
/// # Errors
/// The last lines of cargo, if it fails.
pub fn program_of(root: &Path, name: &str, arguments: &[&str]) -> Result<PathBuf> {
    let mut programs = programs_of(root, "bin", arguments)?.into_iter().filter(|(known, _)| known == name);
    programs.next().map(|(_, path)| path).with_context(|| format!("cargo built {name}, but named no program"))
}

/// Names and paths of the programs of a kind, `bin` or `bench`, that cargo builds with these arguments.
///
/// # Errors
/// The last lines of cargo, if it fails.
pub fn programs_of(root: &Path, kind: &str, arguments: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let program = |message: serde_json::Value| {
        let target = &message["target"];
        // A bench is built as a test; a program as a test is another one.
        let is_wanted = target["kind"] == json!([kind]) && (kind == "bench" || message["profile"]["test"] == false);
        is_wanted.then(|| Some((target["name"].as_str()?.to_owned(), message["executable"].as_str()?.into())))?
    };
    Ok(messages_of(root, arguments)?.into_iter().filter_map(program).collect())
}

/// A program of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestProgram {
    /// Its path.
    pub path: PathBuf,
    /// The directory of its package, in which cargo runs it.
    pub directory: PathBuf,
    /// Whether its tests are a file of their own, beside the library.
    pub is_integration: bool,
}

/// The programs of all tests of the workspace, which cargo builds where they are not built yet.
///
/// # Errors
/// The last lines of cargo, if it fails.
pub fn test_programs(root: &Path) -> Result<Vec<TestProgram>> {
    Ok(messages_of(root, &["test", "--workspace", "--no-run"])?.iter().filter_map(test_program).collect())
}

/// The program that a message of cargo tells of; `None` where it has no tests.
fn test_program(message: &serde_json::Value) -> Option<TestProgram> {
    if message["profile"]["test"] != true {
        return None;
    }
    let manifest = Path::new(message["manifest_path"].as_str()?);
    Some(TestProgram {
        path: message["executable"].as_str()?.into(),
        directory: manifest.parent()?.to_owned(),
        is_integration: message["target"]["kind"] == json!(["test"]),
    })
}

/// What cargo tells of its artifacts, line by line.
fn messages_of(root: &Path, arguments: &[&str]) -> Result<Vec<serde_json::Value>> {
    let mut cargo = command::in_directory("cargo", root);
    cargo.args(arguments).arg("--message-format=json-render-diagnostics");
    let messages = command::stdout_of_shown(&mut cargo)?;
    Ok(messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Where programs will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On this machine.
    Here,
    /// On another one, which has a Python of its own: nothing is installed here for peers in Python.
    Elsewhere,
}

/// Builds all peers of the file. One that cannot be built stays in the list with the reason.
pub(crate) fn peers<'a>(
    invocation: &Invocation,
    root: &Path,
    suite: &'a Suite,
    ours: &Program,
    place: Place,
    cache: &mut BuildCache<'a>,
) -> Result<Vec<Program>> {
    let mut implementations = Vec::new();
    for peer in &suite.peers {
        invocation.interrupt.check()?;
        if peer.own.is_some() {
            implementations.push(Program { name: peer.name.clone(), ..ours.clone() });
            continue;
        }
        let recipe = Recipe { dir: &peer.dir, build: &peer.build, requirements: peer.requirements.as_ref() };
        let unavailable = match place {
            Place::Elsewhere if peer.is_python() => None,
            _ => cache.build(invocation, root, &peer.name, recipe),
        };
        let directory = root.join("peers").join(&peer.dir);
        let env = peer.env.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let command = peer.command.clone();
        implementations.push(Program { name: peer.name.clone(), directory, command, env, unavailable });
    }
    Ok(implementations)
}

fn build(recipe: &Recipe<'_>, directory: &Path) -> Result<()> {
    if let Some(requirements) = recipe.requirements {
        requirements.install(directory)?;
    }
    if let Some((program, arguments)) = recipe.build.split_first() {
        command::run(command::in_directory(program, directory).args(arguments))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_tests_are_told_from_others() {
        let message = |kind: &str, is_test: bool, executable: serde_json::Value| {
            json!({"reason": "compiler-artifact", "manifest_path": "/a/b/Cargo.toml", "target": {"kind": [kind]},
                "profile": {"test": is_test}, "executable": executable})
        };
        let found =
            |is_integration| Some(TestProgram { path: "/t/x-1".into(), directory: "/a/b".into(), is_integration });
        assert_eq!(test_program(&message("lib", true, json!("/t/x-1"))), found(false));
        assert_eq!(test_program(&message("test", true, json!("/t/x-1"))), found(true));
        assert_eq!(test_program(&message("bin", false, json!("/t/x-1"))), None, "a program itself");
        assert_eq!(test_program(&message("lib", false, json!(null))), None);
        assert_eq!(test_program(&json!({"reason": "build-finished", "success": true})), None);
    }
}
