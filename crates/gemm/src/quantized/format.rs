//! The formats of weights: how codes and factors are unpacked, once for all instruction sets.
//!
//! All formats but Q8_0 keep codes in nibbles, 64 bytes of them for 128 numbers. Registers are filled with the low
//! nibbles of those 64 bytes first, then with the high ones, whatever their width. That gives numbers in another order
//! than they have along k, the *stored order*: group g of 16 stored numbers is group `ORDER[g]` of the block. The
//! numbers of A are rounded into the same order.

use quant::{
    Block, GgmlType,
    format::{BlockQ4_0, BlockQ4_K, BlockQ5_K, BlockQ6_K, BlockQ8_0, Scales6},
};
use simd::{ByteSimd, F32Vector, Simd};

use super::activations::ActBlock;

/// Numbers of a block of weights here: a block of a K type, or eight of the others.
pub(super) const QK: usize = quant::QK_K;

/// Groups of 16 numbers in a block.
pub(super) const GROUPS: usize = QK / 16;

/// Registers of the codes of a block, at most.
pub(super) const REGISTERS: usize = QK / 32;

/// A format of weights.
pub(super) trait Format: Send + Sync + 'static {
    /// Its type.
    const TYPE: GgmlType;

    /// Bytes of 256 numbers.
    const BYTES: usize = QK / Self::TYPE.block_len() * Self::TYPE.block_bytes();

    /// Which group of 16 numbers each group of stored numbers is.
    const ORDER: [usize; GROUPS];

    /// Numbers of a sub-block, which has a scale: 16 or 32.
    const SUB: usize;

    /// The groups of stored numbers that each sub-block consists of; of 16 numbers, only the first counts.
    const SUB_GROUPS: [[usize; 2]; GROUPS];

    /// What is subtracted from unsigned codes; 0 where minima do that.
    const OFFSET: i32;

    /// How many products of pairs, each of codes below 2^bits and numbers up to 127, 16 bits hold: the steps of 4
    /// numbers that are added up before they become 32 bits.
    const STEPS: usize;

    /// Whether 256 numbers of A have one scale, instead of 32.
    const HAS_ONE_SCALE: bool;

    /// The codes in stored order, unsigned but for Q8_0.
    ///
    /// # Safety
    /// [`BYTES`](Self::BYTES) bytes can be read at `block`.
    unsafe fn codes<B: ByteSimd>(simd: B, block: *const u8) -> [B::Register; REGISTERS];

    /// Adds the products of a block and the blocks of X rows of A to their sums.
    ///
    /// # Safety
    /// [`BYTES`](Self::BYTES) bytes can be read at `block`.
    unsafe fn dot<B: ByteSimd, const X: usize>(
        simd: B,
        block: *const u8,
        x: [&ActBlock; X],
        sums: [<B::Float as Simd>::F32; X],
    ) -> [<B::Float as Simd>::F32; X];

    /// The scale and the minimum of each sub-block, in the order of [`SUB_GROUPS`](Self::SUB_GROUPS); the minimum is 0
    /// where codes have an offset.
    ///
    /// # Safety
    /// [`BYTES`](Self::BYTES) bytes can be read at `block`.
    unsafe fn factors<B: ByteSimd>(simd: B, block: *const u8) -> ([f32; GROUPS], [f32; 8]);
}

/// Q4_0: a scale for 32 numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Q4_0;

/// Q8_0: a scale for 32 numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Q8_0;

/// Q4_K: a scale and a minimum for 32 numbers.
#[derive(Debug, Clone, Copy)]
#[expect(non_camel_case_types, reason = "the spelling of ggml")]
pub(super) struct Q4_K;

/// Q5_K: Q4_K with a fifth bit.
#[derive(Debug, Clone, Copy)]
#[expect(non_camel_case_types, reason = "the spelling of ggml")]
pub(super) struct Q5_K;

/// Q6_K: a scale for 16 numbers.
#[derive(Debug, Clone, Copy)]
#[expect(non_camel_case_types, reason = "the spelling of ggml")]
pub(super) struct Q6_K;

const NATURAL: [usize; GROUPS] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// 64 bytes have the even sub-blocks of four in their low nibbles and the odd ones in their high nibbles.
const EVEN_THEN_ODD: [usize; GROUPS] = [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15];

/// Sub-block of 32 numbers that 32 stored numbers are, as an index of bytes: each twice.
const EVEN_THEN_ODD_BYTES: [u8; GROUPS] = [0, 0, 2, 2, 1, 1, 3, 3, 4, 4, 6, 6, 5, 5, 7, 7];

/// The same order of the sub-blocks, each once.
const EVEN_THEN_ODD_ONCE: [u8; GROUPS] = [0, 2, 1, 3, 4, 6, 5, 7, 0, 0, 0, 0, 0, 0, 0, 0];

/// Four blocks have their first 16 numbers in the low nibbles, the others in the high nibbles.
const FIRST_THEN_LAST: [usize; GROUPS] = [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15];

/// Two groups after the other: sub-blocks in stored order.
const ADJACENT: [[usize; 2]; GROUPS] = {
    let mut groups = [[0; 2]; GROUPS];
    let mut j = 0;
    while j < GROUPS / 2 {
        groups[j] = [2 * j, 2 * j + 1];
        j += 1;
    }
    groups
};

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

/// The first and the last 16 numbers of each block, of those in the order [`FIRST_THEN_LAST`].
const FIRST_AND_LAST: [[usize; 2]; GROUPS] = {
    let mut groups = [[0; 2]; GROUPS];
    let mut j = 0;
    while j < GROUPS / 2 {
        groups[j] = [8 * (j / 4) + j % 4, 8 * (j / 4) + 4 + j % 4];
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

/// For each lane of 4 stored numbers, the 32 numbers that they belong to.
const fn blocks_of_lanes(order: [usize; GROUPS]) -> [i32; 64] {
    let mut index = [0; 64];
    let mut lane = 0;
    while lane < 64 {
        index[lane] = (order[lane / 4] / 2) as i32;
        lane += 1;
    }
    index
}

/// The nibbles of 128 bytes, in stored order.
///
/// # Safety
/// 128 bytes can be read at `from`.
#[inline(always)]
unsafe fn nibbles<B: ByteSimd>(simd: B, from: *const u8) -> [B::Register; REGISTERS] {
    let mut codes = [simd.zero(); REGISTERS];
    let per_64 = 64 / B::BYTES;
    for half in 0..2 {
        for i in 0..per_64 {
            // SAFETY: 64 bytes of each half exist.
            let bytes = unsafe { simd.load_bytes(from.add(64 * half + B::BYTES * i)) };
            codes[2 * per_64 * half + i] = simd.low_nibbles(bytes);
            codes[2 * per_64 * half + per_64 + i] = simd.high_nibbles(bytes);
        }
    }
    codes
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

/// Adds the products of codes with scales of 16 numbers, and minima, to the sums of X rows.
#[inline(always)]
fn k_dot<B: ByteSimd, const X: usize>(
    simd: B,
    codes: &[B::Register; REGISTERS],
    (scales, d): (&[i16; GROUPS], f32),
    (mins, dmin): (&[i16; GROUPS], f32),
    x: [&ActBlock; X],
    mut sums: [<B::Float as Simd>::F32; X],
) -> [<B::Float as Simd>::F32; X] {
    let mut ints = [simd.zero(); X];
    for at in 0..QK / B::BYTES {
        let scale = simd.spread_words(scales, at);
        for i in 0..X {
            // SAFETY: a block has 256 codes.
            let x = unsafe { simd.load_bytes(x[i].codes.as_ptr().cast::<u8>().add(B::BYTES * at)) };
            ints[i] = simd.dot_words(simd.mul_pairs(codes[at], x), scale, ints[i]);
        }
    }
    for i in 0..X {
        let (scale, min) = (d * x[i].scales[0], -dmin * x[i].scales[0]);
        let (scale, min) = (simd.float().splat(scale), simd.float().splat(min));
        sums[i] = simd.ints_to_floats(ints[i]).mul_add(scale, sums[i]);
        let mins = simd.dot_sixteen_words(mins, &x[i].sums);
        sums[i] = simd.ints_to_floats(mins).mul_add(min, sums[i]);
    }
    sums
}

/// Adds the products of signed codes with a scale for 32 numbers to the sums of X rows.
#[inline(always)]
fn plain_dot<B: ByteSimd, const X: usize>(
    simd: B,
    codes: &[B::Register; REGISTERS],
    d: &[f32; 8],
    index: &[i32; 64],
    x: [&ActBlock; X],
    mut sums: [<B::Float as Simd>::F32; X],
) -> [<B::Float as Simd>::F32; X] {
    let mut scales = [[0.0; 8]; X];
    for i in 0..X {
        for j in 0..8 {
            scales[i][j] = d[j] * x[i].scales[j];
        }
    }
    for at in 0..QK / B::BYTES {
        for i in 0..X {
            // SAFETY: a block has 256 codes.
            let x = unsafe { simd.load_bytes(x[i].codes.as_ptr().cast::<u8>().add(B::BYTES * at)) };
            let [magnitudes, x] = simd.move_sign(codes[at], x);
            let ints = simd.dot_bytes(magnitudes, x, simd.zero());
            sums[i] = simd.ints_to_floats(ints).mul_add(simd.spread_floats(&scales[i], index, at), sums[i]);
        }
    }
    sums
}

/// Eight bytes as one number, the first the least significant.
fn word(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes)
}

/// A block behind a pointer.
///
/// # Safety
/// A block can be read there.
#[inline(always)]
unsafe fn block<'a, T: Block>(at: *const u8) -> &'a T {
    const { assert!(align_of::<T>() == 1) };
    // SAFETY: the caller promises the bytes, any bytes are a block, and it has no alignment.
    unsafe { &*at.cast::<T>() }
}

/// Scales and minima of Q4_K and Q5_K in stored order, each for 16 numbers.
#[inline(always)]
fn six_bits<B: ByteSimd>(simd: B, scales: Scales6) -> ([i16; GROUPS], [i16; GROUPS]) {
    let (scales, mins) = scales.unpack();
    (simd.pick_bytes(word(scales), &EVEN_THEN_ODD_BYTES), simd.pick_bytes(word(mins), &EVEN_THEN_ODD_BYTES))
}

/// d and dmin as floats.
#[inline(always)]
fn two_halves<B: ByteSimd>(simd: B, d: u16, dmin: u16) -> (f32, f32) {
    let floats = simd.halves_to_floats([d, dmin, 0, 0, 0, 0, 0, 0]);
    (floats[0], floats[1])
}

/// The factors of the panels of Q4_K and Q5_K.
#[inline(always)]
fn k_factors<B: ByteSimd>(simd: B, scales: Scales6, (d, dmin): (f32, f32)) -> ([f32; GROUPS], [f32; 8]) {
    let (scales, mins) = scales.unpack();
    let scales = simd.pick_bytes(word(scales), &EVEN_THEN_ODD_ONCE);
    let mins = simd.pick_bytes(word(mins), &EVEN_THEN_ODD_ONCE);
    let (mut scale, mut min) = ([0.0; GROUPS], [0.0; 8]);
    for j in 0..8 {
        scale[j] = d * f32::from(scales[j]);
        min[j] = dmin * f32::from(mins[j]);
    }
    (scale, min)
}

impl Format for Q4_K {
    const TYPE: GgmlType = GgmlType::Q4_K;
    const ORDER: [usize; GROUPS] = EVEN_THEN_ODD;
    const SUB: usize = 32;
    const SUB_GROUPS: [[usize; 2]; GROUPS] = ADJACENT;
    const OFFSET: i32 = 0;
    const STEPS: usize = 8;
    const HAS_ONE_SCALE: bool = true;

    #[inline(always)]
    unsafe fn codes<B: ByteSimd>(simd: B, at: *const u8) -> [B::Register; REGISTERS] {
        // SAFETY: the caller promises a block, which has 128 bytes of nibbles.
        unsafe { nibbles(simd, block::<BlockQ4_K>(at).qs.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn dot<B: ByteSimd, const X: usize>(
        simd: B,
        at: *const u8,
        x: [&ActBlock; X],
        sums: [<B::Float as Simd>::F32; X],
    ) -> [<B::Float as Simd>::F32; X] {
        // SAFETY: the caller promises a block.
        let (weights, codes) = unsafe { (block::<BlockQ4_K>(at), Self::codes(simd, at)) };
        let (scales, mins) = six_bits(simd, weights.scales);
        let (d, dmin) = two_halves(simd, weights.d.to_bits(), weights.dmin.to_bits());
        k_dot(simd, &codes, (&scales, d), (&mins, dmin), x, sums)
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> ([f32; GROUPS], [f32; 8]) {
        // SAFETY: the caller promises a block.
        let weights = unsafe { block::<BlockQ4_K>(at) };
        k_factors(simd, weights.scales, two_halves(simd, weights.d.to_bits(), weights.dmin.to_bits()))
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

    #[inline(always)]
    unsafe fn codes<B: ByteSimd>(simd: B, at: *const u8) -> [B::Register; REGISTERS] {
        /// Bit j of a byte belongs to sub-block j.
        static FIFTH: [u8; QK] = bits(1, [0, 2, 1, 3, 4, 6, 5, 7]);
        // SAFETY: the caller promises a block, which has 128 bytes of nibbles and 32 bytes of bits.
        unsafe {
            let weights = block::<BlockQ5_K>(at);
            let mut codes = nibbles(simd, weights.qs.as_ptr());
            add_bits(simd, &mut codes, weights.qh.as_ptr(), QK, &FIFTH, 16);
            codes
        }
    }

    #[inline(always)]
    unsafe fn dot<B: ByteSimd, const X: usize>(
        simd: B,
        at: *const u8,
        x: [&ActBlock; X],
        sums: [<B::Float as Simd>::F32; X],
    ) -> [<B::Float as Simd>::F32; X] {
        // SAFETY: the caller promises a block.
        let (weights, codes) = unsafe { (block::<BlockQ5_K>(at), Self::codes(simd, at)) };
        let (scales, mins) = six_bits(simd, weights.scales);
        let (d, dmin) = two_halves(simd, weights.d.to_bits(), weights.dmin.to_bits());
        k_dot(simd, &codes, (&scales, d), (&mins, dmin), x, sums)
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> ([f32; GROUPS], [f32; 8]) {
        // SAFETY: the caller promises a block.
        let weights = unsafe { block::<BlockQ5_K>(at) };
        k_factors(simd, weights.scales, two_halves(simd, weights.d.to_bits(), weights.dmin.to_bits()))
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

    #[inline(always)]
    unsafe fn codes<B: ByteSimd>(simd: B, at: *const u8) -> [B::Register; REGISTERS] {
        /// Two bits of a byte belong to each of the four 32 numbers of a half.
        static FIFTH: [u8; QK] = bits(1, [0, 2, 4, 6, 0, 2, 4, 6]);
        static SIXTH: [u8; QK] = bits(2, [0, 2, 4, 6, 0, 2, 4, 6]);
        // SAFETY: the caller promises a block, which has 128 bytes of nibbles and 64 bytes of bits.
        unsafe {
            let weights = block::<BlockQ6_K>(at);
            let mut codes = nibbles(simd, weights.ql.as_ptr());
            add_bits(simd, &mut codes, weights.qh.as_ptr(), QK / 2, &FIFTH, 16);
            add_bits(simd, &mut codes, weights.qh.as_ptr(), QK / 2, &SIXTH, 32);
            codes
        }
    }

    #[inline(always)]
    unsafe fn dot<B: ByteSimd, const X: usize>(
        simd: B,
        at: *const u8,
        x: [&ActBlock; X],
        sums: [<B::Float as Simd>::F32; X],
    ) -> [<B::Float as Simd>::F32; X] {
        // SAFETY: the caller promises a block.
        let (weights, codes) = unsafe { (block::<BlockQ6_K>(at), Self::codes(simd, at)) };
        let scales = weights.scales.map(i16::from);
        let mins = scales.map(|scale| 32 * scale);
        let (d, _) = two_halves(simd, weights.d.to_bits(), 0);
        k_dot(simd, &codes, (&scales, d), (&mins, d), x, sums)
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> ([f32; GROUPS], [f32; 8]) {
        // SAFETY: the caller promises a block.
        let weights = unsafe { block::<BlockQ6_K>(at) };
        let (d, _) = two_halves(simd, weights.d.to_bits(), 0);
        (weights.scales.map(|scale| d * f32::from(scale)), [0.0; 8])
    }
}

/// The scales of eight blocks that begin with one.
///
/// # Safety
/// Eight blocks of `T` can be read at `at`.
#[inline(always)]
unsafe fn eight_scales<B: ByteSimd, T: Block>(simd: B, at: *const u8) -> [f32; 8] {
    let mut halves = [0; 8];
    for (j, half) in halves.iter_mut().enumerate() {
        // SAFETY: block j exists, and a block begins with its scale.
        *half = u16::from_le_bytes(unsafe { *at.add(j * size_of::<T>()).cast::<[u8; 2]>() });
    }
    simd.halves_to_floats(halves)
}

/// The scales of eight blocks as factors of panels.
#[inline(always)]
fn plain_factors(d: [f32; 8]) -> ([f32; GROUPS], [f32; 8]) {
    let mut scales = [0.0; GROUPS];
    scales[..8].copy_from_slice(&d);
    (scales, [0.0; 8])
}

impl Format for Q4_0 {
    const TYPE: GgmlType = GgmlType::Q4_0;
    const ORDER: [usize; GROUPS] = FIRST_THEN_LAST;
    const SUB: usize = 32;
    const SUB_GROUPS: [[usize; 2]; GROUPS] = FIRST_AND_LAST;
    const OFFSET: i32 = 8;
    const STEPS: usize = 8;
    const HAS_ONE_SCALE: bool = false;

    #[inline(always)]
    unsafe fn codes<B: ByteSimd>(simd: B, at: *const u8) -> [B::Register; REGISTERS] {
        const STRIDE: usize = size_of::<BlockQ4_0>();
        let mut codes = [simd.zero(); REGISTERS];
        let (per_64, per_load) = (64 / B::BYTES, B::BYTES / 16);
        for half in 0..2 {
            for i in 0..per_64 {
                // SAFETY: the caller promises eight blocks; the nibbles are behind the scale.
                let bytes = unsafe { simd.load_16s(at.add(2 + STRIDE * (4 * half + per_load * i)), STRIDE) };
                codes[2 * per_64 * half + i] = simd.low_nibbles(bytes);
                codes[2 * per_64 * half + per_64 + i] = simd.high_nibbles(bytes);
            }
        }
        codes
    }

    #[inline(always)]
    unsafe fn dot<B: ByteSimd, const X: usize>(
        simd: B,
        at: *const u8,
        x: [&ActBlock; X],
        sums: [<B::Float as Simd>::F32; X],
    ) -> [<B::Float as Simd>::F32; X] {
        static BLOCKS: [i32; 64] = blocks_of_lanes(FIRST_THEN_LAST);
        // SAFETY: the caller promises eight blocks.
        let (mut codes, d) = unsafe { (Self::codes(simd, at), eight_scales::<B, BlockQ4_0>(simd, at)) };
        for code in &mut codes {
            *code = simd.sub_bytes(*code, simd.splat_byte(8));
        }
        plain_dot(simd, &codes, &d, &BLOCKS, x, sums)
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> ([f32; GROUPS], [f32; 8]) {
        // SAFETY: the caller promises eight blocks.
        plain_factors(unsafe { eight_scales::<B, BlockQ4_0>(simd, at) })
    }
}

impl Format for Q8_0 {
    const TYPE: GgmlType = GgmlType::Q8_0;
    const ORDER: [usize; GROUPS] = NATURAL;
    const SUB: usize = 32;
    const SUB_GROUPS: [[usize; 2]; GROUPS] = ADJACENT;
    const OFFSET: i32 = 128;
    const STEPS: usize = 1;
    const HAS_ONE_SCALE: bool = false;

    #[inline(always)]
    unsafe fn codes<B: ByteSimd>(simd: B, at: *const u8) -> [B::Register; REGISTERS] {
        const STRIDE: usize = size_of::<BlockQ8_0>();
        let mut codes = [simd.zero(); REGISTERS];
        for i in 0..QK / B::BYTES {
            // SAFETY: the caller promises eight blocks; the codes are behind the scale.
            codes[i] = unsafe { simd.load_32s(at.add(2 + STRIDE * (B::BYTES / 32 * i)), STRIDE) };
        }
        codes
    }

    #[inline(always)]
    unsafe fn dot<B: ByteSimd, const X: usize>(
        simd: B,
        at: *const u8,
        x: [&ActBlock; X],
        sums: [<B::Float as Simd>::F32; X],
    ) -> [<B::Float as Simd>::F32; X] {
        static BLOCKS: [i32; 64] = blocks_of_lanes(NATURAL);
        // SAFETY: the caller promises eight blocks.
        let (codes, d) = unsafe { (Self::codes(simd, at), eight_scales::<B, BlockQ8_0>(simd, at)) };
        plain_dot(simd, &codes, &d, &BLOCKS, x, sums)
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> ([f32; GROUPS], [f32; 8]) {
        // SAFETY: the caller promises eight blocks.
        plain_factors(unsafe { eight_scales::<B, BlockQ8_0>(simd, at) })
    }
}
