//! Q4_0 and Q8_0: blocks of 32 with one scale.

use std::arch::x86_64::*;

use super::{broadcast, load, nibbles, scale_to};
use crate::format::{BlockQ4_0, BlockQ8_0};

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q4_0(blocks: &[BlockQ4_0], out: &mut [[f32; 32]]) {
    let eight = _mm_set1_epi8(8);
    for (block, out) in blocks.iter().zip(out) {
        let d = broadcast(block.d);
        let (halves, _) = out.as_chunks_mut::<16>();
        for (codes, out) in nibbles(load(&block.qs)).into_iter().zip(halves) {
            scale_to(out, _mm_sub_epi8(codes, eight), d);
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn q8_0(blocks: &[BlockQ8_0], out: &mut [[f32; 32]]) {
    for (block, out) in blocks.iter().zip(out) {
        let d = broadcast(block.d);
        let codes: &[[u8; 16]; 2] = bytemuck::cast_ref(&block.qs);
        for (codes, out) in codes.iter().zip(out.as_chunks_mut::<16>().0) {
            scale_to(out, load(codes), d);
        }
    }
}
