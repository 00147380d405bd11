//! AVX2 code for the most common types.
//!
//! Dequantizers process eight numbers at a time: codes are widened to 32-bit integers, converted to f32, and multiplied
//! by their scale. Where a minimum is subtracted, the product is exact (11 bits of d, 6 of the scale, at most 5 of the
//! code), so a fused multiply-add rounds once, like the scalar code. Quantizers use no fused operations.

use std::arch::x86_64::*;

use simd::Avx2;

use crate::{
    GgmlType,
    format::{BlockMXFP4, BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0, BlockQ8_1, le::F16Le},
};

mod float;
mod k;
mod peak;
mod q32;
mod q8_k;
mod quantize32;
mod quantize_k;
mod search;

/// Types with a dequantizer here.
pub(crate) const DEQUANTIZED: &[GgmlType] = &[
    GgmlType::F16,
    GgmlType::BF16,
    GgmlType::Q4_0,
    GgmlType::Q8_0,
    GgmlType::Q4_K,
    GgmlType::Q5_K,
    GgmlType::Q6_K,
    GgmlType::Q8_K,
];

/// Types with a quantizer here.
pub(crate) const QUANTIZED: &[GgmlType] = &[
    GgmlType::Q4_0,
    GgmlType::Q4_1,
    GgmlType::Q5_0,
    GgmlType::Q5_1,
    GgmlType::Q8_0,
    GgmlType::Q8_1,
    GgmlType::Q2_K,
    GgmlType::Q4_K,
    GgmlType::Q5_K,
    GgmlType::Q6_K,
    GgmlType::Q8_K,
    GgmlType::MXFP4,
];

/// Dequantizes a row whose length was checked; `false` if the type has no AVX2 code.
pub(crate) fn dequantize(_: Avx2, ty: GgmlType, bytes: &[u8], out: &mut [f32]) -> bool {
    use bytemuck::{cast_slice as blocks, cast_slice_mut as values};
    // SAFETY: an `Avx2` exists only where avx2, fma and f16c were detected, and the functions need no other features.
    unsafe {
        match ty {
            GgmlType::F16 => float::f16(blocks(bytes), out),
            GgmlType::BF16 => float::bf16(blocks(bytes), out),
            GgmlType::Q4_0 => q32::q4_0(blocks(bytes), values(out)),
            GgmlType::Q8_0 => q32::q8_0(blocks(bytes), values(out)),
            GgmlType::Q4_K => k::q4_k(blocks(bytes), values(out)),
            GgmlType::Q5_K => k::q5_k(blocks(bytes), values(out)),
            GgmlType::Q6_K => k::q6_k(blocks(bytes), values(out)),
            GgmlType::Q8_K => q8_k::dequantize(blocks(bytes), values(out)),
            _ => return false,
        }
    }
    true
}

/// Quantizes a row whose length was checked; `false` if the type has no AVX2 code.
pub(crate) fn quantize(_: Avx2, ty: GgmlType, x: &[f32], bytes: &mut [u8]) -> bool {
    use bytemuck::{cast_slice as values, cast_slice_mut as blocks};
    // SAFETY: an `Avx2` exists only where avx2, fma and f16c were detected, and the functions need no other features.
    unsafe {
        match ty {
            GgmlType::Q4_0 => quantize32::quantize::<BlockQ4_0>(values(x), blocks(bytes)),
            GgmlType::Q4_1 => quantize32::quantize::<BlockQ4_1>(values(x), blocks(bytes)),
            GgmlType::Q5_0 => quantize32::quantize::<BlockQ5_0>(values(x), blocks(bytes)),
            GgmlType::Q5_1 => quantize32::quantize::<BlockQ5_1>(values(x), blocks(bytes)),
            GgmlType::Q8_0 => quantize32::quantize::<BlockQ8_0>(values(x), blocks(bytes)),
            GgmlType::Q8_1 => quantize32::quantize::<BlockQ8_1>(values(x), blocks(bytes)),
            GgmlType::MXFP4 => quantize32::quantize::<BlockMXFP4>(values(x), blocks(bytes)),
            GgmlType::Q2_K => quantize_k::q2_k(values(x), blocks(bytes)),
            GgmlType::Q4_K => quantize_k::q4_k(values(x), blocks(bytes)),
            GgmlType::Q5_K => quantize_k::q5_k(values(x), blocks(bytes)),
            GgmlType::Q6_K => quantize_k::q6_k(values(x), blocks(bytes)),
            GgmlType::Q8_K => q8_k::quantize(values(x), blocks(bytes)),
            _ => return false,
        }
    }
    true
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: `bytes` has 16 bytes, and the load needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_f32(x: &[f32; 8]) -> __m256 {
    // SAFETY: `x` has 8 numbers, and the load needs no alignment.
    unsafe { _mm256_loadu_ps(x.as_ptr()) }
}

/// The nearest f16 of a number that is not NaN.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn half(x: f32) -> F16Le {
    let halves = _mm_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm_set_ss(x));
    F16Le::from_bits(_mm_cvtsi128_si32(halves) as u16)
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(out: &mut [f32; 8], x: __m256) {
    // SAFETY: `out` has 8 numbers, and the store needs no alignment.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), x) }
}

/// The scale of a block, in all lanes.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn broadcast(d: F16Le) -> __m256 {
    _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(d.to_bits()))))
}

/// Sixteen signed bytes as f32 numbers.
#[inline]
#[target_feature(enable = "avx2")]
fn widen(codes: __m128i) -> [__m256; 2] {
    let (low, high) = (_mm256_cvtepi8_epi32(codes), _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(codes, codes)));
    [_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)]
}

/// The low four bits of each byte, and the high four.
#[inline]
#[target_feature(enable = "avx2")]
fn nibbles(bytes: __m128i) -> [__m128i; 2] {
    let low = _mm_set1_epi8(15);
    [_mm_and_si128(bytes, low), _mm_and_si128(_mm_srli_epi16::<4>(bytes), low)]
}

/// Writes sixteen codes times `scale`.
#[inline]
#[target_feature(enable = "avx2")]
fn scale_to(out: &mut [f32; 16], codes: __m128i, scale: __m256) {
    let [low, high] = widen(codes);
    let (out, _) = out.as_chunks_mut::<8>();
    store(&mut out[0], _mm256_mul_ps(low, scale));
    store(&mut out[1], _mm256_mul_ps(high, scale));
}

/// Writes sixteen codes times `scale`, minus `min`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn affine_to(out: &mut [f32; 16], codes: __m128i, scale: __m256, min: __m256) {
    let [low, high] = widen(codes);
    let (out, _) = out.as_chunks_mut::<8>();
    store(&mut out[0], _mm256_fmsub_ps(low, scale, min));
    store(&mut out[1], _mm256_fmsub_ps(high, scale, min));
}
