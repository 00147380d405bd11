//! A small file truncated after every byte.

use super::{
    Case, accepted,
    raw::{Raw, info},
    refused,
};

/// Header of 24 bytes, one entry of 33, padding to 64, eight numbers of data.
const WHOLE: usize = 96;

/// Its prefixes, `cut-0` to `cut-95`, and the whole file.
pub(super) fn cases() -> Vec<Case> {
    let whole = Raw::of_infos(vec![info("t", &[8], 0, 0)], 32);
    debug_assert_eq!(whole.len(), WHOLE);
    let cut = |len: usize| refused(format!("cut-{len}"), rule(len), whole[..len].to_vec());
    let mut cases: Vec<_> = (0..WHOLE).map(cut).collect();
    cases.push(accepted("cut-nowhere", whole));
    cases
}

/// The first rule that a prefix of `len` bytes breaks.
fn rule(len: usize) -> &'static str {
    match len {
        // Magic, version or number of tensors is incomplete.
        0..16 => "Truncated",
        // The smallest entry has 24 bytes, and fewer follow the counts.
        16..48 => "Count",
        // The entry or the padding is incomplete.
        48..64 => "Truncated",
        _ => "DataBounds",
    }
}
