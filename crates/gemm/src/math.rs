//! Activations on vectors, for every instruction set from one text.
//!
//! The exponential is reduced to e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2, ln 2 in two parts so that r is
//! exact to its last bit (Cody and Waite), and e^r - 1 = r + r^2 Q(r) with Q of degree 4.

use crate::vector::Vector;

/// Q of e^r - 1 = r + r^2 Q(r) on |r| <= ln 2 / 2: interpolated at Chebyshev points, error below 7e-8 of Q.
const EXP_M1: [f32; 5] = [0.5, 0.166_665_77, 0.041_666_553, 0.008_363_233, 0.001_392_625];

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

/// Coefficients from the constant on, by Horner's rule.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn polynomial<V: Vector, const N: usize>(coefficients: &[f32; N], x: V) -> V {
    // SAFETY: as the caller promises.
    unsafe {
        let mut sum = V::splat(coefficients[N - 1]);
        let mut i = N - 1;
        while i > 0 {
            i -= 1;
            sum = sum.mul_add(x, V::splat(coefficients[i]));
        }
        sum
    }
}

/// n and e^r - 1 with e^x = 2^n e^r, for |x| < 2^20.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn exp_parts<V: Vector>(x: V) -> (V, V) {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // SAFETY: as the caller promises.
    unsafe {
        let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        let r = n.mul_add(V::splat(-LN_2_HIGH), x);
        let r = n.mul_add(V::splat(-LN_2_LOW), r);
        (n, r.mul(r).mul_add(polynomial(&EXP_M1, r), r))
    }
}

/// x Phi(x), where Phi is the distribution function of the normal distribution: GELU as Hendrycks and Gimpel define it,
/// not its approximation by tanh. Infinity stays, minus infinity becomes -0, a NaN stays one.
///
/// Phi(-t) = erfc(t / sqrt 2) / 2 = e^(-t^2/2) P(y) / (t + 4) for t >= 0, and Phi(t) = 1 - Phi(-t): each tail keeps its
/// relative accuracy. The square is formed in two floats, h + l: an error of t^2 would be an error of the exponent.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub(crate) unsafe fn gelu<V: Vector>(x: V) -> V {
    // SAFETY: as the caller promises.
    unsafe {
        // Phi(-15) is far below the smallest float. Infinity must not meet its 0.
        let x = x.at_least(V::splat(-15.0));
        let bounded = x.at_most(V::splat(15.0));
        let t = bounded.abs();
        let high = t.mul(t);
        let low = t.mul_add(t, V::splat(0.0).sub(high));
        let half = V::splat(-0.5);
        let (n, exp_m1) = exp_parts(high.mul(half));
        let exp = V::splat(1.0).add(exp_m1);
        let exp = low.mul(half).mul_add(exp, exp);
        let inverse = V::splat(1.0).div(t.add(V::splat(4.0)));
        let y = t.sub(V::splat(4.0)).mul(inverse);
        let tail = polynomial(&TAIL, y).mul(inverse).mul(exp);
        // The last scaling comes after x, so that a tail below the normal range is rounded once.
        let lower = bounded.mul(tail).times_two_to(n);
        let upper = x.sub(lower);
        x.if_negative(lower, upper)
    }
}

/// The hyperbolic tangent: m / (m + 2) with m = e^(2|x|) - 1, which keeps its relative accuracy near 0.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub(crate) unsafe fn tanh<V: Vector>(x: V) -> V {
    // SAFETY: as the caller promises.
    unsafe {
        // From here on it is 1 to the last bit.
        let t = x.abs().at_most(V::splat(9.5));
        let (n, exp_m1) = exp_parts(t.add(t));
        let power = V::splat(1.0).times_two_to(n);
        let m = exp_m1.mul_add(power, power.sub(V::splat(1.0)));
        m.div(m.add(V::splat(2.0))).with_sign_of(x)
    }
}

/// max(x, 0)^2; a NaN stays one.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub(crate) unsafe fn squared_relu<V: Vector>(x: V) -> V {
    // SAFETY: as the caller promises.
    unsafe {
        let positive = x.at_least(V::splat(0.0));
        positive.mul(positive)
    }
}
