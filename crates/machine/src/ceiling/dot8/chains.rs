//! The loops: independent chains of dot products of bytes, each of which counts its products.
//!
//! All bytes are 1, so the sums count the products. With AVX512-VNNI a link is one `vpdpbusd`, which adds four products
//! to each 32-bit lane. Its latency is 4 or 5 cycles, and the widest machines start 2 per cycle: 24 chains of 32
//! registers keep them busy.
//!
//! Without VNNI a link is `vpmaddubsw`, which makes 16-bit sums of two products, and `vpaddw`, which collects them.
//! Every eighth time `vpmaddwd` and `vpaddd` widen what was collected: 8 · 2 · 15 · 127 is the largest sum of 4-bit
//! weights that 16 bits hold. A kernel that widens more often, as larger weights need, does more work for a product, so
//! this loop bounds it too. Only the additions depend on each other, with a latency of 1 cycle: 6 chains are enough,
//! and AVX2 has registers for no more.
//!
//! The instructions of a link are inline assembly: its products never change, and a compiler would compute them once.

use std::arch::{
    asm,
    x86_64::{
        __m256i, __m512i, _mm256_add_epi32, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_setzero_si256,
        _mm512_add_epi32, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_setzero_si512,
    },
};
use std::mem::transmute;

/// Links of every chain: tens of microseconds, so that reading the clock afterward costs less than 0.3 %.
pub(super) const ROUNDS: u32 = 1 << 14;

/// Links between two that widen.
const NARROW: u32 = 8;

/// A function that runs [`ROUNDS`] links of `$chains` chains of 16-bit sums, and returns their products.
macro_rules! widened {
    ($name:ident, $features:literal, $class:ident, $chains:literal x $vector:ident of $lanes:literal,
     $zero:ident, $bytes:ident, $words:ident, $add:ident) => {
        #[target_feature(enable = $features)]
        #[inline(never)]
        pub(super) fn $name() -> u64 {
            let (bytes, words) = ($bytes(1), $words(1));
            let mut sums = [$zero(); $chains];
            for _ in 0..ROUNDS / NARROW {
                let mut narrow = [$zero(); $chains];
                for _ in 0..NARROW {
                    for chain in &mut narrow {
                        let _products: $vector;
                        // SAFETY: the instructions are those of the enabled features, and touch registers alone.
                        unsafe {
                            asm!(
                                "vpmaddubsw {products}, {bytes}, {bytes}",
                                "vpaddw {chain}, {chain}, {products}",
                                products = out($class) _products,
                                bytes = in($class) bytes,
                                chain = inout($class) *chain,
                                options(nomem, nostack, preserves_flags),
                            );
                        }
                    }
                }
                for (sum, chain) in sums.iter_mut().zip(narrow) {
                    let _wide: $vector;
                    // SAFETY: as above.
                    unsafe {
                        asm!(
                            "vpmaddwd {wide}, {chain}, {words}",
                            "vpaddd {sum}, {sum}, {wide}",
                            wide = out($class) _wide,
                            chain = in($class) chain,
                            words = in($class) words,
                            sum = inout($class) *sum,
                            options(nomem, nostack, preserves_flags),
                        );
                    }
                }
            }
            let sum = sums.into_iter().fold($zero(), |sum, chain| $add(sum, chain));
            // SAFETY: a vector is so many i32 without padding; another number would not compile.
            let lanes = unsafe { transmute::<$vector, [i32; $lanes]>(sum) };
            lanes.iter().map(|&lane| lane as u64).sum()
        }
    };
}

widened!(avx2, "avx2", ymm_reg, 6 x __m256i of 8, _mm256_setzero_si256, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_add_epi32);
widened!(avx512, "avx512f,avx512bw", zmm_reg, 12 x __m512i of 16, _mm512_setzero_si512, _mm512_set1_epi8,
    _mm512_set1_epi16, _mm512_add_epi32);

/// Runs [`ROUNDS`] links of 24 chains of `vpdpbusd`, and returns their products.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline(never)]
pub(super) fn avx512_vnni() -> u64 {
    let bytes = _mm512_set1_epi8(1);
    let mut chains = [_mm512_setzero_si512(); 24];
    for _ in 0..ROUNDS {
        for chain in &mut chains {
            // SAFETY: the instruction is that of the enabled feature, and touches registers alone.
            unsafe {
                asm!(
                    "vpdpbusd {chain}, {bytes}, {bytes}",
                    bytes = in(zmm_reg) bytes,
                    chain = inout(zmm_reg) *chain,
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
    }
    // 24 chains count to 4 · 2^14 each.
    let sum = chains.into_iter().fold(_mm512_setzero_si512(), |sum, chain| _mm512_add_epi32(sum, chain));
    // SAFETY: a vector is so many i32 without padding; another number would not compile.
    let lanes = unsafe { transmute::<__m512i, [i32; 16]>(sum) };
    lanes.iter().map(|&lane| lane as u64).sum()
}
