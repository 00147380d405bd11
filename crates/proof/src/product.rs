//! A proof of C = αAB + βC₀ that costs less than the product itself.
//!
//! Computing AB in f64 to check AB takes as long as the thing checked, or longer. Freivalds (1977) multiplies both
//! sides by a vector instead: for random x, Cx must equal αA(Bx) + βC₀x, and that costs three passes over the operands.
//! With entries ±1 a single wrong element moves its row's residual by its whole error, for certain. Errors that come in
//! pairs can cancel: two swapped elements of one row do for every x that is equal there, one in two. So eight vectors
//! are carried at once, which costs little more than two, because memory bandwidth bounds the passes: a swap is missed
//! once in 256.
//!
//! The residual of row i is a sum of independent rounding errors with random signs. Its bound is one row of the norm
//! test in [`compare`](crate::compare), 3ε(√(k+2)·|α|·‖aᵢ‖·‖B‖_F + …): some ten standard deviations of what rounding
//! can do at worst (all products of one sign), so that a correct kernel passes, and still below the size of one
//! misplaced element. Smaller errors of single elements are left to a direct comparison in f64 with the element-wise
//! bound: all elements of the first and last row and column, where tiles are cut off, and 512 elements drawn at random.
//! Where comparing every element costs less than that, every element is compared.
//!
//! Operands are read through [`Matrix`], so strided, transposed and quantized operands are checked without a copy.

use crate::compare::{Checked, Mismatch, Tolerance, Worst, check_norm, within};
use crate::guarded::Guarded;
use crate::input::Random;

mod exact;
mod freivalds;
mod matrix;

use freivalds::{VECTORS, add, norm, pass, signs};
pub use matrix::{Matrix, Transposed, View, row_major};

/// Elements drawn at random.
const SAMPLES: usize = 512;
/// Up to this many multiply-adds every element is compared: some 10 ms.
const CHEAP: usize = 1 << 23;

/// What C should be: αAB + βC₀.
#[derive(Clone, Copy)]
pub struct Product<'a> {
    /// Factor of the product. With 0, A and B are not read.
    pub alpha: f64,
    /// m × k.
    pub a: &'a dyn Matrix,
    /// k × n.
    pub b: &'a dyn Matrix,
    /// Factor of `c0`. With 0, `c0` is not read.
    pub beta: f64,
    /// What C held before, m × n; needed where β ≠ 0.
    pub c0: Option<&'a dyn Matrix>,
    /// The rounding to allow; see [`Tolerance::gemm_f32`].
    pub tolerance: Tolerance,
}

impl Product<'_> {
    /// The cheap proof, for processes that time afterward. Deterministic for a given `seed`. Error and tolerance of the
    /// result are shares of the respective bound: 1 is the limit.
    ///
    /// # Errors
    /// [`Mismatch::Shape`] where shapes disagree or C₀ is missing, [`Mismatch::Value`] with the worst element of the
    /// worst row, [`Mismatch::Total`] where a row is wrong by more than rounding although each of its elements is
    /// within its bound.
    pub fn check(&self, c: &dyn Matrix, seed: u64) -> Result<Checked, Mismatch> {
        let (m, n, k) = self.check_shapes(c)?;
        let passes = 2 * (m * n + m * k + k * n);
        if m.saturating_mul(n).saturating_mul(k) <= passes.max(CHEAP) {
            return self.check_all(c);
        }
        let mut random = Random::new(seed);
        let row_share = self.freivalds(c, &mut random)?;
        let mut worst = Worst::default();
        let rows = exact::rows(self, c, &[0, m - 1], &mut worst);
        let edges = rows + exact::columns(self, c, &[0, n - 1], &mut worst);
        for _ in 0..SAMPLES {
            exact::element(self, c, random.below(m), random.below(n), &mut worst);
        }
        let checked = edges + SAMPLES as u64;
        let method = format!("freivalds {VECTORS} + {SAMPLES} samples + edges");
        let share = worst.share.max(row_share);
        let passed = worst.judge(&method, checked)?;
        Ok(Checked { error: share, tolerance: 1.0, ..passed })
    }

    /// Every element against the f64 product, then the norm test: the oracle of the tests. O(mnk).
    ///
    /// # Errors
    /// As [`check`](Self::check); [`Mismatch::Total`] from the norm test.
    pub fn check_all(&self, c: &dyn Matrix) -> Result<Checked, Mismatch> {
        let (m, n, _) = self.check_shapes(c)?;
        let method = "every element, f64";
        if m * n == 0 {
            return Ok(Checked { method: method.into(), error: 0.0, tolerance: 1.0, worst_index: None, checked: 0 });
        }
        let mut worst = Worst::default();
        let (mut actual, mut expected, mut row) = (Vec::new(), Vec::new(), vec![0.0; n]);
        for i in 0..m {
            c.row(i, &mut row);
            for (j, (value, magnitude)) in exact::expected_rows(self, n, &[i]).concat().into_iter().enumerate() {
                worst.see(i * n + j, row[j], value, self.tolerance.element(magnitude));
                expected.push(value);
            }
            actual.extend(row.iter().map(|&value| value as f32));
        }
        let share = worst.share;
        let passed = worst.judge(method, (m * n) as u64)?;
        let norm = check_norm(&actual, &expected, self.norm_scale(), &self.tolerance)?;
        Ok(Checked { error: share.max(norm.error / norm.tolerance), tolerance: 1.0, ..passed })
    }

    /// [`check`](Self::check) for the usual output of a bench or test: a guarded row-major C, `ld` elements from row to
    /// row. First the guards, then, where β = 0, that every element was written and no gap between rows was.
    ///
    /// # Errors
    /// As [`check`](Self::check), and those of [`Guarded::verify_where`].
    pub fn check_guarded(&self, c: &Guarded<f32>, ld: usize, seed: u64) -> Result<Checked, Mismatch> {
        let (m, n) = (self.a.shape().0, self.b.shape().1);
        if m * n > 0 {
            let need = (m - 1) * ld + n;
            if ld < n || c.len() < need {
                return Err(Mismatch::Shape { what: "elements of the output buffer", got: c.len(), need });
            }
        }
        if self.beta == 0.0 {
            c.verify_where(|i| n > 0 && i % ld < n && i / ld < m)?;
        } else {
            c.verify_guards()?;
        }
        self.check(&row_major(c, m, n, ld), seed)
    }

    fn check_shapes(&self, c: &dyn Matrix) -> Result<(usize, usize, usize), Mismatch> {
        let ((m, n), (a_rows, k), (b_rows, b_columns)) = (c.shape(), self.a.shape(), self.b.shape());
        let c0_shape = match self.c0 {
            Some(c0) if self.beta != 0.0 => c0.shape(),
            None if self.beta != 0.0 => (0, 0),
            _ => (m, n),
        };
        let equal = [
            ("rows of A", a_rows, m),
            ("rows of B", b_rows, k),
            ("columns of B", b_columns, n),
            ("rows of C before", c0_shape.0, m),
            ("columns of C before", c0_shape.1, n),
        ];
        match equal.into_iter().find(|(_, got, need)| got != need) {
            Some((what, got, need)) => Err(Mismatch::Shape { what, got, need }),
            None => Ok((m, n, k)),
        }
    }

    fn norm_scale(&self) -> f64 {
        let (norm_a, norm_b) = if self.alpha == 0.0 { (0.0, 0.0) } else { (norm(self.a), norm(self.b)) };
        self.tolerance.norm_scale(self.alpha, norm_a, norm_b, self.beta, self.old().map_or(0.0, norm))
    }

    /// C₀, where β ≠ 0.
    fn old(&self) -> Option<&dyn Matrix> {
        self.c0.filter(|_| self.beta != 0.0)
    }

    /// Largest |residual| / bound over all rows and vectors.
    fn freivalds(&self, c: &dyn Matrix, random: &mut Random) -> Result<f64, Mismatch> {
        let n = c.shape().1;
        let x = signs(n, random);
        let mut residuals = pass(c, &x).sums;
        let (mut squares_a, mut square_b, mut squares_c0) = (Vec::new(), 0.0, Vec::new());
        if self.alpha != 0.0 {
            let bx = pass(self.b, &x);
            let abx = pass(self.a, &bx.sums);
            residuals.iter_mut().zip(&abx.sums).for_each(|(residual, sum)| add(residual, -self.alpha, sum));
            (squares_a, square_b) = (abx.squares, bx.squares.iter().sum());
        }
        if let Some(c0) = self.old() {
            let c0x = pass(c0, &x);
            residuals.iter_mut().zip(&c0x.sums).for_each(|(residual, sum)| add(residual, -self.beta, sum));
            squares_c0 = c0x.squares;
        }
        let root = |squares: &[f64], i: usize| squares.get(i).map_or(0.0, |square| square.sqrt());
        let (mut worst_row, mut worst_share, mut worst_residual, mut worst_bound) = (0, 0.0, 0.0, 0.0);
        for (i, residual) in residuals.iter().enumerate() {
            let (norm_a, norm_c0) = (root(&squares_a, i), root(&squares_c0, i));
            let scale = self.tolerance.norm_scale(self.alpha, norm_a, square_b.sqrt(), self.beta, norm_c0);
            // n elements, each with the absolute error of a zero magnitude.
            let bound = self.tolerance.norm() * scale + n as f64 * self.tolerance.element(0.0);
            for r in residual.map(f64::abs) {
                let share = if r == 0.0 { 0.0 } else { r / bound };
                // Not `share > worst_share`: a NaN must win, and stay.
                if !f64::is_nan(worst_share) && !within(share, worst_share) {
                    (worst_row, worst_share, worst_residual, worst_bound) = (i, share, r, bound);
                }
            }
        }
        if within(worst_share, 1.0) {
            return Ok(worst_share);
        }
        // A wrong row: find its worst element.
        let mut worst = Worst::default();
        exact::rows(self, c, &[worst_row], &mut worst);
        let method = format!("freivalds {VECTORS}, row {worst_row}");
        worst.judge(&method, n as u64)?;
        let (index, actual, expected) = (worst.index.unwrap_or(0), worst.actual, worst.expected);
        Err(Mismatch::Total { method, index, actual, expected, error: worst_residual, tolerance: worst_bound })
    }
}
