//! The formats of weights: how codes and factors are unpacked, once for all instruction sets.
//!
//! All formats but Q8_0 keep codes in nibbles, 64 bytes of them for 128 numbers. Registers are filled with the low
//! nibbles of those 64 bytes first, then with the high ones, whatever their width. That gives numbers in another order
//! than they have along k, the *stored order*: group g of 16 stored numbers is group `ORDER[g]` of the block. The
//! numbers of A are rounded into the same order.

mod k_types;
mod lanes;
mod plain_types;

use quant::{Block, GgmlType};
use simd::ByteSimd;

pub(super) use k_types::{Q4_K, Q5_K, Q6_K};
pub(super) use plain_types::{Q4_0, Q8_0};

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

    /// Whether codes are signed bytes. Then [`OFFSET`](Self::OFFSET) is that of the same codes as unsigned bytes.
    const IS_SIGNED: bool;

    /// The codes in stored order.
    ///
    /// # Safety
    /// [`BYTES`](Self::BYTES) bytes can be read at `block`.
    unsafe fn codes<B: ByteSimd>(simd: B, block: *const u8) -> [B::Register; REGISTERS];

    /// The products of a block of each of four rows of weights and the blocks of X rows of A, before they are added up.
    type Products<B: ByteSimd, const X: usize>: Copy;

    /// Multiplies a block of each of four rows of weights and the blocks of X rows of A.
    ///
    /// # Safety
    /// [`BYTES`](Self::BYTES) bytes can be read at each of `blocks`.
    unsafe fn multiply<B: ByteSimd, const X: usize>(
        simd: B,
        blocks: [*const u8; 4],
        x: [&ActBlock; X],
    ) -> Self::Products<B, X>;

    /// Adds the products with the same blocks of A to the sums of their rows.
    fn add<B: ByteSimd, const X: usize>(
        simd: B,
        products: Self::Products<B, X>,
        x: [&ActBlock; X],
        sums: [[f32; 4]; X],
    ) -> [[f32; 4]; X];

    /// What the sums of the codes of a block are multiplied with.
    ///
    /// # Safety
    /// [`BYTES`](Self::BYTES) bytes can be read at `block`.
    unsafe fn factors<B: ByteSimd>(simd: B, block: *const u8) -> Factors;
}

/// What the sums of the codes of a block are multiplied with, as 32 bits each.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Factors {
    /// Of each sub-block, in the order of [`Format::SUB_GROUPS`]: an integer for K types, else a float.
    pub(super) scales: [u32; GROUPS],
    /// For K types, the minima of 32 numbers in their own order, two words each, the first in the lower half.
    pub(super) mins: [u32; 4],
    /// For K types, the floats that scales and minima are multiplied with; that of the minima is negative.
    pub(super) d: [f32; 2],
}

const NATURAL: [usize; GROUPS] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

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

/// The nibbles of 128 bytes, which fill the first registers of `bytes`, in stored order.
#[inline(always)]
fn nibbles<B: ByteSimd>(simd: B, bytes: [B::Register; REGISTERS / 2]) -> [B::Register; REGISTERS] {
    let mut codes = [simd.zero(); REGISTERS];
    let per_64 = 64 / B::BYTES;
    for half in 0..2 {
        for i in 0..per_64 {
            let bytes = bytes[per_64 * half + i];
            codes[2 * per_64 * half + i] = simd.low_nibbles(bytes);
            codes[2 * per_64 * half + per_64 + i] = simd.high_nibbles(bytes);
        }
    }
    codes
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
