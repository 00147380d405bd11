//! Products of 32 bytes with AVX2.

use std::arch::x86_64::*;

use machine::isa::Avx2;

use super::F32x8;
use crate::bytes::{ByteSimd, ByteVectorized};

/// For registers 0 to 3 of eight words in both halves: the bytes of word 2 at, then those of word 2 at + 1, over 16
/// bytes each.
static WORDS: [[u8; 32]; 4] = {
    let mut table = [[0; 32]; 4];
    let mut i = 0;
    while i < 4 * 32 {
        let (at, byte) = (i / 32, i % 32);
        table[at][byte] = (2 * (2 * at + byte / 16) + byte % 2) as u8;
        i += 1;
    }
    table
};

impl ByteSimd for Avx2 {
    const BYTES: usize = 32;
    const HAS_DOT: bool = false;
    type Register = __m256i;
    type Float = Avx2;

    #[inline(always)]
    fn float(self) -> Avx2 {
        self
    }

    #[inline]
    fn run_bytes<C: ByteVectorized>(self, code: C) -> C::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn compiled<C: ByteVectorized>(token: Avx2, code: C) -> C::Output {
            code.run(token)
        }
        // SAFETY: an `Avx2` exists only where avx2, fma and f16c were detected.
        unsafe { compiled(self, code) }
    }

    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> __m256i {
        // SAFETY: `self` proves AVX2; the caller promises 32 readable bytes, and the load has no alignment.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_16s(self, from: *const u8, stride: usize) -> __m256i {
        // SAFETY: `self` proves AVX2; the caller promises 16 readable bytes at both places.
        unsafe { _mm256_loadu2_m128i(from.add(stride).cast(), from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_32s(self, from: *const u8, _: usize) -> __m256i {
        // SAFETY: `self` proves AVX2; the caller promises 32 readable bytes, and the load has no alignment.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn repeat_4(self, from: *const u8) -> __m256i {
        // SAFETY: `self` proves AVX2; the caller promises 4 readable bytes.
        unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn repeat_16(self, from: *const u8) -> __m256i {
        // SAFETY: `self` proves AVX2; the caller promises 16 readable bytes.
        unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_groups(self, from: [*const u8; 4]) -> [__m256i; 2] {
        // SAFETY: `self` proves AVX2; the caller promises 16 readable bytes at the four places.
        unsafe {
            let low = _mm256_loadu2_m128i(from[1].cast(), from[0].cast());
            [low, _mm256_loadu2_m128i(from[3].cast(), from[2].cast())]
        }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, x: __m256i, to: *mut u8) {
        // SAFETY: `self` proves AVX2; the caller promises 32 writable bytes, and the store has no alignment.
        unsafe { _mm256_storeu_si256(to.cast(), x) }
    }

    #[inline(always)]
    fn zero(self) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn splat_byte(self, x: u8) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_set1_epi8(x as i8) }
    }

    #[inline(always)]
    fn splat_int(self, x: i32) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_set1_epi32(x) }
    }

    #[inline(always)]
    fn low_nibbles(self, x: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_and_si256(x, _mm256_set1_epi8(15)) }
    }

    #[inline(always)]
    fn high_nibbles(self, x: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_and_si256(_mm256_srli_epi16::<4>(x), _mm256_set1_epi8(15)) }
    }

    #[inline(always)]
    fn and(self, x: __m256i, y: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_and_si256(x, y) }
    }

    #[inline(always)]
    fn shift_words(self, x: __m256i, bits: u32) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_srl_epi16(x, _mm_cvtsi32_si128(bits.cast_signed())) }
    }

    #[inline(always)]
    fn or(self, x: __m256i, y: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_or_si256(x, y) }
    }

    #[inline(always)]
    fn xor(self, x: __m256i, y: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_xor_si256(x, y) }
    }

    #[inline(always)]
    fn shift_32s(self, x: __m256i, left: [i32; 2], at: usize) -> __m256i {
        let left = left[at % 2];
        let bits = left.unsigned_abs().cast_signed();
        // SAFETY: `self` proves AVX2.
        unsafe {
            let bits = _mm_cvtsi32_si128(bits);
            if left >= 0 { _mm256_sll_epi16(x, bits) } else { _mm256_srl_epi16(x, bits) }
        }
    }

    #[inline(always)]
    fn mul_pairs(self, unsigned: __m256i, signed: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_maddubs_epi16(unsigned, signed) }
    }

    #[inline(always)]
    fn add_words(self, x: __m256i, y: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_add_epi16(x, y) }
    }

    #[inline(always)]
    fn dot_words(self, x: __m256i, y: __m256i, sum: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(x, y)) }
    }

    #[inline(always)]
    fn dot_bytes(self, unsigned: __m256i, signed: __m256i, sum: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        let ones = unsafe { _mm256_set1_epi16(1) };
        self.dot_words(self.mul_pairs(unsigned, signed), ones, sum)
    }

    #[inline(always)]
    fn move_sign(self, x: __m256i, y: __m256i) -> [__m256i; 2] {
        // SAFETY: `self` proves AVX2.
        unsafe { [_mm256_abs_epi8(x), _mm256_sign_epi8(y, x)] }
    }

    #[inline(always)]
    fn shuffle_bytes(self, x: __m256i, index: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_shuffle_epi8(x, index) }
    }

    #[inline(always)]
    fn repeat_group(self, x: __m256i, group: usize) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe {
            match group % 2 {
                0 => _mm256_permute2x128_si256::<0x00>(x, x),
                _ => _mm256_permute2x128_si256::<0x11>(x, x),
            }
        }
    }

    #[inline(always)]
    fn spread_words(self, table: &[i16; 16], at: usize) -> __m256i {
        let (index, eight) = (&WORDS[at % 4], &table.as_chunks::<8>().0[at / 4]);
        // SAFETY: `self` proves AVX2; both references are to as many bytes as are read.
        unsafe {
            let words = _mm256_broadcastsi128_si256(_mm_loadu_si128(eight.as_ptr().cast()));
            _mm256_shuffle_epi8(words, _mm256_loadu_si256(index.as_ptr().cast()))
        }
    }

    #[inline(always)]
    fn narrow_ints(self, x: __m256i, y: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_packs_epi32(x, y) }
    }

    #[inline(always)]
    fn spread_narrow(self, table: &[i16; 16], at: usize) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let [a, b, c, d] = [0, 1, 2, 3].map(|word| _mm_set1_epi16(table[4 * at % 16 + word]));
            _mm256_set_m128i(_mm_unpacklo_epi64(b, d), _mm_unpacklo_epi64(a, c))
        }
    }

    #[inline(always)]
    fn sub_bytes(self, x: __m256i, y: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_sub_epi8(x, y) }
    }

    #[inline(always)]
    fn halves_to_floats(self, halves: [u16; 8]) -> [f32; 8] {
        let mut floats = [0.0; 8];
        // SAFETY: `self` proves F16C; both arrays are as long as what is read and written.
        unsafe {
            let halves = _mm_loadu_si128(halves.as_ptr().cast());
            _mm256_storeu_ps(floats.as_mut_ptr(), _mm256_cvtph_ps(halves));
        }
        floats
    }

    #[inline(always)]
    fn dot_sixteen_words(self, x: &[i16; 16], y: &[i16; 16]) -> __m256i {
        // SAFETY: `self` proves AVX2; both references are to the 32 bytes that are read.
        unsafe { _mm256_madd_epi16(_mm256_loadu_si256(x.as_ptr().cast()), _mm256_loadu_si256(y.as_ptr().cast())) }
    }

    #[inline(always)]
    fn add_ints(self, x: __m256i, y: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_add_epi32(x, y) }
    }

    #[inline(always)]
    fn mul_ints(self, x: __m256i, y: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_mullo_epi32(x, y) }
    }

    #[inline(always)]
    fn sums_of_groups(self, [a, b, c, d]: [__m256i; 4]) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
            let cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
            _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd))
        }
    }

    #[inline(always)]
    fn add_neighbors(self, x: __m256i, y: __m256i) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let even = _mm256_permute2x128_si256::<0x20>(x, y);
            _mm256_add_epi32(even, _mm256_permute2x128_si256::<0x31>(x, y))
        }
    }

    #[inline(always)]
    fn add_groups(self, x: __m256i) -> [i32; 4] {
        // SAFETY: `self` proves AVX2.
        four_ints(unsafe { _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x)) })
    }

    #[inline(always)]
    fn sums_of_four(self, [x, y]: [__m256i; 2]) -> [i32; 4] {
        // SAFETY: `self` proves AVX2.
        four_ints(unsafe {
            // Sums of x's first group, y's first group, the same again, then those of the second groups.
            let pairs = _mm256_hadd_epi32(x, y);
            let sums = _mm256_hadd_epi32(pairs, pairs);
            let order = _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5);
            _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(sums, order))
        })
    }

    #[inline(always)]
    fn four_to_floats(self, x: [i32; 4]) -> [f32; 4] {
        // SAFETY: `self` proves AVX2; the reference is to the 16 bytes that are read.
        four_floats(unsafe { _mm_cvtepi32_ps(_mm_loadu_si128(x.as_ptr().cast())) })
    }

    #[inline(always)]
    fn four_times(self, x: [f32; 4], factor: f32) -> [f32; 4] {
        // SAFETY: `self` proves AVX2; the reference is to the four floats that are read.
        four_floats(unsafe { _mm_mul_ps(_mm_loadu_ps(x.as_ptr()), _mm_set1_ps(factor)) })
    }

    #[inline(always)]
    fn four_mul_add(self, x: [f32; 4], y: [f32; 4], z: [f32; 4]) -> [f32; 4] {
        // SAFETY: `self` proves FMA; the references are to the four floats that are read.
        four_floats(unsafe {
            _mm_fmadd_ps(_mm_loadu_ps(x.as_ptr()), _mm_loadu_ps(y.as_ptr()), _mm_loadu_ps(z.as_ptr()))
        })
    }

    #[inline(always)]
    fn ints_to_floats(self, x: __m256i) -> F32x8 {
        // SAFETY: `self` proves AVX2.
        F32x8::from_lanes(self, unsafe { _mm256_cvtepi32_ps(x) })
    }
}

/// The numbers of half a register.
#[inline(always)]
pub(crate) fn four_ints(x: __m128i) -> [i32; 4] {
    let mut ints = [0; 4];
    // SAFETY: SSE2 is a part of x86-64; the reference is to the 16 bytes that are written.
    unsafe { _mm_storeu_si128(ints.as_mut_ptr().cast(), x) };
    ints
}

/// The numbers of half a register.
#[inline(always)]
fn four_floats(x: __m128) -> [f32; 4] {
    let mut floats = [0.0; 4];
    // SAFETY: SSE is a part of x86-64; the reference is to the four floats that are written.
    unsafe { _mm_storeu_ps(floats.as_mut_ptr(), x) };
    floats
}
