//! `clean`: what the tool keeps in the user's cache directory, and giving it back.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use record::{Align, Table, Unit};

use crate::cli::Clean;
use crate::comparison::{Invocation, Project, lock};
use crate::exit::Exit;
use crate::report::plain;
use crate::slot::Slots;

/// Runs the command.
pub fn clean(invocation: &Invocation, arguments: &Clean) -> Result<Exit> {
    let cache = invocation.cache()?;
    // Nobody's slots are removed while something is built or measured in them.
    let _lock = if arguments.dry_run { None } else { Some(lock(invocation)?) };
    let own = if arguments.all {
        None
    } else {
        let project = Project::open(invocation, arguments.manifest_path.as_deref())?;
        let slots = Slots::open(&cache, &project.git)?;
        Some((slots, project.git))
    };
    let directories = match &own {
        Some((slots, _)) => vec![slots.root().to_owned()],
        None => all_slots(&cache)?.into_iter().chain(made(&cache)).collect(),
    };
    let mut table = Table::new([("directory", Align::Left), ("size", Align::Right)]);
    let mut total = 0;
    for directory in &directories {
        let bytes = size(directory);
        total += bytes;
        table.row([plain(&directory.to_string_lossy()), Unit::Bytes.show(bytes as f64)]);
    }
    if !table.is_empty() {
        invocation.console.print(&table.to_string())?;
    }
    let size = Unit::Bytes.show(total as f64);
    if arguments.dry_run {
        invocation.console.print(&format!("{size} would be removed"))?;
        return Ok(Exit::Fine);
    }
    match &own {
        Some((slots, git)) => slots.remove(git)?,
        None => {
            for directory in &directories {
                invocation.interrupt.check()?;
                fs::remove_dir_all(directory).with_context(|| format!("failed to remove {}", directory.display()))?;
            }
        }
    }
    invocation.console.print(&format!("removed {size}; the next comparison builds from nothing"))?;
    Ok(Exit::Fine)
}

/// Directories of slots below the cache. Other files there, such as entries that could not be logged, are not slots.
pub(super) fn all_slots(cache: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(cache).with_context(|| format!("failed to read {}", cache.display()))?;
    let mut slots: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| ["a", "b"].iter().any(|slot| path.join(slot).is_dir()))
        .collect();
    slots.sort();
    Ok(slots)
}

/// What scenarios make on first use and keep below the cache: models, and the outputs that theirs are compared with.
pub(super) fn made(cache: &Path) -> impl Iterator<Item = PathBuf> {
    ["models", "goldens"].map(|name| cache.join(name)).into_iter().filter(|path| path.is_dir())
}

/// Bytes of all files below a directory; links are not followed, and what cannot be read counts as nothing.
pub(super) fn size(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slots_are_listed_and_their_files_counted() {
        let cache = tempfile::tempdir().unwrap();
        for (name, text) in [("x-1/a/f", "12345"), ("x-1/b/d/g", "678"), ("other/f", "x"), ("unsaved-1.json", "{}")] {
            let path = cache.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let slots = all_slots(cache.path()).unwrap();
        assert_eq!(slots, [cache.path().join("x-1")]);
        assert_eq!(size(&slots[0]), 8);
        assert_eq!(made(cache.path()).count(), 0);
        fs::create_dir(cache.path().join("models")).unwrap();
        assert!(made(cache.path()).eq([cache.path().join("models")]));
    }
}
