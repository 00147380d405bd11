//! `compare`: two revisions, as `compare` measures them at home.

use std::path::Path;

use ::compare::build;
use ::compare::cli::Compare;
use ::compare::commands;
use ::compare::comparison::{Invocation, PackedComparison, PackedRun};
use ::compare::exit::Exit;
use ::compare::policy;
use ::compare::report::{Entry, text};
use anyhow::{Context as _, Result, ensure};
use machine::Fingerprint;
use serde_json::Value;

use super::{Conclusion, Measuring, Opened};
use crate::folder::Folder;
use crate::import::Run;
use crate::manifest::What;

/// Builds both sides and puts their programs into the folder.
pub(crate) fn pack(
    invocation: &Invocation,
    root: &Path,
    arguments: &Compare,
    folder: &mut Folder,
) -> Result<(What, Vec<String>)> {
    let room = folder.room();
    let policy = root.join(policy::FILE);
    if policy.is_file() {
        folder.put(&policy, policy::FILE, false)?;
    }
    let mut put = |from: &Path, to: &str| folder.put(from, to, true);
    let packed = commands::packed_comparison(invocation, arguments, (&mut put, room))?;
    let plan = packed.plan();
    ensure!(!plan.is_empty(), "there is nothing to measure: `cargo xtask compare` says why");
    Ok((What::Compare(Box::new(packed)), plan))
}

pub(crate) fn open(
    invocation: &Invocation,
    folder: &Path,
    packed: &PackedComparison,
    scratch: &Path,
) -> Result<PackedRun> {
    let environment = build::cleaned(invocation.variables.iter().cloned());
    PackedRun::open(folder, packed, &environment, (scratch, invocation.interrupt.clone()))
}

impl Opened for PackedRun {
    fn plan(&self) -> Vec<String> {
        self.plan()
    }

    fn measuring<'a>(&'a mut self, _: &'a Invocation, _: &'a Path) -> Box<dyn Measuring + 'a> {
        Box::new(self)
    }
}

impl Measuring for &mut PackedRun {
    fn remember(&mut self, place: usize, result: &Value) -> Result<()> {
        PackedRun::remember(self, place, result)
    }

    fn unit(&mut self, place: usize, _: &dyn Fn() -> bool) -> Result<Option<Value>> {
        PackedRun::unit(self, place).map(Some)
    }

    fn exit(&self, _: &Value) -> Exit {
        // The entry decides.
        Exit::Fine
    }

    fn in_words(&self, place: usize, _: &Value) -> String {
        PackedRun::in_words(self, place)
    }

    fn conclusion(&self, seconds: f64, machine: &Fingerprint, notes: &[String]) -> Result<Option<Conclusion>> {
        let mut entry = self.entry(seconds);
        // It may be concluded elsewhere than it was measured.
        (entry.machine_class, entry.fingerprint) = (machine.class(), machine.clone());
        entry.notes.extend_from_slice(notes);
        let (text, exit) = (text::terminal(&entry), entry.exit());
        Ok(Some(Conclusion { result: serde_json::to_value(entry)?, text, exit }))
    }
}

/// Shows the entry of a run, as a table or as JSON, and logs it.
pub(crate) fn import(
    invocation: &Invocation,
    root: &Path,
    packed: &PackedComparison,
    (run, json): (&Run, bool),
) -> Result<Exit> {
    let record = run.conclusion.as_ref().context("the run has not written its entry: call `run` again")?;
    let entry: Entry = serde_json::from_value(record.result.clone()).context("the entry is of another version")?;
    ensure!(entry.machine_class == run.class(), "the entry is of another machine class than its blocks");
    let base = entry.base.as_ref().map(|base| base.commit.as_str());
    let is_of_pack = entry.head.commit == packed.head.commit && base == Some(&packed.base.commit);
    ensure!(is_of_pack, "the entry compares other revisions than its pack");
    commands::import_entry(invocation, root, &entry, json)
}
