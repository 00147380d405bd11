//! Pages of a mapped file: paging in, and eviction from the page cache.

#[cfg(target_os = "linux")]
use std::mem::MaybeUninit;
use std::{fs, io, ops::Range, path::Path, thread};

use memmap2::Mmap;
use op::Threads;

use super::residency;

/// The smallest page size of any supported system.
pub(super) const PAGE_BYTES: usize = 4096;
/// Bytes that one page fault maps of a cached file: the default of `fault_around_bytes` on Linux.
const WINDOW_BYTES: usize = 64 << 10;
/// Bytes of one request: large enough to keep the disk busy, small enough to balance the threads.
const CHUNK_BYTES: usize = 8 << 20;

/// What [`File::page_in`](crate::File::page_in) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageIn {
    /// Bytes of the mapping.
    pub bytes: u64,
    /// Threads that took part.
    pub threads: usize,
    /// The method.
    pub by: &'static str,
}

impl PageIn {
    /// Nothing to do.
    pub(super) const NONE: Self = Self { bytes: 0, threads: 0, by: "in memory" };
}

/// Thread i of n takes chunks i, i + n, ..: all threads read near the same place in the file, which suits the disk's
/// read-ahead.
///
/// `MADV_POPULATE_READ` reads missing pages and maps every page one by one. For a file that is completely in the page
/// cache, page faults are faster: one fault maps a whole window of cached pages, so touching one byte of each window is
/// enough.
pub(super) fn page_in(map: &Mmap, file: &fs::File, threads: Threads) -> io::Result<PageIn> {
    let chunks = map.len().div_ceil(CHUNK_BYTES);
    let threads = threads.min(chunks).get();
    let is_window_mapped = residency::is_cached(file, map.len()) && maps_windows(map);
    let chunk = |at: usize| {
        let range = at * CHUNK_BYTES..map.len().min((at + 1) * CHUNK_BYTES);
        if is_window_mapped { touch(map, range, WINDOW_BYTES, "a fault for each window") } else { populate(map, range) }
    };
    let by = thread::scope(|scope| {
        let work = |first: usize| move || (first..chunks).step_by(threads).try_fold("", |_, at| chunk(at));
        let others: Vec<_> = (1..threads).map(|i| scope.spawn(work(i))).collect();
        let mine = work(0)();
        let joined =
            others.into_iter().map(|other| other.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))));
        joined.fold(mine, |by, other| by.and_then(|by| other.map(|_| by)))
    })?;
    Ok(PageIn { bytes: map.len() as u64, threads, by })
}

/// Pages in one chunk. Returns the method.
fn populate(map: &Mmap, range: Range<usize>) -> io::Result<&'static str> {
    #[cfg(target_os = "linux")]
    match map.advise_range(memmap2::Advice::PopulateRead, range.start, range.len()) {
        // Linux before 5.14 does not have it.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
        outcome => return outcome.map(|()| "MADV_POPULATE_READ"),
    }
    touch(map, range, PAGE_BYTES, "touching")
}

/// Reads one byte of every aligned `step` bytes of the address space: the kernel aligns its windows to addresses.
fn touch(map: &Mmap, range: Range<usize>, step: usize, by: &'static str) -> io::Result<&'static str> {
    let mut at = range.start;
    while at < range.end {
        std::hint::black_box(map[at]);
        at += step - (map.as_ptr().addr() + at) % step;
    }
    Ok(by)
}

/// Whether a fault maps the pages around it, measured by the faults of one window. (The setting, `fault_around_bytes`,
/// can be read only by an administrator.)
#[cfg(target_os = "linux")]
fn maps_windows(map: &Mmap) -> bool {
    let faults = || {
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: `usage` is memory for one `rusage`, which the call writes.
        match unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) } {
            // SAFETY: the call succeeded, so it has written `usage`; before that, it was zeroed, which is a valid
            // `rusage`.
            0 => Some(unsafe { usage.assume_init() }.ru_minflt),
            _ => None,
        }
    };
    // The last whole window: the first ones hold the header, which was read before.
    let (base, end) = (map.as_ptr().addr(), map.as_ptr().addr() + map.len());
    let Some(start) = (end / WINDOW_BYTES * WINDOW_BYTES).checked_sub(base + WINDOW_BYTES) else { return false };
    let before = faults();
    let _ = touch(map, start..start + WINDOW_BYTES, PAGE_BYTES, "");
    before.zip(faults()).is_some_and(|(before, after)| after - before <= 1)
}

#[cfg(not(target_os = "linux"))]
fn maps_windows(_: &Mmap) -> bool {
    false
}

/// Asks the operating system to drop a file from the page cache, so that the next access reads the disk. The request is
/// advisory: check the [residency](crate::File::residency) afterward. Pages that a process has mapped stay.
///
/// # Errors
/// What the operating system reports; [`io::ErrorKind::Unsupported`] where it has no such request.
pub fn evict(path: impl AsRef<Path>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let file = fs::File::open(path)?;
        // Dirty pages are not dropped.
        file.sync_all()?;
        // SAFETY: `file` is open for the length of the call, and the call takes no pointer.
        match unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }
}
