//! One side of a comparison that is not our own: `[[peer]]` of `peers/OP.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::requirements::Requirements;
use crate::suite::{Case, Params, pattern};

/// Somebody else's program, or our own with other parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// Only cases whose id matches this regular expression.
    pub(crate) cases: Option<String>,
    /// Name in charts, if another.
    pub(crate) label: Option<String>,
    /// Our own program with these parameters in place of the case's. The fields below are then absent.
    pub(crate) own: Option<Params>,
    /// Whether another program is our own code, too, such as its package for another language.
    #[serde(default)]
    ours: bool,
    /// Directory below `peers/`.
    #[serde(default)]
    pub(crate) dir: String,
    /// Command that builds it there, if it needs to be built.
    #[serde(default)]
    pub(crate) build: Vec<String>,
    /// File of Python requirements there, `requirements-NAME.txt`, installed into an environment of its own,
    /// `.venv/NAME`.
    pub(crate) requirements: Option<Requirements>,
    /// Command that starts it there; `--threads N` is appended.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// Environment variables; `{threads}` becomes the number of threads.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
}

impl Peer {
    /// Whether it is our own code, with other parameters or in another program: shown, but neither somebody else's
    /// time nor independent evidence.
    pub(crate) fn is_ours(&self) -> bool {
        self.own.is_some() || self.ours
    }

    /// Whether it is a script that the Python of its environment runs.
    pub(crate) fn is_python(&self) -> bool {
        let program = self.command.first().map(Path::new);
        program.is_some_and(|program| program.starts_with(".venv") && program.ends_with("bin/python"))
    }

    /// The parameters of a case for this peer; `None` if the case is none of its cases.
    pub(crate) fn params(&self, case: &Case) -> Option<Params> {
        let is_selected =
            self.cases.as_deref().is_none_or(|cases| pattern(cases).is_ok_and(|cases| cases.is_match(&case.id)));
        let mut params = case.params.clone();
        params.extend(self.own.clone().unwrap_or_default());
        // With the case's own parameters, our program would be timed against itself.
        (is_selected && (self.own.is_none() || params != case.params)).then_some(params)
    }
}
