//! Registers of floats: what kernels are written in, once for all instruction sets.
//!
//! The methods are inlined into a function that has the instruction set (`#[target_feature]`), and only there become
//! single instructions; code between the two is `#[inline(always)]` and free of closures, which would not inherit the
//! instruction set.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

use crate::element::Element;

/// A register of floats.
///
/// # Safety
/// Every method: the machine has the instruction set of the type, and pointers can be accessed for as many elements as
/// the method says, at any alignment.
pub trait Vector: Copy {
    /// Floats of a register; at most 16.
    const LANES: usize;

    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self;

    /// LANES floats.
    unsafe fn load(from: *const f32) -> Self;

    /// The first `lanes` floats, at most LANES; the other lanes are 0 and not read.
    unsafe fn load_first(from: *const f32, lanes: usize) -> Self;

    /// LANES numbers of IEEE binary16, widened.
    unsafe fn load_f16(from: *const u16) -> Self;

    /// LANES numbers of bfloat16, widened.
    unsafe fn load_bf16(from: *const u16) -> Self;

    /// LANES floats.
    unsafe fn store(self, to: *mut f32);

    /// The first `lanes` floats, at most LANES.
    unsafe fn store_first(self, to: *mut f32, lanes: usize);

    /// Rounded to IEEE binary16: nearest, ties to even.
    unsafe fn store_f16(self, to: *mut u16);

    /// Rounded to bfloat16: nearest, ties to even.
    unsafe fn store_bf16(self, to: *mut u16);

    /// self + other.
    unsafe fn add(self, other: Self) -> Self;

    /// self - other.
    unsafe fn sub(self, other: Self) -> Self;

    /// self * other.
    unsafe fn mul(self, other: Self) -> Self;

    /// self / other.
    unsafe fn div(self, other: Self) -> Self;

    /// self * factor + sum, rounded once.
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;

    /// The greater of two; `self` where it is a NaN.
    unsafe fn at_least(self, least: Self) -> Self;

    /// The lesser of two; `self` where it is a NaN.
    unsafe fn at_most(self, most: Self) -> Self;

    /// The magnitude.
    unsafe fn abs(self) -> Self;

    /// The magnitude of `self` with the sign of `sign`.
    unsafe fn with_sign_of(self, sign: Self) -> Self;

    /// The nearest whole number, ties to even; for magnitudes below 2^22.
    unsafe fn round(self) -> Self;

    /// self * 2^n for whole n in -252..=127, rounded at most once more than a multiplication would.
    unsafe fn times_two_to(self, n: Self) -> Self;

    /// In each lane `negative` where `self` has its sign bit set, else `other`.
    unsafe fn if_negative(self, negative: Self, other: Self) -> Self;

    /// The sum of all lanes: halves added to each other until one is left.
    unsafe fn sum(self) -> f32;

    /// Asks for a cache line to lie in the nearest cache; at any address, existing or not.
    #[inline(always)]
    unsafe fn fetch<T>(_at: *const T) {}

    /// Asks for a cache line to lie in the second level.
    #[inline(always)]
    unsafe fn fetch_far<T>(_at: *const T) {}

    /// Transposes and widens 4 rows x 8 steps: from 4 x 8 adjacent elements, `rows` apart, to 8 x 4 adjacent floats,
    /// `steps` apart.
    #[inline(always)]
    unsafe fn transpose_4x8<E: Element>(from: *const E, rows: isize, to: *mut f32, steps: usize) {
        for (i, p) in (0..4).flat_map(|i| (0..8).map(move |p| (i, p))) {
            // SAFETY: as the caller promises.
            unsafe { *to.add(p * steps + i) = (*from.offset(i as isize * rows).add(p)).to_f32() }
        }
    }
}

/// Code that is written once over [`Vector`] and compiled for each instruction set.
pub(crate) trait Vectorized {
    /// What it computes.
    type Output;

    /// Runs it. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// The machine has V's instruction set, and the caller is compiled for it.
    unsafe fn run<V: Vector>(self) -> Self::Output;
}

/// A token of an instruction set, as what runs vectorized code.
pub(crate) trait Simd: Copy + Send + Sync {
    /// Runs `code` with the vectors of the instruction set.
    fn run<C: Vectorized>(self, code: C) -> C::Output;
}

/// The portable instruction set, which every machine has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

impl Simd for Portable {
    fn run<C: Vectorized>(self, code: C) -> C::Output {
        // SAFETY: one lane takes no instruction that a machine could lack.
        unsafe { code.run::<f32>() }
    }
}

#[cfg(test)]
mod tests;
