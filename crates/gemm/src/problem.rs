//! A product whose shapes agree: checked once, then cut into parts, transposed and computed without further checks.

use std::ops::Range;

use crate::{
    epilogue::Epilogue,
    error::GemmError,
    matrix::{Input, Output},
    shape::Shape,
    weights::{Rhs, RightOperand},
};

/// C <- act(alpha A B + beta C + bias) + residual with A m x k, B k x n, C m x n. Only [`new`](Self::new) makes one, so
/// the extents agree.
///
/// B is of any form here, [`Rhs`], or already known to be a matrix, [`Input`], which can be transposed and read in
/// place.
#[derive(Debug)]
pub(crate) struct Problem<'a, B = Rhs<'a>> {
    pub(crate) alpha: f32,
    pub(crate) a: Input<'a>,
    pub(crate) b: B,
    pub(crate) beta: f32,
    pub(crate) c: Output<'a>,
    pub(crate) epilogue: Epilogue<'a>,
}

impl<'a> Problem<'a> {
    /// Always inlined, so that the problem is built where it is used: copying one takes as long as a small product.
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

    /// The same product, given the form of `b`, its B.
    pub(crate) fn into_form<B: RightOperand>(self, b: B) -> Problem<'a, B> {
        let Self { alpha, a, beta, c, epilogue, .. } = self;
        Problem { alpha, a, b, beta, c, epilogue }
    }

    /// The same product, given the form of `b`, its B.
    pub(crate) fn with<'s, B: RightOperand>(&'s mut self, b: B) -> Problem<'s, B> {
        let &mut Self { alpha, a, beta, ref mut c, epilogue, .. } = self;
        Problem { alpha, a, b, beta, c: c.reborrow(), epilogue }
    }
}

impl<'a> Problem<'a, Input<'a>> {
    /// The same product, transposed: Ct <- alpha Bt At + beta Ct.
    pub(crate) fn t(self) -> Self {
        Self { a: self.b.t(), b: self.a.t(), c: self.c.t(), epilogue: self.epilogue.t(), ..self }
    }

    /// The same product with a B of any form.
    pub(crate) fn into_general(self) -> Problem<'a> {
        let Self { alpha, a, b, beta, c, epilogue } = self;
        Problem { alpha, a, b: b.into(), beta, c, epilogue }
    }
}

impl<'a, B: RightOperand> Problem<'a, B> {
    pub(crate) fn shape(&self) -> Shape {
        Shape { m: self.a.rows(), n: self.b.cols(), k: self.a.cols() }
    }

    /// Whether A and B are not read: C <- act(beta C + bias) + residual.
    pub(crate) fn is_scaling(&self) -> bool {
        self.alpha == 0.0 || self.a.cols() == 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.c.rows() == 0 || self.c.cols() == 0
    }

    /// The same product, borrowed for a shorter time.
    pub(crate) fn reborrow(&mut self) -> Problem<'_, B> {
        let &mut Self { alpha, a, b, beta, ref mut c, epilogue } = self;
        Problem { alpha, a, b, beta, c: c.reborrow(), epilogue }
    }

    /// The product for some columns of C, to compute on one of several threads.
    ///
    /// # Safety
    /// Nobody else accesses these columns of C meanwhile.
    pub(crate) unsafe fn alias_cols(&self, cols: Range<usize>) -> Problem<'_, B> {
        let &Self { alpha, a, b, beta, ref c, epilogue } = self;
        // SAFETY: only these columns are accessed, as the caller promises.
        let c = unsafe { c.alias() };
        let rows = 0..c.rows();
        let (b, _) = b.split_cols(cols.end);
        let (_, b) = b.split_cols(cols.start);
        Problem { alpha, a, b, beta, c: c.part(rows.clone(), cols.clone()), epilogue: epilogue.part(rows, cols) }
    }

    /// The product for the rows of C before `row`, which is at most their number, and the one for the other rows.
    pub(crate) fn split_rows(self, row: usize) -> (Self, Self) {
        let Self { alpha, a, b, beta, c, epilogue } = self;
        let (rows, cols) = (c.rows(), c.cols());
        let (upper, lower) = c.split_rows(row);
        let part = |rows: Range<usize>, c| {
            let a = a.part(rows.clone(), 0..a.cols());
            Self { alpha, a, b, beta, c, epilogue: epilogue.part(rows, 0..cols) }
        };
        (part(0..row, upper), part(row..rows, lower))
    }

    /// The product for the columns of C before `col`, which is at most their number, and the one for the other columns.
    pub(crate) fn split_cols(self, col: usize) -> (Self, Self) {
        let Self { alpha, a, b, beta, c, epilogue } = self;
        let (rows, cols) = (c.rows(), c.cols());
        let (left, right) = c.t().split_rows(col);
        let (b_left, b_right) = b.split_cols(col);
        let part = |cols: Range<usize>, b, c: Output<'a>| Self {
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
