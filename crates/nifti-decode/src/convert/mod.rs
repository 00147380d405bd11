//! From stored voxels to numbers, in one pass.
//!
//! Voxels pass through a block of numbers in L1: [`fill`](Fill) reads a run of stored voxels, swaps their bytes, scales
//! them and rounds once; the output packs the block as the type that was asked for. f32 and f64 are filled in place. So
//! the kernels are a sum (types x arithmetic, plus outputs) and not a product, and every order of axes ([`reorient`])
//! uses the same ones.
//!
//! **Arithmetic.** Unscaled values are rounded from what is stored. To f32, scaled 8- and 16-bit integers take one
//! fused multiply-add in f32, which is correctly rounded: their values and the slope are exact in f32. All others take
//! a product and a sum in f64, as NumPy does, and are rounded at the end. Clipping and z-scores are computed in f64.
//! Integers are made from the stored integers ([`whole`]), or from f64.
//!
//! **Losses.** What a type cannot hold, beside fractions, is counted ([`scan`]) or refused ([`whole`]).
//!
//! The scalar and the vector kernels are the same generic code ([`compiled`]).

#[cfg(target_arch = "x86_64")]
mod avx2;
mod compiled;
mod fill;
mod format;
mod kernel;
mod losses;
mod output;
pub(crate) mod reorient;
mod reverse;
mod scan;
mod screen;
mod stored;
mod stream;
mod transpose;
mod whole;
mod words;

use simd::InstructionSet;

pub(crate) use compiled::instruction_set;
pub use kernel::Choice;
pub(crate) use kernel::{Blocks, Kernel};
pub use losses::{Loss, Losses, Value};
pub use output::Output;
pub(crate) use stored::{Stored, with_stored};

/// Voxels that are converted at a time: 8 KiB of f32.
pub(crate) const BLOCK: usize = 2048;

/// Reads stored voxels into a block; `src` has the bytes of as many voxels as `dst`.
pub(crate) type Fill<T> = fn(InstructionSet, &Map, &[u8], &mut [T]);

/// The numbers of a conversion: value = slope * stored + inter, then clip, then (value - shift) * gain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Map {
    pub(crate) slope: f64,
    pub(crate) inter: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) shift: f64,
    pub(crate) gain: f64,
}

impl Map {
    pub(crate) const IDENTITY: Map =
        Map { slope: 1.0, inter: 0.0, low: f64::NEG_INFINITY, high: f64::INFINITY, shift: 0.0, gain: 1.0 };

    pub(crate) fn is_scaled(&self) -> bool {
        (self.slope, self.inter) != (1.0, 0.0)
    }

    /// Whether anything happens after scaling.
    pub(crate) fn is_normalized(&self) -> bool {
        Map { slope: 1.0, inter: 0.0, ..*self } != Self::IDENTITY
    }

    /// Whether slope and intercept are exact in f32.
    pub(crate) fn is_single(&self) -> bool {
        let exact = |v: f64| f64::from(v as f32) == v;
        exact(self.slope) && exact(self.inter)
    }
}
