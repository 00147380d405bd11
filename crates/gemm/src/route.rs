//! Which way a product goes: a function of shape, element types and layout, and of nothing else.
//!
//! The ways, and when each is taken, first match first:
//!
//! | path | A and B | when |
//! |---|---|---|
//! | [`Path::PackedWeights`] | A into panels, B was packed before | B is a [`PackedB`](crate::PackedB) |
//! | [`Path::Dot`] | as they lie | columns of B are contiguous, and A has one row, or up to 16 and k is long |
//! | [`Path::Axpy`] | as they lie | rows of B are contiguous, and A has one row, unless B is tiny, or a few more and B is huge |
//! | [`Path::Direct`] | as they lie | B is small; smaller where it has many columns, and smaller still where those are contiguous |
//! | [`Path::PackedA`] | A into panels, B as it lies | rows of B are contiguous, and A has few rows |
//! | [`Path::Packed`] | both into panels | else |
//!
//! A product that could go one of the first three ways transposed, as C^T = B^T A^T, goes that way; else a product with a
//! column-major C is transposed, because micro-kernels write rows.
//!
//! The thresholds were measured: `cargo run --release -p gemm --example crossover` times every path on both sides of
//! each, and `crossover.txt` beside this file's crate is what it printed, with the machine it ran on.

use crate::{
    axpy,
    choice::Path,
    dot,
    element::Type,
    kernel::Shape,
    micro::MicroKernel,
    operand::{Input, Output},
};

/// How a matrix is stored, as far as the choice of a path looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// What its elements are stored as.
    pub element: Type,
    /// Whether neighbors in a row are neighbors in memory.
    pub by_rows: bool,
    /// Whether neighbors in a column are neighbors in memory.
    pub by_columns: bool,
}

impl Stored {
    /// Row by row.
    pub const fn rows(element: Type) -> Self {
        Self { element, by_rows: true, by_columns: false }
    }

    /// Column by column.
    pub const fn columns(element: Type) -> Self {
        Self { element, by_rows: false, by_columns: true }
    }

    fn t(self) -> Self {
        Self { by_rows: self.by_columns, by_columns: self.by_rows, ..self }
    }
}

impl From<&Input<'_>> for Stored {
    fn from(x: &Input<'_>) -> Self {
        Self { element: x.element_type(), by_rows: x.col_stride() == 1, by_columns: x.row_stride() == 1 }
    }
}

impl From<&Output<'_>> for Stored {
    fn from(x: &Output<'_>) -> Self {
        Self::from(&x.as_input())
    }
}

/// What the choice of a path looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) shape: Shape,
    pub(crate) a: Stored,
    pub(crate) b: Stored,
    pub(crate) c: Stored,
}

/// A path, and whether it computes the transposed product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) path: Path,
    pub(crate) transposed: bool,
}

/// A B of up to this many floats is read so fast that the sums of [`Path::Axpy`] need not lie in memory.
const TINY_B: usize = 1 << 16;

/// A B of this many elements comes from memory, and should be read as it lies there.
const FAR_B: usize = 1 << 22;

impl Facts {
    /// Steps along an axis of one element do not matter.
    pub(crate) fn new(shape: Shape, [a, b, c]: [Stored; 3]) -> Self {
        let Shape { m, n, k } = shape;
        let either = |stored: Stored, rows: usize, cols: usize| Stored {
            by_rows: stored.by_rows || cols == 1,
            by_columns: stored.by_columns || rows == 1,
            ..stored
        };
        Self { shape, a: either(a, m, k), b: either(b, k, n), c: either(c, m, n) }
    }

    /// Matrices without gaps: one row or column is stored both ways.
    pub(crate) fn dense(shape: Shape, [a, b, c]: [Stored; 3]) -> Self {
        let Shape { m, n, k } = shape;
        let either = |stored: Stored, rows: usize, cols: usize| match rows == 1 || cols == 1 {
            true => Stored { by_rows: true, by_columns: true, ..stored },
            false => stored,
        };
        Self { shape, a: either(a, m, k), b: either(b, k, n), c: either(c, m, n) }
    }

    /// Of the transposed product.
    pub(crate) fn t(self) -> Self {
        let Shape { m, n, k } = self.shape;
        Self { shape: Shape { m: n, n: m, k }, a: self.b.t(), b: self.a.t(), c: self.c.t() }
    }

    /// Whether the product can go this way as it stands.
    fn allow<K: MicroKernel>(&self, path: Path) -> bool {
        match path {
            Path::Dot => self.shape.m <= dot::MOST_ROWS && self.b.by_columns,
            Path::Axpy => self.shape.m <= axpy::MOST_ROWS && self.b.by_rows,
            Path::Direct => self.a.element == Type::F32 && (self.shape.k <= K::KC || self.c.element == Type::F32),
            Path::PackedA => self.b.by_rows,
            Path::Packed => true,
            _ => false,
        }
    }

    /// Whether the product goes this way, if it comes to that.
    fn prefer<K: MicroKernel>(&self, path: Path) -> bool {
        let Shape { m, n, k } = self.shape;
        self.allow::<K>(path)
            && match path {
                Path::Dot => m == 1 || k >= K::LONG,
                Path::Axpy if m <= K::SUMMED_ROWS[0] => {
                    let is_tiny = k.saturating_mul(n) <= TINY_B && self.b.element == Type::F32;
                    !(is_tiny && self.allow::<K>(Path::Direct))
                }
                Path::Axpy => m <= K::SUMMED_ROWS[1] && k.saturating_mul(n) >= FAR_B,
                // As floats, for that is what is read.
                Path::Direct if n < K::PACKED_COLUMNS => k.saturating_mul(n) <= K::SMALL_B,
                Path::Direct if self.b.by_rows => k.saturating_mul(n) <= K::SMALL_B / 2,
                Path::Direct => k.saturating_mul(n) <= K::SMALL_B / 8,
                Path::PackedA => m <= K::FEW_ROWS,
                _ => true,
            }
    }
}

/// The way of a product with unpacked operands; `forced`, if it is possible.
pub(crate) fn route<K: MicroKernel>(facts: &Facts, forced: Option<Path>) -> Route {
    if let Some(route) = forced.and_then(|path| facts.way(path, Facts::allow::<K>)) {
        return route;
    }
    let few = facts.may_be_of_few_rows::<K>();
    for path in [Path::Dot, Path::Axpy, Path::Direct, Path::PackedA] {
        let is_possible = few || !path.is_of_few_rows();
        if let Some(route) = is_possible.then(|| facts.way(path, Facts::prefer::<K>)).flatten() {
            return route;
        }
    }
    Route { path: Path::Packed, transposed: facts.is_turned() }
}

impl Path {
    /// Whether the side of C that is short decides about this path, not the layout of C.
    fn is_of_few_rows(self) -> bool {
        matches!(self, Path::Dot | Path::Axpy)
    }
}

impl Facts {
    /// Whether micro-kernels, which write rows, write those of the transposed C.
    fn is_turned(&self) -> bool {
        self.c.by_columns && !self.c.by_rows
    }

    /// Whether the ways of few rows are worth asking for, transposed or not: no other product can [prefer](Self::prefer) them,
    /// and the questions take as long as a small product.
    fn may_be_of_few_rows<K: MicroKernel>(&self) -> bool {
        let Shape { m, n, k } = self.shape;
        let few = m.min(n);
        few <= 2 || few <= dot::MOST_ROWS && (k >= K::LONG || k.saturating_mul(m.max(n)) >= FAR_B)
    }

    /// Whether this path is `wanted` for the product as it is or transposed.
    #[inline(always)]
    fn way(&self, path: Path, wanted: impl Fn(&Facts, Path) -> bool) -> Option<Route> {
        let of = |transposed: bool| wanted(&if transposed { self.t() } else { *self }, path);
        let first = if path.is_of_few_rows() { self.shape.m > self.shape.n } else { self.is_turned() };
        let transposed = match of(first) {
            true => first,
            false if path.is_of_few_rows() && of(!first) => !first,
            false => return None,
        };
        Some(Route { path, transposed })
    }
}
