//! AMX: tile registers, and who must agree before they may be used.
//!
//! The processor must have them, the operating system must save them when it switches threads, and Linux must have
//! granted them to this process, because they make the frames of signals larger (Intel SDM volume 1, chapter 18; Linux
//! documentation, "Using XSTATE features in user space applications").

use std::{fmt, sync::OnceLock};

use super::Avx512;

/// Proof that this process may use the tiles of AMX with products of bf16 and of bytes, and that the machine
/// has everything of [`Avx512`].
///
/// It is no instruction set of [`Isa`](super::Isa): it multiplies matrices and nothing else, so kernels that use it are
/// written for AVX-512 and say so.
#[derive(Debug, Clone, Copy)]
pub struct Amx(Avx512);

/// Why tiles cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoAmx {
    /// The processor has no AMX-BF16 or AMX-INT8, or no AVX-512, or tiles of another size than 16 rows of 64
    /// bytes; or this is no x86-64.
    Processor,
    /// The operating system does not save tiles, or is not Linux, which is asked for permission.
    OperatingSystem,
    /// Linux refused the permission: a thread has too little memory for signals, or a rule forbids it.
    Permission,
}

impl fmt::Display for NoAmx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Processor => "the processor has no AMX-BF16 and AMX-INT8 beside AVX-512",
            Self::OperatingSystem => "the operating system does not offer AMX",
            Self::Permission => "Linux refused this process the tiles of AMX",
        })
    }
}

impl std::error::Error for NoAmx {}

impl Amx {
    /// A token, if tiles may be used. The first call asks Linux to grant them to this process.
    pub fn new() -> Option<Self> {
        Self::detect().ok()
    }

    /// As [`new`](Self::new), with the reason where there is none.
    ///
    /// # Errors
    /// Who lacks or refuses what.
    pub fn detect() -> Result<Self, NoAmx> {
        static DETECTED: OnceLock<Result<Amx, NoAmx>> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            let avx512 = Avx512::new().ok_or(NoAmx::Processor)?;
            allowed().map(|()| Self(avx512))
        })
    }

    /// The proof of the vectors that this one contains.
    pub fn avx512(self) -> Avx512 {
        self.0
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn allowed() -> Result<(), NoAmx> {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    /// AMX-BF16, AMX-TILE and AMX-INT8 in EDX of leaf 7.
    const FEATURES: u32 = 1 << 22 | 1 << 24 | 1 << 25;
    /// XTILECFG and XTILEDATA in XCR0.
    const STATE: u64 = 1 << 17 | 1 << 18;
    const TILE_DATA: libc::c_ulong = 18;
    const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;

    if __cpuid(0).eax < 0x1d || __cpuid_count(7, 0).edx & FEATURES != FEATURES {
        return Err(NoAmx::Processor);
    }
    // Palette 1: bytes of a row in EBX's lower half, registers in its upper half; rows in ECX's lower half.
    let palette = __cpuid_count(0x1d, 1);
    if palette.ebx & 0xffff != 64 || palette.ebx >> 16 < 8 || palette.ecx & 0xffff != 16 {
        return Err(NoAmx::Processor);
    }
    // OSXSAVE: XGETBV may be executed.
    if __cpuid(1).ecx >> 27 & 1 == 0 {
        return Err(NoAmx::OperatingSystem);
    }
    #[target_feature(enable = "xsave")]
    fn state() -> u64 {
        // SAFETY: the caller checked OSXSAVE, and register 0 exists wherever that is set.
        unsafe { _xgetbv(0) }
    }
    // SAFETY: OSXSAVE is set only where the processor has XSAVE.
    if unsafe { state() } & STATE != STATE {
        return Err(NoAmx::OperatingSystem);
    }
    // SAFETY: the call takes two numbers and no memory.
    match unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) } {
        0 => Ok(()),
        _ => Err(NoAmx::Permission),
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn allowed() -> Result<(), NoAmx> {
    Err(NoAmx::OperatingSystem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    #[test]
    fn the_token_and_the_reason_agree() {
        match (Amx::new(), Amx::detect()) {
            (Some(_), Ok(_)) => assert!(Isa::Avx512.is_supported()),
            (None, Err(reason)) => assert!(!reason.to_string().is_empty()),
            (token, reason) => panic!("{token:?} and {reason:?}"),
        }
    }

    /// What the kernel says of the processor and of itself.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_processor_that_linux_says_has_amx_has_it() {
        let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let has = |flag: &str| flags.split_whitespace().any(|word| word == flag);
        let is_there = has("amx_tile") && has("amx_bf16") && has("amx_int8") && has("avx512bw");
        assert_eq!(is_there, !matches!(Amx::detect(), Err(NoAmx::Processor | NoAmx::OperatingSystem)));
    }
}
