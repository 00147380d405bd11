//! What CPUID reports of an x86-64 processor, without the operating system: identity, hypervisor, caches.
//!
//! Sources: Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E. Leaf 0x4000_0000 is the hypervisors' convention.

use std::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};

use crate::cache::Caches;

/// Vendor, signature and brand of the processor.
pub(crate) struct Identity {
    /// `AuthenticAMD`, `GenuineIntel`.
    pub(crate) vendor: String,
    /// The marketing name; `None` where the processor has none.
    pub(crate) brand: Option<String>,
    pub(crate) family: u32,
    pub(crate) model: u32,
    pub(crate) stepping: u32,
}

/// The highest leaf of the range that begins at `base` (0, 0x8000_0000 or 0x4000_0000).
fn last_leaf(base: u32) -> u32 {
    __cpuid(base).eax
}

/// Registers in the given order as text, up to the first NUL; bytes that are not ASCII become `?`.
fn text(registers: &[u32]) -> String {
    let bytes = registers.iter().flat_map(|r| r.to_le_bytes()).take_while(|&b| b != 0);
    let text: String = bytes.map(|b| if b.is_ascii_graphic() || b == b' ' { b as char } else { '?' }).collect();
    text.trim().to_owned()
}

pub(crate) fn identity() -> Identity {
    let CpuidResult { ebx, ecx, edx, .. } = __cpuid(0);
    let (family, model, stepping) = signature(__cpuid(1).eax);
    let brand = (last_leaf(0x8000_0000) >= 0x8000_0004)
        .then(|| {
            let leaves = (0x8000_0002..=0x8000_0004).map(__cpuid);
            text(&leaves.flat_map(|r| [r.eax, r.ebx, r.ecx, r.edx]).collect::<Vec<_>>())
        })
        .filter(|brand| !brand.is_empty());
    Identity { vendor: text(&[ebx, edx, ecx]), brand, family, model, stepping }
}

/// Display family, display model and stepping of leaf 1.
fn signature(eax: u32) -> (u32, u32, u32) {
    let (base_family, base_model) = (eax >> 8 & 0xf, eax >> 4 & 0xf);
    let family = if base_family == 0xf { base_family + (eax >> 20 & 0xff) } else { base_family };
    let extended = matches!(base_family, 0x6 | 0xf);
    let model = if extended { base_model + (eax >> 16 & 0xf) * 16 } else { base_model };
    (family, model, eax & 0xf)
}

/// The hypervisor's signature (`KVMKVMKVM`); `None` where the processor reports no hypervisor.
pub(crate) fn hypervisor() -> Option<String> {
    let present = __cpuid(1).ecx >> 31 & 1 == 1;
    present.then(|| {
        let CpuidResult { ebx, ecx, edx, .. } = __cpuid(0x4000_0000);
        text(&[ebx, ecx, edx])
    })
}

/// Cache sizes by leaf 4 (Intel) or 0x8000_001D (AMD), which share one layout. `l3_instances` is 1: these leaves count
/// sharers, not instances.
pub(crate) fn caches() -> Option<Caches> {
    let vendor = identity().vendor;
    let leaf = match vendor.as_str() {
        "AuthenticAMD" | "HygonGenuine" if last_leaf(0x8000_0000) >= 0x8000_001d => 0x8000_001d,
        "GenuineIntel" | "CentaurHauls" | "Shanghai" if last_leaf(0) >= 4 => 4,
        _ => return None,
    };
    let rows = (0..16).map(|i| __cpuid_count(leaf, i)).take_while(|r| r.eax & 0x1f != 0);
    Caches::from_levels(rows.filter(|r| matches!(r.eax & 0x1f, 1 | 3)).map(cache_row))
}

/// Level, size and line size of one row, all in bytes.
fn cache_row(r: CpuidResult) -> (u32, usize, usize) {
    let line = (r.ebx & 0xfff) as usize + 1;
    let partitions = (r.ebx >> 12 & 0x3ff) as usize + 1;
    let ways = (r.ebx >> 22) as usize + 1;
    let sets = r.ecx as usize + 1;
    (r.eax >> 5 & 7, ways.saturating_mul(partitions).saturating_mul(line).saturating_mul(sets), line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_known_processors() {
        assert_eq!(signature(0x00b0_0f21), (26, 2, 1), "Zen 5 server");
        assert_eq!(signature(0x00a2_0f10), (25, 33, 0), "Zen 3 desktop");
        assert_eq!(signature(0x0005_0654), (6, 85, 4), "Skylake server");
        assert_eq!(signature(0x0000_0543), (5, 4, 3), "a family without extended model");
    }

    #[test]
    fn a_cache_row_multiplies_its_geometry() {
        // 12 ways, 1 partition, 64-byte lines, 64 sets: the 48 KiB L1d of Zen 5.
        let row = CpuidResult { eax: 1 << 5 | 1, ebx: 11 << 22 | 63, ecx: 63, edx: 0 };
        assert_eq!(cache_row(row), (1, 48 * 1024, 64));
        // Absurd values saturate instead of overflowing.
        let hostile = CpuidResult { eax: u32::MAX, ebx: u32::MAX, ecx: u32::MAX, edx: u32::MAX };
        assert!(cache_row(hostile).1 > 0);
    }

    #[test]
    fn text_stops_at_nul_and_hides_control_bytes() {
        assert_eq!(text(&[u32::from_le_bytes(*b"KVMK"), u32::from_le_bytes(*b"V\x01\0x")]), "KVMKV?");
        assert_eq!(text(&[]), "");
    }
}
