//! Extents and strides of a tensor, and the checks that make unchecked addressing sound.

use std::{fmt, ops::Range};

use crate::error::ViewError;

/// Extents of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extents {
    /// Batches.
    pub batch: usize,
    /// Tokens of each batch.
    pub tokens: usize,
    /// Heads of each token.
    pub heads: usize,
    /// Elements of each head.
    pub head_dim: usize,
}

/// Elements from one batch, token or head to the next. The elements of a head are adjacent.
///
/// A stride along an axis of extent 1, and any stride of a tensor without elements, leads nowhere: views take whatever
/// it is and report 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strides {
    /// From one batch to the next.
    pub batch: usize,
    /// From one token to the next.
    pub token: usize,
    /// From one head to the next.
    pub head: usize,
}

impl Extents {
    fn is_empty(&self) -> bool {
        self.batch == 0 || self.tokens == 0 || self.heads == 0 || self.head_dim == 0
    }
}

/// `2 x 128 x 12 x 64`, in the order batch, token, head, element.
impl fmt::Display for Extents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, tokens, heads, head_dim } = self;
        write!(f, "{batch} x {tokens} x {heads} x {head_dim}")
    }
}

/// `strides 98304, 768, 64`, in the order batch, token, head.
impl fmt::Display for Strides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, token, head } = self;
        write!(f, "strides {batch}, {token}, {head}")
    }
}

impl Strides {
    /// Those of a dense tensor in the order batch, token, head, element.
    ///
    /// # Errors
    /// [`ViewError::Overflow`] if one exceeds `usize::MAX`.
    pub fn bnhd(extents: Extents) -> Result<Self, ViewError> {
        let Extents { tokens, heads, head_dim, .. } = extents;
        let (token, batch) = Self::products(head_dim, heads, tokens);
        Self { batch, token, head: head_dim }.fitting(extents)
    }

    /// Those of a dense tensor in the order batch, head, token, element.
    ///
    /// # Errors
    /// [`ViewError::Overflow`] if one exceeds `usize::MAX`.
    pub fn bhnd(extents: Extents) -> Result<Self, ViewError> {
        let Extents { tokens, heads, head_dim, .. } = extents;
        let (head, batch) = Self::products(head_dim, tokens, heads);
        Self { batch, token: head_dim, head }.fitting(extents)
    }

    /// x y and x y z, `usize::MAX` where that is too much.
    fn products(x: usize, y: usize, z: usize) -> (usize, usize) {
        (x.saturating_mul(y), x.saturating_mul(y).saturating_mul(z))
    }

    /// Strides that saturated are an error, unless nothing is addressed with them.
    fn fitting(self, extents: Extents) -> Result<Self, ViewError> {
        let is_saturated = [self.batch, self.token, self.head].contains(&usize::MAX);
        match is_saturated && !extents.is_empty() {
            true => Err(ViewError::Overflow { extents, strides: self }),
            false => Ok(self),
        }
    }
}

/// Extents and strides of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) extents: Extents,
    pub(crate) strides: Strides,
}

impl Layout {
    /// The same layout with a stride of 0 wherever a stride leads nowhere, so that multiples of strides stay within the
    /// tensor.
    pub(crate) fn normalized(self) -> Self {
        let is_empty = self.extents.is_empty();
        let [batch, token, head] = self.axes().map(|(extent, stride)| if is_empty || extent == 1 { 0 } else { stride });
        Self { strides: Strides { batch, token, head }, ..self }
    }

    /// The three axes that have strides: extent and stride.
    fn axes(&self) -> [(usize, usize); 3] {
        let Self { extents, strides } = self;
        [(extents.batch, strides.batch), (extents.tokens, strides.token), (extents.heads, strides.head)]
    }

    /// Whether every element is inside a slice of `len` elements. An empty tensor fits anywhere.
    ///
    /// # Errors
    /// [`ViewError::Overflow`] if an offset exceeds `isize::MAX`, [`ViewError::OutOfBounds`] if the slice is too short.
    pub(crate) fn check(&self, len: usize) -> Result<(), ViewError> {
        if self.extents.is_empty() {
            return Ok(());
        }
        let overflow = ViewError::Overflow { extents: self.extents, strides: self.strides };
        let mut need = self.extents.head_dim;
        for (extent, stride) in self.axes() {
            let reach = (extent - 1).checked_mul(stride).ok_or(overflow)?;
            need = need.checked_add(reach).filter(|&need| need <= isize::MAX as usize).ok_or(overflow)?;
        }
        if need > len { Err(ViewError::OutOfBounds { need, len }) } else { Ok(()) }
    }

    /// Whether two elements may share an address. In the order of their strides, each axis must step over everything
    /// that the axes before it reach.
    pub(crate) fn overlaps(&self) -> bool {
        if self.extents.is_empty() {
            return false;
        }
        let mut axes = self.axes();
        axes.sort_by_key(|&(_, stride)| stride);
        let mut reach = self.extents.head_dim - 1;
        for (extent, stride) in axes.into_iter().filter(|&(extent, _)| extent > 1) {
            if stride <= reach {
                return true;
            }
            reach = reach.saturating_add((extent - 1).saturating_mul(stride));
        }
        false
    }

    /// Elements before a row. It does not overflow for a row of a checked layout; for an empty tensor it has no
    /// meaning.
    #[inline]
    pub(crate) fn offset(&self, batch: usize, token: usize, head: usize) -> usize {
        let Strides { batch: b, token: t, head: h } = self.strides;
        batch.wrapping_mul(b).wrapping_add(token.wrapping_mul(t)).wrapping_add(head.wrapping_mul(h))
    }

    /// Elements before a row, if there is one.
    pub(crate) fn offset_inside(&self, batch: usize, token: usize, head: usize) -> Option<usize> {
        let Extents { batch: batches, tokens, heads, head_dim } = self.extents;
        let is_inside = batch < batches && token < tokens && head < heads;
        is_inside.then(|| if head_dim == 0 { 0 } else { self.offset(batch, token, head) })
    }

    /// Some of the tokens, and the elements before them.
    pub(crate) fn tokens(mut self, range: Range<usize>) -> Result<(usize, Self), ViewError> {
        inside("tokens", &range, self.extents.tokens)?;
        self.extents.tokens = range.len();
        Ok((self.start(range.start, self.strides.token), self))
    }

    /// Some of the heads, and the elements before them.
    pub(crate) fn heads(mut self, range: Range<usize>) -> Result<(usize, Self), ViewError> {
        inside("heads", &range, self.extents.heads)?;
        self.extents.heads = range.len();
        Ok((self.start(range.start, self.strides.head), self))
    }

    /// Some of the batches, and the elements before them.
    pub(crate) fn batches(mut self, range: Range<usize>) -> Result<(usize, Self), ViewError> {
        inside("batches", &range, self.extents.batch)?;
        self.extents.batch = range.len();
        Ok((self.start(range.start, self.strides.batch), self))
    }

    /// Where a part begins. An empty part begins nowhere: its index may be beyond the last element.
    fn start(&self, index: usize, stride: usize) -> usize {
        if self.extents.is_empty() { 0 } else { index * stride }
    }
}

fn inside(axis: &'static str, range: &Range<usize>, extent: usize) -> Result<(), ViewError> {
    match range.start <= range.end && range.end <= extent {
        true => Ok(()),
        false => Err(ViewError::OutOfView { axis, end: range.end.max(range.start), extent }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn layout([batch, tokens, heads, head_dim]: [usize; 4], [b, token, head]: [usize; 3]) -> Layout {
        let extents = Extents { batch, tokens, heads, head_dim };
        Layout { extents, strides: Strides { batch: b, token, head } }
    }

    /// All addresses, in the order of the axes.
    fn addresses(layout: Layout) -> Vec<usize> {
        let Extents { batch, tokens, heads, head_dim } = layout.extents;
        let mut all = Vec::new();
        for (b, t) in (0..batch).flat_map(|b| (0..tokens).map(move |t| (b, t))) {
            for (h, d) in (0..heads).flat_map(|h| (0..head_dim).map(move |d| (h, d))) {
                all.push(layout.offset(b, t, h) + d);
            }
        }
        all
    }

    /// Every combination of small extents and strides.
    fn layouts() -> impl Iterator<Item = Layout> {
        let extents = (0..81_usize).map(|i| [i % 3, i / 3 % 3, i / 9 % 3, i / 27 % 3]);
        extents.flat_map(|e| (0..216_usize).map(move |i| layout(e, [i % 6, i / 6 % 6, i / 36 % 6])))
    }

    #[test]
    fn checked_layouts_are_inside_and_not_larger_than_they_say() {
        for layout in layouts() {
            let need = addresses(layout).into_iter().max().map_or(0, |last| last + 1);
            assert_eq!(layout.check(need), Ok(()), "{layout:?}");
            if need > 0 {
                assert_eq!(layout.check(need - 1), Err(ViewError::OutOfBounds { need, len: need - 1 }), "{layout:?}");
            }
        }
    }

    /// The rule refuses some layouts that do not overlap; it must accept none that does.
    #[test]
    fn layouts_that_are_said_to_be_free_of_overlap_are() {
        let mut accepted = 0;
        for layout in layouts() {
            let all = addresses(layout);
            let distinct: HashSet<_> = all.iter().collect();
            assert!(layout.overlaps() || distinct.len() == all.len(), "{layout:?}");
            accepted += usize::from(!layout.overlaps());
        }
        assert!(accepted > 1000, "{accepted}");
    }

    #[test]
    fn dense_layouts_are_accepted_and_too_large_ones_refused() {
        let extents = Extents { batch: 2, tokens: 3, heads: 4, head_dim: 5 };
        for strides in [Strides::bnhd(extents), Strides::bhnd(extents)] {
            let dense = Layout { extents, strides: strides.unwrap() };
            assert!(dense.check(120) == Ok(()) && dense.check(119).is_err() && !dense.overlaps());
        }
        let huge = Extents { batch: 2, tokens: usize::MAX, heads: 4, head_dim: 5 };
        assert!(matches!(Strides::bnhd(huge), Err(ViewError::Overflow { .. })));
        let half = layout([2, 2, 2, 2], [usize::MAX / 2, 1, 1]);
        assert!(matches!(half.check(usize::MAX), Err(ViewError::Overflow { .. })));
        let empty = Extents { batch: 0, ..huge };
        assert_eq!(Layout { extents: empty, strides: Strides::bnhd(empty).unwrap() }.check(0), Ok(()));
    }

    #[test]
    fn strides_that_lead_nowhere_are_0() {
        let far = usize::MAX;
        for (extents, strides) in [([1, 2, 1, 4], [0, 9, 0]), ([3, 2, 1, 0], [0; 3]), ([2, 0, 2, 4], [0; 3])] {
            let normalized = layout(extents, [far, 9, far]).normalized();
            assert_eq!(normalized, layout(extents, strides), "{extents:?}");
        }
        let whole = layout([2, 3, 4, 5], [60, 20, 5]);
        assert_eq!(whole.normalized(), whole);
    }

    #[test]
    fn parts_begin_where_they_should() {
        let whole = layout([2, 3, 4, 5], [60, 20, 5]);
        assert_eq!(whole.tokens(1..3).unwrap().0, 20);
        assert_eq!(whole.heads(2..3).unwrap().0, 10);
        assert_eq!(whole.batches(1..1).unwrap().0, 0, "an empty part has no beginning");
        let refused = ViewError::OutOfView { axis: "tokens", end: 4, extent: 3 };
        assert_eq!(whole.tokens(1..4), Err(refused));
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
        let reversed = whole.tokens(4..1);
        assert_eq!(reversed, Err(refused));
    }
}
