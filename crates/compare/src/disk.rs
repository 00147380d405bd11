//! Recognizes a full disk by what a program says when it ends, and by the space that is left.
//!
//! Most programs print the text of the error. A linker that writes through mapped memory gets a bus error instead,
//! signal 7, which other faults cause, too. It counts as a full disk only where hardly anything is free.

use std::io;
use std::path::{Path, PathBuf};

use record::Unit;

/// The texts of ENOSPC and EDQUOT, as C libraries and Rust write them.
const TEXTS: [&str; 4] = ["No space left on device", "Disk quota exceeded", "(os error 28)", "StorageFull"];
/// How shells, compilers and Rust name the signal of a bus error.
const BUS_ERRORS: [&str; 4] = ["signal 7", "signal: 7", "SIGBUS", "Bus error"];
/// With fewer bytes free, a bus error is taken for a full disk: a program and its debug information can have as many.
const NEARLY_FULL: u64 = 256 << 20;

/// A file system without room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("disk full: {} free at {}", shown(*.free), .at.display())]
pub struct DiskFull {
    /// Bytes that may still be written there; `None` where the system does not tell.
    pub free: Option<u64>,
    /// A directory on it.
    pub at: PathBuf,
}

impl DiskFull {
    /// Whether the figure itself shows that there is no room. Where it does not, a quota or another file system is
    /// full.
    pub fn is_plain(&self) -> bool {
        self.free.is_some_and(|free| free < NEARLY_FULL)
    }
}

fn shown(free: Option<u64>) -> String {
    free.map_or_else(|| "nothing".to_owned(), |bytes| Unit::Bytes.show(bytes as f64))
}

/// The full disk that `said`, the last words of a program, tell of. The program wrote below `at`, or into the system's
/// directory for temporary files; the one with less room is named.
pub fn full(said: &str, at: &Path) -> Option<DiskFull> {
    full_among(said, &[at, &std::env::temp_dir()])
}

/// The same for a program that we do not know: it may itself print such a text, about a file system of its own or as a
/// fault of its own. So hardly anything may be free.
pub fn exhausted(said: &str, directories: &[&Path]) -> Option<DiskFull> {
    full_among(said, directories).filter(DiskFull::is_plain)
}

/// The same for a program that wrote below one of several directories.
pub fn full_among(said: &str, directories: &[&Path]) -> Option<DiskFull> {
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let (is_named, is_bus_error) = (says(&TEXTS), says(&BUS_ERRORS));
    if !is_named && !is_bus_error {
        return None;
    }
    let there = |path: &Path| path.ancestors().find(|path| path.is_dir()).unwrap_or(path).to_owned();
    let places = directories.iter().map(|at| DiskFull { free: free(at), at: there(at) });
    // The first of several on one file system.
    let emptiest = places.min_by_key(|place| place.free.unwrap_or(u64::MAX))?;
    (is_named || emptiest.is_plain()).then_some(emptiest)
}

/// The full disk that an error tells of, if it has none with its place already.
pub fn of_error(error: &anyhow::Error, directories: &[&Path]) -> Option<DiskFull> {
    if let Some(full) = error.downcast_ref::<DiskFull>() {
        return Some(full.clone());
    }
    let is_full = |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let named = error.chain().filter_map(|cause| cause.downcast_ref()).any(is_full);
    named.then(|| full_among(TEXTS[0], directories)).flatten()
}

/// Bytes that this user may still write below `directory`, or below the nearest one above it that exists. No byte can
/// be written where no file can be made.
pub fn free(directory: &Path) -> Option<u64> {
    let there = directory.ancestors().find(|path| path.exists())?;
    free_on(there)
}

#[cfg(unix)]
fn free_on(path: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: an all-zero statvfs is a valid value; the path is a C string, and the result goes into a live struct.
    let found = unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &raw mut found) == 0).then_some(found)
    }?;
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "the fields' types differ between systems")]
    let (blocks, size, files, free_files) =
        (found.f_bavail as u64, found.f_frsize as u64, found.f_files as u64, found.f_favail as u64);
    // Some file systems do not count files.
    Some(if files > 0 && free_files == 0 { 0 } else { blocks * size })
}

#[cfg(not(unix))]
fn free_on(_path: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_full_disk_count_wherever_they_come_from() {
        for said in [
            "rust-lld: error: failed to write output 'x': No space left on device",
            "error: failed to write /x: No space left on device (os error 28)",
            "fatal: unable to write new index file: Disk quota exceeded",
        ] {
            assert!(full(said, Path::new("/")).is_some(), "{said}");
        }
        assert_eq!(full("error[E0308]: mismatched types", Path::new("/")), None);
    }

    /// `/proc` is a file system without room.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_bus_error_counts_where_nothing_is_free() {
        let proc = Path::new("/proc");
        for said in [
            "collect2: fatal error: ld terminated with signal 7 [Bus error], core dumped",
            "error: linking with `cc` failed: signal: 7 (SIGBUS) (core dumped)",
            "Bus error (core dumped)",
        ] {
            let full = full_among(said, &[proc]).unwrap();
            assert_eq!((full.free, full.at.as_path()), (Some(0), proc), "{said}");
        }
        assert_eq!(full_among("error: linking with `cc` failed: exit status: 1", &[proc]), None);
        let tests = std::env::temp_dir();
        if free(&tests).unwrap() >= NEARLY_FULL {
            assert_eq!(full_among("signal: 7", &[&tests]), None, "a bus error with room left is another fault");
            assert_eq!(full_among("signal: 7", &[&tests, proc]).unwrap().at, proc, "the fullest is named");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_of_the_user_must_also_be_short_of_room() {
        let said = "Error: No space left on device (os error 28)";
        assert_eq!(exhausted(said, &[Path::new("/proc")]).unwrap().free, Some(0));
        assert_eq!(exhausted("thread panicked", &[Path::new("/proc")]), None);
        let tests = std::env::temp_dir();
        if free(&tests).unwrap() >= NEARLY_FULL {
            assert_eq!(exhausted(said, &[&tests]), None, "as a benchmark that writes to /dev/full prints it");
        }
    }

    #[test]
    fn errors_of_our_own_writes_count() {
        let error = anyhow::Error::new(io::Error::from(io::ErrorKind::StorageFull)).context("failed to copy a program");
        assert!(of_error(&error, &[Path::new("/")]).is_some());
        let other = anyhow::Error::new(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(of_error(&other, &[Path::new("/")]), None);
        let known = DiskFull { free: Some(3 << 20), at: "/somewhere".into() };
        let error = anyhow::anyhow!("head does not build").context(known.clone()).context("while comparing");
        assert_eq!(of_error(&error, &[Path::new("/")]), Some(known.clone()));
        assert_eq!(known.to_string(), "disk full: 3.000 MiB free at /somewhere");
    }
}
