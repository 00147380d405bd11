//! Weights in the form that a run reads: matrices packed, factors of residual branches multiplied into them.

use gemm::{MatRef, PackedB};

use crate::{
    config::{CAPTURES, Config, MLP_RATIO},
    error::WeightsError,
    source::{Names, TensorSource, TensorSpec, head_norm, head_projection, patch_embedding, special_tokens},
};

/// A linear layer, y = x W + b.
#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) weights: PackedB,
    pub(crate) bias: Vec<f32>,
}

/// Factors and offsets of a norm.
#[derive(Debug)]
pub(crate) struct Norm {
    pub(crate) factors: Vec<f32>,
    pub(crate) offsets: Vec<f32>,
}

/// A block, of a frame or of the sequence.
#[derive(Debug)]
pub(crate) struct BlockWeights {
    pub(crate) norm1: Norm,
    /// C to C; outputs in the order (channel of a head, head), see [`crate::norm::HeadNorm`].
    pub(crate) queries: Linear,
    /// C to 2C: keys in the same order as queries, then values in the order (head, channel of a head).
    pub(crate) keys_values: Linear,
    pub(crate) query_norm: Norm,
    pub(crate) key_norm: Norm,
    /// C to C, with the factors of its residual branch.
    pub(crate) projection: Linear,
    pub(crate) norm2: Norm,
    /// C to 4C.
    pub(crate) expansion: Linear,
    /// 4C to C, with the factors of its residual branch.
    pub(crate) contraction: Linear,
}

/// What the depth head does to each token of a captured layer.
#[derive(Debug)]
pub(crate) struct HeadWeights {
    pub(crate) norm: Norm,
    pub(crate) projections: [Linear; CAPTURES],
}

/// All weights of a model.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) patch_embedding: Linear,
    /// Camera token and registers, [`SPECIAL`](crate::config::SPECIAL) x C: of the first frame, and of the others.
    pub(crate) special: [Vec<f32>; 2],
    pub(crate) frame_blocks: Vec<BlockWeights>,
    pub(crate) global_blocks: Vec<BlockWeights>,
    pub(crate) head: HeadWeights,
}

/// Reads tensors and packs them.
struct Reader<'a, T> {
    source: &'a T,
    config: &'a Config,
}

impl Weights {
    /// All weights from a source. One tensor at a time is held beside those that are packed.
    pub(crate) fn read(config: &Config, source: &impl TensorSource) -> Result<Self, WeightsError> {
        config.check()?;
        let reader = Reader { source, config };
        let blocks = |kind: &str| -> Result<Vec<_>, WeightsError> {
            (0..config.depth).map(|layer| reader.block(&Names::block(kind, layer))).collect()
        };
        let mut projections = Vec::new();
        for index in 0..CAPTURES {
            projections.push(reader.linear(&head_projection(config, index), 0..config.channels[index], &|row| row)?);
        }
        let Ok(projections) = <[Linear; CAPTURES]>::try_from(projections) else {
            unreachable!("the loop makes CAPTURES projections")
        };
        Ok(Self {
            patch_embedding: reader.linear(&patch_embedding(config), 0..config.embed_dim, &|row| row)?,
            special: reader.special()?,
            frame_blocks: blocks("frame_blocks")?,
            global_blocks: blocks("global_blocks")?,
            head: HeadWeights { norm: reader.norm(head_norm(config))?, projections },
        })
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let Self { patch_embedding, special, frame_blocks, global_blocks, head } = self;
        let blocks = frame_blocks.iter().chain(global_blocks).map(BlockWeights::bytes);
        let projections = head.projections.iter().map(Linear::bytes);
        let special = special.iter().map(|tokens| size_of_val(&**tokens));
        patch_embedding.bytes() + head.norm.bytes() + special.chain(blocks).chain(projections).sum::<usize>()
    }
}

impl Linear {
    fn bytes(&self) -> usize {
        self.weights.bytes() + size_of_val(&*self.bias)
    }
}

impl Norm {
    fn bytes(&self) -> usize {
        size_of_val(&*self.factors) + size_of_val(&*self.offsets)
    }
}

impl BlockWeights {
    fn bytes(&self) -> usize {
        let linears = [&self.queries, &self.keys_values, &self.projection, &self.expansion, &self.contraction];
        let norms = [&self.norm1, &self.norm2, &self.query_norm, &self.key_norm];
        linears.map(Linear::bytes).iter().sum::<usize>() + norms.map(Norm::bytes).iter().sum::<usize>()
    }
}

impl<T: TensorSource> Reader<'_, T> {
    fn norm(&self, [factors, offsets]: [TensorSpec; 2]) -> Result<Norm, WeightsError> {
        Ok(Norm { factors: self.source.read(&factors)?, offsets: self.source.read(&offsets)? })
    }

    /// Rows `rows` of a matrix of outputs x inputs, row i of the result being row `order(i)` of those.
    fn linear(
        &self,
        [weights, bias]: &[TensorSpec; 2],
        rows: std::ops::Range<usize>,
        order: &dyn Fn(usize) -> usize,
    ) -> Result<Linear, WeightsError> {
        let inputs = weights.len() / weights.extents[0];
        let (all, all_biases) = (self.source.read(weights)?, self.source.read(bias)?);
        let row = |i: usize| rows.start + order(i);
        let mut ordered = Vec::new();
        let bytes = rows.len().saturating_mul(inputs).saturating_mul(size_of::<f32>());
        ordered.try_reserve_exact(rows.len() * inputs).map_err(|_| WeightsError::OutOfMemory { bytes })?;
        (0..rows.len()).for_each(|i| ordered.extend_from_slice(&all[row(i) * inputs..][..inputs]));
        drop(all);
        let bias = (0..rows.len()).map(|i| all_biases[row(i)]).collect();
        Ok(Linear { weights: packed(&ordered, inputs, rows.len())?, bias })
    }

    /// A linear layer at the end of a residual branch.
    fn scaled(&self, [weights, bias]: [TensorSpec; 2], branch: &TensorSpec) -> Result<Linear, WeightsError> {
        let (outputs, inputs) = (weights.extents[0], weights.extents[1]);
        let factors = self.source.read(branch)?;
        let (mut weights, mut bias) = (self.source.read(&weights)?, self.source.read(&bias)?);
        for ((row, bias), factor) in weights.chunks_exact_mut(inputs).zip(&mut bias).zip(factors) {
            row.iter_mut().for_each(|weight| *weight *= factor);
            *bias *= factor;
        }
        Ok(Linear { weights: packed(&weights, inputs, outputs)?, bias })
    }

    fn block(&self, names: &Names) -> Result<BlockWeights, WeightsError> {
        let Config { embed_dim: c, heads, .. } = *self.config;
        let head_dim = self.config.head_dim();
        // Row i of the result is channel i / heads of head i % heads.
        let channel_first = move |i: usize| i % heads * head_dim + i / heads;
        let keys_channel_first = move |i: usize| if i < c { channel_first(i) } else { i };
        let qkv = names.linear("attn.qkv", 3 * c, c);
        Ok(BlockWeights {
            norm1: self.norm(names.norm("norm1", c))?,
            queries: self.linear(&qkv, 0..c, &channel_first)?,
            keys_values: self.linear(&qkv, c..3 * c, &keys_channel_first)?,
            query_norm: self.norm(names.norm("attn.q_norm", head_dim))?,
            key_norm: self.norm(names.norm("attn.k_norm", head_dim))?,
            projection: self.scaled(names.linear("attn.proj", c, c), &names.branch("ls1", c))?,
            norm2: self.norm(names.norm("norm2", c))?,
            expansion: self.linear(&names.linear("mlp.fc1", MLP_RATIO * c, c), 0..MLP_RATIO * c, &|row| row)?,
            contraction: self.scaled(names.linear("mlp.fc2", c, MLP_RATIO * c), &names.branch("ls2", c))?,
        })
    }

    /// Camera token, then registers, of the first frame and of the others.
    fn special(&self) -> Result<[Vec<f32>; 2], WeightsError> {
        let [camera, registers] = special_tokens(self.config);
        let (camera, registers) = (self.source.read(&camera)?, self.source.read(&registers)?);
        Ok([0, 1].map(|variant| {
            let halves = [&camera, &registers].map(|tokens| &tokens[variant * tokens.len() / 2..][..tokens.len() / 2]);
            halves.concat()
        }))
    }
}

/// A matrix of outputs x inputs, row by row, packed as the right factor of x W.
fn packed(weights: &[f32], inputs: usize, outputs: usize) -> Result<PackedB, WeightsError> {
    // Row-major outputs x inputs is column-major inputs x outputs. The source gave so many numbers.
    let Ok(weights) = MatRef::from_col_major(weights, inputs, outputs) else {
        unreachable!("a source gives as many numbers as the extents say")
    };
    Ok(PackedB::new(weights)?)
}
