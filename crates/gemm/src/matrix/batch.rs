//! Batches: matrices of one shape at equal distances in one slice.

use simd::Element;

use super::{
    layout::Layout,
    operand::{Input, Output},
    view::{MatMut, MatRef},
};
use crate::error::LayoutError;

/// Matrices to read: one that every product of a batch uses, or as many as there are products, with equal extents and
/// strides, at equal distances.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    pub(crate) first: Input<'a>,
    /// `None` for one matrix that every product uses.
    count: Option<usize>,
    /// Elements from one matrix to the next.
    stride: isize,
}

/// Matrices to write: equal extents and strides, at equal distances. No two elements share an address.
#[derive(Debug)]
pub struct BatchMut<'a> {
    pub(crate) first: Output<'a>,
    count: usize,
    stride: isize,
}

impl<'a> From<Input<'a>> for Batch<'a> {
    /// One matrix that every product uses.
    fn from(matrix: Input<'a>) -> Self {
        Self { first: matrix, count: None, stride: 0 }
    }
}

impl<'a, T: Element> From<MatRef<'a, T>> for Batch<'a> {
    fn from(matrix: MatRef<'a, T>) -> Self {
        Input::from(matrix).into()
    }
}

impl<'a> From<Output<'a>> for BatchMut<'a> {
    /// A batch of one.
    fn from(matrix: Output<'a>) -> Self {
        Self { first: matrix, count: 1, stride: 0 }
    }
}

impl<'a, T: Element> From<MatMut<'a, T>> for BatchMut<'a> {
    fn from(matrix: MatMut<'a, T>) -> Self {
        Output::from(matrix).into()
    }
}

impl<'a> Batch<'a> {
    /// `count` matrices of `rows` x `cols`, one after the other, each row by row.
    ///
    /// # Errors
    /// [`LayoutError`] if the slice cannot hold them.
    pub fn from_row_major<T: Element>(
        data: &'a [T],
        count: usize,
        rows: usize,
        cols: usize,
    ) -> Result<Self, LayoutError> {
        let (row_stride, stride) = dense(count, rows, cols)?;
        Self::with_strides(data, count, rows, cols, stride, row_stride, 1)
    }

    /// `count` matrices of `rows` x `cols`, `stride` elements apart. `data[0]` is the element of the lowest address.
    ///
    /// # Errors
    /// [`LayoutError`] if the slice cannot hold them.
    pub fn with_strides<T: Element>(
        data: &'a [T],
        count: usize,
        rows: usize,
        cols: usize,
        stride: isize,
        row_stride: isize,
        col_stride: isize,
    ) -> Result<Self, LayoutError> {
        let layout = Layout { rows, cols, row_stride, col_stride };
        let origin = origin(&layout, count, stride, data.len())?;
        // SAFETY: every element of every matrix is in the slice, which is borrowed for 'a.
        let first: MatRef<'a, T> = unsafe { MatRef::from_raw(data.as_ptr().add(origin), layout) };
        Ok(Self { first: first.into(), count: Some(count), stride })
    }

    /// Matrices at this distance from the first.
    ///
    /// # Safety
    /// They exist and are borrowed for 'a.
    pub(crate) unsafe fn from_first(first: Input<'a>, count: usize, stride: isize) -> Self {
        Self { first, count: Some(count), stride }
    }

    /// How many matrices; `None` for one that every product uses.
    pub fn count(&self) -> Option<usize> {
        self.count
    }

    /// The matrix of product `index`, which is below the count.
    pub(crate) fn get(&self, index: usize) -> Input<'a> {
        debug_assert!(self.count.is_none_or(|count| index < count));
        self.first.shifted((index as isize).wrapping_mul(self.stride))
    }

    /// The same batch with another view of each matrix: its transpose or a part.
    pub(crate) fn map(self, view: impl FnOnce(Input<'a>) -> Input<'a>) -> Self {
        Self { first: view(self.first), ..self }
    }
}

impl<'a> BatchMut<'a> {
    /// `count` matrices of `rows` x `cols`, one after the other, each row by row.
    ///
    /// # Errors
    /// [`LayoutError`] if the slice cannot hold them.
    pub fn from_row_major<T: Element>(
        data: &'a mut [T],
        count: usize,
        rows: usize,
        cols: usize,
    ) -> Result<Self, LayoutError> {
        let (row_stride, stride) = dense(count, rows, cols)?;
        Self::with_strides(data, count, rows, cols, stride, row_stride, 1)
    }

    /// `count` matrices of `rows` x `cols`, `stride` elements apart. `data[0]` is the element of the lowest address.
    ///
    /// # Errors
    /// [`LayoutError`] if the slice cannot hold them, or where elements may share an address: of rows, columns and
    /// matrices, each must step over everything with a shorter stride.
    pub fn with_strides<T: Element>(
        data: &'a mut [T],
        count: usize,
        rows: usize,
        cols: usize,
        stride: isize,
        row_stride: isize,
        col_stride: isize,
    ) -> Result<Self, LayoutError> {
        let layout = Layout { rows, cols, row_stride, col_stride };
        let origin = origin(&layout, count, stride, data.len())?;
        if overlaps([(count, stride), (rows, row_stride), (cols, col_stride)]) {
            return Err(LayoutError::BatchOverlap { count, stride });
        }
        // SAFETY: every element of every matrix is in the slice, which is borrowed for 'a, and no two share an address.
        let first: MatMut<'a, T> = unsafe { MatMut::from_raw(data.as_mut_ptr().add(origin), layout) };
        Ok(Self { first: first.into(), count, stride })
    }

    /// Matrices at this distance from the first.
    ///
    /// # Safety
    /// They exist, are borrowed for 'a, and no two elements share an address.
    pub(crate) unsafe fn from_first(first: Output<'a>, count: usize, stride: isize) -> Self {
        Self { first, count, stride }
    }

    /// How many matrices.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first matrix, and the others. There is a first one.
    pub(crate) fn split_first(self) -> (Output<'a>, Self) {
        let (first, rest) = self.first.with_other(self.stride);
        (first, Self { first: rest, count: self.count - 1, stride: self.stride })
    }

    /// The first `index` matrices, and the others.
    pub(crate) fn split_at(self, index: usize) -> (Self, Self) {
        let (left, right) = self.first.with_other((index as isize).wrapping_mul(self.stride));
        let part = |first, count| Self { first, count, stride: self.stride };
        (part(left, index), part(right, self.count - index))
    }
}

/// Strides of rows and of matrices without gaps.
fn dense(count: usize, rows: usize, cols: usize) -> Result<(isize, isize), LayoutError> {
    let stride = rows.checked_mul(cols).and_then(|elements| isize::try_from(elements).ok());
    // An overflow matters only if there are matrices; a batch without any fits everywhere.
    let stride =
        stride.or((count == 0).then_some(0)).ok_or(LayoutError::BatchOverflow { count, stride: isize::MAX })?;
    Ok((isize::try_from(cols).unwrap_or(isize::MAX), stride))
}

/// Index of element (0, 0) of the first matrix in a slice that begins with the element of the lowest address.
fn origin(layout: &Layout, count: usize, stride: isize, len: usize) -> Result<usize, LayoutError> {
    if count == 0 || layout.is_empty() {
        return Ok(0);
    }
    let overflow = LayoutError::BatchOverflow { count, stride };
    let reach = (count - 1).checked_mul(stride.unsigned_abs()).ok_or(overflow)?;
    let need = layout.span()?.checked_add(reach).filter(|&need| need < isize::MAX as usize).ok_or(overflow)?;
    if need > len {
        return Err(LayoutError::OutOfBounds { need, len });
    }
    Ok(layout.lowest() + if stride < 0 { reach } else { 0 })
}

/// Whether two elements may share an address. In the order of their strides, each axis must step over everything that
/// the axes before it reach.
fn overlaps(mut axes: [(usize, isize); 3]) -> bool {
    if axes.iter().any(|&(extent, _)| extent == 0) {
        return false;
    }
    axes.sort_by_key(|&(_, stride)| stride.unsigned_abs());
    let mut reach = 0_usize;
    for (extent, stride) in axes.into_iter().filter(|&(extent, _)| extent > 1) {
        if stride.unsigned_abs() <= reach {
            return true;
        }
        reach = reach.saturating_add((extent - 1).saturating_mul(stride.unsigned_abs()));
    }
    false
}
