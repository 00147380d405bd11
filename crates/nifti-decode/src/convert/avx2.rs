//! The loops, compiled for AVX2, FMA and F16C; and non-temporal stores.
//!
//! A store to a line that is not in a cache reads the line first. Outputs that are larger than the caches are therefore
//! written with non-temporal stores, from a block that was filled in L1. That saves a third of the memory traffic of
//! 16-bit voxels to f32.

use std::arch::x86_64::*;

use half::{bf16, f16};
use machine::isa::Avx2;

use super::{BLOCK, Map, Stored, fill, format, scalar, screen};

#[target_feature(enable = "avx2,fma,f16c")]
fn fill_body<S: Stored, T: fill::Filled, A: fill::Arithmetic, const SWAP: bool>(map: &Map, src: &[u8], dst: &mut [T]) {
    fill::fill::<S, T, A, SWAP>(map, src, dst);
}

/// As [`fill::fill`]. Obtained from [`Kernel`](super::Kernel) only, which holds the token.
pub(super) fn fill<S: Stored, T: fill::Filled, A: fill::Arithmetic, const SWAP: bool>(
    map: &Map,
    src: &[u8],
    dst: &mut [T],
) {
    debug_assert!(Avx2::new().is_some());
    // SAFETY: `Kernel` selects this function only where it holds an `Avx2`, which proves that avx2, fma and f16c were
    // detected.
    unsafe { fill_body::<S, T, A, SWAP>(map, src, dst) }
}

/// As [`format::count_f32`].
pub(super) fn count_f32<const ONLY_WHOLE: bool>(_: Avx2, block: &[f32], format: &format::Format) -> format::Counts {
    #[target_feature(enable = "avx2")]
    fn body<const ONLY_WHOLE: bool>(block: &[f32], format: &format::Format) -> format::Counts {
        format::count_f32::<ONLY_WHOLE>(block, format)
    }
    // SAFETY: an `Avx2` exists only where avx2 was detected.
    unsafe { body::<ONLY_WHOLE>(block, format) }
}

/// As [`format::count_f64`].
pub(super) fn count_f64<const ONLY_WHOLE: bool>(_: Avx2, block: &[f64], format: &format::Format) -> format::Counts {
    #[target_feature(enable = "avx2")]
    fn body<const ONLY_WHOLE: bool>(block: &[f64], format: &format::Format) -> format::Counts {
        format::count_f64::<ONLY_WHOLE>(block, format)
    }
    // SAFETY: an `Avx2` exists only where avx2 was detected.
    unsafe { body::<ONLY_WHOLE>(block, format) }
}

#[target_feature(enable = "avx2")]
fn screen_body<S: screen::Screened, const SWAP: bool>(bounds: &screen::Bounds, src: &[u8]) -> screen::Reach {
    screen::screen::<S, SWAP>(bounds, src)
}

/// As [`screen::screen`]. Obtained from [`screen::choose`] only, for a source that holds the token.
pub(super) fn screen<S: screen::Screened, const SWAP: bool>(bounds: &screen::Bounds, src: &[u8]) -> screen::Reach {
    debug_assert!(Avx2::new().is_some());
    // SAFETY: `screen::choose` selects this function only where the source holds an `Avx2`, which proves that avx2 was
    // detected.
    unsafe { screen_body::<S, SWAP>(bounds, src) }
}

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
        scalar::pack_f16(&block[n..], &mut dst[n..]);
    }
    // SAFETY: an `Avx2` exists only where avx2, fma and f16c were detected.
    unsafe { body(block, dst) }
}

pub(super) fn pack_bf16(_: Avx2, block: &[f32], dst: &mut [bf16]) {
    #[target_feature(enable = "avx2,fma,f16c")]
    fn body(block: &[f32], dst: &mut [bf16]) {
        scalar::pack_bf16(block, dst);
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
