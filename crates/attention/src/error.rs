//! Errors of the public functions.

use std::fmt;

use simd::ElementType;
use thiserror::Error;

use crate::{
    shape::Shape,
    view::{Extents, Strides},
};

/// A view that does not fit its slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The last element is beyond the end of the slice.
    #[error("the view needs {need} elements, the slice has {len}")]
    OutOfBounds {
        /// Elements from the first to the last.
        need: usize,
        /// Elements of the slice.
        len: usize,
    },
    /// An offset exceeds `isize::MAX`.
    #[error("offsets of {extents} with {strides} overflow")]
    Overflow {
        /// Extents asked for.
        extents: Extents,
        /// Strides asked for.
        strides: Strides,
    },
    /// Two elements of an output may share an address.
    #[error("elements of {extents} with {strides} may share addresses")]
    Overlap {
        /// Extents asked for.
        extents: Extents,
        /// Strides asked for.
        strides: Strides,
    },
    /// A part reaches beyond its view.
    #[error("the part ends at {end} of {extent} {axis}")]
    OutOfView {
        /// `batches`, `tokens` or `heads`.
        axis: &'static str,
        /// One past the last that was asked for, or the start, if that is greater.
        end: usize,
        /// How many there are.
        extent: usize,
    },
    /// An additive bias does not fit its slice: the last number is beyond its end, or an offset overflows.
    #[error(
        "a bias of {} x {} x {} x {} does not fit a slice of {len} numbers",
        extents[0], extents[1], extents[2], extents[3]
    )]
    Bias {
        /// Batches, heads, queries and keys.
        extents: [usize; 4],
        /// Numbers of the slice.
        len: usize,
    },
}

/// A tensor of the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// The queries.
    Q,
    /// The keys.
    K,
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Q => "queries",
            Self::K => "keys",
        })
    }
}

/// An operation that cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AttentionError {
    /// The extents do not fit each other. The batches of all four must be equal, as must the tokens of Q and the output
    /// and of K and V, the heads of Q and the output and of K and V, the head_dim of Q and K and of V and the output.
    #[error("shapes do not match: Q is {}, K is {}, V is {}, the output is {}", got[0], got[1], got[2], got[3])]
    ShapeMismatch {
        /// Extents of Q, K, V and the output.
        got: Box<[Extents; 4]>,
    },
    /// The heads of Q are no multiple of those of K.
    #[error("{heads} heads of Q are no multiple of {kv_heads} heads of K and V")]
    HeadGroups {
        /// Heads of Q.
        heads: usize,
        /// Heads of K and V.
        kv_heads: usize,
    },
    /// K and V are stored as different types.
    #[error("K is stored as {k}, V as {v}: they must be of one type")]
    TypeMismatch {
        /// Type of K.
        k: ElementType,
        /// Type of V.
        v: ElementType,
    },
    /// The operations asked for exceed `u64::MAX`.
    #[error("the operations of {shape} overflow")]
    Overflow {
        /// The problem.
        shape: Shape,
    },
    /// There is not one key length for each batch.
    #[error("{got} key lengths, {need} batches")]
    KeyLengthCount {
        /// Lengths given.
        got: usize,
        /// Batches.
        need: usize,
    },
    /// A key length exceeds the keys that there are.
    #[error("batch {batch} is said to have {got} keys, K has {most}")]
    KeyLength {
        /// Which batch.
        batch: usize,
        /// Its length.
        got: usize,
        /// Tokens of K.
        most: usize,
    },
    /// Packed sequences are in a tensor of more or fewer batches than one.
    #[error("packed sequences need one batch, the tensors have {got}")]
    SequenceBatch {
        /// Batches.
        got: usize,
    },
    /// The bounds of the sequences of Q and K are not of one length, at least 1.
    #[error("{queries} bounds of sequences of queries, {keys} of keys: as many are needed, at least 1")]
    SequenceCount {
        /// Bounds of sequences of Q.
        queries: usize,
        /// Bounds of sequences of K.
        keys: usize,
    },
    /// Bounds of sequences do not begin with 0, decrease, or do not end with the number of tokens.
    #[error(
        "bound {index} of the sequences of {operand} is {got}: bounds begin with 0, do not decrease and end with \
         {tokens}"
    )]
    SequenceBound {
        /// Whose.
        operand: Operand,
        /// Position of the bound.
        index: usize,
        /// The bound.
        got: usize,
        /// Tokens of the tensor.
        tokens: usize,
    },
    /// Two options exclude each other.
    #[error("{first} cannot be combined with {second}")]
    Conflict {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The bias cannot be spread over batches, heads, queries and keys: each of its extents must be that of the problem
    /// or 1.
    #[error(
        "the bias is {} x {} x {} x {}: each extent must be that of {} x {} x {} x {} or 1",
        got[0], got[1], got[2], got[3], need[0], need[1], need[2], need[3]
    )]
    BiasShape {
        /// Its extents: batches, heads, queries, keys.
        got: [usize; 4],
        /// Extents of the problem.
        need: [usize; 4],
    },
    /// There is not one slope for each head of Q.
    #[error("{got} slopes, {need} heads of Q")]
    SlopeCount {
        /// Slopes given.
        got: usize,
        /// Heads of Q.
        need: usize,
    },
    /// The slice for the log-sum-exp is not as long as there are rows.
    #[error("the log-sum-exp has room for {got} numbers, there are {need} rows")]
    LseLength {
        /// Numbers of the slice.
        got: usize,
        /// Batches times heads of Q times queries.
        need: usize,
    },
    /// The operands of a kernel are not of the shape of its case.
    #[error("operands of {got} for the case {need}")]
    CaseMismatch {
        /// Shape of the operands.
        got: Shape,
        /// Shape of the case.
        need: Shape,
    },
    /// There is no memory to work in.
    #[error("no memory for a workspace of {bytes} bytes")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
}

impl From<op::OutOfMemory> for AttentionError {
    fn from(op::OutOfMemory { bytes }: op::OutOfMemory) -> Self {
        Self::OutOfMemory { bytes }
    }
}
