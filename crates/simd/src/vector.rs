//! The traits that kernels are generic over: [`Simd`], the token, and [`F32Vector`], a register of floats. Those of
//! integers are in `integer.rs`.

use std::{
    fmt::Debug,
    ops::{Add, Div, Mul, Sub},
};

use crate::{
    element::Element,
    integer::{I8Vector, I32Vector},
};

/// A token of an instruction set. A value exists only on a machine that has the instructions, so everything here is
/// safe but for access to memory through pointers.
///
/// Methods are `#[inline(always)]`: they become single instructions when they are inlined into a function that is
/// compiled for the instruction set, which is what [`run`](Self::run) provides. Called anywhere else they are correct
/// and slow.
pub trait Simd: Copy + Debug + Send + Sync + 'static {
    /// Floats of a register; a power of two, at most [`MAX_LANES`](crate::MAX_LANES).
    const LANES: usize;

    /// A register of [`LANES`](Self::LANES) floats.
    type F32: F32Vector;

    /// A register of 4 [`LANES`](Self::LANES) signed bytes.
    type I8: I8Vector<I32 = Self::I32>;

    /// A register of [`LANES`](Self::LANES) 32-bit integers.
    type I32: I32Vector<F32 = Self::F32>;

    /// Runs `code` in a function that is compiled for this instruction set.
    fn run<C: Vectorized>(self, code: C) -> C::Output;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::F32;

    /// Loads LANES floats.
    ///
    /// # Safety
    /// LANES floats can be read at `from`, at any alignment.
    unsafe fn load(self, from: *const f32) -> Self::F32;

    /// Loads the first `lanes` floats, all if there are more than LANES. The other lanes are 0, and their memory is not
    /// read.
    ///
    /// # Safety
    /// `lanes` floats, LANES at most, can be read at `from`, at any alignment.
    unsafe fn load_partial(self, from: *const f32, lanes: usize) -> Self::F32;

    /// Loads LANES numbers of IEEE binary16 and widens them, which is exact.
    ///
    /// # Safety
    /// LANES times 16 bits can be read at `from`, at any alignment.
    unsafe fn load_f16(self, from: *const u16) -> Self::F32;

    /// Loads LANES numbers of bfloat16 and widens them, which is exact.
    ///
    /// # Safety
    /// LANES times 16 bits can be read at `from`, at any alignment.
    unsafe fn load_bf16(self, from: *const u16) -> Self::F32;

    /// `x` in every lane.
    fn splat_i32(self, x: i32) -> Self::I32;

    /// Loads 4 LANES bytes.
    ///
    /// # Safety
    /// 4 LANES bytes can be read at `from`, at any alignment.
    unsafe fn load_i8(self, from: *const i8) -> Self::I8;

    /// Widens 4 rows of 8 elements and transposes them to 8 rows of 4 floats: element (i, p) goes to float (p, i).
    ///
    /// # Safety
    /// 8 adjacent elements can be read at `from` plus 0, 1, 2 and 3 times `from_stride`; 4 adjacent floats can be
    /// written at `to` plus 0, 1, .. 7 times `to_stride`.
    #[inline(always)]
    unsafe fn transpose_4x8<E: Element>(self, from: *const E, from_stride: isize, to: *mut f32, to_stride: usize) {
        for (i, p) in (0..4).flat_map(|i| (0..8).map(move |p| (i, p))) {
            // SAFETY: i < 4 and p < 8, which the caller promises to be readable and writable.
            unsafe { *to.add(p * to_stride + i) = (*from.offset(i as isize * from_stride).add(p)).to_f32() }
        }
    }
}

/// A register of floats. It carries the token of its instruction set, so arithmetic is safe; operators work lane by
/// lane.
///
/// Results are those of the same operation on `f32`, except where a method says otherwise.
pub trait F32Vector: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    /// self * factor + sum, rounded once. [`Portable`](crate::Portable) rounds twice in one case of 2^29.
    fn mul_add(self, factor: Self, sum: Self) -> Self;

    /// The greater of two; `self` where that is a NaN. Where only `other` is a NaN, either.
    fn max(self, other: Self) -> Self;

    /// The lesser of two; `self` where that is a NaN. Where only `other` is a NaN, either.
    fn min(self, other: Self) -> Self;

    /// The magnitude.
    fn abs(self) -> Self;

    /// The magnitude of `self` with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;

    /// The nearest whole number, ties to even, for magnitudes below 2^22. A NaN stays one.
    fn round_ties_even(self) -> Self;

    /// self * 2^n for whole n in -252..=254. Where the result is subnormal it may be rounded twice.
    fn ldexp(self, n: Self) -> Self;

    /// `self` in two parts, f and n with 2^self = 2^f 2^n and 0 <= f <= 1, for `self` up to 128. What n holds is for
    /// [`scale_exp2`](Self::scale_exp2) alone. Below -127, minus infinity included, f is any number of the range. A NaN
    /// makes f a NaN.
    fn split_exp2(self) -> (Self, Self);

    /// self * 2^n for an n of [`split_exp2`](Self::split_exp2), which was made of a number up to 128. Where 2^n is
    /// below the normal range, the result is that or 0. A NaN in `self` stays one.
    fn scale_exp2(self, n: Self) -> Self;

    /// In each lane `negative` where the sign bit of `self` is set, else `other`.
    fn select_negative(self, negative: Self, other: Self) -> Self;

    /// The sum of all lanes: the upper half is added to the lower until one lane is left.
    fn reduce_sum(self) -> f32;

    /// The sums of four vectors, each as [`reduce_sum`](Self::reduce_sum) forms it, in half the instructions of four
    /// calls.
    fn reduce_sums(vectors: [Self; 4]) -> [f32; 4];

    /// The sums of sixteen vectors, each as [`reduce_sum`](Self::reduce_sum) forms it. Where vectors have sixteen
    /// lanes, they share registers from the first addition on.
    #[inline(always)]
    fn reduce_sums_16(vectors: [Self; 16]) -> [f32; 16] {
        let mut sums = [0.0; 16];
        for (i, sums) in sums.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *sums = Self::reduce_sums([vectors[4 * i], vectors[4 * i + 1], vectors[4 * i + 2], vectors[4 * i + 3]]);
        }
        sums
    }

    /// Stores all lanes.
    ///
    /// # Safety
    /// As many floats as the vector has lanes can be written at `to`, at any alignment.
    unsafe fn store(self, to: *mut f32);

    /// Stores the first `lanes` lanes, all if there are no more. Nothing else is written.
    ///
    /// # Safety
    /// `lanes` floats, at most as many as the vector has, can be written at `to`, at any alignment.
    unsafe fn store_partial(self, to: *mut f32, lanes: usize);

    /// Stores all lanes as IEEE binary16, rounded to nearest, ties to even.
    ///
    /// # Safety
    /// As many times 16 bits as the vector has lanes can be written at `to`, at any alignment.
    unsafe fn store_f16(self, to: *mut u16);

    /// Stores all lanes as bfloat16, rounded to nearest, ties to even. A NaN stays one.
    ///
    /// # Safety
    /// As many times 16 bits as the vector has lanes can be written at `to`, at any alignment.
    unsafe fn store_bf16(self, to: *mut u16);

    /// Stores all lanes as signed bytes, rounded to nearest, ties to even. Lanes are -128 to 127; of others, and of a
    /// NaN, some byte is stored.
    ///
    /// # Safety
    /// As many bytes as the vector has lanes can be written at `to`.
    unsafe fn store_i8(self, to: *mut i8);
}

/// Code that is written once and compiled for every instruction set: a struct of arguments with one generic method.
///
/// A closure cannot be generic over the token, and code inside a closure is compiled without the instruction set of the
/// function around it. So implementations of [`run`](Self::run), and all functions that they call with vectors, are
/// `#[inline(always)]`, and use no closures where they use vectors.
pub trait Vectorized {
    /// What it computes.
    type Output;

    /// Runs it with the vectors of `simd`. Implementations are `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}
