//! What a cell takes from outside: the path of `--set AXIS=PATH`, and the cache directory.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// The path that `--set AXIS=PATH` gave, if it did.
pub(super) fn path() -> Result<Option<PathBuf>> {
    let Some(path) = env::var_os(scenario::OWN_PATH).map(PathBuf::from) else { return Ok(None) };
    path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(path))
}

/// A directory below the cache directory, made if it is missing; `None` where no cache directory is known, or no room
/// is in it.
pub(super) fn cache(name: &str) -> Option<PathBuf> {
    let home = || env::var_os("HOME").map(PathBuf::from);
    let parent = if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Caches"))
    } else if cfg!(windows) {
        env::var_os("LOCALAPPDATA").map(PathBuf::from)
    } else {
        env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| home().map(|home| home.join(".cache")))
    };
    let directory = parent.filter(|parent| parent.is_absolute())?.join("assay").join(name);
    std::fs::create_dir_all(&directory).ok()?;
    Some(directory)
}
