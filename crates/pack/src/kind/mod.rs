//! What can be packed. Each kind connects a manifest with the code that measures it at home.

pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod peers;
pub(crate) mod scenario;

use std::path::Path;

use ::compare::comparison::Invocation;
use ::compare::exit::Exit;
use anyhow::Result;
use machine::Fingerprint;
use serde_json::Value;

use crate::manifest::{Manifest, What};

/// A pack that is ready to be measured.
pub(crate) trait Opened {
    /// Names of the units, in order of importance.
    fn plan(&self) -> Vec<String>;

    /// What measures them, with files below `scratch`.
    fn measuring<'a>(&'a mut self, invocation: &'a Invocation, scratch: &'a Path) -> Box<dyn Measuring + 'a>;
}

/// Measures units one after another.
pub(crate) trait Measuring {
    /// Takes back what a unit gave in an earlier run.
    fn remember(&mut self, _place: usize, _result: &Value) -> Result<()> {
        Ok(())
    }

    /// Measures a unit by its place in the plan. `None` if `goes_on` said meanwhile that there is no time left.
    fn unit(&mut self, place: usize, goes_on: &dyn Fn() -> bool) -> Result<Option<Value>>;

    /// What a result means for the exit code.
    fn exit(&self, result: &Value) -> Exit;

    /// A result in a line.
    fn in_words(&self, place: usize, result: &Value) -> String;

    /// What all units together say, if that is more than each of them. They took so many seconds on this machine.
    fn conclusion(&self, _seconds: f64, _machine: &Fingerprint, _notes: &[String]) -> Result<Option<Conclusion>> {
        Ok(None)
    }
}

/// What all units together say.
pub(crate) struct Conclusion {
    /// For import.
    pub(crate) result: Value,
    /// For people.
    pub(crate) text: String,
    pub(crate) exit: Exit,
}

/// Opens the pack in `folder`, with a directory for what lasts as long as the run.
pub(crate) fn open(
    invocation: &Invocation,
    folder: &Path,
    manifest: &Manifest,
    scratch: &Path,
) -> Result<Box<dyn Opened>> {
    Ok(match &manifest.what {
        What::Peers(packed) => Box::new(peers::open(invocation, folder, packed, &manifest.plan)?),
        What::Bench(packed) => Box::new(bench::Bench::open(invocation, folder, packed, scratch)?),
        What::Scenario(packed) => Box::new(scenario::open(invocation, folder, packed, scratch)?),
        What::Compare(packed) => Box::new(compare::open(invocation, folder, packed, scratch)?),
    })
}
