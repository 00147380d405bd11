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
    let directory = pipeline_cache::caches_of_user(|name| env::var_os(name))?.join(name);
    std::fs::create_dir_all(&directory).ok()?;
    Some(directory)
}
