//! B as an argument: of one product, and of a batch.

use ndarray::ArrayView2;
use simd::{Element, ElementType};

use crate::{
    matrix::{Batch, Input, MatRef},
    weights::{Int8Columns, Int8Weights, PackedB, QMatRef},
};

/// B of one product: a matrix, weights that were packed before, in blocks, or of integers with a scale for each column.
#[derive(Debug, Clone, Copy)]
pub struct Rhs<'a>(pub(crate) Source<'a>);

/// B of a batch of products: one for all, or a batch of matrices.
#[derive(Debug, Clone, Copy)]
pub struct RhsBatch<'a> {
    first: Rhs<'a>,
    /// Where there is one for each product.
    matrices: Option<Batch<'a>>,
}

/// The forms that B may have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    Matrix(Input<'a>),
    Packed(PackedColumns<'a>),
    Blocks(QMatRef<'a>),
    Int8(Int8Columns<'a>),
}

/// Columns of packed weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedColumns<'a> {
    pub(crate) packed: &'a PackedB,
    pub(crate) first: usize,
    pub(crate) cols: usize,
}

/// What every form of B offers: extents, and cutting it into columns for threads.
pub(crate) trait RightOperand: Copy + Send + Sync {
    fn rows(&self) -> usize;

    fn cols(&self) -> usize;

    /// The columns before `col`, which is at most their number, and the other columns.
    fn split_cols(self, col: usize) -> (Self, Self);
}

impl RightOperand for Input<'_> {
    fn rows(&self) -> usize {
        Input::rows(self)
    }

    fn cols(&self) -> usize {
        Input::cols(self)
    }

    fn split_cols(self, col: usize) -> (Self, Self) {
        let (rows, cols) = (Input::rows(&self), Input::cols(&self));
        (self.part(0..rows, 0..col), self.part(0..rows, col..cols))
    }
}

impl RightOperand for PackedColumns<'_> {
    fn rows(&self) -> usize {
        self.packed.rows()
    }

    fn cols(&self) -> usize {
        self.cols
    }

    fn split_cols(self, col: usize) -> (Self, Self) {
        let Self { first, cols, .. } = self;
        (Self { cols: col, ..self }, Self { first: first + col, cols: cols - col, ..self })
    }
}

impl RightOperand for Rhs<'_> {
    #[inline]
    fn rows(&self) -> usize {
        match &self.0 {
            Source::Matrix(b) => b.rows(),
            Source::Packed(b) => b.rows(),
            Source::Blocks(b) => RightOperand::rows(b),
            Source::Int8(b) => RightOperand::rows(b),
        }
    }

    #[inline]
    fn cols(&self) -> usize {
        match &self.0 {
            Source::Matrix(b) => b.cols(),
            Source::Packed(b) => b.cols(),
            Source::Blocks(b) => RightOperand::cols(b),
            Source::Int8(b) => RightOperand::cols(b),
        }
    }

    fn split_cols(self, col: usize) -> (Self, Self) {
        match self.0 {
            Source::Matrix(b) => {
                let (left, right) = b.split_cols(col);
                (left.into(), right.into())
            }
            Source::Packed(b) => {
                let (left, right) = b.split_cols(col);
                (Self(Source::Packed(left)), Self(Source::Packed(right)))
            }
            Source::Blocks(b) => {
                let (left, right) = b.split_cols(col);
                (left.into(), right.into())
            }
            Source::Int8(b) => {
                let (left, right) = b.split_cols(col);
                (Self(Source::Int8(left)), Self(Source::Int8(right)))
            }
        }
    }
}

impl<'a> Rhs<'a> {
    /// Rows: the length of the sums.
    pub fn rows(&self) -> usize {
        RightOperand::rows(self)
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        RightOperand::cols(self)
    }

    /// Whether it consists of codes and scales, for which A is rounded.
    #[inline]
    pub(crate) fn is_of_codes(&self) -> bool {
        matches!(self.0, Source::Blocks(_) | Source::Int8(_))
    }

    /// Bytes that a product reads of it, each element once. Saturates: a matrix whose elements overlap may have more
    /// than memory has.
    pub fn bytes(&self) -> u64 {
        let element: ElementType = match &self.0 {
            Source::Matrix(b) => b.element_type(),
            Source::Packed(b) => b.packed.element_type(),
            Source::Blocks(b) => return b.as_bytes().len() as u64,
            // A code for each number, and a scale for each column.
            Source::Int8(b) => return (b.cols as u64).saturating_mul(RightOperand::rows(b) as u64 + 4),
        };
        (self.rows() as u64).saturating_mul(self.cols() as u64).saturating_mul(element.bytes() as u64)
    }

    /// Element (p, j), if there is one.
    pub fn get(&self, p: usize, j: usize) -> Option<f32> {
        match &self.0 {
            Source::Matrix(b) => b.get(p, j),
            Source::Packed(b) => b.packed.get(p, (j < b.cols).then_some(b.first + j)?),
            Source::Blocks(b) => b.get(j, p),
            Source::Int8(b) => b.get(p, j),
        }
    }
}

impl<'a> RhsBatch<'a> {
    /// How many; `None` for one that every product uses.
    pub fn count(&self) -> Option<usize> {
        self.matrices.and_then(|matrices| matrices.count())
    }

    /// B of the first product.
    pub(crate) fn first(&self) -> Rhs<'a> {
        self.first
    }

    /// B of product `index`, which is below the count.
    pub(crate) fn get(&self, index: usize) -> Rhs<'a> {
        self.matrices.map_or(self.first, |matrices| matrices.get(index).into())
    }
}

impl<'a> From<Input<'a>> for Rhs<'a> {
    fn from(b: Input<'a>) -> Self {
        Self(Source::Matrix(b))
    }
}

impl<'a, T: Element> From<MatRef<'a, T>> for Rhs<'a> {
    fn from(b: MatRef<'a, T>) -> Self {
        Input::from(b).into()
    }
}

impl<'a, T: Element> From<ArrayView2<'a, T>> for Rhs<'a> {
    fn from(b: ArrayView2<'a, T>) -> Self {
        Input::from(b).into()
    }
}

impl<'a> From<&'a PackedB> for Rhs<'a> {
    fn from(packed: &'a PackedB) -> Self {
        Self(Source::Packed(PackedColumns { packed, first: 0, cols: packed.cols() }))
    }
}

impl<'a> From<Rhs<'a>> for RhsBatch<'a> {
    fn from(first: Rhs<'a>) -> Self {
        Self { first, matrices: None }
    }
}

impl<'a> From<Batch<'a>> for RhsBatch<'a> {
    fn from(matrices: Batch<'a>) -> Self {
        Self { first: matrices.first.into(), matrices: Some(matrices) }
    }
}

/// Everything that is a B of one product is a B for a whole batch.
macro_rules! one_for_all {
    ($([$($generics:tt)*] $source:ty),* $(,)?) => {
        $(impl<'a, $($generics)*> From<$source> for RhsBatch<'a> {
            fn from(b: $source) -> Self {
                Rhs::from(b).into()
            }
        })*
    };
}
one_for_all!([] Input<'a>, [T: Element] MatRef<'a, T>, [T: Element] ArrayView2<'a, T>, [] &'a PackedB, [] QMatRef<'a>, [] &'a Int8Weights);

impl<'a, T: Element> From<ndarray::ArrayView3<'a, T>> for RhsBatch<'a> {
    /// The first axis counts the matrices.
    fn from(b: ndarray::ArrayView3<'a, T>) -> Self {
        Batch::from(b).into()
    }
}
