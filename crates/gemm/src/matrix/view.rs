//! Matrices in borrowed memory: [`MatRef`] to read, [`MatMut`] to write.
//!
//! A constructor checks once that every element is inside the slice; the kernels then address without checks. Strides
//! count elements and may be anything: row-major is `(columns, 1)`, column-major `(1, rows)`, a padded leading
//! dimension a larger number, 0 repeats (inputs only). With a negative stride, addresses decrease along the axis, and
//! element (0, 0) is at its far end.

use std::{marker::PhantomData, ops::Range};

use super::layout::Layout;
use crate::error::LayoutError;

/// A matrix to read. Its elements may overlap: repeated rows and sliding windows are allowed.
#[derive(Debug, Clone, Copy)]
pub struct MatRef<'a, T> {
    origin: *const T,
    layout: Layout,
    data: PhantomData<&'a [T]>,
}

/// A matrix to write. No two of its elements share an address.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    origin: *mut T,
    layout: Layout,
    data: PhantomData<&'a mut [T]>,
}

// SAFETY: a `MatRef` is a shared borrow of a slice, and is sent where that may be sent.
unsafe impl<T: Sync> Send for MatRef<'_, T> {}
// SAFETY: all methods of a `MatRef` only read, which threads may do at once where `T` is `Sync`.
unsafe impl<T: Sync> Sync for MatRef<'_, T> {}
// SAFETY: a `MatMut` is the only borrow of its elements, and is sent where `&mut [T]` may be sent.
unsafe impl<T: Send> Send for MatMut<'_, T> {}
// SAFETY: through a shared `MatMut` elements are only read.
unsafe impl<T: Sync> Sync for MatMut<'_, T> {}

impl<'a, T> MatRef<'a, T> {
    /// A `rows` x `cols` matrix with any strides, in elements. `data[0]` is the element of the lowest address: (0, 0)
    /// unless a stride is negative.
    ///
    /// # Errors
    /// [`LayoutError::OutOfBounds`] or [`LayoutError::Overflow`] if the slice cannot hold the matrix.
    pub fn with_strides(
        data: &'a [T],
        rows: usize,
        cols: usize,
        row_stride: isize,
        col_stride: isize,
    ) -> Result<Self, LayoutError> {
        let layout = Layout { rows, cols, row_stride, col_stride };
        let origin = layout.origin(data.len())?;
        // SAFETY: `origin` is 0 or the index of an element.
        Ok(Self { origin: unsafe { data.as_ptr().add(origin) }, layout, data: PhantomData })
    }

    /// Element (i, j), if there is one.
    pub fn get(&self, i: usize, j: usize) -> Option<&'a T> {
        // SAFETY: (i, j) is inside.
        (i < self.rows() && j < self.cols()).then(|| unsafe { self.get_unchecked(i, j) })
    }

    /// Element (i, j).
    ///
    /// # Safety
    /// There is one: i < rows and j < cols.
    #[inline]
    pub(crate) unsafe fn get_unchecked(&self, i: usize, j: usize) -> &'a T {
        debug_assert!(i < self.rows() && j < self.cols());
        // SAFETY: (i, j) is inside, and the elements are borrowed for 'a.
        unsafe { &*self.origin.offset(self.layout.offset(i, j)) }
    }

    /// Address of element (0, 0); dangling if the matrix is empty.
    pub(crate) fn as_ptr(&self) -> *const T {
        self.origin
    }

    /// The matrix with this layout whose element (0, 0) is at `origin`.
    ///
    /// # Safety
    /// Every element of the layout can be read for 'a, and nobody writes it meanwhile.
    pub(crate) unsafe fn from_raw(origin: *const T, layout: Layout) -> Self {
        Self { origin, layout, data: PhantomData }
    }
}

impl<'a, T> MatMut<'a, T> {
    /// A `rows` x `cols` matrix with any strides, in elements, under which no two elements share an address. `data[0]`
    /// is the element of the lowest address: (0, 0) unless a stride is negative.
    ///
    /// # Errors
    /// [`LayoutError::Overlap`] besides the errors of [`MatRef::with_strides`].
    pub fn with_strides(
        data: &'a mut [T],
        rows: usize,
        cols: usize,
        row_stride: isize,
        col_stride: isize,
    ) -> Result<Self, LayoutError> {
        let layout = Layout { rows, cols, row_stride, col_stride };
        let origin = layout.origin(data.len())?;
        if layout.overlaps() {
            return Err(LayoutError::Overlap { rows, cols, row_stride, col_stride });
        }
        // SAFETY: `origin` is 0 or the index of an element.
        Ok(Self { origin: unsafe { data.as_mut_ptr().add(origin) }, layout, data: PhantomData })
    }

    /// The same matrix, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> MatMut<'_, T> {
        MatMut { origin: self.origin, layout: self.layout, data: PhantomData }
    }

    /// The same matrix, to read.
    pub fn as_ref(&self) -> MatRef<'_, T> {
        MatRef { origin: self.origin, layout: self.layout, data: PhantomData }
    }

    /// Element (i, j), if there is one.
    pub fn get_mut(&mut self, i: usize, j: usize) -> Option<&mut T> {
        // SAFETY: (i, j) is inside, and this is the only borrow of the elements.
        (i < self.rows() && j < self.cols()).then(|| unsafe { &mut *self.origin.offset(self.layout.offset(i, j)) })
    }

    /// Address of element (0, 0); dangling if the matrix is empty.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut T {
        self.origin
    }

    /// The matrix with this layout whose element (0, 0) is at `origin`.
    ///
    /// # Safety
    /// Every element of the layout can be written for 'a and by nobody else, and no two share an address.
    pub(crate) unsafe fn from_raw(origin: *mut T, layout: Layout) -> Self {
        Self { origin, layout, data: PhantomData }
    }
}

/// What both views have.
macro_rules! view {
    ($view:ident, $slice:ty, $as_ptr:ident) => {
        impl<'a, T> $view<'a, T> {
            /// A `rows` x `cols` matrix stored row by row: element (i, j) is `data[i * cols + j]`. The slice may be
            /// longer.
            ///
            /// # Errors
            /// [`LayoutError::OutOfBounds`] or [`LayoutError::Overflow`] if the slice cannot hold the matrix.
            pub fn from_row_major(data: $slice, rows: usize, cols: usize) -> Result<Self, LayoutError> {
                if let Some(layout) = dense(data.len(), rows, cols) {
                    return Ok(Self { origin: data.$as_ptr(), layout, data: PhantomData });
                }
                Self::with_strides(data, rows, cols, stride(cols), 1)
            }

            /// A `rows` x `cols` matrix stored column by column: element (i, j) is `data[i + j * rows]`. The slice may
            /// be longer.
            ///
            /// # Errors
            /// As [`from_row_major`](Self::from_row_major).
            pub fn from_col_major(data: $slice, rows: usize, cols: usize) -> Result<Self, LayoutError> {
                Self::with_strides(data, rows, cols, 1, stride(rows))
            }

            /// A slice as a matrix of one column.
            pub fn column(data: $slice) -> Self {
                let layout = Layout { rows: data.len(), cols: 1, row_stride: 1, col_stride: 1 };
                Self { origin: data.$as_ptr(), layout, data: PhantomData }
            }

            /// The transpose. No element moves.
            #[must_use]
            pub fn t(self) -> Self {
                Self { layout: self.layout.t(), ..self }
            }

            /// Rows and columns of a part.
            ///
            /// # Errors
            /// [`LayoutError::OutOfMatrix`] if the part reaches beyond the matrix.
            pub fn sub(self, rows: Range<usize>, cols: Range<usize>) -> Result<Self, LayoutError> {
                inside(&self.layout, &rows, &cols)?;
                Ok(self.part(rows, cols))
            }

            /// As [`sub`](Self::sub), for a part that is known to be inside.
            pub(crate) fn part(self, rows: Range<usize>, cols: Range<usize>) -> Self {
                debug_assert_eq!(inside(&self.layout, &rows, &cols), Ok(()));
                let offset = self.layout.offset(rows.start, cols.start);
                let layout = Layout { rows: rows.len(), cols: cols.len(), ..self.layout };
                Self { origin: self.origin.wrapping_offset(offset), layout, ..self }
            }

            /// Rows.
            pub fn rows(&self) -> usize {
                self.layout.rows
            }

            /// Columns.
            pub fn cols(&self) -> usize {
                self.layout.cols
            }

            /// Elements from one row to the next.
            pub fn row_stride(&self) -> isize {
                self.layout.row_stride
            }

            /// Elements from one column to the next.
            pub fn col_stride(&self) -> isize {
                self.layout.col_stride
            }

            pub(crate) fn layout(&self) -> Layout {
                self.layout
            }
        }
    };
}
view!(MatRef, &'a [T], as_ptr);
view!(MatMut, &'a mut [T], as_mut_ptr);

/// The row-major layout, if `len` elements hold it. This is what nearly every caller has, and no other check is needed.
/// `None` leaves the error to the general constructor.
#[inline]
fn dense(len: usize, rows: usize, cols: usize) -> Option<Layout> {
    // A slice has at most `isize::MAX` bytes, so an extent that fits it is a valid stride. An empty matrix may have
    // others.
    let is_inside =
        rows > 0 && cols > 0 && rows.checked_mul(cols).is_some_and(|need| need <= len.min(isize::MAX as usize));
    is_inside.then_some(Layout { rows, cols, row_stride: cols as isize, col_stride: 1 })
}

/// An extent as a stride. One above `isize::MAX` fits no slice unless the matrix is empty, and then strides do not
/// matter.
fn stride(extent: usize) -> isize {
    isize::try_from(extent).unwrap_or(isize::MAX)
}

/// Whether these rows and columns are inside a matrix.
pub(crate) fn inside(whole: &Layout, rows: &Range<usize>, cols: &Range<usize>) -> Result<(), LayoutError> {
    let is_inside = |part: &Range<usize>, extent: usize| part.start <= part.end && part.end <= extent;
    if is_inside(rows, whole.rows) && is_inside(cols, whole.cols) {
        return Ok(());
    }
    let (row_end, col_end) = (rows.end.max(rows.start), cols.end.max(cols.start));
    Err(LayoutError::OutOfMatrix { row_end, col_end, rows: whole.rows, cols: whole.cols })
}
