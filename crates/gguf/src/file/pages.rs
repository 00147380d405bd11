//! Pages of a mapped file: which are in memory, and bringing in the others.

use std::{io, num::NonZeroUsize, path::Path, thread};

use memmap2::Mmap;

/// A page, wherever pages have at least this size. Offsets into a mapping are multiples of larger powers of two.
const PAGE_BYTES: usize = 4096;
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

/// How much of a file lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residency {
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of it on pages that are in memory, whether or not this process has touched them.
    pub resident_bytes: u64,
}

impl Residency {
    /// The share in memory, 1 for an empty file.
    pub fn share(&self) -> f64 {
        if self.bytes == 0 { 1.0 } else { self.resident_bytes as f64 / self.bytes as f64 }
    }
}

/// Thread i of n takes chunks i, i + n, ..: all threads stay near each other in the file, which is what disks read ahead for.
pub(super) fn page_in(map: &Mmap, threads: NonZeroUsize) -> io::Result<PageIn> {
    let chunks = map.len().div_ceil(CHUNK_BYTES);
    let threads = threads.get().min(chunks.max(1));
    let by = thread::scope(|scope| {
        let work =
            |first: usize| move || (first..chunks).step_by(threads).try_fold("", |_, chunk| populate(map, chunk));
        let others: Vec<_> = (1..threads).map(|i| scope.spawn(work(i))).collect();
        let mine = work(0)();
        let joined =
            others.into_iter().map(|other| other.join().unwrap_or_else(|_| Err(io::Error::other("a thread died"))));
        joined.fold(mine, |by, other| by.and_then(|by| other.map(|_| by)))
    })?;
    Ok(PageIn { bytes: map.len() as u64, threads, by })
}

/// One chunk; the means it was done by.
fn populate(map: &Mmap, chunk: usize) -> io::Result<&'static str> {
    let start = chunk * CHUNK_BYTES;
    let len = CHUNK_BYTES.min(map.len() - start);
    #[cfg(target_os = "linux")]
    match map.advise_range(memmap2::Advice::PopulateRead, start, len) {
        // Linux before 5.14 does not know it.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
        outcome => return outcome.map(|()| "MADV_POPULATE_READ"),
    }
    let touched = map[start..start + len].iter().step_by(PAGE_BYTES).fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    std::hint::black_box(touched);
    Ok("touching")
}

/// Asks the operating system about each page, a window at a time.
#[cfg(target_os = "linux")]
pub(super) fn residency(map: &Mmap) -> io::Result<Residency> {
    const WINDOW: usize = 64 << 20;
    // SAFETY: asks for a number.
    let page_bytes = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(PAGE_BYTES).max(1);
    let mut in_memory = vec![0_u8; WINDOW.min(map.len()).div_ceil(page_bytes)];
    let mut resident_bytes = 0;
    for start in (0..map.len()).step_by(WINDOW) {
        let len = WINDOW.min(map.len() - start);
        // SAFETY: the range lies in the mapping and begins on a page; there is a byte for each of its pages.
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

/// Asks the operating system to drop a file from its cache, so that it is read from the disk again. It need not obey: whoever
/// measures asks for the [residency](crate::File::residency) afterwards. Pages that some process has mapped stay.
///
/// # Errors
/// What the operating system says; [`io::ErrorKind::Unsupported`] where it cannot be asked.
pub fn evict(path: impl AsRef<Path>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let file = std::fs::File::open(path)?;
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
