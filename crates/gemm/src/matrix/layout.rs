//! Extents and strides of a matrix, and the checks that make unchecked addressing sound.

use crate::error::LayoutError;

/// Extents and strides of a matrix, in elements. Element (i, j) is `i * row_stride + j * col_stride` after element
/// (0, 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: isize,
    pub(crate) col_stride: isize,
}

impl Layout {
    /// Index of element (0, 0) in a slice of `len` elements that begins with the element of the lowest address.
    ///
    /// `Ok` promises that all elements are inside the slice. With a negative stride, addresses decrease along the axis,
    /// and (0, 0) is at its far end. An empty matrix has no elements and fits anywhere.
    ///
    /// # Errors
    /// [`LayoutError::Overflow`] if an offset exceeds `isize::MAX`, [`LayoutError::OutOfBounds`] if the slice is too
    /// short.
    pub(crate) fn origin(&self, len: usize) -> Result<usize, LayoutError> {
        let need = self.span()?;
        if need > len {
            return Err(LayoutError::OutOfBounds { need, len });
        }
        Ok(self.lowest())
    }

    /// Elements from the lowest to the highest address; 0 for an empty matrix.
    ///
    /// # Errors
    /// [`LayoutError::Overflow`] if an offset exceeds `isize::MAX`.
    pub(crate) fn span(&self) -> Result<usize, LayoutError> {
        if self.is_empty() {
            return Ok(0);
        }
        let overflow = LayoutError::Overflow {
            rows: self.rows,
            cols: self.cols,
            row_stride: self.row_stride,
            col_stride: self.col_stride,
        };
        let reach = |extent: usize, stride: isize| (extent - 1).checked_mul(stride.unsigned_abs()).ok_or(overflow);
        let (down, right) = (reach(self.rows, self.row_stride)?, reach(self.cols, self.col_stride)?);
        let last = down.checked_add(right).filter(|&last| last < isize::MAX as usize).ok_or(overflow)?;
        Ok(last + 1)
    }

    /// Distance of element (0, 0) from the element of the lowest address, for a layout that has a span.
    pub(crate) fn lowest(&self) -> usize {
        let below = |extent: usize, stride: isize| if stride < 0 { (extent - 1) * stride.unsigned_abs() } else { 0 };
        if self.is_empty() { 0 } else { below(self.rows, self.row_stride) + below(self.cols, self.col_stride) }
    }

    /// Whether two elements share an address.
    ///
    /// (i, j) and (i', j') do where (i - i') rs = (j' - j) cs. With g = gcd(|rs|, |cs|) the smallest solution other
    /// than 0 is a step of |cs| / g rows and |rs| / g columns, so they overlap exactly where such a step fits into the
    /// matrix.
    pub(crate) fn overlaps(&self) -> bool {
        let (rs, cs) = (self.row_stride.unsigned_abs(), self.col_stride.unsigned_abs());
        // Rows that end before the next one begins, or columns that do: this covers nearly all matrices without a
        // division; the general test below has at least four.
        let apart = |step: usize, extent: usize, stride: usize| {
            stride > 0 && step > extent.saturating_sub(1).saturating_mul(stride)
        };
        if apart(rs, self.cols, cs) || apart(cs, self.rows, rs) {
            return false;
        }
        match gcd(rs, cs) {
            _ if self.is_empty() => false,
            0 => self.rows > 1 || self.cols > 1,
            g => cs / g < self.rows && rs / g < self.cols,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0 || self.cols == 0
    }

    pub(crate) fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride }
    }

    /// Distance of element (i, j) from element (0, 0). Does not overflow for an element of a checked layout; for an
    /// empty matrix it has no meaning.
    pub(crate) fn offset(&self, i: usize, j: usize) -> isize {
        let (down, right) = ((i as isize).wrapping_mul(self.row_stride), (j as isize).wrapping_mul(self.col_stride));
        down.wrapping_add(right)
    }
}

fn gcd(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(rows: usize, cols: usize, row_stride: isize, col_stride: isize) -> Layout {
        Layout { rows, cols, row_stride, col_stride }
    }

    #[test]
    fn overlaps_agrees_with_listing_every_address() {
        for rows in 0..5 {
            for cols in 0..5 {
                for rs in -6..7 {
                    for cs in -6..7 {
                        let l = layout(rows, cols, rs, cs);
                        let mut seen = std::collections::HashSet::new();
                        let twice = (0..rows).any(|i| (0..cols).any(|j| !seen.insert(l.offset(i, j))));
                        assert_eq!(l.overlaps(), twice, "{l:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn origin_keeps_every_element_inside() {
        for (rows, cols, rs, cs) in
            [(3, 4, 4, 1), (3, 4, -4, 1), (3, 4, 5, -1), (3, 4, -1, -3), (3, 4, 0, 1), (1, 1, 9, 9)]
        {
            let l = layout(rows, cols, rs, cs);
            let len = 1 + (rows - 1) * rs.unsigned_abs() + (cols - 1) * cs.unsigned_abs();
            let origin = l.origin(len).unwrap() as isize;
            let all = || (0..rows).flat_map(|i| (0..cols).map(move |j| origin + l.offset(i, j)));
            assert_eq!(all().min(), Some(0), "{l:?}");
            assert_eq!(all().max(), Some(len as isize - 1), "{l:?}");
            assert_eq!(l.origin(len - 1), Err(LayoutError::OutOfBounds { need: len, len: len - 1 }));
        }
    }

    #[test]
    fn impossible_extents_are_errors() {
        for l in [layout(usize::MAX, 2, 2, 1), layout(2, 2, isize::MAX, isize::MAX), layout(3, 3, isize::MIN, 1)] {
            assert!(matches!(l.origin(10), Err(LayoutError::Overflow { .. })), "{l:?}");
        }
        assert_eq!(layout(0, usize::MAX, isize::MAX, 1).origin(0), Ok(0));
    }
}
