//! What an interrupted run has measured, so that the same command goes on behind it.
//!
//! A set is a pass of fresh processes through all cases, and counts as a whole or not at all. Behind each, the samples
//! of all sets so far replace those of the set before, in one file of the cache directory. A run of the same state
//! begins with them: the same revision without changes, machine class, cases, and programs by size and time of change.
//! A run that ends removes the file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::build::Program;
use crate::row::{OurSamples, PeerSamples};
use crate::store;
use crate::suite::{Case, Suite};

/// Sets that are finished with one number of threads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) sets: usize,
    /// By the id of the case.
    pub(crate) cases: BTreeMap<String, (OurSamples, Vec<PeerSamples>)>,
}

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    state: Vec<String>,
    /// By the number of threads.
    finished: BTreeMap<usize, Finished>,
}

/// Finished sets, and the file that has them.
#[derive(Debug)]
pub(crate) struct Resume {
    directory: PathBuf,
    name: String,
    kept: Kept,
}

impl Resume {
    /// The sets that a run of this state has finished, unless all are wanted `again`. `state` is `None` if no
    /// revision tells what is built: nothing is kept then.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn open(directory: &Path, op: &str, state: Option<Vec<String>>, again: bool) -> Result<Option<Self>> {
        let Some(state) = state else { return Ok(None) };
        let name = format!("peers-{op}.json");
        // One that another version wrote is of another state.
        let kept = store::read(directory, &name)?.and_then(|text| serde_json::from_str::<Kept>(&text).ok());
        let kept = kept.filter(|kept| !again && kept.state == state);
        let kept = kept.unwrap_or_else(|| Kept { state, finished: BTreeMap::new() });
        Ok(Some(Self { directory: directory.to_owned(), name, kept }))
    }

    /// How many sets are finished.
    pub(crate) fn sets(&self) -> usize {
        self.kept.finished.values().map(|finished| finished.sets).sum()
    }

    /// How many of them are finished with so many threads.
    pub(crate) fn sets_on(&self, threads: usize) -> usize {
        self.kept.finished.get(&threads).map_or(0, |finished| finished.sets)
    }

    /// Those with so many threads.
    pub(crate) fn finished(&self, threads: usize) -> Finished {
        self.kept.finished.get(&threads).cloned().unwrap_or_default()
    }

    /// Keeps what is finished with so many threads.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn keep(&mut self, threads: usize, finished: Finished) -> Result<()> {
        self.kept.finished.insert(threads, finished);
        store::write(&self.directory, &self.name, &serde_json::to_string(&self.kept)?)
    }

    /// Removes the file.
    pub(crate) fn end(self) {
        // One that stays is of a state that is measured: the next run would only be a short one.
        let _ = fs::remove_file(self.directory.join(self.name));
    }
}

/// What decides whether samples belong to the same run.
pub(crate) fn state(about: [&str; 2], suite: &Suite, (ours, peers): (&Program, &[Program])) -> Vec<String> {
    let on = |case: &Case| suite.threads_of(case).iter().map(|threads| format!("{} on {threads}", case.id)).collect();
    let cases = suite.cases.iter().flat_map::<Vec<String>, _>(on);
    let programs = std::iter::once(ours).chain(peers).map(stamp);
    about.into_iter().map(str::to_owned).chain(cases).chain(programs).collect()
}

/// Name, size and time of change of a program.
fn stamp(program: &Program) -> String {
    let about = fs::metadata(program.directory.join(program.program())).ok();
    let changed = about.as_ref().and_then(|about| about.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    format!("{} {:?} {:?}", program.name, about.map(|about| about.len()), changed.map(|changed| changed.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(sets: usize) -> Finished {
        let peer = PeerSamples { sets: vec![0.25; sets], ..PeerSamples::new("other", None) };
        Finished { sets, cases: [("a".to_owned(), (OurSamples::default(), vec![peer]))].into() }
    }

    #[test]
    fn a_run_goes_on_behind_the_sets_of_its_own_state() {
        let directory = tempfile::tempdir().unwrap();
        let open = |state: &str, again| {
            Resume::open(directory.path(), "op", Some(vec![state.to_owned()]), again).unwrap().unwrap()
        };
        let mut first = open("x", false);
        assert_eq!((first.sets(), first.finished(1).sets), (0, 0));
        first.keep(1, some(7)).unwrap();
        first.keep(2, some(3)).unwrap();
        let second = open("x", false);
        assert_eq!((second.sets(), second.sets_on(1), second.finished(2).sets), (10, 7, 3));
        assert_eq!(second.finished(2).cases["a"].1[0].sets, [0.25; 3]);
        assert_eq!(open("y", false).sets(), 0, "another state");
        assert_eq!(open("x", true).sets(), 0, "again");
        second.end();
        assert_eq!(open("x", false).sets(), 0, "it has ended");
        fs::write(directory.path().join("peers-op.json"), "{}").unwrap();
        assert_eq!(open("x", false).sets(), 0, "of another version");
        assert!(Resume::open(directory.path(), "op", None, false).unwrap().is_none(), "what is built has no name");
    }

    #[test]
    fn a_program_that_changes_is_another_state() {
        let directory = tempfile::tempdir().unwrap();
        let program = Program {
            name: "p".to_owned(),
            directory: directory.path().to_owned(),
            command: vec!["./p".to_owned()],
            env: Vec::new(),
            unavailable: None,
        };
        let absent = stamp(&program);
        fs::write(directory.path().join("p"), "one").unwrap();
        let there = stamp(&program);
        fs::write(directory.path().join("p"), "another").unwrap();
        assert!(absent != there && there != stamp(&program));
    }
}
