//! Loads from one level of the memory hierarchy.

use std::{fmt, sync::Arc, time::Duration};

use super::{Burst, Unavailable, lines, thread_team::ThreadTeam};
use crate::{cache::Caches, text};
pub(super) use walk::Walk;

mod walk;

/// A level of the memory hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Second-level cache.
    L2,
    /// Third-level cache.
    L3,
    /// Main memory.
    Memory,
}

impl Level {
    /// All levels, nearest first.
    pub const ALL: [Level; 3] = [Level::L2, Level::L3, Level::Memory];

    /// The buffer's size, see [`ReadLoop`]; `available_bytes` is the memory that may be taken.
    fn buffer_bytes(self, caches: &Caches, available_bytes: usize) -> Result<usize, Unavailable> {
        let &Caches { l2_bytes, l3_bytes, .. } = caches;
        let all_l3_bytes = caches.last_level_total_bytes();
        match self {
            Level::L2 => Ok(l2_bytes / 2),
            Level::L3 if l3_bytes / 2 > l2_bytes.saturating_mul(2) => Ok(l3_bytes / 2),
            Level::L3 => Err(Unavailable::Level { level: self, l2_bytes, l3_bytes }),
            Level::Memory => {
                let wanted = l3_bytes.saturating_mul(8).max(all_l3_bytes.saturating_mul(4));
                let bytes = wanted.min(available_bytes / 4);
                let enough = bytes >= all_l3_bytes.saturating_mul(2);
                if enough { Ok(bytes) } else { Err(Unavailable::Memory { bytes: wanted }) }
            }
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::L2 => "l2",
            Level::L3 => "l3",
            Level::Memory => "memory",
        })
    }
}

/// Reads from one level, on one or more threads.
///
/// A thread walks over its buffer in order, again and again. A cache of at most half the buffer's
/// size has evicted every line before it is read again, so the buffer's size decides which level is measured:
///
/// * [`Level::L2`]: half of the level, a buffer for each thread. The other half is for page tables, stacks and code.
/// * [`Level::L3`]: half of one instance, but more than twice L2, one buffer for all threads, each with another start:
///   the parts of a split buffer would fit the L2 caches of many threads.
/// * [`Level::Memory`]: 8 times one L3 and at least 4 times all of them, split between the threads; at most a quarter
///   of the memory that is available.
///
/// Huge pages are asked for; with small ones the figure for memory includes page walks.
///
/// [`repeated`](Self::repeated) is for work that reads the same operands in every call: the caches keep what they can
/// of so many bytes, and no level alone is the limit.
pub struct ReadLoop {
    name: String,
    thread_team: ThreadTeam<Walk>,
}

impl fmt::Debug for ReadLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadLoop({})", self.name)
    }
}

impl ReadLoop {
    /// A loop of `threads` threads over `level`. Allocates and touches its memory here, near the threads that will read
    /// it, and keeps it until dropped.
    ///
    /// # Errors
    /// Where the machine has no such level; where its memory is refused, or a quarter of what is available is less than
    /// twice all L3; where `threads` is 0 or cannot be started.
    pub fn new(level: Level, threads: usize) -> Result<Self, Unavailable> {
        let bytes = level.buffer_bytes(&Caches::detect(), available_bytes())?;
        Self::over(level, threads, bytes)
    }

    /// A loop of `threads` threads over `bytes` bytes, split between them, wherever the caches leave them from one pass
    /// to the next: the ceiling of work that reads as many bytes in every call. A shared cache that is larger than the
    /// operands keeps them, so such work may be faster than reads from memory.
    ///
    /// # Errors
    /// Where the memory is refused or exceeds what is available; where `threads` is 0 or cannot be started.
    pub fn repeated(bytes: usize, threads: usize) -> Result<Self, Unavailable> {
        if bytes > available_bytes() {
            return Err(Unavailable::Memory { bytes });
        }
        let part = bytes / threads.max(1);
        let make = move |_| Ok(Walk::new(Arc::new(lines::numbered(part)?), 0.0, true));
        let name = format!("read {} KiB t{threads}", bytes.div_ceil(1 << 10));
        Ok(Self { name, thread_team: ThreadTeam::new(threads, make)? })
    }

    /// As [`new`](Self::new), with a size of the caller's choice: `bytes` of each thread for L2, of all together else.
    pub(super) fn over(level: Level, threads: usize, bytes: usize) -> Result<Self, Unavailable> {
        let thread_team = match level {
            Level::L2 => ThreadTeam::new(threads, move |_| Ok(Walk::new(Arc::new(lines::numbered(bytes)?), 0.0, true))),
            Level::L3 => {
                let shared = Arc::new(lines::numbered(bytes)?);
                ThreadTeam::new(threads, move |index| {
                    Ok(Walk::new(Arc::clone(&shared), index as f64 / threads as f64, true))
                })
            }
            Level::Memory => {
                let part = bytes / threads.max(1);
                ThreadTeam::new(threads, move |_| Ok(Walk::new(Arc::new(lines::numbered(part)?), 0.0, false)))
            }
        }?;
        Ok(Self { name: format!("read {level} t{threads}"), thread_team })
    }

    /// Name of the ceiling in a record: `read memory t2`, or `read 32768 KiB t2`.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// Runs for at least `min`; work in bytes. Before the clock starts, each thread reads once a buffer that is meant
    /// to be in a cache.
    pub fn burst(&mut self, min: Duration) -> Burst {
        self.thread_team.burst(min)
    }
}

/// Memory that can be used without evicting other processes, within the limit of a container's control group. 4 GiB
/// where the system does not report it.
pub(super) fn available_bytes() -> usize {
    let read = |path| std::fs::read_to_string(path).ok();
    let number = |path| read(path)?.trim().parse::<u64>().ok();
    let machine = read("/proc/meminfo").and_then(|text| text::bytes(&text, "MemAvailable"));
    let limit = number("/sys/fs/cgroup/memory.max");
    let group = limit.map(|limit| limit.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or(0)));
    let bytes = machine.into_iter().chain(group).min().unwrap_or(4 << 30);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn caches(l2_bytes: usize, l3_bytes: usize, l3_instances: usize) -> Caches {
        Caches { l2_bytes, l3_bytes, l3_instances, ..Caches::ASSUMED }
    }

    #[test]
    fn buffers_fit_their_level_and_no_nearer_one() {
        let zen5 = caches(MIB, 32 * MIB, 1);
        let size = |level: Level, caches: &Caches| level.buffer_bytes(caches, 24 << 30).unwrap();
        assert_eq!(size(Level::L2, &zen5), MIB / 2);
        assert_eq!(size(Level::L3, &zen5), 16 * MIB);
        assert_eq!(size(Level::Memory, &zen5), 256 * MIB);
        // Twelve complexes: all of their L3 could hold 8 times one.
        assert_eq!(size(Level::Memory, &caches(MIB, 32 * MIB, 12)), 4 * 12 * 32 * MIB);
    }

    #[test]
    fn a_third_level_close_to_the_second_is_refused() {
        for (l2, l3) in [(MIB, MIB), (2 * MIB, 4 * MIB), (MIB, 4 * MIB)] {
            let error = Level::L3.buffer_bytes(&caches(l2, l3, 1), 24 << 30).unwrap_err();
            assert!(matches!(error, Unavailable::Level { level: Level::L3, .. }));
            assert!(error.to_string().contains("l3"), "{error}");
        }
    }

    #[test]
    fn scarce_memory_shrinks_the_buffer_and_then_refuses_it() {
        let zen5 = caches(MIB, 32 * MIB, 1);
        assert_eq!(Level::Memory.buffer_bytes(&zen5, 512 * MIB).unwrap(), 128 * MIB);
        assert!(matches!(Level::Memory.buffer_bytes(&zen5, 255 * MIB), Err(Unavailable::Memory { .. })));
        let absurd = caches(usize::MAX, usize::MAX, usize::MAX);
        assert!(Level::Memory.buffer_bytes(&absurd, 24 << 30).is_err());
    }

    #[test]
    fn every_level_reads_on_one_thread_and_on_more() {
        for level in Level::ALL {
            for threads in [1, 3] {
                let mut read = ReadLoop::over(level, threads, MIB).unwrap();
                assert_eq!(read.name(), format!("read {level} t{threads}"));
                for _ in 0..2 {
                    let burst = read.burst(Duration::ZERO);
                    assert!(burst.work >= threads as u64 * 2 * MIB as u64, "{burst:?}");
                    assert!(burst.per_s().is_finite() && burst.per_s() > 0.0);
                }
            }
        }
    }

    /// Each thread passes over its own part again and again, so that the work is many times the bytes.
    #[test]
    fn repeated_reads_count_every_pass() {
        for (bytes, threads) in [(64 << 10, 1), (3 * MIB, 1), (3 * MIB, 2)] {
            let mut read = ReadLoop::repeated(bytes, threads).unwrap();
            assert_eq!(read.name(), format!("read {} KiB t{threads}", bytes >> 10));
            let burst = read.burst(Duration::from_millis(2));
            assert!(burst.work >= 2 * MIB as u64 && burst.elapsed >= Duration::from_millis(2), "{burst:?}");
        }
        assert!(matches!(ReadLoop::repeated(1 << 60, 1), Err(Unavailable::Memory { bytes }) if bytes == 1 << 60));
        assert!(matches!(ReadLoop::repeated(MIB, 0), Err(Unavailable::NoThreads)));
    }
}
