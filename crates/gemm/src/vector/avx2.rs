//! Eight lanes with AVX2, FMA and F16C.

use std::arch::x86_64::*;

use machine::isa::Avx2;

use super::{Simd, Vector, Vectorized};
use crate::element::Element;

impl Simd for Avx2 {
    fn run<C: Vectorized>(self, code: C) -> C::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn compiled<C: Vectorized>(code: C) -> C::Output {
            // SAFETY: as the caller promises.
            unsafe { code.run::<__m256>() }
        }
        // SAFETY: a token exists only where its features were detected.
        unsafe { compiled(code) }
    }
}

/// -1 eight times, then 0: read from element 8 - n on, a mask of the first n lanes.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// All bits of the first `lanes` lanes.
///
/// # Safety
/// The machine has AVX2.
#[inline(always)]
unsafe fn mask(lanes: usize) -> __m256i {
    // SAFETY: 8 elements follow each of the first 9.
    unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - lanes.min(8)).cast()) }
}

impl Vector for __m256 {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the machine has the instruction, and memory is as the caller promises; so below.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, lanes: usize) -> Self {
        // SAFETY: as above; what the mask leaves out is not read.
        unsafe { _mm256_maskload_ps(from, mask(lanes)) }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast())))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, lanes: usize) {
        // SAFETY: as above; what the mask leaves out is not written. Masked stores are slow on some processors.
        unsafe {
            match lanes >= Self::LANES {
                true => _mm256_storeu_ps(to, self),
                false => _mm256_maskstore_ps(to, mask(lanes), self),
            }
        }
    }

    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u16) {
        // SAFETY: as above.
        unsafe { _mm_storeu_si128(to.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self)) }
    }

    /// Adds half of the last kept place, less one unit where that place is even; a NaN is made quiet instead, for its
    /// fraction could carry into infinity.
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) {
        // SAFETY: as above.
        unsafe {
            let bits = _mm256_castps_si256(self);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
            let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
            let is_nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(self, self));
            let upper = _mm256_srli_epi32::<16>(_mm256_blendv_epi8(rounded, quiet, is_nan));
            let packed = _mm256_packus_epi32(upper, upper);
            _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b00_00_10_00>(packed)));
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_sub_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_mul_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_div_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_fmadd_ps(self, factor, sum) }
    }

    /// The instruction gives its second operand where one is a NaN.
    #[inline(always)]
    unsafe fn at_least(self, least: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_max_ps(least, self) }
    }

    #[inline(always)]
    unsafe fn at_most(self, most: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_min_ps(most, self) }
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self) }
    }

    #[inline(always)]
    unsafe fn with_sign_of(self, sign: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_or_ps(self.abs(), _mm256_and_ps(_mm256_set1_ps(-0.0), sign)) }
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self) }
    }

    /// Two powers, for one may be below the normal range.
    #[inline(always)]
    unsafe fn times_two_to(self, n: Self) -> Self {
        // SAFETY: as above.
        unsafe {
            let n = _mm256_cvtps_epi32(n);
            let half = _mm256_srai_epi32::<1>(n);
            let bias = _mm256_set1_epi32(127);
            let first = _mm256_slli_epi32::<23>(_mm256_add_epi32(half, bias));
            let second = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_sub_epi32(n, half), bias));
            _mm256_mul_ps(_mm256_mul_ps(self, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(second))
        }
    }

    #[inline(always)]
    unsafe fn if_negative(self, negative: Self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_blendv_ps(other, negative, self) }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: as above.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps::<1>(self));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
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
        unsafe { transpose_4x8(from, rows, to, steps) }
    }
}

/// Each half of a vector is transposed as 4 x 4.
///
/// ```text
///   r0: a0 a1 a2 a3 | a4 ..      unpack r0,r1 and r2,r3: a0 b0 a1 b1 | a4 ..   c0 d0 c1 d1 | c4 ..
///   r1: b0 b1 b2 b3 | b4 ..      and their low and high pairs:       a0 b0 c0 d0 | a4 b4 c4 d4  = steps 0 and 4
///   r2: c0 ..   r3: d0 ..
/// ```
///
/// # Safety
/// The machine has AVX2; `from` can be read for 8 elements at 0, 1, 2 and 3 `rows`; `to` can be written for 4 floats at
/// 0, 1, .. 7 `steps`.
#[inline(always)]
pub(super) unsafe fn transpose_4x8<E: Element>(from: *const E, rows: isize, to: *mut f32, steps: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        let r0 = E::load::<__m256>(from);
        let r1 = E::load::<__m256>(from.offset(rows));
        let r2 = E::load::<__m256>(from.offset(2 * rows));
        let r3 = E::load::<__m256>(from.offset(3 * rows));
        let (low01, low23) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpacklo_ps(r2, r3));
        let (high01, high23) = (_mm256_unpackhi_ps(r0, r1), _mm256_unpackhi_ps(r2, r3));
        let pairs = [
            _mm256_shuffle_ps::<0b01_00_01_00>(low01, low23),
            _mm256_shuffle_ps::<0b11_10_11_10>(low01, low23),
            _mm256_shuffle_ps::<0b01_00_01_00>(high01, high23),
            _mm256_shuffle_ps::<0b11_10_11_10>(high01, high23),
        ];
        for p in 0..4 {
            _mm_storeu_ps(to.add(p * steps), _mm256_castps256_ps128(pairs[p]));
            _mm_storeu_ps(to.add((p + 4) * steps), _mm256_extractf128_ps::<1>(pairs[p]));
        }
    }
}
