//! Conversions from and to `ndarray` views. They cannot fail: an array has checked its layout, and the elements of a
//! mutable view do not overlap.

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis, ShapeBuilder};

use simd::Element;

use super::{
    batch::{Batch, BatchMut},
    layout::Layout,
    operand::{Input, Output},
    view::{MatMut, MatRef},
};

fn layout((rows, cols): (usize, usize), strides: &[isize]) -> Layout {
    Layout { rows, cols, row_stride: strides[0], col_stride: strides[1] }
}

impl<'a, T> From<ArrayView2<'a, T>> for MatRef<'a, T> {
    fn from(view: ArrayView2<'a, T>) -> Self {
        // SAFETY: the view borrows elements of this layout for 'a; its pointer is that of element (0, 0).
        unsafe { Self::from_raw(view.as_ptr(), layout(view.dim(), view.strides())) }
    }
}

impl<'a, T> From<ArrayViewMut2<'a, T>> for MatMut<'a, T> {
    fn from(mut view: ArrayViewMut2<'a, T>) -> Self {
        let layout = layout(view.dim(), view.strides());
        // SAFETY: the view is the only borrow of elements of this layout for 'a, and no two share an address; its
        // pointer is that of element (0, 0).
        unsafe { Self::from_raw(view.as_mut_ptr(), layout) }
    }
}

impl<'a, T> From<MatRef<'a, T>> for ArrayView2<'a, T> {
    fn from(matrix: MatRef<'a, T>) -> Self {
        let (shape, is_inverted) = ascending(matrix.layout());
        let lowest = matrix.as_ptr().wrapping_sub(matrix.layout().lowest());
        // SAFETY: the elements are borrowed for 'a; from the lowest address on, strides are those of the matrix.
        let mut view = unsafe { ArrayView2::from_shape_ptr(shape, lowest) };
        (0..2).filter(|&axis| is_inverted[axis]).for_each(|axis| view.invert_axis(Axis(axis)));
        view
    }
}

impl<'a, T> From<MatMut<'a, T>> for ArrayViewMut2<'a, T> {
    fn from(mut matrix: MatMut<'a, T>) -> Self {
        let (shape, is_inverted) = ascending(matrix.layout());
        let lowest = matrix.as_mut_ptr().wrapping_sub(matrix.layout().lowest());
        // SAFETY: the elements are borrowed for 'a by nobody else, and no two share an address; from the lowest address
        // on, strides are those of the matrix.
        let mut view = unsafe { ArrayViewMut2::from_shape_ptr(shape, lowest) };
        (0..2).filter(|&axis| is_inverted[axis]).for_each(|axis| view.invert_axis(Axis(axis)));
        view
    }
}

/// The shape with the magnitudes of its strides, and which axes have negative strides.
fn ascending(layout: Layout) -> (ndarray::StrideShape<ndarray::Ix2>, [bool; 2]) {
    let Layout { rows, cols, row_stride, col_stride } = layout;
    let shape = (rows, cols).strides((row_stride.unsigned_abs(), col_stride.unsigned_abs()));
    (shape, [row_stride < 0 && rows > 0, col_stride < 0 && cols > 0])
}

impl<'a, T: Element> From<ArrayView2<'a, T>> for Input<'a> {
    fn from(view: ArrayView2<'a, T>) -> Self {
        MatRef::from(view).into()
    }
}

impl<'a, T: Element> From<ArrayViewMut2<'a, T>> for Output<'a> {
    fn from(view: ArrayViewMut2<'a, T>) -> Self {
        MatMut::from(view).into()
    }
}

impl<'a, T: Element> From<ArrayView3<'a, T>> for Batch<'a> {
    /// The first axis counts the matrices.
    fn from(view: ArrayView3<'a, T>) -> Self {
        let (count, rows, cols) = view.dim();
        let layout = layout((rows, cols), &view.strides()[1..]);
        // SAFETY: the view borrows all these matrices for 'a; its pointer is that of the first element of the first.
        unsafe { Self::from_first(MatRef::from_raw(view.as_ptr(), layout).into(), count, view.strides()[0]) }
    }
}

impl<'a, T: Element> From<ArrayViewMut3<'a, T>> for BatchMut<'a> {
    /// The first axis counts the matrices.
    fn from(mut view: ArrayViewMut3<'a, T>) -> Self {
        let (count, rows, cols) = view.dim();
        let (layout, stride) = (layout((rows, cols), &view.strides()[1..]), view.strides()[0]);
        // SAFETY: the view is the only borrow of all these matrices for 'a, and no two elements share an address; its
        // pointer is that of the first element of the first.
        unsafe { Self::from_first(MatMut::from_raw(view.as_mut_ptr(), layout).into(), count, stride) }
    }
}

impl<'a, T: Element> From<ArrayView2<'a, T>> for Batch<'a> {
    fn from(view: ArrayView2<'a, T>) -> Self {
        Input::from(view).into()
    }
}

impl<'a, T: Element> From<ArrayViewMut2<'a, T>> for BatchMut<'a> {
    fn from(view: ArrayViewMut2<'a, T>) -> Self {
        Output::from(view).into()
    }
}
