//! Products of bytes: what kernels for quantized numbers are generic over.
//!
//! A register holds bytes, or half as many 16-bit words, or a quarter as many 32-bit integers; the methods say which.
//! Quantized codes are unsigned bytes, the numbers that they are multiplied with are signed bytes, because that is
//! what the instructions multiply. 128 bits of a register, 16 codes, are a *lane group*: formats keep at least 16
//! numbers to a scale, so a scale is spread over whole lane groups.

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

use std::fmt::Debug;

use crate::vector::Simd;

/// A token of an instruction set with products of bytes. A value exists only on a machine that has the instructions,
/// so everything here is safe but for access to memory through pointers.
///
/// Methods are `#[inline(always)]`: they become single instructions when they are inlined into a function that is
/// compiled for the instruction set, which is what [`run_bytes`](Self::run_bytes) provides.
pub trait ByteSimd: Copy + Debug + Send + Sync + 'static {
    /// Bytes of a register: 32 or 64.
    const BYTES: usize;

    /// Registers that hold four lane groups: 2 or 1.
    const FOUR: usize = 64 / Self::BYTES;

    /// Whether [`dot_bytes`](Self::dot_bytes) is one instruction. Where it is not, sums of
    /// [`mul_pairs`](Self::mul_pairs) are cheaper as long as 16 bits hold them.
    const HAS_DOT: bool;

    /// A register of integers.
    type Register: Copy + Debug;

    /// The token whose registers of floats are as wide.
    type Float: Simd;

    /// That token.
    fn float(self) -> Self::Float;

    /// Runs `code` in a function that is compiled for this instruction set.
    fn run_bytes<C: ByteVectorized>(self, code: C) -> C::Output;

    /// Loads BYTES bytes.
    ///
    /// # Safety
    /// BYTES bytes can be read at `from`, at any alignment.
    unsafe fn load_bytes(self, from: *const u8) -> Self::Register;

    /// Loads 16 bytes for each lane group, `stride` bytes apart.
    ///
    /// # Safety
    /// 16 bytes can be read at `from` plus 0, 1, .. BYTES / 16 - 1 times `stride`, at any alignment.
    unsafe fn load_16s(self, from: *const u8, stride: usize) -> Self::Register;

    /// Loads 32 bytes for each two lane groups, `stride` bytes apart; a stride of 0 repeats them.
    ///
    /// # Safety
    /// 32 bytes can be read at `from` plus 0, .. BYTES / 32 - 1 times `stride`, at any alignment.
    unsafe fn load_32s(self, from: *const u8, stride: usize) -> Self::Register;

    /// Loads 4 bytes into every 32 bits.
    ///
    /// # Safety
    /// 4 bytes can be read at `from`, at any alignment.
    unsafe fn repeat_4(self, from: *const u8) -> Self::Register;

    /// Loads 16 bytes into every lane group.
    ///
    /// # Safety
    /// 16 bytes can be read at `from`, at any alignment.
    unsafe fn repeat_16(self, from: *const u8) -> Self::Register;

    /// Loads 16 bytes from each of four places, into the lane groups of the first [`FOUR`](Self::FOUR) registers; a
    /// second one that is not needed is 0.
    ///
    /// # Safety
    /// 16 bytes can be read at each place, at any alignment.
    unsafe fn load_groups(self, from: [*const u8; 4]) -> [Self::Register; 2];

    /// Stores BYTES bytes.
    ///
    /// # Safety
    /// BYTES bytes can be written at `to`, at any alignment.
    unsafe fn store_bytes(self, x: Self::Register, to: *mut u8);

    /// 0 everywhere.
    fn zero(self) -> Self::Register;

    /// `x` in every byte.
    fn splat_byte(self, x: u8) -> Self::Register;

    /// `x` in every 32 bits.
    fn splat_int(self, x: i32) -> Self::Register;

    /// The low four bits of each byte.
    fn low_nibbles(self, x: Self::Register) -> Self::Register;

    /// The high four bits of each byte, moved down.
    fn high_nibbles(self, x: Self::Register) -> Self::Register;

    /// Bits that are set in both.
    fn and(self, x: Self::Register, y: Self::Register) -> Self::Register;

    /// Words moved to the right by `bits`, 0 to 15, filled with zeros.
    fn shift_words(self, x: Self::Register, bits: u32) -> Self::Register;

    /// Bits that are set in either.
    fn or(self, x: Self::Register, y: Self::Register) -> Self::Register;

    /// Bits that differ.
    fn xor(self, x: Self::Register, y: Self::Register) -> Self::Register;

    /// Words moved to the left by `left[0]` bits in the first of each two 32 bytes, and by `left[1]` in the second, to
    /// the right by negative numbers, filled with zeros. The numbers have one sign; of registers of 32 bytes, the one
    /// at `at`, modulo 2, counts.
    fn shift_32s(self, x: Self::Register, left: [i32; 2], at: usize) -> Self::Register;

    /// In each 16 bits, the sum of the two products of an unsigned and a signed byte. It saturates beyond 16 bits,
    /// which two products of codes below 128 never are.
    fn mul_pairs(self, unsigned: Self::Register, signed: Self::Register) -> Self::Register;

    /// Sums of 16 bits each. They wrap.
    fn add_words(self, x: Self::Register, y: Self::Register) -> Self::Register;

    /// In each 32 bits, `sum` plus the two products of signed words. It wraps.
    fn dot_words(self, x: Self::Register, y: Self::Register, sum: Self::Register) -> Self::Register;

    /// In each 32 bits, `sum` plus the four products of an unsigned and a signed byte. It wraps. Codes of 128 and more
    /// need an instruction set that [`HAS_DOT`](Self::HAS_DOT).
    fn dot_bytes(self, unsigned: Self::Register, signed: Self::Register, sum: Self::Register) -> Self::Register;

    /// The magnitudes of signed bytes `x`, and `y` negated where `x` is negative: their products are those of `x` and
    /// `y`. Bytes of `y` are -127 to 127.
    fn move_sign(self, x: Self::Register, y: Self::Register) -> [Self::Register; 2];

    /// In each lane group its bytes that `index` names there, 0 where its highest bit is set.
    fn shuffle_bytes(self, x: Self::Register, index: Self::Register) -> Self::Register;

    /// Lane group `group` of `x`, modulo their number, in every lane group.
    fn repeat_group(self, x: Self::Register, group: usize) -> Self::Register;

    /// The words of a table that belong to the lane groups of register `at`: group g has word BYTES / 16 `at` + g.
    fn spread_words(self, table: &[i16; 16], at: usize) -> Self::Register;

    /// In each lane group the four 32-bit integers of `x`, then those of `y`, as words. They saturate.
    fn narrow_ints(self, x: Self::Register, y: Self::Register) -> Self::Register;

    /// The words of a table that belong to registers 2 `at` and 2 `at` + 1, in the order of
    /// [`narrow_ints`](Self::narrow_ints): lane group g has four times word BYTES / 8 `at` + g, then four times the
    /// word that is BYTES / 16 further.
    fn spread_narrow(self, table: &[i16; 16], at: usize) -> Self::Register;

    /// Bytes that are subtracted. They wrap.
    fn sub_bytes(self, x: Self::Register, y: Self::Register) -> Self::Register;

    /// Eight numbers of IEEE binary16 as floats, which is exact.
    fn halves_to_floats(self, halves: [u16; 8]) -> [f32; 8];

    /// In eight 32-bit integers, the rest 0, the sums of two products of signed words each.
    fn dot_sixteen_words(self, x: &[i16; 16], y: &[i16; 16]) -> Self::Register;

    /// Sums of 32 bits each. They wrap.
    fn add_ints(self, x: Self::Register, y: Self::Register) -> Self::Register;

    /// The low 32 bits of products of 32 bits each.
    fn mul_ints(self, x: Self::Register, y: Self::Register) -> Self::Register;

    /// In lane group g, the sums of the four 32-bit integers that the lane groups g of four registers have. They wrap.
    fn sums_of_groups(self, x: [Self::Register; 4]) -> Self::Register;

    /// Lane groups that are added to their neighbors as integers of 32 bits: those of `x`, then those of `y`.
    fn add_neighbors(self, x: Self::Register, y: Self::Register) -> Self::Register;

    /// The sum of all lane groups, as integers of 32 bits.
    fn add_groups(self, x: Self::Register) -> [i32; 4];

    /// The sums of the four 32-bit integers of each of four lane groups, in [`FOUR`](Self::FOUR) registers.
    fn sums_of_four(self, x: [Self::Register; 2]) -> [i32; 4];

    /// The nearest floats to four integers, ties to even.
    fn four_to_floats(self, x: [i32; 4]) -> [f32; 4];

    /// x times a factor.
    fn four_times(self, x: [f32; 4], factor: f32) -> [f32; 4];

    /// x y + z, rounded once.
    fn four_mul_add(self, x: [f32; 4], y: [f32; 4], z: [f32; 4]) -> [f32; 4];

    /// The nearest floats to 32-bit integers, ties to even.
    fn ints_to_floats(self, x: Self::Register) -> <Self::Float as Simd>::F32;
}

/// Code that is written once over [`ByteSimd`] and compiled for every instruction set, as
/// [`Vectorized`](crate::Vectorized) is over [`Simd`].
pub trait ByteVectorized {
    /// What it computes.
    type Output;

    /// Runs it with the registers of `simd`. Implementations are `#[inline(always)]`.
    fn run<B: ByteSimd>(self, simd: B) -> Self::Output;
}
