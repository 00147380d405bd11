//! Q4_0 and Q8_0: blocks of 32 numbers with a scale, eight of which are taken together.

use quant::{
    Block, GgmlType,
    format::{BlockQ4_0, BlockQ8_0},
};
use simd::{ByteSimd, Simd};

use super::{ADJACENT, Factors, Format, GROUPS, NATURAL, QK, REGISTERS, nibbles};
use crate::quantized::activations::ActBlock;

/// Q4_0: a scale for 32 numbers.
#[derive(Debug, Clone, Copy)]
pub(in crate::quantized) struct Q4_0;

/// Q8_0: a scale for 32 numbers.
#[derive(Debug, Clone, Copy)]
pub(in crate::quantized) struct Q8_0;

/// Four blocks have their first 16 numbers in the low nibbles, the others in the high nibbles.
const FIRST_THEN_LAST: [usize; GROUPS] = [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15];

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

/// The scales of eight blocks that begin with them.
///
/// # Safety
/// Eight blocks of `T` can be read at `at`.
#[inline(always)]
unsafe fn scales<B: ByteSimd, T: Block>(simd: B, at: *const u8) -> [f32; 8] {
    let mut halves = [0; 8];
    for (j, half) in halves.iter_mut().enumerate() {
        // SAFETY: block j exists.
        *half = u16::from_le_bytes(unsafe { *at.add(j * size_of::<T>()).cast::<[u8; 2]>() });
    }
    simd.halves_to_floats(halves)
}

/// What differs between the two types.
trait Plain: Format {
    /// 32 numbers, which begin with their scale.
    type Block: Block;

    /// From sums of groups of 16 numbers in stored order, of four rows each, to those of the eight blocks: the lane
    /// groups of the first half of the registers.
    fn sums_of_blocks<B: ByteSimd>(simd: B, groups: [B::Register; REGISTERS]) -> [B::Register; REGISTERS / 2];
}

impl Plain for Q4_0 {
    type Block = BlockQ4_0;

    /// Both groups of a block are in the same place of two registers.
    #[inline(always)]
    fn sums_of_blocks<B: ByteSimd>(simd: B, groups: [B::Register; REGISTERS]) -> [B::Register; REGISTERS / 2] {
        let mut sums = [simd.zero(); REGISTERS / 2];
        for at in 0..QK / 2 / B::BYTES {
            let first = at / B::FOUR * 2 * B::FOUR + at % B::FOUR;
            sums[at] = simd.add_ints(groups[first], groups[first + B::FOUR]);
        }
        sums
    }
}

impl Plain for Q8_0 {
    type Block = BlockQ8_0;

    /// Both groups of a block are neighbors.
    #[inline(always)]
    fn sums_of_blocks<B: ByteSimd>(simd: B, groups: [B::Register; REGISTERS]) -> [B::Register; REGISTERS / 2] {
        let mut sums = [simd.zero(); REGISTERS / 2];
        for at in 0..QK / 2 / B::BYTES {
            sums[at] = simd.add_neighbors(groups[2 * at], groups[2 * at + 1]);
        }
        sums
    }
}

/// The products of both types, added up. Codes are made signed, so that offsets need no sums.
///
/// # Safety
/// Eight blocks can be read at each of `blocks`.
#[inline(always)]
unsafe fn multiply<B: ByteSimd, F: Plain, const X: usize>(
    simd: B,
    blocks: [*const u8; 4],
    x: [&ActBlock; X],
) -> [[f32; 4]; X] {
    let mut products = [[0.0; 4]; X];
    let mut of_rows = [[0.0; 8]; 4];
    let mut codes = [[simd.zero(); REGISTERS]; 4];
    for b in 0..4 {
        // SAFETY: the caller promises the blocks.
        (of_rows[b], codes[b]) = unsafe { (scales::<B, F::Block>(simd, blocks[b]), F::codes(simd, blocks[b])) };
        if !F::IS_SIGNED {
            for at in 0..QK / B::BYTES {
                codes[b][at] = simd.sub_bytes(codes[b][at], simd.splat_byte(F::OFFSET as u8));
            }
        }
    }
    let mut scales = [[0.0; 4]; 8];
    // SAFETY: four rows of eight become eight rows of four.
    unsafe { simd.float().transpose_4x8::<f32>(of_rows.as_ptr().cast(), 8, scales.as_mut_ptr().cast(), 4) };
    for i in 0..X {
        // Lane groups of a register, by the row of weights.
        let mut groups = [simd.zero(); REGISTERS];
        for at in 0..QK / B::BYTES {
            // SAFETY: a block has 256 codes.
            let x = unsafe { simd.load_bytes(x[i].codes.as_ptr().cast::<u8>().add(B::BYTES * at)) };
            let mut ints = [simd.zero(); 4];
            for b in 0..4 {
                let [magnitudes, x] = simd.move_sign(codes[b][at], x);
                ints[b] = simd.dot_bytes(magnitudes, x, simd.zero());
            }
            groups[at] = simd.sums_of_groups(ints);
        }
        let mut ints = [[0; 4]; 8];
        for (at, sums) in F::sums_of_blocks(simd, groups)[..QK / 2 / B::BYTES].iter().enumerate() {
            // SAFETY: four integers for each of the blocks whose sums the register has.
            unsafe { simd.store_bytes(*sums, ints.as_mut_ptr().cast::<u8>().add(B::BYTES * at)) };
        }
        for j in 0..8 {
            let scale = simd.four_times(scales[j], x[i].scales[j]);
            products[i] = simd.four_mul_add(simd.four_to_floats(ints[j]), scale, products[i]);
        }
    }
    products
}

/// Adds the products to the sums.
#[inline(always)]
fn add<B: ByteSimd, const X: usize>(simd: B, products: [[f32; 4]; X], mut sums: [[f32; 4]; X]) -> [[f32; 4]; X] {
    for i in 0..X {
        sums[i] = simd.four_mul_add(products[i], [1.0; 4], sums[i]);
    }
    sums
}

impl Format for Q4_0 {
    const TYPE: GgmlType = GgmlType::Q4_0;
    const ORDER: [usize; GROUPS] = FIRST_THEN_LAST;
    const SUB: usize = 32;
    const SUB_GROUPS: [[usize; 2]; GROUPS] = FIRST_AND_LAST;
    const OFFSET: i32 = 8;
    const STEPS: usize = 8;
    const HAS_ONE_SCALE: bool = false;
    const IS_SIGNED: bool = false;

    #[inline(always)]
    unsafe fn codes<B: ByteSimd>(simd: B, at: *const u8) -> [B::Register; REGISTERS] {
        const STRIDE: usize = size_of::<BlockQ4_0>();
        let mut bytes = [simd.zero(); REGISTERS / 2];
        for i in 0..QK / 2 / B::BYTES {
            // SAFETY: the caller promises eight blocks; the nibbles are behind the scale.
            bytes[i] = unsafe { simd.load_16s(at.add(2 + STRIDE * (B::BYTES / 16 * i)), STRIDE) };
        }
        nibbles(simd, bytes)
    }

    type Products<B: ByteSimd, const X: usize> = [[f32; 4]; X];

    #[inline(always)]
    unsafe fn multiply<B: ByteSimd, const X: usize>(
        simd: B,
        blocks: [*const u8; 4],
        x: [&ActBlock; X],
    ) -> [[f32; 4]; X] {
        // SAFETY: the caller promises the blocks.
        unsafe { multiply::<B, Self, X>(simd, blocks, x) }
    }

    #[inline(always)]
    fn add<B: ByteSimd, const X: usize>(
        simd: B,
        products: [[f32; 4]; X],
        _: [&ActBlock; X],
        sums: [[f32; 4]; X],
    ) -> [[f32; 4]; X] {
        add(simd, products, sums)
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> Factors {
        // SAFETY: the caller promises eight blocks, which begin with their scales.
        let scales = unsafe { scales::<B, BlockQ4_0>(simd, at) }.map(f32::to_bits);
        let mut factors = Factors::default();
        factors.scales[..8].copy_from_slice(&scales);
        factors
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
    const IS_SIGNED: bool = true;

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

    type Products<B: ByteSimd, const X: usize> = [[f32; 4]; X];

    #[inline(always)]
    unsafe fn multiply<B: ByteSimd, const X: usize>(
        simd: B,
        blocks: [*const u8; 4],
        x: [&ActBlock; X],
    ) -> [[f32; 4]; X] {
        // SAFETY: the caller promises the blocks.
        unsafe { multiply::<B, Self, X>(simd, blocks, x) }
    }

    #[inline(always)]
    fn add<B: ByteSimd, const X: usize>(
        simd: B,
        products: [[f32; 4]; X],
        _: [&ActBlock; X],
        sums: [[f32; 4]; X],
    ) -> [[f32; 4]; X] {
        add(simd, products, sums)
    }

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> Factors {
        // SAFETY: the caller promises eight blocks, which begin with their scales.
        let scales = unsafe { scales::<B, BlockQ8_0>(simd, at) }.map(f32::to_bits);
        let mut factors = Factors::default();
        factors.scales[..8].copy_from_slice(&scales);
        factors
    }
}
