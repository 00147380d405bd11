//! `cargo xtask tidy`: the structural rules. Each is a module with tests that show it can fail.
//!
//! A rule maps the tree to violations; each names file, line and fix. Rules read files and build nothing, so they take
//! no time. Only bench ids have to be asked of the bench programs.

mod bench_ids;
mod comments;
mod direction;
mod env_and_print;
mod links;
mod manifests;
mod names;
mod sizes;
mod source;
mod tree;
mod workflows;
mod yaml;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use compare::command;
use compare::comparison::Invocation;
use compare::exit::Exit;
use record::{BenchRow, jsonl};

use tree::Tree;

/// `tidy`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Also build the benches and check the ids that they declare
    #[arg(long)]
    ids: bool,
}

/// What is wrong, where, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    file: String,
    line: usize,
    message: String,
}

impl Violation {
    fn new(file: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

const RULES: [fn(&Tree) -> Vec<Violation>; 8] = [
    direction::check,
    manifests::check,
    names::check,
    sizes::check,
    env_and_print::check,
    comments::check,
    links::check,
    workflows::check,
];

/// Runs the command.
pub(crate) fn tidy(invocation: &Invocation, root: &Path, arguments: &Arguments) -> Result<Exit> {
    let mut violations = check(root)?;
    if arguments.ids {
        violations.extend(check_ids(&declared(root)?));
    }
    for violation in &violations {
        invocation.console.print(&violation.to_string())?;
    }
    if violations.is_empty() {
        invocation.console.print("tidy: no violations")?;
        return Ok(Exit::Fine);
    }
    invocation.console.print(&format!("tidy: violations: {}", violations.len()))?;
    Ok(Exit::Failure)
}

/// Every violation found in files, sorted by file and line.
pub(crate) fn check(root: &Path) -> Result<Vec<Violation>> {
    let tree = Tree::read(root)?;
    let mut violations: Vec<Violation> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    let results = peers::check(root)?;
    violations.extend(results.into_iter().map(|fault| Violation::new(fault.file, 1, fault.message)));
    violations.sort();
    violations.dedup();
    Ok(violations)
}

/// Every violation found in the rows of bench programs.
pub(crate) fn check_ids(rows: &[BenchRow]) -> Vec<Violation> {
    bench_ids::check(rows)
}

/// The environment variable that tells bench programs where to write rows, and a path for it.
pub(crate) fn row_file() -> (&'static str, PathBuf) {
    ("ASSAY_ROWS", std::env::temp_dir().join(format!("assay-xtask-{}.jsonl", std::process::id())))
}

/// Reads the rows that benches wrote to `path` and removes the file. Without a file, no bench declared anything.
pub(crate) fn take_rows(path: &Path) -> Result<Vec<BenchRow>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let rows = jsonl::read(path, record::SCHEMA).map(|lines| lines.rows);
    std::fs::remove_file(path).with_context(|| format!("failed to remove {}", path.display()))?;
    rows.context("failed to read the rows that the benches wrote")
}

/// The rows that all benches of the workspace declare: runs their programs with a filter that matches nothing.
fn declared(root: &Path) -> Result<Vec<BenchRow>> {
    let (variable, path) = row_file();
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["bench", "--workspace", "--quiet", "--", "^no bench has this id$"]);
    command::run(cargo.env(variable, &path))?;
    take_rows(&path)
}
