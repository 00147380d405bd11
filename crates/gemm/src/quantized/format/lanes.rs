//! The products of a block of K types, lane by lane, and their sums.
//!
//! Integers with a scale are sums of neighboring products, as words: two instructions multiply words with scales and
//! add them up in 32 bits. Where four products are one instruction, their sums become words first, as all of these fit:
//! half as many are multiplied with scales.

use simd::ByteSimd;

use super::{QK, REGISTERS};
use crate::quantized::activations::ActBlock;

/// The products of K types: what four blocks and X rows of A add up to, but for the lanes.
#[derive(Clone, Copy)]
pub(in crate::quantized) struct Lanes<B: ByteSimd, const X: usize> {
    /// Sums of products of codes and scales: a register for each of the four blocks.
    pub(super) ints: [[B::Register; 4]; X],
    /// Sums of products of minima, a lane group for each block. 0 without minima.
    pub(super) mins: [[B::Register; 2]; X],
    /// What both are multiplied with.
    pub(super) d: [[f32; 4]; 2],
}

/// Registers of words that have a scale each: sums of four products where they are one instruction, else of two.
pub(super) const fn scaled_registers<B: ByteSimd>() -> usize {
    if B::HAS_DOT { QK / 2 / B::BYTES } else { QK / B::BYTES }
}

/// Adds the products of 256 codes and numbers of A, multiplied with the scales of their words. Four products fit in 16
/// bits: codes are below 64.
#[inline(always)]
pub(super) fn add_scaled<B: ByteSimd>(
    simd: B,
    codes: &[B::Register; REGISTERS],
    x: &ActBlock,
    scales: &[B::Register; REGISTERS],
    mut sum: B::Register,
) -> B::Register {
    let mut numbers = [simd.zero(); REGISTERS];
    for at in 0..QK / B::BYTES {
        // SAFETY: a block has 256 codes.
        numbers[at] = unsafe { simd.load_bytes(x.codes.as_ptr().cast::<u8>().add(B::BYTES * at)) };
    }
    for at in 0..scaled_registers::<B>() {
        let words = if B::HAS_DOT {
            let first = simd.dot_bytes(codes[2 * at], numbers[2 * at], simd.zero());
            simd.narrow_ints(first, simd.dot_bytes(codes[2 * at + 1], numbers[2 * at + 1], simd.zero()))
        } else {
            simd.mul_pairs(codes[at], numbers[at])
        };
        sum = simd.dot_words(words, scales[at], sum);
    }
    sum
}

/// Adds the lanes up, and the products to the sums.
#[inline(always)]
pub(super) fn add_lanes<B: ByteSimd, const X: usize, const HAS_MINS: bool>(
    simd: B,
    Lanes { ints, mins, d: [d, dmin] }: Lanes<B, X>,
    x: [&ActBlock; X],
    mut sums: [[f32; 4]; X],
) -> [[f32; 4]; X] {
    for i in 0..X {
        let scale = x[i].scales[0];
        let products = simd.add_groups(simd.sums_of_groups(ints[i]));
        sums[i] = simd.four_mul_add(simd.four_to_floats(products), simd.four_times(d, scale), sums[i]);
        if HAS_MINS {
            let mins = simd.four_to_floats(simd.sums_of_four(mins[i]));
            sums[i] = simd.four_mul_add(mins, simd.four_times(dmin, -scale), sums[i]);
        }
    }
    sums
}
