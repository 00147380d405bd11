//! Elements, rows and columns of αAB + βC₀ in f64, each with the magnitude |α|(|A||B|) + |β||C₀| that its bound grows with.

use super::{Matrix, Product};
use crate::compare::Worst;

pub(super) struct Exact<'a> {
    product: &'a Product<'a>,
    k: usize,
}

impl<'a> Exact<'a> {
    pub(super) fn new(product: &'a Product<'a>) -> Self {
        // α = 0: no sum at all, and A and B stay unread.
        let k = if product.alpha == 0.0 { 0 } else { product.a.shape().1 };
        Self { product, k }
    }

    /// Values and magnitudes of row `i`; B is read row by row.
    pub(super) fn row(&self, i: usize) -> (Vec<f64>, Vec<f64>) {
        let n = self.product.b.shape().1;
        let (mut values, mut magnitudes, mut b) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        for p in 0..self.k {
            let a = self.product.a.at(i, p);
            self.product.b.row(p, &mut b);
            for ((value, magnitude), b) in values.iter_mut().zip(&mut magnitudes).zip(&b) {
                let term = a * b;
                *value += term;
                *magnitude += term.abs();
            }
        }
        for (j, (value, magnitude)) in values.iter_mut().zip(&mut magnitudes).enumerate() {
            (*value, *magnitude) = self.finish(i, j, *value, *magnitude);
        }
        (values, magnitudes)
    }

    /// Compares whole rows of C; returns how many elements that were.
    pub(super) fn rows(&self, c: &dyn Matrix, rows: &[usize], worst: &mut Worst) -> u64 {
        let n = c.shape().1;
        let mut actual = vec![0.0; n];
        for &i in rows {
            let (values, magnitudes) = self.row(i);
            c.row(i, &mut actual);
            for j in 0..n {
                let tolerance = self.product.tolerance.element(magnitudes[j]);
                worst.see(i * n + j, actual[j], values[j], tolerance);
            }
        }
        (rows.len() * n) as u64
    }

    /// Compares whole columns of C; returns how many elements that were.
    pub(super) fn columns(&self, c: &dyn Matrix, columns: &[usize], worst: &mut Worst) -> u64 {
        let (m, n) = c.shape();
        // Gathered once: a column of a row-major matrix costs a cache line per element.
        let gather = |&j: &usize| (0..self.k).map(|p| self.product.b.at(p, j)).collect();
        let gathered: Vec<Vec<f64>> = columns.iter().map(gather).collect();
        let mut a = vec![0.0; self.k];
        for i in 0..m {
            if self.k > 0 {
                self.product.a.row(i, &mut a);
            }
            for (&j, b) in columns.iter().zip(&gathered) {
                self.compare(c, (i, j), a.iter().zip(b).map(|(a, b)| a * b), n, worst);
            }
        }
        (columns.len() * m) as u64
    }

    /// Compares one element of C.
    pub(super) fn element(&self, c: &dyn Matrix, i: usize, j: usize, worst: &mut Worst) {
        let (a, b) = (self.product.a, self.product.b);
        self.compare(c, (i, j), (0..self.k).map(|p| a.at(i, p) * b.at(p, j)), c.shape().1, worst);
    }

    fn compare(
        &self,
        c: &dyn Matrix,
        (i, j): (usize, usize),
        terms: impl Iterator<Item = f64>,
        n: usize,
        worst: &mut Worst,
    ) {
        let (mut value, mut magnitude) = (0.0, 0.0);
        for term in terms {
            value += term;
            magnitude += term.abs();
        }
        let (value, magnitude) = self.finish(i, j, value, magnitude);
        worst.see(i * n + j, c.at(i, j), value, self.product.tolerance.element(magnitude));
    }

    fn finish(&self, i: usize, j: usize, value: f64, magnitude: f64) -> (f64, f64) {
        let Product { alpha, beta, .. } = *self.product;
        let old = self.product.old().map_or(0.0, |c0| c0.at(i, j));
        let scaled = if self.k == 0 { 0.0 } else { alpha * value };
        (scaled + beta * old, alpha.abs() * magnitude + beta.abs() * old.abs())
    }
}
