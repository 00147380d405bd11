//! Extents of a problem.

use std::fmt;

use crate::{
    error::AttentionError,
    view::{Extents, Input, Output},
};

/// Extents of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Batches of Q, K, V and the output.
    pub batch: usize,
    /// Tokens of Q and the output.
    pub queries: usize,
    /// Tokens of K and V.
    pub keys: usize,
    /// Heads of Q and the output, a multiple of `kv_heads`.
    pub heads: usize,
    /// Heads of K and V. Query head h uses head h / (heads / kv_heads).
    pub kv_heads: usize,
    /// Elements of a head of Q and K.
    pub head_dim: usize,
    /// Elements of a head of V and the output.
    pub value_dim: usize,
}

impl Shape {
    /// The shape of operands that fit each other.
    pub(crate) fn of(q: Input<'_>, k: Input<'_>, v: Input<'_>, out: &Output<'_>) -> Result<Self, AttentionError> {
        let (q, k, v, out) = (q.extents(), k.extents(), v.extents(), out.extents());
        let shape = Self {
            batch: q.batch,
            queries: q.tokens,
            keys: k.tokens,
            heads: q.heads,
            kv_heads: k.heads,
            head_dim: q.head_dim,
            value_dim: v.head_dim,
        };
        let Self { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = shape;
        let is_fitting = k == Extents { batch, tokens: keys, heads: kv_heads, head_dim }
            && v == Extents { batch, tokens: keys, heads: kv_heads, head_dim: value_dim }
            && out == Extents { batch, tokens: queries, heads, head_dim: value_dim };
        if !is_fitting {
            return Err(AttentionError::ShapeMismatch { got: Box::new([q, k, v, out]) });
        }
        if heads > 0 && (kv_heads == 0 || !heads.is_multiple_of(kv_heads)) {
            return Err(AttentionError::HeadGroups { heads, kv_heads });
        }
        shape.most_flops().ok_or(AttentionError::Overflow { shape })?;
        Ok(shape)
    }

    /// Query heads that share a head of K and V.
    pub fn group(&self) -> usize {
        self.heads.checked_div(self.kv_heads).unwrap_or(0)
    }

    /// Rows of the output: one for each batch, head and query.
    pub(crate) fn rows(&self) -> usize {
        self.batch * self.heads * self.queries
    }

    /// Whether the output has no row.
    pub(crate) fn has_no_rows(&self) -> bool {
        [self.batch, self.heads, self.queries].contains(&0)
    }

    /// Operations without a mask, a multiply-add as two: Q K^T and P V. `None` beyond `u64::MAX`.
    pub fn most_flops(&self) -> Option<u64> {
        let extents = [self.batch, self.heads, self.queries, self.keys];
        let pairs = extents.into_iter().try_fold(1_u64, |product, extent| product.checked_mul(extent as u64))?;
        let per_pair = (self.head_dim as u64).checked_add(self.value_dim as u64)?.checked_mul(2)?;
        pairs.checked_mul(per_pair)
    }
}

/// The extents that differ from case to case: `b1-q1024-k1024-h12-kv12-d64`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = self;
        write!(f, "b{batch}-q{queries}-k{keys}-h{heads}-kv{kv_heads}-d{head_dim}")?;
        if head_dim == value_dim { Ok(()) } else { write!(f, "-dv{value_dim}") }
    }
}
