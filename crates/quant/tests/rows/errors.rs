//! Errors and their values.

use quant::{GgmlType, QuantError, dequantize, first_non_finite, quantize};

use crate::COMPUTED;

#[test]
fn lengths_are_checked_before_anything_is_written() {
    for ty in COMPUTED {
        let (len, size) = (2 * ty.block_len(), 2 * ty.block_bytes());
        for got in [0, size - 1, size + 1] {
            let error = Err(QuantError::Bytes { ty, got, need: size });
            let mut out = vec![7.0; len];
            assert_eq!(dequantize(ty, &vec![0; got], &mut out), error);
            assert!(out.iter().all(|&x| x == 7.0));
            let mut bytes = vec![7; got];
            assert_eq!(quantize(ty, &out, &mut bytes), error);
            assert!(bytes.iter().all(|&x| x == 7));
        }
        if ty.block_len() > 1 {
            let error = Err(QuantError::RowLength { ty, got: len - 1, need: ty.block_len() });
            assert_eq!(dequantize(ty, &vec![0; size], &mut vec![0.0; len - 1]), error);
            assert_eq!(quantize(ty, &vec![0.0; len - 1], &mut vec![0; size]), error);
        }
    }
}

#[test]
fn types_without_a_kernel_are_unsupported_but_can_be_validated() {
    let others: Vec<_> = GgmlType::ALL.iter().copied().filter(|ty| !COMPUTED.contains(ty)).collect();
    assert_eq!(others.len(), 18);
    for ty in others {
        let (mut x, mut bytes) = (vec![0.0; ty.block_len()], vec![0; ty.block_bytes()]);
        assert_eq!(dequantize(ty, &bytes, &mut x), Err(QuantError::Unsupported { ty }));
        assert_eq!(quantize(ty, &x, &mut bytes), Err(QuantError::Unsupported { ty }));
        assert_eq!(first_non_finite(ty, &bytes), Ok(None));
    }
}
