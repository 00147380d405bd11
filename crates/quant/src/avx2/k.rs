//! Q4_K, Q5_K and Q6_K: blocks of 256 with sub-blocks.

use std::arch::x86_64::*;

use super::{affine_to, broadcast, load, nibbles, scale_to, store};
use crate::{
    QK_K,
    format::{BlockQ4_K, BlockQ5_K, BlockQ6_K, Scales6, le::F16Le},
};

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q4_k(blocks: &[BlockQ4_K], out: &mut [[f32; QK_K]]) {
    for (block, out) in blocks.iter().zip(out) {
        let (scales, mins) = factors(block.d, block.dmin, block.scales);
        let (bytes, _) = block.qs.as_chunks::<16>();
        let (outs, _) = out.as_chunks_mut::<16>();
        for pair in 0..4 {
            for half in 0..2 {
                let codes = nibbles(load(&bytes[2 * pair + half]));
                for (k, codes) in codes.into_iter().enumerate() {
                    let j = 2 * pair + k;
                    let (scale, min) = (_mm256_set1_ps(scales[j]), _mm256_set1_ps(mins[j]));
                    affine_to(&mut outs[2 * j + half], codes, scale, min);
                }
            }
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q5_k(blocks: &[BlockQ5_K], out: &mut [[f32; QK_K]]) {
    let fifth = _mm_set1_epi8(16);
    for (block, out) in blocks.iter().zip(out) {
        let (scales, mins) = factors(block.d, block.dmin, block.scales);
        let (bytes, _) = block.qs.as_chunks::<16>();
        let (high, _) = block.qh.as_chunks::<16>();
        let (outs, _) = out.as_chunks_mut::<16>();
        for half in 0..2 {
            // Moves bit j to bit 4: right by j, then left by 4. The shifts are on 16-bit lanes; the mask removes bits
            // of the neighboring byte.
            let high = load(&high[half]);
            for pair in 0..4 {
                let codes = nibbles(load(&bytes[2 * pair + half]));
                for (k, codes) in codes.into_iter().enumerate() {
                    let j = 2 * pair + k;
                    let down = _mm_cvtsi32_si128(j as i32);
                    let bit = _mm_and_si128(_mm_slli_epi16::<4>(_mm_srl_epi16(high, down)), fifth);
                    let (scale, min) = (_mm256_set1_ps(scales[j]), _mm256_set1_ps(mins[j]));
                    affine_to(&mut outs[2 * j + half], _mm_or_si128(codes, bit), scale, min);
                }
            }
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q6_k(blocks: &[BlockQ6_K], out: &mut [[f32; QK_K]]) {
    let (upper, offset) = (_mm_set1_epi8(0x30), _mm_set1_epi8(32));
    for (block, out) in blocks.iter().zip(out) {
        let d = broadcast(block.d);
        let (low, _) = block.ql.as_chunks::<16>();
        let (high, _) = block.qh.as_chunks::<16>();
        let (outs, _) = out.as_chunks_mut::<16>();
        for half in 0..2 {
            for sixteen in 0..2 {
                // Each byte has two bits of four numbers; they move to bits 4 and 5 of the codes.
                let high = load(&high[2 * half + sixteen]);
                let high = [_mm_slli_epi16::<4>(high), _mm_slli_epi16::<2>(high), high, _mm_srli_epi16::<2>(high)];
                let [first, third] = nibbles(load(&low[4 * half + sixteen]));
                let [second, fourth] = nibbles(load(&low[4 * half + 2 + sixteen]));
                for (k, low) in [first, second, third, fourth].into_iter().enumerate() {
                    let codes = _mm_sub_epi8(_mm_or_si128(low, _mm_and_si128(high[k], upper)), offset);
                    let j = 8 * half + 2 * k + sixteen;
                    let scale = _mm256_mul_ps(d, _mm256_set1_ps(f32::from(block.scales[j])));
                    scale_to(&mut outs[j], codes, scale);
                }
            }
        }
    }
}

/// `d scale[j]` and `dmin min[j]`.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn factors(d: F16Le, dmin: F16Le, scales: Scales6) -> ([f32; 8], [f32; 8]) {
    let (scales, mins) = scales.unpack();
    let times = |codes: [u8; 8], d: F16Le| {
        let codes = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(codes)));
        let mut out = [0.0; 8];
        store(&mut out, _mm256_mul_ps(broadcast(d), _mm256_cvtepi32_ps(codes)));
        out
    };
    (times(scales, d), times(mins, dmin))
}
