//! Which pages of a file are in memory.

use std::{fs, io, path::Path};

use memmap2::Mmap;

#[cfg(target_os = "linux")]
use super::pages::PAGE_BYTES;

/// How much of a file is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residency {
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes on pages that are in memory, whether or not this process has mapped those pages.
    pub resident_bytes: u64,
}

impl Residency {
    /// Of any file, by `mincore`.
    ///
    /// # Errors
    /// What the operating system reports; [`io::ErrorKind::Unsupported`] where it has no such call.
    pub fn of(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = fs::File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Self { bytes: 0, resident_bytes: 0 });
        }
        // SAFETY: the map is asked for the state of its pages; its bytes, which others may change, are not read.
        residency(&unsafe { Mmap::map(&file) }?)
    }

    /// The share in memory, 1 for an empty file.
    pub fn share(&self) -> f64 {
        if self.bytes == 0 { 1.0 } else { self.resident_bytes as f64 / self.bytes as f64 }
    }
}

/// Whether the page cache holds the whole file, by `cachestat` of Linux 6.5: one call, whereas `mincore` looks up each
/// page. `false` where the system does not have the call.
#[cfg(target_os = "linux")]
pub(super) fn is_cached(file: &fs::File, len: usize) -> bool {
    use std::os::fd::AsRawFd;
    const CACHESTAT: libc::c_long = 451;
    // Offset and length.
    let range = [0, len as u64];
    // Pages that are cached, dirty, under writeback, evicted, recently evicted.
    let mut counts = [0_u64; 5];
    // SAFETY: the call reads two numbers from `range` and writes five to `counts`, both of which have that length and
    // outlive it.
    let outcome = unsafe { libc::syscall(CACHESTAT, file.as_raw_fd(), range.as_ptr(), counts.as_mut_ptr(), 0) };
    outcome == 0 && counts[0] >= len.div_ceil(page_bytes()) as u64
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_cached(_: &fs::File, _: usize) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn page_bytes() -> usize {
    // SAFETY: `sysconf` takes no pointer and has no precondition.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(PAGE_BYTES).max(1)
}

/// Reads the state of each page, one window of the mapping at a time.
#[cfg(target_os = "linux")]
pub(super) fn residency(map: &Mmap) -> io::Result<Residency> {
    const WINDOW: usize = 64 << 20;
    let page_bytes = page_bytes();
    let mut in_memory = vec![0_u8; WINDOW.min(map.len()).div_ceil(page_bytes)];
    let mut resident_bytes = 0;
    for start in (0..map.len()).step_by(WINDOW) {
        let len = WINDOW.min(map.len() - start);
        // SAFETY: the range lies within the mapping and begins on a page boundary, and `in_memory` has a byte for each
        // of its pages.
        if unsafe { libc::mincore(map[start..].as_ptr().cast_mut().cast(), len, in_memory.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        for (page, state) in in_memory[..len.div_ceil(page_bytes)].iter().enumerate() {
            if state & 1 != 0 {
                resident_bytes += page_bytes.min(len - page * page_bytes) as u64;
            }
        }
    }
    Ok(Residency { bytes: map.len() as u64, resident_bytes })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn residency(_: &Mmap) -> io::Result<Residency> {
    Err(io::ErrorKind::Unsupported.into())
}
