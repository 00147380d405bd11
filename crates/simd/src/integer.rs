//! The traits of integer vectors: bytes, and the 32-bit sums of their products.

use std::ops::Add;

use crate::vector::F32Vector;

/// A register of signed bytes, four for each lane of floats. It carries the token of its instruction set, so arithmetic
/// is safe.
pub trait I8Vector: Copy {
    /// What sums of products are formed in.
    type I32: I32Vector;

    /// In each lane, `sum` plus the products of the four bytes of `self` and `other` at its place. Sums wrap.
    ///
    /// Bytes of `self` may have any value. Those of `other` are -127 to 127, as quantized formats keep them: -128 times
    /// a negative byte would have the wrong sign.
    fn dot(self, other: Self, sum: Self::I32) -> Self::I32;
}

/// A register of 32-bit integers, as many as floats. It carries the token of its instruction set, so arithmetic is
/// safe. Sums wrap.
pub trait I32Vector: Copy + Add<Output = Self> {
    /// A register of as many floats.
    type F32: F32Vector;

    /// The nearest floats, ties to even.
    fn to_f32(self) -> Self::F32;

    /// The sum of all lanes.
    fn reduce_sum(self) -> i32;

    /// Stores all lanes.
    ///
    /// # Safety
    /// As many integers as the vector has lanes can be written at `to`, at any alignment.
    unsafe fn store(self, to: *mut i32);
}
