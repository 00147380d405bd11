//! A product whose shapes agree: checked once, then split, transposed and handed to kernels without further checks.

use crate::{
    error::GemmError,
    kernel::Shape,
    view::{MatMut, MatRef},
};

/// C <- alpha A B + beta C with A m x k, B k x n, C m x n. Existing is the proof that the extents agree.
#[derive(Debug)]
pub(crate) struct Problem<'a> {
    pub(crate) alpha: f32,
    pub(crate) a: MatRef<'a, f32>,
    pub(crate) b: MatRef<'a, f32>,
    pub(crate) beta: f32,
    pub(crate) c: MatMut<'a, f32>,
}

impl<'a> Problem<'a> {
    pub(crate) fn new(
        alpha: f32,
        a: MatRef<'a, f32>,
        b: MatRef<'a, f32>,
        beta: f32,
        c: MatMut<'a, f32>,
    ) -> Result<Self, GemmError> {
        let (m, n, k) = (a.rows(), b.cols(), a.cols());
        if b.rows() != k || c.rows() != m || c.cols() != n {
            let (a, b, c) = ((m, k), (b.rows(), n), (c.rows(), c.cols()));
            return Err(GemmError::ShapeMismatch { a, b, c });
        }
        Shape { m, n, k }.flops().ok_or(GemmError::Overflow { m, n, k })?;
        Ok(Self { alpha, a, b, beta, c })
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape { m: self.a.rows(), n: self.b.cols(), k: self.a.cols() }
    }

    /// Whether A and B have no say: C <- beta C.
    pub(crate) fn is_scaling(&self) -> bool {
        self.alpha == 0.0 || self.shape().k == 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.c.rows() == 0 || self.c.cols() == 0
    }

    /// The same product, transposed: Ct <- alpha Bt At + beta Ct.
    pub(crate) fn t(self) -> Self {
        Self { a: self.b.t(), b: self.a.t(), c: self.c.t(), ..self }
    }

    /// The product for the rows of C before `row`, at most all, and the one for the rest.
    pub(crate) fn split_rows(self, row: usize) -> (Self, Self) {
        let Self { alpha, a, b, beta, c } = self;
        let (upper, lower) = c.split_rows(row);
        let upper = Self { alpha, a: a.part(0..row, 0..a.cols()), b, beta, c: upper };
        (upper, Self { alpha, a: a.part(row..a.rows(), 0..a.cols()), b, beta, c: lower })
    }

    /// The product for the columns of C before `col`, at most all, and the one for the rest.
    pub(crate) fn split_cols(self, col: usize) -> (Self, Self) {
        let (left, right) = self.t().split_rows(col);
        (left.t(), right.t())
    }

    /// C <- beta C; without reading C if beta is 0.
    pub(crate) fn scale(mut self) {
        let (beta, c) = (self.beta, &mut self.c);
        for i in 0..c.rows() {
            for j in 0..c.cols() {
                if let Some(c) = c.get_mut(i, j) {
                    *c = if beta == 0.0 { 0.0 } else { beta * *c };
                }
            }
        }
    }
}
