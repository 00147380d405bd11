//! Errors of the public functions.

use thiserror::Error;

use crate::GgmlType;

/// Why a row cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QuantError {
    /// The type has no kernel. Its block length and size are known nevertheless.
    #[error("no kernel for type {ty}")]
    Unsupported {
        /// The requested type.
        ty: GgmlType,
    },
    /// The length of a row is not a multiple of the block length.
    #[error("a row of {got} numbers is not a multiple of {need}, the length of a {ty} block")]
    RowLength {
        /// The requested type.
        ty: GgmlType,
        /// Length of the row, in numbers.
        got: usize,
        /// Length of a block, in numbers.
        need: usize,
    },
    /// The bytes do not have the length that the numbers need.
    #[error("{got} bytes of {ty}, {need} are needed")]
    Bytes {
        /// The requested type.
        ty: GgmlType,
        /// Bytes given.
        got: usize,
        /// Bytes that the numbers need.
        need: usize,
    },
    /// The size of a row exceeds the address space.
    #[error("a row of {got} numbers of {ty} overflows")]
    Overflow {
        /// The requested type.
        ty: GgmlType,
        /// Length of the row, in numbers.
        got: usize,
    },
}
