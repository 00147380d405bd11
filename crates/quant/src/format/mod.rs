//! One module for each type that this crate can convert: the layout of a block, and both directions of the conversion.
//!
//! This code is the scalar reference that every kernel is tested against: portable, and in the order of ggml's
//! arithmetic.

pub mod float;
pub mod iq4_nl;
pub mod le;
pub mod mxfp4;
pub mod q2_k;
pub mod q3_k;
pub mod q4_0;
pub mod q4_1;
pub mod q4_k;
pub mod q5_0;
pub mod q5_1;
pub mod q5_k;
pub mod q6_k;
pub mod q8_0;
pub mod q8_1;
pub mod q8_k;
mod scales6;

pub use float::{BF16, F16, F32};
pub use iq4_nl::BlockIQ4_NL;
pub use mxfp4::BlockMXFP4;
pub use q2_k::BlockQ2_K;
pub use q3_k::BlockQ3_K;
pub use q4_0::BlockQ4_0;
pub use q4_1::BlockQ4_1;
pub use q4_k::BlockQ4_K;
pub use q5_0::BlockQ5_0;
pub use q5_1::BlockQ5_1;
pub use q5_k::BlockQ5_K;
pub use q6_k::BlockQ6_K;
pub use q8_0::BlockQ8_0;
pub use q8_1::BlockQ8_1;
pub use q8_k::BlockQ8_K;
pub use scales6::Scales6;

use bytemuck::Pod;

use crate::GgmlType;

/// A block of one type. Any bytes of its size are a valid block, and its alignment is 1.
pub trait Block: Pod {
    /// The type of rows of these blocks in files.
    const TYPE: GgmlType;

    /// The numbers of a block: `[f32; 32]` or `[f32; 256]`; `[f32; 1]` for plain numbers.
    type Values: Pod;

    /// Converts the block to numbers.
    fn dequantize(&self, out: &mut Self::Values);

    /// Converts numbers to a block.
    fn quantize(x: &Self::Values) -> Self;
}

/// Whether all numbers are finite.
pub(crate) fn all_finite(x: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    x.iter().fold(true, |all, x| all & (x.to_bits() & EXPONENT != EXPONENT))
}

/// The number of largest magnitude, with its sign; the first of equals. 0 if all are 0.
pub(crate) fn peak(x: &[f32]) -> f32 {
    let mut peak = 0.0_f32;
    for &x in x {
        if x.abs() > peak.abs() {
            peak = x;
        }
    }
    peak
}

/// 1 / d, and 0 for 0.
pub(crate) fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

/// The smallest and the largest number.
pub(crate) fn extremes(x: &[f32]) -> (f32, f32) {
    let mut extremes = (f32::MAX, -f32::MAX);
    for &x in x {
        if x < extremes.0 {
            extremes.0 = x;
        }
        if x > extremes.1 {
            extremes.1 = x;
        }
    }
    extremes
}
