//! What can be wrong with a problem, as values.

use gpu::GpuError;

/// Why a problem is not prepared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AttentionGpuError {
    /// The elements of a head of Q and K are not those of V, or no multiple of 4, or too many.
    #[error("head_dim {head_dim} and value_dim {value_dim}: both must be one multiple of 4, at most {most}")]
    HeadDim {
        /// Of Q and K.
        head_dim: usize,
        /// Of V and the output.
        value_dim: usize,
        /// The most.
        most: usize,
    },
    /// The heads of Q are no multiple of those of K and V.
    #[error("{heads} heads of Q cannot share {kv_heads} of K and V evenly")]
    HeadGroups {
        /// Heads of Q.
        heads: usize,
        /// Heads of K and V.
        kv_heads: usize,
    },
    /// The lengths of packed sequences do not add up to the tokens, or the batch is not 1.
    #[error("packed sequences have {got} tokens; there are {queries} queries, {keys} keys, and a batch of {batch}")]
    Lengths {
        /// The sum of the lengths.
        got: usize,
        /// Tokens of Q.
        queries: usize,
        /// Tokens of K.
        keys: usize,
        /// Batches.
        batch: usize,
    },
    /// More tokens, or more elements of a tensor, than 32-bit indices reach.
    #[error("{what} is {got}; kernels count to {most}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        got: u64,
        /// The most.
        most: u64,
    },
    /// A tensor does not lie within its buffer.
    #[error("{tensor} needs {need} bytes from byte {offset} of a buffer of {size}")]
    Tensor {
        /// Which tensor.
        tensor: &'static str,
        /// Where it begins.
        offset: u64,
        /// Bytes that it needs.
        need: u64,
        /// Bytes of the buffer.
        size: u64,
    },
    /// One sequence needs more than a kernel can be given at once.
    #[error("{bytes} bytes of {tensor} for one sequence; a binding of this device has at most {most}")]
    Binding {
        /// Which tensor.
        tensor: &'static str,
        /// Bytes that a workgroup would have to reach.
        bytes: u64,
        /// The most.
        most: u64,
    },
    /// The device or the problem lacks what the forced variant needs.
    #[error("{variant}: {reason}")]
    Variant {
        /// The variant.
        variant: &'static str,
        /// What is missing.
        reason: String,
    },
    /// The device reported an error.
    #[error(transparent)]
    Device(#[from] GpuError),
}
