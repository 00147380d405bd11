//! Elements, rows and columns of αAB + βC₀ in f64, each with the magnitude |α|(|A||B|) + |β||C₀| that its bound grows
//! with.

use super::{Matrix, Product, Transposed};
use crate::compare::Worst;

/// A value and its magnitude.
type Element = (f64, f64);

/// Compares rows of C with the product; returns how many elements that were.
pub(super) fn rows(product: &Product<'_>, c: &dyn Matrix, rows: &[usize], worst: &mut Worst) -> u64 {
    let n = c.shape().1;
    let mut actual = vec![0.0; n];
    for (&i, expected) in rows.iter().zip(expected_rows(product, n, rows)) {
        c.row(i, &mut actual);
        for (j, (value, magnitude)) in expected.into_iter().enumerate() {
            worst.see(i * n + j, actual[j], value, product.tolerance.element(magnitude));
        }
    }
    (rows.len() * n) as u64
}

/// Compares columns of C with the product: rows of Cᵀ = αBᵀAᵀ + βC₀ᵀ. Returns how many elements that were.
pub(super) fn columns(product: &Product<'_>, c: &dyn Matrix, columns: &[usize], worst: &mut Worst) -> u64 {
    let (m, n) = c.shape();
    let (a, b) = (Transposed(product.b), Transposed(product.a));
    let old = product.old().map(Transposed);
    let c0 = old.as_ref().map(|c0| c0 as &dyn Matrix);
    let transposed = Product { a: &a, b: &b, c0, ..*product };
    for (&j, expected) in columns.iter().zip(expected_rows(&transposed, m, columns)) {
        for (i, (value, magnitude)) in expected.into_iter().enumerate() {
            worst.see(i * n + j, c.at(i, j), value, product.tolerance.element(magnitude));
        }
    }
    (columns.len() * m) as u64
}

/// Compares one element of C with the product.
pub(super) fn element(product: &Product<'_>, c: &dyn Matrix, i: usize, j: usize, worst: &mut Worst) {
    let mut sum = (0.0, 0.0);
    for p in 0..inner_len(product) {
        add(&mut sum, product.a.at(i, p), product.b.at(p, j));
    }
    let (value, magnitude) = finish(product, i, j, sum);
    worst.see(i * c.shape().1 + j, c.at(i, j), value, product.tolerance.element(magnitude));
}

/// Rows of the product, of `n` elements each, in one pass over B in memory order.
pub(super) fn expected_rows(product: &Product<'_>, n: usize, rows: &[usize]) -> Vec<Vec<Element>> {
    let k = inner_len(product);
    let row_of_a = |&i: &usize| (0..k).map(|p| product.a.at(i, p)).collect();
    let a: Vec<Vec<f64>> = rows.iter().map(row_of_a).collect();
    let mut sums = vec![vec![(0.0, 0.0); n]; rows.len()];
    if product.b.is_column_major() {
        let mut column = vec![0.0; k];
        for j in (0..n).filter(|_| k > 0) {
            product.b.column(j, &mut column);
            for (a, sums) in a.iter().zip(&mut sums) {
                sums[j] = dot(a, &column);
            }
        }
    } else {
        let mut row = vec![0.0; n];
        for p in 0..k {
            product.b.row(p, &mut row);
            for (a, sums) in a.iter().zip(&mut sums) {
                sums.iter_mut().zip(&row).for_each(|(sum, b)| add(sum, a[p], *b));
            }
        }
    }
    for (&i, sums) in rows.iter().zip(&mut sums) {
        sums.iter_mut().enumerate().for_each(|(j, sum)| *sum = finish(product, i, j, *sum));
    }
    sums
}

/// Length of the sums: with α = 0 there are none, and A and B are not read.
fn inner_len(product: &Product<'_>) -> usize {
    if product.alpha == 0.0 { 0 } else { product.a.shape().1 }
}

fn add((value, magnitude): &mut Element, a: f64, b: f64) {
    let term = a * b;
    *value += term;
    *magnitude += term.abs();
}

/// Four independent sums, so that an addition does not wait for the one before.
fn dot(a: &[f64], b: &[f64]) -> Element {
    let mut lanes = [(0.0, 0.0); 4];
    for (a, b) in a.chunks(4).zip(b.chunks(4)) {
        a.iter().zip(b).zip(&mut lanes).for_each(|((a, b), lane)| add(lane, *a, *b));
    }
    lanes.iter().fold((0.0, 0.0), |sum, lane| (sum.0 + lane.0, sum.1 + lane.1))
}

fn finish(product: &Product<'_>, i: usize, j: usize, (value, magnitude): Element) -> Element {
    let Product { alpha, beta, .. } = *product;
    let old = product.old().map_or(0.0, |c0| c0.at(i, j));
    (alpha * value + beta * old, alpha.abs() * magnitude + beta.abs() * old.abs())
}
