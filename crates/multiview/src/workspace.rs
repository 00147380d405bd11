//! The memory of a run, allocated before it begins.

use gemm::{Activation, ElementType, Epilogue, Gemm, MatMut, MatRef, PackedB};
use half::f16;
use op::{Buffer, Threads};
use simd::{InstructionSet, LayerNorm};

use crate::{
    config::{Config, EPSILON, MLP_RATIO, PATCH_VALUES, Shape},
    error::RunError,
    kept::Values,
    pieces,
    rope::Rope,
    weights::{Linear, Norm, layers_of_block, projections},
};

/// Memory for the activations of one sequence, and of a piece of tokens for each thread. A run allocates nothing else,
/// except for what it keeps.
#[derive(Debug)]
pub struct Workspace {
    pub(crate) config: Config,
    pub(crate) shape: Shape,
    /// The residual stream of a sequence: S x P x C.
    pub(crate) tokens: Buffer<f32>,
    /// Of all tokens of the sequence in the block that runs: S x P x C.
    pub(crate) keys: Buffer<f32>,
    pub(crate) values: Buffer<f32>,
    /// One image, 3 x height x width.
    pub(crate) image: Buffer<f32>,
    pub(crate) rope: Rope,
    pub(crate) scratches: Vec<Scratch>,
}

/// What a thread needs for a piece.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Tokens x C: normalized tokens, then the output of attention.
    pub(crate) narrow: Buffer<f32>,
    /// Tokens x C.
    pub(crate) queries: Buffer<f32>,
    /// Tokens x 4C, or patches x their numbers: outputs of wide layers.
    pub(crate) wide: Buffer<f32>,
    /// Tokens x 2C: an output, before it is projected.
    pub(crate) joined: Buffer<f32>,
    /// Packed operands of products.
    pub(crate) packed: gemm::Workspace,
    /// Tiles of attention.
    pub(crate) tiles: attention::Workspace,
}

/// Numbers of each buffer of a scratch.
pub(crate) struct ScratchValues {
    pub(crate) narrow: usize,
    pub(crate) queries: usize,
    pub(crate) wide: usize,
    pub(crate) joined: usize,
}

impl ScratchValues {
    pub(crate) fn new(config: &Config, shape: &Shape) -> Self {
        let (tokens, c) = (pieces::largest(shape), config.embed_dim);
        let wide = tokens * PATCH_VALUES.max(MLP_RATIO * c);
        Self { narrow: tokens * c, queries: tokens * c, wide, joined: tokens * config.output_dim() }
    }
}

/// Bytes that the products and the attention of a piece work in: those of the largest of each.
pub(crate) struct PieceWorkspaces {
    pub(crate) packed: usize,
    pub(crate) tiles: usize,
}

impl PieceWorkspaces {
    pub(crate) fn new(config: &Config, shape: &Shape) -> Self {
        let (heads, head_dim) = (config.heads, config.head_dim());
        let (mut packed, mut tiles) = (0, 0);
        for [tokens, patches] in pieces::sizes(shape) {
            let mut product = |m: usize, (k, n): (usize, usize), c: ElementType| {
                packed = packed.max(PackedB::workspace_bytes(gemm::Shape { m, n, k }, c, Threads::SERIAL));
            };
            layers_of_block(config).into_iter().for_each(|layer| product(tokens, layer, ElementType::F32));
            product(patches, (PATCH_VALUES, config.embed_dim), ElementType::F32);
            for layer in projections(config) {
                product(patches, layer, ElementType::F32);
                product(patches, layer, ElementType::F16);
            }
            for keys in [shape.tokens(), shape.frames * shape.tokens()] {
                let (kv_heads, value_dim) = (heads, head_dim);
                let attention =
                    attention::Shape { batch: 1, queries: tokens, keys, heads, kv_heads, head_dim, value_dim };
                tiles = tiles.max(attention::workspace_bytes(&attention, ElementType::F32, Threads::SERIAL));
            }
        }
        Self { packed, tiles }
    }
}

/// A workspace of so many bytes.
fn grown(bytes: usize) -> Result<op::Workspace, RunError> {
    let mut workspace = op::Workspace::new();
    workspace.floats(bytes.div_ceil(size_of::<f32>()))?;
    Ok(workspace)
}

impl Workspace {
    /// For inputs of `shape`, and at most `threads` threads.
    ///
    /// # Errors
    /// If the input does not fit the model, or there is no memory.
    pub fn new(config: &Config, shape: &Shape, threads: Threads) -> Result<Self, RunError> {
        shape.check(config)?;
        let all = shape.frames * shape.tokens() * config.embed_dim;
        // More threads than pieces would have nothing to do.
        let pieces = shape.frames.saturating_mul(shape.tokens().div_ceil(pieces::largest(shape)));
        let PieceWorkspaces { packed, tiles } = PieceWorkspaces::new(config, shape);
        let scratch = |_| -> Result<Scratch, RunError> {
            let ScratchValues { narrow, queries, wide, joined } = ScratchValues::new(config, shape);
            Ok(Scratch {
                narrow: Buffer::zeroed(narrow)?,
                queries: Buffer::zeroed(queries)?,
                wide: Buffer::zeroed(wide)?,
                joined: Buffer::zeroed(joined)?,
                packed: grown(packed)?,
                tiles: grown(tiles)?,
            })
        };
        Ok(Self {
            config: *config,
            shape: *shape,
            tokens: Buffer::zeroed(all)?,
            keys: Buffer::zeroed(all)?,
            values: Buffer::zeroed(all)?,
            image: Buffer::zeroed(shape.image_values())?,
            rope: Rope::new(shape, config.head_dim()),
            scratches: (0..threads.min(pieces).get()).map(scratch).collect::<Result<_, _>>()?,
        })
    }

    /// Bytes held; runs add nothing.
    pub fn bytes(&self) -> usize {
        let buffers = [&self.tokens, &self.keys, &self.values, &self.image].map(|buffer| size_of_val(&**buffer));
        let scratches = self.scratches.iter().map(|scratch| {
            let Scratch { narrow, queries, wide, joined, packed, tiles } = scratch;
            [narrow, queries, wide, joined].map(|buffer| size_of_val(&**buffer)).iter().sum::<usize>()
                + packed.bytes()
                + tiles.bytes()
        });
        buffers.iter().sum::<usize>() + scratches.sum::<usize>() + Rope::bytes(&self.shape, self.config.head_dim())
    }
}

/// How the output of a linear layer is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// x W + b
    Set,
    /// gelu(x W + b)
    SetGelu,
    /// Added to what is there.
    Add,
}

impl Linear {
    /// Applies the layer to rows of `from`; `to` has as many rows.
    pub(crate) fn apply(
        &self,
        from: &[f32],
        to: &mut [f32],
        store: Store,
        packed: &mut gemm::Workspace,
    ) -> Result<(), RunError> {
        let (inputs, outputs) = (self.weights.rows(), self.weights.cols());
        let rows = to.len() / outputs;
        let activation = if store == Store::SetGelu { Activation::Gelu } else { Activation::Identity };
        Gemm::new(MatRef::from_row_major(from, rows, inputs)?, &self.weights)
            .beta(if store == Store::Add { 1.0 } else { 0.0 })
            .epilogue(Epilogue::new().bias_per_column(&self.bias).activation(activation))
            .workspace(packed)
            .run(MatMut::from_row_major(to, rows, outputs)?)?;
        Ok(())
    }

    /// The same, stored in the type of `to`.
    pub(crate) fn apply_to(&self, from: &[f32], to: Values<'_>, packed: &mut gemm::Workspace) -> Result<(), RunError> {
        let to: &mut [f16] = match to {
            Values::F32(to) => return self.apply(from, to, Store::Set, packed),
            Values::F16(to) => to,
        };
        let (inputs, outputs) = (self.weights.rows(), self.weights.cols());
        let rows = to.len() / outputs;
        Gemm::new(MatRef::from_row_major(from, rows, inputs)?, &self.weights)
            .epilogue(Epilogue::new().bias_per_column(&self.bias))
            .workspace(packed)
            .run(MatMut::from_row_major(to, rows, outputs)?)?;
        Ok(())
    }
}

impl Norm {
    /// Normalizes rows of `from` into `to`.
    pub(crate) fn apply(&self, from: &[f32], to: &mut [f32]) {
        let Self { factors, offsets } = self;
        InstructionSet::best().run(LayerNorm { from, to, factors, offsets, epsilon: EPSILON as f32 });
    }
}
