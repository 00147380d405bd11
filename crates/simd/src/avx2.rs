//! Eight lanes with AVX2, FMA and F16C.

pub(crate) mod bytes;
mod integer;

use std::{
    arch::x86_64::*,
    ops::{Add, Div, Mul, Sub},
};

use machine::isa::Avx2;

use crate::{
    element::Element,
    vector::{F32Vector, Simd, Vectorized},
};

pub use integer::{I8x32, I32x8};

/// Eight floats, and the proof that the machine computes with them.
#[derive(Debug, Clone, Copy)]
pub struct F32x8 {
    lanes: __m256,
    token: Avx2,
}

/// -1 eight times, then 0 eight times: the 8 from element 8 - n on are a mask of the first n lanes.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// All bits of the first `lanes` lanes.
#[inline(always)]
fn mask(_: Avx2, lanes: usize) -> __m256i {
    // SAFETY: the token proves AVX2. At most 8 elements are skipped of 16, and 8 are read.
    unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - lanes.min(8)).cast()) }
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    type F32 = F32x8;
    type I8 = I8x32;
    type I32 = I32x8;

    #[inline]
    fn run<C: Vectorized>(self, code: C) -> C::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn compiled<C: Vectorized>(token: Avx2, code: C) -> C::Output {
            code.run(token)
        }
        // SAFETY: an `Avx2` exists only where avx2, fma and f16c were detected.
        unsafe { compiled(self, code) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32x8 {
        // SAFETY: `self` proves AVX2.
        F32x8 { lanes: unsafe { _mm256_set1_ps(x) }, token: self }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> F32x8 {
        // SAFETY: `self` proves AVX2; the caller promises 8 readable floats, and the load has no alignment.
        F32x8 { lanes: unsafe { _mm256_loadu_ps(from) }, token: self }
    }

    #[inline(always)]
    unsafe fn load_partial(self, from: *const f32, lanes: usize) -> F32x8 {
        // SAFETY: `self` proves AVX2; a lane that is not in the mask is not read.
        F32x8 { lanes: unsafe { _mm256_maskload_ps(from, mask(self, lanes)) }, token: self }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> F32x8 {
        // SAFETY: `self` proves F16C; the caller promises 16 readable bytes, and the load has no alignment.
        F32x8 { lanes: unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }, token: self }
    }

    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u16) -> F32x8 {
        // SAFETY: `self` proves AVX2; the caller promises 16 readable bytes, and the load has no alignment.
        let bits = unsafe { _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()))) };
        // SAFETY: `self` proves AVX2.
        F32x8 { lanes: unsafe { _mm256_castsi256_ps(bits) }, token: self }
    }

    #[inline(always)]
    fn splat_i32(self, x: i32) -> I32x8 {
        I32x8::splat(self, x)
    }

    #[inline(always)]
    unsafe fn load_i8(self, from: *const i8) -> I8x32 {
        // SAFETY: the caller promises 32 readable bytes.
        unsafe { I8x32::load(self, from) }
    }

    #[inline(always)]
    unsafe fn transpose_4x8<E: Element>(self, from: *const E, from_stride: isize, to: *mut f32, to_stride: usize) {
        // SAFETY: the promises of the caller are the same.
        unsafe { transpose_4x8(self, from, from_stride, to, to_stride) }
    }
}

/// Each half of a vector is transposed as 4 x 4.
///
/// ```text
///   r0: a0 a1 a2 a3 | a4 ..      unpack r0,r1 and r2,r3: a0 b0 a1 b1 | a4 ..   c0 d0 c1 d1 | c4 ..
///   r1: b0 b1 b2 b3 | b4 ..      and their low and high pairs:       a0 b0 c0 d0 | a4 b4 c4 d4  = steps 0 and 4
///   r2: c0 ..   r3: d0 ..
/// ```
///
/// # Safety
/// 8 adjacent elements can be read at `from` plus 0, 1, 2 and 3 times `from_stride`; 4 adjacent floats can be written
/// at `to` plus 0, 1, .. 7 times `to_stride`.
#[inline(always)]
pub(crate) unsafe fn transpose_4x8<E: Element>(
    token: Avx2,
    from: *const E,
    from_stride: isize,
    to: *mut f32,
    to_stride: usize,
) {
    // SAFETY: the caller promises that these four rows of 8 elements can be read.
    let [r0, r1, r2, r3] = unsafe {
        [
            E::load(token, from).lanes,
            E::load(token, from.offset(from_stride)).lanes,
            E::load(token, from.offset(2 * from_stride)).lanes,
            E::load(token, from.offset(3 * from_stride)).lanes,
        ]
    };
    // SAFETY: `token` proves AVX2; the caller promises that these eight rows of 4 floats can be written.
    unsafe {
        let (low01, low23) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpacklo_ps(r2, r3));
        let (high01, high23) = (_mm256_unpackhi_ps(r0, r1), _mm256_unpackhi_ps(r2, r3));
        let pairs = [
            _mm256_shuffle_ps::<0b01_00_01_00>(low01, low23),
            _mm256_shuffle_ps::<0b11_10_11_10>(low01, low23),
            _mm256_shuffle_ps::<0b01_00_01_00>(high01, high23),
            _mm256_shuffle_ps::<0b11_10_11_10>(high01, high23),
        ];
        let mut p = 0;
        while p < 4 {
            _mm_storeu_ps(to.add(p * to_stride), _mm256_castps256_ps128(pairs[p]));
            _mm_storeu_ps(to.add((p + 4) * to_stride), _mm256_extractf128_ps::<1>(pairs[p]));
            p += 1;
        }
    }
}

impl F32x8 {
    #[inline(always)]
    fn with(self, lanes: __m256) -> Self {
        Self { lanes, ..self }
    }
}

/// An operator that is one instruction.
macro_rules! operator {
    ($trait:ident, $method:ident, $instruction:ident) => {
        impl $trait for F32x8 {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: the token in `self` proves AVX2.
                self.with(unsafe { $instruction(self.lanes, other.lanes) })
            }
        }
    };
}
operator!(Add, add, _mm256_add_ps);
operator!(Sub, sub, _mm256_sub_ps);
operator!(Mul, mul, _mm256_mul_ps);
operator!(Div, div, _mm256_div_ps);

impl F32Vector for F32x8 {
    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: the token in `self` proves FMA.
        self.with(unsafe { _mm256_fmadd_ps(self.lanes, factor.lanes, sum.lanes) })
    }

    /// The instruction gives its second operand where one is a NaN.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: the token in `self` proves AVX2.
        self.with(unsafe { _mm256_max_ps(other.lanes, self.lanes) })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: the token in `self` proves AVX2.
        self.with(unsafe { _mm256_min_ps(other.lanes, self.lanes) })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: the token in `self` proves AVX2.
        self.with(unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.lanes) })
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        // SAFETY: the token in `self` proves AVX2.
        let sign = unsafe { _mm256_and_ps(_mm256_set1_ps(-0.0), sign.lanes) };
        // SAFETY: the token in `self` proves AVX2.
        self.with(unsafe { _mm256_or_ps(self.abs().lanes, sign) })
    }

    #[inline(always)]
    fn round_ties_even(self) -> Self {
        // SAFETY: the token in `self` proves AVX2.
        self.with(unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.lanes) })
    }

    /// Multiplies by two powers of two, because 2^n itself may be below the normal range.
    #[inline(always)]
    fn ldexp(self, n: Self) -> Self {
        // SAFETY: the token in `self` proves AVX2.
        let [first, second] = unsafe {
            let n = _mm256_cvtps_epi32(n.lanes);
            let half = _mm256_srai_epi32::<1>(n);
            let bias = _mm256_set1_epi32(127);
            let first = _mm256_slli_epi32::<23>(_mm256_add_epi32(half, bias));
            let second = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_sub_epi32(n, half), bias));
            [_mm256_castsi256_ps(first), _mm256_castsi256_ps(second)]
        };
        self * self.with(first) * self.with(second)
    }

    /// n is whole, and at least -127.
    #[inline(always)]
    fn split_exp2(self) -> (Self, Self) {
        // SAFETY: the token in `self` proves AVX2.
        let bounded = self.max(self.with(unsafe { _mm256_set1_ps(-127.0) }));
        // SAFETY: the token in `self` proves AVX2.
        let n = self.with(unsafe { _mm256_floor_ps(bounded.lanes) });
        (bounded - n, n)
    }

    /// The bits of 2^n are its biased exponent alone, and those of 0 for n = -127.
    #[inline(always)]
    fn scale_exp2(self, n: Self) -> Self {
        // SAFETY: the token in `self` proves AVX2.
        let power = unsafe {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n.lanes), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
        };
        self * self.with(power)
    }

    #[inline(always)]
    fn select_negative(self, negative: Self, other: Self) -> Self {
        // SAFETY: the token in `self` proves AVX2.
        self.with(unsafe { _mm256_blendv_ps(other.lanes, negative.lanes, self.lanes) })
    }

    #[inline(always)]
    fn reduce_sum(self) -> f32 {
        // SAFETY: the token in `self` proves AVX2.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(self.lanes), _mm256_extractf128_ps::<1>(self.lanes));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    /// Two vectors share a register after the first addition, and all four after the second.
    #[inline(always)]
    fn reduce_sums([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        let mut sums = [0.0; 4];
        // SAFETY: the tokens in the vectors prove AVX2; four floats are stored to an array of four.
        unsafe {
            let [a, b, c, d] = [
                _mm_add_ps(_mm256_castps256_ps128(a.lanes), _mm256_extractf128_ps::<1>(a.lanes)),
                _mm_add_ps(_mm256_castps256_ps128(b.lanes), _mm256_extractf128_ps::<1>(b.lanes)),
                _mm_add_ps(_mm256_castps256_ps128(c.lanes), _mm256_extractf128_ps::<1>(c.lanes)),
                _mm_add_ps(_mm256_castps256_ps128(d.lanes), _mm256_extractf128_ps::<1>(d.lanes)),
            ];
            let ab = _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
            let cd = _mm_add_ps(_mm_movelh_ps(c, d), _mm_movehl_ps(d, c));
            // Lanes 0 and 2 of both, and 1 and 3 of both.
            let (even, odd) = (_mm_shuffle_ps::<0b10_00_10_00>(ab, cd), _mm_shuffle_ps::<0b11_01_11_01>(ab, cd));
            _mm_storeu_ps(sums.as_mut_ptr(), _mm_add_ps(even, odd));
        }
        sums
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the token in `self` proves AVX2; the caller promises 8 writable floats, and the store has no
        // alignment.
        unsafe { _mm256_storeu_ps(to, self.lanes) }
    }

    /// Masked stores are slow on some processors, so a whole vector is stored without a mask.
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, lanes: usize) {
        // SAFETY: the token in `self` proves AVX2; lanes that are not in the mask are not written.
        unsafe {
            match lanes >= 8 {
                true => _mm256_storeu_ps(to, self.lanes),
                false => _mm256_maskstore_ps(to, mask(self.token, lanes), self.lanes),
            }
        }
    }

    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u16) {
        // SAFETY: the token in `self` proves F16C; the caller promises 16 writable bytes, and the store has no
        // alignment.
        unsafe { _mm_storeu_si128(to.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.lanes)) }
    }

    /// Adds half of the last kept place, less one unit where that place is even. A NaN is made quiet instead, because
    /// its fraction could carry into infinity.
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) {
        // SAFETY: the token in `self` proves AVX2; the caller promises 16 writable bytes, and the store has no
        // alignment.
        unsafe {
            let bits = _mm256_castps_si256(self.lanes);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
            let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
            let is_nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(self.lanes, self.lanes));
            let upper = _mm256_srli_epi32::<16>(_mm256_blendv_epi8(rounded, quiet, is_nan));
            let packed = _mm256_packus_epi32(upper, upper);
            _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b00_00_10_00>(packed)));
        }
    }

    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8) {
        // SAFETY: the token in `self` proves AVX2; the caller promises 8 writable bytes.
        unsafe {
            let ints = _mm256_cvtps_epi32(self.lanes);
            let words = _mm_packs_epi32(_mm256_castsi256_si128(ints), _mm256_extracti128_si256::<1>(ints));
            _mm_storel_epi64(to.cast(), _mm_packs_epi16(words, words));
        }
    }
}

impl F32x8 {
    /// The proof and the lanes, for the wider vector's sum.
    #[inline(always)]
    pub(crate) fn from_lanes(token: Avx2, lanes: __m256) -> Self {
        Self { lanes, token }
    }
}
