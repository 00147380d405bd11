//! Reversal of rows of stored voxels, for flipped axes.

/// Copies voxels of `bytes` bytes, the last one first.
///
/// # Panics
/// If `dst` is not as long as `src`.
pub(super) fn reverse(bytes: usize, src: &[u8], dst: &mut [u8]) {
    assert_eq!(src.len(), dst.len());
    match bytes {
        1 => by_vectors::<1>(src, dst),
        2 => by_vectors::<2>(src, dst),
        3 => by_voxels::<3>(src, dst),
        4 => by_vectors::<4>(src, dst),
        8 => by_vectors::<8>(src, dst),
        16 => by_voxels::<16>(src, dst),
        _ => by_voxels::<32>(src, dst),
    }
}

fn by_voxels<const N: usize>(src: &[u8], dst: &mut [u8]) {
    for (dst, src) in dst.as_chunks_mut::<N>().0.iter_mut().zip(src.as_chunks::<N>().0.iter().rev()) {
        *dst = *src;
    }
}

/// Moves 16 bytes at a time from the beginning of `src` to the end of `dst`. The voxels that are left are the last ones
/// of `src` and the first ones of `dst`.
fn by_vectors<const N: usize>(src: &[u8], dst: &mut [u8]) {
    let (vectors, rest) = src.as_chunks::<16>();
    let (dst_rest, dst_vectors) = dst.as_rchunks_mut::<16>();
    for (src, dst) in vectors.iter().zip(dst_vectors.iter_mut().rev()) {
        *dst = reversed::<N>(*src);
    }
    by_voxels::<N>(rest, dst_rest);
}

/// The voxels of a vector in reverse order.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn reversed<const N: usize>(voxels: [u8; 16]) -> [u8; 16] {
    use std::arch::x86_64::*;
    const { assert!(matches!(N, 1 | 2 | 4 | 8)) }
    if N == 1 {
        return u128::from_ne_bytes(voxels).swap_bytes().to_ne_bytes();
    }
    let vector: __m128i = bytemuck::cast(voxels);
    // SAFETY: SSE2, which has these shuffles, is part of every x86-64.
    let reversed = unsafe {
        match N {
            // Reverses each half, then swaps the halves.
            2 => _mm_shuffle_epi32::<0x4e>(_mm_shufflehi_epi16::<0x1b>(_mm_shufflelo_epi16::<0x1b>(vector))),
            4 => _mm_shuffle_epi32::<0x1b>(vector),
            _ => _mm_shuffle_epi32::<0x4e>(vector),
        }
    };
    bytemuck::cast(reversed)
}

#[cfg(not(target_arch = "x86_64"))]
fn reversed<const N: usize>(voxels: [u8; 16]) -> [u8; 16] {
    let mut reversed = [0; 16];
    by_voxels::<N>(&voxels, &mut reversed);
    reversed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voxels_of_every_size_in_rows_of_every_length() {
        for bytes in [1, 2, 3, 4, 8, 16, 32] {
            for n in 0..70 {
                let src: Vec<u8> = (0..n * bytes).map(|i| (i * 37 % 251) as u8).collect();
                let mut dst = vec![0; src.len()];
                reverse(bytes, &src, &mut dst);
                let expected: Vec<u8> = src.chunks(bytes).rev().flatten().copied().collect();
                assert_eq!(dst, expected, "{n} voxels of {bytes} bytes");
            }
        }
    }
}
