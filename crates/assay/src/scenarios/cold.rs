//! Files out of the page cache: what a cold cell reads comes from the disk, and that is checked.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use gguf::file::Residency;

/// Of a cold file, at most so much is in the page cache: its header may be read ahead.
const COLD: f64 = 0.25;

/// How much of a file is in the page cache, by `mincore`.
pub(super) fn cached_share(path: &Path) -> Result<f64> {
    let residency = Residency::of(path).with_context(|| format!("cannot ask for the pages of {}", path.display()))?;
    Ok(residency.share())
}

/// Writes what is dirty, drops the file from the page cache, and gives the share that stays. Pages that a process has
/// mapped stay, so the caller must not.
///
/// # Errors
/// A file that stays: the cell would not measure what it says.
pub(super) fn evict(path: &Path) -> Result<f64> {
    gguf::file::evict(path).with_context(|| format!("cannot drop {} from the page cache", path.display()))?;
    let share = cached_share(path)?;
    let percent = 100.0 * share;
    ensure!(
        share <= COLD,
        "{percent:.0} % of {} stay in the page cache after posix_fadvise: {}",
        path.display(),
        reason(path)
    );
    Ok(share)
}

/// Why a file stays, as far as its file system says.
#[cfg(target_os = "linux")]
fn reason(path: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    // The deepest mount that holds the path; of several at one place, the last.
    let lines = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        words.next().zip(words.next())
    });
    let holding = lines.filter(|(at, _)| path.starts_with(at)).max_by_key(|(at, _)| at.len());
    match holding {
        Some((at, "tmpfs" | "ramfs")) => format!("{at} is a file system in memory; point TMPDIR to a disk"),
        Some((at, kind)) => format!("{at} is of type {kind}; another process may have the file mapped"),
        None => "its file system is unknown".to_owned(),
    }
}

#[cfg(not(target_os = "linux"))]
fn reason(_: &Path) -> String {
    "its file system is unknown".to_owned()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_memory_is_refused_with_its_reason() {
        let Ok(directory) = tempfile::tempdir_in("/dev/shm") else { return };
        let path = directory.path().join("f");
        std::fs::write(&path, [1; 1 << 16]).unwrap();
        if reason(&path).contains("in memory") {
            let error = evict(&path).unwrap_err().to_string();
            assert!(error.starts_with("100 % of /dev/shm") && error.contains("/dev/shm is a file system in memory"));
        }
    }
}
