//! Sixteen lanes with AVX-512 F, BW, DQ and VL.

use std::arch::x86_64::*;

use machine::isa::Avx512;

use super::{Simd, Vector, Vectorized, avx2};
use crate::element::Element;

impl Simd for Avx512 {
    fn run<C: Vectorized>(self, code: C) -> C::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
        unsafe fn compiled<C: Vectorized>(code: C) -> C::Output {
            // SAFETY: as the caller promises.
            unsafe { code.run::<__m512>() }
        }
        // SAFETY: a token exists only where its features were detected.
        unsafe { compiled(code) }
    }
}

/// A bit for each of the first `lanes` lanes.
#[inline(always)]
fn mask(lanes: usize) -> __mmask16 {
    ((1_u32 << lanes.min(16)) - 1) as __mmask16
}

impl Vector for __m512 {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the machine has the instruction, and memory is as the caller promises; so below.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, lanes: usize) -> Self {
        // SAFETY: as above; what the mask leaves out is not read.
        unsafe { _mm512_maskz_loadu_ps(mask(lanes), from) }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast())))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, lanes: usize) {
        // SAFETY: as above; what the mask leaves out is not written.
        unsafe { _mm512_mask_storeu_ps(to, mask(lanes), self) }
    }

    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u16) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(to.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self)) }
    }

    /// Adds half of the last kept place, less one unit where that place is even; a NaN is made quiet instead, for its
    /// fraction could carry into infinity.
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) {
        // SAFETY: as above.
        unsafe {
            let bits = _mm512_castps_si512(self);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
            let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self, self);
            let chosen = _mm512_mask_or_epi32(rounded, is_nan, bits, _mm512_set1_epi32(0x0040_0000));
            _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(chosen)));
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_sub_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_mul_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_div_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_fmadd_ps(self, factor, sum) }
    }

    /// The instruction gives its second operand where one is a NaN.
    #[inline(always)]
    unsafe fn at_least(self, least: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_max_ps(least, self) }
    }

    #[inline(always)]
    unsafe fn at_most(self, most: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_min_ps(most, self) }
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_abs_ps(self) }
    }

    #[inline(always)]
    unsafe fn with_sign_of(self, sign: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_or_ps(_mm512_abs_ps(self), _mm512_and_ps(_mm512_set1_ps(-0.0), sign)) }
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self) }
    }

    #[inline(always)]
    unsafe fn times_two_to(self, n: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_scalef_ps(self, n) }
    }

    #[inline(always)]
    unsafe fn if_negative(self, negative: Self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(self)), other, negative) }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(_mm512_castps512_ps256(self), _mm512_extractf32x8_ps::<1>(self)).sum() }
    }

    #[inline(always)]
    unsafe fn fetch<T>(at: *const T) {
        // SAFETY: a prefetch may name any address, and every x86-64 has the instruction.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn fetch_far<T>(at: *const T) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn transpose_4x8<E: Element>(from: *const E, rows: isize, to: *mut f32, steps: usize) {
        // SAFETY: as the caller promises.
        unsafe { avx2::transpose_4x8(from, rows, to, steps) }
    }
}
