//! 32 bytes and 8 integers with AVX2.

use std::{arch::x86_64::*, ops::Add};

use machine::isa::Avx2;

use super::F32x8;
use crate::integer::{I8Vector, I32Vector};

/// 32 signed bytes, and the proof that the machine computes with them.
#[derive(Debug, Clone, Copy)]
pub struct I8x32 {
    lanes: __m256i,
    token: Avx2,
}

/// Eight 32-bit integers, and the proof that the machine computes with them.
#[derive(Debug, Clone, Copy)]
pub struct I32x8 {
    lanes: __m256i,
    token: Avx2,
}

impl I8x32 {
    /// # Safety
    /// 32 bytes can be read at `from`, at any alignment.
    #[inline(always)]
    pub(super) unsafe fn load(token: Avx2, from: *const i8) -> Self {
        // SAFETY: `token` proves AVX2; the caller promises 32 readable bytes, and the load has no alignment.
        Self { lanes: unsafe { _mm256_loadu_si256(from.cast()) }, token }
    }
}

impl I8Vector for I8x32 {
    type I32 = I32x8;

    /// The instruction multiplies unsigned by signed bytes, so the sign of `self` moves to `other`. Pairs are added in
    /// 16 bits, which hold 2 * 128 * 127.
    #[inline(always)]
    fn dot(self, other: Self, sum: I32x8) -> I32x8 {
        // SAFETY: the token in `self` proves AVX2.
        let lanes = unsafe {
            let magnitudes = _mm256_abs_epi8(self.lanes);
            let signed = _mm256_sign_epi8(other.lanes, self.lanes);
            let pairs = _mm256_maddubs_epi16(magnitudes, signed);
            _mm256_add_epi32(sum.lanes, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        };
        I32x8 { lanes, token: self.token }
    }
}

impl I32x8 {
    #[inline(always)]
    pub(super) fn splat(token: Avx2, x: i32) -> Self {
        // SAFETY: `token` proves AVX2.
        Self { lanes: unsafe { _mm256_set1_epi32(x) }, token }
    }

    #[inline(always)]
    pub(crate) fn from_lanes(token: Avx2, lanes: __m256i) -> Self {
        Self { lanes, token }
    }
}

impl Add for I32x8 {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: the token in `self` proves AVX2.
        Self { lanes: unsafe { _mm256_add_epi32(self.lanes, other.lanes) }, ..self }
    }
}

impl I32Vector for I32x8 {
    type F32 = F32x8;

    #[inline(always)]
    fn to_f32(self) -> F32x8 {
        // SAFETY: the token in `self` proves AVX2.
        F32x8::from_lanes(self.token, unsafe { _mm256_cvtepi32_ps(self.lanes) })
    }

    #[inline(always)]
    fn reduce_sum(self) -> i32 {
        // SAFETY: the token in `self` proves AVX2.
        unsafe {
            let four = _mm_add_epi32(_mm256_castsi256_si128(self.lanes), _mm256_extracti128_si256::<1>(self.lanes));
            let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
            _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: the token in `self` proves AVX2; the caller promises 8 writable integers, and the store has no
        // alignment.
        unsafe { _mm256_storeu_si256(to.cast(), self.lanes) }
    }
}
