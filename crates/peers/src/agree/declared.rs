//! What `peers/OP.toml` declares for `agree`: checkers and known differences.

use std::path::Path;

use serde::Deserialize;

use crate::build::Recipe;
use crate::requirements::Requirements;

/// A checker: a program below `peers/` that compares other people's code with ours by itself. Its last line of output
/// has the counts ([`Counts`](super::finding::Counts)).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Agreement {
    pub(crate) name: String,
    /// Directory below `peers/`.
    pub(crate) dir: String,
    /// Command that builds it there, if it needs to be built.
    #[serde(default)]
    build: Vec<String>,
    /// As of a peer.
    requirements: Option<Requirements>,
    /// Command that starts it there; `{assay}` becomes the path of our program, `{scratch}` that of an empty directory.
    pub(crate) command: Vec<String>,
    /// Time limit, in seconds.
    #[serde(default = "limit")]
    pub(crate) limit_s: f64,
}

/// Differences that are known, and their reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    /// The peer or the checker.
    pub(crate) with: String,
    /// Regular expression of a difference, written as `NAME: HOW`.
    pub(crate) differs: String,
    /// Why they differ, and who is right.
    pub(crate) reason: String,
}

fn limit() -> f64 {
    1800.0
}

impl Agreement {
    pub(crate) fn recipe(&self) -> Recipe<'_> {
        Recipe { dir: &self.dir, build: &self.build, requirements: self.requirements.as_ref() }
    }

    /// The words of its command.
    pub(crate) fn words(&self, assay: &str, scratch: &Path) -> Vec<String> {
        let scratch = scratch.to_string_lossy();
        self.command.iter().map(|word| word.replace("{assay}", assay).replace("{scratch}", &scratch)).collect()
    }
}
