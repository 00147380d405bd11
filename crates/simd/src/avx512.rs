//! Sixteen lanes with AVX-512 F, BW, DQ and VL.

mod bytes;
mod integer;

use std::{
    arch::x86_64::*,
    ops::{Add, Div, Mul, Sub},
};

use machine::isa::Avx512;

use crate::{
    avx2::{self, F32x8},
    element::Element,
    vector::{F32Vector, Simd, Vectorized},
};

pub use integer::{I8x64, I32x16};

/// Sixteen floats, and the proof that the machine computes with them.
#[derive(Debug, Clone, Copy)]
pub struct F32x16 {
    lanes: __m512,
    token: Avx512,
}

/// A bit for each of the first `lanes` lanes.
#[inline(always)]
fn mask(lanes: usize) -> __mmask16 {
    ((1_u32 << lanes.min(16)) - 1) as __mmask16
}

impl Simd for Avx512 {
    const LANES: usize = 16;
    type F32 = F32x16;
    type I8 = I8x64;
    type I32 = I32x16;

    #[inline]
    fn run<C: Vectorized>(self, code: C) -> C::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
        fn compiled<C: Vectorized>(token: Avx512, code: C) -> C::Output {
            code.run(token)
        }
        // SAFETY: an `Avx512` exists only where all of these features were detected.
        unsafe { compiled(self, code) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32x16 {
        // SAFETY: `self` proves AVX-512F.
        F32x16 { lanes: unsafe { _mm512_set1_ps(x) }, token: self }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> F32x16 {
        // SAFETY: `self` proves AVX-512F; the caller promises 16 readable floats, and the load has no alignment.
        F32x16 { lanes: unsafe { _mm512_loadu_ps(from) }, token: self }
    }

    #[inline(always)]
    unsafe fn load_partial(self, from: *const f32, lanes: usize) -> F32x16 {
        // SAFETY: `self` proves AVX-512F; a lane that is not in the mask is not read.
        F32x16 { lanes: unsafe { _mm512_maskz_loadu_ps(mask(lanes), from) }, token: self }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> F32x16 {
        // SAFETY: `self` proves AVX-512F; the caller promises 32 readable bytes, and the load has no alignment.
        F32x16 { lanes: unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }, token: self }
    }

    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u16) -> F32x16 {
        // SAFETY: `self` proves AVX-512F; the caller promises 32 readable bytes, and the load has no alignment.
        let bits = unsafe { _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()))) };
        // SAFETY: `self` proves AVX-512F.
        F32x16 { lanes: unsafe { _mm512_castsi512_ps(bits) }, token: self }
    }

    #[inline(always)]
    fn splat_i32(self, x: i32) -> I32x16 {
        I32x16::splat(self, x)
    }

    #[inline(always)]
    unsafe fn load_i8(self, from: *const i8) -> I8x64 {
        // SAFETY: the caller promises 64 readable bytes.
        unsafe { I8x64::load(self, from) }
    }

    #[inline(always)]
    unsafe fn transpose_4x8<E: Element>(self, from: *const E, from_stride: isize, to: *mut f32, to_stride: usize) {
        // SAFETY: the promises of the caller are the same.
        unsafe { avx2::transpose_4x8(self.avx2(), from, from_stride, to, to_stride) }
    }
}

impl F32x16 {
    #[inline(always)]
    fn with(self, lanes: __m512) -> Self {
        Self { lanes, ..self }
    }

    /// The upper half added to the lower.
    #[inline(always)]
    fn halved(self) -> F32x8 {
        // SAFETY: the token in `self` proves AVX-512DQ.
        let upper = unsafe { _mm512_extractf32x8_ps::<1>(self.lanes) };
        // SAFETY: the token in `self` proves AVX-512F.
        let lower = unsafe { _mm512_castps512_ps256(self.lanes) };
        let token = self.token.avx2();
        F32x8::from_lanes(token, lower) + F32x8::from_lanes(token, upper)
    }
}

/// An operator that is one instruction.
macro_rules! operator {
    ($trait:ident, $method:ident, $instruction:ident) => {
        impl $trait for F32x16 {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: the token in `self` proves AVX-512F.
                self.with(unsafe { $instruction(self.lanes, other.lanes) })
            }
        }
    };
}
operator!(Add, add, _mm512_add_ps);
operator!(Sub, sub, _mm512_sub_ps);
operator!(Mul, mul, _mm512_mul_ps);
operator!(Div, div, _mm512_div_ps);

impl F32Vector for F32x16 {
    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: the token in `self` proves AVX-512F.
        self.with(unsafe { _mm512_fmadd_ps(self.lanes, factor.lanes, sum.lanes) })
    }

    /// The instruction gives its second operand where one is a NaN.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: the token in `self` proves AVX-512F.
        self.with(unsafe { _mm512_max_ps(other.lanes, self.lanes) })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: the token in `self` proves AVX-512F.
        self.with(unsafe { _mm512_min_ps(other.lanes, self.lanes) })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: the token in `self` proves AVX-512F.
        self.with(unsafe { _mm512_abs_ps(self.lanes) })
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        // SAFETY: the token in `self` proves AVX-512DQ.
        let sign = unsafe { _mm512_and_ps(_mm512_set1_ps(-0.0), sign.lanes) };
        // SAFETY: the token in `self` proves AVX-512DQ.
        self.with(unsafe { _mm512_or_ps(self.abs().lanes, sign) })
    }

    #[inline(always)]
    fn round_ties_even(self) -> Self {
        // SAFETY: the token in `self` proves AVX-512F.
        self.with(unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.lanes) })
    }

    #[inline(always)]
    fn ldexp(self, n: Self) -> Self {
        // SAFETY: the token in `self` proves AVX-512F.
        self.with(unsafe { _mm512_scalef_ps(self.lanes, n.lanes) })
    }

    /// n is `self`: the instruction behind [`scale_exp2`](Self::scale_exp2) rounds it down. The fraction of an infinity
    /// is 0.
    #[inline(always)]
    fn split_exp2(self) -> (Self, Self) {
        const FLOOR: i32 = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
        // SAFETY: the token in `self` proves AVX-512DQ.
        (self.with(unsafe { _mm512_reduce_ps::<FLOOR>(self.lanes) }), self)
    }

    #[inline(always)]
    fn scale_exp2(self, n: Self) -> Self {
        self.ldexp(n)
    }

    #[inline(always)]
    fn select_negative(self, negative: Self, other: Self) -> Self {
        // SAFETY: the token in `self` proves AVX-512DQ.
        let is_negative = unsafe { _mm512_movepi32_mask(_mm512_castps_si512(self.lanes)) };
        // SAFETY: the token in `self` proves AVX-512F.
        self.with(unsafe { _mm512_mask_blend_ps(is_negative, other.lanes, negative.lanes) })
    }

    #[inline(always)]
    fn reduce_sum(self) -> f32 {
        self.halved().reduce_sum()
    }

    #[inline(always)]
    fn reduce_sums([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        F32x8::reduce_sums([a.halved(), b.halved(), c.halved(), d.halved()])
    }

    /// Each step puts two registers into one and adds upper parts to lower ones: of 8 lanes, then of 4, 2 and 1. Two
    /// shuffles and an addition for each pair are 45 instructions for all sixteen.
    #[inline(always)]
    fn reduce_sums_16(vectors: [Self; 16]) -> [f32; 16] {
        let token = vectors[0].token;
        let mut sums = [0.0; 16];
        // SAFETY: the tokens in the vectors prove AVX-512F; sixteen floats are stored to an array of sixteen.
        unsafe {
            let zero = _mm512_setzero_ps();
            let (mut eights, mut fours, mut twos) = ([zero; 8], [zero; 4], [zero; 2]);
            // Lane by lane, eights[i] holds the 8 sums of vector 2i and the 8 of vector 2i + 1.
            for i in 0..8 {
                let (a, b) = (vectors[2 * i].lanes, vectors[2 * i + 1].lanes);
                let (low, high) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xee>(a, b));
                eights[i] = _mm512_add_ps(low, high);
            }
            // fours[i]: quarters of vectors 4i .. 4i + 4.
            for i in 0..4 {
                let (a, b) = (eights[2 * i], eights[2 * i + 1]);
                let (low, high) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
                fours[i] = _mm512_add_ps(low, high);
            }
            // twos[i]: in each quarter, pairs of a vector of fours[2i] and of one of fours[2i + 1].
            for i in 0..2 {
                let (a, b) = (fours[2 * i], fours[2 * i + 1]);
                let (low, high) = (_mm512_shuffle_ps::<0x44>(a, b), _mm512_shuffle_ps::<0xee>(a, b));
                twos[i] = _mm512_add_ps(low, high);
            }
            let (even, odd) =
                (_mm512_shuffle_ps::<0x88>(twos[0], twos[1]), _mm512_shuffle_ps::<0xdd>(twos[0], twos[1]));
            // Lane 4q + f holds the sum of vector 4f + q.
            let transposed = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let lanes = _mm512_permutexvar_ps(transposed, _mm512_add_ps(even, odd));
            Self { lanes, token }.store(sums.as_mut_ptr());
        }
        sums
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the token in `self` proves AVX-512F; the caller promises 16 writable floats, and the store has no
        // alignment.
        unsafe { _mm512_storeu_ps(to, self.lanes) }
    }

    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, lanes: usize) {
        // SAFETY: the token in `self` proves AVX-512F; a lane that is not in the mask is not written.
        unsafe { _mm512_mask_storeu_ps(to, mask(lanes), self.lanes) }
    }

    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u16) {
        // SAFETY: the token in `self` proves AVX-512F; the caller promises 32 writable bytes, and the store has no
        // alignment.
        unsafe { _mm256_storeu_si256(to.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.lanes)) }
    }

    /// Adds half of the last kept place, less one unit where that place is even. A NaN is made quiet instead, because
    /// its fraction could carry into infinity.
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) {
        // SAFETY: the token in `self` proves AVX-512F; the caller promises 32 writable bytes, and the store has no
        // alignment.
        unsafe {
            let bits = _mm512_castps_si512(self.lanes);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
            let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.lanes, self.lanes);
            let chosen = _mm512_mask_or_epi32(rounded, is_nan, bits, _mm512_set1_epi32(0x0040_0000));
            _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(chosen)));
        }
    }

    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8) {
        // SAFETY: the token in `self` proves AVX-512F; the caller promises 16 writable bytes, and the store has no
        // alignment.
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(self.lanes))) }
    }
}
