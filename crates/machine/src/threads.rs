//! How many threads this process may use, on which processors, and how to keep one in its place.

use std::{io, num::NonZero, thread};

/// Threads that this process may usefully run: processors of its affinity mask, within its control group's quota; at
/// least 1.
pub fn available() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// The processors that this thread may run on, ascending. On systems without affinity masks: 0 up to [`available`].
pub fn allowed_cpus() -> Vec<usize> {
    system::allowed_cpus().unwrap_or_else(|| (0..available()).collect())
}

/// Restricts the calling thread to one processor, until it ends or is pinned elsewhere. Threads it starts inherit this.
///
/// # Errors
/// `InvalidInput` or the system's own error where the thread may not run on `cpu`; `Unsupported` on systems other than
/// Linux.
pub fn pin_current_thread(cpu: usize) -> io::Result<()> {
    system::pin_current_thread(cpu)
}

/// The numbers of a list as sysfs writes it (`0-3,8`), ascending and without repetition. Parts that are no number or
/// range are left out, and so is whatever lies beyond processor 65535.
#[cfg(any(target_os = "linux", test))]
pub(crate) fn parse_cpu_list(list: &str) -> Vec<usize> {
    let mut cpus = std::collections::BTreeSet::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            cpus.extend((first..=last).map(usize::from));
        }
    }
    cpus.into_iter().collect()
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;

    const BITS: usize = u64::BITS as usize;
    /// Largest machine that is asked for: 65536 processors, a mask of 8 KiB.
    const MAX_WORDS: usize = 65536 / BITS;

    pub(super) fn allowed_cpus() -> Option<Vec<usize>> {
        let mut words = 1024 / BITS;
        while words <= MAX_WORDS {
            let mut mask = vec![0u64; words];
            // SAFETY: the mask is writable for the size given; pid 0 is the calling thread.
            let rc = unsafe { libc::sched_getaffinity(0, size_of_val(&*mask), mask.as_mut_ptr().cast()) };
            if rc == 0 {
                return Some((0..words * BITS).filter(|&cpu| mask[cpu / BITS] >> (cpu % BITS) & 1 == 1).collect());
            }
            // EINVAL: the kernel's own mask is wider than this one.
            words *= 2;
        }
        None
    }

    pub(super) fn pin_current_thread(cpu: usize) -> io::Result<()> {
        if cpu >= MAX_WORDS * BITS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no processor {cpu}")));
        }
        let mut mask = vec![0u64; cpu / BITS + 1];
        mask[cpu / BITS] = 1 << (cpu % BITS);
        // SAFETY: the mask is readable for the size given; pid 0 is the calling thread.
        let rc = unsafe { libc::sched_setaffinity(0, size_of_val(&*mask), mask.as_ptr().cast()) };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    pub(super) fn allowed_cpus() -> Option<Vec<usize>> {
        None
    }

    pub(super) fn pin_current_thread(_cpu: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_run_somewhere() {
        let cpus = allowed_cpus();
        assert!(available() >= 1 && !cpus.is_empty() && cpus.is_sorted());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn pinning_leaves_one_processor() {
        let last = *allowed_cpus().last().unwrap();
        // On a thread of its own: the mask ends with it.
        let after = thread::spawn(move || pin_current_thread(last).map(|()| allowed_cpus())).join().unwrap();
        assert_eq!(after.unwrap(), [last]);
    }

    #[test]
    fn pinning_to_a_processor_that_is_not_there_is_an_error() {
        for cpu in [65535, 65536, usize::MAX] {
            assert!(thread::spawn(move || pin_current_thread(cpu)).join().unwrap().is_err());
        }
    }

    #[test]
    fn cpu_lists() {
        assert_eq!(parse_cpu_list("0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(parse_cpu_list("5"), [5]);
        assert_eq!(parse_cpu_list("2,1,2"), [1, 2]);
        for empty in ["", "\n", "x", "3-1", "-", "1-2-3", "99999999999", "0-99999999999"] {
            assert!(parse_cpu_list(empty).is_empty(), "{empty:?}");
        }
    }
}
