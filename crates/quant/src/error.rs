//! What the public functions refuse, as values.

use thiserror::Error;

use crate::GgmlType;

/// A conversion that cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QuantError {
    /// The type is known, and its size too, but there is no code for its numbers.
    #[error("no kernel for type {ty}")]
    Unsupported {
        /// The type asked for.
        ty: GgmlType,
    },
    /// A row must hold whole blocks.
    #[error("a row of {got} numbers is no whole number of {ty} blocks of {need}")]
    RowLength {
        /// The type asked for.
        ty: GgmlType,
        /// Numbers of the row.
        got: usize,
        /// Numbers of a block.
        need: usize,
    },
    /// The bytes are not those of the blocks that the numbers make.
    #[error("{got} bytes of {ty} where {need} are needed")]
    Bytes {
        /// The type asked for.
        ty: GgmlType,
        /// Bytes given.
        got: usize,
        /// Bytes of as many blocks as the numbers make.
        need: usize,
    },
    /// The size of a row exceeds the address space.
    #[error("a row of {got} numbers of {ty} overflows")]
    Overflow {
        /// The type asked for.
        ty: GgmlType,
        /// Numbers of the row.
        got: usize,
    },
}
