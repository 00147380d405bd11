//! Tensors in borrowed memory: [`View`] to read, [`ViewMut`] to write.
//!
//! A tensor has four axes: batches, tokens, heads and the elements of a head, which are adjacent. A constructor checks
//! once that every element is inside the slice; the kernels then address without checks.

use std::{marker::PhantomData, ops::Range};

use crate::error::ViewError;

mod layout;
mod operand;

pub(crate) use layout::Layout;
pub use layout::{Extents, Strides};
pub use operand::{Input, Output};

/// A tensor to read. A stride of 0 repeats.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, T> {
    origin: *const T,
    layout: Layout,
    data: PhantomData<&'a [T]>,
}

/// A tensor to write. No two of its elements share an address.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    origin: *mut T,
    layout: Layout,
    data: PhantomData<&'a mut [T]>,
}

// SAFETY: a `View` is a shared borrow of a slice, and is sent where that may be sent.
unsafe impl<T: Sync> Send for View<'_, T> {}
// SAFETY: all methods of a `View` only read, which threads may do at once where `T` is `Sync`.
unsafe impl<T: Sync> Sync for View<'_, T> {}
// SAFETY: a `ViewMut` is the only borrow of its elements, and is sent where `&mut [T]` may be sent.
unsafe impl<T: Send> Send for ViewMut<'_, T> {}
// SAFETY: through a shared `ViewMut` nothing is accessed.
unsafe impl<T: Sync> Sync for ViewMut<'_, T> {}

impl<'a, T> View<'a, T> {
    /// A dense tensor in the order batch, token, head, element, as projections of activations leave it. The slice may
    /// be longer.
    ///
    /// # Errors
    /// [`ViewError::OutOfBounds`] or [`ViewError::Overflow`] if the slice cannot hold the tensor.
    pub fn from_bnhd(data: &'a [T], [batch, tokens, heads, head_dim]: [usize; 4]) -> Result<Self, ViewError> {
        let extents = Extents { batch, tokens, heads, head_dim };
        Self::with_strides(data, extents, Strides::bnhd(extents)?)
    }

    /// A dense tensor in the order batch, head, token, element. The slice may be longer.
    ///
    /// # Errors
    /// As [`from_bnhd`](Self::from_bnhd).
    pub fn from_bhnd(data: &'a [T], [batch, heads, tokens, head_dim]: [usize; 4]) -> Result<Self, ViewError> {
        let extents = Extents { batch, tokens, heads, head_dim };
        Self::with_strides(data, extents, Strides::bhnd(extents)?)
    }

    /// A tensor with any strides. `data[0]` is its first element. The slice may be longer.
    ///
    /// # Errors
    /// As [`from_bnhd`](Self::from_bnhd).
    pub fn with_strides(data: &'a [T], extents: Extents, strides: Strides) -> Result<Self, ViewError> {
        let layout = Layout { extents, strides };
        layout.check(data.len())?;
        Ok(Self { origin: data.as_ptr(), layout: layout.normalized(), data: PhantomData })
    }

    /// Some of the tokens: the filled part of a KV cache.
    ///
    /// # Errors
    /// [`ViewError::OutOfView`] if there are not as many.
    pub fn tokens(self, range: Range<usize>) -> Result<Self, ViewError> {
        let (offset, layout) = self.layout.tokens(range)?;
        Ok(Self { origin: self.origin.wrapping_add(offset), layout, ..self })
    }

    /// Some of the heads: Q, K or V of a projection that stores them side by side.
    ///
    /// # Errors
    /// [`ViewError::OutOfView`] if there are not as many.
    pub fn heads(self, range: Range<usize>) -> Result<Self, ViewError> {
        let (offset, layout) = self.layout.heads(range)?;
        Ok(Self { origin: self.origin.wrapping_add(offset), layout, ..self })
    }

    /// Some of the batches.
    ///
    /// # Errors
    /// [`ViewError::OutOfView`] if there are not as many.
    pub fn batches(self, range: Range<usize>) -> Result<Self, ViewError> {
        let (offset, layout) = self.layout.batches(range)?;
        Ok(Self { origin: self.origin.wrapping_add(offset), layout, ..self })
    }

    /// The elements of a head of a token, if there is one.
    pub fn get(&self, batch: usize, token: usize, head: usize) -> Option<&'a [T]> {
        let offset = self.layout.offset_inside(batch, token, head)?;
        // SAFETY: the row is inside the tensor, whose elements are borrowed for 'a.
        Some(unsafe { std::slice::from_raw_parts(self.origin.add(offset), self.layout.extents.head_dim) })
    }
}

impl<'a, T> ViewMut<'a, T> {
    /// A dense tensor in the order batch, token, head, element. The slice may be longer.
    ///
    /// # Errors
    /// [`ViewError::OutOfBounds`] or [`ViewError::Overflow`] if the slice cannot hold the tensor.
    pub fn from_bnhd(data: &'a mut [T], [batch, tokens, heads, head_dim]: [usize; 4]) -> Result<Self, ViewError> {
        let extents = Extents { batch, tokens, heads, head_dim };
        Self::with_strides(data, extents, Strides::bnhd(extents)?)
    }

    /// A dense tensor in the order batch, head, token, element. The slice may be longer.
    ///
    /// # Errors
    /// As [`from_bnhd`](Self::from_bnhd).
    pub fn from_bhnd(data: &'a mut [T], [batch, heads, tokens, head_dim]: [usize; 4]) -> Result<Self, ViewError> {
        let extents = Extents { batch, tokens, heads, head_dim };
        Self::with_strides(data, extents, Strides::bhnd(extents)?)
    }

    /// A tensor with any strides under which no two elements share an address. `data[0]` is its first element. The
    /// slice may be longer.
    ///
    /// # Errors
    /// As [`from_bnhd`](Self::from_bnhd), and [`ViewError::Overlap`] where elements may share an address: in the order
    /// of their strides, each axis must step over everything that the axes before it reach.
    pub fn with_strides(data: &'a mut [T], extents: Extents, strides: Strides) -> Result<Self, ViewError> {
        let layout = Layout { extents, strides };
        layout.check(data.len())?;
        if layout.overlaps() {
            return Err(ViewError::Overlap { extents, strides });
        }
        Ok(Self { origin: data.as_mut_ptr(), layout: layout.normalized(), data: PhantomData })
    }

    /// Some of the tokens.
    ///
    /// # Errors
    /// [`ViewError::OutOfView`] if there are not as many.
    pub fn tokens(self, range: Range<usize>) -> Result<Self, ViewError> {
        let (offset, layout) = self.layout.tokens(range)?;
        Ok(Self { origin: self.origin.wrapping_add(offset), layout, ..self })
    }

    /// Some of the heads.
    ///
    /// # Errors
    /// [`ViewError::OutOfView`] if there are not as many.
    pub fn heads(self, range: Range<usize>) -> Result<Self, ViewError> {
        let (offset, layout) = self.layout.heads(range)?;
        Ok(Self { origin: self.origin.wrapping_add(offset), layout, ..self })
    }

    /// Some of the batches.
    ///
    /// # Errors
    /// [`ViewError::OutOfView`] if there are not as many.
    pub fn batches(self, range: Range<usize>) -> Result<Self, ViewError> {
        let (offset, layout) = self.layout.batches(range)?;
        Ok(Self { origin: self.origin.wrapping_add(offset), layout, ..self })
    }

    /// The same tensor, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> ViewMut<'_, T> {
        ViewMut { origin: self.origin, layout: self.layout, data: PhantomData }
    }
}

/// Extents and strides, the same for both views.
macro_rules! properties {
    ($view:ident) => {
        impl<T> $view<'_, T> {
            /// Extents.
            pub fn extents(&self) -> Extents {
                self.layout.extents
            }

            /// Strides; 0 where one leads nowhere.
            pub fn strides(&self) -> Strides {
                self.layout.strides
            }
        }
    };
}
properties!(View);
properties!(ViewMut);
