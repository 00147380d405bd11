//! What `peers/OP.toml` declares for `agree`: programs that compare, and differences that are known.

use std::path::Path;

use serde::Deserialize;

use super::super::build::Recipe;

/// A program below `peers/` that compares other people's code with ours by itself, and ends with a line of counts
/// ([`Answer`](super::finding::Answer)).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Agreement {
    pub(in super::super) name: String,
    /// Directory below `peers/`.
    pub(super) dir: String,
    /// Command that builds it there, if it needs to be built.
    #[serde(default)]
    build: Vec<String>,
    /// File of Python requirements there, which go into its `.venv`.
    requirements: Option<String>,
    /// Command that starts it there; `{assay}` becomes the path of our program, `{scratch}` that of an empty directory.
    pub(in super::super) command: Vec<String>,
    /// How long it may take, in seconds.
    #[serde(default = "limit")]
    pub(super) limit_s: f64,
}

/// Differences that are known, and why they are there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Known {
    /// The peer or the program.
    pub(in super::super) with: String,
    /// Regular expression of a difference, which is written `NAME: HOW`.
    pub(in super::super) differs: String,
    /// Why they differ, and who is right.
    pub(in super::super) reason: String,
}

fn limit() -> f64 {
    1800.0
}

impl Agreement {
    pub(super) fn recipe(&self) -> Recipe<'_> {
        Recipe { dir: &self.dir, build: &self.build, requirements: self.requirements.as_deref() }
    }

    /// The words of its command.
    pub(super) fn words(&self, assay: &str, scratch: &Path) -> Vec<String> {
        let scratch = scratch.to_string_lossy();
        self.command.iter().map(|word| word.replace("{assay}", assay).replace("{scratch}", &scratch)).collect()
    }
}
