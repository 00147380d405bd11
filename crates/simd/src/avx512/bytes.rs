//! Products of 64 bytes with AVX-512 BW, and with VNNI, which forms sums of products in one instruction.

use std::arch::x86_64::*;

use machine::isa::{Avx512, Avx512Vnni};

use super::F32x16;
use crate::avx2::bytes::four_ints;
use crate::bytes::{ByteSimd, ByteVectorized};

/// For registers 0 to 3 of sixteen words: word 4 at + g over the eight words of lane group g.
static WORDS: [[i16; 32]; 4] = {
    let mut table = [[0; 32]; 4];
    let mut i = 0;
    while i < 4 * 32 {
        let (at, word) = (i / 32, i % 32);
        table[at][word] = (4 * at + word / 8) as i16;
        i += 1;
    }
    table
};

/// For registers 0 and 1 of narrow integers: word 8 at + g over the first four words of lane group g, and word
/// 8 at + 4 + g over the others.
static NARROW: [[i16; 32]; 2] = {
    let mut table = [[0; 32]; 2];
    let mut i = 0;
    while i < 2 * 32 {
        let (at, word) = (i / 32, i % 32);
        table[at][word] = (8 * at + word % 8 / 4 * 4 + word / 8) as i16;
        i += 1;
    }
    table
};

/// Everything but the sums of products, which differ.
macro_rules! byte_simd {
    (
        $token:ident,
        $features:literal,
        $avx512:expr,
        has_dot: $has_dot:literal,
        ($x:ident, $y:ident, $sum:ident) => $dot_words:expr,
        $dot_bytes:expr
    ) => {
        impl ByteSimd for $token {
            const BYTES: usize = 64;
            const HAS_DOT: bool = $has_dot;
            type Register = __m512i;
            type Float = Avx512;

            #[inline(always)]
            fn float(self) -> Avx512 {
                $avx512(self)
            }

            #[inline]
            fn run_bytes<C: ByteVectorized>(self, code: C) -> C::Output {
                #[target_feature(enable = $features)]
                fn compiled<C: ByteVectorized>(token: $token, code: C) -> C::Output {
                    code.run(token)
                }
                // SAFETY: the token exists only where all of these features were detected.
                unsafe { compiled(self, code) }
            }

            #[inline(always)]
            unsafe fn load_bytes(self, from: *const u8) -> __m512i {
                // SAFETY: `self` proves AVX-512F; the caller promises 64 readable bytes; the load has no alignment.
                unsafe { _mm512_loadu_si512(from.cast()) }
            }

            #[inline(always)]
            unsafe fn load_16s(self, from: *const u8, stride: usize) -> __m512i {
                // SAFETY: `self` proves AVX-512F; the caller promises 16 readable bytes at the four places.
                unsafe {
                    let upper = from.add(2 * stride);
                    let low = _mm256_loadu2_m128i(from.add(stride).cast(), from.cast());
                    let high = _mm256_loadu2_m128i(upper.add(stride).cast(), upper.cast());
                    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
                }
            }

            #[inline(always)]
            unsafe fn load_32s(self, from: *const u8, stride: usize) -> __m512i {
                // SAFETY: `self` proves AVX-512F; the caller promises 32 readable bytes at both places.
                unsafe {
                    let low = _mm256_loadu_si256(from.cast());
                    if stride == 0 {
                        return _mm512_broadcast_i64x4(low);
                    }
                    let high = _mm256_loadu_si256(from.add(stride).cast());
                    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
                }
            }

            #[inline(always)]
            unsafe fn repeat_4(self, from: *const u8) -> __m512i {
                // SAFETY: `self` proves AVX-512F; the caller promises 4 readable bytes.
                unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
            }

            #[inline(always)]
            unsafe fn repeat_16(self, from: *const u8) -> __m512i {
                // SAFETY: `self` proves AVX-512F; the caller promises 16 readable bytes.
                unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(from.cast())) }
            }

            #[inline(always)]
            unsafe fn load_groups(self, from: [*const u8; 4]) -> [__m512i; 2] {
                // SAFETY: `self` proves AVX-512F; the caller promises 16 readable bytes at the four places.
                let groups = unsafe {
                    let low = _mm256_loadu2_m128i(from[1].cast(), from[0].cast());
                    let high = _mm256_loadu2_m128i(from[3].cast(), from[2].cast());
                    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
                };
                [groups, self.zero()]
            }

            #[inline(always)]
            unsafe fn store_bytes(self, x: __m512i, to: *mut u8) {
                // SAFETY: `self` proves AVX-512F; the caller promises 64 writable bytes; the store has no alignment.
                unsafe { _mm512_storeu_si512(to.cast(), x) }
            }

            #[inline(always)]
            fn zero(self) -> __m512i {
                // SAFETY: `self` proves AVX-512F.
                unsafe { _mm512_setzero_si512() }
            }

            #[inline(always)]
            fn splat_byte(self, x: u8) -> __m512i {
                // SAFETY: `self` proves AVX-512F.
                unsafe { _mm512_set1_epi8(x as i8) }
            }

            #[inline(always)]
            fn splat_int(self, x: i32) -> __m512i {
                // SAFETY: `self` proves AVX-512F.
                unsafe { _mm512_set1_epi32(x) }
            }

            #[inline(always)]
            fn low_nibbles(self, x: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512F.
                unsafe { _mm512_and_si512(x, _mm512_set1_epi8(15)) }
            }

            #[inline(always)]
            fn high_nibbles(self, x: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512BW.
                unsafe { _mm512_and_si512(_mm512_srli_epi16::<4>(x), _mm512_set1_epi8(15)) }
            }

            #[inline(always)]
            fn and(self, x: __m512i, y: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512F.
                unsafe { _mm512_and_si512(x, y) }
            }

            #[inline(always)]
            fn shift_words(self, x: __m512i, bits: u32) -> __m512i {
                // SAFETY: `self` proves AVX-512BW.
                unsafe { _mm512_srl_epi16(x, _mm_cvtsi32_si128(bits.cast_signed())) }
            }

            #[inline(always)]
            fn or(self, x: __m512i, y: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512F.
                unsafe { _mm512_or_si512(x, y) }
            }

            #[inline(always)]
            fn xor(self, x: __m512i, y: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512F.
                unsafe { _mm512_xor_si512(x, y) }
            }

            #[inline(always)]
            fn shift_32s(self, x: __m512i, [first, second]: [i32; 2], _: usize) -> __m512i {
                // SAFETY: `self` proves AVX-512BW.
                unsafe {
                    let bits = |first, second| {
                        let [first, second] = [_mm256_set1_epi16(first as i16), _mm256_set1_epi16(second as i16)];
                        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second)
                    };
                    if first >= 0 && second >= 0 {
                        _mm512_sllv_epi16(x, bits(first, second))
                    } else {
                        _mm512_srlv_epi16(x, bits(-first, -second))
                    }
                }
            }

            #[inline(always)]
            fn mul_pairs(self, unsigned: __m512i, signed: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512BW.
                unsafe { _mm512_maddubs_epi16(unsigned, signed) }
            }

            #[inline(always)]
            fn add_words(self, x: __m512i, y: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512BW.
                unsafe { _mm512_add_epi16(x, y) }
            }

            #[inline(always)]
            fn dot_words(self, $x: __m512i, $y: __m512i, $sum: __m512i) -> __m512i {
                // SAFETY: `self` proves the instructions that it is made of.
                unsafe { $dot_words }
            }

            #[inline(always)]
            fn dot_bytes(self, $x: __m512i, $y: __m512i, $sum: __m512i) -> __m512i {
                // SAFETY: `self` proves the instructions that it is made of.
                unsafe { $dot_bytes }
            }

            #[inline(always)]
            fn move_sign(self, x: __m512i, y: __m512i) -> [__m512i; 2] {
                // SAFETY: `self` proves AVX-512BW.
                unsafe {
                    let is_negative = _mm512_movepi8_mask(x);
                    [_mm512_abs_epi8(x), _mm512_mask_sub_epi8(y, is_negative, _mm512_setzero_si512(), y)]
                }
            }

            #[inline(always)]
            fn shuffle_bytes(self, x: __m512i, index: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512BW.
                unsafe { _mm512_shuffle_epi8(x, index) }
            }

            #[inline(always)]
            fn repeat_group(self, x: __m512i, group: usize) -> __m512i {
                // SAFETY: `self` proves AVX-512F.
                unsafe {
                    match group % 4 {
                        0 => _mm512_shuffle_i32x4::<0x00>(x, x),
                        1 => _mm512_shuffle_i32x4::<0x55>(x, x),
                        2 => _mm512_shuffle_i32x4::<0xaa>(x, x),
                        _ => _mm512_shuffle_i32x4::<0xff>(x, x),
                    }
                }
            }

            #[inline(always)]
            fn spread_words(self, table: &[i16; 16], at: usize) -> __m512i {
                // SAFETY: `self` proves AVX-512BW; both references are to as many bytes as are read.
                unsafe {
                    let words = _mm512_castsi256_si512(_mm256_loadu_si256(table.as_ptr().cast()));
                    _mm512_permutexvar_epi16(_mm512_loadu_si512(WORDS[at].as_ptr().cast()), words)
                }
            }

            #[inline(always)]
            fn narrow_ints(self, x: __m512i, y: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512BW.
                unsafe { _mm512_packs_epi32(x, y) }
            }

            #[inline(always)]
            fn spread_narrow(self, table: &[i16; 16], at: usize) -> __m512i {
                // SAFETY: `self` proves AVX-512BW; both references are to as many bytes as are read.
                unsafe {
                    let words = _mm512_castsi256_si512(_mm256_loadu_si256(table.as_ptr().cast()));
                    _mm512_permutexvar_epi16(_mm512_loadu_si512(NARROW[at].as_ptr().cast()), words)
                }
            }

            #[inline(always)]
            fn sub_bytes(self, x: __m512i, y: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512BW.
                unsafe { _mm512_sub_epi8(x, y) }
            }

            #[inline(always)]
            fn halves_to_floats(self, halves: [u16; 8]) -> [f32; 8] {
                self.float().avx2().halves_to_floats(halves)
            }

            #[inline(always)]
            fn dot_sixteen_words(self, x: &[i16; 16], y: &[i16; 16]) -> __m512i {
                // SAFETY: `self` proves AVX-512F; both references are to the 32 bytes that are read.
                unsafe {
                    let (x, y) = (x.as_ptr().cast(), y.as_ptr().cast());
                    _mm512_zextsi256_si512(_mm256_madd_epi16(_mm256_loadu_si256(x), _mm256_loadu_si256(y)))
                }
            }

            #[inline(always)]
            fn add_ints(self, x: __m512i, y: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512F.
                unsafe { _mm512_add_epi32(x, y) }
            }

            #[inline(always)]
            fn mul_ints(self, x: __m512i, y: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512F.
                unsafe { _mm512_mullo_epi32(x, y) }
            }

            #[inline(always)]
            fn sums_of_groups(self, [a, b, c, d]: [__m512i; 4]) -> __m512i {
                // SAFETY: `self` proves AVX-512F.
                unsafe {
                    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
                    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
                    _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd))
                }
            }

            #[inline(always)]
            fn add_neighbors(self, x: __m512i, y: __m512i) -> __m512i {
                // SAFETY: `self` proves AVX-512F.
                unsafe {
                    let even = _mm512_shuffle_i32x4::<0b10_00_10_00>(x, y);
                    _mm512_add_epi32(even, _mm512_shuffle_i32x4::<0b11_01_11_01>(x, y))
                }
            }

            #[inline(always)]
            fn add_groups(self, x: __m512i) -> [i32; 4] {
                // SAFETY: `self` proves AVX-512F.
                let half = unsafe { _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64::<1>(x)) };
                self.float().avx2().add_groups(half)
            }

            #[inline(always)]
            fn sums_of_four(self, [x, _]: [__m512i; 2]) -> [i32; 4] {
                // SAFETY: `self` proves AVX-512F.
                four_ints(unsafe {
                    let x = _mm512_add_epi32(x, _mm512_shuffle_epi32::<0b01_00_11_10>(x));
                    let x = _mm512_add_epi32(x, _mm512_shuffle_epi32::<0b10_11_00_01>(x));
                    let first = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
                    _mm512_castsi512_si128(_mm512_permutexvar_epi32(first, x))
                })
            }

            #[inline(always)]
            fn four_to_floats(self, x: [i32; 4]) -> [f32; 4] {
                self.float().avx2().four_to_floats(x)
            }

            #[inline(always)]
            fn four_times(self, x: [f32; 4], factor: f32) -> [f32; 4] {
                self.float().avx2().four_times(x, factor)
            }

            #[inline(always)]
            fn four_mul_add(self, x: [f32; 4], y: [f32; 4], z: [f32; 4]) -> [f32; 4] {
                self.float().avx2().four_mul_add(x, y, z)
            }

            #[inline(always)]
            fn ints_to_floats(self, x: __m512i) -> F32x16 {
                // SAFETY: `self` proves AVX-512F.
                F32x16 { lanes: unsafe { _mm512_cvtepi32_ps(x) }, token: self.float() }
            }
        }
    };
}

byte_simd!(
    Avx512,
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c",
    std::convert::identity,
    has_dot: false,
    (x, y, sum) => _mm512_add_epi32(sum, _mm512_madd_epi16(x, y)),
    _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(x, y), _mm512_set1_epi16(1)))
);

byte_simd!(
    Avx512Vnni,
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c",
    Avx512Vnni::avx512,
    has_dot: true,
    (x, y, sum) => _mm512_dpwssd_epi32(sum, x, y),
    _mm512_dpbusd_epi32(sum, x, y)
);
