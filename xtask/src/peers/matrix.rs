//! `peers/OP.toml`: who takes part, in which cases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use compare::comparison::Invocation;
use compare::exit::usage;
use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use super::agree::{Agreement, Known};
use super::over;

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
    /// What was aimed at.
    #[serde(rename = "goal", default)]
    pub(super) goals: Vec<Goal>,
    /// Programs that compare others with us by themselves.
    #[serde(rename = "agreement", default)]
    pub(super) agreements: Vec<Agreement>,
    /// Differences that are known.
    #[serde(rename = "known", default)]
    pub(super) known: Vec<Known>,
}

/// What bounds the op.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
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

/// Other people's code, or another way of ours to the same result.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    pub(super) name: String,
    /// Only cases whose id matches this regular expression.
    pub(super) cases: Option<String>,
    /// Our own program, with these parameters instead of the case's; then nothing of what follows is said.
    pub(super) own: Option<toml::Table>,
    /// Directory below `peers/`.
    #[serde(default)]
    pub(super) dir: String,
    /// Command that builds it there, if it needs to be built.
    #[serde(default)]
    pub(super) build: Vec<String>,
    /// File of Python requirements there, which go into its `.venv`.
    pub(super) requirements: Option<String>,
    /// Command that starts it there; `--threads N` is appended.
    #[serde(default)]
    pub(super) command: Vec<String>,
    /// Variables for it; `{threads}` becomes the number of threads.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
}

/// One problem.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) id: String,
    pub(super) params: toml::Table,
    /// Largest relative norm of a difference from our result; 0 asks for the same bytes.
    #[serde(default)]
    pub(super) tolerance: f64,
    /// Numbers of threads, if not all of the file's.
    pub(super) threads: Option<Vec<NonZeroUsize>>,
    /// What bounds it, if not what bounds all.
    pub(super) ceiling: Option<Ceiling>,
    /// Whether README shows its row.
    #[serde(default)]
    pub(super) headline: bool,
    /// Whether it is timed; if not, its results are compared and that is all.
    #[serde(default = "yes")]
    pub(super) timed: bool,
    /// Values of parameters; the case stands for one of each combination. Empty once the file is read.
    #[serde(default)]
    pub(super) over: BTreeMap<String, Vec<toml::Value>>,
}

/// What was aimed at in some cases: one of `ratio`, `share` and `scaling`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Goal {
    /// In words.
    pub(super) says: String,
    /// Regular expression of ids.
    pub(super) cases: String,
    /// With this number of threads; without it, with all.
    pub(super) threads: Option<usize>,
    /// Against these peers; without them, against all that are not our own program.
    #[serde(default)]
    pub(super) peers: Vec<String>,
    /// Least ratio of the peer's time to ours.
    pub(super) ratio: Option<f64>,
    /// Least share of the ceiling.
    pub(super) share: Option<f64>,
    /// Least share of the ceiling with the most threads, divided by that with one; with `peers`, our gain by threads divided by theirs.
    pub(super) scaling: Option<f64>,
}

fn yes() -> bool {
    true
}

fn burst() -> f64 {
    0.03
}

fn limit() -> f64 {
    300.0
}

/// Names of the files below `peers/`.
fn ops(root: &Path) -> Result<Vec<String>> {
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

/// The op that is asked for, if there is a file for it. Without one the user is told what there is.
pub(super) fn chosen<'a>(
    context: &Invocation,
    root: &Path,
    op: Option<&'a str>,
    command: &str,
) -> Result<Option<&'a str>> {
    let ops = ops(root)?.join(", ");
    let Some(op) = op else {
        context.console.print(&format!("usage: {} {command} OP, where OP is one of: {ops}", context.called))?;
        return Ok(None);
    };
    if !ops.split(", ").any(|known| known == op) {
        return Err(usage(format!("there is no peers/{op}.toml; there are: {ops}")));
    }
    Ok(Some(op))
}

impl Matrix {
    pub(super) fn read(root: &Path, op: &str) -> Result<Self> {
        let path = format!("peers/{op}.toml");
        let text = fs::read_to_string(root.join(&path)).with_context(|| format!("failed to read {path}"))?;
        Self::parse(&text).with_context(|| path)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut matrix: Self = toml::from_str(text)?;
        matrix.cases = over::expand(matrix.cases)?;
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
            ensure!(peer.own.is_some() || !peer.command.is_empty(), "{}: its command is empty", peer.name);
            ensure!(peer.own.is_none() || peer.command.is_empty(), "{}: it is our program, or a command", peer.name);
            peer.cases.as_deref().map_or(Ok(()), |cases| pattern(cases).map(drop))?;
        }
        for agreement in &matrix.agreements {
            ensure!(names.insert(&agreement.name), "two contestants are called {}", agreement.name);
            ensure!(!agreement.command.is_empty(), "{}: its command is empty", agreement.name);
        }
        for known in &matrix.known {
            let with = known.with.as_str();
            ensure!(with != "assay" && names.contains(with), "a known difference is with {with}, who takes no part");
            ensure!(!known.reason.is_empty(), "a known difference with {with} has no reason");
            pattern(&known.differs)?;
        }
        for goal in &matrix.goals {
            let kinds = [goal.ratio, goal.share, goal.scaling].iter().flatten().count();
            ensure!(kinds == 1, "goal {:?}: it has one of ratio, share and scaling", goal.says);
            let unknown = goal.peers.iter().find(|name| !names.contains(name.as_str()));
            ensure!(unknown.is_none(), "goal {:?}: no peer is called {unknown:?}", goal.says);
            let cases = pattern(&goal.cases)?;
            let is_met_by_some = matrix.cases.iter().any(|case| cases.is_match(&case.id));
            ensure!(is_met_by_some, "goal {:?}: no case matches {}", goal.says, goal.cases);
        }
        ensure!(matrix.burst_s > 0.0 && matrix.limit_s > 0.0, "burst_s and limit_s have to be more than 0");
        Ok(matrix)
    }

    /// Numbers of threads that a case runs with.
    pub(super) fn threads_of<'a>(&'a self, case: &'a Case) -> &'a [NonZeroUsize] {
        case.threads.as_deref().unwrap_or(&self.threads)
    }

    /// What bounds a case.
    pub(super) fn ceiling_of(&self, case: &Case) -> Ceiling {
        case.ceiling.unwrap_or(self.ceiling)
    }
}

impl Peer {
    /// The parameters of a case for this peer; `None` if it does not take part.
    pub(super) fn params(&self, case: &Case) -> Option<toml::Table> {
        let is_asked =
            self.cases.as_deref().is_none_or(|cases| pattern(cases).is_ok_and(|cases| cases.is_match(&case.id)));
        let mut params = case.params.clone();
        params.extend(self.own.clone().unwrap_or_default());
        // Our own program with the case's own parameters would be timed against itself.
        (is_asked && (self.own.is_none() || params != case.params)).then_some(params)
    }
}

/// A regular expression of ids.
pub(super) fn pattern(text: &str) -> Result<Regex> {
    Regex::new(text).with_context(|| format!("not a regular expression: {text}"))
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
        [[peer]]
        name = "ours of f16"
        cases = "small"
        own = { type = "f16" }
        [[goal]]
        says = "never behind"
        cases = "."
        ratio = 1.0
        [[case]]
        id = "small"
        params = { n = 5, type = "f32" }
        threads = [2]
        [[case]]
        id = "large"
        params = { n = 500 }
        tolerance = 1e-6
        [[case]]
        id = "seed{seed}"
        params = { n = 5 }
        over = { seed = [1, 2] }
        timed = false
        [[agreement]]
        name = "third"
        dir = "third"
        command = ["./third", "{assay}"]
        [[known]]
        with = "third"
        differs = "NaN"
        reason = "it has none"
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
        let [small, large, .., seeded] = &matrix.cases[..] else { panic!() };
        assert_eq!(matrix.peers[0].params(small).as_ref(), Some(&small.params));
        assert_eq!(matrix.peers[1].params(small).unwrap()["type"].as_str(), Some("f16"));
        assert_eq!(matrix.peers[1].params(large), None);
        assert!(large.timed && !seeded.timed);
        assert_eq!((seeded.id.as_str(), seeded.params["seed"].as_integer()), ("seed2", Some(2)));
        assert_eq!(matrix.agreements[0].command[1], "{assay}");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (from, to, word) in [
            ("\"large\"", "\"small\"", "two cases"),
            ("\"other\"\n        dir", "\"assay\"\n        dir", "two contestants"),
            ("[\"./other\"]", "[]", "command is empty"),
            ("threads = [2]", "threads = [3]", "among the file's"),
            ("1e-6", "-1.0", "tolerance"),
            ("ratio = 1.0", "ratio = 1.0\n        share = 0.5", "one of ratio"),
            ("cases = \".\"", "cases = \"huge\"", "no case matches"),
            ("cases = \"small\"", "cases = \"(\"", "regular expression"),
            ("own = { type", "command = [\"x\"]\n        own = { type", "our program, or a command"),
            ("with = \"third\"", "with = \"fourth\"", "who takes no part"),
            ("it has none", "", "has no reason"),
            ("\"NaN\"", "\"(\"", "regular expression"),
            ("\"third\"\n        dir", "\"other\"\n        dir", "two contestants"),
            ("title", "titel", "titel"),
        ] {
            assert!(FILE.contains(from), "{from}");
            let error = format!("{:#}", Matrix::parse(&FILE.replace(from, to)).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }
}
