//! A small file cut off behind every byte.

use super::{
    Case, accepted,
    raw::{Raw, info},
    refused,
};

/// Header of 24 bytes, one entry of 33, padding to 64, eight numbers of data.
const WHOLE: usize = 96;

/// All its beginnings, `cut-0` to `cut-95`, and the whole file.
pub(super) fn cases() -> Vec<Case> {
    let whole = Raw::of_infos(vec![info("t", &[8], 0, 0)], 32);
    debug_assert_eq!(whole.len(), WHOLE);
    let cut = |len: usize| refused(format!("cut-{len}"), rule(len), whole[..len].to_vec());
    let mut cases: Vec<_> = (0..WHOLE).map(cut).collect();
    cases.push(accepted("cut-nowhere", whole));
    cases
}

/// What is missed first if so many bytes are there.
fn rule(len: usize) -> &'static str {
    match len {
        // Magic, version or number of tensors are not whole.
        0..16 => "Truncated",
        // The smallest entry has 24 bytes, and so many are not left behind the counts.
        16..48 => "Count",
        // The entry is not whole, or its padding.
        48..64 => "Truncated",
        _ => "DataBounds",
    }
}
