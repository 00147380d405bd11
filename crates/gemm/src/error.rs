//! What the public functions refuse, as values.

use thiserror::Error;

/// A matrix that cannot lie in the slice it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The last element lies behind the end of the slice.
    #[error("matrix needs {need} elements, slice has {len}")]
    OutOfBounds {
        /// Elements from the lowest to the highest address of the matrix.
        need: usize,
        /// Elements of the slice.
        len: usize,
    },
    /// An offset, or the number of elements, exceeds `isize::MAX`.
    #[error("offsets of a {rows} x {cols} matrix with strides {row_stride} and {col_stride} overflow")]
    Overflow {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
        /// Elements from one row to the next.
        row_stride: isize,
        /// Elements from one column to the next.
        col_stride: isize,
    },
    /// Two elements of an output would share an address.
    #[error("elements of a {rows} x {cols} output with strides {row_stride} and {col_stride} share addresses")]
    Overlap {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
        /// Elements from one row to the next.
        row_stride: isize,
        /// Elements from one column to the next.
        col_stride: isize,
    },
    /// The distance between the first and the last matrix of a batch, or their reach, exceeds `isize::MAX`.
    #[error("offsets of {count} matrices, {stride} elements apart, overflow")]
    BatchOverflow {
        /// Matrices asked for.
        count: usize,
        /// Elements from one matrix to the next.
        stride: isize,
    },
    /// Two elements of a batch of outputs would share an address, or their layouts interleave in a way that is not
    /// recognized as free of that.
    #[error("{count} outputs, {stride} elements apart, may share addresses")]
    BatchOverlap {
        /// Matrices asked for.
        count: usize,
        /// Elements from one matrix to the next.
        stride: isize,
    },
    /// A part that reaches beyond the matrix it is a part of.
    #[error("part ends at row {row_end}, column {col_end} of a {rows} x {cols} matrix")]
    OutOfMatrix {
        /// One past the last row asked for, saturated.
        row_end: usize,
        /// One past the last column asked for, saturated.
        col_end: usize,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },
}

/// A product that cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GemmError {
    /// The extents of A (m x k), B (k x n) and C (m x n) do not fit each other.
    #[error("shapes do not match: A is {} x {}, B is {} x {}, C is {} x {}", a.0, a.1, b.0, b.1, c.0, c.1)]
    ShapeMismatch {
        /// Rows and columns of A.
        a: (usize, usize),
        /// Rows and columns of B.
        b: (usize, usize),
        /// Rows and columns of C.
        c: (usize, usize),
    },
    /// 2 m n k, the operations asked for, exceeds `u64::MAX`.
    #[error("2 * {m} * {n} * {k} operations overflow")]
    Overflow {
        /// Rows of C.
        m: usize,
        /// Columns of C.
        n: usize,
        /// Terms of each sum.
        k: usize,
    },
    /// A bias is not as long as the axis that it belongs to.
    #[error("a bias of {got} numbers, but C has {need}")]
    BiasLength {
        /// Numbers given.
        got: usize,
        /// Rows or columns of C.
        need: usize,
    },
    /// A residual does not have the extents of C.
    #[error("a residual of {} x {}, but C is {} x {}", got.0, got.1, need.0, need.1)]
    ResidualShape {
        /// Rows and columns of the residual.
        got: (usize, usize),
        /// Rows and columns of C.
        need: (usize, usize),
    },
    /// Batches of A, B and C hold different numbers of matrices.
    #[error("batches of {a} matrices A, {b} B and {c} C")]
    BatchMismatch {
        /// Matrices of the batch of A.
        a: usize,
        /// Matrices of the batch of B.
        b: usize,
        /// Matrices of the batch of C.
        c: usize,
    },
    /// The workspace could not grow.
    #[error("no memory for a workspace of {bytes} bytes")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
}
