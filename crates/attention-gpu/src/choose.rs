//! Which variant is taken where none is forced.

use attention::{Mask, Shape, cases::Problem};
use gpu::Capabilities;

use crate::{
    error::AttentionGpuError,
    items::most_queries,
    variant::{VARIANTS, Variant},
};

/// Rows that share keys (queries x group), at most, to split the keys among workgroups.
const MOST_DECODE_ROWS: u64 = 16;

/// The variants for a problem, the safest first: those that split the keys where few rows share them, else tiles. They
/// depend on the problem and the device alone.
///
/// Cooperative matrices have to be asked for. On the first card that tried (an NVIDIA H200, f16, `head_dim` 64) the
/// proof failed, though the same text with emulated products is right on a software adapter. Its accesses were private
/// ones then (gpu's `translate.rs`); until a card has proved the kernels with complete ones, nothing chooses them.
///
/// # Errors
/// What the last of them lacks, if the device can run none.
pub(crate) fn candidates(problem: &Problem, has: &Capabilities) -> Result<Vec<Variant>, AttentionGpuError> {
    let rows = most_queries(problem) * problem.shape.group() as u64;
    let is_decode = rows <= MOST_DECODE_ROWS;
    let fits = |variant: Variant| match variant {
        Variant::Decode { groups, .. } => is_decode && (groups == 2) == (rows > 4),
        Variant::Coop { .. } => false,
        Variant::Tile { .. } => !is_decode,
    };
    let (mut found, mut lacking) = (Vec::new(), ("none", "no variant".to_owned()));
    for (name, variant) in VARIANTS.iter().filter(|(_, variant)| fits(*variant)) {
        match variant.lacks(problem, has) {
            None => found.push(*variant),
            Some(reason) => lacking = (name, reason),
        }
    }
    let (variant, reason) = lacking;
    if found.is_empty() { Err(AttentionGpuError::Variant { variant, reason }) } else { Ok(found) }
}

/// The op and the class of problems that one measurement speaks for: queries, keys and the longest sequence of a packed
/// batch count up to a power of two.
pub(crate) fn class_of(problem: &Problem) -> (String, String) {
    let up = |count: usize| count.checked_next_power_of_two().unwrap_or(count);
    let Shape { batch, queries, keys, heads, kv_heads, head_dim, .. } = problem.shape;
    let mask = match problem.mask {
        Mask::None => "none".to_owned(),
        Mask::Causal => "causal".to_owned(),
        Mask::Window { left, right } => format!("window{}+{}", up(left), up(right)),
    };
    let packed = match problem.lengths.iter().max() {
        Some(longest) => format!("-packed{}", up(*longest)),
        None => String::new(),
    };
    let class = format!("b{batch}-q{}-k{}-h{heads}-kv{kv_heads}-d{head_dim}-{mask}{packed}", up(queries), up(keys));
    (format!("attention/{}", problem.element.name()), class)
}
