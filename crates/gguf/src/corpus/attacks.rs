//! The patterns of known attacks on GGUF readers: sizes that wrap, allocations of a declared length, missing data.

use super::{
    Case, accepted,
    raw::{Raw, array_pair, info, pair},
    refused,
};

const F32: i32 = 0;
const Q5_K: i32 = 13;
const I8: i32 = 24;

pub(super) fn cases() -> Vec<Case> {
    let shaped = |dims: &[i64]| Raw::of_infos(vec![info("t", dims, F32, 0)], 64);
    let text = |length: u64| Raw::of_pairs(vec![pair("k", 8, &[&length.to_le_bytes()[..], &[b'x'; 64]].concat())]);
    let tensors = |n: i64| Raw { n_tensors: Some(n), data_bytes: 64, ..Raw::default() }.bytes();
    let keys = |n: i64| Raw { n_keys: Some(n), data_bytes: 64, ..Raw::default() }.bytes();
    let strings = |n: u64| Raw::of_pairs(vec![array_pair(8, n, &[0; 64])]);
    let mut cases = within();
    cases.extend([
        // The product of dimensions wraps to a small number, or to 0.
        refused("cve-2024-21802-product-wraps-to-0", "Elements", shaped(&[1 << 32, 1 << 32])),
        refused("cve-2024-21802-product-wraps-to-4", "Elements", shaped(&[(1 << 62) + 1, 4])),
        refused("cve-2024-21802-product-wraps-late", "Elements", shaped(&[1 << 21, 1 << 21, 1 << 21, 2])),
        // Memory for the elements of an array is allocated before they are read.
        refused("cve-2024-21825-strings-one-more-than-fit", "Truncated", strings(9)),
        refused("cve-2024-21825-strings-2-60", "ArrayLength", strings(1 << 60)),
        refused("cve-2024-21825-strings-2-30", "Truncated", strings(1 << 30)),
        refused("cve-2024-21825-strings-times-16-wraps", "ArrayLength", strings((1 << 60) + 1)),
        // Memory for the tensor table: the count times the size of an entry wraps.
        refused("cve-2024-21836-one-tensor-more", "Count", smallest_tensor(2)),
        refused("cve-2024-21836-tensors-2-61", "Count", tensors(1 << 61)),
        refused("cve-2024-21836-tensors-2-40", "Count", tensors(1 << 40)),
        refused("cve-2024-21836-tensors-2-58-and-1", "Count", tensors((1 << 58) + 1)),
        // The length plus one byte for a NUL wraps to 0.
        refused("cve-2024-23496-one-byte-more", "Truncated", text(65)),
        refused("cve-2024-23496-string-max", "StringLength", text(u64::MAX)),
        refused("cve-2024-23496-string-max-less-1", "StringLength", text(u64::MAX - 1)),
        refused("cve-2024-23496-string-2-40", "StringLength", text(1 << 40)),
        // Memory for the key-value pairs.
        refused("cve-2024-23605-one-key-more", "Count", three_keys(4)),
        refused("cve-2024-23605-keys-2-60", "Count", keys(1 << 60)),
        refused("cve-2024-23605-keys-2-32", "Count", keys(1 << 32)),
        // The sum of all tensor sizes wraps to little more than the file.
        refused("cve-2025-53630-sum-one-byte-more", "DataBounds", summing(&[32, 33])),
        refused("cve-2025-53630-sum-wraps", "Size", summing(&[1 << 62, 1 << 62, 1 << 62, 1 << 62, 64])),
        refused("cve-2025-53630-sum-wraps-by-padding", "Size", summing(&[i64::MAX - 1, i64::MAX - 1, 64])),
        // The sum just fits in 64 bits, and wraps when the size of the table is added.
        refused("cve-2026-27940-sum-just-fits", "DataBounds", summing(&[1 << 62, 1 << 62, 1 << 62, (1 << 62) - 4096])),
        // A size of exabytes, in a file of a few bytes.
        refused("cve-2026-33298-exabytes", "DataBounds", shaped(&[1 << 20, 1 << 20, 1 << 20])),
        refused("cve-2026-33298-bytes-wrap", "Size", shaped(&[1 << 20, 1 << 20, 1 << 20, 4])),
        // The length of a row times the size of a block wraps before it is divided by the length of a block: 2^60 + 256
        // numbers of Q5_K seem to take 176 bytes.
        refused(
            "cve-2026-33298-row-wraps",
            "DataBounds",
            Raw::of_infos(vec![info("t", &[(1 << 60) + 256], Q5_K, 0)], 192),
        ),
        // A shape larger than the file: a reader would read beyond its end.
        refused("cve-2026-7482-shape-larger-than-the-file", "DataBounds", shaped(&[1 << 20])),
        refused("cve-2026-7482-one-number-more", "DataBounds", shaped(&[17])),
    ]);
    cases
}

/// Valid files with the largest allowed values in the same fields.
fn within() -> Vec<Case> {
    let shaped = |dims: &[i64], ty: i32, bytes: usize| Raw::of_infos(vec![info("t", dims, ty, 0)], bytes);
    let text = [&64_u64.to_le_bytes()[..], &[b'x'; 64]].concat();
    vec![
        accepted("cve-2024-21802-within", shaped(&[2, 2, 2, 2], F32, 64)),
        accepted("cve-2024-21825-within", Raw::of_pairs(vec![array_pair(8, 8, &[0; 64])])),
        accepted("cve-2024-21836-within", smallest_tensor(1)),
        accepted("cve-2024-23496-within", Raw::of_pairs(vec![pair("k", 8, &text)])),
        accepted("cve-2024-23605-within", three_keys(3)),
        accepted("cve-2025-53630-within", summing(&[32, 32])),
        // The largest such sum for which the file has the data.
        accepted("cve-2026-27940-within", summing(&[0, 0, 64])),
        accepted("cve-2026-33298-within", shaped(&[256], Q5_K, 176)),
        accepted("cve-2026-7482-within", shaped(&[16], F32, 64)),
    ]
}

/// One tensor with the smallest possible entry, and a declared number of tensors.
fn smallest_tensor(count: i64) -> Vec<u8> {
    Raw { n_tensors: Some(count), infos: vec![info("", &[], I8, 0)], data_bytes: 1, ..Raw::default() }.bytes()
}

/// Three keys of 14 bytes each, and a declared number of keys.
fn three_keys(count: i64) -> Vec<u8> {
    let pairs = ["a", "b", "c"].map(|key| pair(key, 0, &[1])).into();
    Raw { n_keys: Some(count), pairs, ..Raw::default() }.bytes()
}

/// Tensors of these sizes, each declared at the padded end of the one before; 64 bytes of data.
fn summing(sizes: &[i64]) -> Vec<u8> {
    let mut offset = 0_u64;
    let mut infos = Vec::new();
    for (i, &size) in sizes.iter().enumerate() {
        infos.push(info(&format!("t{i}"), &[size], I8, offset));
        offset = offset.wrapping_add((size as u64).next_multiple_of(32));
    }
    Raw::of_infos(infos, 64)
}
