//! The loops: independent chains of multiply-adds on registers, each of which counts its links.
//!
//! A link is a ← x·y + a, the instruction of a matrix kernel's inner loop, with x = y = 1, hidden from the compiler. So
//! a counts the links, exactly: f32 counts to 2^24. A fused link takes 4 or 5 cycles, and the widest machines start 2
//! (x86) or 4 (Arm) per cycle: 10 and 20 chains keep them busy. 12 of 16 registers serve for AVX2, 24 of 32 for AVX-512
//! and NEON.
//!
//! Rust never fuses by itself, so the limit of portable code is a link of two instructions. It is a ← a·x + x: in a ←
//! x·x + a the product never changes, and the compiler would compute it once. Such a link takes 5 to 8 cycles, and 14
//! chains give the 2 links per cycle that the widest machines can start.

use std::hint::black_box;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::mem::transmute;

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::{float32x4_t, vaddq_f32, vdupq_n_f32, vfmaq_f32, vmulq_f32};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m128, __m256, __m512, _mm_add_ps, _mm_mul_ps, _mm_set1_ps, _mm256_add_ps, _mm256_fmadd_ps, _mm256_mul_ps,
    _mm256_set1_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_mul_ps, _mm512_set1_ps,
};

/// Links of every chain: tens of microseconds, so that reading the clock afterward costs less than 0.3 %.
pub(super) const ROUNDS: u32 = 1 << 14;

/// A function that runs [`ROUNDS`] rounds of `$link` over `$chains` registers `$vector` of `$lanes` f32, and returns
/// the links of all chains and lanes together.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! chains {
    ($name:ident, $features:literal, $chains:literal x $vector:ident of $lanes:literal, $splat:ident, $add:ident,
     |$a:ident, $x:ident| $link:expr) => {
        #[target_feature(enable = $features)]
        #[inline(never)]
        pub(super) fn $name(one: f32) -> u64 {
            let ($x, zero) = ($splat(one), $splat(0.0));
            // Opaque: the compiler would merge chains that it knows to be equal.
            let mut chains = black_box([zero; $chains]);
            for _ in 0..ROUNDS {
                for chain in &mut chains {
                    let $a = *chain;
                    *chain = $link;
                }
            }
            let sum = chains.into_iter().fold(zero, |sum, chain| $add(sum, chain));
            // SAFETY: a vector is so many f32 without padding; another number would not compile.
            let lanes = unsafe { transmute::<$vector, [f32; $lanes]>(sum) };
            // Exact: 24 chains of 16 lanes count to less than 2^24 together.
            lanes.iter().sum::<f32>() as u64
        }
    };
}

#[cfg(target_arch = "x86_64")]
chains!(avx2, "avx2,fma,f16c", 12 x __m256 of 8, _mm256_set1_ps, _mm256_add_ps, |a, x| _mm256_fmadd_ps(x, x, a));
#[cfg(target_arch = "x86_64")]
chains!(avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c", 24 x __m512 of 16, _mm512_set1_ps, _mm512_add_ps,
    |a, x| _mm512_fmadd_ps(x, x, a));
#[cfg(target_arch = "aarch64")]
chains!(neon, "neon", 24 x float32x4_t of 4, vdupq_n_f32, vaddq_f32, |a, x| vfmaq_f32(a, x, x));

// What portable code may use: the baseline of the target, which `-C target-cpu` raises.
#[cfg(target_arch = "x86_64")]
chains!(baseline_128, "sse2", 14 x __m128 of 4, _mm_set1_ps, _mm_add_ps, |a, x| _mm_add_ps(_mm_mul_ps(a, x), x));
#[cfg(target_arch = "x86_64")]
chains!(baseline_256, "avx", 14 x __m256 of 8, _mm256_set1_ps, _mm256_add_ps, |a, x| _mm256_add_ps(_mm256_mul_ps(a, x), x));
#[cfg(target_arch = "x86_64")]
chains!(baseline_512, "avx512f", 14 x __m512 of 16, _mm512_set1_ps, _mm512_add_ps, |a, x| _mm512_add_ps(_mm512_mul_ps(a, x), x));
#[cfg(target_arch = "aarch64")]
chains!(baseline_128, "neon", 14 x float32x4_t of 4, vdupq_n_f32, vaddq_f32, |a, x| vaddq_f32(vmulq_f32(a, x), x));

/// Lanes of [`scalar`]'s vectors.
#[cfg(any(target_arch = "x86_64", test))]
pub(super) const BASELINE_LANES: usize = if cfg!(target_feature = "avx512f") {
    16
} else if cfg!(target_feature = "avx") {
    8
} else if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
    4
} else {
    1
};

/// The loop that bounds portable code, with the vectors of the target's baseline.
#[cfg(target_arch = "x86_64")]
pub(super) fn scalar(one: f32) -> u64 {
    match BASELINE_LANES {
        // SAFETY: this width is chosen only where the whole program is compiled for AVX-512.
        16 => unsafe { baseline_512(one) },
        // SAFETY: this width is chosen only where the whole program is compiled for AVX.
        8 => unsafe { baseline_256(one) },
        // SAFETY: every x86-64 processor has SSE2.
        _ => unsafe { baseline_128(one) },
    }
}

/// The loop that bounds portable code, with the vectors of the target's baseline.
#[cfg(target_arch = "aarch64")]
pub(super) fn scalar(one: f32) -> u64 {
    // SAFETY: every aarch64 target of the standard library has NEON.
    unsafe { baseline_128(one) }
}

/// The loop that bounds portable code; here the compiler chooses.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn scalar(one: f32) -> u64 {
    let mut chains = black_box([0f32; 14]);
    for _ in 0..ROUNDS {
        for chain in &mut chains {
            *chain = *chain * one + one;
        }
    }
    chains.iter().sum::<f32>() as u64
}
