//! A product whose shapes agree: checked once, then split, transposed and handed to kernels without further checks.

use crate::{
    epilogue::Epilogue,
    error::GemmError,
    kernel::Shape,
    operand::{Input, Output},
    prepack::{Rhs, Source},
};

/// C <- act(alpha A B + beta C + bias) + residual with A m x k, B k x n, C m x n. Existing is the proof that the extents
/// agree.
#[derive(Debug)]
pub(crate) struct Problem<'a> {
    pub(crate) alpha: f32,
    pub(crate) a: Input<'a>,
    pub(crate) b: Rhs<'a>,
    pub(crate) beta: f32,
    pub(crate) c: Output<'a>,
    pub(crate) epilogue: Epilogue<'a>,
}

impl<'a> Problem<'a> {
    /// Inlined, so that the problem is made where it is used: a copy costs as much as a small product.
    #[inline(always)]
    pub(crate) fn new(
        alpha: f32,
        a: Input<'a>,
        b: Rhs<'a>,
        beta: f32,
        c: Output<'a>,
        epilogue: Epilogue<'a>,
    ) -> Result<Self, GemmError> {
        let (m, n, k) = (a.rows(), b.cols(), a.cols());
        if b.rows() != k || c.rows() != m || c.cols() != n {
            let (a, b, c) = ((m, k), (b.rows(), n), (c.rows(), c.cols()));
            return Err(GemmError::ShapeMismatch { a, b, c });
        }
        Shape { m, n, k }.flops().ok_or(GemmError::Overflow { m, n, k })?;
        if !epilogue.is_none() {
            epilogue.check(m, n)?;
        }
        Ok(Self { alpha, a, b, beta, c, epilogue })
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape { m: self.a.rows(), n: self.b.cols(), k: self.a.cols() }
    }

    /// Whether A and B have no say: C <- act(beta C + bias) + residual.
    pub(crate) fn is_scaling(&self) -> bool {
        self.alpha == 0.0 || self.a.cols() == 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.c.rows() == 0 || self.c.cols() == 0
    }

    /// The same product for a shorter time.
    pub(crate) fn reborrow(&mut self) -> Problem<'_> {
        let &mut Self { alpha, a, b, beta, ref mut c, epilogue } = self;
        Problem { alpha, a, b, beta, c: c.reborrow(), epilogue }
    }

    /// The same product, transposed: Ct <- alpha Bt At + beta Ct. Packed weights cannot change places with A; with them
    /// the product stays as it is.
    pub(crate) fn t(self) -> Self {
        match self.b.0 {
            Source::Matrix(b) => {
                Self { a: b.t(), b: self.a.t().into(), c: self.c.t(), epilogue: self.epilogue.t(), ..self }
            }
            Source::Packed { .. } => self,
        }
    }

    /// The product for the rows of C before `row`, at most all, and the one for the rest.
    pub(crate) fn split_rows(self, row: usize) -> (Self, Self) {
        let Self { alpha, a, b, beta, c, epilogue } = self;
        let (rows, cols) = (c.rows(), c.cols());
        let (upper, lower) = c.split_rows(row);
        let part = |rows: std::ops::Range<usize>, c| {
            let a = a.part(rows.clone(), 0..a.cols());
            Self { alpha, a, b, beta, c, epilogue: epilogue.part(rows, 0..cols) }
        };
        (part(0..row, upper), part(row..rows, lower))
    }

    /// The product for the columns of C before `col`, at most all, and the one for the rest.
    pub(crate) fn split_cols(self, col: usize) -> (Self, Self) {
        let Self { alpha, a, b, beta, c, epilogue } = self;
        let (rows, cols) = (c.rows(), c.cols());
        let (left, right) = c.t().split_rows(col);
        let (b_left, b_right) = b.split_cols(col);
        let part = |cols: std::ops::Range<usize>, b, c: Output<'a>| Self {
            alpha,
            a,
            b,
            beta,
            c: c.t(),
            epilogue: epilogue.part(0..rows, cols),
        };
        (part(0..col, b_left, left), part(col..cols, b_right, right))
    }
}
