//! `peers/OP.toml`: who takes part, in which cases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Matrix {
    /// Heading of the table.
    pub(super) title: String,
    /// Numbers of threads to run all cases with.
    pub(super) threads: Vec<NonZeroUsize>,
    /// What the rates of our side stand against.
    #[serde(default)]
    pub(super) ceiling: Ceiling,
    /// Length of one burst, in seconds.
    #[serde(default = "burst")]
    pub(super) burst_s: f64,
    /// How long a contestant may take for one answer, in seconds.
    #[serde(default = "limit")]
    pub(super) limit_s: f64,
    #[serde(rename = "peer")]
    pub(super) peers: Vec<Peer>,
    #[serde(rename = "case")]
    pub(super) cases: Vec<Case>,
}

/// What bounds the op.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ceiling {
    /// Nothing that is measured here.
    #[default]
    None,
    /// Multiply-adds on registers; a case says how many operations it has.
    Fma,
    /// Reading from memory; a case says how many bytes it moves.
    Memory,
}

/// Other people's code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    pub(super) name: String,
    /// Directory below `peers/`.
    pub(super) dir: String,
    /// Command that builds it there, if it needs to be built.
    #[serde(default)]
    pub(super) build: Vec<String>,
    /// File of Python requirements there, which go into its `.venv`.
    pub(super) requirements: Option<String>,
    /// Command that starts it there; `--threads N` is appended.
    pub(super) command: Vec<String>,
    /// Variables for it; `{threads}` becomes the number of threads.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
}

/// One problem.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) id: String,
    pub(super) params: toml::Table,
    /// Largest relative norm of a difference from our result; 0 asks for the same bytes.
    #[serde(default)]
    pub(super) tolerance: f64,
    /// Numbers of threads, if not all of the file's.
    pub(super) threads: Option<Vec<NonZeroUsize>>,
}

fn burst() -> f64 {
    0.03
}

fn limit() -> f64 {
    300.0
}

/// Names of the files below `peers/`.
pub(super) fn ops(root: &Path) -> Result<Vec<String>> {
    let mut ops = Vec::new();
    for entry in fs::read_dir(root.join("peers")).context("failed to list peers/")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            ops.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    ops.sort();
    Ok(ops)
}

impl Matrix {
    pub(super) fn read(root: &Path, op: &str) -> Result<Self> {
        let path = format!("peers/{op}.toml");
        let text = fs::read_to_string(root.join(&path)).with_context(|| format!("failed to read {path}"))?;
        Self::parse(&text).with_context(|| path)
    }

    fn parse(text: &str) -> Result<Self> {
        let matrix: Self = toml::from_str(text)?;
        let mut ids = BTreeSet::new();
        for case in &matrix.cases {
            ensure!(ids.insert(&case.id), "two cases are called {}", case.id);
            ensure!(case.tolerance >= 0.0, "{}: the tolerance has to be 0 or more", case.id);
            let unknown = matrix.threads_of(case).iter().any(|threads| !matrix.threads.contains(threads));
            ensure!(!unknown, "{}: its threads have to be among the file's", case.id);
        }
        let mut names = BTreeSet::from(["assay"]);
        for peer in &matrix.peers {
            ensure!(names.insert(&peer.name), "two contestants are called {}", peer.name);
            ensure!(!peer.command.is_empty(), "{}: its command is empty", peer.name);
        }
        ensure!(matrix.burst_s > 0.0 && matrix.limit_s > 0.0, "burst_s and limit_s have to be more than 0");
        Ok(matrix)
    }

    /// Numbers of threads that a case runs with.
    pub(super) fn threads_of<'a>(&'a self, case: &'a Case) -> &'a [NonZeroUsize] {
        case.threads.as_deref().unwrap_or(&self.threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        title = "Sums"
        threads = [1, 2]
        ceiling = "memory"
        [[peer]]
        name = "other"
        dir = "other"
        command = ["./other"]
        env = { N = "{threads}" }
        [[case]]
        id = "small"
        params = { n = 5, type = "f32" }
        threads = [2]
        [[case]]
        id = "large"
        params = { n = 500 }
        tolerance = 1e-6
    "#;

    #[test]
    fn the_files_of_this_workspace_are_valid() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for op in ops(root).unwrap() {
            let matrix = Matrix::read(root, &op).unwrap();
            assert!(!matrix.cases.is_empty() && !matrix.peers.is_empty(), "{op}");
        }
    }

    #[test]
    fn a_file_is_read() {
        let matrix = Matrix::parse(FILE).unwrap();
        assert_eq!(matrix.ceiling, Ceiling::Memory);
        assert_eq!(matrix.threads_of(&matrix.cases[0]).len(), 1);
        assert_eq!(matrix.threads_of(&matrix.cases[1]).len(), 2);
        assert_eq!(matrix.cases[0].tolerance, 0.0);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (from, to, word) in [
            ("\"large\"", "\"small\"", "two cases"),
            ("\"other\"\n        dir", "\"assay\"\n        dir", "two contestants"),
            ("[\"./other\"]", "[]", "command is empty"),
            ("threads = [2]", "threads = [3]", "among the file's"),
            ("1e-6", "-1.0", "tolerance"),
            ("title", "titel", "titel"),
        ] {
            assert!(FILE.contains(from), "{from}");
            let error = format!("{:#}", Matrix::parse(&FILE.replace(from, to)).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }
}
