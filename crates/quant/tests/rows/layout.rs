//! The position of each code in a block, tested with an independent oracle: one number gets one code, all others
//! another.

use quant::{GgmlType, dequantize};

/// Writes bits into bytes.
fn put(bytes: &mut [u8], at: usize, shift: usize, width: usize, code: u8) {
    let mask = ((1_u16 << width) - 1) as u8;
    bytes[at] = bytes[at] & !(mask << shift) | (code & mask) << shift;
}

const ONE: [u8; 2] = 0x3c00_u16.to_le_bytes();

/// Sets code `code` of number `i`, by the layouts of `ggml-common.h` in ggml-org/llama.cpp.
type SetCode = fn(bytes: &mut [u8], i: usize, code: u8);

struct Layout {
    ty: GgmlType,
    /// A block whose scales make code q stand for q - `offset`.
    block: fn() -> Vec<u8>,
    offset: i32,
    codes: [u8; 2],
    place: SetCode,
}

fn with(ty: GgmlType, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; ty.block_bytes()];
    for (at, part) in parts {
        bytes[*at..at + part.len()].copy_from_slice(part);
    }
    bytes
}

/// Scales of 1 and minima of 0 in the 12 bytes of Q4_K and Q5_K.
const ONES_OF_SIX_BITS: [u8; 12] = [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1];

fn place_q4_k(qs: usize) -> impl Fn(&mut [u8], usize, u8) {
    move |bytes, i, code| put(bytes, qs + i / 64 * 32 + i % 32, i / 32 % 2 * 4, 4, code)
}

const LAYOUTS: [Layout; 11] = [
    Layout {
        ty: GgmlType::Q4_0,
        block: || with(GgmlType::Q4_0, &[(0, &ONE)]),
        offset: 8,
        codes: [3, 13],
        place: |bytes, i, code| put(bytes, 2 + i % 16, i / 16 * 4, 4, code),
    },
    Layout {
        ty: GgmlType::Q4_1,
        block: || with(GgmlType::Q4_1, &[(0, &ONE)]),
        offset: 0,
        codes: [3, 13],
        place: |bytes, i, code| put(bytes, 4 + i % 16, i / 16 * 4, 4, code),
    },
    Layout {
        ty: GgmlType::Q5_0,
        block: || with(GgmlType::Q5_0, &[(0, &ONE)]),
        offset: 16,
        codes: [9, 22],
        place: |bytes, i, code| {
            put(bytes, 6 + i % 16, i / 16 * 4, 4, code);
            put(bytes, 2 + i / 8, i % 8, 1, code >> 4);
        },
    },
    Layout {
        ty: GgmlType::Q5_1,
        block: || with(GgmlType::Q5_1, &[(0, &ONE)]),
        offset: 0,
        codes: [9, 22],
        place: |bytes, i, code| {
            put(bytes, 8 + i % 16, i / 16 * 4, 4, code);
            put(bytes, 4 + i / 8, i % 8, 1, code >> 4);
        },
    },
    Layout {
        ty: GgmlType::Q8_0,
        block: || with(GgmlType::Q8_0, &[(0, &ONE)]),
        offset: 0,
        codes: [5, 101],
        place: |bytes, i, code| bytes[2 + i] = code,
    },
    Layout {
        ty: GgmlType::Q8_K,
        block: || with(GgmlType::Q8_K, &[(0, &1.0_f32.to_le_bytes())]),
        offset: 0,
        codes: [5, 101],
        place: |bytes, i, code| bytes[4 + i] = code,
    },
    Layout {
        ty: GgmlType::Q2_K,
        block: || with(GgmlType::Q2_K, &[(0, &[1; 16]), (80, &ONE)]),
        offset: 0,
        codes: [1, 2],
        place: |bytes, i, code| put(bytes, 16 + i / 128 * 32 + i % 32, i / 32 % 4 * 2, 2, code),
    },
    Layout {
        ty: GgmlType::Q3_K,
        // Scale code 33: low bits 1, upper bits 2.
        block: || with(GgmlType::Q3_K, &[(96, &[0x11; 8]), (104, &[0xaa; 4]), (108, &ONE)]),
        offset: 4,
        codes: [2, 5],
        place: |bytes, i, code| {
            put(bytes, 32 + i / 128 * 32 + i % 32, i / 32 % 4 * 2, 2, code);
            put(bytes, i % 32, i / 32, 1, code >> 2);
        },
    },
    Layout {
        ty: GgmlType::Q4_K,
        block: || with(GgmlType::Q4_K, &[(0, &ONE), (4, &ONES_OF_SIX_BITS)]),
        offset: 0,
        codes: [3, 13],
        place: |bytes, i, code| place_q4_k(16)(bytes, i, code),
    },
    Layout {
        ty: GgmlType::Q5_K,
        block: || with(GgmlType::Q5_K, &[(0, &ONE), (4, &ONES_OF_SIX_BITS)]),
        offset: 0,
        codes: [9, 22],
        place: |bytes, i, code| {
            place_q4_k(48)(bytes, i, code);
            put(bytes, 16 + i % 32, i / 32, 1, code >> 4);
        },
    },
    Layout {
        ty: GgmlType::Q6_K,
        block: || with(GgmlType::Q6_K, &[(192, &[1; 16]), (208, &ONE)]),
        offset: 32,
        codes: [21, 42],
        place: |bytes, i, code| {
            put(bytes, i / 128 * 64 + i % 64, i / 64 % 2 * 4, 4, code);
            put(bytes, 128 + i / 128 * 32 + i % 32, i / 32 % 4 * 2, 2, code >> 4);
        },
    },
];

#[test]
fn every_code_is_at_the_position_of_ggml() {
    for Layout { ty, block, offset, codes, place } in LAYOUTS {
        let len = ty.block_len();
        let mut common = block();
        (0..len).for_each(|i| place(&mut common, i, codes[0]));
        for i in 0..len {
            let mut bytes = common.clone();
            place(&mut bytes, i, codes[1]);
            let mut out = vec![0.0; len];
            dequantize(ty, &bytes, &mut out).unwrap();
            let number = |code: u8| (i32::from(code) - offset) as f32;
            let mut expected = vec![number(codes[0]); len];
            expected[i] = number(codes[1]);
            assert_eq!(out, expected, "{ty}: number {i}");
        }
    }
}

/// The levels of the two types with a table of levels.
#[test]
fn levels_are_those_of_the_specifications() {
    let codes: Vec<u8> = (0..16).map(|i| i | (15 - i) << 4).collect();
    let mut out = [0.0; 32];
    dequantize(GgmlType::IQ4_NL, &[&ONE[..], &codes].concat(), &mut out).unwrap();
    let levels =
        [-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0];
    assert_eq!(out[..16], levels);
    assert!(out[16..].iter().eq(levels.iter().rev()));
    // E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives, times 2^(e - 127).
    dequantize(GgmlType::MXFP4, &[&[128][..], &codes].concat(), &mut out).unwrap();
    assert_eq!(out[..8], [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0]);
    assert!(out[8..16].iter().zip(&out[..8]).all(|(a, b)| *a == -b));
    for (e, smallest) in
        [(0, 2.0_f32.powi(-128)), (1, 2.0_f32.powi(-127)), (2, f32::MIN_POSITIVE), (254, 2.0_f32.powi(126))]
    {
        dequantize(GgmlType::MXFP4, &[&[e][..], &[1; 16]].concat(), &mut out).unwrap();
        assert_eq!(out[0], smallest, "exponent {e}");
    }
}
