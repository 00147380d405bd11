//! The loops, compiled for AVX2, FMA and F16C; and stores that go around the caches.
//!
//! A store to a line that is not in the cache reads the line first. Outputs that are larger than the caches are therefore
//! written with non-temporal stores, from a block that was filled in the first-level cache: that saves a third of the
//! memory traffic of 16-bit voxels to f32.

use std::arch::x86_64::*;

use half::{bf16, f16};
use machine::isa::Avx2;

use super::{BLOCK, Map, Stored, fill, scalar, transpose::TileShape};

#[target_feature(enable = "avx2,fma,f16c")]
fn fill_body<S: Stored, A: fill::Arithmetic, const SWAP: bool>(map: &Map, src: &[u8], dst: &mut [f32]) {
    fill::fill::<S, A, SWAP>(map, src, dst);
}

/// As [`fill::fill`]. Obtained from [`Kernel`](super::Kernel) only, which holds the token.
pub(super) fn fill<S: Stored, A: fill::Arithmetic, const SWAP: bool>(map: &Map, src: &[u8], dst: &mut [f32]) {
    debug_assert!(Avx2::new().is_some());
    // SAFETY: `Kernel` hands this function out only with an `Avx2` in hand.
    unsafe { fill_body::<S, A, SWAP>(map, src, dst) }
}

pub(super) fn pack_f16(_: Avx2, block: &[f32], dst: &mut [f16]) {
    #[target_feature(enable = "avx2,fma,f16c")]
    fn body(block: &[f32], dst: &mut [f16]) {
        let n = block.len().min(dst.len()) / 8 * 8;
        for at in (0..n).step_by(8) {
            // SAFETY: 8 values from `at` on lie within `block`, which has at least `n`.
            let values = unsafe { _mm256_loadu_ps(block.as_ptr().add(at)) };
            let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(values);
            // SAFETY: as above for `dst`; an f16 is two bytes of any value.
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

/// Copies `src` to `dst` around the caches. Complete for other threads after [`fence`].
pub(super) fn stream(_: Avx2, src: &[u8], dst: &mut [u8]) {
    #[target_feature(enable = "avx2")]
    fn body(src: &[u8], dst: &mut [u8]) {
        // Whole lines only: a partial one would be read after all.
        let (head, lines) = (dst.as_ptr().align_offset(64).min(dst.len()), 64);
        let n = (src.len() - head) / lines * lines;
        dst[..head].copy_from_slice(&src[..head]);
        for at in (head..head + n).step_by(lines) {
            for part in [0, 32] {
                // SAFETY: 64 bytes from `at` on lie within `src` and `dst`, which have the same length.
                let value = unsafe { _mm256_loadu_si256(src.as_ptr().add(at + part).cast()) };
                // SAFETY: as above; `head` makes the address a multiple of 64.
                unsafe { _mm256_stream_si256(dst.as_mut_ptr().add(at + part).cast(), value) };
            }
        }
        dst[head + n..].copy_from_slice(&src[head + n..]);
    }
    assert_eq!(src.len(), dst.len());
    // SAFETY: an `Avx2` exists only where avx2 was detected.
    unsafe { body(src, dst) }
}

/// Brings the cache line of a byte near, if there is that byte.
#[inline]
pub(super) fn fetch(_: Avx2, bytes: &[u8], at: usize) {
    if let Some(byte) = bytes.get(at) {
        // SAFETY: the address of a byte that is there; and a prefetch does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast()) }
    }
}

/// Orders streamed stores before whatever follows.
pub(super) fn fence(_: Avx2) {
    // SAFETY: SSE is part of every x86-64.
    unsafe { _mm_sfence() }
}

/// Transposes the whole 8 x 8 blocks of a tile: column `c` of `tile` becomes row `c` of `dst`. Returns how many rows and
/// columns that were.
pub(super) fn transpose(_: Avx2, tile: &[f32], shape: TileShape, dst: &mut [f32]) -> (usize, usize) {
    #[target_feature(enable = "avx2")]
    fn body(tile: &[f32], shape: TileShape, rows: usize, columns: usize, dst: &mut [f32]) {
        for c in (0..columns).step_by(8) {
            for r in (0..rows).step_by(8) {
                // SAFETY: rows r..r + 8 and columns c..c + 8 lie within the tile, as asserted below.
                let row = |i: usize| unsafe { _mm256_loadu_ps(tile.as_ptr().add((r + i) * shape.tile_row + c)) };
                let block = [row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)];
                for (j, column) in transpose_8x8(block).into_iter().enumerate() {
                    let at = (c + j) * shape.turned_row + r;
                    // SAFETY: c + j is below the number of columns, so 8 values from here on lie within `dst`, as asserted
                    // below.
                    unsafe { _mm256_storeu_ps(dst.as_mut_ptr().add(at), column) };
                }
            }
        }
    }
    let (rows, columns) = (shape.rows / 8 * 8, shape.columns / 8 * 8);
    if rows > 0 && columns > 0 {
        assert!((rows - 1) * shape.tile_row + columns <= tile.len());
        assert!((columns - 1) * shape.turned_row + rows <= dst.len());
        // SAFETY: an `Avx2` exists only where avx2 was detected.
        unsafe { body(tile, shape, rows, columns, dst) }
    }
    (rows, columns)
}

#[target_feature(enable = "avx2")]
fn transpose_8x8([r0, r1, r2, r3, r4, r5, r6, r7]: [__m256; 8]) -> [__m256; 8] {
    // Pairs of rows, then quads, then halves.
    let (t0, t1) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
    let (t2, t3) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
    let (t4, t5) = (_mm256_unpacklo_ps(r4, r5), _mm256_unpackhi_ps(r4, r5));
    let (t6, t7) = (_mm256_unpacklo_ps(r6, r7), _mm256_unpackhi_ps(r6, r7));
    let (q0, q1) = (_mm256_shuffle_ps::<0x44>(t0, t2), _mm256_shuffle_ps::<0xee>(t0, t2));
    let (q2, q3) = (_mm256_shuffle_ps::<0x44>(t1, t3), _mm256_shuffle_ps::<0xee>(t1, t3));
    let (q4, q5) = (_mm256_shuffle_ps::<0x44>(t4, t6), _mm256_shuffle_ps::<0xee>(t4, t6));
    let (q6, q7) = (_mm256_shuffle_ps::<0x44>(t5, t7), _mm256_shuffle_ps::<0xee>(t5, t7));
    [
        _mm256_permute2f128_ps::<0x20>(q0, q4),
        _mm256_permute2f128_ps::<0x20>(q1, q5),
        _mm256_permute2f128_ps::<0x20>(q2, q6),
        _mm256_permute2f128_ps::<0x20>(q3, q7),
        _mm256_permute2f128_ps::<0x31>(q0, q4),
        _mm256_permute2f128_ps::<0x31>(q1, q5),
        _mm256_permute2f128_ps::<0x31>(q2, q6),
        _mm256_permute2f128_ps::<0x31>(q3, q7),
    ]
}

const _: () = assert!(BLOCK.is_multiple_of(16));
