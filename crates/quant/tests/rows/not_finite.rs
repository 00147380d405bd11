//! NaN and infinity make their block not finite, and no other block.

use proof::input::normal;
use quant::{GgmlType, dequantize, first_non_finite, quantize};

use crate::COMPUTED;

#[test]
fn only_the_block_with_the_special_number_is_not_finite() {
    for ty in COMPUTED {
        let len = ty.block_len();
        for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, len / 2, len - 1] {
                let mut x = normal(11, 3 * len);
                x[len + at] = special;
                let mut bytes = vec![0; ty.row_bytes(x.len()).unwrap()];
                quantize(ty, &x, &mut bytes).unwrap();
                assert_eq!(first_non_finite(ty, &bytes), Ok(Some(1)), "{ty} {special}");
                let mut y = vec![0.0; x.len()];
                dequantize(ty, &bytes, &mut y).unwrap();
                assert!(y[..len].iter().chain(&y[2 * len..]).all(|y| y.is_finite()), "{ty}");
                assert!(y[len..2 * len].iter().all(|y| !y.is_finite()), "{ty} {special}: {:?}", &y[len..2 * len]);
            }
        }
    }
}

/// Plain numbers keep their infinities.
#[test]
fn floats_keep_infinities() {
    for ty in [GgmlType::F32, GgmlType::F16, GgmlType::BF16] {
        let x = [f32::INFINITY, f32::NEG_INFINITY, 1.0];
        let (mut bytes, mut y) = (vec![0; ty.row_bytes(3).unwrap()], [0.0; 3]);
        quantize(ty, &x, &mut bytes).unwrap();
        dequantize(ty, &bytes, &mut y).unwrap();
        assert_eq!(x, y);
    }
}
