//! Rotary position embedding in two dimensions.
//!
//! A head is cut in halves: the first is rotated by the row of the token's patch, the second by its column. Within a
//! half of n channels, channel i and channel i + n/2 are a pair, rotated by the angle position * 100^(-2i/n). Patch
//! (y, x) has the position (y + 1, x + 1); tokens before the patches have (0, 0), so they are not rotated.

use crate::config::{ROPE_BASE, SPECIAL, Shape};

/// Cosines and sines of all angles of an input.
#[derive(Debug)]
pub(crate) struct Rope {
    /// Pairs of a half.
    pairs: usize,
    /// Patches of a row of the image.
    width: usize,
    /// For each position, the cosine and the sine of each pair's angle.
    angles: Vec<[f32; 2]>,
}

/// Where a token is: the angles of its row and of its column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation<'a> {
    /// For each pair of a half, cosine and sine: of the first half, and of the second.
    pub(crate) halves: [&'a [[f32; 2]]; 2],
}

impl Rope {
    /// Positions that an input has along its longer axis, 0 included.
    fn positions(shape: &Shape) -> usize {
        let (rows, cols) = shape.grid();
        rows.max(cols) + 1
    }

    /// Bytes of the table for heads of `head_dim` channels.
    pub(crate) fn bytes(shape: &Shape, head_dim: usize) -> usize {
        Self::positions(shape) * (head_dim / 4) * size_of::<[f32; 2]>()
    }

    /// For heads of `head_dim` channels, a multiple of 4.
    pub(crate) fn new(shape: &Shape, head_dim: usize) -> Self {
        let pairs = head_dim / 4;
        let mut angles = Vec::with_capacity(Self::positions(shape) * pairs);
        for position in 0..Self::positions(shape) {
            for i in 0..pairs {
                let frequency = ROPE_BASE.powf(-(i as f64) / pairs as f64);
                let (sin, cos) = (position as f64 * frequency).sin_cos();
                angles.push([cos as f32, sin as f32]);
            }
        }
        Self { pairs, width: shape.grid().1, angles }
    }

    /// Of token `token` of a frame.
    #[inline]
    pub(crate) fn rotation(&self, token: usize) -> Rotation<'_> {
        let (y, x) = match token.checked_sub(SPECIAL) {
            None => (0, 0),
            Some(patch) => (patch / self.width + 1, patch % self.width + 1),
        };
        Rotation { halves: [y, x].map(|position| &self.angles[position * self.pairs..][..self.pairs]) }
    }
}
