//! The model files: the one that the program carries, those that are made, and the user's.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::commands::gguf::synth;
use crate::scenarios::own;

const SMALL: &[u8] = include_bytes!("../../../../../models/rwkv7-small/rwkv7-small-q4_k_m.gguf");
const TASKS: &str = include_str!("../../../../../models/rwkv7-small/tasks.json");

/// A model file, and the directory that holds it as long as this value lives.
pub(super) struct ModelFile {
    pub(super) path: PathBuf,
    /// For people.
    pub(super) name: String,
    /// Whether it is the trained model of the repository.
    pub(super) is_small: bool,
    _directory: Option<tempfile::TempDir>,
}

impl ModelFile {
    /// The file of a value of the axis `model`.
    pub(super) fn find(value: &str) -> Result<Self> {
        match value {
            "small" => Self::small(),
            "own" => {
                let path = own::path()?.context("give the file: --set model=PATH")?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                Ok(Self { path, name, is_small: false, _directory: None })
            }
            made => Self::made(made),
        }
    }

    fn small() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("rwkv7-small-q4_k_m.gguf");
        // As a whole and on the disk, so that it can be dropped from the page cache.
        whole_file::replace(&path, SMALL)?;
        Ok(Self { path, name: "rwkv7-small-q4_k_m.gguf".to_owned(), is_small: true, _directory: Some(directory) })
    }

    /// `0.19b-q4_k_m`: size and types. Kept in the cache directory, or made anew where there is none.
    fn made(value: &str) -> Result<Self> {
        let (size, types) = value.split_once('-').with_context(|| format!("no model is named {value}"))?;
        let name = format!("rwkv7-{value}-synthetic.gguf");
        let (parent, directory) = match own::cache("models") {
            Some(parent) => (parent, None),
            None => {
                let directory = tempfile::tempdir()?;
                (directory.path().to_owned(), Some(directory))
            }
        };
        let path = parent.join(&name);
        if !path.exists() {
            synth::rwkv7(&path, size, types)?;
        }
        ensure_file(&path)?;
        Ok(Self { path, name, is_small: false, _directory: directory })
    }

    /// What the model was trained to answer.
    pub(super) fn tasks(&self) -> Option<&'static str> {
        self.is_small.then_some(TASKS)
    }
}

fn ensure_file(path: &Path) -> Result<()> {
    let is_file = path.metadata().with_context(|| path.display().to_string())?.is_file();
    ensure!(is_file, "{} is no file", path.display());
    Ok(())
}
