//! Every kernel gives the same bits as the portable code.

use proof::{
    guarded::Guarded,
    input::{Random, normal},
};
use quant::{GgmlType, Kernel, kernels};
use simd::Isa;

use crate::{COMPUTED, bits};

/// Blocks of a row: none, one, an odd number, as many as in a row of a model.
const BLOCKS: [usize; 4] = [0, 1, 7, 40];

fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.bits() as u8).collect()
}

/// Any bytes form a row of blocks. Random bytes have every sign, scale and code, with NaN and infinity.
#[test]
fn dequantizing_random_bytes_gives_the_same_bits() {
    for ty in COMPUTED {
        for blocks in BLOCKS {
            let bytes = random_bytes(blocks as u64 + 1, blocks * ty.block_bytes());
            let mut expected = vec![0.0; blocks * ty.block_len()];
            Kernel::SCALAR.dequantize(ty, &bytes, &mut expected).unwrap();
            for kernel in kernels() {
                let mut out = Guarded::new(expected.len());
                kernel.dequantize(ty, &bytes, &mut out).unwrap();
                out.verify_guards().unwrap_or_else(|error| panic!("{} {ty}: {error}", kernel.name()));
                assert_eq!(bits(&out), bits(&expected), "{} {ty} {blocks}", kernel.name());
            }
        }
    }
}

/// Blocks at every address modulo 8.
#[test]
fn blocks_need_no_alignment() {
    for ty in COMPUTED {
        let len = 3 * ty.block_bytes();
        let bytes = random_bytes(3, len);
        let mut expected = vec![0.0; 3 * ty.block_len()];
        Kernel::SCALAR.dequantize(ty, &bytes, &mut expected).unwrap();
        for shift in 1..8 {
            let mut shifted = vec![0; shift];
            shifted.extend(&bytes);
            let mut out = vec![0.0; expected.len()];
            quant::dequantize(ty, &shifted[shift..], &mut out).unwrap();
            assert_eq!(bits(&out), bits(&expected), "{ty} at {shift}");
        }
    }
}

/// Numbers of many magnitudes, and special numbers at several positions.
fn inputs(len: usize) -> Vec<Vec<f32>> {
    let scaled = |seed, scale: f32| normal(seed, len).into_iter().map(|x| x * scale).collect::<Vec<f32>>();
    let mut inputs: Vec<_> = [1.0, 1e-3, 1e4, 1e-30, 1e-38, 1e-42, 1e30].map(|scale| scaled(5, scale)).into();
    inputs.push(vec![0.0; len]);
    inputs.push(vec![-0.0; len]);
    inputs.push(vec![1.5; len]);
    // Zeros of both signs, which matter for a minimum, and a range that overflows.
    inputs.push((0..len).map(|i| if i % 5 == 0 { -0.0 } else { 0.0 }).collect());
    inputs.push((0..len).map(|i| [0.0, -0.0, 1.0, 2.0][i * 7 % 4]).collect());
    inputs.push((0..len).map(|i| [-0.0, -1.0, 0.0][i * 5 % 3]).collect());
    inputs.push((0..len).map(|i| if i % 2 == 0 { f32::MAX } else { -f32::MAX }).collect());
    // Random bits of finite numbers.
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut finite = || loop {
            let x = f32::from_bits(random.bits() as u32);
            if x.is_finite() {
                return x;
            }
        };
        inputs.push((0..len).map(|_| finite()).collect());
    }
    // Equal magnitudes of both signs: the first number determines the sign of the scale.
    inputs.push((0..len).map(|i| if i % 3 == 0 { -2.0 } else { 2.0 }).collect());
    inputs.push((0..len).map(|i| if i % 3 == 0 { 2.0 } else { -2.0 }).collect());
    for special in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 1e-45] {
        for at in [0, len / 2 + 3, len - 1] {
            let mut x = scaled(7, 1.0);
            x[at] = special;
            inputs.push(x);
        }
    }
    inputs
}

#[test]
fn quantizing_gives_the_same_bytes() {
    for ty in COMPUTED {
        for x in inputs(512) {
            let need = ty.row_bytes(x.len()).unwrap();
            let mut expected = vec![0; need];
            Kernel::SCALAR.quantize(ty, &x, &mut expected).unwrap();
            for kernel in kernels() {
                let mut bytes = vec![0xaa; need];
                kernel.quantize(ty, &x, &mut bytes).unwrap();
                assert!(bytes == expected, "{} {ty} of {:?}..", kernel.name(), &x[..4]);
            }
        }
    }
}

#[test]
fn common_types_have_vector_code() {
    let Some(kernel) = kernels().into_iter().find(|kernel| kernel.name() == "cpu-avx2") else { return };
    let blocks = [GgmlType::Q4_0, GgmlType::Q8_0, GgmlType::Q4_K, GgmlType::Q5_K, GgmlType::Q6_K, GgmlType::Q8_K];
    for ty in COMPUTED {
        let (dequantizes, quantizes) = (kernel.dequantizes(ty).unwrap(), kernel.quantizes(ty).unwrap());
        if blocks.contains(&ty) {
            assert_eq!((dequantizes, quantizes), (Isa::Avx2, Isa::Avx2), "{ty}");
        }
        if [GgmlType::F16, GgmlType::BF16].contains(&ty) {
            assert_eq!(dequantizes, Isa::Avx2, "{ty}");
        }
    }
    assert_eq!(kernel.quantizes(GgmlType::Q3_K), Some(Isa::Scalar), "its search changes one number at a time");
    assert_eq!(kernel.dequantizes(GgmlType::IQ2_XXS), None);
}
