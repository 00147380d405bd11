//! Names, shapes, types and offsets of tensors.

use quant::GgmlType;

use super::{
    Case, accepted,
    raw::{Raw, info},
    refused,
};

const F32: i32 = 0;
const Q4_0: i32 = 2;
const I8: i32 = 24;
const F64: i32 = 28;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = names();
    cases.extend(shapes());
    cases.extend(types());
    cases.extend(places());
    cases
}

fn names() -> Vec<Case> {
    let named = |names: &[&str]| {
        let infos = names.iter().zip(0..).map(|(name, i)| info(name, &[1], F32, 32 * i)).collect();
        Raw::of_infos(infos, 32 * names.len())
    };
    let of_length = |length: u64| {
        let mut entry = info("n", &[1], F32, 0);
        entry[..8].copy_from_slice(&length.to_le_bytes());
        Raw::of_infos(vec![entry], 32)
    };
    vec![
        refused("tensor-name-longer-than-the-file", "Truncated", of_length(1000)),
        refused("tensor-name-above-1-gib", "StringLength", of_length((1 << 30) + 1)),
        accepted("tensor-name-not-utf-8", {
            let mut entry = info("n", &[1], F32, 0);
            entry[8] = 0xff;
            Raw::of_infos(vec![entry], 32)
        }),
        accepted("tensor-name-63-bytes", named(&[&"n".repeat(63)])),
        refused("tensor-name-64-bytes", "NameLength", named(&[&"n".repeat(64)])),
        accepted("tensor-name-empty", named(&["", "a"])),
        accepted("tensor-names-distinct", named(&["a", "b", "ab", "A"])),
        refused("tensor-names-duplicate", "DuplicateTensor", named(&["a", "a"])),
        refused("tensor-names-duplicate-apart", "DuplicateTensor", named(&["b", "a", "c", "b"])),
        refused("tensor-names-both-empty", "DuplicateTensor", named(&["", ""])),
    ]
}

fn shapes() -> Vec<Case> {
    let shaped = |dims: &[i64], ty: i32, data_bytes: usize| Raw::of_infos(vec![info("t", dims, ty, 0)], data_bytes);
    let dimension_count_max = {
        let mut entry = info("t", &[1], F32, 0);
        entry[9..13].fill(0xff);
        Raw::of_infos(vec![entry], 4)
    };
    vec![
        accepted("dimensions-0", shaped(&[], F32, 4)),
        accepted("dimensions-4", shaped(&[2, 3, 4, 5], F32, 480)),
        refused("dimensions-5", "Dimensions", shaped(&[1; 5], F32, 4)),
        refused("dimensions-max", "Dimensions", dimension_count_max),
        refused("dimension-negative", "NegativeDimension", shaped(&[4, -1], F32, 16)),
        refused("dimension-min", "NegativeDimension", shaped(&[i64::MIN], F32, 16)),
        accepted("dimension-0", shaped(&[0], F32, 0)),
        accepted("dimension-0-behind-large-ones", shaped(&[1 << 20, 1 << 20, 1 << 10, 0], F32, 0)),
        refused("dimension-0-behind-too-large-ones", "Elements", shaped(&[1 << 32, 1 << 32, 0], F32, 0)),
        refused("elements-2-63", "Elements", shaped(&[1 << 32, 1 << 31], F32, 64)),
        refused("elements-max", "DataBounds", shaped(&[i64::MAX], I8, 64)),
        refused("elements-huge-but-counted", "DataBounds", shaped(&[1 << 31, 1 << 31], I8, 64)),
        refused("size-overflows", "Size", shaped(&[1 << 61, 2], F64, 64)),
        refused("size-just-fits-but-not-where-it-lies", "Size", shaped(&[(1 << 61) - 4], F64, 64)),
        refused("size-just-fits-but-not-its-padding", "Size", shaped(&[(1 << 61) - 1], F64, 64)),
        accepted("row-of-a-block", shaped(&[32], Q4_0, 18)),
        accepted("rows-of-blocks", shaped(&[64, 3], Q4_0, 108)),
        refused("row-of-half-a-block", "RowLength", shaped(&[16], Q4_0, 18)),
        refused("rows-that-only-together-are-blocks", "RowLength", shaped(&[16, 2], Q4_0, 18)),
        refused("scalar-of-a-block-type", "RowLength", shaped(&[], Q4_0, 18)),
    ]
}

/// One block of every type, and ids without a type.
fn types() -> Vec<Case> {
    let typed = |ty: i32, len: i64, bytes: usize| Raw::of_infos(vec![info("t", &[len], ty, 0)], bytes);
    let mut cases = Vec::new();
    for id in 0..43 {
        match GgmlType::from_id(id) {
            Ok(ty) => {
                let (len, bytes) = (ty.block_len() as i64, ty.block_bytes());
                cases.push(accepted(format!("type-{id}"), typed(id as i32, len, bytes)));
                cases.push(refused(format!("type-{id}-cut"), "DataBounds", typed(id as i32, len, bytes - 1)));
            }
            Err(_) => {
                let removed = typed(id as i32, 256, 1024);
                cases.push(refused(format!("type-{id}-removed"), "TensorType", removed));
            }
        }
    }
    for id in [43, 1000, i32::MAX, -1, i32::MIN] {
        cases.push(refused(format!("type-{id}"), "TensorType", typed(id, 256, 1024)));
    }
    cases
}

fn places() -> Vec<Case> {
    // Each tensor takes 12 bytes, 32 with padding.
    let placed = |offsets: &[u64], data_bytes: usize| {
        let names = ["a", "b", "c"];
        let infos = offsets.iter().zip(names).map(|(&offset, name)| info(name, &[3], F32, offset)).collect();
        Raw::of_infos(infos, data_bytes)
    };
    let empty_after = Raw::of_infos(vec![info("a", &[3], F32, 0), info("b", &[0], F32, 32)], 12);
    let unpadded_header = Raw { infos: vec![info("t", &[0], F32, 0)], alignment: 1, ..Raw::default() }.bytes();
    vec![
        accepted("offsets-in-a-row", placed(&[0, 32, 64], 96)),
        accepted("last-padding-missing", placed(&[0, 32], 44)),
        accepted("bytes-behind-the-data", placed(&[0, 32], 1000)),
        refused("data-cut-by-a-byte", "DataBounds", placed(&[0, 32], 43)),
        refused("data-missing", "DataBounds", placed(&[0], 0)),
        refused("offset-first-not-0", "DataOffset", placed(&[32], 64)),
        refused("offset-gap", "DataOffset", placed(&[0, 64], 96)),
        refused("offset-overlap", "DataOffset", placed(&[0, 0], 64)),
        refused("offset-inside", "DataOffset", placed(&[0, 12], 64)),
        refused("offset-unaligned", "DataOffset", placed(&[0, 33], 96)),
        refused("offsets-swapped", "DataOffset", placed(&[32, 0], 64)),
        refused("offset-max", "DataOffset", placed(&[0, u64::MAX], 64)),
        accepted("empty-tensor-between", {
            let infos = vec![info("a", &[3], F32, 0), info("b", &[0], F32, 32), info("c", &[3], F32, 32)];
            Raw::of_infos(infos, 44)
        }),
        refused("empty-tensor-beyond-the-end", "DataBounds", empty_after),
        refused("header-padding-missing", "Truncated", unpadded_header),
    ]
}
