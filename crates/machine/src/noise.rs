//! What else happened on the machine while something was timed.
//!
//! Two [`Sample`]s around a block give its [`Noise`]: time stolen by the hypervisor, time that runnable threads waited,
//! load. [`process_counters`] reports how often one process was interrupted, and its peak memory. These figures decide
//! whether a block is repeated; they never correct one.
//!
//! All from `/proc` on Linux; elsewhere, and where a kernel hides a figure, `None`.

use std::time::Instant;

use serde::{Deserialize, Serialize};

mod proc;

/// The machine's counters at one moment. Taking one reads three small files.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When it was taken.
    pub at: Instant,
    /// Processor time since boot, one entry per processor that is online; empty where hidden.
    pub processors: Vec<ProcessorTime>,
    /// Threads running or runnable, averaged over the last minute.
    pub load: Option<f64>,
    /// Time since boot in which at least one runnable thread waited for a processor (pressure stall information).
    pub psi_some_us: Option<u64>,
}

/// Time of one processor since boot, in the kernel's ticks: usually 10 ms, which bounds what a short block can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessorTime {
    /// Its number.
    pub cpu: usize,
    /// Ticks in which it had work, but the hypervisor ran something else.
    pub steal: u64,
    /// All ticks, idle ones included.
    pub total: u64,
}

/// What happened between two samples.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Noise {
    /// Time between the samples.
    pub elapsed_s: f64,
    /// Share of all processors' time that was stolen. `None` where hidden, or where no tick passed.
    pub steal_share: Option<f64>,
    /// The same share on the processor that suffered most. It limits work on one thread.
    pub worst_steal_share: Option<f64>,
    /// Share of the time in which at least one runnable thread waited for a processor.
    pub psi_share: Option<f64>,
    /// The greater of the two load averages: threads running or runnable in the last minute.
    pub load: Option<f64>,
}

impl Sample {
    /// Reads the counters now.
    pub fn take() -> Self {
        let read = |path| std::fs::read_to_string(path).ok();
        Self {
            at: Instant::now(),
            processors: read("/proc/stat").map(|text| proc::processors(&text)).unwrap_or_default(),
            load: read("/proc/loadavg").and_then(|text| proc::load(&text)),
            psi_some_us: read("/proc/pressure/cpu").and_then(|text| proc::psi_some_us(&text)),
        }
    }

    /// What happened from `before` to this sample. Processors that are not in both are ignored, and so are counters
    /// that ran backward.
    pub fn since(&self, before: &Sample) -> Noise {
        let elapsed_s = self.at.saturating_duration_since(before.at).as_secs_f64();
        let passed = before.processors.iter().filter_map(|b| {
            let a = self.processors.iter().find(|a| a.cpu == b.cpu)?;
            let total = a.total.checked_sub(b.total).filter(|&ticks| ticks > 0)?;
            Some((a.steal.saturating_sub(b.steal).min(total) as f64, total as f64))
        });
        let (mut steal, mut total, mut worst) = (0.0, 0.0, None);
        for (stolen, ticks) in passed {
            steal += stolen;
            total += ticks;
            worst = Some(f64::max(worst.unwrap_or(0.0), stolen / ticks));
        }
        let waited_s = before.psi_some_us.zip(self.psi_some_us).map(|(b, a)| a.saturating_sub(b) as f64 * 1e-6);
        Noise {
            elapsed_s,
            steal_share: (total > 0.0).then(|| steal / total),
            worst_steal_share: worst,
            psi_share: waited_s.filter(|_| elapsed_s > 0.0).map(|waited_s| (waited_s / elapsed_s).min(1.0)),
            load: before.load.into_iter().chain(self.load).reduce(f64::max),
        }
    }
}

/// One process: how often it was taken off a processor, and its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessCounters {
    /// Switches because a thread blocked, summed over the threads that are alive.
    pub voluntary_switches: Option<u64>,
    /// Switches because another thread was scheduled instead, summed over the threads that are alive.
    pub involuntary_switches: Option<u64>,
    /// The most memory that was resident at once since the process began (`VmHWM`).
    pub vm_hwm_bytes: Option<u64>,
    /// Memory resident now (`VmRSS`).
    pub vm_rss_bytes: Option<u64>,
}

/// Counters of process `pid`; `None` where there is no such process, where it has ended but not been waited for and
/// shows nothing any more, or where the system does not tell. So a parent asks while its child is alive, or the child
/// asks about itself.
pub fn process_counters(pid: u32) -> Option<ProcessCounters> {
    proc::process_counters(pid, &|path| std::fs::read_to_string(path).ok(), &|path| {
        let entries = std::fs::read_dir(path).ok()?;
        Some(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
    })
}

/// Lets this process's [`vm_hwm_bytes`](ProcessCounters::vm_hwm_bytes) begin anew from what is resident now. `false`
/// where the system refuses or has no such request: the peak then covers the whole life of the process.
pub fn reset_peak_rss() -> bool {
    // 5 is the request of `clear_refs` that resets the peak and nothing else (proc_pid_clear_refs(5)).
    cfg!(target_os = "linux") && std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sample(at: Instant, ticks: &[(usize, u64, u64)], psi_some_us: Option<u64>, load: Option<f64>) -> Sample {
        let processors = ticks.iter().map(|&(cpu, steal, total)| ProcessorTime { cpu, steal, total }).collect();
        Sample { at, processors, load, psi_some_us }
    }

    #[test]
    fn shares_of_two_processors() {
        let start = Instant::now();
        let before = sample(start, &[(0, 10, 1000), (1, 0, 1000)], Some(5_000_000), Some(0.5));
        let after = sample(start + Duration::from_secs(2), &[(0, 30, 1200), (1, 0, 1200)], Some(5_500_000), Some(1.5));
        let noise = after.since(&before);
        assert_eq!(noise.elapsed_s, 2.0);
        assert_eq!((noise.steal_share, noise.worst_steal_share), (Some(0.05), Some(0.1)));
        assert_eq!((noise.psi_share, noise.load), (Some(0.25), Some(1.5)));
    }

    #[test]
    fn what_was_not_seen_is_none() {
        let start = Instant::now();
        let hidden = sample(start, &[], None, None);
        assert_eq!(hidden.since(&hidden), Noise::default());
        // No tick passed: no share, which is not the same as no steal.
        let same = sample(start, &[(0, 3, 100)], Some(7), None);
        let noise = same.since(&same);
        assert_eq!((noise.steal_share, noise.psi_share), (None, None));
        // Seen on one side only.
        let later = sample(start + Duration::from_secs(1), &[(1, 3, 200)], Some(9), Some(2.0));
        let noise = later.since(&hidden);
        assert_eq!((noise.steal_share, noise.psi_share, noise.load), (None, None, Some(2.0)));
    }

    #[test]
    fn counters_that_run_backwards_or_jump_stay_within_bounds() {
        let start = Instant::now();
        let before = sample(start, &[(0, 50, 1000), (1, u64::MAX, 1000)], Some(u64::MAX), None);
        let after = sample(start + Duration::from_secs(1), &[(0, 40, 900), (1, 0, u64::MAX)], Some(0), None);
        let noise = after.since(&before);
        assert_eq!((noise.steal_share, noise.worst_steal_share, noise.psi_share), (Some(0.0), Some(0.0), Some(0.0)));
        let jump = sample(start + Duration::from_secs(1), &[(0, 5000, 1010)], Some(u64::MAX), None);
        let noise = jump.since(&sample(start, &[(0, 50, 1000)], Some(0), None));
        assert_eq!((noise.steal_share, noise.psi_share), (Some(1.0), Some(1.0)));
        assert_eq!(before.since(&after).elapsed_s, 0.0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_counts_itself() {
        let own = process_counters(std::process::id()).unwrap();
        assert!(own.vm_hwm_bytes.unwrap() >= own.vm_rss_bytes.unwrap() / 2);
        assert!(!Sample::take().processors.is_empty());
        assert_eq!(process_counters(u32::MAX), None);
    }
}
