//! Which variant is taken where none is forced.

use attention::cases::Problem;
use gpu::Capabilities;

use crate::{
    error::AttentionGpuError,
    items::most_queries,
    variant::{VARIANTS, Variant},
};

/// Rows that share keys (queries x group), at most, to split the keys among workgroups.
const MOST_DECODE_ROWS: u64 = 16;

/// The variant for a problem: to split the keys where few rows share them, else tiles. Depends on the problem and the
/// device alone.
///
/// Cooperative matrices have to be asked for: with them the proof failed on the first card that tried (an NVIDIA H200,
/// f16, `head_dim` 64), though the same text with emulated products is right on a software adapter.
pub(crate) fn choose(problem: &Problem, has: &Capabilities) -> Result<Variant, AttentionGpuError> {
    let rows = most_queries(problem) * problem.shape.group() as u64;
    let is_decode = rows <= MOST_DECODE_ROWS;
    let fits = |variant: Variant| match variant {
        Variant::Decode { groups, .. } => is_decode && (groups == 2) == (rows > 4),
        Variant::Coop { .. } => false,
        Variant::Tile { .. } => !is_decode,
    };
    let mut lacking = None;
    for (name, variant) in VARIANTS.iter().filter(|(_, variant)| fits(*variant)) {
        match variant.lacks(problem, has) {
            None => return Ok(*variant),
            Some(reason) => lacking = Some(AttentionGpuError::Variant { variant: name, reason }),
        }
    }
    Err(lacking.unwrap_or(AttentionGpuError::Variant { variant: "none", reason: "no variant".to_owned() }))
}
