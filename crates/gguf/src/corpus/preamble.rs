//! Magic, version and counts.

use super::{
    Case, accepted, on_request,
    raw::{Raw, info, pair, string},
    refused,
};

pub(super) fn cases() -> Vec<Case> {
    let small = Raw {
        pairs: vec![pair("k", 4, &[1, 0, 0, 0])],
        infos: vec![info("t", &[8], 0, 0)],
        data_bytes: 32,
        ..Raw::default()
    };
    let with = |change: fn(&mut Raw)| {
        let mut raw = small.clone();
        change(&mut raw);
        raw.bytes()
    };
    let magic = |magic: &[u8; 4]| [magic, &small.bytes()[4..]].concat();
    let mut cases = vec![
        accepted("smallest", Raw::default().bytes()),
        accepted("small", small.bytes()),
        accepted("version-2", with(|raw| raw.version = 2)),
        refused("empty", "Truncated", Vec::new()),
        refused("three-bytes", "Truncated", b"GGU".to_vec()),
        refused("magic-last-byte", "Magic", magic(b"GGUE")),
        refused("magic-lower-case", "Magic", magic(b"gguf")),
        refused("magic-swapped", "Magic", magic(b"FUGG")),
        refused("version-0", "Version", with(|raw| raw.version = 0)),
        refused("version-1", "Version", with(|raw| raw.version = 1)),
        refused("version-4", "Version", with(|raw| raw.version = 4)),
        refused("version-max", "Version", with(|raw| raw.version = u32::MAX)),
        refused("version-high-half-only", "BigEndian", with(|raw| raw.version = 0x0001_0000)),
        refused("tensor-count-negative", "Count", with(|raw| raw.n_tensors = Some(-1))),
        refused("tensor-count-min", "Count", with(|raw| raw.n_tensors = Some(i64::MIN))),
        refused("tensor-count-max", "Count", with(|raw| raw.n_tensors = Some(i64::MAX))),
        refused("tensor-count-one-more", "DataOffset", with(|raw| raw.n_tensors = Some(2))),
        refused("key-count-negative", "Count", with(|raw| raw.n_keys = Some(-1))),
        refused("key-count-max", "Count", with(|raw| raw.n_keys = Some(i64::MAX))),
        refused("key-count-one-more", "Truncated", {
            Raw { pairs: vec![pair("k", 8, &string(&[b'x'; 50]))], n_keys: Some(2), ..Raw::default() }.bytes()
        }),
        // A reader cannot detect a count that is too small: the rest of the entries would be data.
        accepted("tensor-count-one-less", with(|raw| raw.n_tensors = Some(0))),
    ];
    cases.push(on_request("big-endian", "BigEndian", big_endian(3)));
    cases.push(on_request("big-endian-version-2", "BigEndian", big_endian(2)));
    // Refused with the option too, but then for the version.
    cases.push(refused("big-endian-version-1", "BigEndian", big_endian(1)));
    cases.push(refused("big-endian-version-4", "BigEndian", big_endian(4)));
    cases
}

/// A key and a tensor of two numbers.
fn big_endian(version: u32) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(version.to_be_bytes());
    bytes.extend([1_u64, 1].map(u64::to_be_bytes).concat());
    bytes.extend(1_u64.to_be_bytes());
    bytes.extend(b"k");
    bytes.extend(4_u32.to_be_bytes());
    bytes.extend(7_u32.to_be_bytes());
    bytes.extend(1_u64.to_be_bytes());
    bytes.extend(b"t");
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(2_u64.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend([0; 8]);
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes.extend([1.0_f32, 2.0].map(f32::to_be_bytes).concat());
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes
}
