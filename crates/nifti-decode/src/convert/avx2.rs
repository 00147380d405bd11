//! What the compiler does not make of loops: packing to f16, swapping words while they are widened, and non-temporal
//! stores.
//!
//! A store to a line that is not in a cache reads the line first. Outputs that are larger than the caches are therefore
//! written with non-temporal stores, from a block that was filled in L1. That saves a third of the memory traffic of
//! 16-bit voxels to f32.

use std::arch::x86_64::*;

use half::f16;
use simd::Avx2;

use super::{BLOCK, output};

pub(super) fn pack_f16(_: Avx2, block: &[f32], dst: &mut [f16]) {
    #[target_feature(enable = "avx2,fma,f16c")]
    fn body(block: &[f32], dst: &mut [f16]) {
        let n = block.len().min(dst.len()) / 8 * 8;
        for at in (0..n).step_by(8) {
            // SAFETY: 8 values from `at` on lie within `block`, which has at least `n`.
            let values = unsafe { _mm256_loadu_ps(block.as_ptr().add(at)) };
            let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(values);
            // SAFETY: 8 values from `at` on lie within `dst`, which has at least `n`; an f16 is two bytes of any value.
            unsafe { _mm_storeu_si128(dst.as_mut_ptr().add(at).cast(), halves) };
        }
        output::pack_f16(&block[n..], &mut dst[n..]);
    }
    // SAFETY: an `Avx2` exists only where avx2, fma and f16c were detected.
    unsafe { body(block, dst) }
}

/// Converts as many values as whole vectors hold, and returns their number; `src` has two bytes, the upper one first,
/// for each value of `dst`.
pub(super) fn swapped_words<const IS_SIGNED: bool>(
    _: Avx2,
    scale: Option<(f32, f32)>,
    src: &[u8],
    dst: &mut [f32],
) -> usize {
    #[target_feature(enable = "avx2,fma")]
    fn body<const IS_SIGNED: bool>(scale: Option<(f32, f32)>, src: &[u8], dst: &mut [f32]) -> usize {
        // Both halves of the register hold the same eight words; the lower half takes the first four. -1 makes a 0.
        #[rustfmt::skip]
        let upper = _mm256_setr_epi8(
            -1, -1, 1, 0, -1, -1, 3, 2, -1, -1, 5, 4, -1, -1, 7, 6,
            -1, -1, 9, 8, -1, -1, 11, 10, -1, -1, 13, 12, -1, -1, 15, 14,
        );
        let (slope, inter) = scale.map_or((1.0, 0.0), |scale| scale);
        let (slope, inter) = (_mm256_set1_ps(slope), _mm256_set1_ps(inter));
        let n = (src.len() / 2).min(dst.len()) / 8 * 8;
        for at in (0..n).step_by(8) {
            // SAFETY: 8 words from `at` on lie within `src`, which has at least `n`.
            let words = unsafe { _mm_loadu_si128(src.as_ptr().add(2 * at).cast()) };
            let words = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(words), upper);
            let whole = if IS_SIGNED { _mm256_srai_epi32::<16>(words) } else { _mm256_srli_epi32::<16>(words) };
            let values = _mm256_cvtepi32_ps(whole);
            let values = if scale.is_some() { _mm256_fmadd_ps(values, slope, inter) } else { values };
            // SAFETY: 8 values from `at` on lie within `dst`, which has at least `n`.
            unsafe { _mm256_storeu_ps(dst.as_mut_ptr().add(at), values) };
        }
        n
    }
    // SAFETY: an `Avx2` exists only where avx2 and fma were detected.
    unsafe { body::<IS_SIGNED>(scale, src, dst) }
}

/// Copies `src` to `dst` with non-temporal stores. Visible to other threads after [`fence`].
pub(super) fn stream(_: Avx2, src: &[u8], dst: &mut [u8]) {
    #[target_feature(enable = "avx2")]
    fn body(src: &[u8], dst: &mut [u8]) {
        // Whole lines only: a partial line would be read first.
        let (head, lines) = (dst.as_ptr().align_offset(64).min(dst.len()), 64);
        let n = (src.len() - head) / lines * lines;
        dst[..head].copy_from_slice(&src[..head]);
        for at in (head..head + n).step_by(lines) {
            for part in [0, 32] {
                // SAFETY: 64 bytes from `at` on lie within `src` and `dst`, which have the same length.
                let value = unsafe { _mm256_loadu_si256(src.as_ptr().add(at + part).cast()) };
                // SAFETY: 64 bytes from `at` on lie within `dst`; `at` - `head` is a multiple of 64 and `head` ends at
                // a line, so the address is aligned.
                unsafe { _mm256_stream_si256(dst.as_mut_ptr().add(at + part).cast(), value) };
            }
        }
        dst[head + n..].copy_from_slice(&src[head + n..]);
    }
    assert_eq!(src.len(), dst.len());
    // SAFETY: an `Avx2` exists only where avx2 was detected.
    unsafe { body(src, dst) }
}

/// Orders non-temporal stores before the stores that follow.
pub(super) fn fence(_: Avx2) {
    // SAFETY: SSE, which has this fence, is part of every x86-64.
    unsafe { _mm_sfence() }
}

const _: () = assert!(BLOCK.is_multiple_of(16));
