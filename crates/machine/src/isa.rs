//! Instruction sets: their names, and tokens whose existence proves that the machine has them.
//!
//! A token is obtained only from its `new`, which asks the CPU. A function that takes one may therefore call
//! `#[target_feature]` code without a check of its own:
//!
//! ```
//! use machine::isa::Avx2;
//!
//! #[cfg(target_arch = "x86_64")]
//! fn sum(_: Avx2, x: &[f32; 8]) -> f32 {
//!     #[target_feature(enable = "avx2,fma,f16c")]
//!     fn body(x: &[f32; 8]) -> f32 {
//!         x.iter().sum()
//!     }
//!     // SAFETY: an `Avx2` exists only where avx2, fma and f16c were detected.
//!     unsafe { body(x) }
//! }
//! # #[cfg(target_arch = "x86_64")]
//! if let Some(avx2) = Avx2::new() {
//!     assert_eq!(sum(avx2, &[1.0; 8]), 8.0);
//! }
//! ```
//!
//! Every token type exists on every architecture; where the instruction set does not, `new` returns `None`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

mod amx;

pub use amx::{Amx, NoAmx};

/// An instruction set that kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isa {
    /// Portable Rust, compiled for the target's baseline. On x86-64 that includes SSE2, on aarch64 NEON: "scalar" says
    /// that the source has no explicit vectors; the compiler may still vectorize it.
    Scalar,
    /// 128-bit vectors of aarch64 ([`Neon`]).
    Neon,
    /// 256-bit vectors with fused multiply-add and f16 conversion ([`Avx2`]).
    Avx2,
    /// 512-bit vectors and masks ([`Avx512`]).
    Avx512,
}

impl Isa {
    /// All instruction sets, [`Isa::Scalar`] first, the widest last.
    pub const ALL: [Isa; 4] = [Isa::Scalar, Isa::Neon, Isa::Avx2, Isa::Avx512];

    /// The instruction sets that this machine has, [`Isa::Scalar`] first, the widest last.
    pub fn supported() -> Vec<Isa> {
        Self::ALL.into_iter().filter(|isa| isa.is_supported()).collect()
    }

    /// Whether this machine has the instruction set.
    pub fn is_supported(self) -> bool {
        match self {
            Isa::Scalar => true,
            Isa::Neon => Neon::new().is_some(),
            Isa::Avx2 => Avx2::new().is_some(),
            Isa::Avx512 => Avx512::new().is_some(),
        }
    }

    /// The widest instruction set that this machine has.
    pub fn best() -> Isa {
        Self::ALL.into_iter().rev().find(|isa| isa.is_supported()).unwrap_or(Isa::Scalar)
    }

    /// The name, as bench ids, records and command lines spell it: `scalar`, `neon`, `avx2` or `avx512`.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Neon => "neon",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no instruction set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownIsa {
    /// The word.
    pub got: String,
}

impl fmt::Display for UnknownIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown instruction set {:?}; known are", self.got)?;
        Isa::ALL.iter().try_for_each(|isa| write!(f, " {isa}"))
    }
}

impl std::error::Error for UnknownIsa {}

impl FromStr for Isa {
    type Err = UnknownIsa;

    fn from_str(s: &str) -> Result<Self, UnknownIsa> {
        Self::ALL.into_iter().find(|isa| isa.name() == s).ok_or_else(|| UnknownIsa { got: s.to_owned() })
    }
}

/// Proof that the machine has AVX2, FMA and F16C.
#[derive(Debug, Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    /// A token, if the machine and its operating system support `avx2`, `fma` and `f16c`.
    pub fn new() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
            return Some(Self(()));
        }
        None
    }
}

/// Proof that the machine has AVX-512 F, BW, DQ and VL, and everything of [`Avx2`].
#[derive(Debug, Clone, Copy)]
pub struct Avx512(Avx2);

impl Avx512 {
    /// A token, if the machine and its operating system support `avx512f`, `avx512bw`, `avx512dq` and `avx512vl`
    /// besides what [`Avx2`] asks for.
    pub fn new() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            return Avx2::new().map(Self);
        }
        None
    }

    /// The proof of the narrower instruction set that this one contains.
    pub fn avx2(self) -> Avx2 {
        self.0
    }
}

/// Proof that the machine has AVX-512 VNNI, sums of products of bytes and of words, and everything of [`Avx512`].
///
/// It is no instruction set of [`Isa`]: it computes with integers and nothing else, so kernels that use it are written
/// for AVX-512 and say so.
#[derive(Debug, Clone, Copy)]
pub struct Avx512Vnni(Avx512);

impl Avx512Vnni {
    /// A token, if the machine and its operating system support `avx512vnni` besides what [`Avx512`] asks for.
    pub fn new() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512vnni") {
            return Avx512::new().map(Self);
        }
        None
    }

    /// The proof of the vectors that this one contains.
    pub fn avx512(self) -> Avx512 {
        self.0
    }
}

/// Proof that the machine has NEON (Advanced SIMD), which every aarch64 target of Rust's standard library has.
#[derive(Debug, Clone, Copy)]
pub struct Neon(());

impl Neon {
    /// A token on aarch64; `None` elsewhere.
    pub fn new() -> Option<Self> {
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            return Some(Self(()));
        }
        None
    }
}

/// The instruction-set extensions, beyond the architecture's baseline, that this machine and its operating system offer
/// to compiled code, in a fixed order. Wider than [`Isa`]: it serves to tell machines apart, and does not change with
/// microcode or kernel updates as `/proc/cpuinfo` does.
pub fn extensions() -> Vec<&'static str> {
    macro_rules! detected {
        ($is_detected:ident: $($name:tt)+) => {
            [$(($name, std::arch::$is_detected!($name))),+]
        };
    }
    #[cfg(target_arch = "x86_64")]
    let all = detected!(is_x86_feature_detected:
        "sse3" "ssse3" "sse4.1" "sse4.2" "sse4a" "popcnt" "lzcnt" "bmi1" "bmi2" "movbe" "adx" "aes" "pclmulqdq" "sha" "f16c"
        "avx" "fma" "avx2" "gfni" "vaes" "vpclmulqdq" "avxvnni" "avxifma" "avxvnniint8" "avxvnniint16" "avxneconvert"
        "avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl" "avx512ifma" "avx512vbmi" "avx512vbmi2" "avx512vnni"
        "avx512bitalg" "avx512vpopcntdq" "avx512vp2intersect" "avx512bf16" "avx512fp16");
    #[cfg(target_arch = "aarch64")]
    let all = detected!(is_aarch64_feature_detected:
        "fp16" "fhm" "dotprod" "i8mm" "bf16" "lse" "rdm" "fcma" "aes" "sha2" "sha3" "sve" "sve2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let all: [(&str, bool); 0] = [];
    all.into_iter().filter(|&(_, detected)| detected).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for isa in Isa::ALL {
            assert_eq!(isa.to_string().parse(), Ok(isa));
        }
        assert_eq!("AVX2".parse::<Isa>(), Err(UnknownIsa { got: "AVX2".to_owned() }));
        assert_eq!(
            "sse9".parse::<Isa>().unwrap_err().to_string(),
            "unknown instruction set \"sse9\"; known are scalar neon avx2 avx512"
        );
    }

    #[test]
    fn supported_begins_with_scalar_and_ends_with_the_best() {
        let supported = Isa::supported();
        assert_eq!(supported.first(), Some(&Isa::Scalar));
        assert_eq!(supported.last(), Some(&Isa::best()));
        assert!(supported.is_sorted());
    }

    #[test]
    fn extensions_agree_with_the_tokens() {
        let extensions = extensions();
        assert_eq!(
            Isa::Avx512.is_supported(),
            ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma", "f16c"]
                .iter()
                .all(|name| extensions.contains(name))
        );
    }

    #[test]
    fn a_wider_token_implies_the_narrower_one() {
        if let Some(wide) = Avx512::new() {
            let Avx2(()) = wide.avx2();
            assert!(Isa::Avx2.is_supported());
        }
        assert!(!(Isa::Neon.is_supported() && Isa::Avx2.is_supported()), "one machine, one architecture");
    }
}
