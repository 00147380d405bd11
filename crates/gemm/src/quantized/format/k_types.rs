//! Q4_K, Q5_K and Q6_K: 256 numbers with small scales of sub-blocks, which are multiplied as integers.

use quant::{
    GgmlType,
    format::{BlockQ4_K, BlockQ5_K, BlockQ6_K, Scales6, le::F16Le},
};
use simd::ByteSimd;

use super::{
    ADJACENT, Factors, Format, GROUPS, NATURAL, QK, REGISTERS, block,
    lanes::{Lanes, add_lanes, add_scaled, scaled_registers},
    nibbles,
};
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

/// Where the high bits of the codes are: for each 64 stored numbers, how far bits are moved to the left in the 32 bytes
/// of the first 32 numbers, and in those of the others.
type Moves = [[i32; 2]; 4];

/// Adds the bits of `mask` to the codes, from 32 bytes of bits for each `span` stored numbers, moved by `moves`. Bits
/// that come from the neighboring byte lie outside of the mask.
///
/// # Safety
/// 32 bytes can be read at `bits` for each span.
#[inline(always)]
unsafe fn add_bits<B: ByteSimd>(
    simd: B,
    codes: &mut [B::Register; REGISTERS],
    bits: *const u8,
    span: usize,
    moves: Moves,
    mask: u8,
) {
    let mask = simd.splat_byte(mask);
    for at in 0..QK / B::BYTES {
        // SAFETY: the span exists.
        let bits = unsafe { simd.load_32s(bits.add(B::BYTES * at / span * 32), 0) };
        let bits = simd.shift_32s(bits, moves[B::BYTES * at / 64], at);
        codes[at] = simd.or(codes[at], simd.and(bits, mask));
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

/// Where four bytes of a lane group come from: nowhere.
const NONE: [u8; 4] = [0x80; 4];

/// An index of bytes of a lane group: four of each.
const fn index_of(fours: [[u8; 4]; 4]) -> [u8; 16] {
    let mut index = [0; 16];
    let mut i = 0;
    while i < 16 {
        index[i] = fours[i / 4][i % 4];
        i += 1;
    }
    index
}

/// The header of a block is two halves and 12 bytes, [`Scales6`]. The first eight hold six bits of the scales 0 to 3
/// and of the minima 0 to 3, and above them two bits of the scales and minima 4 to 7, whose other four bits are in the
/// last four bytes.
mod header {
    use super::{NONE, index_of};

    const FIRST: [u8; 4] = [4, 5, 6, 7];
    const SECOND: [u8; 4] = [8, 9, 10, 11];
    const LAST: [u8; 4] = [12, 13, 14, 15];

    /// From six bits to the scales and minima 0 to 3.
    pub(super) static LOW: [u8; 16] = index_of([FIRST, NONE, SECOND, NONE]);
    /// From two bits to the scales and minima 4 to 7.
    pub(super) static HIGH: [u8; 16] = index_of([NONE, FIRST, NONE, SECOND]);
    /// From low nibbles to the scales 4 to 7.
    pub(super) static SCALES: [u8; 16] = index_of([NONE, LAST, NONE, NONE]);
    /// From high nibbles to the minima 4 to 7.
    pub(super) static MINS: [u8; 16] = index_of([NONE, NONE, NONE, LAST]);
    /// From scales and minima, a byte each, to the minima as words.
    pub(super) static WORDS: [u8; 16] = [8, 0x80, 9, 0x80, 10, 0x80, 11, 0x80, 12, 0x80, 13, 0x80, 14, 0x80, 15, 0x80];
}

/// From eight scales to a word for each 2 of 256 stored numbers; or, for registers of so many bytes, to words in the
/// order of [`ByteSimd::narrow_ints`], for each 4 of them.
const fn spread(narrow: Option<usize>) -> [u8; QK] {
    let mut index = [0x80; QK];
    let mut i = 0;
    while i < QK {
        let number = match narrow {
            None => i,
            Some(bytes) => 2 * (i / bytes * bytes) + i % 16 / 8 * bytes + i % bytes / 16 * 16,
        };
        index[i] = (EVEN_THEN_ODD[number % QK / 16] / 2) as u8;
        i += 2;
    }
    index
}

/// What [`add_scaled`] takes.
static SPREAD: [u8; QK] = spread(None);
static SPREAD_NARROW_64: [u8; QK] = spread(Some(64));

/// Bytes 0 to 7 of lane group b are the scales of the block at `blocks[b]`, bytes 8 to 15 its minima. Also the floats
/// that those of each block are multiplied with.
///
/// # Safety
/// A header can be read at each of `blocks`.
#[inline(always)]
unsafe fn headers<B: ByteSimd>(simd: B, blocks: [*const u8; 4]) -> ([B::Register; 2], [[f32; 4]; 2]) {
    // SAFETY: the caller promises 16 bytes at each place; the tables have as many.
    let (bytes, [low, high, scales, mins]) = unsafe {
        let [low, high] = [simd.repeat_16(header::LOW.as_ptr()), simd.repeat_16(header::HIGH.as_ptr())];
        let [scales, mins] = [simd.repeat_16(header::SCALES.as_ptr()), simd.repeat_16(header::MINS.as_ptr())];
        (simd.load_groups(blocks), [low, high, scales, mins])
    };
    let mut factors = [simd.zero(); 2];
    for i in 0..B::FOUR {
        let six = simd.and(bytes[i], simd.splat_byte(0x3f));
        let two = simd.and(simd.shift_words(bytes[i], 2), simd.splat_byte(0x30));
        let first = simd.or(simd.shuffle_bytes(six, low), simd.shuffle_bytes(two, high));
        let scales = simd.shuffle_bytes(simd.low_nibbles(bytes[i]), scales);
        let mins = simd.shuffle_bytes(simd.high_nibbles(bytes[i]), mins);
        factors[i] = simd.or(first, simd.or(scales, mins));
    }
    let mut halves = [0_u32; 4];
    for b in 0..4 {
        // SAFETY: as above.
        halves[b] = unsafe { blocks[b].cast::<u32>().read_unaligned() };
    }
    let [d0, min0, d1, min1, d2, min2, d3, min3] = simd.halves_to_floats(bytemuck::cast(halves));
    (factors, [[d0, d1, d2, d3], [min0, min1, min2, min3]])
}

/// The products of Q4_K and Q5_K. Words are multiplied with their scales, so that a block becomes a float once.
///
/// # Safety
/// A block can be read at each of `blocks`.
#[inline(always)]
unsafe fn multiply_affine<B: ByteSimd, F: Format, const X: usize>(
    simd: B,
    blocks: [*const u8; 4],
    x: [&ActBlock; X],
) -> Lanes<B, X> {
    // SAFETY: the caller promises the blocks, which begin with a header.
    let (factors, d) = unsafe { headers(simd, blocks) };
    const { assert!(!B::HAS_DOT || B::BYTES == 64) };
    let index = if B::HAS_DOT { &SPREAD_NARROW_64 } else { &SPREAD };
    let mut ints = [[simd.zero(); 4]; X];
    for b in 0..4 {
        // SAFETY: the caller promises the block.
        let codes = unsafe { F::codes(simd, blocks[b]) };
        let groups = B::BYTES / 16;
        let of_block = simd.repeat_group(factors[b / groups], b % groups);
        let mut scales = [simd.zero(); REGISTERS];
        for at in 0..scaled_registers::<B>() {
            // SAFETY: there is a byte of the table for each of 256 codes.
            scales[at] = simd.shuffle_bytes(of_block, unsafe { simd.load_bytes(index[B::BYTES * at..].as_ptr()) });
        }
        for i in 0..X {
            ints[i][b] = add_scaled(simd, &codes, x[i], &scales, ints[i][b]);
        }
    }
    // SAFETY: the table has 16 bytes.
    let words = unsafe { simd.repeat_16(header::WORDS.as_ptr()) };
    let mut mins = [[simd.zero(); 2]; X];
    for i in 0..X {
        // SAFETY: the terms have more than 16 bytes.
        let terms = unsafe { simd.repeat_16(x[i].terms.as_ptr().cast()) };
        for nth in 0..B::FOUR {
            mins[i][nth] = simd.dot_words(simd.shuffle_bytes(factors[nth], words), terms, mins[i][nth]);
        }
    }
    Lanes { ints, mins, d }
}

/// The factors of Q4_K and Q5_K.
#[inline(always)]
fn affine<B: ByteSimd>(simd: B, scales: Scales6, d: F16Le, dmin: F16Le) -> Factors {
    let (scales, mins) = scales.unpack();
    let mut factors = Factors::default();
    for j in 0..8 {
        factors.scales[j] = u32::from(scales[EVEN_THEN_ODD[2 * j] / 2]);
    }
    for pair in 0..4 {
        factors.mins[pair] = u32::from(mins[2 * pair]) | u32::from(mins[2 * pair + 1]) << 16;
    }
    let halves = simd.halves_to_floats([d.to_bits(), dmin.to_bits(), 0, 0, 0, 0, 0, 0]);
    factors.d = [halves[0], -halves[1]];
    factors
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

    #[inline(always)]
    unsafe fn codes<B: ByteSimd>(simd: B, at: *const u8) -> [B::Register; REGISTERS] {
        // SAFETY: the caller promises a block.
        adjacent_nibbles(simd, unsafe { &block::<BlockQ4_K>(at).qs })
    }

    type Products<B: ByteSimd, const X: usize> = Lanes<B, X>;

    #[inline(always)]
    unsafe fn multiply<B: ByteSimd, const X: usize>(simd: B, blocks: [*const u8; 4], x: [&ActBlock; X]) -> Lanes<B, X> {
        // SAFETY: the caller promises the blocks.
        unsafe { multiply_affine::<B, Self, X>(simd, blocks, x) }
    }

    #[inline(always)]
    fn add<B: ByteSimd, const X: usize>(
        simd: B,
        products: Lanes<B, X>,
        x: [&ActBlock; X],
        sums: [[f32; 4]; X],
    ) -> [[f32; 4]; X] {
        add_lanes::<B, X, true>(simd, products, x, sums)
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> Factors {
        // SAFETY: the caller promises a block.
        let weights = unsafe { block::<BlockQ4_K>(at) };
        affine(simd, weights.scales, weights.d, weights.dmin)
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

    #[inline(always)]
    unsafe fn codes<B: ByteSimd>(simd: B, at: *const u8) -> [B::Register; REGISTERS] {
        /// Bit j of a byte belongs to sub-block j, and becomes bit 4.
        const FIFTH: Moves = [[4, 2], [3, 1], [0, -2], [-1, -3]];
        // SAFETY: the caller promises a block, which has 128 bytes of nibbles and 32 bytes of bits.
        unsafe {
            let weights = block::<BlockQ5_K>(at);
            let mut codes = adjacent_nibbles(simd, &weights.qs);
            add_bits(simd, &mut codes, weights.qh.as_ptr(), QK, FIFTH, 16);
            codes
        }
    }

    type Products<B: ByteSimd, const X: usize> = Lanes<B, X>;

    #[inline(always)]
    unsafe fn multiply<B: ByteSimd, const X: usize>(simd: B, blocks: [*const u8; 4], x: [&ActBlock; X]) -> Lanes<B, X> {
        // SAFETY: the caller promises the blocks.
        unsafe { multiply_affine::<B, Self, X>(simd, blocks, x) }
    }

    #[inline(always)]
    fn add<B: ByteSimd, const X: usize>(
        simd: B,
        products: Lanes<B, X>,
        x: [&ActBlock; X],
        sums: [[f32; 4]; X],
    ) -> [[f32; 4]; X] {
        add_lanes::<B, X, true>(simd, products, x, sums)
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> Factors {
        // SAFETY: the caller promises a block.
        let weights = unsafe { block::<BlockQ5_K>(at) };
        affine(simd, weights.scales, weights.d, weights.dmin)
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

    #[inline(always)]
    unsafe fn codes<B: ByteSimd>(simd: B, at: *const u8) -> [B::Register; REGISTERS] {
        /// Two bits of a byte belong to each of the four 32 numbers of a half, and become bits 4 and 5.
        const FIFTH_AND_SIXTH: Moves = [[4, 2], [0, -2], [4, 2], [0, -2]];
        // SAFETY: the caller promises a block, which has 128 bytes of nibbles and 64 bytes of bits.
        unsafe {
            let weights = block::<BlockQ6_K>(at);
            let mut codes = adjacent_nibbles(simd, &weights.ql);
            add_bits(simd, &mut codes, weights.qh.as_ptr(), QK / 2, FIFTH_AND_SIXTH, 16 + 32);
            codes
        }
    }

    type Products<B: ByteSimd, const X: usize> = Lanes<B, X>;

    /// The offset is a minimum of as many scales, and begins the sums.
    #[inline(always)]
    unsafe fn multiply<B: ByteSimd, const X: usize>(simd: B, blocks: [*const u8; 4], x: [&ActBlock; X]) -> Lanes<B, X> {
        let mut ints = [[simd.zero(); 4]; X];
        let mut halves = [0; 8];
        for b in 0..4 {
            // SAFETY: the caller promises the block.
            let (codes, weights) = unsafe { (Self::codes(simd, blocks[b]), block::<BlockQ6_K>(blocks[b])) };
            halves[b] = weights.d.to_bits();
            let (mut scales, mut offsets) = ([0; GROUPS], [0; GROUPS]);
            for j in 0..GROUPS {
                scales[j] = i16::from(weights.scales[j]);
                offsets[j] = -Self::OFFSET as i16 * scales[j];
            }
            let mut of_words = [simd.zero(); REGISTERS];
            for at in 0..scaled_registers::<B>() {
                of_words[at] =
                    if B::HAS_DOT { simd.spread_narrow(&scales, at) } else { simd.spread_words(&scales, at) };
            }
            for i in 0..X {
                let offset = simd.dot_sixteen_words(&offsets, &x[i].sums);
                ints[i][b] = add_scaled(simd, &codes, x[i], &of_words, offset);
            }
        }
        let d = simd.halves_to_floats(halves);
        Lanes { ints, mins: [[simd.zero(); 2]; X], d: [[d[0], d[1], d[2], d[3]], [0.0; 4]] }
    }

    #[inline(always)]
    fn add<B: ByteSimd, const X: usize>(
        simd: B,
        products: Lanes<B, X>,
        x: [&ActBlock; X],
        sums: [[f32; 4]; X],
    ) -> [[f32; 4]; X] {
        add_lanes::<B, X, false>(simd, products, x, sums)
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> Factors {
        // SAFETY: the caller promises a block.
        let weights = unsafe { block::<BlockQ6_K>(at) };
        let d = simd.halves_to_floats([weights.d.to_bits(), 0, 0, 0, 0, 0, 0, 0])[0];
        let scales = weights.scales.map(|scale| i32::from(scale).cast_unsigned());
        Factors { scales, mins: [0; 4], d: [d, 0.0] }
    }
}
