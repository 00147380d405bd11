//! Verifies a case before it is timed: our side writes the inputs, each implementation loads them and runs once, and
//! its result is compared with ours.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};

use crate::difference::difference;
use crate::row::Outcome;
use crate::session::PeerSession;
use crate::suite::{Case, Params, Peer, Suite};

/// Loads cases and verifies results.
#[derive(Clone, Copy)]
pub(crate) struct Verifier<'a> {
    pub(crate) suite: &'a Suite,
    pub(crate) threads: NonZeroUsize,
    /// Directory for inputs and results.
    pub(crate) scratch: &'a Path,
}

impl Verifier<'_> {
    /// Loads a case on our side. Gives what it reports about the run.
    pub(crate) fn ours(&self, session: &mut PeerSession<'_>, case: &Case) -> Result<Value> {
        session.start(self.suite, self.threads)?;
        let inputs = self.scratch.join(file_name(&case.id));
        write_inputs(session, &case.id, &case.params, &inputs)?;
        let loaded = session.accepted(&load(case, &case.params, &inputs, &self.result("ours")));
        loaded.map_err(|outcome| anyhow!("{}: our side failed: {}", case.id, outcome.why()))
    }

    /// Loads a case that our side has loaded in a peer, and compares the results. Gives what the peer reports about the
    /// run, or why it is not timed.
    pub(crate) fn peer(
        &self,
        session: &mut PeerSession<'_>,
        peer: &Peer,
        case: &Case,
        params: &Params,
    ) -> Result<Result<Value, Outcome>> {
        if let Err(error) = session.start(self.suite, self.threads) {
            return Ok(Err(Outcome::Unavailable { why: format!("{error:#}") }));
        }
        let mut inputs = self.scratch.join(file_name(&case.id));
        if peer.own.is_some() {
            // Other parameters may need other inputs.
            inputs = self.scratch.join(file_name(&format!("{} {}", case.id, peer.name)));
            write_inputs(session, &case.id, params, &inputs)?;
        }
        let (ours, result) = (self.result("ours"), self.result("peer"));
        let about = match session.accepted(&load(case, params, &inputs, &result)) {
            Ok(about) => about,
            Err(outcome) => return Ok(Err(outcome)),
        };
        let compared = difference(&ours, &result, case.tolerance);
        let _ = fs::remove_file(result);
        Ok(match compared {
            Ok(None) => Ok(about),
            Ok(Some(how)) => {
                // It is not timed, so that its memory can go.
                session.unload();
                Err(Outcome::Disagrees { how })
            }
            Err(error) => Err(Outcome::Error { why: format!("{error:#}") }),
        })
    }

    /// Removes the inputs of a case.
    pub(crate) fn forget(&self, case: &str) {
        let own = self.suite.peers.iter().filter(|peer| peer.own.is_some()).map(|peer| format!("{case} {}", peer.name));
        for id in std::iter::once(case.to_owned()).chain(own) {
            // What stays only takes room.
            let _ = fs::remove_dir_all(self.scratch.join(file_name(&id)));
        }
    }

    fn result(&self, whose: &str) -> PathBuf {
        self.scratch.join(format!("result-{whose}"))
    }
}

fn load(case: &Case, params: &Params, inputs: &Path, output: &Path) -> Value {
    json!({"do": "load", "case": case.id, "params": params, "regime": case.regime, "inputs": inputs, "output": output})
}

/// Has our program write the inputs of a case, unless they exist.
fn write_inputs(session: &mut PeerSession<'_>, case: &str, params: &Params, inputs: &Path) -> Result<()> {
    if inputs.exists() {
        return Ok(());
    }
    fs::create_dir_all(inputs).with_context(|| format!("failed to make {}", inputs.display()))?;
    let request = json!({"do": "inputs", "case": case, "params": params, "dir": inputs});
    let written = session.accepted(&request);
    written.map_err(|outcome| anyhow!("{case}: our side wrote no inputs: {}", outcome.why())).map(drop)
}

fn file_name(id: &str) -> String {
    id.replace(|sign: char| !sign.is_ascii_alphanumeric() && sign != '-', "_")
}
