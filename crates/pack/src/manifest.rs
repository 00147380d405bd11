//! The manifest of a pack: what it measures, in which order, from what, and the checksum of every file.

use std::fs;
use std::path::{Component, Path};

use anyhow::{Context as _, Result, bail, ensure};
use compare::comparison::PackedComparison;
use compare::exit::usage;
use peers::PackedJob;
use scenarios::PackedScenario;
use serde::{Deserialize, Serialize};

use crate::checksum;
pub use crate::kind::bench::PackedBench;

/// Version of the format of manifests and records.
pub const SCHEMA: u32 = 1;

/// Its name in a pack, and beside records.
pub const FILE: &str = "manifest.json";

/// What a pack measures.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// Our code beside other people's.
    Peers(PackedJob),
    /// Cells of a scenario.
    Scenario(PackedScenario),
    /// Two revisions.
    Compare(Box<PackedComparison>),
    /// Benchmarks by themselves.
    Bench(PackedBench),
}

impl What {
    /// Whether the units are found on the machine that measures.
    pub(crate) fn finds_units(&self) -> bool {
        matches!(self, Self::Bench(_))
    }

    /// The revisions that are measured; `head` is that of the work tree.
    pub(crate) fn revisions(&self, head: &str) -> Vec<Revision> {
        let of = |commit: &str, state: &str| Revision { commit: commit.to_owned(), state: state.to_owned() };
        match self {
            Self::Peers(packed) => vec![of(head, &packed.state)],
            Self::Bench(packed) => vec![of(head, &packed.state)],
            Self::Scenario(packed) => vec![of(&packed.made.revision, &packed.made.label)],
            Self::Compare(packed) => [&packed.base, &packed.head].map(|side| of(&side.commit, &side.label)).into(),
        }
    }
}

/// A revision whose code is in the pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// The commit.
    pub commit: String,
    /// In words, with what differed from it.
    pub state: String,
}

/// A file of the pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Path below the pack.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// Checksum.
    pub sha256: String,
}

/// The manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format.
    pub schema: u32,
    /// Name of the pack, which is that of its folder.
    pub name: String,
    /// When it was made, in UTC.
    pub created_at: String,
    /// Revisions that it measures.
    pub revisions: Vec<Revision>,
    /// The compiler.
    pub toolchain: String,
    /// Profile and flags of the compiler.
    pub flags: String,
    /// Architecture and operating system, as Rust names them.
    pub target: String,
    /// The newest version of glibc that a program needs; `None` if none needs any.
    pub glibc: Option<String>,
    /// What is measured.
    pub what: What,
    /// Names of the units, in order of importance.
    pub plan: Vec<String>,
    /// Every other file.
    pub files: Vec<Entry>,
}

impl Manifest {
    /// Reads the manifest in a directory. Also gives the identity of the pack: the checksum of the manifest.
    ///
    /// # Errors
    /// No manifest, one of another version, or one that contradicts itself.
    pub fn read(directory: &Path) -> Result<(Self, String)> {
        let path = directory.join(FILE);
        let bytes = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let named = || path.display().to_string();
        let value: serde_json::Value = serde_json::from_slice(&bytes).with_context(named)?;
        if value["schema"] != SCHEMA {
            let schema = &value["schema"];
            return Err(usage(format!(
                "{} has schema {schema}, this program reads {SCHEMA}: use the `run` and the revision that belong to the pack",
                path.display()
            )));
        }
        let manifest: Self = serde_json::from_slice(&bytes).with_context(named)?;
        let is_plain = |path: &str| Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        for entry in &manifest.files {
            ensure!(is_plain(&entry.path), "{}: {:?} is no path below the pack", path.display(), entry.path);
        }
        ensure!(!manifest.plan.is_empty(), "{}: its plan is empty", path.display());
        Ok((manifest, checksum::of(&bytes)))
    }

    /// Checks that every file is there and as it was packed.
    ///
    /// # Errors
    /// The first file that is missing or differs.
    pub fn verify(&self, directory: &Path) -> Result<()> {
        for entry in &self.files {
            let found = checksum::of_file(&directory.join(&entry.path));
            let (bytes, sha256) = found.with_context(|| format!("the pack lacks {}; copy it again", entry.path))?;
            if bytes != entry.bytes {
                bail!("{} has {bytes} bytes, packed were {}; copy the pack again", entry.path, entry.bytes);
            }
            ensure!(sha256 == entry.sha256, "{} differs from its checksum; copy the pack again", entry.path);
        }
        Ok(())
    }
}
