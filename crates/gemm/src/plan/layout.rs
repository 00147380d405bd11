//! What the choice of a path depends on: extents, element types and storage orders.

use simd::ElementType;

use crate::{
    matrix::{Input, Output},
    problem::Problem,
    shape::Shape,
};

/// Element type and storage order of a matrix. A matrix that is neither row-major nor column-major has no adjacent
/// elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// The type that its elements are stored as.
    pub element: ElementType,
    /// Whether rows are contiguous: the elements of a row are adjacent.
    pub row_major: bool,
    /// Whether columns are contiguous. A matrix of one row or column may be both.
    pub col_major: bool,
}

impl Storage {
    /// Row by row.
    pub const fn row_major(element: ElementType) -> Self {
        Self { element, row_major: true, col_major: false }
    }

    /// Column by column.
    pub const fn col_major(element: ElementType) -> Self {
        Self { element, row_major: false, col_major: true }
    }

    /// Of the transpose.
    fn t(self) -> Self {
        Self { row_major: self.col_major, col_major: self.row_major, ..self }
    }
}

impl From<&Input<'_>> for Storage {
    fn from(x: &Input<'_>) -> Self {
        Self { element: x.element_type(), row_major: x.col_stride() == 1, col_major: x.row_stride() == 1 }
    }
}

impl From<&Output<'_>> for Storage {
    fn from(x: &Output<'_>) -> Self {
        Self::from(&x.as_input())
    }
}

/// A product without its data: what [`explain`](crate::explain) looks at.
///
/// ```
/// use gemm::{ElementType, ProblemLayout, Shape, Storage, Threads, explain};
///
/// let layout = ProblemLayout::new(
///     Shape { m: 8, n: 1536, k: 384 },
///     Storage::row_major(ElementType::F32),
///     Storage::col_major(ElementType::Bf16),
///     Storage::row_major(ElementType::F32),
/// );
/// println!("{:?}", explain(layout, Threads::SERIAL));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ProblemLayout {
    pub(crate) shape: Shape,
    pub(crate) a: Storage,
    pub(crate) b: Storage,
    pub(crate) c: Storage,
}

impl From<Shape> for ProblemLayout {
    /// Row-major matrices of f32.
    fn from(shape: Shape) -> Self {
        let storage = Storage::row_major(ElementType::F32);
        Self::new(shape, storage, storage, storage)
    }
}

impl ProblemLayout {
    /// Matrices A (m x k), B (k x n) and C (m x n) without gaps between rows or columns.
    pub fn new(shape: Shape, a: Storage, b: Storage, c: Storage) -> Self {
        let Shape { m, n, k } = shape;
        // Without gaps, one row or one column is both.
        let both = |storage: Storage, rows: usize, cols: usize| match rows == 1 || cols == 1 {
            true => Storage { row_major: true, col_major: true, ..storage },
            false => storage,
        };
        Self { shape, a: both(a, m, k), b: both(b, k, n), c: both(c, m, n) }
    }

    /// Of a problem. The stride of an axis with one element does not matter.
    pub(crate) fn of(problem: &Problem<'_, Input<'_>>) -> Self {
        let shape @ Shape { m, n, k } = problem.shape();
        let either = |storage: Storage, rows: usize, cols: usize| Storage {
            row_major: storage.row_major || cols == 1,
            col_major: storage.col_major || rows == 1,
            ..storage
        };
        let (a, b, c) = (Storage::from(&problem.a), Storage::from(&problem.b), Storage::from(&problem.c));
        Self { shape, a: either(a, m, k), b: either(b, k, n), c: either(c, m, n) }
    }

    /// Of the transposed product.
    pub(crate) fn t(self) -> Self {
        Self { shape: self.shape.t(), a: self.b.t(), b: self.a.t(), c: self.c.t() }
    }

    /// Whether C is column-major only. Micro-kernels write rows, so they write those of the transposed C then.
    pub(super) fn is_col_major(&self) -> bool {
        self.c.col_major && !self.c.row_major
    }
}
