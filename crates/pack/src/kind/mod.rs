//! What can be packed. Each kind connects a manifest with the code that measures it at home.

pub(crate) mod bench;
pub(crate) mod peers;

use std::path::Path;

use anyhow::Result;
use compare::comparison::Invocation;
use compare::exit::Exit;
use serde_json::Value;

use crate::manifest::{Manifest, What};
use bench::Bench;

/// A pack that is ready to be measured.
pub(crate) enum Opened {
    Peers(Box<::peers::Job>),
    Bench(Bench),
}

/// Opens the pack in `folder`, with a directory for what lasts as long as the run.
pub(crate) fn open(invocation: &Invocation, folder: &Path, manifest: &Manifest, scratch: &Path) -> Result<Opened> {
    match &manifest.what {
        What::Peers(packed) => Ok(Opened::Peers(Box::new(peers::open(invocation, folder, packed, &manifest.plan)?))),
        What::Bench(packed) => Bench::open(invocation, folder, packed, scratch).map(Opened::Bench),
    }
}

/// What measures its units one after another.
pub(crate) enum Measuring<'a> {
    Peers(Box<peers::Measuring<'a>>),
    Bench(&'a Bench),
}

impl Opened {
    /// Names of the units, in order of importance.
    pub(crate) fn plan(&self) -> Vec<String> {
        match self {
            Self::Peers(job) => peers::plan(job),
            Self::Bench(bench) => bench.plan(),
        }
    }

    pub(crate) fn measuring<'a>(&'a self, invocation: &'a Invocation, scratch: &'a Path) -> Measuring<'a> {
        match self {
            Self::Peers(job) => Measuring::Peers(Box::new(peers::Measuring::new(job, invocation, scratch))),
            Self::Bench(bench) => Measuring::Bench(bench),
        }
    }

    /// What a result means for the exit code.
    pub(crate) fn exit(&self, result: &Value) -> Exit {
        match self {
            Self::Peers(_) => peers::exit(result),
            Self::Bench(_) => bench::exit(result),
        }
    }

    /// A result in a line.
    pub(crate) fn in_words(&self, result: &Value) -> String {
        match self {
            Self::Peers(_) => peers::in_words(result),
            Self::Bench(_) => bench::in_words(result),
        }
    }
}

impl Measuring<'_> {
    /// Measures a unit by its place in the plan. `None` if `goes_on` said meanwhile that there is no time left.
    pub(crate) fn unit(&mut self, place: usize, goes_on: &dyn Fn() -> bool) -> Result<Option<Value>> {
        match self {
            Self::Peers(measuring) => measuring.unit(place, goes_on),
            Self::Bench(bench) => bench.unit(place, goes_on),
        }
    }
}
