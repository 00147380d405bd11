//! The searches of the K-quants, eight sub-blocks at a time.
//!
//! A search must compute its sums in the order of the numbers, or it may choose another scale. Such a sum is a chain of
//! dependent additions. So each lane of a vector holds one sub-block: eight chains run in parallel, each with the
//! operations of the portable code in the same order and without fused operations, and the result has the same bits.

use std::arch::x86_64::*;

use crate::search::{Affine, Error, Fit, HALF_MANTISSA, MANTISSA, NEGLIGIBLE, Rounding, SHIFT, Swept, steps};

/// Eight sub-blocks, transposed: vector i holds number i of each.
#[derive(Clone, Copy)]
pub(super) struct Lanes<const N: usize>([__m256; N]);

/// Transposes eight rows of N numbers into N vectors of eight.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn lanes<const N: usize>(x: &[[f32; N]; 8]) -> Lanes<N> {
    let mut lanes = [_mm256_setzero_ps(); N];
    for (i, lane) in lanes.iter_mut().enumerate() {
        *lane = _mm256_setr_ps(x[0][i], x[1][i], x[2][i], x[3][i], x[4][i], x[5][i], x[6][i], x[7][i]);
    }
    Lanes(lanes)
}

/// |x|: the weights of Q2_K.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn magnitudes<const N: usize>(x: &Lanes<N>) -> Lanes<N> {
    let mut weights = *x;
    for w in &mut weights.0 {
        *w = magnitude(*w);
    }
    weights
}

/// |x| plus the root mean square of the sub-block: the weights of Q4_K and Q5_K.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn raised_magnitudes(x: &Lanes<32>) -> Lanes<32> {
    let mut sum = _mm256_setzero_ps();
    for &x in &x.0 {
        sum = _mm256_add_ps(sum, _mm256_mul_ps(x, x));
    }
    let root_mean_square = _mm256_sqrt_ps(_mm256_div_ps(sum, _mm256_set1_ps(32.0)));
    let mut weights = magnitudes(x);
    for w in &mut weights.0 {
        *w = _mm256_add_ps(root_mean_square, *w);
    }
    weights
}

/// [`Affine::fit`] of eight sub-blocks of finite numbers.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn fit<const N: usize>(search: &Affine, x: &Lanes<N>, weights: &Lanes<N>) -> [Fit; 8] {
    let zero = _mm256_setzero_ps();
    let (x, weights) = (&x.0, &weights.0);
    let (mut min, mut max) = (x[0], x[0]);
    let (mut sum_w, mut sum_x) = (weights[0], _mm256_mul_ps(weights[0], x[0]));
    for (&x, &w) in x.iter().zip(weights).skip(1) {
        // For equal operands, such as zeros of different sign, the result is the second one: the earlier number.
        min = _mm256_min_ps(x, min);
        max = _mm256_max_ps(x, max);
        sum_w = _mm256_add_ps(sum_w, w);
        sum_x = _mm256_add_ps(sum_x, _mm256_mul_ps(w, x));
    }
    min = _mm256_min_ps(zero, min);
    let is_flat = _mm256_cmp_ps::<_CMP_EQ_OQ>(max, min);

    let max_code = _mm256_set1_epi32(i32::from(search.max_code));
    let mut iscale = _mm256_div_ps(_mm256_cvtepi32_ps(max_code), _mm256_sub_ps(max, min));
    let mut from = min;
    let mut best = Line { scale: _mm256_div_ps(_mm256_set1_ps(1.0), iscale), min };
    let mut codes = [zero; N];
    for (code, &x) in codes.iter_mut().zip(x) {
        *code = rounded(_mm256_mul_ps(iscale, _mm256_sub_ps(x, from)), _mm256_setzero_si256(), max_code);
    }
    let mut least = error(search, x, weights, best, &codes);
    for step in 0..=search.steps {
        let trial_from = best.min;
        let trial = _mm256_div_ps(_mm256_set1_ps(search.levels(step)), _mm256_sub_ps(max, trial_from));
        let (mut sum_l, mut sum_l2, mut sum_xl) = (zero, zero, zero);
        for i in 0..N {
            let scaled = _mm256_mul_ps(trial, _mm256_sub_ps(x[i], trial_from));
            let l = rounded(scaled, _mm256_setzero_si256(), max_code);
            let wl = _mm256_mul_ps(weights[i], l);
            codes[i] = l;
            sum_l = _mm256_add_ps(sum_l, wl);
            sum_l2 = _mm256_add_ps(sum_l2, _mm256_mul_ps(wl, l));
            sum_xl = _mm256_add_ps(sum_xl, _mm256_mul_ps(wl, x[i]));
        }
        let (line, is_solved) = solve(sum_w, sum_x, sum_l, sum_l2, sum_xl);
        let error = error(search, x, weights, line, &codes);
        let is_better = _mm256_and_ps(is_solved, _mm256_cmp_ps::<_CMP_LT_OQ>(error, least));
        let choose = |old, new| _mm256_blendv_ps(old, new, is_better);
        best = Line { scale: choose(best.scale, line.scale), min: choose(best.min, line.min) };
        least = choose(least, error);
        iscale = choose(iscale, trial);
        from = choose(from, trial_from);
    }

    // A flat sub-block divided by zero; its results are replaced.
    let or_zero = |x| to_array(_mm256_andnot_ps(is_flat, x));
    let (scale, iscale, from) = (or_zero(best.scale), or_zero(iscale), or_zero(from));
    let min = to_array(_mm256_blendv_ps(best.min, min, is_flat));
    let mut fits = [Fit { scale: 0.0, min: 0.0, rounding: Rounding::ZERO }; 8];
    for (j, fit) in fits.iter_mut().enumerate() {
        *fit = Fit { scale: scale[j], min: -min[j], rounding: Rounding { iscale: iscale[j], from: from[j] } };
    }
    fits
}

/// [`sweep`](crate::search::sweep) of eight sub-blocks of finite numbers.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sweep<const N: usize>(x: &Lanes<N>, levels: i8) -> [Swept; 8] {
    let zero = _mm256_setzero_ps();
    let x = &x.0;
    let mut peak = zero;
    for &x in x {
        let is_larger = _mm256_cmp_ps::<_CMP_GT_OQ>(magnitude(x), magnitude(peak));
        peak = _mm256_blendv_ps(peak, x, is_larger);
    }
    let is_zero = _mm256_cmp_ps::<_CMP_LT_OQ>(magnitude(peak), _mm256_set1_ps(NEGLIGIBLE));
    // x² and x³, the factors of the codes in the sums.
    let (mut weights, mut weighted) = ([zero; N], [zero; N]);
    for i in 0..N {
        weights[i] = _mm256_mul_ps(x[i], x[i]);
        weighted[i] = _mm256_mul_ps(weights[i], x[i]);
    }
    let max = f32::from(levels);
    let (lowest, highest) = (_mm256_set1_epi32(-i32::from(levels)), _mm256_set1_epi32(i32::from(levels) - 1));
    let sums = |iscale: __m256| {
        let (mut sum_lx, mut sum_l2) = (zero, zero);
        for i in 0..N {
            let l = rounded(_mm256_mul_ps(iscale, x[i]), lowest, highest);
            sum_lx = _mm256_add_ps(sum_lx, _mm256_mul_ps(weighted[i], l));
            sum_l2 = _mm256_add_ps(sum_l2, _mm256_mul_ps(_mm256_mul_ps(weights[i], l), l));
        }
        (sum_lx, sum_l2)
    };
    let mut iscale = _mm256_div_ps(_mm256_set1_ps(-max), peak);
    let (sum_lx, sum_l2) = sums(iscale);
    let is_not_empty = _mm256_cmp_ps::<_CMP_NEQ_UQ>(sum_l2, zero);
    let mut scale = _mm256_and_ps(is_not_empty, _mm256_div_ps(sum_lx, sum_l2));
    let mut best = _mm256_mul_ps(scale, sum_lx);
    for step in steps() {
        let trial = _mm256_div_ps(_mm256_set1_ps(-(max + 0.1 * step)), peak);
        let (sum_lx, sum_l2) = sums(trial);
        let is_more = _mm256_cmp_ps::<_CMP_GT_OQ>(_mm256_mul_ps(sum_lx, sum_lx), _mm256_mul_ps(best, sum_l2));
        let is_better = _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(sum_l2, zero), is_more);
        let ratio = _mm256_div_ps(sum_lx, sum_l2);
        iscale = _mm256_blendv_ps(iscale, trial, is_better);
        scale = _mm256_blendv_ps(scale, ratio, is_better);
        best = _mm256_blendv_ps(best, _mm256_mul_ps(ratio, sum_lx), is_better);
    }
    let (scale, iscale) = (to_array(_mm256_andnot_ps(is_zero, scale)), to_array(_mm256_andnot_ps(is_zero, iscale)));
    let mut swept = [Swept { scale: 0.0, iscale: 0.0 }; 8];
    for (j, swept) in swept.iter_mut().enumerate() {
        *swept = Swept { scale: scale[j], iscale: iscale[j] };
    }
    swept
}

/// `scale q + min` in each lane.
#[derive(Clone, Copy)]
struct Line {
    scale: __m256,
    min: __m256,
}

/// The line of least squares, and a mask of the lanes that have one.
#[inline]
#[target_feature(enable = "avx2")]
fn solve(sum_w: __m256, sum_x: __m256, sum_l: __m256, sum_l2: __m256, sum_xl: __m256) -> (Line, __m256) {
    let zero = _mm256_setzero_ps();
    let cross = |a, b, c, d| _mm256_sub_ps(_mm256_mul_ps(a, b), _mm256_mul_ps(c, d));
    let determinant = cross(sum_w, sum_l2, sum_l, sum_l);
    let scale = _mm256_div_ps(cross(sum_w, sum_xl, sum_x, sum_l), determinant);
    let min = _mm256_div_ps(cross(sum_l2, sum_x, sum_l, sum_xl), determinant);
    let is_above = _mm256_cmp_ps::<_CMP_GT_OQ>(min, zero);
    let line = Line {
        scale: _mm256_blendv_ps(scale, _mm256_div_ps(sum_xl, sum_l2), is_above),
        min: _mm256_andnot_ps(is_above, min),
    };
    (line, _mm256_cmp_ps::<_CMP_GT_OQ>(determinant, zero))
}

#[inline]
#[target_feature(enable = "avx2")]
fn error<const N: usize>(
    search: &Affine,
    x: &[__m256; N],
    weights: &[__m256; N],
    line: Line,
    codes: &[__m256; N],
) -> __m256 {
    let mut sum = _mm256_setzero_ps();
    for i in 0..N {
        let y = _mm256_add_ps(_mm256_mul_ps(line.scale, codes[i]), line.min);
        let difference = _mm256_sub_ps(y, x[i]);
        let error = match search.error {
            Error::Absolute => magnitude(difference),
            Error::Squared => _mm256_mul_ps(difference, difference),
        };
        sum = _mm256_add_ps(sum, _mm256_mul_ps(weights[i], error));
    }
    sum
}

#[inline]
#[target_feature(enable = "avx2")]
fn magnitude(x: __m256) -> __m256 {
    _mm256_andnot_ps(_mm256_set1_ps(-0.0), x)
}

/// [`nearest`](crate::search::nearest), clamped, and converted to f32.
#[inline]
#[target_feature(enable = "avx2")]
fn rounded(x: __m256, lowest: __m256i, highest: __m256i) -> __m256 {
    let bits = _mm256_castps_si256(_mm256_add_ps(x, _mm256_set1_ps(SHIFT)));
    let whole =
        _mm256_sub_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(MANTISSA as i32)), _mm256_set1_epi32(HALF_MANTISSA));
    _mm256_cvtepi32_ps(_mm256_min_epi32(_mm256_max_epi32(whole, lowest), highest))
}

#[inline]
#[target_feature(enable = "avx2")]
fn to_array(x: __m256) -> [f32; 8] {
    bytemuck::cast(x)
}
