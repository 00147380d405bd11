//! `peers/OP.toml`: the peers of an op, the cases to compare them on, and the goals.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use compare::comparison::Invocation;
use compare::exit::usage;
use regex_lite::Regex;
use serde::Deserialize;

use crate::agree::{Agreement, Known};
use crate::ceiling::Ceiling;
pub(crate) use crate::contestant::Peer;
use crate::expand;
use crate::figures::Chart;
use crate::select::{self, Selection, TableCase};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suite {
    /// Heading of the report.
    pub(crate) title: String,
    /// Numbers of threads; every case runs with each.
    pub(crate) threads: Vec<NonZeroUsize>,
    /// Ceiling of all cases that name no other.
    #[serde(default)]
    pub(crate) ceiling: Ceiling,
    /// Length of one burst, in seconds.
    #[serde(default = "burst")]
    pub(crate) burst_s: f64,
    /// Time limit of one answer, in seconds.
    #[serde(default = "limit")]
    pub(crate) limit_s: f64,
    /// Ids of the cases that `docs/results/` shows.
    #[serde(default)]
    pub(crate) headline: Vec<String>,
    /// Charts of this op in `docs/results/`, beside that of all ops.
    #[serde(rename = "chart", default)]
    pub(crate) charts: Vec<Chart>,
    /// Files of the repository that our side reads; a pack carries them.
    #[serde(default)]
    pub(crate) files: Vec<String>,
    #[serde(rename = "peer")]
    pub(crate) peers: Vec<Peer>,
    /// Cases of our own table that take part.
    #[serde(rename = "select", default)]
    selections: Vec<Selection>,
    /// Cases with their parameters; once [`resolve`](Self::resolve) has run, those of the selections too.
    #[serde(rename = "case", default)]
    pub(crate) cases: Vec<Case>,
    #[serde(rename = "goal", default)]
    pub(crate) goals: Vec<Goal>,
    /// Programs that compare others with us by themselves.
    #[serde(rename = "agreement", default)]
    pub(crate) agreements: Vec<Agreement>,
    /// Differences that are known.
    #[serde(rename = "known", default)]
    pub(crate) known: Vec<Known>,
}

/// Parameters of a case: names, and numbers or strings.
pub(crate) type Params = serde_json::Map<String, serde_json::Value>;

/// One problem.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) params: Params,
    /// Where the operands are before each run: `resident` or `streamed`, as our table of cases says.
    #[serde(default = "resident")]
    pub(crate) regime: String,
    /// Largest relative norm of the difference from our result; 0 demands equal bytes.
    #[serde(default)]
    pub(crate) tolerance: f64,
    /// Numbers of threads, if not all of the file's.
    pub(crate) threads: Option<Vec<NonZeroUsize>>,
    /// Its ceiling, if not the file's.
    pub(crate) ceiling: Option<Ceiling>,
    /// Whether it is timed. If not, only its results are compared.
    #[serde(default = "yes")]
    pub(crate) timed: bool,
    /// Values of parameters: the case stands for one case of each combination. Empty once the file is read.
    #[serde(default)]
    pub(crate) over: BTreeMap<String, Vec<serde_json::Value>>,
}

/// A goal for some cases: one of `ratio`, `share` and `scaling`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Goal {
    /// In words.
    pub(crate) says: String,
    /// Regular expression of ids.
    pub(crate) cases: String,
    /// Number of threads; if absent, all.
    pub(crate) threads: Option<usize>,
    /// Against these peers; if empty, against all that are not our own program.
    #[serde(default)]
    pub(crate) peers: Vec<String>,
    /// Least ratio of the peer's time to ours.
    pub(crate) ratio: Option<f64>,
    /// Least share of the ceiling.
    pub(crate) share: Option<f64>,
    /// Least ratio of our share of the ceiling with most threads to that with one; with `peers`, of our speedup to
    /// theirs.
    pub(crate) scaling: Option<f64>,
}

/// The regime of a case that names none.
pub(crate) fn resident() -> String {
    "resident".to_owned()
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

/// Stems of the files `peers/*.toml`, sorted.
pub(crate) fn ops(root: &Path) -> Result<Vec<String>> {
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

/// The requested op, if `peers/OP.toml` exists. Without a request, prints the ops that exist and gives `None`.
pub(crate) fn requested<'a>(
    invocation: &Invocation,
    root: &Path,
    op: Option<&'a str>,
    command: &str,
) -> Result<Option<&'a str>> {
    let ops = ops(root)?.join(", ");
    let Some(op) = op else {
        invocation.console.print(&format!("usage: {} {command} OP, where OP is one of: {ops}", invocation.called))?;
        return Ok(None);
    };
    if !ops.split(", ").any(|known| known == op) {
        return Err(usage(format!("there is no peers/{op}.toml; there are: {ops}")));
    }
    Ok(Some(op))
}

impl Suite {
    pub(crate) fn read(root: &Path, op: &str) -> Result<Self> {
        let path = format!("peers/{op}.toml");
        let text = fs::read_to_string(root.join(&path)).with_context(|| format!("failed to read {path}"))?;
        Self::parse(&text).with_context(|| path)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut suite: Self = toml::from_str(text)?;
        suite.cases = expand::expand(suite.cases)?;
        let mut names = BTreeSet::from(["assay"]);
        for peer in &suite.peers {
            ensure!(names.insert(&peer.name), "two peers are called {}", peer.name);
            ensure!(peer.own.is_some() || !peer.command.is_empty(), "{}: its command is empty", peer.name);
            ensure!(peer.own.is_none() || peer.command.is_empty(), "{}: give either `own` or `command`", peer.name);
            peer.cases.as_deref().map_or(Ok(()), |cases| pattern(cases).map(drop))?;
        }
        for agreement in &suite.agreements {
            ensure!(names.insert(&agreement.name), "two peers are called {}", agreement.name);
            ensure!(!agreement.command.is_empty(), "{}: its command is empty", agreement.name);
        }
        for known in &suite.known {
            let with = known.with.as_str();
            ensure!(with != "assay" && names.contains(with), "a known difference names {with}, which is no peer");
            ensure!(!known.reason.is_empty(), "a known difference with {with} has no reason");
            pattern(&known.differs)?;
        }
        for goal in &suite.goals {
            let kinds = [goal.ratio, goal.share, goal.scaling].iter().flatten().count();
            ensure!(kinds == 1, "goal {:?}: give one of ratio, share and scaling", goal.says);
            let unknown = goal.peers.iter().find(|name| !names.contains(name.as_str()));
            ensure!(unknown.is_none(), "goal {:?}: no peer is called {unknown:?}", goal.says);
            pattern(&goal.cases)?;
        }
        ensure!(suite.burst_s > 0.0 && suite.limit_s > 0.0, "burst_s and limit_s must be greater than 0");
        Ok(suite)
    }

    /// Adds the cases that the selections take from `table`, our own table of cases, and checks what only then can be
    /// checked.
    pub(crate) fn resolve(&mut self, table: &[TableCase]) -> Result<()> {
        self.cases.extend(select::select(&self.selections, table)?);
        let mut ids = BTreeSet::new();
        for case in &self.cases {
            ensure!(ids.insert(&case.id), "two cases are called {}", case.id);
            ensure!(case.tolerance >= 0.0, "{}: the tolerance must be 0 or greater", case.id);
            let unknown = self.threads_of(case).iter().any(|threads| !self.threads.contains(threads));
            ensure!(!unknown, "{}: its threads must be among the file's", case.id);
        }
        for goal in &self.goals {
            let cases = pattern(&goal.cases)?;
            let matches_any = self.cases.iter().any(|case| cases.is_match(&case.id));
            ensure!(matches_any, "goal {:?}: no case matches {}", goal.says, goal.cases);
        }
        let charted = self.charts.iter().flat_map(Chart::cases);
        for id in self.headline.iter().map(String::as_str).chain(charted) {
            ensure!(ids.contains(&id.to_owned()), "headline or chart: no case is called {id}");
        }
        Ok(())
    }

    /// Whether [`resolve`](Self::resolve) needs our table of cases.
    pub(crate) fn selects(&self) -> bool {
        !self.selections.is_empty()
    }

    /// Numbers of threads that a case runs with.
    pub(crate) fn threads_of<'a>(&'a self, case: &'a Case) -> &'a [NonZeroUsize] {
        case.threads.as_deref().unwrap_or(&self.threads)
    }

    /// Runs every case with these numbers of threads instead of the file's; a case that names its own keeps those of
    /// them that it names.
    pub(crate) fn set_threads(&mut self, threads: &[NonZeroUsize]) {
        self.threads = threads.to_vec();
        for own in self.cases.iter_mut().filter_map(|case| case.threads.as_mut()) {
            own.retain(|number| threads.contains(number));
        }
        self.cases.retain(|case| case.threads.as_ref().is_none_or(|own| !own.is_empty()));
    }

    /// What bounds a case.
    pub(crate) fn ceiling_of(&self, case: &Case) -> Ceiling {
        case.ceiling.unwrap_or(self.ceiling).here()
    }
}

/// A regular expression of ids.
pub(crate) fn pattern(text: &str) -> Result<Regex> {
    Regex::new(text).with_context(|| format!("not a regular expression: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        title = "Sums"
        threads = [1, 2]
        ceiling = "memory"
        headline = ["large"]
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
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        for op in ops(root).unwrap() {
            let suite = Suite::read(root, &op).unwrap();
            assert!((suite.selects() || !suite.cases.is_empty()) && !suite.peers.is_empty(), "{op}");
            suite.files.iter().for_each(|file| assert!(root.join(file).is_file(), "{op}: there is no {file}"));
        }
    }

    #[test]
    fn a_file_is_read() {
        let mut suite = Suite::parse(FILE).unwrap();
        suite.resolve(&[]).unwrap();
        assert_eq!(suite.ceiling, Ceiling::Memory);
        assert_eq!(suite.threads_of(&suite.cases[0]).len(), 1);
        assert_eq!(suite.threads_of(&suite.cases[1]).len(), 2);
        assert_eq!(suite.cases[0].tolerance, 0.0);
        let [small, large, .., seeded] = &suite.cases[..] else { panic!() };
        assert_eq!(suite.peers[0].params(small).as_ref(), Some(&small.params));
        assert_eq!(suite.peers[1].params(small).unwrap()["type"].as_str(), Some("f16"));
        assert_eq!(suite.peers[1].params(large), None);
        assert!(large.timed && !seeded.timed);
        assert_eq!((seeded.id.as_str(), seeded.params["seed"].as_i64()), ("seed2", Some(2)));
        assert_eq!(suite.agreements[0].command[1], "{assay}");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (from, to, word) in [
            ("\"large\"", "\"small\"", "two cases"),
            ("\"other\"\n        dir", "\"assay\"\n        dir", "two peers"),
            ("[\"./other\"]", "[]", "command is empty"),
            ("threads = [2]", "threads = [3]", "among the file's"),
            ("1e-6", "-1.0", "tolerance"),
            ("ratio = 1.0", "ratio = 1.0\n        share = 0.5", "one of ratio"),
            ("cases = \".\"", "cases = \"huge\"", "no case matches"),
            ("cases = \"small\"", "cases = \"(\"", "regular expression"),
            ("own = { type", "command = [\"x\"]\n        own = { type", "either `own` or `command`"),
            ("with = \"third\"", "with = \"fourth\"", "which is no peer"),
            ("it has none", "", "has no reason"),
            ("\"NaN\"", "\"(\"", "regular expression"),
            ("\"third\"\n        dir", "\"other\"\n        dir", "two peers"),
            ("headline = [\"large\"", "headline = [\"huge\"", "no case is called huge"),
            ("title", "titel", "titel"),
        ] {
            assert!(FILE.contains(from), "{from}");
            let resolved = Suite::parse(&FILE.replace(from, to)).and_then(|mut suite| suite.resolve(&[]));
            let error = format!("{:#}", resolved.unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }
}
