//! Keys, values, strings, arrays and the alignment.

use super::{
    Case, accepted, on_request,
    raw::{Raw, array, array_pair, info, pair, string},
    refused,
};

/// Numbers of value types in files.
const U8: i32 = 0;
const U32: i32 = 4;
const F32: i32 = 6;
const BOOL: i32 = 7;
const STRING: i32 = 8;
const ARRAY: i32 = 9;
const U64: i32 = 10;
const F64: i32 = 12;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = keys();
    cases.extend(values());
    cases.extend(arrays());
    cases.extend(alignments());
    cases
}

fn keys() -> Vec<Case> {
    let key = |key: &str| pair(key, U8, &[1]);
    let of_length = |length: u64, bytes: usize| {
        let mut pair = length.to_le_bytes().to_vec();
        pair.resize(8 + bytes, b'k');
        pair.extend([0, 0, 0, 0, 1]);
        Raw { n_keys: Some(1), ..Raw::default() }.bytes().into_iter().chain(pair).collect::<Vec<u8>>()
    };
    vec![
        accepted("keys-distinct", Raw::of_pairs(vec![key("a"), key("b"), key("aa"), key("A")])),
        refused("keys-duplicate", "DuplicateKey", Raw::of_pairs(vec![key("a"), key("a")])),
        refused("keys-duplicate-apart", "DuplicateKey", Raw::of_pairs(vec![key("b"), key("a"), key("c"), key("b")])),
        refused("key-empty", "EmptyKey", Raw::of_pairs(vec![key("")])),
        accepted("key-not-utf-8", Raw::of_pairs(vec![[&string(&[0xff, 0xfe])[..], &[0, 0, 0, 0, 1]].concat()])),
        accepted("key-100-bytes", of_length(100, 100)),
        refused("key-longer-than-the-file", "Truncated", of_length(106, 100)),
        refused("key-above-1-gib", "StringLength", of_length((1 << 30) + 1, 100)),
        refused("key-length-max", "StringLength", of_length(u64::MAX, 100)),
    ]
}

fn values() -> Vec<Case> {
    let value = |ty: i32, bytes: &[u8]| Raw::of_pairs(vec![pair("k", ty, bytes)]);
    let text = |length: u64, bytes: usize| {
        let mut text = length.to_le_bytes().to_vec();
        text.resize(8 + bytes, b'x');
        value(STRING, &text)
    };
    let mut cases = vec![
        accepted("bool-2", value(BOOL, &[2])),
        accepted("f32-nan", value(F32, &0x7fc1_2345_u32.to_le_bytes())),
        accepted("f32-nan-signaling", value(F32, &0xffa5_4321_u32.to_le_bytes())),
        accepted("f64-nan", value(F64, &0x7ff0_0000_0001_2345_u64.to_le_bytes())),
        accepted("string-empty", text(0, 0)),
        accepted("string-not-utf-8", value(STRING, &string(&[0x80, 0, 0xff]))),
        accepted("string-to-the-end", text(50, 50)),
        refused("string-beyond-the-end", "Truncated", text(51, 50)),
        refused("string-above-1-gib", "StringLength", text((1 << 30) + 1, 50)),
        refused("string-of-1-gib", "Truncated", text(1 << 30, 50)),
        refused("value-type-13", "ValueType", value(13, &[0; 8])),
        refused("value-type-negative", "ValueType", value(-1, &[0; 8])),
        refused("value-type-max", "ValueType", value(i32::MAX, &[0; 8])),
        refused("value-cut", "Truncated", value(U64, &[0; 7])),
    ];
    let sizes = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];
    for (ty, size) in (0..).zip(sizes) {
        // An empty string and an empty array are all zeros too.
        cases.push(accepted(format!("value-type-{ty}"), value(ty, &vec![0; size])));
    }
    cases
}

fn arrays() -> Vec<Case> {
    let pairs = |elements: i32, len: u64, bytes: &[u8]| Raw::of_pairs(vec![array_pair(elements, len, bytes)]);
    let two = [string(b"ab"), string(b"")].concat();
    let nested = |depth: usize| {
        let mut bytes = array(U8, 1);
        (1..depth).for_each(|_| bytes = [&array(ARRAY, 1)[..], &bytes].concat());
        bytes.push(1);
        Raw::of_pairs(vec![pair("a", ARRAY, &bytes)])
    };
    vec![
        accepted("array-empty", pairs(U32, 0, &[])),
        accepted("array-to-the-end", pairs(U32, 3, &[0; 12])),
        refused("array-beyond-the-end", "Truncated", pairs(U32, 3, &[0; 11])),
        accepted("array-of-strings", pairs(STRING, 2, &two)),
        refused("array-of-strings-cut", "Truncated", pairs(STRING, 2, &two[..two.len() - 1])),
        // A string takes 8 bytes at least.
        accepted("array-of-strings-all-empty", pairs(STRING, 8, &[0; 64])),
        refused("array-of-strings-one-more-than-fit", "Truncated", pairs(STRING, 9, &[0; 64])),
        refused(
            "array-of-strings-inner-length",
            "Truncated",
            pairs(STRING, 1, &[&9_u64.to_le_bytes()[..], &[0; 8]].concat()),
        ),
        refused("array-of-strings-inner-1-gib", "StringLength", pairs(STRING, 1, &[0xff; 8])),
        refused("array-above-2-30", "ArrayLength", pairs(U8, (1 << 30) + 1, &[0; 8])),
        refused("array-of-2-30", "Truncated", pairs(U8, 1 << 30, &[0; 8])),
        refused("array-size-wraps", "ArrayLength", pairs(U64, 1 << 61, &[0; 8])),
        refused("array-length-max", "ArrayLength", pairs(U8, u64::MAX, &[0; 8])),
        refused("array-element-type-13", "ValueType", pairs(13, 1, &[0; 8])),
        on_request("array-of-arrays", "NestedArray", nested(2)),
        on_request("array-of-arrays-16-deep", "NestedArray", nested(16)),
        refused("array-of-arrays-17-deep", "NestedArray", nested(17)),
    ]
}

fn alignments() -> Vec<Case> {
    let aligned = |ty: i32, value: &[u8], alignment: usize| {
        Raw {
            pairs: vec![pair("general.alignment", ty, value)],
            infos: vec![info("a", &[3], 24, 0), info("b", &[3], 24, 3_u64.next_multiple_of(alignment as u64))],
            alignment,
            data_bytes: 3_usize.next_multiple_of(alignment) + 3,
            ..Raw::default()
        }
        .bytes()
    };
    let number = |alignment: u32| aligned(U32, &alignment.to_le_bytes(), alignment as usize);
    let mut cases: Vec<_> =
        [1, 2, 8, 32, 4096].map(|alignment| accepted(format!("alignment-{alignment}"), number(alignment))).into();
    cases.extend(
        [3, 12, 33, 4095].map(|alignment| refused(format!("alignment-{alignment}"), "Alignment", number(alignment))),
    );
    cases.push(refused("alignment-0", "Alignment", aligned(U32, &[0; 4], 32)));
    cases.push(refused("alignment-u64", "AlignmentType", aligned(U64, &32_u64.to_le_bytes(), 32)));
    cases.push(refused("alignment-i32", "AlignmentType", aligned(5, &32_i32.to_le_bytes(), 32)));
    let array = [&array(U32, 1)[..], &32_u32.to_le_bytes()].concat();
    cases.push(refused("alignment-array", "AlignmentType", aligned(ARRAY, &array, 32)));
    cases.push(refused("alignment-string", "AlignmentType", aligned(STRING, &string(b"32"), 32)));
    cases.push(refused("alignment-2-31", "DataOffset", aligned(U32, &(1_u32 << 31).to_le_bytes(), 32)));
    cases
}
