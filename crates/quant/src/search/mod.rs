//! How the K-quants choose the scale of a sub-block: they try several and keep the one with the smallest weighted
//! error.
//!
//! There are three searches, learned from `make_qkx2_quants`, `make_qx_quants` and `make_q3_quants` of
//! ggml-org/llama.cpp (`ggml-quants.c`). Every sum is computed in the same order and in f32, so that the same scale is
//! chosen.

mod affine;
mod symmetric;

#[cfg(target_arch = "x86_64")]
pub(crate) use affine::Rounding;
pub(crate) use affine::{Affine, Error, Fit};
#[cfg(target_arch = "x86_64")]
pub(crate) use symmetric::steps;
pub(crate) use symmetric::{Swept, descend, sweep};

/// A sub-block whose largest magnitude is below this counts as zero.
pub(crate) const NEGLIGIBLE: f32 = 1e-15;

/// The nearest integer, ties to even, for |x| below 2^22: adding 1.5 · 2^23 leaves it in the low bits of the mantissa.
/// For larger numbers and for NaN, the result is an arbitrary integer.
pub(crate) fn nearest(x: f32) -> i32 {
    ((x + SHIFT).to_bits() & MANTISSA) as i32 - HALF_MANTISSA
}

/// The constants of [`nearest`]: 1.5 · 2^23, the mask of the mantissa, and the mantissa of 1.5 · 2^23.
pub(crate) const SHIFT: f32 = 12_582_912.0;
pub(crate) const MANTISSA: u32 = 0x007f_ffff;
pub(crate) const HALF_MANTISSA: i32 = 0x0040_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_ties_to_even() {
        for (x, rounded) in [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (126.5, 126), (-127.4, -127)] {
            assert_eq!(nearest(x), rounded, "{x}");
        }
        assert_eq!(nearest(4_194_303.0), 4_194_303);
        assert_eq!(nearest(-4_194_304.0), -4_194_304);
    }
}
