//! Functions of a vector, written once for all instruction sets.
//!
//! | function | largest error, units in the last place |
//! |---|---|
//! | [`exp`] | 1.5 |
//! | [`exp2_weight`] | 2.2 |
//! | [`tanh`] | 3.5 |
//! | [`gelu`] | 4.5 |
//! | [`squared_relu`] | 0.5 |
//!
//! The tests hold every instruction set to these bounds over the whole range of floats, against [`mod@reference`] and
//! the standard library in f64. A unit is the spacing of floats at the result, and at the smallest normal float below
//! that.
//!
//! The exponential is reduced to e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2, ln 2 in two parts so that r
//! is exact to its last bit (Cody and Waite), and e^r - 1 = r + r^2 Q(r) with Q of degree 4.
//! [`exp2_weight`] is for arguments up to 0, and its results below 2^-126 may be 0.

pub mod reference;

use crate::vector::{F32Vector, Simd};

/// Q of e^r - 1 = r + r^2 Q(r) on |r| <= ln 2 / 2: interpolated at Chebyshev points, error below 7e-8 of Q.
const EXP_M1: [f32; 5] = [0.5, 0.166_665_77, 0.041_666_553, 0.008_363_233, 0.001_392_625];

/// 2^f on 0 <= f <= 1, with the values 1 and 2 at the ends: a minimax polynomial of degree 5, its coefficients then
/// moved by some units in the last place to make the error of Horner's rule with floats least, 1.7 units.
const EXP2: [f32; 6] = [1.0, 0.693_153, 0.240_146_65, 0.055_856_25, 0.008_947_54, 0.001_896_477_8];

/// P of e^(t^2/2) erfc(t / sqrt 2) / 2 = P((t - 4) / (t + 4)) / (t + 4) on 0 <= t <= 15: interpolated at Chebyshev
/// points, relative error below 1.6e-8. The substitution is that of Shepherd and Laframboise (Math. Comp. 36, 1981).
const TAIL: [f32; 10] = [
    0.755_285_14,
    -0.607_896_6,
    0.387_136_64,
    -0.186_523_07,
    0.060_406_795,
    -0.007_526_513,
    -0.003_523_891,
    0.001_567_633,
    0.000_193_482_2,
    -0.000_123_290_63,
];

/// The polynomial with these coefficients, the constant first, by Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, coefficients: &[f32; N], x: S::F32) -> S::F32 {
    let mut sum = simd.splat(coefficients[N - 1]);
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = sum.mul_add(x, simd.splat(coefficients[i]));
    }
    sum
}

/// n and e^r - 1 with e^x = 2^n e^r, for |x| < 2^20.
#[inline(always)]
fn exp_parts<S: Simd>(simd: S, x: S::F32) -> (S::F32, S::F32) {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let n = (x * simd.splat(std::f32::consts::LOG2_E)).round_ties_even();
    let r = n.mul_add(simd.splat(-LN_2_HIGH), x);
    let r = n.mul_add(simd.splat(-LN_2_LOW), r);
    (n, (r * r).mul_add(polynomial(simd, &EXP_M1, r), r))
}

/// e^x: infinity from 88.73 on, 0 up to -104, a NaN stays one.
#[inline(always)]
pub fn exp<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // e^89 is beyond the largest float, e^-104 below half the smallest.
    let bounded = x.max(simd.splat(-104.0)).min(simd.splat(89.0));
    let (n, exp_m1) = exp_parts(simd, bounded);
    (simd.splat(1.0) + exp_m1).ldexp(n)
}

/// 2^x for x up to 0, as a softmax needs it: exactly 1 at 0, exactly 0 at minus infinity, and a NaN stays one. Results
/// below 2^-126, the smallest normal float, may be 0. It takes half the instructions of [`exp`].
///
/// 2^x = 2^n 2^f with n = floor(x). The fraction f = x - n is rounded where x is above -1/2, which costs up to 0.4
/// units beside those of the polynomial.
#[inline(always)]
pub fn exp2_weight<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let (f, n) = x.split_exp2();
    polynomial(simd, &EXP2, f).scale_exp2(n)
}

/// x Phi(x), where Phi is the distribution function of the normal distribution: GELU as Hendrycks and Gimpel define it,
/// not its approximation by tanh. Infinity stays, minus infinity becomes -0, a NaN stays one.
///
/// Phi(-t) = erfc(t / sqrt 2) / 2 = e^(-t^2/2) P(y) / (t + 4) for t >= 0, and Phi(t) = 1 - Phi(-t): each tail keeps its
/// relative accuracy. The square is formed in two floats, high + low: an error of t^2 would be an error of the
/// exponent.
#[inline(always)]
pub fn gelu<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // Phi(-15) is far below the smallest float. Infinity must not be multiplied by its 0.
    let x = x.max(simd.splat(-15.0));
    let bounded = x.min(simd.splat(15.0));
    let t = bounded.abs();
    let high = t * t;
    let low = t.mul_add(t, simd.splat(0.0) - high);
    let half = simd.splat(-0.5);
    let (n, exp_m1) = exp_parts(simd, high * half);
    let exp = simd.splat(1.0) + exp_m1;
    let exp = (low * half).mul_add(exp, exp);
    let inverse = simd.splat(1.0) / (t + simd.splat(4.0));
    let y = (t - simd.splat(4.0)) * inverse;
    let tail = polynomial(simd, &TAIL, y) * inverse * exp;
    // The last scaling comes after x, so that a tail below the normal range is rounded once.
    let lower = (bounded * tail).ldexp(n);
    let upper = x - lower;
    x.select_negative(lower, upper)
}

/// The hyperbolic tangent: m / (m + 2) with m = e^(2|x|) - 1, which keeps its relative accuracy near 0.
#[inline(always)]
pub fn tanh<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // From 9.5 on it is 1 to the last bit.
    let t = x.abs().min(simd.splat(9.5));
    let (n, exp_m1) = exp_parts(simd, t + t);
    let power = simd.splat(1.0).ldexp(n);
    let m = exp_m1.mul_add(power, power - simd.splat(1.0));
    (m / (m + simd.splat(2.0))).copysign(x)
}

/// max(x, 0)^2; a NaN stays one.
#[inline(always)]
pub fn squared_relu<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let positive = x.max(simd.splat(0.0));
    positive * positive
}

#[cfg(test)]
mod tests;
