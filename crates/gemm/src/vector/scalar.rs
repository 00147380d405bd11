//! One lane, portable.
//!
//! Baseline x86-64 has no fused multiply-add, and a library call for each would be slow. A product of two floats is
//! exact in f64, so computing in f64 rounds twice where fusing rounds once: the same but for one case in 2^29.

use half::{bf16, f16};

use super::Vector;

impl Vector for f32 {
    const LANES: usize = 1;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        x
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: one float can be read, at any alignment; so below.
        unsafe { from.read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, lanes: usize) -> Self {
        // SAFETY: as above, if there is a lane.
        if lanes == 0 { 0.0 } else { unsafe { from.read_unaligned() } }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self {
        // SAFETY: as above.
        f16::from_bits(unsafe { from.read_unaligned() }).to_f32()
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        // SAFETY: as above.
        bf16::from_bits(unsafe { from.read_unaligned() }).to_f32()
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: one float can be written; so below.
        unsafe { to.write_unaligned(self) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, lanes: usize) {
        if lanes > 0 {
            // SAFETY: as above.
            unsafe { to.write_unaligned(self) }
        }
    }

    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u16) {
        // SAFETY: as above.
        unsafe { to.write_unaligned(f16::from_f32(self).to_bits()) }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) {
        // SAFETY: as above.
        unsafe { to.write_unaligned(bf16::from_f32(self).to_bits()) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self + other
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self - other
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self * other
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self / other
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        (f64::from(self) * f64::from(factor) + f64::from(sum)) as f32
    }

    #[inline(always)]
    unsafe fn at_least(self, least: Self) -> Self {
        if self < least { least } else { self }
    }

    #[inline(always)]
    unsafe fn at_most(self, most: Self) -> Self {
        if self > most { most } else { self }
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    unsafe fn with_sign_of(self, sign: Self) -> Self {
        self.copysign(sign)
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        // Beyond this the spacing is 1, so that adding rounds; a library call else. NaN stays NaN.
        const SHIFT: f32 = 12_582_912.0;
        (self + SHIFT) - SHIFT
    }

    #[inline(always)]
    unsafe fn times_two_to(self, n: Self) -> Self {
        // 2^n is normal in f64 for every n that is allowed, and the product exact. A NaN in n gives 1, and `self` is
        // one then.
        let power = f64::from_bits(((1023 + n as i64) as u64) << 52);
        (f64::from(self) * power) as f32
    }

    #[inline(always)]
    unsafe fn if_negative(self, negative: Self, other: Self) -> Self {
        if self.is_sign_negative() { negative } else { other }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        self
    }
}
