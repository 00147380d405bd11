//! Loops that are written once and compiled for each instruction set that this crate has code for.
//!
//! The compiler finds the vectors. All instruction sets give the same bits: Rust contracts nothing by itself, and a
//! fused multiply-add has one result.

use simd::{Dispatch, InstructionSet, Isa, Portable, Simd, Vectorized};

/// The instruction sets with code here, the widest last.
const CODE: [Isa; 2] = [Isa::Scalar, Isa::Avx2];

/// The widest instruction set that this machine has and that there is code for, no wider than `most`.
pub(crate) fn instruction_set(most: Isa) -> InstructionSet {
    InstructionSet::best_of(&CODE[..CODE.partition_point(|&isa| isa <= most)])
}

/// A loop with its arguments.
pub(super) trait Loop {
    /// What it computes.
    type Output;

    /// Runs it. Implementations are `#[inline(always)]`, as are the functions with loops that they call.
    fn run(self) -> Self::Output;
}

/// Runs a loop as it was compiled for `simd`.
#[inline]
pub(super) fn run<L: Loop>(simd: InstructionSet, code: L) -> L::Output {
    simd.dispatch(Compiled(code))
}

struct Compiled<L>(L);

impl<L: Loop> Vectorized for Compiled<L> {
    type Output = L::Output;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> L::Output {
        self.0.run()
    }
}

impl<L: Loop> Dispatch for Compiled<L> {
    type Output = L::Output;

    #[inline]
    fn portable(self, simd: Portable) -> L::Output {
        Simd::run(simd, self)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn avx2(self, simd: simd::Avx2) -> L::Output {
        Simd::run(simd, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_instruction_set_is_wider_than_asked_for() {
        assert_eq!(instruction_set(Isa::Scalar).isa(), Isa::Scalar);
        for most in Isa::ALL {
            assert!(instruction_set(most).isa() <= most);
        }
        assert_eq!(instruction_set(Isa::best()).isa() == Isa::Avx2, Isa::Avx2.is_supported());
    }
}
