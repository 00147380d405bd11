//! Q4_K, Q5_K and Q6_K: 256 numbers with small scales of sub-blocks, which are multiplied as integers.

use quant::{
    GgmlType,
    format::{BlockQ4_K, BlockQ5_K, BlockQ6_K, Scales6, le::F16Le},
};
use simd::{ByteSimd, F32Vector, Simd};

use super::{ADJACENT, Factors, Format, GROUPS, NATURAL, QK, REGISTERS, block, nibbles};
use crate::quantized::activations::ActBlock;

/// Q4_K: a scale and a minimum for 32 numbers.
#[derive(Debug, Clone, Copy)]
#[expect(non_camel_case_types, reason = "the spelling of ggml")]
pub(in crate::quantized) struct Q4_K;

/// Q5_K: Q4_K with a fifth bit.
#[derive(Debug, Clone, Copy)]
#[expect(non_camel_case_types, reason = "the spelling of ggml")]
pub(in crate::quantized) struct Q5_K;

/// Q6_K: a scale for 16 numbers.
#[derive(Debug, Clone, Copy)]
#[expect(non_camel_case_types, reason = "the spelling of ggml")]
pub(in crate::quantized) struct Q6_K;

/// 64 bytes have the even sub-blocks of four in their low nibbles and the odd ones in their high nibbles.
const EVEN_THEN_ODD: [usize; GROUPS] = [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15];

/// Sub-block of 32 numbers that 32 stored numbers are, as an index of bytes: each twice.
const EVEN_THEN_ODD_BYTES: [u8; GROUPS] = [0, 0, 2, 2, 1, 1, 3, 3, 4, 4, 6, 6, 5, 5, 7, 7];

/// Each group is a sub-block.
const SINGLE: [[usize; 2]; GROUPS] = {
    let mut groups = [[0; 2]; GROUPS];
    let mut j = 0;
    while j < GROUPS {
        groups[j] = [j, j];
        j += 1;
    }
    groups
};

/// A bit of `first << shifts[j]` for the 32 stored numbers of each sub-block j.
const fn bits(first: u8, shifts: [u8; 8]) -> [u8; QK] {
    let mut bits = [0; QK];
    let mut i = 0;
    while i < QK {
        bits[i] = first << shifts[i / 32];
        i += 1;
    }
    bits
}

/// Adds `value` to the codes whose bit is set: `masks` has a bit for each stored number, of the byte of `bits` that
/// belongs to it. 32 bytes of bits belong to all numbers of each `span` stored numbers.
///
/// # Safety
/// 32 bytes can be read at `bits` for each span.
#[inline(always)]
unsafe fn add_bits<B: ByteSimd>(
    simd: B,
    codes: &mut [B::Register; REGISTERS],
    bits: *const u8,
    span: usize,
    masks: &[u8; QK],
    value: u8,
) {
    let value = simd.splat_byte(value);
    for at in 0..QK / B::BYTES {
        // SAFETY: the span exists, and the masks have a byte for each code.
        unsafe {
            let bits = simd.load_32s(bits.add(B::BYTES * at / span * 32), 0);
            let mask = simd.load_bytes(masks[B::BYTES * at..].as_ptr());
            codes[at] = simd.or(codes[at], simd.select_set(bits, mask, value));
        }
    }
}

/// The nibbles of a block, in stored order.
#[inline(always)]
fn adjacent_nibbles<B: ByteSimd>(simd: B, from: &[u8; QK / 2]) -> [B::Register; REGISTERS] {
    let mut bytes = [simd.zero(); REGISTERS / 2];
    for (bytes, from) in bytes.iter_mut().zip(from.chunks_exact(B::BYTES)) {
        // SAFETY: the chunk is as long as a register.
        *bytes = unsafe { simd.load_bytes(from.as_ptr()) };
    }
    nibbles(simd, bytes)
}

/// Scales and minima of 16 numbers in stored order, and their own scales.
pub(in crate::quantized) struct KFactors {
    scales: [i16; GROUPS],
    mins: [i16; GROUPS],
    d: f32,
    dmin: f32,
}

impl KFactors {
    /// Those of Q4_K and Q5_K.
    #[inline(always)]
    fn affine<B: ByteSimd>(simd: B, scales: Scales6, d: F16Le, dmin: F16Le) -> Self {
        let (scales, mins) = scales.unpack();
        let scales = simd.pick_bytes(u64::from_le_bytes(scales), &EVEN_THEN_ODD_BYTES);
        let mins = simd.pick_bytes(u64::from_le_bytes(mins), &EVEN_THEN_ODD_BYTES);
        let halves = simd.halves_to_floats([d.to_bits(), dmin.to_bits(), 0, 0, 0, 0, 0, 0]);
        Self { scales, mins, d: halves[0], dmin: halves[1] }
    }
}

impl Factors for KFactors {
    /// Words are multiplied with their scales, so that a block becomes floats once.
    #[inline(always)]
    fn dot<B: ByteSimd, F: Format, const X: usize>(
        &self,
        simd: B,
        codes: [B::Register; REGISTERS],
        x: [&ActBlock; X],
        mut sums: [<B::Float as Simd>::F32; X],
    ) -> [<B::Float as Simd>::F32; X] {
        let mut ints = [simd.zero(); X];
        for at in 0..QK / B::BYTES {
            let scale = simd.spread_words(&self.scales, at);
            for i in 0..X {
                // SAFETY: a block has 256 codes.
                let x = unsafe { simd.load_bytes(x[i].codes.as_ptr().cast::<u8>().add(B::BYTES * at)) };
                ints[i] = simd.dot_words(simd.mul_pairs(codes[at], x), scale, ints[i]);
            }
        }
        for i in 0..X {
            let (scale, min) = (self.d * x[i].scales[0], -self.dmin * x[i].scales[0]);
            let (scale, min) = (simd.float().splat(scale), simd.float().splat(min));
            sums[i] = simd.ints_to_floats(ints[i]).mul_add(scale, sums[i]);
            let mins = simd.dot_sixteen_words(&self.mins, &x[i].sums);
            sums[i] = simd.ints_to_floats(mins).mul_add(min, sums[i]);
        }
        sums
    }

    #[inline(always)]
    fn of_sub_blocks<F: Format>(&self) -> ([f32; GROUPS], [f32; 8]) {
        let (mut scales, mut mins) = ([0.0; GROUPS], [0.0; 8]);
        for j in 0..QK / F::SUB {
            scales[j] = self.d * f32::from(self.scales[F::SUB_GROUPS[j][0]]);
        }
        if F::OFFSET == 0 {
            for j in 0..8 {
                mins[j] = self.dmin * f32::from(self.mins[F::SUB_GROUPS[j][0]]);
            }
        }
        (scales, mins)
    }
}

impl Format for Q4_K {
    const TYPE: GgmlType = GgmlType::Q4_K;
    const ORDER: [usize; GROUPS] = EVEN_THEN_ODD;
    const SUB: usize = 32;
    const SUB_GROUPS: [[usize; 2]; GROUPS] = ADJACENT;
    const OFFSET: i32 = 0;
    const STEPS: usize = 8;
    const HAS_ONE_SCALE: bool = true;
    const IS_SIGNED: bool = false;
    type Factors = KFactors;

    #[inline(always)]
    unsafe fn codes<B: ByteSimd>(simd: B, at: *const u8) -> [B::Register; REGISTERS] {
        // SAFETY: the caller promises a block.
        adjacent_nibbles(simd, unsafe { &block::<BlockQ4_K>(at).qs })
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> KFactors {
        // SAFETY: the caller promises a block.
        let weights = unsafe { block::<BlockQ4_K>(at) };
        KFactors::affine(simd, weights.scales, weights.d, weights.dmin)
    }
}

impl Format for Q5_K {
    const TYPE: GgmlType = GgmlType::Q5_K;
    const ORDER: [usize; GROUPS] = EVEN_THEN_ODD;
    const SUB: usize = 32;
    const SUB_GROUPS: [[usize; 2]; GROUPS] = ADJACENT;
    const OFFSET: i32 = 0;
    const STEPS: usize = 4;
    const HAS_ONE_SCALE: bool = true;
    const IS_SIGNED: bool = false;
    type Factors = KFactors;

    #[inline(always)]
    unsafe fn codes<B: ByteSimd>(simd: B, at: *const u8) -> [B::Register; REGISTERS] {
        /// Bit j of a byte belongs to sub-block j.
        static FIFTH: [u8; QK] = bits(1, [0, 2, 1, 3, 4, 6, 5, 7]);
        // SAFETY: the caller promises a block, which has 128 bytes of nibbles and 32 bytes of bits.
        unsafe {
            let weights = block::<BlockQ5_K>(at);
            let mut codes = adjacent_nibbles(simd, &weights.qs);
            add_bits(simd, &mut codes, weights.qh.as_ptr(), QK, &FIFTH, 16);
            codes
        }
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> KFactors {
        // SAFETY: the caller promises a block.
        let weights = unsafe { block::<BlockQ5_K>(at) };
        KFactors::affine(simd, weights.scales, weights.d, weights.dmin)
    }
}

impl Format for Q6_K {
    const TYPE: GgmlType = GgmlType::Q6_K;
    const ORDER: [usize; GROUPS] = NATURAL;
    const SUB: usize = 16;
    const SUB_GROUPS: [[usize; 2]; GROUPS] = SINGLE;
    const OFFSET: i32 = 32;
    const STEPS: usize = 2;
    const HAS_ONE_SCALE: bool = true;
    const IS_SIGNED: bool = false;
    type Factors = KFactors;

    #[inline(always)]
    unsafe fn codes<B: ByteSimd>(simd: B, at: *const u8) -> [B::Register; REGISTERS] {
        /// Two bits of a byte belong to each of the four 32 numbers of a half.
        static FIFTH: [u8; QK] = bits(1, [0, 2, 4, 6, 0, 2, 4, 6]);
        static SIXTH: [u8; QK] = bits(2, [0, 2, 4, 6, 0, 2, 4, 6]);
        // SAFETY: the caller promises a block, which has 128 bytes of nibbles and 64 bytes of bits.
        unsafe {
            let weights = block::<BlockQ6_K>(at);
            let mut codes = adjacent_nibbles(simd, &weights.ql);
            add_bits(simd, &mut codes, weights.qh.as_ptr(), QK / 2, &FIFTH, 16);
            add_bits(simd, &mut codes, weights.qh.as_ptr(), QK / 2, &SIXTH, 32);
            codes
        }
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> KFactors {
        // SAFETY: the caller promises a block.
        let weights = unsafe { block::<BlockQ6_K>(at) };
        let scales = weights.scales.map(i16::from);
        let d = simd.halves_to_floats([weights.d.to_bits(), 0, 0, 0, 0, 0, 0, 0])[0];
        // Its offset is a minimum of as many scales.
        KFactors { scales, mins: scales.map(|scale| Self::OFFSET as i16 * scale), d, dmin: d }
    }
}
