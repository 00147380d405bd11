//! Errors of the public functions.

use quant::GgmlType;
use thiserror::Error;

/// A matrix that does not fit its slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The last element is beyond the end of the slice.
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
    /// Elements of a batch of outputs may share an address.
    #[error("{count} outputs, {stride} elements apart, may share addresses")]
    BatchOverlap {
        /// Matrices asked for.
        count: usize,
        /// Elements from one matrix to the next.
        stride: isize,
    },
    /// Weights of a type that no product takes as blocks.
    #[error("no kernel multiplies blocks of {ty}; convert them with quant::dequantize")]
    BlockType {
        /// The type.
        ty: GgmlType,
    },
    /// The rows of weights do not consist of whole blocks.
    #[error("a row of {got} numbers of {ty} is not a multiple of {need}")]
    BlockLength {
        /// The type.
        ty: GgmlType,
        /// Numbers of a row.
        got: usize,
        /// Numbers of a block.
        need: usize,
    },
    /// Numbers that are not in blocks do not lie at a multiple of their size.
    #[error("numbers of {ty} have to lie at a multiple of {need} bytes; copy them")]
    Misaligned {
        /// The type.
        ty: GgmlType,
        /// Bytes that the address has to be a multiple of.
        need: usize,
    },
    /// Weights of 8-bit codes with sums that 32 bits may not hold.
    #[error("sums of {got} products of 8-bit codes may exceed 32 bits; at most {most} are multiplied")]
    TooLong {
        /// Rows of B: the length of the sums.
        got: usize,
        /// The most that are taken.
        most: usize,
    },
    /// There is no memory for the weights.
    #[error("no memory for {bytes} bytes of weights")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// A part reaches beyond its matrix.
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

/// An operand of a product that may be a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// The left factor.
    A,
    /// The right factor.
    B,
    /// The residual of the epilogue.
    Residual,
}

impl std::fmt::Display for Operand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::B => "B",
            Self::Residual => "residuals",
        })
    }
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
    /// The bias is not as long as its axis of C.
    #[error("the bias has {got} numbers, C needs {need}")]
    BiasLength {
        /// Numbers given.
        got: usize,
        /// Rows or columns of C.
        need: usize,
    },
    /// The residual does not have the extents of C.
    #[error("the residual is {} x {}, C is {} x {}", got.0, got.1, need.0, need.1)]
    ResidualShape {
        /// Rows and columns of the residual.
        got: (usize, usize),
        /// Rows and columns of C.
        need: (usize, usize),
    },
    /// A batch to read has another number of matrices than the batch of C. A single matrix fits any number.
    #[error("the batch of {operand} has {got} matrices, the batch of C has {need}")]
    BatchMismatch {
        /// Which one.
        operand: Operand,
        /// Matrices of that batch.
        got: usize,
        /// Matrices of the batch of C.
        need: usize,
    },
    /// There is no memory to pack an operand into.
    #[error("no memory for {bytes} bytes of packed operands")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
}

impl From<op::OutOfMemory> for GemmError {
    fn from(op::OutOfMemory { bytes }: op::OutOfMemory) -> Self {
        Self::OutOfMemory { bytes }
    }
}
