//! The error of quantization, and numbers that are represented exactly.

use proof::input::normal;
use proptest::prelude::*;
use quant::{GgmlType, dequantize, quantize};

use crate::COMPUTED;

fn round_trip(ty: GgmlType, x: &[f32]) -> Vec<f32> {
    let mut bytes = vec![0; ty.row_bytes(x.len()).unwrap()];
    quantize(ty, x, &mut bytes).unwrap();
    let mut y = vec![0.0; x.len()];
    dequantize(ty, &bytes, &mut y).unwrap();
    y
}

fn relative_rms(x: &[f32], y: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let error: f64 = x.iter().zip(y).map(|(&x, &y)| square(f64::from(x) - f64::from(y))).sum();
    let size: f64 = x.iter().map(|&x| square(f64::from(x))).sum();
    (error / size).sqrt()
}

/// Tests the root mean square of the error, relative to that of normally distributed numbers. The bounds follow from
/// the number of levels: the 32 numbers of a block have standard deviation 1 and a range of about ±2, so a step is 4 /
/// 2^bits, with an error of 1/√12 step.
#[test]
fn errors_match_the_number_of_bits() {
    for (ty, low, high) in [
        (GgmlType::F32, 0.0, 0.0),
        (GgmlType::F16, 1e-5, 3e-4),
        (GgmlType::BF16, 1e-4, 2e-3),
        (GgmlType::Q4_0, 0.05, 0.10),
        (GgmlType::Q4_1, 0.05, 0.09),
        (GgmlType::Q5_0, 0.02, 0.05),
        (GgmlType::Q5_1, 0.02, 0.045),
        (GgmlType::Q8_0, 0.002, 0.007),
        (GgmlType::Q8_1, 0.002, 0.007),
        (GgmlType::Q2_K, 0.15, 0.35),
        (GgmlType::Q3_K, 0.08, 0.20),
        (GgmlType::Q4_K, 0.04, 0.08),
        (GgmlType::Q5_K, 0.02, 0.04),
        (GgmlType::Q6_K, 0.01, 0.025),
        (GgmlType::Q8_K, 0.003, 0.009),
        (GgmlType::IQ4_NL, 0.05, 0.10),
        (GgmlType::MXFP4, 0.07, 0.16),
    ] {
        let x = normal(21, 8192);
        let error = relative_rms(&x, &round_trip(ty, &x));
        assert!((low..=high).contains(&error), "{ty}: {error}");
    }
}

proptest! {
    /// Blocks scaled by a power of two keep their codes, as long as no f16 becomes subnormal.
    #[test]
    fn a_power_of_two_scales_the_result(seed in any::<u64>(), power in 0..8_i32) {
        let factor = 2.0_f32.powi(power);
        for ty in COMPUTED.into_iter().filter(|&ty| ty != GgmlType::F16) {
            let x = normal(seed, 256);
            let scaled: Vec<f32> = x.iter().map(|x| x * factor).collect();
            let (y, z) = (round_trip(ty, &x), round_trip(ty, &scaled));
            prop_assert!(y.iter().zip(&z).all(|(y, z)| y * factor == *z), "{}", ty);
        }
    }

    /// Numbers that a type represents exactly are unchanged: multiples of a scale, with the largest code present.
    #[test]
    fn exact_numbers_are_unchanged(seed in any::<u64>()) {
        let mut random = proof::input::Random::new(seed);
        for (ty, levels) in [(GgmlType::Q8_0, 127_i32), (GgmlType::Q4_0, 7), (GgmlType::Q5_0, 15), (GgmlType::Q8_1, 127)] {
            let mut x: Vec<f32> =
                (0..32).map(|_| (random.below(2 * levels as usize + 1) as i32 - levels) as f32 * 0.25).collect();
            let largest = if levels == 127 { 127.0 } else { -(levels as f32) - 1.0 };
            x[random.below(32)] = largest * 0.25;
            prop_assert_eq!(round_trip(ty, &x), x, "{}", ty);
        }
    }
}
