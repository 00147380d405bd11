//! What earlier runs found out about a clone's benchmarks: their ids by state of the work tree, and what a process of
//! each costs.
//!
//! It is kept beside the slots, for messages, lists and plans alone: nothing here is ever a side of a comparison, and a
//! file that is lost or cannot be read is only less to say.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::catalog::{Catalog, ProblemKind};
use super::pilot::Pilot;
use crate::bench::{CriterionVersion, Key};
use crate::build::{Built, Wanted};

/// Version of the file.
const SCHEMA: u32 = 2;
/// Most states whose ids are kept.
const STATES: usize = 8;

/// What is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    schema: u32,
    /// Lists of benchmarks, the newest last.
    lists: Vec<KnownList>,
    costs: Vec<Cost>,
}

/// The benchmarks of one state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownList {
    state: State,
    /// Benchmarks.
    pub benches: Vec<KnownBench>,
    /// Targets that could be started.
    pub targets: Vec<KnownTarget>,
}

/// What decides which benchmarks a list holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Git's id of the files.
    pub tree: String,
    /// Directory of the workspace below the top of the work tree.
    pub workspace: PathBuf,
    /// The compiler, which decides which targets can be built.
    toolchain: String,
    features: Option<String>,
    packages: Vec<String>,
    targets: Vec<String>,
}

/// One benchmark of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownBench {
    /// Package.
    pub package: String,
    /// Bench target.
    pub target: String,
    /// Full id, with `#2` … for repeated ones.
    pub id: String,
    /// Tier.
    pub tier: u8,
}

/// One target of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownTarget {
    /// Package.
    pub package: String,
    /// Bench target.
    pub target: String,
    /// Version of criterion that it reported.
    pub criterion: Option<(u8, u8, u8)>,
    /// Why it offers no benchmarks.
    pub problem: Option<String>,
}

/// What a process of a benchmark takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    package: String,
    target: String,
    id: String,
    /// Wall time of a process. Seconds.
    pub process_s: f64,
    /// Measurement time that was in effect, if criterion reports it. Seconds.
    pub measurement_s: Option<f64>,
    /// When it was measured, UTC.
    pub at: String,
}

impl State {
    /// The state of the files `tree` under a toolchain and what was asked for.
    pub fn new(tree: String, workspace: &Path, toolchain: &str, wanted: &Wanted) -> Self {
        let (workspace, toolchain) = (workspace.to_owned(), toolchain.to_owned());
        let Wanted { packages, benches: targets, features, .. } = wanted.clone();
        Self { tree, workspace, toolchain, features, packages, targets }
    }

    /// Whether a list of `self` holds everything that `other` asks for.
    fn holds(&self, other: &Self) -> bool {
        let all = |own: &[String], asked: &[String]| own.is_empty() || own == asked;
        (&self.tree, &self.workspace, &self.toolchain) == (&other.tree, &other.workspace, &other.toolchain)
            && self.features == other.features
            && all(&self.packages, &other.packages)
            && all(&self.targets, &other.targets)
    }

    fn takes(&self, package: &str, target: &str) -> bool {
        let has = |list: &[String], name: &str| list.is_empty() || list.iter().any(|own| own == name);
        has(&self.packages, package) && has(&self.targets, target)
    }
}

impl Known {
    fn path(slots: &Path) -> PathBuf {
        slots.join("known.json")
    }

    /// What is known beside the slots in `slots`; nothing if the file is missing or of another kind.
    pub fn read(slots: &Path) -> Self {
        let read = fs::read(Self::path(slots)).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        read.filter(|known| known.schema == SCHEMA).unwrap_or_else(|| Self { schema: SCHEMA, ..Self::default() })
    }

    /// Keeps it.
    pub fn write(&self, slots: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).context("failed to write what is known as JSON")?;
        whole_file::replace(&Self::path(slots), &text).context("failed to keep what is known; is the disk full?")
    }

    /// Remembers the benchmarks of a state. A list in which a program failed is not whole, and is not remembered.
    pub fn remember(&mut self, state: State, built: &Built, catalog: &Catalog) {
        if catalog.problems.iter().any(|problem| problem.kind != ProblemKind::Skipped) {
            return;
        }
        let benches = catalog.benches.iter().map(|listed| KnownBench {
            package: listed.key.package.clone(),
            target: listed.key.target.clone(),
            id: listed.key.to_string(),
            tier: listed.tier,
        });
        let started = built.targets.iter().enumerate().map(|(at, target)| KnownTarget {
            package: target.package.clone(),
            target: target.name.clone(),
            criterion: catalog.versions.get(&at).map(|CriterionVersion(major, minor, patch)| (*major, *minor, *patch)),
            problem: catalog.problem(&target.package, &target.name).map(|problem| problem.reason.clone()),
        });
        let list = KnownList { benches: benches.collect(), targets: started.collect(), state };
        self.lists.retain(|known| known.state != list.state);
        self.lists.push(list);
        self.lists.drain(..self.lists.len().saturating_sub(STATES));
    }

    /// The newest list that holds all that is asked of a state, without what is not asked for.
    pub fn list(&self, state: &State) -> Option<KnownList> {
        let mut list = self.lists.iter().rev().find(|known| known.state.holds(state))?.clone();
        list.benches.retain(|bench| state.takes(&bench.package, &bench.target));
        list.targets.retain(|target| state.takes(&target.package, &target.target));
        Some(list)
    }

    /// The newest list of a whole workspace without further features, whatever its state.
    pub fn newest(&self, workspace: &Path) -> Option<KnownList> {
        let is_whole = |list: &&KnownList| {
            let State { features, packages, targets, .. } = &list.state;
            list.state.workspace == workspace && features.is_none() && packages.is_empty() && targets.is_empty()
        };
        self.lists.iter().rev().find(is_whole).cloned()
    }

    /// Remembers what a process took.
    pub fn remember_cost(&mut self, key: &Key, process_s: f64, measurement_s: Option<f64>) {
        let at = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M").to_string();
        let (package, target, id) = (key.package.clone(), key.target.clone(), key.to_string());
        self.costs.retain(|cost| (&cost.package, &cost.target, &cost.id) != (&package, &target, &id));
        self.costs.push(Cost { package, target, id, process_s, measurement_s, at });
    }

    /// Remembers what the processes of pilots took.
    pub(super) fn remember_pilots(&mut self, pilots: &[Pilot]) {
        for Pilot { pair, samples } in pilots {
            let own = samples.iter().filter_map(|sample| sample.measurement_s).reduce(f64::max);
            self.remember_cost(&pair.key, pair.process_s, own);
        }
    }

    /// What a process of a benchmark took the last time.
    pub fn cost(&self, package: &str, target: &str, id: &str) -> Option<&Cost> {
        self.costs
            .iter()
            .find(|cost| (cost.package.as_str(), cost.target.as_str(), cost.id.as_str()) == (package, target, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::RawId;
    use crate::comparison::{Listed, Problem};

    fn listed(package: &str, id: &str) -> Listed {
        let raw = RawId { group: id.into(), function: None, value: None };
        let key = Key { package: package.into(), target: "t".into(), raw, occurrence: 0 };
        Listed { key, target: 0, tier: 1, source: None }
    }

    fn state(tree: &str, packages: &[&str]) -> State {
        let packages = packages.iter().map(|name| (*name).to_owned()).collect();
        State::new(tree.into(), Path::new(""), "rustc 1.95.0", &Wanted { packages, ..Wanted::default() })
    }

    fn built() -> Built {
        Built { targets: vec![], skipped: vec![], rustc: String::new(), workspace: PathBuf::new(), notes: vec![] }
    }

    #[test]
    fn a_list_answers_for_its_state_and_for_parts_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut known = Known::read(directory.path());
        let catalog = Catalog { benches: vec![listed("p", "a"), listed("q", "b")], ..Catalog::default() };
        known.remember(state("one", &[]), &built(), &catalog);
        known.remember_cost(&catalog.benches[0].key, 0.25, Some(0.1));
        known.write(directory.path()).unwrap();
        let known = Known::read(directory.path());
        let ids = |state: &State| -> Option<Vec<String>> {
            known.list(state).map(|list| list.benches.into_iter().map(|bench| bench.id).collect())
        };
        assert_eq!(ids(&state("one", &[])).unwrap(), ["a", "b"]);
        assert_eq!(ids(&state("one", &["q"])).unwrap(), ["b"]);
        assert_eq!(ids(&state("two", &[])), None);
        let nightly = State { toolchain: "rustc 1.97.0-nightly".into(), ..state("one", &[]) };
        assert_eq!(ids(&nightly), None, "another compiler may build other targets");
        assert_eq!(known.cost("p", "t", "a").unwrap().process_s, 0.25);
        fs::write(Known::path(directory.path()), "{\"schema\":3,\"lists\":[],\"costs\":[]}").unwrap();
        assert_eq!(Known::read(directory.path()).lists, []);
    }

    #[test]
    fn part_of_a_state_does_not_answer_for_the_whole_and_failures_for_nothing() {
        let mut known = Known::default();
        let mut catalog = Catalog { benches: vec![listed("q", "b")], ..Catalog::default() };
        known.remember(state("one", &["q"]), &built(), &catalog);
        assert!(known.list(&state("one", &[])).is_none());
        let (package, target, reason) = ("p".to_owned(), "t".to_owned(), String::new());
        catalog.problems.push(Problem { package, target, kind: ProblemKind::Failed, reason });
        known.remember(state("two", &[]), &built(), &catalog);
        assert!(known.list(&state("two", &[])).is_none());
    }
}
