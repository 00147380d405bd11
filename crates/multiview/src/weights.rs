//! Weights in the form that a run reads: matrices packed, factors of residual branches multiplied into them.

use gemm::{ElementType, MatRef, PackedB};

use crate::{
    config::{CAPTURES, Config, MLP_RATIO, PATCH_VALUES, SPECIAL},
    error::WeightsError,
    source::{self, Names, TensorSource, TensorSpec, head_norm, head_projection, patch_embedding, special_tokens},
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
            projections.push(reader.linear(&head_projection(config, index))?);
        }
        let Ok(projections) = <[Linear; CAPTURES]>::try_from(projections) else {
            unreachable!("the loop makes CAPTURES projections")
        };
        Ok(Self {
            patch_embedding: reader.linear(&patch_embedding(config))?,
            special: reader.special()?,
            frame_blocks: blocks("frame_blocks")?,
            global_blocks: blocks("global_blocks")?,
            head: HeadWeights { norm: reader.norm(head_norm(config))?, projections },
        })
    }

    /// Bytes of memory that a model of these dimensions, which were checked, will take.
    pub(crate) fn bytes_of(config: &Config) -> usize {
        let (norms, special) = (2 * config.output_dim(), 2 * SPECIAL * config.embed_dim);
        let block: usize = layers_of_block(config).map(|(k, n)| Linear::bytes_of(k, n)).iter().sum::<usize>()
            + (4 * config.embed_dim + 4 * config.head_dim()) * size_of::<f32>();
        let others = [(PATCH_VALUES, config.embed_dim)].into_iter().chain(projections(config));
        let others: usize = others.map(|(k, n)| Linear::bytes_of(k, n)).sum();
        2 * config.depth * block + others + (norms + special) * size_of::<f32>()
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

/// Inputs and outputs of the linear layers of a block.
pub(crate) fn layers_of_block(config: &Config) -> [(usize, usize); 5] {
    let c = config.embed_dim;
    [(c, c), (c, 2 * c), (c, c), (c, MLP_RATIO * c), (MLP_RATIO * c, c)]
}

/// Inputs and outputs of the depth head's projections.
pub(crate) fn projections(config: &Config) -> [(usize, usize); CAPTURES] {
    config.channels.map(|channels| (config.output_dim(), channels))
}

impl Linear {
    fn bytes_of(inputs: usize, outputs: usize) -> usize {
        PackedB::bytes_of(inputs, outputs, ElementType::F32) + outputs * size_of::<f32>()
    }

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
    fn read(&self, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
        source::read(self.source, tensor)
    }

    fn norm(&self, [factors, offsets]: [TensorSpec; 2]) -> Result<Norm, WeightsError> {
        Ok(Norm { factors: self.read(&factors)?, offsets: self.read(&offsets)? })
    }

    fn linear(&self, [weights, bias]: &[TensorSpec; 2]) -> Result<Linear, WeightsError> {
        let inputs = weights.len() / weights.extents[0];
        let (weights, bias) = (self.read(weights)?, self.read(bias)?);
        Ok(Linear { weights: packed(&weights, inputs, bias.len())?, bias })
    }

    /// A linear layer at the end of a residual branch.
    fn scaled(&self, [weights, bias]: [TensorSpec; 2], branch: &TensorSpec) -> Result<Linear, WeightsError> {
        let (outputs, inputs) = (weights.extents[0], weights.extents[1]);
        let factors = self.read(branch)?;
        let (mut weights, mut bias) = (self.read(&weights)?, self.read(&bias)?);
        for ((row, bias), factor) in weights.chunks_exact_mut(inputs).zip(&mut bias).zip(factors) {
            row.iter_mut().for_each(|weight| *weight *= factor);
            *bias *= factor;
        }
        Ok(Linear { weights: packed(&weights, inputs, outputs)?, bias })
    }

    /// The layers that make queries, and keys and values. The tensor has all three, and is read once.
    fn queries_keys_values(&self, names: &Names) -> Result<[Linear; 2], WeightsError> {
        let Config { embed_dim: c, heads, .. } = *self.config;
        let head_dim = self.config.head_dim();
        let [weights, bias] = names.linear("attn.qkv", 3 * c, c);
        let (weights, bias) = (self.read(&weights)?, self.read(&bias)?);
        // Output i of queries and of keys is channel i / heads of head i % heads.
        let channel_first = |i: usize| i % heads * head_dim + i / heads;
        let queries: Vec<usize> = (0..c).map(channel_first).collect();
        let keys = queries.iter().map(|row| c + row);
        let keys_values: Vec<usize> = keys.chain(2 * c..3 * c).collect();
        Ok([rows(&weights, &bias, &queries)?, rows(&weights, &bias, &keys_values)?])
    }

    fn block(&self, names: &Names) -> Result<BlockWeights, WeightsError> {
        let (c, head_dim) = (self.config.embed_dim, self.config.head_dim());
        let [queries, keys_values] = self.queries_keys_values(names)?;
        Ok(BlockWeights {
            norm1: self.norm(names.norm("norm1", c))?,
            queries,
            keys_values,
            query_norm: self.norm(names.norm("attn.q_norm", head_dim))?,
            key_norm: self.norm(names.norm("attn.k_norm", head_dim))?,
            projection: self.scaled(names.linear("attn.proj", c, c), &names.branch("ls1", c))?,
            norm2: self.norm(names.norm("norm2", c))?,
            expansion: self.linear(&names.linear("mlp.fc1", MLP_RATIO * c, c))?,
            contraction: self.scaled(names.linear("mlp.fc2", c, MLP_RATIO * c), &names.branch("ls2", c))?,
        })
    }

    /// Camera token, then registers, of the first frame and of the others.
    fn special(&self) -> Result<[Vec<f32>; 2], WeightsError> {
        let [camera, registers] = special_tokens(self.config);
        let (camera, registers) = (self.read(&camera)?, self.read(&registers)?);
        Ok([0, 1].map(|variant| {
            let halves = [&camera, &registers].map(|tokens| &tokens[variant * tokens.len() / 2..][..tokens.len() / 2]);
            halves.concat()
        }))
    }
}

/// A linear layer of some outputs of another, in this order.
fn rows(weights: &[f32], bias: &[f32], outputs: &[usize]) -> Result<Linear, WeightsError> {
    let inputs = weights.len() / bias.len();
    let mut ordered = Vec::new();
    let len = outputs.len() * inputs;
    let refused = WeightsError::OutOfMemory { bytes: len.saturating_mul(size_of::<f32>()) };
    ordered.try_reserve_exact(len).map_err(|_| refused)?;
    outputs.iter().for_each(|row| ordered.extend_from_slice(&weights[row * inputs..][..inputs]));
    let bias: Vec<f32> = outputs.iter().map(|&row| bias[row]).collect();
    Ok(Linear { weights: packed(&ordered, inputs, bias.len())?, bias })
}

/// A matrix of outputs x inputs, row by row, packed as the right factor of x W.
fn packed(weights: &[f32], inputs: usize, outputs: usize) -> Result<PackedB, WeightsError> {
    // Row-major outputs x inputs is column-major inputs x outputs.
    let Ok(weights) = MatRef::from_col_major(weights, inputs, outputs) else {
        unreachable!("`source::read` checked how many numbers there are")
    };
    Ok(PackedB::new(weights)?)
}
