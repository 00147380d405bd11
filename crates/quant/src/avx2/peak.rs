//! The number of largest magnitude, with which most quantizers begin.

use std::arch::x86_64::*;

const MAGNITUDE: i32 = 0x7fff_ffff;
/// The bits of infinity; those of a NaN are larger.
const INFINITY: i32 = 0x7f80_0000;

/// The number of largest magnitude, with its sign; the first of equals; 0 if all are 0. `None` if one is not finite.
/// `N` is a multiple of 32.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn peak<const N: usize>(x: &[f32; N]) -> Option<f32> {
    // Magnitudes compare as integers in the order of the numbers, with NaN last.
    match largest_magnitude(x) {
        0 => Some(0.0),
        INFINITY.. => None,
        largest => Some(first_of_magnitude(x, largest)),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn magnitude(x: &[f32; 8]) -> __m256i {
    _mm256_and_si256(_mm256_castps_si256(super::load_f32(x)), _mm256_set1_epi32(MAGNITUDE))
}

#[inline]
#[target_feature(enable = "avx2")]
fn largest_magnitude<const N: usize>(x: &[f32; N]) -> i32 {
    const { assert!(N.is_multiple_of(32)) };
    let mut largest = [_mm256_setzero_si256(); 4];
    for four in x.as_chunks::<32>().0 {
        for (largest, x) in largest.iter_mut().zip(four.as_chunks::<8>().0) {
            *largest = _mm256_max_epi32(*largest, magnitude(x));
        }
    }
    let [a, b, c, d] = largest;
    let eight = _mm256_max_epi32(_mm256_max_epi32(a, b), _mm256_max_epi32(c, d));
    let four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight));
    let two = _mm_max_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn first_of_magnitude<const N: usize>(x: &[f32; N], wanted: i32) -> f32 {
    let wanted = _mm256_set1_epi32(wanted);
    for eight in x.as_chunks::<8>().0 {
        let equal = _mm256_castsi256_ps(_mm256_cmpeq_epi32(magnitude(eight), wanted));
        let lanes = _mm256_movemask_ps(equal);
        if lanes != 0 {
            return eight[lanes.trailing_zeros() as usize & 7];
        }
    }
    0.0
}
