//! Writes the folder of a pack.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use compare::command;

use crate::checksum;
use crate::elf::{self, Glibc};
use crate::manifest::{Entry, FILE, Manifest};

/// Most bytes of a pack that is copied to another machine.
pub(crate) const MOST_BYTES: u64 = 60 << 20;
/// Most bytes of a pack that lies where it is measured: copied once, and read by every task.
pub(crate) const MOST_SHARED_BYTES: u64 = 8 << 30;

/// Kept free for the manifest and the program `run`, which is built last: what cannot be packed is known before.
const KEPT_BYTES: u64 = 9 << 20;

/// A pack that is being written.
pub(crate) struct Folder {
    path: PathBuf,
    most: u64,
    entries: Vec<Entry>,
    glibc: Option<Glibc>,
}

impl Folder {
    /// An empty folder at `path` for at most so many bytes; what was there is removed.
    pub(crate) fn new(path: &Path, most: u64) -> Result<Self> {
        if path.exists() {
            fs::remove_dir_all(path).with_context(|| format!("failed to remove {}", path.display()))?;
        }
        fs::create_dir_all(path).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Self { path: path.to_owned(), most, entries: Vec::new(), glibc: None })
    }

    /// Copies a file to the path `to` in the pack; a program without its symbols and line tables. One that is there
    /// already stays. Gives its size in the pack.
    pub(crate) fn put(&mut self, from: &Path, to: &str, is_program: bool) -> Result<u64> {
        if let Some(known) = self.entries.iter().find(|entry| entry.path == to) {
            return Ok(known.bytes);
        }
        let target = self.path.join(to);
        let directory = target.parent().context("a file has no directory")?;
        fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
        fs::copy(from, &target)
            .with_context(|| format!("failed to copy {} to {}", from.display(), target.display()))?;
        if is_program {
            // Without the tool the pack is larger, and measures the same.
            let _ = command::run(command::in_directory("strip", &self.path).arg(&target));
            self.glibc = self.glibc.max(elf::newest(&fs::read(&target)?));
        }
        let (bytes, sha256) = checksum::of_file(&target)?;
        self.entries.push(Entry { path: to.to_owned(), bytes, sha256 });
        Ok(bytes)
    }

    /// Bytes that still fit beside the manifest and the program `run`.
    pub(crate) fn room(&self) -> u64 {
        let size: u64 = self.entries.iter().map(|entry| entry.bytes).sum();
        (self.most - KEPT_BYTES).saturating_sub(size)
    }

    /// The newest version of glibc that a program needs.
    pub(crate) fn glibc(&self) -> Option<String> {
        self.glibc.map(elf::shown)
    }

    /// Writes the manifest, with the files of the folder. Gives the size of all.
    pub(crate) fn finish(self, mut manifest: Manifest) -> Result<u64> {
        let size = self.entries.iter().map(|entry| entry.bytes).sum();
        let largest = self.entries.iter().max_by_key(|entry| entry.bytes).map(|entry| entry.path.clone());
        ensure!(
            size <= self.most,
            "the pack has {size} bytes, at most {} are allowed; its largest file is {}: leave peers, benches or files out",
            self.most,
            largest.unwrap_or_default()
        );
        manifest.files = self.entries;
        let text = serde_json::to_string_pretty(&manifest)? + "\n";
        whole_file::replace(&self.path.join(FILE), text.as_bytes()).context("failed to write the manifest")?;
        Ok(size)
    }
}
