//! What is done to the scores before the softmax, and which keys there are.

use std::{marker::PhantomData, ops::Range};

use crate::{error::ViewError, mask::Mask};

/// Scale, mask, bias and lengths: everything that is no tensor of the operation. [`Attention`](crate::Attention) has
/// the same methods and says what they do.
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "options have no effect of their own"]
pub struct Options<'a> {
    pub(crate) scale: Option<f32>,
    pub(crate) mask: Mask,
    pub(crate) key_lengths: Option<&'a [usize]>,
    pub(crate) sequences: Option<[&'a [usize]; 2]>,
    pub(crate) bias: Option<Bias<'a>>,
    pub(crate) slopes: Option<&'a [f32]>,
}

impl<'a> Options<'a> {
    /// Scale 1 / sqrt(head_dim), no mask, no bias, all keys.
    pub const NONE: Self =
        Self { scale: None, mask: Mask::None, key_lengths: None, sequences: None, bias: None, slopes: None };

    /// See [`Attention::scale`](crate::Attention::scale).
    pub fn scale(self, scale: f32) -> Self {
        Self { scale: Some(scale), ..self }
    }

    /// See [`Attention::mask`](crate::Attention::mask).
    pub fn mask(self, mask: Mask) -> Self {
        Self { mask, ..self }
    }

    /// See [`Attention::key_lengths`](crate::Attention::key_lengths).
    pub fn key_lengths(self, lengths: &'a [usize]) -> Self {
        Self { key_lengths: Some(lengths), ..self }
    }

    /// See [`Attention::sequences`](crate::Attention::sequences).
    pub fn sequences(self, queries: &'a [usize], keys: &'a [usize]) -> Self {
        Self { sequences: Some([queries, keys]), ..self }
    }

    /// See [`Attention::bias`](crate::Attention::bias).
    pub fn bias(self, bias: Bias<'a>) -> Self {
        Self { bias: Some(bias), ..self }
    }

    /// See [`Attention::alibi`](crate::Attention::alibi).
    pub fn alibi(self, slopes: &'a [f32]) -> Self {
        Self { slopes: Some(slopes), ..self }
    }

    /// Whether scores are changed beyond scale and mask.
    pub(crate) fn has_terms(&self) -> bool {
        self.bias.is_some() || self.slopes.is_some()
    }
}

/// Numbers that are added to the scores: batches x heads x queries x keys. An extent of 1 is repeated.
#[derive(Debug, Clone, Copy)]
pub struct Bias<'a> {
    origin: *const f32,
    extents: [usize; 4],
    /// 0 where an extent is 1.
    strides: [usize; 4],
    data: PhantomData<&'a [f32]>,
}

// SAFETY: a `Bias` is a shared borrow of a slice of floats.
unsafe impl Send for Bias<'_> {}
// SAFETY: all methods of a `Bias` only read.
unsafe impl Sync for Bias<'_> {}

impl<'a> Bias<'a> {
    /// A dense bias in the order batch, head, query, key. The slice may be longer.
    ///
    /// # Errors
    /// [`ViewError::Bias`] if the slice cannot hold it.
    pub fn new(data: &'a [f32], extents: [usize; 4]) -> Result<Self, ViewError> {
        let [_, heads, queries, keys] = extents;
        let (head, batch) = (queries.saturating_mul(keys), heads.saturating_mul(queries).saturating_mul(keys));
        Self::with_strides(data, extents, [batch, head, keys, 1])
    }

    /// A bias with any strides, in the order batch, head, query, key. `data[0]` is its first number. A stride of 0
    /// repeats. The slice may be longer.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_strides(data: &'a [f32], extents: [usize; 4], strides: [usize; 4]) -> Result<Self, ViewError> {
        let refused = ViewError::Bias { extents, len: data.len() };
        let mut repeating = strides;
        let mut last = 0_usize;
        if !extents.contains(&0) {
            for (stride, extent) in repeating.iter_mut().zip(extents) {
                if extent == 1 {
                    *stride = 0;
                }
                let reach = stride.checked_mul(extent - 1).ok_or(refused)?;
                last = last.checked_add(reach).filter(|&last| last < data.len()).ok_or(refused)?;
            }
        }
        Ok(Self { origin: data.as_ptr(), extents, strides: repeating, data: PhantomData })
    }

    /// Batches, heads, queries and keys.
    pub fn extents(&self) -> [usize; 4] {
        self.extents
    }

    /// Whether it can be repeated to these extents. If so, and none of them is 0, every index below them exists.
    pub(crate) fn spreads_to(&self, extents: [usize; 4]) -> bool {
        self.extents.into_iter().zip(extents).all(|(own, other)| own == other || own == 1)
    }

    /// Address of a number, which may be read only if it exists: for indices below extents that it spreads to.
    #[inline]
    pub(crate) fn at(&self, indices: [usize; 4]) -> *const f32 {
        let mut offset = 0_usize;
        for axis in 0..4 {
            offset = offset.wrapping_add(indices[axis].wrapping_mul(self.strides[axis]));
        }
        self.origin.wrapping_add(offset)
    }

    /// The numbers for some keys of a batch, a head and a query, repeated where an extent is 1, if there are such.
    pub(crate) fn row(self, [batch, head, query]: [usize; 3], keys: Range<usize>) -> Option<impl Iterator<Item = f32>> {
        let ends = [batch, head, query].map(|index| index.checked_add(1)).into_iter().chain([Some(keys.end)]);
        let is_inside = |(end, extent): (Option<usize>, usize)| extent == 1 || end.is_some_and(|end| end <= extent);
        if !ends.zip(self.extents).all(is_inside) {
            return None;
        }
        let (first, [.., stride]) = (self.at([batch, head, query, keys.start]), self.strides);
        // SAFETY: each index is below its extent, or is multiplied by 0.
        Some((0..keys.len()).map(move |j| unsafe { *first.wrapping_add(j * stride) }))
    }

    /// The number at these indices, repeated where an extent is 1, if there is one.
    pub fn get(&self, indices: [usize; 4]) -> Option<f32> {
        let is_inside = indices.into_iter().zip(self.extents).all(|(index, extent)| index < extent || extent == 1);
        // SAFETY: each index is below its extent, or is multiplied by 0.
        is_inside.then(|| unsafe { *self.at(indices) })
    }
}
