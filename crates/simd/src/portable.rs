//! One lane, on every machine.
//!
//! Baseline x86-64 has no fused multiply-add, and a library call for each would be slow. A product of two floats is
//! exact in f64, so computing in f64 rounds twice where fusing rounds once: the same but for one case in 2^29.

use std::ops::{Add, Div, Mul, Sub};

use half::{bf16, f16};

use crate::{
    integer::{I8Vector, I32Vector},
    vector::{F32Vector, Simd, Vectorized},
};

/// The token that every machine has. Its vectors have one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portable;

/// One float.
#[derive(Debug, Clone, Copy)]
pub struct F32x1(f32);

impl Simd for Portable {
    const LANES: usize = 1;
    type F32 = F32x1;
    type I8 = I8x4;
    type I32 = I32x1;

    #[inline]
    fn run<C: Vectorized>(self, code: C) -> C::Output {
        code.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32x1 {
        F32x1(x)
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> F32x1 {
        // SAFETY: the caller promises one readable float.
        F32x1(unsafe { from.read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_partial(self, from: *const f32, lanes: usize) -> F32x1 {
        // SAFETY: the caller promises one readable float if `lanes` is not 0.
        F32x1(if lanes == 0 { 0.0 } else { unsafe { from.read_unaligned() } })
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> F32x1 {
        // SAFETY: the caller promises 16 readable bits.
        F32x1(f16::from_bits(unsafe { from.read_unaligned() }).to_f32())
    }

    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u16) -> F32x1 {
        // SAFETY: the caller promises 16 readable bits.
        F32x1(bf16::from_bits(unsafe { from.read_unaligned() }).to_f32())
    }

    #[inline(always)]
    fn splat_i32(self, x: i32) -> I32x1 {
        I32x1(x)
    }

    #[inline(always)]
    unsafe fn load_i8(self, from: *const i8) -> I8x4 {
        // SAFETY: the caller promises four readable bytes.
        I8x4(unsafe { from.cast::<[i8; 4]>().read_unaligned() })
    }
}

/// Four signed bytes.
#[derive(Debug, Clone, Copy)]
pub struct I8x4([i8; 4]);

/// One 32-bit integer.
#[derive(Debug, Clone, Copy)]
pub struct I32x1(i32);

impl I8Vector for I8x4 {
    type I32 = I32x1;

    #[inline(always)]
    fn dot(self, other: Self, sum: I32x1) -> I32x1 {
        let products = self.0.into_iter().zip(other.0).map(|(x, y)| i32::from(x) * i32::from(y));
        I32x1(sum.0.wrapping_add(products.sum()))
    }
}

impl Add for I32x1 {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl I32Vector for I32x1 {
    type F32 = F32x1;

    #[inline(always)]
    fn to_f32(self) -> F32x1 {
        F32x1(self.0 as f32)
    }

    #[inline(always)]
    fn reduce_sum(self) -> i32 {
        self.0
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: the caller promises one writable integer.
        unsafe { to.write_unaligned(self.0) }
    }
}

/// An operator on the one lane.
macro_rules! operator {
    ($trait:ident, $method:ident, $op:tt) => {
        impl $trait for F32x1 {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0 $op other.0)
            }
        }
    };
}
operator!(Add, add, +);
operator!(Sub, sub, -);
operator!(Mul, mul, *);
operator!(Div, div, /);

impl F32Vector for F32x1 {
    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        Self((f64::from(self.0) * f64::from(factor.0) + f64::from(sum.0)) as f32)
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self.0 < other.0 { other } else { self }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if self.0 > other.0 { other } else { self }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(self.0.abs())
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        Self(self.0.copysign(sign.0))
    }

    #[inline(always)]
    fn round_ties_even(self) -> Self {
        // Beyond this the spacing of floats is 1, so adding it rounds. The method of `f32` would be a library call.
        const SHIFT: f32 = 12_582_912.0;
        Self((self.0 + SHIFT) - SHIFT)
    }

    #[inline(always)]
    fn ldexp(self, n: Self) -> Self {
        // 2^n is normal in f64 for every n that is allowed, and the product exact. A NaN in n counts as 0: `self` is a
        // NaN then, too.
        let power = f64::from_bits(((1023 + n.0 as i64) as u64) << 52);
        Self((f64::from(self.0) * power) as f32)
    }

    /// n is whole, and at least -127.
    #[inline(always)]
    fn split_exp2(self) -> (Self, Self) {
        let bounded = self.max(Self(-127.0));
        // Baseline x86-64 has no instruction for `floor`; it would be a library call.
        let nearest = bounded.round_ties_even();
        let n = if nearest.0 > bounded.0 { nearest - Self(1.0) } else { nearest };
        (bounded - n, n)
    }

    /// The bits of 2^n are its biased exponent alone, and those of 0 for n = -127.
    #[inline(always)]
    fn scale_exp2(self, n: Self) -> Self {
        Self(self.0 * f32::from_bits(((n.0 as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn select_negative(self, negative: Self, other: Self) -> Self {
        if self.0.is_sign_negative() { negative } else { other }
    }

    #[inline(always)]
    fn reduce_sums(vectors: [Self; 4]) -> [f32; 4] {
        vectors.map(Self::reduce_sum)
    }

    #[inline(always)]
    fn reduce_sum(self) -> f32 {
        self.0
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller promises one writable float.
        unsafe { to.write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, lanes: usize) {
        if lanes > 0 {
            // SAFETY: the caller promises one writable float if `lanes` is not 0.
            unsafe { to.write_unaligned(self.0) }
        }
    }

    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u16) {
        // SAFETY: the caller promises 16 writable bits.
        unsafe { to.write_unaligned(f16::from_f32(self.0).to_bits()) }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) {
        // SAFETY: the caller promises 16 writable bits.
        unsafe { to.write_unaligned(bf16::from_f32(self.0).to_bits()) }
    }

    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8) {
        // SAFETY: the caller promises a writable byte.
        unsafe { to.write(self.0.round_ties_even() as i8) }
    }
}
