//! F16 and BF16.

use std::arch::x86_64::*;

use super::{load, store};
use crate::format::{BF16, F16};

#[target_feature(enable = "avx2,f16c")]
pub(super) fn f16(halves: &[F16], out: &mut [f32]) {
    let (eights, rest) = halves.as_chunks::<8>();
    let (outs, out_rest) = out.as_chunks_mut::<8>();
    for (halves, out) in eights.iter().zip(outs) {
        store(out, _mm256_cvtph_ps(load(bytemuck::cast_ref(halves))));
    }
    for (half, out) in rest.iter().zip(out_rest) {
        *out = half.to_f32();
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn bf16(numbers: &[BF16], out: &mut [f32]) {
    let (eights, rest) = numbers.as_chunks::<8>();
    let (outs, out_rest) = out.as_chunks_mut::<8>();
    for (numbers, out) in eights.iter().zip(outs) {
        let bits = _mm256_cvtepu16_epi32(load(bytemuck::cast_ref(numbers)));
        store(out, _mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits)));
    }
    for (number, out) in rest.iter().zip(out_rest) {
        *out = number.to_f32();
    }
}
