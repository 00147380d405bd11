//! Hashes of quantized rows and of dequantized random blocks, recorded when `cargo xtask peers quant` last compared
//! them with ggml. Repeat that comparison before you change a hash.

use proof::input::{Hash, Random, normal};
use quant::{GgmlType, kernels, quantize};

use crate::COMPUTED;

#[test]
fn quantized_bytes_are_unchanged_since_they_agreed_with_ggml() {
    let mut found = Vec::new();
    for (ty, _) in GOLDEN {
        let mut hash = Hash::default();
        for (seed, scale) in [(31, 1.0), (32, 0.02), (33, 300.0)] {
            let x: Vec<f32> = normal(seed, 4096).into_iter().map(|x| x * scale).collect();
            let mut bytes = vec![0; ty.row_bytes(x.len()).unwrap()];
            quantize(ty, &x, &mut bytes).unwrap();
            hash.bytes(&bytes);
        }
        found.push((ty, hash.finish()));
    }
    let found: Vec<_> = found.iter().map(|(ty, hash)| (*ty, &**hash)).collect();
    assert_eq!(found, GOLDEN);
}

/// Random bytes of every type with a kernel have signs, codes and scales of every kind, with NaN and infinity. All NaNs
/// are replaced by one. ggml has no `to_float` for F32, Q8_1 and Q8_K; for the other types its functions give the same
/// hashes.
#[test]
fn dequantized_numbers_are_unchanged_since_they_agreed_with_ggml() {
    for kernel in kernels() {
        let found = COMPUTED.map(|ty| {
            let mut random = Random::new(41);
            let len = 16_384;
            let bytes: Vec<u8> = (0..ty.row_bytes(len).unwrap()).map(|_| random.bits() as u8).collect();
            let mut x = vec![0.0; len];
            kernel.dequantize(ty, &bytes, &mut x).unwrap();
            x.iter_mut().filter(|x| x.is_nan()).for_each(|x| *x = f32::NAN);
            (ty, Hash::default().f32s(&x).finish())
        });
        let found: Vec<_> = found.iter().map(|(ty, hash)| (*ty, &**hash)).collect();
        assert_eq!(found, NUMBERS, "{}", kernel.name());
    }
}

const NUMBERS: [(GgmlType, &str); 17] = [
    (GgmlType::F32, "d480b6d0fd167e53"),
    (GgmlType::F16, "b8261b34ad822a4e"),
    (GgmlType::BF16, "ff663efbeddd5f94"),
    (GgmlType::Q4_0, "e037f761fd3731d9"),
    (GgmlType::Q4_1, "738bf7a6ad59b74d"),
    (GgmlType::Q5_0, "565d1f4a71ac970b"),
    (GgmlType::Q5_1, "46c949bb5c2ec427"),
    (GgmlType::Q8_0, "a57941706e4112dd"),
    (GgmlType::Q8_1, "958796e931cb4293"),
    (GgmlType::Q2_K, "3183093aa507bc73"),
    (GgmlType::Q3_K, "eb572c1e5d99f59b"),
    (GgmlType::Q4_K, "77311d4ad5a8e2ad"),
    (GgmlType::Q5_K, "db19dea06b41af86"),
    (GgmlType::Q6_K, "4a2c6e2466d8b438"),
    (GgmlType::Q8_K, "dec0f2fe40ceac58"),
    (GgmlType::IQ4_NL, "d2d663f291ab8d09"),
    (GgmlType::MXFP4, "82d948f14a9b884d"),
];

const GOLDEN: [(GgmlType, &str); 16] = [
    (GgmlType::F16, "13b9ed07ef9ac59b"),
    (GgmlType::BF16, "0d40c8f625622b30"),
    (GgmlType::Q4_0, "e330c06ef290cbef"),
    (GgmlType::Q4_1, "19964b2c4a72826b"),
    (GgmlType::Q5_0, "2bc13a920b054e15"),
    (GgmlType::Q5_1, "e909182cd254f62b"),
    (GgmlType::Q8_0, "5a7a0e85dddee61e"),
    (GgmlType::Q8_1, "9700ed91f67821db"),
    (GgmlType::Q2_K, "b1213b23e5420620"),
    (GgmlType::Q3_K, "5be34d88d1ad5714"),
    (GgmlType::Q4_K, "562ed84ea65e92b0"),
    (GgmlType::Q5_K, "f3bd53e270b12456"),
    (GgmlType::Q6_K, "10675b13eb7f55a2"),
    (GgmlType::Q8_K, "3b9b04745e6af8aa"),
    (GgmlType::IQ4_NL, "49343ad89769bc75"),
    (GgmlType::MXFP4, "d06a740e413b41f1"),
];
