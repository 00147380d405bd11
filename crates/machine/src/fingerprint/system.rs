//! The fields of a fingerprint that the operating system knows.

use super::Fingerprint;
#[cfg(any(target_os = "linux", test))]
use crate::text;

#[cfg(target_os = "linux")]
impl Fingerprint {
    pub(super) fn read_system(&mut self) {
        let cpu = crate::threads::allowed_cpus().first().copied().unwrap_or(0);
        linux(self, cpu, &|path| std::fs::read_to_string(path).ok());
    }
}

/// Fills in what `/proc` and `/sys` report, where `read` gives the text of a file; `cpu` is the first allowed
/// processor.
#[cfg(any(target_os = "linux", test))]
fn linux(f: &mut Fingerprint, cpu: usize, read: &dyn Fn(&str) -> Option<String>) {
    let line = |path: &str| Some(read(path)?.trim().to_owned()).filter(|text| !text.is_empty());
    let frequency = |name: &str| line(&format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/{name}"));

    if let Some(cpuinfo) = read("/proc/cpuinfo") {
        f.processor.microcode = text::field(&cpuinfo, "microcode").map(str::to_owned);
        #[cfg(target_arch = "aarch64")]
        arm_identity(&mut f.processor, &cpuinfo);
    }
    if let Some(online) = line("/sys/devices/system/cpu/online").map(|list| crate::threads::parse_cpu_list(&list)) {
        f.hardware_threads = Some(online.len()).filter(|&n| n > 0);
        let siblings = |cpu| line(&format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"));
        let cores: Option<std::collections::BTreeSet<String>> = online.into_iter().map(siblings).collect();
        f.cores = cores.map(|cores| cores.len()).filter(|&n| n > 0);
    }
    f.memory_bytes = read("/proc/meminfo").and_then(|text| text::bytes(&text, "MemTotal"));
    let nodes = line("/sys/devices/system/node/online").map(|list| crate::threads::parse_cpu_list(&list).len());
    f.numa_nodes = nodes.filter(|&n| n > 0);
    f.kernel = line("/proc/sys/kernel/osrelease");
    f.governor = frequency("scaling_governor");
    f.max_frequency_hz =
        frequency("cpuinfo_max_freq").and_then(|khz| khz.parse::<u64>().ok()?.checked_mul(1000)).filter(|&hz| hz > 0);
    f.huge_pages =
        read("/sys/kernel/mm/transparent_hugepage/enabled").and_then(|text| chosen(&text).map(str::to_owned));
    f.aslr = aslr(line("/proc/sys/kernel/randomize_va_space"), line("/proc/self/personality"));
    // x86 processors report a hypervisor themselves; elsewhere only Xen's own file is conclusive.
    if f.virtualized.is_none()
        && let Some(kind) = line("/sys/hypervisor/type")
    {
        (f.virtualized, f.hypervisor) = (Some(true), Some(kind));
    }
}

/// Maker, part, variant and revision of an Arm processor.
#[cfg(any(all(target_os = "linux", target_arch = "aarch64"), test))]
fn arm_identity(processor: &mut super::Processor, cpuinfo: &str) {
    let number = |key| {
        let value = text::field(cpuinfo, key)?;
        value.strip_prefix("0x").map_or_else(|| value.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
    };
    let maker = |code| super::class::implementer_word(code).map_or_else(|| format!("arm{code:x}"), str::to_owned);
    processor.vendor = number("CPU implementer").map(maker);
    processor.brand = text::field(cpuinfo, "model name").map(str::to_owned);
    processor.model = number("CPU part");
    processor.stepping =
        number("CPU variant").zip(number("CPU revision")).map(|(variant, revision)| variant << 4 | revision & 0xf);
}

/// The word in brackets: `madvise` of `always [madvise] never`.
#[cfg(any(target_os = "linux", test))]
fn chosen(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word).filter(|word| !word.is_empty())
}

/// Randomized unless the system switched it off for all (0) or this process runs with `ADDR_NO_RANDOMIZE`. `None` where
/// the personality cannot be read.
#[cfg(any(target_os = "linux", test))]
fn aslr(system: Option<String>, personality: Option<String>) -> Option<bool> {
    const ADDR_NO_RANDOMIZE: u32 = 0x0004_0000;
    let system: u32 = system?.parse().ok()?;
    let personality = u32::from_str_radix(&personality?, 16).ok()?;
    Some(system != 0 && personality & ADDR_NO_RANDOMIZE == 0)
}

#[cfg(target_os = "macos")]
impl Fingerprint {
    pub(super) fn read_system(&mut self) {
        use crate::sysctl::{number, text};
        let count = |name| number(name).and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
        if self.processor.brand.is_none() {
            self.processor.brand = text("machdep.cpu.brand_string");
        }
        if self.processor.vendor.is_none() {
            self.processor.vendor = Some("apple".to_owned());
        }
        self.cores = count("hw.physicalcpu");
        self.hardware_threads = count("hw.logicalcpu");
        self.memory_bytes = number("hw.memsize");
        self.kernel = text("kern.osrelease");
        self.virtualized = self.virtualized.or(number("kern.hv_vmm_present").map(|n| n != 0));
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
impl Fingerprint {
    /// This platform reports nothing beyond CPUID and the number of threads that this process sees.
    pub(super) fn read_system(&mut self) {
        self.hardware_threads = Some(self.allowed_threads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Processor;

    /// A two-core machine with two threads per core.
    fn files(path: &str) -> Option<String> {
        let text = match path {
            "/proc/cpuinfo" => {
                "processor\t: 0\nmicrocode\t: 0xa201016\nmodel name\t: X\n\nprocessor\t: 1\nmicrocode\t: 0xb\n"
            }
            "/sys/devices/system/cpu/online" => "0-3\n",
            "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list" => "0,2\n",
            "/sys/devices/system/cpu/cpu1/topology/thread_siblings_list" => "1,3\n",
            "/sys/devices/system/cpu/cpu2/topology/thread_siblings_list" => "0,2\n",
            "/sys/devices/system/cpu/cpu3/topology/thread_siblings_list" => "1,3\n",
            "/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor" => "performance\n",
            "/sys/devices/system/cpu/cpu1/cpufreq/cpuinfo_max_freq" => "3400000\n",
            "/sys/devices/system/node/online" => "0\n",
            "/proc/meminfo" => "MemTotal:       24683520 kB\nMemFree:  1 kB\n",
            "/proc/sys/kernel/osrelease" => "6.18.44\n",
            "/sys/kernel/mm/transparent_hugepage/enabled" => "always [madvise] never\n",
            "/proc/sys/kernel/randomize_va_space" => "2\n",
            "/proc/self/personality" => "00000000\n",
            _ => return None,
        };
        Some(text.to_owned())
    }

    #[test]
    fn linux_files_fill_the_fields() {
        let mut f = Fingerprint::default();
        linux(&mut f, 1, &files);
        assert_eq!(f.processor.microcode.as_deref(), Some("0xa201016"));
        assert_eq!((f.cores, f.hardware_threads, f.numa_nodes), (Some(2), Some(4), Some(1)));
        assert_eq!(f.memory_bytes, Some(24_683_520 * 1024));
        assert_eq!(f.kernel.as_deref(), Some("6.18.44"));
        assert_eq!((f.governor.as_deref(), f.max_frequency_hz), (Some("performance"), Some(3_400_000_000)));
        assert_eq!((f.huge_pages.as_deref(), f.aslr), (Some("madvise"), Some(true)));
    }

    #[test]
    fn what_is_hidden_is_none() {
        let mut f = Fingerprint::default();
        linux(&mut f, 0, &|_| None);
        assert_eq!(f, Fingerprint::default());
        linux(&mut f, 0, &|_| Some(String::new()));
        assert_eq!(f, Fingerprint::default());
    }

    #[test]
    fn hostile_files_are_none_or_small() {
        for text in
            ["\u{0}", ":\n:", "[", "]", "-1", "99999999999999999999 kB", "MemTotal: 18446744073709551615 kB", "[]"]
        {
            let mut f = Fingerprint::default();
            linux(&mut f, 0, &|_| Some(text.to_owned()));
            assert_eq!((f.memory_bytes, f.max_frequency_hz, f.huge_pages), (None, None, None), "{text:?}");
        }
    }

    #[test]
    fn aslr_is_off_for_the_system_or_for_this_process() {
        let text = |s: &str| Some(s.to_owned());
        assert_eq!(aslr(text("0"), text("00000000")), Some(false));
        assert_eq!(aslr(text("2"), text("00040000")), Some(false));
        assert_eq!(aslr(text("2"), None), None);
        assert_eq!(aslr(text("x"), text("0")), None);
    }

    #[test]
    fn arm_fields() {
        let mut processor = Processor::default();
        let cpuinfo =
            "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n";
        arm_identity(&mut processor, cpuinfo);
        assert_eq!(processor.vendor.as_deref(), Some("arm"));
        assert_eq!((processor.model, processor.stepping), (Some(0xd0c), Some(0x31)));
        arm_identity(&mut processor, "CPU implementer : 0xzz\n");
        assert_eq!(processor, Processor::default());
    }

    #[test]
    fn this_machine_gives_the_same_class_twice() {
        let (a, b) = (Fingerprint::collect(), Fingerprint::collect());
        assert_eq!(a, b);
        assert_eq!(a.class(), b.class());
        assert!(a.allowed_threads > 0 && !a.os.is_empty());
    }
}
