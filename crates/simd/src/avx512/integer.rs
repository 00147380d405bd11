//! 64 bytes and 16 integers with AVX-512 BW.

use std::{arch::x86_64::*, ops::Add};

use machine::isa::Avx512;

use super::F32x16;
use crate::{
    avx2::I32x8,
    integer::{I8Vector, I32Vector},
};

/// 64 signed bytes, and the proof that the machine computes with them.
#[derive(Debug, Clone, Copy)]
pub struct I8x64 {
    lanes: __m512i,
    token: Avx512,
}

/// Sixteen 32-bit integers, and the proof that the machine computes with them.
#[derive(Debug, Clone, Copy)]
pub struct I32x16 {
    lanes: __m512i,
    token: Avx512,
}

impl I8x64 {
    /// # Safety
    /// 64 bytes can be read at `from`, at any alignment.
    #[inline(always)]
    pub(super) unsafe fn load(token: Avx512, from: *const i8) -> Self {
        // SAFETY: `token` proves AVX-512F; the caller promises 64 readable bytes, and the load has no alignment.
        Self { lanes: unsafe { _mm512_loadu_si512(from.cast()) }, token }
    }
}

impl I8Vector for I8x64 {
    type I32 = I32x16;

    /// The instruction multiplies unsigned by signed bytes, so the sign of `self` moves to `other`. Pairs are added in
    /// 16 bits, which hold 2 * 128 * 127.
    #[inline(always)]
    fn dot(self, other: Self, sum: I32x16) -> I32x16 {
        // SAFETY: the token in `self` proves AVX-512BW.
        let lanes = unsafe {
            let magnitudes = _mm512_abs_epi8(self.lanes);
            let is_negative = _mm512_movepi8_mask(self.lanes);
            let signed = _mm512_mask_sub_epi8(other.lanes, is_negative, _mm512_setzero_si512(), other.lanes);
            let pairs = _mm512_maddubs_epi16(magnitudes, signed);
            _mm512_add_epi32(sum.lanes, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
        };
        I32x16 { lanes, token: self.token }
    }
}

impl I32x16 {
    #[inline(always)]
    pub(super) fn splat(token: Avx512, x: i32) -> Self {
        // SAFETY: `token` proves AVX-512F.
        Self { lanes: unsafe { _mm512_set1_epi32(x) }, token }
    }
}

impl Add for I32x16 {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: the token in `self` proves AVX-512F.
        Self { lanes: unsafe { _mm512_add_epi32(self.lanes, other.lanes) }, ..self }
    }
}

impl I32Vector for I32x16 {
    type F32 = F32x16;

    #[inline(always)]
    fn to_f32(self) -> F32x16 {
        // SAFETY: the token in `self` proves AVX-512F.
        F32x16 { lanes: unsafe { _mm512_cvtepi32_ps(self.lanes) }, token: self.token }
    }

    #[inline(always)]
    fn reduce_sum(self) -> i32 {
        // SAFETY: the token in `self` proves AVX-512F.
        let (lower, upper) =
            unsafe { (_mm512_castsi512_si256(self.lanes), _mm512_extracti64x4_epi64::<1>(self.lanes)) };
        let token = self.token.avx2();
        (I32x8::from_lanes(token, lower) + I32x8::from_lanes(token, upper)).reduce_sum()
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: the token in `self` proves AVX-512F; the caller promises 16 writable integers, and the store has no
        // alignment.
        unsafe { _mm512_storeu_si512(to.cast(), self.lanes) }
    }
}
