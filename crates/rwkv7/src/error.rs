//! Errors of the public functions.

use gemm::{GemmError, LayoutError};
use quant::GgmlType;
use thiserror::Error;

/// Why a GGUF file is not a model that can run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file is of another architecture.
    #[error("the architecture is `{found}`, not `rwkv7`")]
    Architecture {
        /// What `general.architecture` says; `missing` if nothing.
        found: String,
    },
    /// The file has big-endian data.
    #[error("the data are big-endian; convert the file to little-endian first")]
    BigEndian,
    /// A key is missing, or has a value of another type.
    #[error("the key `{key}` is missing or is no {wanted}")]
    Key {
        /// The key.
        key: String,
        /// What its value must be.
        wanted: &'static str,
    },
    /// A key has a value that no model can have.
    #[error("the key `{key}` is {value}: {reason}")]
    KeyValue {
        /// The key.
        key: String,
        /// Its value.
        value: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A tensor is missing.
    #[error("the tensor `{name}` is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor has other dimensions than the keys say.
    #[error("the tensor `{name}` is {found:?}, but the keys make it {wanted:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Its dimensions in the file, the contiguous one first.
        found: Vec<u64>,
        /// Those that it must have.
        wanted: Vec<u64>,
    },
    /// A tensor has a type that nothing here reads.
    #[error("the tensor `{name}` has the type {ty}, which is not supported; quantize the model to another type")]
    Type {
        /// Its name.
        name: String,
        /// Its type.
        ty: GgmlType,
    },
    /// The data of a tensor cannot be had.
    #[error("the data of the tensor `{name}` cannot be read")]
    Data {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why tokens cannot be computed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// There are no tokens: no logits follow from nothing.
    #[error("there are no tokens")]
    Empty,
    /// A token is not in the vocabulary.
    #[error("token {token} at position {position} is not below {vocabulary}, the size of the vocabulary")]
    Token {
        /// The token.
        token: u32,
        /// Its position in the call.
        position: usize,
        /// Tokens of the vocabulary.
        vocabulary: usize,
    },
    /// The state belongs to a model of other dimensions.
    #[error("the state is of a model with {found} numbers in its state; this model has {wanted}")]
    State {
        /// Numbers of the state.
        found: usize,
        /// Numbers that the model's states have.
        wanted: usize,
    },
    /// The logits have no place.
    #[error("the output has room for {found} logits, {wanted} are computed")]
    Output {
        /// Its length.
        found: usize,
        /// Positions times tokens of the vocabulary.
        wanted: usize,
    },
    /// A product failed, for lack of memory.
    #[error("a product of matrices failed")]
    Product(#[from] GemmError),
    /// A matrix has more elements than can be addressed.
    #[error("a matrix cannot be laid out in memory")]
    Layout(#[from] LayoutError),
}

/// Why bytes are not a saved state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StateError {
    /// The bytes do not begin as a state does.
    #[error("these bytes are no saved state of RWKV-7")]
    Magic,
    /// The state is of a model with other dimensions.
    #[error("the state is of a model with {found:?} layers, channels and head size; this model has {wanted:?}")]
    Dimensions {
        /// Layers, channels, head size of the state.
        found: [u64; 3],
        /// Those of the model.
        wanted: [u64; 3],
    },
    /// The bytes are too few or too many.
    #[error("the state has {found} bytes, {wanted} are needed")]
    Length {
        /// Bytes.
        found: usize,
        /// Bytes that a state of the model has.
        wanted: usize,
    },
    /// The checksum is another one.
    #[error("the state is damaged: its checksum does not match")]
    Damaged,
}

/// Why a vocabulary cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VocabularyError {
    /// The file has no vocabulary of this kind.
    #[error("the tokenizer is `{found}`, not `rwkv`: give tokens by number, or a file with its vocabulary")]
    Kind {
        /// What `tokenizer.ggml.model` says; `missing` if nothing.
        found: String,
    },
    /// The list of tokens is missing, or is no list of strings.
    #[error("the key `tokenizer.ggml.tokens` is missing or is no array of strings")]
    Tokens,
    /// The vocabulary has another number of tokens than the embedding.
    #[error("the vocabulary has {found} tokens, the embedding {wanted}")]
    Count {
        /// Tokens of the vocabulary.
        found: usize,
        /// Rows of the embedding.
        wanted: usize,
    },
    /// A token is not written as a Python bytes literal.
    #[error("token {token} has a wrong escape at byte {at}")]
    Escape {
        /// The token.
        token: u32,
        /// Position in its text.
        at: usize,
    },
    /// Some byte is no token, so that not every text can be encoded.
    #[error("no token is the single byte {byte:#04x}, so a text with it cannot be encoded")]
    Byte {
        /// The byte.
        byte: u8,
    },
}
