//! A block of the transformer over the tokens of a sequence.
//!
//! ```text
//!   x += ls1 * proj(attention(norm1(x)))
//!   x += ls2 * fc2(gelu(fc1(norm2(x))))
//! ```
//!
//! It departs from the definition in three points, so that no intermediate result exists for all tokens but keys and
//! values:
//!
//! 1. *Two passes.* The first computes keys and values of all tokens. The second takes a piece of tokens through
//!    everything else, normalizes it once more for its queries, and writes the residual stream in place: nobody reads
//!    a piece after its keys and values are known, except the piece itself.
//! 2. *A frame block is a global block with a shorter reach.* Tokens of a frame see the keys of their own frame only,
//!    and all frames go through the two passes together.
//! 3. *The captured output is formed piece by piece.* Before the second pass of a global block updates a piece, that
//!    holds the frame block's output; afterwards the global block's. Both are stored or projected at once.

use attention::{Attention, View, ViewMut};
use simd::InstructionSet;

use crate::{
    config::{Config, MLP_RATIO, Shape},
    error::RunError,
    kept::{Slot, Slots, Values, patches_of},
    norm::HeadNorm,
    pieces::{self, Piece, take},
    rope::Rope,
    weights::{BlockWeights, HeadWeights},
    workspace::{Scratch, Store, Workspace},
};

/// Which keys a token sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those of its frame.
    Frame,
    /// Those of its sequence.
    Sequence,
}

/// Passes all tokens of the workspace through a block. Its output goes to `slots`, beside what the tokens were before.
pub(crate) fn run(
    block: &BlockWeights,
    head: &HeadWeights,
    reach: Reach,
    slots: Slots<'_>,
    workspace: &mut Workspace,
) -> Result<(), RunError> {
    let Workspace { config, shape, tokens, keys, values, rope, scratches, .. } = workspace;
    let c = config.embed_dim;
    let (mut rest, mut rest_of_keys, mut rest_of_values) = (&tokens[..], &mut keys[..], &mut values[..]);
    let parts = pieces::of_sequence(shape).map(|piece| {
        let (x, after) = rest.split_at(piece.len() * c);
        rest = after;
        let (keys, values) = (take(&mut rest_of_keys, x.len()), take(&mut rest_of_values, x.len()));
        (piece, x, keys, values)
    });
    pieces::for_each(parts, scratches, |(piece, x, keys, values), scratch| {
        keys_and_values(block, config, rope, (&piece, x), (keys, values), scratch)
    })?;

    let (mut rest, mut slots) = (&mut tokens[..], slots);
    let parts = pieces::of_sequence(shape).map(|piece| {
        let (x, slot) = (take(&mut rest, piece.len() * c), slots.take(&piece));
        (piece, x, slot)
    });
    pieces::for_each(parts, scratches, |(piece, x, mut slot), scratch| {
        let seen = seen(reach, shape, c, &piece);
        store_half(&mut slot, c, x, scratch, 0);
        attention(block, config, rope, (&piece, x), (&keys[seen.clone()], &values[seen]), scratch)?;
        mlp(block, c, x, scratch)?;
        store_half(&mut slot, c, x, scratch, 1);
        capture(slot, &piece, head, scratch)
    })
}

/// The floats of the keys that a piece sees.
fn seen(reach: Reach, shape: &Shape, c: usize, piece: &Piece) -> std::ops::Range<usize> {
    let of_frame = shape.tokens() * c;
    match reach {
        Reach::Frame => piece.frame * of_frame..(piece.frame + 1) * of_frame,
        Reach::Sequence => 0..shape.frames * of_frame,
    }
}

fn keys_and_values(
    block: &BlockWeights,
    config: &Config,
    rope: &Rope,
    (piece, x): (&Piece, &[f32]),
    (keys, values): (&mut [f32], &mut [f32]),
    scratch: &mut Scratch,
) -> Result<(), RunError> {
    let (c, heads) = (config.embed_dim, config.heads);
    let Scratch { narrow, wide, packed, .. } = scratch;
    let (normed, both) = (&mut narrow[..x.len()], &mut wide[..2 * x.len()]);
    block.norm1.apply(x, normed);
    block.keys_values.apply(normed, both, Store::Set, packed)?;
    let (norm, token) = (&block.key_norm, piece.tokens.start);
    InstructionSet::best().run(HeadNorm { from: both, stride: 2 * c, to: keys, heads, norm, rope, token });
    for (both, values) in both.chunks_exact(2 * c).zip(values.chunks_exact_mut(c)) {
        values.copy_from_slice(&both[c..]);
    }
    Ok(())
}

fn attention(
    block: &BlockWeights,
    config: &Config,
    rope: &Rope,
    (piece, x): (&Piece, &mut [f32]),
    (keys, values): (&[f32], &[f32]),
    scratch: &mut Scratch,
) -> Result<(), RunError> {
    let (c, heads) = (config.embed_dim, config.heads);
    let Scratch { narrow, queries, wide, packed, tiles, .. } = scratch;
    let (normed, wide, queries) = (&mut narrow[..x.len()], &mut wide[..x.len()], &mut queries[..x.len()]);
    block.norm1.apply(x, normed);
    block.queries.apply(normed, wide, Store::Set, packed)?;
    let (norm, token) = (&block.query_norm, piece.tokens.start);
    InstructionSet::best().run(HeadNorm { from: wide, stride: c, to: queries, heads, norm, rope, token });
    let attended = normed;
    let of = |x: &[f32]| [1, x.len() / c, heads, config.head_dim()];
    let extents = of(attended);
    Attention::new(
        View::from_bnhd(queries, of(queries))?,
        View::from_bnhd(keys, of(keys))?,
        View::from_bnhd(values, of(values))?,
    )
    .workspace(tiles)
    .run(ViewMut::from_bnhd(attended, extents)?)?;
    block.projection.apply(attended, x, Store::Add, packed)
}

fn mlp(block: &BlockWeights, c: usize, x: &mut [f32], scratch: &mut Scratch) -> Result<(), RunError> {
    let Scratch { narrow, wide, packed, .. } = scratch;
    let (normed, hidden) = (&mut narrow[..x.len()], &mut wide[..x.len() / c * MLP_RATIO * c]);
    block.norm2.apply(x, normed);
    block.expansion.apply(normed, hidden, Store::SetGelu, packed)?;
    block.contraction.apply(hidden, x, Store::Add, packed)
}

/// Projects a joined output.
fn capture(slot: Slot<'_>, piece: &Piece, head: &HeadWeights, scratch: &mut Scratch) -> Result<(), RunError> {
    let Slot::Projected { index, patches, camera } = slot else { return Ok(()) };
    let output = head.norm.factors.len();
    let Scratch { wide, joined, packed, .. } = scratch;
    let joined = &joined[..piece.len() * output];
    if let Some(camera) = camera {
        camera.copy_from_slice(&joined[..output]);
    }
    project(head, index, &joined[patches_of(piece).start * output..], patches, wide, packed)
}

/// Stores one half of an output: the frame block's (0), before the global block updates `x`, or the global block's (1).
fn store_half(slot: &mut Slot<'_>, c: usize, x: &[f32], scratch: &mut Scratch, half: usize) {
    let joined = match slot {
        Slot::None => return,
        Slot::Output(output) => &mut output[..],
        Slot::Projected { .. } => &mut scratch.joined[..2 * x.len()],
    };
    for (x, joined) in x.chunks_exact(c).zip(joined.chunks_exact_mut(2 * c)) {
        joined[half * c..][..c].copy_from_slice(x);
    }
}

/// The depth head's projection number `index` of rows of 2C channels. `space` has room for the rows.
pub(crate) fn project(
    head: &HeadWeights,
    index: usize,
    rows: &[f32],
    to: Values<'_>,
    space: &mut [f32],
    packed: &mut gemm::Workspace,
) -> Result<(), RunError> {
    let normed = &mut space[..rows.len()];
    head.norm.apply(rows, normed);
    head.projections[index].apply_to(normed, to, packed)
}
