//! What to do when the disk is full, by what the tool itself keeps on it.

use std::path::Path;

use anyhow::Error;
use record::Unit;

use super::clean::{all_slots, made, size};
use crate::comparison::Invocation;
use crate::disk::{DiskFull, of_error};

/// Room that two builds of a small workspace take with criterion.
const ROOM: u64 = 1 << 30;

/// The message for an error that a full disk caused: how much to free and how, then what failed.
pub(super) fn disk(invocation: &Invocation, error: &Error) -> Option<String> {
    let cache = invocation.cache().ok();
    let places: Vec<&Path> =
        cache.iter().map(|cache| cache.as_path()).chain([invocation.directory.as_path()]).collect();
    let full = of_error(error, &places)?;
    let kept: Vec<u64> = cache.iter().flat_map(|cache| all_slots(cache)).flatten().map(|slots| size(&slots)).collect();
    let made: u64 = cache.iter().flat_map(|cache| made(cache)).map(|directory| size(&directory)).sum();
    let is_ours = cache.as_deref().is_some_and(|cache| are_together(&full.at, cache));
    let text = advice(&full, (&kept, made), &invocation.called, is_ours);
    let named = full.to_string();
    let causes = error.chain().map(ToString::to_string).filter(|cause| *cause != named);
    Some(std::iter::once(text).chain(causes).collect::<Vec<_>>().join("\n"))
}

/// `kept` are the bytes of each repository's slots, and `made` those of what scenarios made; they are on that disk if
/// `is_ours`.
fn advice(full: &DiskFull, (kept, made): (&[u64], u64), called: &str, is_ours: bool) -> String {
    let show = |bytes: u64| Unit::Bytes.show(bytes as f64);
    let room = kept.iter().copied().max().unwrap_or(0).max(ROOM);
    let total = kept.iter().sum::<u64>() + made;
    let missing = room.saturating_sub(full.free.unwrap_or(0));
    if missing == 0 {
        return format!("{full}, and more is not needed there: a quota or another file system has no room left");
    }
    let text = format!("{full}; free {}", show(missing));
    match (is_ours, total) {
        (true, 0) => format!("{text}, or set XDG_CACHE_HOME to a directory with room"),
        (true, total) => format!("{text} or run `{called} clean --all`, which gives back {}", show(total)),
        (false, _) => text,
    }
}

/// Whether two directories are on one file system.
#[cfg(unix)]
fn are_together(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| Some(path.ancestors().find_map(|path| path.metadata().ok())?.dev());
    device(a).is_some() && device(a) == device(b)
}

#[cfg(not(unix))]
fn are_together(_a: &Path, _b: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_names_what_the_tool_itself_can_give_back() {
        let full = DiskFull { free: Some(24 << 20), at: "/cache".into() };
        let advice = |kept: &[u64], is_ours| advice(&full, (kept, 0), "cargo assay", is_ours);
        let said = "disk full: 24.00 MiB free at /cache; free 1000 MiB";
        assert_eq!(
            advice(&[3 << 20, 5 << 20], true),
            format!("{said} or run `cargo assay clean --all`, which gives back 8.000 MiB")
        );
        assert_eq!(advice(&[], true), format!("{said}, or set XDG_CACHE_HOME to a directory with room"));
        assert_eq!(advice(&[3 << 20], false), said, "cleaning would free another disk");
        assert!(advice(&[4 << 30], true).contains("free 3.977 GiB"), "as much as the largest took");
        let models = super::advice(&full, (&[3 << 20], 5 << 20), "cargo assay", true);
        assert!(models.contains("free 1000 MiB") && models.ends_with("gives back 8.000 MiB"), "{models}");
        let roomy = DiskFull { free: Some(5 << 30), ..full.clone() };
        let advice = super::advice(&roomy, (&[3 << 20], 0), "cargo assay", true);
        assert!(advice.contains("a quota or another file system") && !advice.contains("; free "), "{advice}");
    }
}
