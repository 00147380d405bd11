//! Where weights come from: a seed, or a file in the safetensors format. Names and extents are those of VGGT's own
//! checkpoint, so a checkpoint with a convolution as patch embedding loads as it is.

mod file;
mod seeded;

pub use self::{
    file::{SafetensorsFile, to_safetensors},
    seeded::{Seeded, image},
};

use crate::{
    config::{CAPTURES, Config, MLP_RATIO, PATCH, REGISTERS},
    error::WeightsError,
};

/// A tensor of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in a file.
    pub name: String,
    /// Its extents; elements are in row-major order.
    pub extents: Vec<usize>,
    /// What it is.
    pub role: Role,
}

/// What a tensor is: this decides how a seed fills it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The matrix of a linear layer, outputs x inputs.
    Linear {
        /// Terms of each sum.
        inputs: usize,
    },
    /// Added to the outputs of a linear layer or of a norm.
    Bias,
    /// The factors of a norm.
    NormFactor,
    /// The factors of a residual branch (LayerScale).
    BranchFactor,
    /// Tokens that are learned.
    Tokens,
}

/// Gives the numbers of a tensor.
pub trait TensorSource {
    /// All numbers of `tensor`, in row-major order. Another number of them than [`TensorSpec::len`] is an error of
    /// whoever reads: [`WeightsError::Length`].
    ///
    /// # Errors
    /// [`WeightsError`] if there is no such tensor of these extents, or no memory for it.
    fn read(&self, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError>;
}

impl TensorSpec {
    fn new(name: impl Into<String>, extents: &[usize], role: Role) -> Self {
        Self { name: name.into(), extents: extents.to_vec(), role }
    }

    /// Numbers; saturates.
    pub fn len(&self) -> usize {
        self.extents.iter().fold(1, |all, &extent| all.saturating_mul(extent))
    }

    /// Whether it has no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The numbers of a tensor, as many as it has: what a source says is not trusted.
pub(crate) fn read(source: &impl TensorSource, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
    let numbers = source.read(tensor)?;
    let (expected, found) = (tensor.len(), numbers.len());
    if found == expected {
        return Ok(numbers);
    }
    Err(WeightsError::Length { tensor: tensor.name.clone(), expected, found })
}

/// Names the tensors of a part of the model.
#[derive(Debug, Clone)]
pub(crate) struct Names(String);

impl Names {
    /// The blocks of a kind (`frame_blocks` or `global_blocks`) in layer `layer`.
    pub(crate) fn block(kind: &str, layer: usize) -> Self {
        Self(format!("aggregator.{kind}.{layer}"))
    }

    /// Weight (`outputs` x `inputs`) and bias of a linear layer.
    pub(crate) fn linear(&self, name: &str, outputs: usize, inputs: usize) -> [TensorSpec; 2] {
        let name = format!("{}.{name}", self.0);
        [
            TensorSpec::new(format!("{name}.weight"), &[outputs, inputs], Role::Linear { inputs }),
            TensorSpec::new(format!("{name}.bias"), &[outputs], Role::Bias),
        ]
    }

    /// Factors and offsets of a norm over `channels`.
    pub(crate) fn norm(&self, name: &str, channels: usize) -> [TensorSpec; 2] {
        let name = format!("{}.{name}", self.0);
        [
            TensorSpec::new(format!("{name}.weight"), &[channels], Role::NormFactor),
            TensorSpec::new(format!("{name}.bias"), &[channels], Role::Bias),
        ]
    }

    /// Factors of a residual branch.
    pub(crate) fn branch(&self, name: &str, channels: usize) -> TensorSpec {
        TensorSpec::new(format!("{}.{name}.gamma", self.0), &[channels], Role::BranchFactor)
    }

    /// All tensors of a block.
    fn of_block(&self, config: &Config) -> Vec<TensorSpec> {
        let c = config.embed_dim;
        let mut all = Vec::new();
        all.extend(self.norm("norm1", c));
        all.extend(self.linear("attn.qkv", 3 * c, c));
        all.extend(self.norm("attn.q_norm", config.head_dim()));
        all.extend(self.norm("attn.k_norm", config.head_dim()));
        all.extend(self.linear("attn.proj", c, c));
        all.push(self.branch("ls1", c));
        all.extend(self.norm("norm2", c));
        all.extend(self.linear("mlp.fc1", MLP_RATIO * c, c));
        all.extend(self.linear("mlp.fc2", c, MLP_RATIO * c));
        all.push(self.branch("ls2", c));
        all
    }
}

/// Weight and bias of the convolution that makes a patch a token.
pub(crate) fn patch_embedding(config: &Config) -> [TensorSpec; 2] {
    let (name, c) = ("aggregator.patch_embed.proj", config.embed_dim);
    let inputs = 3 * PATCH * PATCH;
    [
        TensorSpec::new(format!("{name}.weight"), &[c, 3, PATCH, PATCH], Role::Linear { inputs }),
        TensorSpec::new(format!("{name}.bias"), &[c], Role::Bias),
    ]
}

/// The camera token and the register tokens, each once for the first frame and once for all others.
pub(crate) fn special_tokens(config: &Config) -> [TensorSpec; 2] {
    let c = config.embed_dim;
    [
        TensorSpec::new("aggregator.camera_token", &[1, 2, 1, c], Role::Tokens),
        TensorSpec::new("aggregator.register_token", &[1, 2, REGISTERS, c], Role::Tokens),
    ]
}

/// Factors and offsets of the norm of the depth head, the same for all layers that it reads.
pub(crate) fn head_norm(config: &Config) -> [TensorSpec; 2] {
    Names("depth_head".to_owned()).norm("norm", config.output_dim())
}

/// Weight and bias of the projection of captured layer `index`, a convolution of 1 x 1.
pub(crate) fn head_projection(config: &Config, index: usize) -> [TensorSpec; 2] {
    let (name, inputs) = (format!("depth_head.projects.{index}"), config.output_dim());
    let outputs = config.channels[index];
    [
        TensorSpec::new(format!("{name}.weight"), &[outputs, inputs, 1, 1], Role::Linear { inputs }),
        TensorSpec::new(format!("{name}.bias"), &[outputs], Role::Bias),
    ]
}

/// All tensors of a model.
///
/// # Errors
/// If the dimensions are impossible.
pub fn tensors(config: &Config) -> Result<Vec<TensorSpec>, WeightsError> {
    config.check()?;
    let mut all = Vec::from(patch_embedding(config));
    all.extend(special_tokens(config));
    for kind in ["frame_blocks", "global_blocks"] {
        for layer in 0..config.depth {
            all.extend(Names::block(kind, layer).of_block(config));
        }
    }
    all.extend(head_norm(config));
    for index in 0..CAPTURES {
        all.extend(head_projection(config, index));
    }
    Ok(all)
}
