//! Extents of a product.

/// Extents of a product: A is m x k, B is k x n, C is m x n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B: terms of each sum.
    pub k: usize,
}

impl Shape {
    /// 2 m n k, or `None` if that exceeds `u64::MAX`.
    pub fn flops(self) -> Option<u64> {
        if [self.m, self.n, self.k].contains(&0) {
            return Some(0);
        }
        [self.m, self.n, self.k].iter().try_fold(2u64, |x, &y| x.checked_mul(u64::try_from(y).ok()?))
    }

    /// Whether there is something to multiply, and no more than can be counted.
    pub(crate) fn has_work(self) -> bool {
        self.flops().is_some_and(|flops| flops > 0)
    }

    /// The shape of the transposed product, C^T = B^T A^T.
    pub(crate) fn t(self) -> Self {
        Self { m: self.n, n: self.m, k: self.k }
    }
}
