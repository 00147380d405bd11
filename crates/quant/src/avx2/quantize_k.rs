//! Quantizers of the K-quants: the vectorized search, then the portable code that packs the block, compiled for AVX2.

use super::search::{fit, lanes, magnitudes, raised_magnitudes, sweep};
use crate::{
    QK_K,
    format::{Block, BlockQ2_K, BlockQ4_K, BlockQ5_K, BlockQ6_K, all_finite, q2_k, q4_k, q5_k, q6_k},
};

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q4_k(x: &[[f32; QK_K]], blocks: &mut [BlockQ4_K]) {
    for (x, block) in x.iter().zip(blocks) {
        if !all_finite(x) {
            *block = BlockQ4_K::quantize(x);
            continue;
        }
        let lanes = lanes(bytemuck::cast_ref::<_, [[f32; 32]; 8]>(x));
        *block = BlockQ4_K::of_fits(x, &fit(&q4_k::SEARCH, &lanes, &raised_magnitudes(&lanes)));
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q5_k(x: &[[f32; QK_K]], blocks: &mut [BlockQ5_K]) {
    for (x, block) in x.iter().zip(blocks) {
        if !all_finite(x) {
            *block = BlockQ5_K::quantize(x);
            continue;
        }
        let lanes = lanes(bytemuck::cast_ref::<_, [[f32; 32]; 8]>(x));
        *block = BlockQ5_K::of_fits(x, &fit(&q5_k::SEARCH, &lanes, &raised_magnitudes(&lanes)));
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q2_k(x: &[[f32; QK_K]], blocks: &mut [BlockQ2_K]) {
    for (x, block) in x.iter().zip(blocks) {
        if !all_finite(x) {
            *block = BlockQ2_K::quantize(x);
            continue;
        }
        let [first, second] = bytemuck::cast_ref::<_, [[[f32; 16]; 8]; 2]>(x);
        let (first, second) = (lanes(first), lanes(second));
        let halves =
            [fit(&q2_k::SEARCH, &first, &magnitudes(&first)), fit(&q2_k::SEARCH, &second, &magnitudes(&second))];
        *block = BlockQ2_K::of_fits(x, &std::array::from_fn(|j| halves[j / 8][j % 8]));
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q6_k(x: &[[f32; QK_K]], blocks: &mut [BlockQ6_K]) {
    for (x, block) in x.iter().zip(blocks) {
        if !all_finite(x) {
            *block = BlockQ6_K::quantize(x);
            continue;
        }
        let [first, second] = bytemuck::cast_ref::<_, [[[f32; 16]; 8]; 2]>(x);
        let halves = [sweep(&lanes(first), q6_k::LEVELS), sweep(&lanes(second), q6_k::LEVELS)];
        *block = BlockQ6_K::of_swept(x, &std::array::from_fn(|j| halves[j / 8][j % 8]));
    }
}
