//! Quantizers of the formats with blocks of 32: one scale, in some a minimum, codes of four, five or eight bits.
//!
//! The arithmetic is that of the portable code, eight numbers at a time, without fused operations. Blocks for which the
//! conversion to integers could overflow (with a NaN, an infinity, or numbers so small that the inverse of the scale
//! overflows) are left to the portable code.

use std::arch::x86_64::*;

use super::{half, load_f32, peak::peak};
use crate::format::{
    Block, BlockMXFP4, BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0, BlockQ8_1, extremes, inverse,
    mxfp4::{DOUBLED, exponent, half_of_power},
    q8_0::BELOW_HALF,
};

/// A format with a quantizer for blocks whose arithmetic stays in range.
pub(super) trait Quantize: Block<Values = [f32; 32]> {
    /// The block; `None` if the portable code must quantize it.
    ///
    /// # Safety
    /// The machine has AVX2, FMA and F16C.
    unsafe fn try_quantize(x: &[f32; 32]) -> Option<Self>;
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn quantize<B: Quantize>(x: &[[f32; 32]], blocks: &mut [B]) {
    for (x, block) in x.iter().zip(blocks) {
        // SAFETY: this function has the target features that `try_quantize` requires, so its caller has proved them.
        *block = unsafe { B::try_quantize(x) }.unwrap_or_else(|| B::quantize(x));
    }
}

/// Implements [`Quantize`] by a function with target features, which a trait method cannot have.
macro_rules! quantize {
    ($($block:ident $function:ident),*) => {$(
        impl Quantize for $block {
            #[inline(always)]
            unsafe fn try_quantize(x: &[f32; 32]) -> Option<Self> {
                // SAFETY: the caller guarantees AVX2, FMA and F16C, by the contract of `Quantize::try_quantize`.
                unsafe { $function(x) }
            }
        }
    )*};
}

quantize!(BlockQ4_0 q4_0, BlockQ4_1 q4_1, BlockQ5_0 q5_0, BlockQ5_1 q5_1, BlockQ8_0 q8_0, BlockQ8_1 q8_1, BlockMXFP4 mxfp4);

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q4_0(x: &[f32; 32]) -> Option<BlockQ4_0> {
    let d = peak(x)? / -8.0;
    let codes = scaled_codes(x, d, 8.5, 15)?;
    Some(BlockQ4_0 { d: half(d), qs: nibbles(codes) })
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q4_1(x: &[f32; 32]) -> Option<BlockQ4_1> {
    let (min, d) = range(x, 15.0)?;
    let codes = affine_codes(x, d, min, 15)?;
    Some(BlockQ4_1 { d: half(d), m: half(min), qs: nibbles(codes) })
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q5_0(x: &[f32; 32]) -> Option<BlockQ5_0> {
    let d = peak(x)? / -16.0;
    let codes = scaled_codes(x, d, 16.5, 31)?;
    Some(BlockQ5_0 { d: half(d), qh: fifth_bits(codes), qs: nibbles(codes) })
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q5_1(x: &[f32; 32]) -> Option<BlockQ5_1> {
    let (min, d) = range(x, 31.0)?;
    let codes = affine_codes(x, d, min, 31)?;
    Some(BlockQ5_1 { d: half(d), m: half(min), qh: fifth_bits(codes), qs: nibbles(codes) })
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q8_0(x: &[f32; 32]) -> Option<BlockQ8_0> {
    let d = peak(x)?.abs() / 127.0;
    Some(BlockQ8_0 { d: half(d), qs: bytemuck::cast(signed_codes(x, d)?) })
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn q8_1(x: &[f32; 32]) -> Option<BlockQ8_1> {
    let d = peak(x)?.abs() / 127.0;
    let codes = signed_codes(x, d)?;
    let fours = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), codes), _mm256_set1_epi16(1));
    let sums: [i32; 8] = bytemuck::cast(fours);
    let sum = sums.iter().sum::<i32>() as f32;
    Some(BlockQ8_1 { d: half(d), s: half(sum * d), qs: bytemuck::cast(codes) })
}

/// The nearest of the eight magnitudes, the first of equals, then the sign.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn mxfp4(x: &[f32; 32]) -> Option<BlockMXFP4> {
    let e = exponent(peak(x)?.abs());
    let d = half_of_power(e);
    let mut codes = [_mm256_setzero_si256(); 4];
    for (x, codes) in x.as_chunks::<8>().0.iter().zip(&mut codes) {
        let sign = _mm256_set1_ps(-0.0);
        let x = load_f32(x);
        let magnitude = _mm256_andnot_ps(sign, x);
        let (mut nearest, mut least) = (_mm256_setzero_ps(), magnitude);
        for (code, doubled) in (1..8).zip(&DOUBLED[1..8]) {
            let number = _mm256_set1_ps(f32::from(*doubled) * d);
            let error = _mm256_andnot_ps(sign, _mm256_sub_ps(number, magnitude));
            let is_less = _mm256_cmp_ps::<_CMP_LT_OQ>(error, least);
            nearest = _mm256_blendv_ps(nearest, _mm256_castsi256_ps(_mm256_set1_epi32(code)), is_less);
            least = _mm256_min_ps(error, least);
        }
        let nearest = _mm256_castps_si256(nearest);
        let is_zero = _mm256_cmpeq_epi32(nearest, _mm256_setzero_si256());
        let negative = _mm256_slli_epi32::<3>(_mm256_srli_epi32::<31>(_mm256_castps_si256(x)));
        *codes = _mm256_or_si256(nearest, _mm256_andnot_si256(is_zero, negative));
    }
    Some(BlockMXFP4 { e, qs: nibbles(bytes(codes)) })
}

/// Minimum and scale of a block with codes up to `max_code`; `None` if a number is not finite, or the range overflows.
#[inline]
#[target_feature(enable = "avx2")]
fn range(x: &[f32; 32], max_code: f32) -> Option<(f32, f32)> {
    let exponent = _mm256_set1_epi32(0x7f80_0000);
    let [a, b, c, d] = load(x);
    let mut is_special = _mm256_setzero_si256();
    for x in [a, b, c, d] {
        let bits = _mm256_and_si256(_mm256_castps_si256(x), exponent);
        is_special = _mm256_or_si256(is_special, _mm256_cmpeq_epi32(bits, exponent));
    }
    let lows = _mm256_min_ps(_mm256_min_ps(a, b), _mm256_min_ps(c, d));
    let highs = _mm256_max_ps(_mm256_max_ps(a, b), _mm256_max_ps(c, d));
    let low = _mm_min_ps(_mm256_castps256_ps128(lows), _mm256_extractf128_ps::<1>(lows));
    let high = _mm_max_ps(_mm256_castps256_ps128(highs), _mm256_extractf128_ps::<1>(highs));
    let low = _mm_min_ps(low, _mm_movehl_ps(low, low));
    let high = _mm_max_ps(high, _mm_movehl_ps(high, high));
    let mut min = _mm_cvtss_f32(_mm_min_ss(low, _mm_movehdup_ps(low)));
    let mut max = _mm_cvtss_f32(_mm_max_ss(high, _mm_movehdup_ps(high)));
    if min == 0.0 || max == 0.0 {
        // The vector code does not distinguish zeros of different sign; the portable code takes the first.
        (min, max) = extremes(x);
    }
    let d = (max - min) / max_code;
    (_mm256_testz_si256(is_special, is_special) == 1 && d.is_finite()).then_some((min, d))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(x: &[f32; 32]) -> [__m256; 4] {
    let (x, _) = x.as_chunks::<8>();
    [load_f32(&x[0]), load_f32(&x[1]), load_f32(&x[2]), load_f32(&x[3])]
}

/// `x / d + offset`, truncated and clamped to 0..=max_code.
#[inline]
#[target_feature(enable = "avx2")]
fn scaled_codes(x: &[f32; 32], d: f32, offset: f32, max_code: i8) -> Option<__m256i> {
    let id = Some(inverse(d)).filter(|id| id.is_finite())?;
    let (id, offset) = (_mm256_set1_ps(id), _mm256_set1_ps(offset));
    let mut whole = [_mm256_setzero_si256(); 4];
    for (x, whole) in load(x).into_iter().zip(&mut whole) {
        *whole = _mm256_cvttps_epi32(_mm256_add_ps(_mm256_mul_ps(x, id), offset));
    }
    Some(clamped(bytes(whole), max_code))
}

/// `(x - min) / d + 0.5`, truncated and clamped to 0..=max_code.
#[inline]
#[target_feature(enable = "avx2")]
fn affine_codes(x: &[f32; 32], d: f32, min: f32, max_code: i8) -> Option<__m256i> {
    let id = Some(inverse(d)).filter(|id| id.is_finite())?;
    let (id, min, half) = (_mm256_set1_ps(id), _mm256_set1_ps(min), _mm256_set1_ps(0.5));
    let mut whole = [_mm256_setzero_si256(); 4];
    for (x, whole) in load(x).into_iter().zip(&mut whole) {
        *whole = _mm256_cvttps_epi32(_mm256_add_ps(_mm256_mul_ps(_mm256_sub_ps(x, min), id), half));
    }
    Some(clamped(bytes(whole), max_code))
}

/// `x / d`, rounded to the nearest integer, ties away from 0.
#[inline]
#[target_feature(enable = "avx2")]
fn signed_codes(x: &[f32; 32], d: f32) -> Option<__m256i> {
    let id = Some(inverse(d)).filter(|id| id.is_finite())?;
    let (id, sign, below_half) = (_mm256_set1_ps(id), _mm256_set1_ps(-0.0), _mm256_set1_ps(BELOW_HALF));
    let mut whole = [_mm256_setzero_si256(); 4];
    for (x, whole) in load(x).into_iter().zip(&mut whole) {
        let scaled = _mm256_mul_ps(x, id);
        let away = _mm256_or_ps(_mm256_and_ps(scaled, sign), below_half);
        *whole = _mm256_cvttps_epi32(_mm256_add_ps(scaled, away));
    }
    Some(bytes(whole))
}

/// 32 small integers as bytes, in order. Packing works on 128-bit lanes; the permutation restores the order of the
/// groups of four.
#[inline]
#[target_feature(enable = "avx2")]
fn bytes([a, b, c, d]: [__m256i; 4]) -> __m256i {
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    let halves = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    _mm256_permutevar8x32_epi32(halves, order)
}

#[inline]
#[target_feature(enable = "avx2")]
fn clamped(codes: __m256i, max_code: i8) -> __m256i {
    _mm256_min_epi8(_mm256_max_epi8(codes, _mm256_setzero_si256()), _mm256_set1_epi8(max_code))
}

/// The low four bits of each code: the first sixteen in the low nibbles of the bytes, the others in the high nibbles.
#[inline]
#[target_feature(enable = "avx2")]
fn nibbles(codes: __m256i) -> [u8; 16] {
    let codes = _mm256_and_si256(codes, _mm256_set1_epi8(15));
    let (low, high) = (_mm256_castsi256_si128(codes), _mm256_extracti128_si256::<1>(codes));
    bytemuck::cast(_mm_or_si128(low, _mm_slli_epi16::<4>(high)))
}

/// Bit 4 of each code.
#[inline]
#[target_feature(enable = "avx2")]
fn fifth_bits(codes: __m256i) -> [u8; 4] {
    _mm256_movemask_epi8(_mm256_slli_epi16::<3>(codes)).to_le_bytes()
}
