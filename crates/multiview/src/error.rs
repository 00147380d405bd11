//! Errors of the public functions.

use attention::{AttentionError, ViewError};
use gemm::{GemmError, LayoutError};
use thiserror::Error;

use crate::config::{CAPTURES, PATCH};

/// Dimensions that no model or input can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A dimension is 0.
    #[error("{name} is 0")]
    Zero {
        /// Its name.
        name: &'static str,
    },
    /// The heads do not divide the channels.
    #[error("{embed_dim} channels do not divide into {heads} heads")]
    HeadDim {
        /// Channels of a token.
        embed_dim: usize,
        /// Heads.
        heads: usize,
    },
    /// The two halves of a head do not divide into pairs to rotate.
    #[error("the head dimension is {head_dim}, but the rotary embedding needs a multiple of 4")]
    HeadDimOfRotation {
        /// Channels of a head.
        head_dim: usize,
    },
    /// The captured layers are not ascending, or do not end with the last layer.
    #[error("the captured layers {captured:?} must ascend and end with layer {}", depth.saturating_sub(1))]
    Captured {
        /// Layers asked for.
        captured: [usize; CAPTURES],
        /// Layers of the model.
        depth: usize,
    },
    /// The image does not divide into patches.
    #[error("an image of {height} x {width} pixels does not divide into patches of {PATCH} x {PATCH}")]
    Image {
        /// Pixels of a column.
        height: usize,
        /// Pixels of a row.
        width: usize,
    },
    /// The bytes of the weights or of the activations cannot be counted.
    #[error("the dimensions are so large that their product overflows")]
    TooLarge,
}

/// Weights that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The dimensions are impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file is not in the safetensors format.
    #[error("not a valid safetensors file: {why}")]
    Format {
        /// What its reader says.
        why: String,
    },
    /// The file lacks a tensor.
    #[error("tensor {name} is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor has other extents than the dimensions ask for.
    #[error("tensor {name} is {got:?}, the dimensions need {need:?}")]
    Extents {
        /// Its name.
        name: String,
        /// Extents in the file.
        got: Vec<usize>,
        /// Extents needed.
        need: Vec<usize>,
    },
    /// A source gave another number of elements than it was asked for.
    #[error("the source gave {found} numbers of tensor {tensor}, which has {expected}")]
    Length {
        /// Its name.
        tensor: String,
        /// Numbers asked for.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// A tensor is not of f32, f16 or bf16.
    #[error("tensor {name} has elements of type {element}, not F32, F16 or BF16")]
    Element {
        /// Its name.
        name: String,
        /// Its type, as the file spells it.
        element: String,
    },
    /// A number is infinite or not a number.
    #[error("tensor {name} has a number that is not finite, at index {index}")]
    NotFinite {
        /// Its name.
        name: String,
        /// Where, in row-major order.
        index: usize,
    },
    /// There is no memory.
    #[error("no memory for the {bytes} bytes of a tensor")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The weights cannot be packed.
    #[error(transparent)]
    Packing(#[from] GemmError),
}

/// A run that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The input does not fit the model.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no memory.
    #[error("no memory for {bytes} bytes of activations")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The workspace, or what was kept, is of a model or of an input of other dimensions. Weights are not compared.
    #[error("the workspace, or what was kept, is of a model or of an input of other dimensions")]
    OtherModel,
    /// What was kept does not have the layer, or not as whole outputs.
    #[error("output {index} was not kept as it is")]
    NotKept {
        /// The layer asked for, or the index of the captured layer.
        index: usize,
    },
    /// A buffer has the wrong length.
    #[error("{name} has {got} numbers, {need} are needed")]
    Length {
        /// Which one.
        name: &'static str,
        /// Numbers given.
        got: usize,
        /// Numbers needed.
        need: usize,
    },
    /// A product failed.
    #[error(transparent)]
    Product(#[from] GemmError),
    /// An operand of a product does not fit its memory.
    #[error(transparent)]
    Operand(#[from] LayoutError),
    /// Attention failed.
    #[error(transparent)]
    Attention(#[from] AttentionError),
    /// An operand of attention does not fit its memory.
    #[error(transparent)]
    View(#[from] ViewError),
}

impl From<op::OutOfMemory> for RunError {
    fn from(refused: op::OutOfMemory) -> Self {
        Self::OutOfMemory { bytes: refused.bytes }
    }
}
