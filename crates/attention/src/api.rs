//! The public functions: [`Attention`], which composes everything, and a short form of its most frequent use.

use op::{Threads, Workspace};
use simd::{Element, ElementType};

use crate::{
    choice::Choice,
    error::AttentionError,
    kernel::CpuKernel,
    mask::Mask,
    options::{Bias, Options},
    problem::Problem,
    shape::Shape,
    view::{Input, Output, View},
};

/// O = softmax(scale Q K^T + bias) V for every batch and head.
///
/// It begins as plain attention on the calling thread, with scale 1 / sqrt(head_dim). Every method changes one thing,
/// in any order, and [`run`](Self::run) computes:
///
/// ```
/// use attention::{Attention, Mask, Threads, View, ViewMut, Workspace};
///
/// // A batch of one, two tokens, one head of two elements.
/// let q = [1.0_f32, 0.0, 0.0, 1.0];
/// let v = [1.0_f32, 2.0, 3.0, 4.0];
/// let (mut out, mut lse) = ([0.0_f32; 4], [0.0; 2]);
/// let shape = [1, 2, 1, 2];
/// let mut workspace = Workspace::new();
///
/// let (q, v) = (View::from_bnhd(&q, shape)?, View::from_bnhd(&v, shape)?);
/// Attention::new(q, q, v)
///     .mask(Mask::Causal)
///     .lse(&mut lse)
///     .threads(Threads::new(2).unwrap_or_default())
///     .workspace(&mut workspace)
///     .run(ViewMut::from_bnhd(&mut out, shape)?)?;
/// assert_eq!(out[..2], [1.0, 2.0]); // the first token sees itself alone
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With fewer heads of K and V than of Q (grouped queries), query head h uses head h / (heads / kv_heads).
#[derive(Debug)]
#[must_use = "nothing is computed before `run`"]
pub struct Attention<'a> {
    q: Input<'a>,
    k: Input<'a>,
    v: Input<'a>,
    options: Options<'a>,
    lse: Option<&'a mut [f32]>,
    threads: Threads,
    workspace: Option<&'a mut Workspace>,
}

impl<'a> Attention<'a> {
    /// Q is batch x queries x heads x head_dim, K batch x keys x kv_heads x head_dim, V batch x keys x kv_heads x
    /// value_dim. K and V are stored as the same type; Q and the output may have others.
    pub fn new<KV: Element>(q: impl Into<Input<'a>>, k: View<'a, KV>, v: View<'a, KV>) -> Self {
        let (q, k, v) = (q.into(), k.into(), v.into());
        Self { q, k, v, options: Options::NONE, lse: None, threads: Threads::SERIAL, workspace: None }
    }

    /// The factor of Q K^T; 1 / sqrt(head_dim) to begin with.
    pub fn scale(self, scale: f32) -> Self {
        Self { options: self.options.scale(scale), ..self }
    }

    /// Which keys each query sees; all to begin with. Nothing at a key reaches a query that does not see it, not even a
    /// NaN.
    pub fn mask(self, mask: Mask) -> Self {
        Self { options: self.options.mask(mask), ..self }
    }

    /// How many of the keys of each batch are no padding. The others are not read. Positions are still counted with the
    /// padding: with a causal mask, query i of as many queries as keys sees keys up to i.
    pub fn key_lengths(self, lengths: &'a [usize]) -> Self {
        Self { options: self.options.key_lengths(lengths), ..self }
    }

    /// Packs sequences of different lengths into one batch: sequence s has the queries `queries[s]..queries[s + 1]` and
    /// the keys `keys[s]..keys[s + 1]`, and sees no others. Both lists begin with 0 and end with the number of tokens
    /// (they are the `cu_seqlens` of flash-attention). Positions count within a sequence.
    ///
    /// Sequences cannot be combined with [`key_lengths`](Self::key_lengths) or a [`bias`](Self::bias).
    pub fn sequences(self, queries: &'a [usize], keys: &'a [usize]) -> Self {
        Self { options: self.options.sequences(queries, keys), ..self }
    }

    /// Numbers that are added to scale Q K^T. Minus infinity gives a key weight 0; a NaN or infinity at that key of V
    /// then still makes a NaN of the output, because 0 times infinity is one.
    pub fn bias(self, bias: Bias<'a>) -> Self {
        Self { options: self.options.bias(bias), ..self }
    }

    /// Attention with linear biases (Press et al., arXiv 2108.12409): `-slopes[head]` times the distance between the
    /// query's position and the key is added to the scores. One slope for each head of Q.
    pub fn alibi(self, slopes: &'a [f32]) -> Self {
        Self { options: self.options.alibi(slopes), ..self }
    }

    /// Where to write the logarithm of the sum of e^score of each row, in the order batch, head, query. Results for
    /// parts of the keys can be merged with it. Minus infinity for a row that sees no key.
    pub fn lse(self, lse: &'a mut [f32]) -> Self {
        Self { lse: Some(lse), ..self }
    }

    /// How many threads of the rayon pool that it is called from may work; the calling thread alone to begin with. A
    /// small problem uses fewer.
    pub fn threads(self, threads: Threads) -> Self {
        Self { threads, ..self }
    }

    /// Memory for intermediate results. To begin with, that is memory which the calling thread keeps for its next call.
    pub fn workspace(self, workspace: &'a mut Workspace) -> Self {
        Self { workspace: Some(workspace), ..self }
    }

    /// Computes the output, which is batch x queries x heads x value_dim, and returns what ran. Rows that see no key
    /// become 0.
    ///
    /// # Errors
    /// The output is unchanged if this fails:
    /// - [`AttentionError::ShapeMismatch`] and [`AttentionError::HeadGroups`] if the tensors do not fit each other;
    /// - [`AttentionError::KeyLengthCount`], [`AttentionError::KeyLength`], [`AttentionError::SequenceBatch`],
    ///   [`AttentionError::SequenceCount`], [`AttentionError::SequenceBound`], [`AttentionError::BiasShape`],
    ///   [`AttentionError::SlopeCount`] and [`AttentionError::LseLength`] if an option does not fit them;
    /// - [`AttentionError::Conflict`] if two options exclude each other;
    /// - [`AttentionError::Overflow`] if the operations cannot be counted in 64 bits;
    /// - [`AttentionError::OutOfMemory`] if there is no memory for intermediate results.
    pub fn run(self, out: impl Into<Output<'a>>) -> Result<Choice, AttentionError> {
        let Self { q, k, v, options, lse, threads, workspace } = self;
        let mut problem = Problem::new([q, k, v], out.into(), lse, options)?;
        match workspace {
            Some(workspace) => CpuKernel::best().attend(&mut problem, threads, workspace, None),
            None => Workspace::with_kept(|workspace| CpuKernel::best().attend(&mut problem, threads, workspace, None)),
        }
    }
}

/// O = softmax(Q K^T / sqrt(head_dim)) V with the fastest kernel of this machine. Returns what ran. [`Attention`] does
/// the same and more.
///
/// ```
/// use attention::{Threads, View, ViewMut, attention};
///
/// let (q, k, v) = ([1.0_f32; 8], [0.5_f32; 8], [2.0_f32; 8]);
/// let mut out = [0.0_f32; 8];
/// let shape = [1, 2, 1, 4]; // batch, tokens, heads, head_dim
/// let [q, k, v] = [&q, &k, &v].map(|x| View::from_bnhd(x, shape).expect("8 elements"));
/// attention(Threads::SERIAL, q, k, v, ViewMut::from_bnhd(&mut out, shape)?)?;
/// assert_eq!(out, [2.0; 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`Attention::run`].
pub fn attention<'a, KV: Element>(
    threads: Threads,
    q: impl Into<Input<'a>>,
    k: View<'a, KV>,
    v: View<'a, KV>,
    out: impl Into<Output<'a>>,
) -> Result<Choice, AttentionError> {
    Attention::new(q, k, v).threads(threads).run(out)
}

/// Bytes that [`Attention::run`] takes of a [workspace](Attention::workspace) that it is given, for a problem of
/// `shape` with Q, K and V of this type on at most `threads` threads: what a workspace grows to.
///
/// With a mask or padded keys it may take fewer, because few operations are not worth many threads. Where Q is of
/// another type than K and V, it takes as much as with [`ElementType::F32`]; the type of the output does not matter.
/// Packed sequences are [another matter](packed_workspace_bytes).
///
/// It is at most 512 KiB a thread for heads of up to 256 elements in groups of up to 32, however many queries, keys,
/// heads and sequences there are.
///
/// ```
/// use attention::{Attention, ElementType, Shape, Threads, View, ViewMut, Workspace, workspace_bytes};
///
/// let (x, mut out, extents) = ([1.0_f32; 64], [0.0_f32; 64], [1, 8, 2, 4]);
/// let x = View::from_bnhd(&x, extents)?;
/// let mut workspace = Workspace::new();
/// Attention::new(x, x, x).workspace(&mut workspace).run(ViewMut::from_bnhd(&mut out, extents)?)?;
///
/// let shape = Shape { batch: 1, queries: 8, keys: 8, heads: 2, kv_heads: 2, head_dim: 4, value_dim: 4 };
/// assert_eq!(workspace.bytes(), workspace_bytes(&shape, ElementType::F32, Threads::SERIAL));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn workspace_bytes(shape: &Shape, element: ElementType, threads: Threads) -> usize {
    CpuKernel::best().workspace_bytes(shape, element, threads)
}

/// As [`workspace_bytes`], with [packed sequences](Attention::sequences) of any lengths whose queries and keys together
/// are those of `shape`: as many bytes suffice.
pub fn packed_workspace_bytes(shape: &Shape, element: ElementType, threads: Threads) -> usize {
    CpuKernel::best().packed_workspace_bytes(shape, element, threads)
}
