//! From an image to tokens: the special tokens, then one token for each patch.
//!
//! The convolution of 14 x 14 with a stride of 14 is a product: each patch, unfolded to a row of 3 * 14 * 14 numbers in
//! the order (channel, y, x), times the weights.

use crate::{
    config::{PATCH, PATCH_VALUES, SPECIAL, Shape},
    error::RunError,
    pieces::{self, take},
    weights::Weights,
    workspace::{Scratch, Store, Workspace},
};

/// Mean and standard deviation of each channel of ImageNet's images.
pub(crate) const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
pub(crate) const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Makes the image of the workspace the tokens of frame `frame`.
pub(crate) fn of_image(weights: &Weights, frame: usize, workspace: &mut Workspace) -> Result<(), RunError> {
    let Workspace { config, shape, tokens, image, scratches, .. } = workspace;
    let c = config.embed_dim;
    let special = &weights.special[usize::from(frame > 0)];
    let mut rest = &mut tokens[frame * shape.tokens() * c..][..shape.tokens() * c];
    let parts = pieces::of_frame(shape, frame).map(|piece| {
        let x = take(&mut rest, piece.len() * c);
        (piece, x)
    });
    pieces::for_each(parts, scratches, |(piece, x), Scratch { wide, packed, .. }| {
        let first = piece.tokens.start;
        let specials = first.min(SPECIAL)..piece.tokens.end.min(SPECIAL);
        let (to, patches) = x.split_at_mut(specials.len() * c);
        to.copy_from_slice(&special[specials.start * c..specials.end * c]);
        let unfolded = &mut wide[..patches.len() / c * PATCH_VALUES];
        let first = first.max(SPECIAL) - SPECIAL;
        for (number, patch) in unfolded.chunks_exact_mut(PATCH_VALUES).enumerate() {
            unfold(image, shape, first + number, patch);
        }
        weights.patch_embedding.apply(unfolded, patches, Store::Set, packed)
    })
}

/// Copies a patch, with each channel's mean subtracted and divided by its standard deviation.
fn unfold(image: &[f32], shape: &Shape, patch: usize, to: &mut [f32]) {
    let (_, cols) = shape.grid();
    let (y, x) = (patch / cols * PATCH, patch % cols * PATCH);
    for (row, to) in to.chunks_exact_mut(PATCH).enumerate() {
        let (channel, line) = (row / PATCH, y + row % PATCH);
        let from = &image[(channel * shape.height + line) * shape.width + x..][..PATCH];
        for (to, from) in to.iter_mut().zip(from) {
            *to = (from - MEAN[channel]) / DEVIATION[channel];
        }
    }
}
