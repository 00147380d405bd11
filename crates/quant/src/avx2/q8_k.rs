//! Q8_K, the format of activations in products with K-quants.
//!
//! The quantizer makes three passes over 256 numbers, which are 1 KiB and stay in L1: the largest magnitude, the first
//! number that has it (its sign is that of the scale), and the codes with their sums. The conversion instruction rounds
//! like the addition of the scalar code: both round ties to even, and codes are far below 2^22.

use std::arch::x86_64::*;

use super::peak::peak;
use crate::{
    QK_K,
    format::{
        Block, BlockQ8_K,
        le::{F32Le, I16Le},
    },
};

#[target_feature(enable = "avx2,fma")]
pub(super) fn dequantize(blocks: &[BlockQ8_K], out: &mut [[f32; QK_K]]) {
    for (block, out) in blocks.iter().zip(out) {
        let d = _mm256_set1_ps(block.d.to_f32());
        let codes: &[[u8; 16]; 16] = bytemuck::cast_ref(&block.qs);
        for (codes, out) in codes.iter().zip(out.as_chunks_mut::<16>().0) {
            super::scale_to(out, super::load(codes), d);
        }
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn quantize(x: &[[f32; QK_K]], blocks: &mut [BlockQ8_K]) {
    for (x, block) in x.iter().zip(blocks) {
        let peak = match peak(x) {
            None => {
                *block = BlockQ8_K::NOT_FINITE;
                continue;
            }
            Some(0.0) => {
                *block = BlockQ8_K::ZERO;
                continue;
            }
            Some(peak) => peak,
        };
        let iscale = -127.0 / peak;
        if iscale.is_finite() {
            block.d = F32Le::from_f32(1.0 / iscale);
            codes(x, iscale, block);
        } else {
            *block = BlockQ8_K::quantize(x);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn rounded(x: &[f32; 8], iscale: __m256) -> __m256i {
    _mm256_cvtps_epi32(_mm256_mul_ps(iscale, super::load_f32(x)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn codes(x: &[f32; QK_K], iscale: f32, block: &mut BlockQ8_K) {
    let iscale = _mm256_set1_ps(iscale);
    // The two packing steps work on 128-bit lanes; this permutation restores the order of the eight groups of four.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    let (ones8, ones16) = (_mm256_set1_epi8(1), _mm256_set1_epi16(1));
    let (x, _) = x.as_chunks::<32>();
    let (qs, _) = block.qs.as_chunks_mut::<32>();
    let (sums, _) = block.bsums.as_chunks_mut::<2>();
    for ((x, qs), sums) in x.iter().zip(qs).zip(sums) {
        let (x, _) = x.as_chunks::<8>();
        let low = _mm256_packs_epi32(rounded(&x[0], iscale), rounded(&x[1], iscale));
        let high = _mm256_packs_epi32(rounded(&x[2], iscale), rounded(&x[3], iscale));
        let bytes = _mm256_packs_epi16(low, high);
        let bytes = _mm256_permutevar8x32_epi32(bytes, order);
        // SAFETY: `qs` has 32 bytes, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(qs.as_mut_ptr().cast(), bytes) };
        // Sums of two, then of four; each 128-bit lane holds four partial sums of one result.
        let fours = _mm256_madd_epi16(_mm256_maddubs_epi16(ones8, bytes), ones16);
        let eights = _mm256_add_epi32(fours, _mm256_shuffle_epi32::<0b01_00_11_10>(fours));
        let sixteens = _mm256_add_epi32(eights, _mm256_shuffle_epi32::<0b10_11_00_01>(eights));
        let low = _mm_cvtsi128_si32(_mm256_castsi256_si128(sixteens));
        let high = _mm_cvtsi128_si32(_mm256_extracti128_si256::<1>(sixteens));
        *sums = [I16Le::new(low as i16), I16Le::new(high as i16)];
    }
}
