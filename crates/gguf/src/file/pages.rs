//! Pages of a mapped file: bringing them in, and letting go of them.

#[cfg(target_os = "linux")]
use std::mem::MaybeUninit;
use std::{fs, io, num::NonZeroUsize, ops::Range, path::Path, thread};

use memmap2::Mmap;

use super::residency;

/// A page, wherever pages have at least this size. Offsets into a mapping are multiples of larger powers of two.
pub(super) const PAGE_BYTES: usize = 4096;
/// What one fault maps of a file that is in the page cache, as Linux is set by default.
const WINDOW_BYTES: usize = 64 << 10;
/// What a thread asks for at a time: large enough to keep the disk busy, small enough to share the work evenly.
const CHUNK_BYTES: usize = 8 << 20;

/// What [`File::page_in`](crate::File::page_in) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageIn {
    /// Bytes of the mapping.
    pub bytes: u64,
    /// Threads that worked.
    pub threads: usize,
    /// By which means.
    pub by: &'static str,
}

impl PageIn {
    /// There was nothing to do.
    pub(super) const NONE: Self = Self { bytes: 0, threads: 0, by: "in memory" };
}

/// Thread i of n takes chunks i, i + n, ..: all threads stay near each other in the file, which is what disks read ahead for.
///
/// `MADV_POPULATE_READ` reads what is missing and maps all, page by page. Where nothing is missing, faults are faster: one
/// maps a window of pages that are in the cache, so that a byte of each window is all that has to be touched.
pub(super) fn page_in(map: &Mmap, file: &fs::File, threads: NonZeroUsize) -> io::Result<PageIn> {
    let chunks = map.len().div_ceil(CHUNK_BYTES);
    let threads = threads.get().min(chunks.max(1));
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
            others.into_iter().map(|other| other.join().unwrap_or_else(|_| Err(io::Error::other("a thread died"))));
        joined.fold(mine, |by, other| by.and_then(|by| other.map(|_| by)))
    })?;
    Ok(PageIn { bytes: map.len() as u64, threads, by })
}

/// One chunk; the means it was done by.
fn populate(map: &Mmap, range: Range<usize>) -> io::Result<&'static str> {
    #[cfg(target_os = "linux")]
    match map.advise_range(memmap2::Advice::PopulateRead, range.start, range.len()) {
        // Linux before 5.14 does not know it.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
        outcome => return outcome.map(|()| "MADV_POPULATE_READ"),
    }
    touch(map, range, PAGE_BYTES, "touching")
}

/// Reads a byte of every stretch of `step` bytes of the address space: that is how the kernel cuts its windows.
fn touch(map: &Mmap, range: Range<usize>, step: usize, by: &'static str) -> io::Result<&'static str> {
    let mut at = range.start;
    while at < range.end {
        std::hint::black_box(map[at]);
        at += step - (map.as_ptr().addr() + at) % step;
    }
    Ok(by)
}

/// Whether a fault maps the pages around it, told by the faults of one window. (`fault_around_bytes`, which only an
/// administrator can read.)
#[cfg(target_os = "linux")]
fn maps_windows(map: &Mmap) -> bool {
    let faults = || {
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: a structure of integers, for which zeros are values, and which the call may write.
        match unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) } {
            // SAFETY: as above.
            0 => Some(unsafe { usage.assume_init() }.ru_minflt),
            _ => None,
        }
    };
    // The last whole window: the header, at the other end, was read before.
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

/// Asks the operating system to drop a file from its cache, so that it is read from the disk again. It need not obey: whoever
/// measures asks for the [residency](crate::File::residency) afterward. Pages that some process has mapped stay.
///
/// # Errors
/// What the operating system says; [`io::ErrorKind::Unsupported`] where it cannot be asked.
pub fn evict(path: impl AsRef<Path>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let file = fs::File::open(path)?;
        // Dirty pages are not dropped.
        file.sync_all()?;
        // SAFETY: takes a descriptor that is open.
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
