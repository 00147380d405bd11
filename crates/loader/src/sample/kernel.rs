//! What the loops over pixels share: types of voxels, the window as one multiplication and addition, and code that is
//! compiled for each instruction set.

use std::sync::OnceLock;

use simd::{InstructionSet, Isa, Simd, Vectorized};

use super::asymmetric::SIDE;

/// Pixels of a patch.
pub(super) const PIXELS: usize = SIDE * SIDE;

/// A type of stored voxels; all of them are exact as f32.
pub(crate) trait Voxel: Copy + Into<f32> {}

impl Voxel for u8 {}
impl Voxel for i8 {}
impl Voxel for u16 {}
impl Voxel for i16 {}
impl Voxel for f32 {}

/// From an interpolated stored value to a pixel: factor * value + offset, clamped to -1..1. A NaN stays one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Map {
    pub(super) factor: f32,
    pub(super) offset: f32,
    /// The stored value whose scaled value is 0: what lies outside the volume.
    pub(super) outside: f32,
}

impl Map {
    #[inline(always)]
    pub(super) fn apply(&self, value: f32) -> f32 {
        (self.factor * value + self.offset).clamp(-1.0, 1.0)
    }
}

/// A loop with its arguments; `run` and what it calls are `#[inline(always)]`.
pub(crate) trait Loop {
    fn run(self);
}

struct Compiled<L>(L);

impl<L: Loop> Vectorized for Compiled<L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        self.0.run();
    }
}

/// Runs a loop as it was compiled for the widest instruction set that helps. The compiler finds the vectors. Rust
/// contracts no multiplication and addition, so all instruction sets give the same bits.
#[inline]
pub(crate) fn run<L: Loop>(code: L) {
    // Kept: asking the processor takes microseconds in a virtual machine, and this runs once a patch.
    static BEST: OnceLock<InstructionSet> = OnceLock::new();
    BEST.get_or_init(|| InstructionSet::best_of(&[Isa::Scalar, Isa::Avx2])).run(Compiled(code));
}
