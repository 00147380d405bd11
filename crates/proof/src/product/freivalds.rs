//! A matrix times eight vectors of ±1 at once, in one pass over the matrix in memory order.

use super::Matrix;
use crate::input::Random;

/// Vectors carried together.
pub(super) const VECTORS: usize = 8;

/// One number per vector.
pub(super) type Lanes = [f64; VECTORS];

/// `n` entries of each vector.
pub(super) fn signs(n: usize, random: &mut Random) -> Vec<Lanes> {
    let entry = |bits: u64| std::array::from_fn(|v| if bits >> v & 1 == 0 { 1.0 } else { -1.0 });
    (0..n).map(|_| entry(random.bits())).collect()
}

/// The results of one pass over a matrix.
pub(super) struct Pass {
    /// One row of the matrix times each vector.
    pub(super) sums: Vec<Lanes>,
    /// Sum of the squares of each row.
    pub(super) squares: Vec<f64>,
}

/// `matrix` times `vectors`.
pub(super) fn pass(matrix: &dyn Matrix, vectors: &[Lanes]) -> Pass {
    let (rows, columns) = matrix.shape();
    let (mut sums, mut squares) = (vec![[0.0; VECTORS]; rows], vec![0.0; rows]);
    if matrix.is_column_major() {
        let mut column = vec![0.0; rows];
        for (j, lanes) in vectors.iter().enumerate() {
            matrix.column(j, &mut column);
            for ((sum, square), value) in sums.iter_mut().zip(&mut squares).zip(&column) {
                add(sum, *value, lanes);
                *square += value * value;
            }
        }
    } else {
        let mut row = vec![0.0; columns];
        for (i, (sum, square)) in sums.iter_mut().zip(&mut squares).enumerate() {
            matrix.row(i, &mut row);
            row.iter().zip(vectors).for_each(|(value, lanes)| add(sum, *value, lanes));
            *square = row.iter().map(|value| value * value).sum();
        }
    }
    Pass { sums, squares }
}

/// Frobenius norm.
pub(super) fn norm(matrix: &dyn Matrix) -> f64 {
    let (rows, columns) = matrix.shape();
    let mut square = 0.0;
    if matrix.is_column_major() {
        let mut column = vec![0.0; rows];
        for j in 0..columns {
            matrix.column(j, &mut column);
            square += column.iter().map(|value| value * value).sum::<f64>();
        }
    } else {
        let mut row = vec![0.0; columns];
        for i in 0..rows {
            matrix.row(i, &mut row);
            square += row.iter().map(|value| value * value).sum::<f64>();
        }
    }
    square.sqrt()
}

/// `sum` += `factor` · `lanes`.
pub(super) fn add(sum: &mut Lanes, factor: f64, lanes: &Lanes) {
    for (sum, lane) in sum.iter_mut().zip(lanes) {
        *sum += factor * lane;
    }
}
