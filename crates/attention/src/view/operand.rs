//! Tensors of any element type: [`Input`] to read, [`Output`] to write.
//!
//! They are views with the element type as a value instead of a parameter, so that what does not touch elements is
//! compiled once.

use std::marker::PhantomData;

use simd::{Element, ElementType, with_element_type};

use super::{Extents, Layout, Strides, View, ViewMut};

/// A tensor to read, of any element type. Made from a [`View`].
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    origin: *const u8,
    element: ElementType,
    layout: Layout,
    data: PhantomData<&'a [u8]>,
}

/// A tensor to write, of any element type. Made from a [`ViewMut`].
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
// SAFETY: through a shared `Output` nothing is accessed but by `row`, whose callers promise to be the only ones.
unsafe impl Sync for Output<'_> {}

impl<'a, T: Element> From<View<'a, T>> for Input<'a> {
    fn from(x: View<'a, T>) -> Self {
        Self { origin: x.origin.cast(), element: T::TYPE, layout: x.layout, data: PhantomData }
    }
}

impl<'a, T: Element> From<ViewMut<'a, T>> for Output<'a> {
    fn from(x: ViewMut<'a, T>) -> Self {
        Self { origin: x.origin.cast(), element: T::TYPE, layout: x.layout, data: PhantomData }
    }
}

impl<'a> Input<'a> {
    /// Element `d` of a head of a token, if there is one.
    pub fn get(&self, batch: usize, token: usize, head: usize, d: usize) -> Option<f32> {
        let offset = self.layout.offset_inside(batch, token, head).filter(|_| d < self.layout.extents.head_dim)?;
        // SAFETY: the element is inside the tensor, and of this type: an `Input` is made of a `View` of it.
        Some(with_element_type!(self.element, T => unsafe { *self.origin.cast::<T>().add(offset + d) }.to_f32()))
    }

    /// The elements of a head of `count` tokens from `token` on, if they exist, are of type `T` and follow each other.
    pub(crate) fn rows<T: Element>(&self, [batch, token, head]: [usize; 3], count: usize) -> Option<&'a [T]> {
        let last = self.layout.offset_inside(batch, token.checked_add(count)?.checked_sub(1)?, head)?;
        let dim = self.layout.extents.head_dim;
        let is_dense = self.element == T::TYPE && (count == 1 || self.layout.strides.token == dim);
        // SAFETY: the rows are inside the tensor, one right after the other, and of this type: an `Input` is made of a
        // `View` of it. The first begins `count` - 1 rows before the last.
        is_dense.then(|| unsafe {
            std::slice::from_raw_parts(self.origin.cast::<T>().add(last - (count - 1) * dim), count * dim)
        })
    }

    /// Address of the first element of a head of a token. It may be read only if the row exists.
    #[inline]
    pub(crate) fn row<T: Element>(&self, batch: usize, token: usize, head: usize) -> *const T {
        debug_assert_eq!(self.element, T::TYPE);
        debug_assert!(self.layout.offset_inside(batch, token, head).is_some());
        self.origin.cast::<T>().wrapping_add(self.layout.offset(batch, token, head))
    }
}

impl Output<'_> {
    /// The same tensor, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> Output<'_> {
        Output { origin: self.origin, element: self.element, layout: self.layout, data: PhantomData }
    }

    /// Rounds `x` to element `d` of a head of a token, if there is one.
    pub fn set(&mut self, batch: usize, token: usize, head: usize, d: usize, x: f32) {
        let offset = self.layout.offset_inside(batch, token, head).filter(|_| d < self.layout.extents.head_dim);
        let Some(offset) = offset else { return };
        // SAFETY: the element is inside the tensor, and of this type: an `Output` is made of a `ViewMut` of it.
        with_element_type!(self.element, T => unsafe { *self.origin.cast::<T>().add(offset + d) = T::from_f32(x) });
    }

    /// Address of the first element of a head of a token. It may be written only if the row exists, and by one thread.
    #[inline]
    pub(crate) fn row<T: Element>(&self, batch: usize, token: usize, head: usize) -> *mut T {
        debug_assert_eq!(self.element, T::TYPE);
        debug_assert!(self.layout.offset_inside(batch, token, head).is_some());
        self.origin.cast::<T>().wrapping_add(self.layout.offset(batch, token, head))
    }
}

/// Extents, strides and type, the same for both.
macro_rules! properties {
    ($operand:ident) => {
        impl $operand<'_> {
            /// Extents.
            pub fn extents(&self) -> Extents {
                self.layout.extents
            }

            /// Strides; 0 where one leads nowhere.
            pub fn strides(&self) -> Strides {
                self.layout.strides
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
