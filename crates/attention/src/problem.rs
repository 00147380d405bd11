//! A problem whose operands fit each other: checked once, then computed without further checks.

use std::{marker::PhantomData, ops::Range};

use simd::ElementType;

use crate::{
    error::{AttentionError, Operand},
    options::Options,
    shape::Shape,
    view::{Extents, Input, Output},
};

/// O = softmax(scale Q K^T + bias) V. Only [`new`](Self::new) makes one, so everything fits.
#[derive(Debug)]
pub(crate) struct Problem<'a> {
    pub(crate) q: Input<'a>,
    pub(crate) k: Input<'a>,
    pub(crate) v: Input<'a>,
    pub(crate) out: Output<'a>,
    pub(crate) lse: Option<Lse<'a>>,
    pub(crate) options: Options<'a>,
    pub(crate) shape: Shape,
    pub(crate) scale: f32,
}

/// Where the log-sum-exp of each row goes, in the order batch, head, query.
#[derive(Debug)]
pub(crate) struct Lse<'a> {
    origin: *mut f32,
    data: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is the only borrow of floats.
unsafe impl Send for Lse<'_> {}
// SAFETY: through a shared reference nothing is accessed but by `Problem::set_lse`, whose callers promise to be the
// only ones for a row.
unsafe impl Sync for Lse<'_> {}

/// One sequence of queries and the keys that they may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) batch: usize,
    /// Tokens of Q and the output.
    pub(crate) queries: Range<usize>,
    /// Tokens of K and V; they decide where the last query stands.
    pub(crate) keys: Range<usize>,
    /// How many of the keys, from the first on, are no padding.
    pub(crate) length: usize,
}

impl<'a> Problem<'a> {
    /// Checks that everything fits. Its errors are those of [`Attention::run`](crate::Attention::run).
    pub(crate) fn new(
        [q, k, v]: [Input<'a>; 3],
        out: Output<'a>,
        lse: Option<&'a mut [f32]>,
        options: Options<'a>,
    ) -> Result<Self, AttentionError> {
        let shape = Shape::of(q, k, v, &out)?;
        if k.element_type() != v.element_type() {
            return Err(AttentionError::TypeMismatch { k: k.element_type(), v: v.element_type() });
        }
        check_options(&options, &shape)?;
        let lse = match lse {
            Some(lse) if lse.len() != shape.rows() => {
                return Err(AttentionError::LseLength { got: lse.len(), need: shape.rows() });
            }
            lse => lse.map(|lse| Lse { origin: lse.as_mut_ptr(), data: PhantomData }),
        };
        let scale = options.scale.unwrap_or(1.0 / (shape.head_dim.max(1) as f32).sqrt());
        Ok(Self { q, k, v, out, lse, options, shape, scale })
    }

    /// All sequences.
    pub(crate) fn sequences(&self) -> impl DoubleEndedIterator<Item = Sequence> + Clone {
        let count = self.options.sequences.map_or(self.shape.batch, |[queries, _]| queries.len() - 1);
        (0..count).map(|index| self.sequence(index))
    }

    /// Sequence `index`, which is below their number.
    fn sequence(&self, index: usize) -> Sequence {
        match self.options.sequences {
            Some([queries, keys]) => {
                let (queries, keys) = (queries[index]..queries[index + 1], keys[index]..keys[index + 1]);
                Sequence { batch: 0, queries, length: keys.len(), keys }
            }
            None => {
                let Shape { queries, keys, .. } = self.shape;
                let length = self.options.key_lengths.map_or(keys, |lengths| lengths[index]);
                Sequence { batch: index, queries: 0..queries, keys: 0..keys, length }
            }
        }
    }

    /// The keys that a query of a sequence sees; both are counted from the first of the sequence.
    pub(crate) fn visible(&self, sequence: &Sequence, query: usize) -> Range<usize> {
        self.options.mask.visible(query, sequence.queries.len(), sequence.keys.len(), sequence.length)
    }

    /// What is added to a score. The indices count from the first query and key of the sequence.
    pub(crate) fn term(&self, sequence: &Sequence, head: usize, query: usize, key: usize) -> f32 {
        let bias = self.options.bias.and_then(|bias| bias.get([sequence.batch, head, query, key])).unwrap_or(0.0);
        match self.options.slopes {
            None => bias,
            Some(slopes) => bias - slopes[head] * sequence.distance(query, key),
        }
    }

    /// Adds `factor` times [`term`](Self::term) to the scores of a query with some keys, which follow each other.
    pub(crate) fn add_terms<'s>(
        &self,
        sequence: &Sequence,
        [head, query]: [usize; 2],
        keys: Range<usize>,
        factor: f32,
        scores: impl Iterator<Item = &'s mut f32>,
    ) {
        let scores = scores.zip(keys.clone());
        let bias = self.options.bias.and_then(|bias| bias.row([sequence.batch, head, query], keys));
        let slope = self.options.slopes.map(|slopes| slopes[head]);
        match (bias, slope) {
            (None, None) => {}
            (Some(bias), None) => scores.zip(bias).for_each(|((score, _), bias)| *score += factor * bias),
            (None, Some(slope)) => {
                scores.for_each(|(score, key)| *score -= factor * (slope * sequence.distance(query, key)));
            }
            (Some(bias), Some(slope)) => scores.zip(bias).for_each(|((score, key), bias)| {
                *score += factor * (bias - slope * sequence.distance(query, key));
            }),
        }
    }

    /// Operations, a multiply-add as two: Q K^T and P V for the pairs that are not masked.
    pub(crate) fn flops(&self) -> u64 {
        let Shape { batch, .. } = self.shape;
        match (self.options.sequences, self.options.key_lengths) {
            // There may be any number of batches without elements.
            (None, None) if batch > 0 => self.flops_of(std::iter::once(self.sequence(0))).saturating_mul(batch as u64),
            _ => self.flops_of(self.sequences()),
        }
    }

    /// Operations of some sequences.
    pub(crate) fn flops_of(&self, sequences: impl Iterator<Item = Sequence>) -> u64 {
        let Shape { heads, head_dim, value_dim, .. } = self.shape;
        let pairs = sequences
            .map(|Sequence { queries, keys, length, .. }| self.options.mask.pairs(queries.len(), keys.len(), length));
        let pairs = pairs.fold(0, u64::saturating_add).saturating_mul(heads as u64);
        pairs.saturating_mul((head_dim as u64).saturating_add(value_dim as u64)).saturating_mul(2)
    }

    /// Bytes that must move at least: each operand once.
    pub(crate) fn bytes(&self) -> u64 {
        let tensor = |extents: Extents, element: ElementType| {
            let Extents { batch, tokens, heads, head_dim } = extents;
            let factors = [batch, tokens, heads, head_dim, element.bytes()];
            factors.into_iter().fold(1, |product: u64, factor| product.saturating_mul(factor as u64))
        };
        let inputs = [self.q, self.k, self.v].map(|x| tensor(x.extents(), x.element_type()));
        inputs.into_iter().fold(tensor(self.out.extents(), self.out.element_type()), u64::saturating_add)
    }

    /// Writes the log-sum-exp of a row, if it is asked for.
    ///
    /// # Safety
    /// The row exists, and nobody else writes it meanwhile.
    pub(crate) unsafe fn set_lse(&self, batch: usize, head: usize, query: usize, lse: f32) {
        if let Some(Lse { origin, .. }) = self.lse {
            let Shape { heads, queries, .. } = self.shape;
            // SAFETY: the slice has a float for each row, and this one is not accessed otherwise.
            unsafe { *origin.add((batch * heads + head) * queries + query) = lse };
        }
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.shape.rows() == 0 || (self.shape.value_dim == 0 && self.lse.is_none())
    }
}

impl Sequence {
    /// Tokens between a query's position and a key, whichever comes first.
    pub(crate) fn distance(&self, query: usize, key: usize) -> f32 {
        let position = query + self.keys.len();
        position.abs_diff(key + self.queries.len()) as f32
    }
}

fn check_options(options: &Options<'_>, shape: &Shape) -> Result<(), AttentionError> {
    let &Shape { batch, queries, keys, heads, .. } = shape;
    if let Some(lengths) = options.key_lengths {
        if lengths.len() != batch {
            return Err(AttentionError::KeyLengthCount { got: lengths.len(), need: batch });
        }
        if let Some((batch, &got)) = lengths.iter().enumerate().find(|(_, length)| **length > keys) {
            return Err(AttentionError::KeyLength { batch, got, most: keys });
        }
    }
    if let Some([query_bounds, key_bounds]) = options.sequences {
        let first = "packed sequences";
        if options.key_lengths.is_some() {
            return Err(AttentionError::Conflict { first, second: "key lengths" });
        }
        if options.bias.is_some() {
            return Err(AttentionError::Conflict { first, second: "a bias" });
        }
        if batch != 1 {
            return Err(AttentionError::SequenceBatch { got: batch });
        }
        if query_bounds.len() != key_bounds.len() || query_bounds.is_empty() {
            let (queries, keys) = (query_bounds.len(), key_bounds.len());
            return Err(AttentionError::SequenceCount { queries, keys });
        }
        check_bounds(Operand::Q, query_bounds, queries)?;
        check_bounds(Operand::K, key_bounds, keys)?;
    }
    let need = [batch, heads, queries, keys];
    if let Some(bias) = options.bias.filter(|bias| !bias.spreads_to(need)) {
        return Err(AttentionError::BiasShape { got: bias.extents(), need });
    }
    match options.slopes {
        Some(slopes) if slopes.len() != heads => Err(AttentionError::SlopeCount { got: slopes.len(), need: heads }),
        _ => Ok(()),
    }
}

fn check_bounds(operand: Operand, bounds: &[usize], tokens: usize) -> Result<(), AttentionError> {
    let wrong = |index: usize| AttentionError::SequenceBound { operand, index, got: bounds[index], tokens };
    if bounds[0] != 0 {
        return Err(wrong(0));
    }
    if let Some(index) = (1..bounds.len()).find(|&index| bounds[index] < bounds[index - 1]) {
        return Err(wrong(index));
    }
    let last = bounds.len() - 1;
    if bounds[last] != tokens { Err(wrong(last)) } else { Ok(()) }
}
