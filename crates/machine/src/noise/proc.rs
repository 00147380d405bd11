//! Parsers of the files under `/proc`.

use super::{ProcessCounters, ProcessorTime};
use crate::text::{bytes, field};

/// The processors of `/proc/stat`. A line `cpu0 user nice system idle iowait irq softirq steal guest guest_nice` counts
/// ticks; guest time is part of user time and not added again. Old kernels stop before steal: 0. A line that is not of
/// this form is left out.
pub(super) fn processors(stat: &str) -> Vec<ProcessorTime> {
    stat.lines().filter_map(processor).collect()
}

fn processor(line: &str) -> Option<ProcessorTime> {
    let mut words = line.split_ascii_whitespace();
    let cpu = words.next()?.strip_prefix("cpu")?.parse().ok()?;
    let ticks: Vec<u64> = words.take(8).map(|word| word.parse().ok()).collect::<Option<_>>()?;
    if ticks.len() < 4 {
        return None;
    }
    let total = ticks.iter().fold(0, |sum: u64, &n| sum.saturating_add(n));
    Some(ProcessorTime { cpu, steal: ticks.get(7).copied().unwrap_or(0), total })
}

/// The average over one minute, the first number of `/proc/loadavg`.
pub(super) fn load(loadavg: &str) -> Option<f64> {
    let load: f64 = loadavg.split_ascii_whitespace().next()?.parse().ok()?;
    (load.is_finite() && load >= 0.0).then_some(load)
}

/// The total of the line `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345` of `/proc/pressure/cpu`.
pub(super) fn psi_some_us(pressure: &str) -> Option<u64> {
    let line = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

/// Voluntary and involuntary switches of one thread.
fn switches(status: &str) -> Option<(u64, u64)> {
    let count = |key| field(status, key)?.parse().ok();
    Some((count("voluntary_ctxt_switches")?, count("nonvoluntary_ctxt_switches")?))
}

/// Counters of a process, where `read` gives the text of a file and `list` the names in a folder. The process's own
/// status file counts the switches of its first thread only, so the threads' files are added up.
pub(super) fn process_counters(
    pid: u32,
    read: &dyn Fn(&str) -> Option<String>,
    list: &dyn Fn(&str) -> Option<Vec<String>>,
) -> Option<ProcessCounters> {
    let status = read(&format!("/proc/{pid}/status"))?;
    let tasks = format!("/proc/{pid}/task");
    let threads = list(&tasks).unwrap_or_default();
    // A thread may end between the listing and the reading.
    let texts = threads.iter().filter_map(|thread| read(&format!("{tasks}/{thread}/status")));
    let sum =
        texts.filter_map(|text| switches(&text)).reduce(|a, b| (a.0.saturating_add(b.0), a.1.saturating_add(b.1)));
    let (voluntary_switches, involuntary_switches) = sum.or_else(|| switches(&status)).unzip();
    let (vm_hwm_bytes, vm_rss_bytes) = (bytes(&status, "VmHWM"), bytes(&status, "VmRSS"));
    Some(ProcessCounters { voluntary_switches, involuntary_switches, vm_hwm_bytes, vm_rss_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "\
cpu  300 0 40 2000 10 0 6 44 0 0
cpu0 200 0 20 900 10 0 6 40 150 0
cpu1 100 0 20 1100 0 0 0 4 0 0
intr 12345 0 0
ctxt 999
btime 1700000000
";

    #[test]
    fn stat_lists_each_processor_once_and_guests_not_twice() {
        let expected =
            [ProcessorTime { cpu: 0, steal: 40, total: 1176 }, ProcessorTime { cpu: 1, steal: 4, total: 1224 }];
        assert_eq!(processors(STAT), expected);
    }

    #[test]
    fn stat_of_old_or_hostile_kernels() {
        assert_eq!(processors("cpu3 1 2 3 4\n"), [ProcessorTime { cpu: 3, steal: 0, total: 10 }]);
        let full = u64::MAX.to_string();
        let overflow = format!("cpu0 {full} {full} {full} {full} 0 0 0 {full}");
        assert_eq!(processors(&overflow), [ProcessorTime { cpu: 0, steal: u64::MAX, total: u64::MAX }]);
        for text in
            ["", "cpu", "cpu0", "cpu0 1 2 3", "cpu-1 1 2 3 4", "cpux 1 2 3 4", "cpu0 1 2 x 4", "cpu0 -1 2 3 4", "\u{0}"]
        {
            assert_eq!(processors(text), [], "{text:?}");
        }
    }

    #[test]
    fn load_is_a_finite_number() {
        assert_eq!(load("0.19 0.27 0.13 2/85 5668\n"), Some(0.19));
        for text in ["", "\n", "x 1 2", "NaN 0 0", "inf 0 0", "-1.0 0 0"] {
            assert_eq!(load(text), None, "{text:?}");
        }
    }

    #[test]
    fn pressure_of_some() {
        let text =
            "some avg10=0.00 avg60=0.77 avg300=1.05 total=10122507\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(psi_some_us(text), Some(10_122_507));
        for text in ["", "full avg10=0.00 total=7", "some avg10=0.00", "some total=", "some total=-1", "some total=1e9"]
        {
            assert_eq!(psi_some_us(text), None, "{text:?}");
        }
    }

    fn status(voluntary: u32, involuntary: u32) -> String {
        format!(
            "Name:\tVmHWM: x\nVmHWM:\t    1660 kB\nVmRSS:\t  900 kB\nvoluntary_ctxt_switches:\t{voluntary}\n\
             nonvoluntary_ctxt_switches:\t{involuntary}\n"
        )
    }

    #[test]
    fn switches_of_all_threads_are_added() {
        let read = |path: &str| match path {
            "/proc/7/status" | "/proc/7/task/7/status" => Some(status(5, 2)),
            "/proc/7/task/8/status" => Some(status(10, 30)),
            _ => None,
        };
        let list = |path: &str| (path == "/proc/7/task").then(|| ["7", "8", "9"].map(str::to_owned).to_vec());
        let expected = ProcessCounters {
            voluntary_switches: Some(15),
            involuntary_switches: Some(32),
            vm_hwm_bytes: Some(1660 * 1024),
            vm_rss_bytes: Some(900 * 1024),
        };
        assert_eq!(process_counters(7, &read, &list), Some(expected));
        assert_eq!(process_counters(8, &read, &list), None);
        // Without the folder, the switches of the first thread are reported.
        let first = process_counters(7, &read, &|_| None).unwrap();
        assert_eq!((first.voluntary_switches, first.involuntary_switches), (Some(5), Some(2)));
    }

    #[test]
    fn a_status_without_memory_or_of_nonsense() {
        let zombie = "State:\tZ (zombie)\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t0\n";
        let read = |_: &str| Some(zombie.to_owned());
        let counters = process_counters(1, &read, &|_| None).unwrap();
        assert_eq!((counters.vm_hwm_bytes, counters.vm_rss_bytes), (None, None));
        for text in ["", "voluntary_ctxt_switches:\t-1\nnonvoluntary_ctxt_switches:\t0\n", ":\n::\n"] {
            let counters = process_counters(1, &|_| Some(text.to_owned()), &|_| None);
            assert_eq!(counters, Some(ProcessCounters::default()), "{text:?}");
        }
    }
}
