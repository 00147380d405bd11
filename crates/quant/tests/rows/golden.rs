//! The bytes that the quantisers give, as they were when `cargo xtask peers quant` last held them against ggml's. A change here
//! needs that comparison again.

use proof::input::{Hash, normal};
use quant::{GgmlType, quantise};

#[test]
fn quantised_bytes_are_those_that_agreed_with_ggml() {
    let mut found = Vec::new();
    for (ty, _) in GOLDEN {
        let mut hash = Hash::default();
        for (seed, scale) in [(31, 1.0), (32, 0.02), (33, 300.0)] {
            let x: Vec<f32> = normal(seed, 4096).into_iter().map(|x| x * scale).collect();
            let mut bytes = vec![0; ty.row_bytes(x.len()).unwrap()];
            quantise(ty, &x, &mut bytes).unwrap();
            hash.bytes(&bytes);
        }
        found.push((ty, hash.finish()));
    }
    let found: Vec<_> = found.iter().map(|(ty, hash)| (*ty, &**hash)).collect();
    assert_eq!(found, GOLDEN);
}

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
