//! Q4_0 and Q8_0: blocks of 32 numbers with a scale, eight of which are taken together.

use quant::{
    Block, GgmlType,
    format::{BlockQ4_0, BlockQ8_0},
};
use simd::{ByteSimd, F32Vector, Simd};

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

/// The scales of eight blocks.
pub(in crate::quantized) struct PlainFactors([f32; 8]);

impl PlainFactors {
    /// Those of blocks that begin with their scale.
    ///
    /// # Safety
    /// Eight blocks of `T` can be read at `at`.
    #[inline(always)]
    unsafe fn of<B: ByteSimd, T: Block>(simd: B, at: *const u8) -> Self {
        let mut halves = [0; 8];
        for (j, half) in halves.iter_mut().enumerate() {
            // SAFETY: block j exists.
            *half = u16::from_le_bytes(unsafe { *at.add(j * size_of::<T>()).cast::<[u8; 2]>() });
        }
        Self(simd.halves_to_floats(halves))
    }
}

impl Factors for PlainFactors {
    /// Codes are made signed, so that offsets need no sums.
    #[inline(always)]
    fn dot<B: ByteSimd, F: Format, const X: usize>(
        &self,
        simd: B,
        codes: [B::Register; REGISTERS],
        x: [&ActBlock; X],
        mut sums: [<B::Float as Simd>::F32; X],
    ) -> [<B::Float as Simd>::F32; X] {
        let index = const { &blocks_of_lanes(F::ORDER) };
        let mut scales = [[0.0; 8]; X];
        for i in 0..X {
            for j in 0..8 {
                scales[i][j] = self.0[j] * x[i].scales[j];
            }
        }
        for at in 0..QK / B::BYTES {
            let codes = match F::IS_SIGNED {
                true => codes[at],
                false => simd.sub_bytes(codes[at], simd.splat_byte(F::OFFSET as u8)),
            };
            for i in 0..X {
                // SAFETY: a block has 256 codes.
                let x = unsafe { simd.load_bytes(x[i].codes.as_ptr().cast::<u8>().add(B::BYTES * at)) };
                let [magnitudes, x] = simd.move_sign(codes, x);
                let ints = simd.dot_bytes(magnitudes, x, simd.zero());
                sums[i] = simd.ints_to_floats(ints).mul_add(simd.spread_floats(&scales[i], index, at), sums[i]);
            }
        }
        sums
    }

    #[inline(always)]
    fn of_sub_blocks<F: Format>(&self) -> ([f32; GROUPS], [f32; 8]) {
        let mut scales = [0.0; GROUPS];
        scales[..8].copy_from_slice(&self.0);
        (scales, [0.0; 8])
    }
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
    type Factors = PlainFactors;

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

    #[inline(always)]
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> PlainFactors {
        // SAFETY: the caller promises eight blocks, which begin with their scales.
        unsafe { PlainFactors::of::<B, BlockQ4_0>(simd, at) }
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
    type Factors = PlainFactors;

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
    unsafe fn factors<B: ByteSimd>(simd: B, at: *const u8) -> PlainFactors {
        // SAFETY: the caller promises eight blocks, which begin with their scales.
        unsafe { PlainFactors::of::<B, BlockQ8_0>(simd, at) }
    }
}
