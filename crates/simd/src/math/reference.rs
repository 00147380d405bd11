//! The functions in f64, one number at a time: what the vectors are tested against.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// x Phi(x) with the distribution function of the normal distribution; -0 at minus infinity.
pub fn gelu(x: f64) -> f64 {
    // The limit; the formula gives minus infinity times 0.
    if x == f64::NEG_INFINITY { -0.0 } else { x * 0.5 * erfc(-x * FRAC_1_SQRT_2) }
}

/// max(x, 0)^2; a NaN stays one.
pub fn squared_relu(x: f64) -> f64 {
    if x.is_nan() { x } else { x.max(0.0).powi(2) }
}

/// The complementary error function, to some 1e-13 of itself. Near 0 by the series of positive terms
/// erf x = 2 / sqrt(pi) e^(-x^2) (x + 2/3 x^3 + 4/15 x^5 + ..), further out by Laplace's continued fraction
/// erfc x = e^(-x^2) / sqrt(pi) / (x + (1/2) / (x + 1 / (x + (3/2) / (x + ..)))): Abramowitz and Stegun 7.1.6 and
/// 7.1.14.
pub fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 2.0 {
        let terms = (1..80).scan(x, |term, n| {
            let this = *term;
            *term *= 2.0 * x * x / f64::from(2 * n + 1);
            Some(this)
        });
        return 1.0 - 2.0 / PI.sqrt() * (-x * x).exp() * terms.sum::<f64>();
    }
    let fraction = (1..200).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
    (-x * x).exp() / PI.sqrt() / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERFC: [(f64, f64); 11] = [
        (-3.0, 1.9999779095030014),
        (-0.5, 1.5204998778130465),
        (0.0, 1.0),
        (0.25, 0.7236736098317631),
        (1.0, 0.15729920705028513),
        (1.999, 0.00469844334862949),
        (2.0, 0.004677734981047266),
        (3.5, 7.430983723414128e-7),
        (6.0, 2.1519736712498913e-17),
        (10.0, 2.0884875837625446e-45),
        (20.0, 5.395865611607901e-176),
    ];

    /// Values of the complementary error function from a computation with 30 digits.
    #[test]
    fn erfc_is_right() {
        for (x, expected) in ERFC {
            assert!((erfc(x) / expected - 1.0).abs() < 1e-12, "erfc({x}) = {:e}, not {expected:e}", erfc(x));
        }
        assert!(erfc(f64::NAN).is_nan());
    }
}
