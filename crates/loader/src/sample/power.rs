//! Powers of numbers from 0 to 1, in arithmetic that every machine and every vector does alike.
//!
//! x^g = 2^(g log2 x). With x = m 2^e and m in [√½, √2), log2 m is a series in s = (m - 1) / (m + 1), which is below
//! 0.172; the first term that is left out is below 1e-9. 2^f for |f| <= ½ is a polynomial of Taylor coefficients; the
//! term that is left out is below 2e-7.

use std::f32::consts::{FRAC_1_SQRT_2, LN_2};

/// `x` to the power of `exponent`, which is above 0; 0 for `x` of 0 and below.
#[inline(always)]
pub(super) fn of(x: f32, exponent: f32) -> f32 {
    // Moves the exponent's borders to √½ · 2^e.
    let bits = x.to_bits().wrapping_sub(FRAC_1_SQRT_2.to_bits());
    let e = (bits as i32 >> 23) as f32;
    let m = f32::from_bits((bits & 0x007f_ffff).wrapping_add(FRAC_1_SQRT_2.to_bits()));
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let series = 1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0))));
    let log2 = e + s * series * (2.0 / LN_2);

    let y = exponent * log2;
    // Adding and subtracting 1.5 · 2²³ rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    let y = if y < -126.0 { -126.0 } else { y };
    let whole = (y + ROUND) - ROUND;
    let f = (y - whole) * LN_2;
    let taylor =
        1.0 + f * (1.0 + f * (1.0 / 2.0 + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f * (1.0 / 720.0))))));
    let scale = f32::from_bits(((whole as i32 + 127) as u32) << 23);
    let power = taylor * scale;
    // A NaN stays one.
    if x.is_nan() {
        x
    } else if x < f32::MIN_POSITIVE {
        0.0
    } else {
        power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_f64() {
        for exponent in [0.3_f32, 0.5, 1.0, 2.2, 4.5] {
            for i in 0..=20_000 {
                let x = (i as f32 / 20_000.0).powi(2);
                let (found, expected) = (f64::from(of(x, exponent)), f64::from(x).powf(f64::from(exponent)));
                let error = (found - expected).abs();
                assert!(error <= 2e-6 * expected + 1e-9, "{x}^{exponent}: {found}, not {expected}");
            }
        }
        assert!(of(f32::NAN, 2.0).is_nan());
        assert_eq!((of(0.0, 0.5), of(-1e-9, 0.5)), (0.0, 0.0));
    }
}
