//! Matrices of any element type: [`Input`] to read, [`Output`] to write.
//!
//! They are views with the element type as a value instead of a parameter. So the loops over blocks are compiled once,
//! and the type matters only where elements are accessed: in packing, in a micro-kernel's loads, and when a tile is
//! stored.

use std::{marker::PhantomData, ops::Range};

use simd::{Element, ElementType, with_element_type};

use super::{
    layout::Layout,
    view::{MatMut, MatRef, inside},
};

/// A matrix to read, of any element type. Made from a [`MatRef`] or an `ndarray` view.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    origin: *const u8,
    element: ElementType,
    layout: Layout,
    data: PhantomData<&'a [u8]>,
}

/// A matrix to write, of any element type. Made from a [`MatMut`] or an `ndarray` view.
#[derive(Debug)]
pub struct Output<'a> {
    origin: *mut u8,
    element: ElementType,
    layout: Layout,
    data: PhantomData<&'a mut [u8]>,
}

// SAFETY: an `Input` is a shared borrow of elements, which are numbers, and may be sent as such.
unsafe impl Send for Input<'_> {}
// SAFETY: all methods of an `Input` only read numbers, which threads may do at once.
unsafe impl Sync for Input<'_> {}
// SAFETY: an `Output` is the only borrow of its elements, which are numbers.
unsafe impl Send for Output<'_> {}
// SAFETY: through a shared `Output` nothing is accessed.
unsafe impl Sync for Output<'_> {}

impl<'a, T: Element> From<MatRef<'a, T>> for Input<'a> {
    fn from(x: MatRef<'a, T>) -> Self {
        Self { origin: x.as_ptr().cast(), element: T::TYPE, layout: x.layout(), data: PhantomData }
    }
}

impl<'a, T: Element> From<MatMut<'a, T>> for Output<'a> {
    fn from(mut x: MatMut<'a, T>) -> Self {
        Self { origin: x.as_mut_ptr().cast(), element: T::TYPE, layout: x.layout(), data: PhantomData }
    }
}

impl<'a> Input<'a> {
    /// The part with these rows and columns, which are known to be inside.
    pub(crate) fn part(self, rows: Range<usize>, cols: Range<usize>) -> Self {
        let (origin, layout) = part(self.origin, self.element, self.layout, rows, cols);
        Self { origin, layout, ..self }
    }

    /// The matrix of the same layout `elements` elements further. It may only be read if it exists.
    pub(crate) fn shifted(self, elements: isize) -> Self {
        Self { origin: self.origin.wrapping_offset(elements.wrapping_mul(self.element.bytes() as isize)), ..self }
    }

    /// The transpose.
    #[must_use]
    pub fn t(self) -> Self {
        Self { layout: self.layout.t(), ..self }
    }

    /// As a view of elements of type `T`, if that is their type.
    pub(crate) fn typed<T: Element>(self) -> Option<MatRef<'a, T>> {
        // SAFETY: elements of type T can only come from a `MatRef<T>`, of which this is the whole or a part.
        (self.element == T::TYPE).then(|| unsafe { MatRef::from_raw(self.origin.cast(), self.layout) })
    }

    /// Element (i, j), if there is one.
    pub fn get(&self, i: usize, j: usize) -> Option<f32> {
        with_element_type!(self.element, T => self.typed::<T>()?.get(i, j).map(|x| x.to_f32()))
    }

    /// Address of element (0, 0); dangling if the matrix is empty.
    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.origin
    }
}

impl<'a> Output<'a> {
    /// The part with these rows and columns, which are known to be inside.
    pub(crate) fn part(self, rows: Range<usize>, cols: Range<usize>) -> Self {
        let (origin, layout) = part(self.origin.cast_const(), self.element, self.layout, rows, cols);
        Self { origin: origin.cast_mut(), layout, ..self }
    }

    /// The rows before `row`, which is at most their number, and the other rows.
    pub(crate) fn split_rows(self, row: usize) -> (Self, Self) {
        let (rows, cols) = (self.rows(), self.cols());
        // No two elements share an address, so the two parts do not overlap.
        let twin = Output { origin: self.origin, element: self.element, layout: self.layout, data: PhantomData };
        (self.part(0..row, 0..cols), twin.part(row..rows, 0..cols))
    }

    /// The transpose.
    #[must_use]
    pub fn t(self) -> Self {
        Self { layout: self.layout.t(), ..self }
    }

    /// The matrix itself and the one of the same layout `elements` elements further, which is another matrix of a batch
    /// and does not overlap it.
    pub(crate) fn with_other(self, elements: isize) -> (Self, Self) {
        let origin = self.origin.wrapping_offset(elements.wrapping_mul(self.element.bytes() as isize));
        let other = Output { origin, element: self.element, layout: self.layout, data: PhantomData };
        (self, other)
    }

    /// The same matrix, to write parts of it on several threads.
    ///
    /// # Safety
    /// No element is accessed by one thread while another one writes it.
    pub(crate) unsafe fn alias(&self) -> Output<'_> {
        Output { origin: self.origin, element: self.element, layout: self.layout, data: PhantomData }
    }

    /// The same matrix, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> Output<'_> {
        Output { origin: self.origin, element: self.element, layout: self.layout, data: PhantomData }
    }

    /// The same matrix, to read.
    pub fn as_input(&self) -> Input<'_> {
        Input { origin: self.origin, element: self.element, layout: self.layout, data: PhantomData }
    }

    /// As a view of elements of type `T`, if that is their type.
    pub(crate) fn typed<T: Element>(&mut self) -> Option<MatMut<'_, T>> {
        // SAFETY: elements of type T can only come from a `MatMut<T>`, of which this is the whole or a part, borrowed
        // from `self`.
        (self.element == T::TYPE).then(|| unsafe { MatMut::from_raw(self.origin.cast(), self.layout) })
    }

    /// Rounds `x` to element (i, j), if there is one.
    pub fn set(&mut self, i: usize, j: usize, x: f32) {
        with_element_type!(self.element, T => {
            if let Some(mut matrix) = self.typed::<T>()
                && let Some(element) = matrix.get_mut(i, j)
            {
                *element = T::from_f32(x);
            }
        });
    }

    /// Address of element (0, 0); dangling if the matrix is empty.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.origin
    }
}

fn part(
    origin: *const u8,
    element: ElementType,
    layout: Layout,
    rows: Range<usize>,
    cols: Range<usize>,
) -> (*const u8, Layout) {
    debug_assert_eq!(inside(&layout, &rows, &cols), Ok(()));
    let offset = layout.offset(rows.start, cols.start).wrapping_mul(element.bytes() as isize);
    (origin.wrapping_offset(offset), Layout { rows: rows.len(), cols: cols.len(), ..layout })
}

/// Extents, strides and type, the same for both.
macro_rules! properties {
    ($matrix:ident) => {
        impl $matrix<'_> {
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

            /// The type that its elements are stored as.
            pub fn element_type(&self) -> ElementType {
                self.element
            }
        }
    };
}
properties!(Input);
properties!(Output);
