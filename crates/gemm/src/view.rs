//! Matrices that lie in somebody else's memory: [`MatRef`] to read, [`MatMut`] to write.
//!
//! A constructor checks once that every element lies inside the slice; from then on the kernels address without checks.
//! Strides count elements and may be anything: row-major is `(columns, 1)`, column-major `(1, rows)`, a padded leading
//! dimension just a larger number, 0 repeats (inputs only), and a negative stride walks down, so that element (0, 0)
//! lies at the far end of that axis.

use std::{marker::PhantomData, ops::Range};

use crate::{error::LayoutError, layout::Layout};

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
// SAFETY: as above; all methods only read.
unsafe impl<T: Sync> Sync for MatRef<'_, T> {}
// SAFETY: a `MatMut` is the only borrow of its elements, and is sent where `&mut [T]` may be sent.
unsafe impl<T: Send> Send for MatMut<'_, T> {}
// SAFETY: through a shared `MatMut` elements are only read.
unsafe impl<T: Sync> Sync for MatMut<'_, T> {}

impl<'a, T> MatRef<'a, T> {
    /// A `rows` x `cols` matrix whose rows follow each other: element (i, j) is `data[i * cols + j]`. A longer slice is
    /// fine.
    ///
    /// # Errors
    /// [`LayoutError::OutOfBounds`] or [`LayoutError::Overflow`] if the slice cannot hold the matrix.
    pub fn from_row_major(data: &'a [T], rows: usize, cols: usize) -> Result<Self, LayoutError> {
        if let Some(layout) = dense(data.len(), rows, cols) {
            return Ok(Self { origin: data.as_ptr(), layout, data: PhantomData });
        }
        Self::with_strides(data, rows, cols, stride(cols), 1)
    }

    /// A `rows` x `cols` matrix whose columns follow each other: element (i, j) is `data[i + j * rows]`.
    ///
    /// # Errors
    /// As [`from_row_major`](Self::from_row_major).
    pub fn from_col_major(data: &'a [T], rows: usize, cols: usize) -> Result<Self, LayoutError> {
        Self::with_strides(data, rows, cols, 1, stride(rows))
    }

    /// A slice as a matrix of one column.
    pub fn column(data: &'a [T]) -> Self {
        let layout = Layout { rows: data.len(), cols: 1, row_stride: 1, col_stride: 1 };
        Self { origin: data.as_ptr(), layout, data: PhantomData }
    }

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

    /// The transpose, without moving anything.
    #[must_use]
    pub fn t(self) -> Self {
        Self { layout: self.layout.transposed(), ..self }
    }

    /// Rows and columns of a part.
    ///
    /// # Errors
    /// [`LayoutError::OutOfMatrix`] if the part reaches beyond the matrix.
    pub fn sub(self, rows: Range<usize>, cols: Range<usize>) -> Result<Self, LayoutError> {
        inside(&self.layout, &rows, &cols)?;
        Ok(self.part(rows, cols))
    }

    /// As [`sub`](Self::sub), for a part known to be inside.
    pub(crate) fn part(self, rows: Range<usize>, cols: Range<usize>) -> Self {
        debug_assert_eq!(inside(&self.layout, &rows, &cols), Ok(()));
        let offset = self.layout.offset(rows.start, cols.start);
        let layout = Layout { rows: rows.len(), cols: cols.len(), ..self.layout };
        Self { origin: self.origin.wrapping_offset(offset), layout, ..self }
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

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// The matrix with this layout from this address on.
    ///
    /// # Safety
    /// Every element that the layout has can be read for 'a, and nobody writes it meanwhile.
    pub(crate) unsafe fn from_raw(origin: *const T, layout: Layout) -> Self {
        Self { origin, layout, data: PhantomData }
    }
}

impl<'a, T> MatMut<'a, T> {
    /// A `rows` x `cols` matrix whose rows follow each other: element (i, j) is `data[i * cols + j]`. A longer slice is
    /// fine.
    ///
    /// # Errors
    /// [`LayoutError::OutOfBounds`] or [`LayoutError::Overflow`] if the slice cannot hold the matrix.
    pub fn from_row_major(data: &'a mut [T], rows: usize, cols: usize) -> Result<Self, LayoutError> {
        if let Some(layout) = dense(data.len(), rows, cols) {
            return Ok(Self { origin: data.as_mut_ptr(), layout, data: PhantomData });
        }
        Self::with_strides(data, rows, cols, stride(cols), 1)
    }

    /// A `rows` x `cols` matrix whose columns follow each other: element (i, j) is `data[i + j * rows]`.
    ///
    /// # Errors
    /// As [`from_row_major`](Self::from_row_major).
    pub fn from_col_major(data: &'a mut [T], rows: usize, cols: usize) -> Result<Self, LayoutError> {
        Self::with_strides(data, rows, cols, 1, stride(rows))
    }

    /// A slice as a matrix of one column.
    pub fn column(data: &'a mut [T]) -> Self {
        let layout = Layout { rows: data.len(), cols: 1, row_stride: 1, col_stride: 1 };
        Self { origin: data.as_mut_ptr(), layout, data: PhantomData }
    }

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

    /// The transpose, without moving anything.
    #[must_use]
    pub fn t(self) -> Self {
        Self { layout: self.layout.transposed(), ..self }
    }

    /// Rows and columns of a part.
    ///
    /// # Errors
    /// [`LayoutError::OutOfMatrix`] if the part reaches beyond the matrix.
    pub fn sub(self, rows: Range<usize>, cols: Range<usize>) -> Result<Self, LayoutError> {
        inside(&self.layout, &rows, &cols)?;
        Ok(self.part(rows, cols))
    }

    /// As [`sub`](Self::sub), for a part known to be inside.
    pub(crate) fn part(self, rows: Range<usize>, cols: Range<usize>) -> Self {
        debug_assert_eq!(inside(&self.layout, &rows, &cols), Ok(()));
        let offset = self.layout.offset(rows.start, cols.start);
        let layout = Layout { rows: rows.len(), cols: cols.len(), ..self.layout };
        Self { origin: self.origin.wrapping_offset(offset), layout, ..self }
    }

    /// The same matrix for a shorter time.
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

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// The matrix with this layout from this address on.
    ///
    /// # Safety
    /// Every element that the layout has can be written for 'a and by nobody else, and no two share an address.
    pub(crate) unsafe fn from_raw(origin: *mut T, layout: Layout) -> Self {
        Self { origin, layout, data: PhantomData }
    }
}

/// Extents and strides, which both views tell in the same words.
macro_rules! extents {
    ($view:ident) => {
        impl<T> $view<'_, T> {
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
        }
    };
}
extents!(MatRef);
extents!(MatMut);

/// The layout of rows that follow each other, where `len` elements hold them: what nearly every caller has, and it needs no
/// further check. `None` leaves it to the general way to say what is wrong.
#[inline]
fn dense(len: usize, rows: usize, cols: usize) -> Option<Layout> {
    // A slice has at most `isize::MAX` bytes, so that an extent that fits it is a stride; without elements it may not be one.
    let is_inside =
        rows > 0 && cols > 0 && rows.checked_mul(cols).is_some_and(|need| need <= len.min(isize::MAX as usize));
    is_inside.then_some(Layout { rows, cols, row_stride: cols as isize, col_stride: 1 })
}

/// An extent as a stride. One beyond `isize::MAX` fits no slice unless the matrix is empty, where strides mean nothing.
fn stride(extent: usize) -> isize {
    isize::try_from(extent).unwrap_or(isize::MAX)
}

/// Whether rows and columns are those of a part of a matrix.
pub(crate) fn inside(whole: &Layout, rows: &Range<usize>, cols: &Range<usize>) -> Result<(), LayoutError> {
    let is_inside = |part: &Range<usize>, extent: usize| part.start <= part.end && part.end <= extent;
    if is_inside(rows, whole.rows) && is_inside(cols, whole.cols) {
        return Ok(());
    }
    let (row_end, col_end) = (rows.end.max(rows.start), cols.end.max(cols.start));
    Err(LayoutError::OutOfMatrix { row_end, col_end, rows: whole.rows, cols: whole.cols })
}
