//! The machine class: a readable slug and a hash.

use super::Fingerprint;

/// Longest brand in a class; the slug is a folder name.
const BRAND_BYTES: usize = 40;

pub(super) fn class(f: &Fingerprint) -> String {
    let mut words = Vec::new();
    let vendor = f.processor.vendor.as_deref().map(slug).unwrap_or_default();
    let brand = f.processor.brand.as_deref().map(brand_words).unwrap_or_default();
    let brand_names_vendor = brand.split('-').next() == Some(vendor.as_str());
    if !brand_names_vendor {
        words.push(cut(&vendor, BRAND_BYTES / 2));
    }
    words.push(cut(&brand, BRAND_BYTES));
    match (f.processor.family, f.processor.model) {
        (Some(family), _) => words.push(format!("fam{family}")),
        (None, Some(model)) if brand.is_empty() => words.push(format!("part{model:x}")),
        _ => {}
    }
    words.extend(f.cores.or(f.hardware_threads).map(|n| format!("{n}c")));
    words.extend(f.hypervisor.as_deref().map(|word| cut(&slug(word), 12)));
    words.retain(|word| !word.is_empty());
    if words.is_empty() {
        words.push("unknown".to_owned());
    }
    words.push(format!("{:08x}", fnv1a(&identity(f))));
    words.join("-")
}

/// What the hash covers, one line per field. Unknown fields are written too: a machine that hides its cores is of
/// another class than one that shows them.
fn identity(f: &Fingerprint) -> String {
    let p = &f.processor;
    let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
    let word = |w: &Option<String>| w.clone().unwrap_or("?".to_owned());
    [
        f.os.clone(),
        f.arch.clone(),
        word(&p.vendor),
        word(&p.brand),
        number(p.family.map(u64::from)),
        number(p.model.map(u64::from)),
        number(p.stepping.map(u64::from)),
        p.extensions.join(" "),
        number(f.cores.map(|n| n as u64)),
        number(f.hardware_threads.map(|n| n as u64)),
        word(&f.hypervisor),
    ]
    .join("\n")
}

/// FNV-1a of 32 bits, the short form that names of classes have. The standard library's hasher may change with the
/// toolchain; a class may not.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Lower case, each run of anything but ASCII letters and digits one hyphen, none at the ends.
fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// At most `bytes` bytes of a slug, cut at a hyphen where there is one.
fn cut(slug: &str, bytes: usize) -> String {
    if slug.len() <= bytes {
        return slug.to_owned();
    }
    let head = &slug[..bytes];
    head.rsplit_once('-').map_or(head, |(words, _)| words).to_owned()
}

/// A brand without trademarks, filler words and clock rate: `Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz` is
/// `intel-xeon-platinum-8370c`.
fn brand_words(brand: &str) -> String {
    let lower = brand.to_ascii_lowercase().replace("(r)", " ").replace("(tm)", " ").replace("(c)", " ");
    let words = lower.split_whitespace().take_while(|&word| word != "@" && word != "with" && word != "w/");
    let kept = words.filter(|word| !matches!(*word, "cpu" | "processor") && !word.ends_with("-core"));
    slug(&kept.collect::<Vec<_>>().join(" "))
}

/// One word for a vendor signature of CPUID.
#[cfg(any(target_arch = "x86_64", test))]
pub(super) fn vendor_word(signature: &str) -> String {
    match signature {
        "AuthenticAMD" => "amd".to_owned(),
        "GenuineIntel" => "intel".to_owned(),
        "HygonGenuine" => "hygon".to_owned(),
        "CentaurHauls" | "Shanghai" => "zhaoxin".to_owned(),
        other => slug(other),
    }
}

/// One word for a hypervisor's signature.
#[cfg(any(target_arch = "x86_64", test))]
pub(super) fn hypervisor_word(signature: &str) -> String {
    match signature {
        "KVMKVMKVM" => "kvm".to_owned(),
        "Microsoft Hv" => "hyperv".to_owned(),
        "VMwareVMware" => "vmware".to_owned(),
        "XenVMMXenVMM" => "xen".to_owned(),
        "TCGTCGTCGTCG" => "qemu".to_owned(),
        "VBoxVBoxVBox" => "virtualbox".to_owned(),
        "bhyve bhyve" => "bhyve".to_owned(),
        "lrpepyh  vr" | "prl hyperv" => "parallels".to_owned(),
        other => slug(other),
    }
}

/// One word for the implementer code of an Arm processor.
#[cfg(any(all(target_os = "linux", target_arch = "aarch64"), test))]
pub(super) fn implementer_word(code: u32) -> Option<&'static str> {
    Some(match code {
        0x41 => "arm",
        0x42 => "broadcom",
        0x43 => "cavium",
        0x46 => "fujitsu",
        0x48 => "hisilicon",
        0x4e => "nvidia",
        0x51 => "qualcomm",
        0x61 => "apple",
        0x6d => "microsoft",
        0xc0 => "ampere",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Processor;

    fn epyc() -> Fingerprint {
        Fingerprint {
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            processor: Processor {
                vendor: Some("amd".to_owned()),
                brand: Some("AMD EPYC".to_owned()),
                family: Some(26),
                model: Some(2),
                stepping: Some(1),
                microcode: Some("0x1000065".to_owned()),
                extensions: vec!["avx2".to_owned(), "fma".to_owned()],
            },
            cores: Some(2),
            hardware_threads: Some(2),
            allowed_threads: 2,
            virtualized: Some(true),
            hypervisor: Some("kvm".to_owned()),
            ..Fingerprint::default()
        }
    }

    #[test]
    fn the_class_is_a_contract() {
        // Folders of baselines have this name: a change here orphans every kept baseline.
        assert_eq!(epyc().class(), "amd-epyc-fam26-2c-kvm-120f616d");
    }

    #[test]
    fn updates_settings_and_restrictions_leave_the_class_alone() {
        let mut updated = epyc();
        updated.kernel = Some("7.0.1".to_owned());
        updated.processor.microcode = Some("0x2".to_owned());
        updated.huge_pages = Some("never".to_owned());
        updated.governor = Some("powersave".to_owned());
        updated.memory_bytes = Some(1 << 34);
        updated.allowed_threads = 1;
        assert_eq!(updated.class(), epyc().class());
    }

    #[test]
    fn another_processor_is_another_class() {
        let changes: [fn(&mut Fingerprint); 6] = [
            |f| f.processor.stepping = Some(0),
            |f| f.processor.extensions.push("avx512f".to_owned()),
            |f| f.hardware_threads = Some(4),
            |f| f.cores = None,
            |f| f.hypervisor = None,
            |f| f.os = "windows".to_owned(),
        ];
        let mut classes: Vec<String> = changes
            .iter()
            .map(|change| {
                let mut f = epyc();
                change(&mut f);
                f.class()
            })
            .collect();
        classes.push(epyc().class());
        classes.sort();
        classes.dedup();
        assert_eq!(classes.len(), 7);
    }

    #[test]
    fn brands() {
        for (brand, words) in [
            ("Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz", "intel-xeon-platinum-8370c"),
            ("AMD Ryzen 9 5950X 16-Core Processor", "amd-ryzen-9-5950x"),
            ("AMD Ryzen 7 PRO 4750U with Radeon Graphics", "amd-ryzen-7-pro-4750u"),
            ("12th Gen Intel(R) Core(TM) i7-12700K", "12th-gen-intel-core-i7-12700k"),
            ("Apple M1 Pro", "apple-m1-pro"),
            ("", ""),
            ("../../etc/\u{e9} passwd", "etc-passwd"),
        ] {
            assert_eq!(brand_words(brand), words);
        }
    }

    #[test]
    fn a_class_is_short_and_fit_for_a_folder() {
        let mut hostile = epyc();
        hostile.processor.vendor = Some("/..\\ ".repeat(50));
        hostile.processor.brand = Some("Very Long Brand ".repeat(50));
        hostile.hypervisor = Some("\u{202e}..".repeat(50) + "abcdefghijklmnopqrstuvwxyz");
        for class in [hostile.class(), Fingerprint::default().class()] {
            assert!(class.len() <= 80, "{class}");
            assert!(class.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{class}");
        }
        assert!(Fingerprint::default().class().starts_with("unknown-"));
    }

    #[test]
    fn arm_without_a_brand_names_maker_and_part() {
        let processor = Processor { vendor: Some("arm".to_owned()), model: Some(0xd0c), ..Processor::default() };
        let f = Fingerprint { processor, cores: Some(4), ..Fingerprint::default() };
        assert!(f.class().starts_with("arm-partd0c-4c-"), "{}", f.class());
        assert_eq!(implementer_word(0x41), Some("arm"));
        assert_eq!(implementer_word(0xff), None);
    }

    #[test]
    fn known_signatures() {
        assert_eq!(vendor_word("AuthenticAMD"), "amd");
        assert_eq!(vendor_word("Some Vendor"), "some-vendor");
        assert_eq!(hypervisor_word("KVMKVMKVM"), "kvm");
        assert_eq!(hypervisor_word("Some/Other"), "some-other");
    }
}
