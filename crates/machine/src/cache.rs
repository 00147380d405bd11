//! Cache sizes, as the machine reports them.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Sizes of the data caches that one thread sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caches {
    /// First level, data, of one core.
    pub l1d_bytes: usize,
    /// Second level, as one core can fill it.
    pub l2_bytes: usize,
    /// Third level, one instance, shared or not. Equal to `l2_bytes` where there is none.
    pub l3_bytes: usize,
    /// How many instances of the third level the machine has (a core complex has one, and a processor many complexes).
    /// 1 where the machine does not report it.
    pub l3_instances: usize,
    /// Coherency line.
    pub line_bytes: usize,
}

impl Caches {
    /// What [`detect`](Self::detect) assumes where the machine reports nothing: 32 KiB, 512 KiB, 8 MiB, lines of 64
    /// bytes. They are small, because a tile that is too small costs less than one that does not fit.
    pub const ASSUMED: Caches =
        Caches { l1d_bytes: 32 << 10, l2_bytes: 512 << 10, l3_bytes: 8 << 20, l3_instances: 1, line_bytes: 64 };

    /// The caches of the first processor that this process may run on, or [`ASSUMED`](Self::ASSUMED). Detected once per
    /// process.
    pub fn detect() -> Caches {
        Self::read().unwrap_or(Self::ASSUMED)
    }

    /// The caches of the first processor that this process may run on, detected once per process: sysfs on Linux,
    /// sysctl on macOS, else CPUID on x86-64. `None` where none of them knows the first two levels.
    pub fn read() -> Option<Caches> {
        static CACHES: OnceLock<Option<Caches>> = OnceLock::new();
        *CACHES.get_or_init(|| from_system().or_else(from_processor))
    }

    /// All instances of the last level together.
    pub fn last_level_total_bytes(&self) -> usize {
        self.l3_bytes.saturating_mul(self.l3_instances)
    }

    /// From (level, size in bytes, line size in bytes) of each data or unified cache. `None` without levels 1 and 2, or
    /// with a size of 0.
    pub(crate) fn from_levels(levels: impl Iterator<Item = (u32, usize, usize)>) -> Option<Caches> {
        let mut found = [None; 3];
        let mut line_bytes = None;
        for (level, bytes, line) in levels {
            if let Some(slot @ None) = (level as usize).checked_sub(1).and_then(|i| found.get_mut(i)) {
                *slot = (bytes > 0).then_some(bytes);
            }
            line_bytes = line_bytes.or((line > 0).then_some(line));
        }
        let (l1d_bytes, l2_bytes) = (found[0]?, found[1]?);
        let line_bytes = line_bytes.unwrap_or(Self::ASSUMED.line_bytes);
        Some(Caches { l1d_bytes, l2_bytes, l3_bytes: found[2].unwrap_or(l2_bytes), l3_instances: 1, line_bytes })
    }
}

#[cfg(target_os = "linux")]
fn from_system() -> Option<Caches> {
    let cpus = crate::threads::allowed_cpus();
    from_sysfs(&|path| std::fs::read_to_string(format!("/sys/devices/system/cpu/{path}")).ok(), *cpus.first()?)
}

#[cfg(target_os = "macos")]
fn from_system() -> Option<Caches> {
    let number = |name: &str| usize::try_from(crate::sysctl::number(name)?).ok();
    // Performance cores are level 0; older kernels and Intel machines have only the plain names.
    let fast = |name: &str| number(&format!("hw.perflevel0.{name}")).or_else(|| number(&format!("hw.{name}")));
    let line = number("hw.cachelinesize").unwrap_or(0);
    let levels = [(1, fast("l1dcachesize")), (2, fast("l2cachesize")), (3, fast("l3cachesize"))];
    Caches::from_levels(levels.into_iter().filter_map(|(level, bytes)| Some((level, bytes?, line))))
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn from_system() -> Option<Caches> {
    None
}

#[cfg(target_arch = "x86_64")]
fn from_processor() -> Option<Caches> {
    crate::cpuid::caches()
}

#[cfg(not(target_arch = "x86_64"))]
fn from_processor() -> Option<Caches> {
    None
}

/// The caches of processor `cpu`, where `read` gives the text of a file under `/sys/devices/system/cpu/`.
#[cfg(any(target_os = "linux", test))]
fn from_sysfs(read: &dyn Fn(&str) -> Option<String>, cpu: usize) -> Option<Caches> {
    let field = |cpu: usize, index: usize, name: &str| -> Option<String> {
        Some(read(&format!("cpu{cpu}/cache/index{index}/{name}"))?.trim().to_owned())
    };
    // No core has more than 8 caches; the bound also ends the loop where every name can be read.
    let indices = |cpu: usize| (0..8).filter_map(move |i| Some((i, field(cpu, i, "level")?.parse::<u32>().ok()?)));
    let rows = indices(cpu).filter_map(|(i, level)| {
        matches!(field(cpu, i, "type")?.as_str(), "Data" | "Unified").then_some(())?;
        let line = field(cpu, i, "coherency_line_size").and_then(|s| s.parse().ok()).unwrap_or(0);
        Some((level, parse_size(&field(cpu, i, "size")?)?, line))
    });
    let caches = Caches::from_levels(rows)?;

    // Instances: the distinct sets of sharers over all processors that are online.
    let online = read("online").map(|list| crate::threads::parse_cpu_list(&list)).unwrap_or_default();
    let sharers = |cpu: usize| {
        let (index, _) = indices(cpu).find(|&(_, level)| level == 3)?;
        field(cpu, index, "shared_cpu_list")
    };
    let sets: std::collections::BTreeSet<String> = online.into_iter().filter_map(sharers).collect();
    Some(Caches { l3_instances: sets.len().max(1), ..caches })
}

/// A size as sysfs writes it: `48K`, `32768K`, `1M`, `512`.
#[cfg(any(target_os = "linux", test))]
fn parse_size(text: &str) -> Option<usize> {
    let text = text.trim();
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two core complexes of two processors each.
    fn sysfs(path: &str) -> Option<String> {
        if path == "online" {
            return Some("0-3\n".to_owned());
        }
        let (cpu, rest) = path.strip_prefix("cpu")?.split_once("/cache/index")?;
        let (index, name) = rest.split_once('/')?;
        let complex = if cpu.parse::<u32>().ok()? < 2 { "0-1" } else { "2-3" };
        let row = match index {
            "0" => ["1", "Data", "48K", cpu],
            "1" => ["1", "Instruction", "32K", cpu],
            "2" => ["2", "Unified", "1024K", cpu],
            "3" => ["3", "Unified", "32768K", complex],
            _ => return None,
        };
        let at = ["level", "type", "size", "shared_cpu_list"].iter().position(|&n| n == name);
        let text = at.map(|i| row[i]).or((name == "coherency_line_size").then_some("64"))?;
        Some(format!("{text}\n"))
    }

    #[test]
    fn sysfs_gives_sizes_and_counts_instances() {
        let expected =
            Caches { l1d_bytes: 48 << 10, l2_bytes: 1 << 20, l3_bytes: 32 << 20, l3_instances: 2, line_bytes: 64 };
        let caches = from_sysfs(&sysfs, 0).unwrap();
        assert_eq!(caches, expected);
        assert_eq!(caches.last_level_total_bytes(), 64 << 20);
    }

    #[test]
    fn a_machine_without_l3_has_its_l2_as_last_level() {
        let without = |path: &str| sysfs(path).filter(|_| !path.contains("index3"));
        let caches = from_sysfs(&without, 0).unwrap();
        assert_eq!((caches.l3_bytes, caches.l3_instances), (caches.l2_bytes, 1));
    }

    #[test]
    fn hidden_or_hostile_sysfs_is_none() {
        assert_eq!(from_sysfs(&|_| None, 0), None);
        assert_eq!(from_sysfs(&|_| Some("4294967296K".repeat(3)), 0), None);
        let no_sizes = |path: &str| sysfs(path).filter(|_| !path.ends_with("/size"));
        assert_eq!(from_sysfs(&no_sizes, 0), None);
        let zero = |path: &str| if path.ends_with("/size") { Some("0K".to_owned()) } else { sysfs(path) };
        assert_eq!(from_sysfs(&zero, 0), None);
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("48K\n"), Some(48 << 10));
        assert_eq!(parse_size("2M"), Some(2 << 20));
        assert_eq!(parse_size("512"), Some(512));
        for bad in ["", "K", "-1K", "1.5M", "99999999999999999999", "18446744073709551615K"] {
            assert_eq!(parse_size(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn this_machine_has_plausible_levels() {
        let caches = Caches::detect();
        assert!(caches.l1d_bytes > 0 && caches.l1d_bytes <= caches.l2_bytes && caches.l3_bytes > 0);
        assert!(caches.line_bytes.is_power_of_two() && caches.l3_instances > 0);
    }
}
