//! What the compiler does not make of loops: packing to f16, and non-temporal stores.
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
