//! Which instruction set runs: the one list of them, and the one place that turns a value into a token.
//!
//! An op names the instruction sets that it has code for, and keeps an [`InstructionSet`]:
//!
//! ```
//! use simd::{Dispatch, InstructionSet, Isa, Portable};
//!
//! /// The op has portable code and code with AVX2.
//! const CODE: [Isa; 2] = [Isa::Scalar, Isa::Avx2];
//!
//! struct Count<'a>(&'a [u8]);
//!
//! impl Dispatch for Count<'_> {
//!     type Output = u32;
//!
//!     fn portable(self, _: Portable) -> u32 {
//!         self.0.iter().map(|byte| byte.count_ones()).sum()
//!     }
//!     // `avx2` would be here. A machine with AVX-512 gets it, too: each method falls back to the next narrower one.
//! }
//!
//! for kernel in InstructionSet::supported_of(&CODE) {
//!     assert_eq!(kernel.dispatch(Count(&[0xff, 0x01])), 9, "{}", kernel.kernel_name());
//! }
//! ```
//!
//! Code that is written once over [`Simd`](crate::Simd) needs no [`Dispatch`]: [`InstructionSet::run`] takes it as it
//! is.
//!
//! To add an instruction set: its token in `machine::isa`, its vectors in a file beside `avx2.rs`, a variant and a line
//! in each `match` here, and a method of [`Dispatch`] that falls back. Ops that are generic over `Simd` have it then;
//! the others go on with what they fall back to until they override the method.

use std::sync::OnceLock;

use machine::isa::{Avx2, Avx512, Isa};

use crate::{portable::Portable, vector::Vectorized};

/// An instruction set of this machine, with the token that proves it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum InstructionSet {
    /// Rust without vectors of ours.
    Portable(Portable),
    /// AVX2, FMA and F16C.
    Avx2(Avx2),
    /// AVX-512 F, BW, DQ and VL.
    Avx512(Avx512),
}

/// Code of an op with a version for each of some instruction sets. Every method but the first falls back to the next
/// narrower one.
pub trait Dispatch: Sized {
    /// What it computes.
    type Output;

    /// The version for every machine.
    fn portable(self, simd: Portable) -> Self::Output;

    /// The version with AVX2, FMA and F16C.
    fn avx2(self, _: Avx2) -> Self::Output {
        self.portable(Portable)
    }

    /// The version with AVX-512.
    fn avx512(self, simd: Avx512) -> Self::Output {
        self.avx2(simd.avx2())
    }
}

impl InstructionSet {
    /// The instruction set, if this machine has it and there are vectors for it.
    pub fn new(isa: Isa) -> Option<Self> {
        match isa {
            Isa::Scalar => Some(Self::Portable(Portable)),
            Isa::Avx2 => Avx2::new().map(Self::Avx2),
            Isa::Avx512 => Avx512::new().map(Self::Avx512),
            Isa::Neon => None,
        }
    }

    /// All instruction sets of this machine that there are vectors for, the portable one first, the widest last.
    pub fn supported() -> Vec<Self> {
        Self::supported_of(&Isa::ALL)
    }

    /// Those of `code`, in its order, that this machine has.
    pub fn supported_of(code: &[Isa]) -> Vec<Self> {
        code.iter().filter_map(|&isa| Self::new(isa)).collect()
    }

    /// The widest instruction set of this machine. Detected once.
    pub fn best() -> Self {
        static BEST: OnceLock<InstructionSet> = OnceLock::new();
        *BEST.get_or_init(|| Self::best_of(&Isa::ALL))
    }

    /// The last of `code` that this machine has; the portable one if it has none.
    pub fn best_of(code: &[Isa]) -> Self {
        code.iter().rev().find_map(|&isa| Self::new(isa)).unwrap_or(Self::Portable(Portable))
    }

    /// Its name as a value.
    pub const fn isa(self) -> Isa {
        match self {
            Self::Portable(_) => Isa::Scalar,
            Self::Avx2(_) => Isa::Avx2,
            Self::Avx512(_) => Isa::Avx512,
        }
    }

    /// The name of a kernel that is written for it, as bench ids spell it: `cpu-scalar`, `cpu-avx2`, `cpu-avx512`.
    pub const fn kernel_name(self) -> &'static str {
        match self {
            Self::Portable(_) => "cpu-scalar",
            Self::Avx2(_) => "cpu-avx2",
            Self::Avx512(_) => "cpu-avx512",
        }
    }

    /// Calls the version for this instruction set.
    #[inline]
    pub fn dispatch<D: Dispatch>(self, code: D) -> D::Output {
        match self {
            Self::Portable(simd) => code.portable(simd),
            Self::Avx2(simd) => code.avx2(simd),
            Self::Avx512(simd) => code.avx512(simd),
        }
    }

    /// Runs code that is written once over the vectors of every instruction set.
    #[inline]
    pub fn run<C: Vectorized>(self, code: C) -> C::Output {
        self.dispatch(Run(code))
    }
}

/// Vectorized code as one version for each instruction set.
struct Run<C>(C);

impl<C: Vectorized> Dispatch for Run<C> {
    type Output = C::Output;

    #[inline]
    fn portable(self, simd: Portable) -> C::Output {
        crate::Simd::run(simd, self.0)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn avx2(self, simd: Avx2) -> C::Output {
        crate::Simd::run(simd, self.0)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn avx512(self, simd: Avx512) -> C::Output {
        crate::Simd::run(simd, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Which;

    /// Nothing of its own for AVX-512.
    impl Dispatch for Which {
        type Output = Isa;

        fn portable(self, _: Portable) -> Isa {
            Isa::Scalar
        }

        fn avx2(self, _: Avx2) -> Isa {
            Isa::Avx2
        }
    }

    #[test]
    fn code_falls_back_to_the_next_narrower_instruction_set() {
        for set in InstructionSet::supported() {
            assert_eq!(set.dispatch(Which), set.isa().min(Isa::Avx2), "{set:?}");
        }
    }

    #[test]
    fn the_best_is_the_last_one_supported() {
        let supported = InstructionSet::supported();
        assert_eq!(supported[0].isa(), Isa::Scalar);
        assert_eq!(supported.last().map(|set| set.isa()), Some(InstructionSet::best().isa()));
        assert_eq!(InstructionSet::best_of(&[]).isa(), Isa::Scalar);
        assert_eq!(InstructionSet::best_of(&[Isa::Scalar]).isa(), Isa::Scalar);
    }

    #[test]
    fn names_are_those_of_the_instruction_sets() {
        for set in InstructionSet::supported() {
            assert_eq!(set.kernel_name(), format!("cpu-{}", set.isa()));
        }
    }
}
