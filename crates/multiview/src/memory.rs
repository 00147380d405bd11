//! How much memory a run takes, from the dimensions alone.
//!
//! | part | floats |
//! |---|---|
//! | weights | all parameters, matrices in whole panels; factors of residual branches are part of the matrices |
//! | tokens | S P C, of one sequence at a time |
//! | keys, values | S P C each, of the block that runs |
//! | image | 3 H W, one at a time |
//! | scratch | per thread and token of a piece: C + C + 2C, and the larger of 4C and 588 |
//! | packed | per thread: what the largest product packs, as `gemm` says |
//! | tiles | per thread: what the largest attention works in, as `attention` says |
//! | angles | twice the longer axis in patches, plus one, times a quarter of a head |
//! | kept | see [`Keep`]: 24 B S P 2C for all outputs, 4 of them for the captured ones, or projections |
//!
//! Everything but the weights and what is kept is allocated before the first block runs, and nothing grows later. So
//! the peak is the sum, but for a few KiB of lists and the rounding of allocations; `tests/memory.rs` compares it with
//! a meter.

use op::Threads;

use crate::{
    config::{Config, Shape},
    error::RunError,
    kept::Keep,
    pieces,
    rope::Rope,
    weights::Weights,
    workspace::{PieceWorkspaces, ScratchValues},
};

/// Bytes of a run, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Weights.
    pub weights: usize,
    /// The residual stream.
    pub tokens: usize,
    /// Keys and values of a block.
    pub keys_values: usize,
    /// The image that is read.
    pub image: usize,
    /// What threads need for their pieces, packed operands and tables included.
    pub scratch: usize,
    /// What is left after the run.
    pub kept: usize,
}

impl Memory {
    /// Of a run on at most `threads` threads.
    ///
    /// # Errors
    /// If the input does not fit the model.
    pub fn predict(config: &Config, shape: &Shape, keep: Keep, threads: Threads) -> Result<Self, RunError> {
        let float = size_of::<f32>();
        let kept = keep.bytes(config, shape)?;
        let tokens = shape.frames * shape.tokens() * config.embed_dim * float;
        let piece = pieces::largest(shape);
        let parts = shape.frames.saturating_mul(shape.tokens().div_ceil(piece));
        let ScratchValues { narrow, queries, wide, joined } = ScratchValues::new(config, shape);
        let buffers = (narrow + queries + wide + joined) * float;
        let PieceWorkspaces { packed, tiles } = PieceWorkspaces::new(config, shape);
        Ok(Self {
            weights: Weights::bytes_of(config),
            tokens,
            keys_values: 2 * tokens,
            image: shape.image_values() * float,
            scratch: threads.min(parts).get() * (buffers + packed + tiles) + Rope::bytes(shape, config.head_dim()),
            kept,
        })
    }

    /// What a run needs beside the weights and what it keeps.
    pub fn transient(&self) -> usize {
        self.tokens + self.keys_values + self.image + self.scratch
    }

    /// The most that is allocated at a time.
    pub fn peak(&self) -> usize {
        self.weights + self.transient() + self.kept
    }
}
