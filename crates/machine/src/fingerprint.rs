//! What a measured number must say about the machine it was measured on.
//!
//! A [`Fingerprint`] holds what the process can see of the machine and its settings; a field that the system hides is
//! `None`. Its [`class`](Fingerprint::class) is the part that decides whether two numbers may be divided by each other.
//!
//! Not here: toolchain, flags, revision and inputs (the comparison tool knows them), load and steal during the run
//! ([`crate::noise`]).

use serde::{Deserialize, Serialize};

use crate::{cache::Caches, isa, threads};

mod class;
mod system;

/// One machine, its operating system and the settings that move timings.
///
/// Records of older versions stay readable: a field they lack becomes `None`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fingerprint {
    /// Operating system, as Rust names it: `linux`, `macos`, `windows`.
    pub os: String,
    /// Architecture, as Rust names it: `x86_64`, `aarch64`.
    pub arch: String,
    /// The processor.
    pub processor: Processor,
    /// Physical cores that are online. A virtual machine may show threads of one core as cores.
    pub cores: Option<usize>,
    /// Hardware threads that are online.
    pub hardware_threads: Option<usize>,
    /// Threads that this process may use: affinity mask and control group considered.
    pub allowed_threads: usize,
    /// Whether a hypervisor is present.
    pub virtualized: Option<bool>,
    /// Its name: `kvm`, `hyperv`, `vmware`, `xen`, …
    pub hypervisor: Option<String>,
    /// Cache sizes.
    pub caches: Option<Caches>,
    /// Main memory.
    pub memory_bytes: Option<u64>,
    /// Memory nodes.
    pub numa_nodes: Option<usize>,
    /// Release of the operating system's kernel.
    pub kernel: Option<String>,
    /// Frequency governor of the first allowed processor; virtual machines hide it.
    pub governor: Option<String>,
    /// Highest frequency of the first allowed processor; virtual machines hide it.
    pub max_frequency_hz: Option<u64>,
    /// Transparent huge pages: `always`, `madvise` or `never`.
    pub huge_pages: Option<String>,
    /// Whether addresses of this process are randomized.
    pub aslr: Option<bool>,
}

/// A processor's identity.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Processor {
    /// Maker, one lower-case word: `amd`, `intel`, `apple`, `arm`.
    pub vendor: Option<String>,
    /// Name under which it is sold.
    pub brand: Option<String>,
    /// x86: display family.
    pub family: Option<u32>,
    /// x86: display model. Arm: part number.
    pub model: Option<u32>,
    /// x86: stepping. Arm: variant (high four bits) and revision.
    pub stepping: Option<u32>,
    /// Microcode revision, as the system writes it.
    pub microcode: Option<String>,
    /// Instruction-set extensions, see [`isa::extensions`].
    pub extensions: Vec<String>,
}

impl Fingerprint {
    /// Collects what the machine reports. Reads at most a few dozen small files. Never fails: hidden fields are `None`.
    pub fn collect() -> Self {
        let mut fingerprint = Self {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            allowed_threads: threads::available(),
            caches: Caches::read(),
            ..Self::default()
        };
        fingerprint.processor.extensions = isa::extensions().into_iter().map(str::to_owned).collect();
        #[cfg(target_arch = "x86_64")]
        fingerprint.read_processor();
        fingerprint.read_system();
        fingerprint
    }

    /// The machine class: a readable slug and 8 hexadecimal digits, such as `amd-epyc-fam26-2c-kvm-1a2b3c4d`;
    /// lower-case letters, digits and hyphens only, at most 80 bytes.
    ///
    /// Hashed are operating system, architecture, vendor, brand, family, model, stepping, extensions, cores, hardware
    /// threads and hypervisor. So the class survives updates of kernel and microcode, settings, and the restrictions
    /// put on one process; rows carry those in their fingerprint. Figures across classes are never compared.
    pub fn class(&self) -> String {
        class::class(self)
    }

    #[cfg(target_arch = "x86_64")]
    fn read_processor(&mut self) {
        let identity = crate::cpuid::identity();
        let processor = &mut self.processor;
        processor.vendor = Some(class::vendor_word(&identity.vendor));
        processor.brand = identity.brand;
        processor.family = Some(identity.family);
        processor.model = Some(identity.model);
        processor.stepping = Some(identity.stepping);
        let hypervisor = crate::cpuid::hypervisor();
        self.virtualized = Some(hypervisor.is_some());
        self.hypervisor =
            hypervisor.map(|signature| class::hypervisor_word(&signature)).filter(|word| !word.is_empty());
    }
}
