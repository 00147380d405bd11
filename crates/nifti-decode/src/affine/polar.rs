//! The rotation nearest to a 3 x 3 matrix.
//!
//! A = U S Vt; the orthogonal factor is U Vt over the singular values that are not 0. One-sided Jacobi rotates pairs of
//! columns until all are orthogonal: A V = U S. It keeps small singular values apart from 0, which squaring A would
//! not.

/// Rows of a matrix.
pub(super) type Matrix = [[f64; 3]; 3];

/// U Vt of `a`, over the singular values above 3 eps times the largest.
pub(super) fn orthogonal_factor(a: &Matrix) -> Matrix {
    let mut u = *a;
    let mut v = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for _ in 0..60 {
        let mut is_done = true;
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            let dot = |i: usize, j: usize, u: &Matrix| u.iter().map(|row| row[i] * row[j]).sum::<f64>();
            let (alpha, beta, gamma) = (dot(p, p, &u), dot(q, q, &u), dot(p, q, &u));
            if gamma.abs() <= f64::EPSILON * (alpha * beta).sqrt() {
                continue;
            }
            is_done = false;
            let zeta = (beta - alpha) / (2.0 * gamma);
            let sign = if zeta < 0.0 { -1.0 } else { 1.0 };
            let t = sign / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
            let c = 1.0 / (1.0 + t * t).sqrt();
            let s = c * t;
            for row in u.iter_mut().chain(&mut v) {
                (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
            }
        }
        if is_done {
            break;
        }
    }
    let values = [0, 1, 2].map(|k| u.iter().map(|row| row[k] * row[k]).sum::<f64>().sqrt());
    let least = values.iter().fold(0.0_f64, |a, &b| a.max(b)) * 3.0 * f64::EPSILON;
    let mut factor = [[0.0; 3]; 3];
    for k in (0..3).filter(|&k| values[k] > least) {
        for i in 0..3 {
            for j in 0..3 {
                factor[i][j] += u[i][k] / values[k] * v[j][k];
            }
        }
    }
    factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_stay_and_shears_go() {
        let (s, c) = 0.4_f64.sin_cos();
        let rotation = [[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]];
        let scaled = rotation.map(|[x, y, z]| [2.0 * x, 2.0 * y, 2.0 * z]);
        for (row, want) in orthogonal_factor(&scaled).iter().zip(&rotation) {
            for (got, want) in row.iter().zip(want) {
                assert!((got - want).abs() < 1e-14);
            }
        }
        let sheared = [[1.0, 0.3, 0.0], [0.0, 1.0, -0.2], [0.1, 0.0, 1.0]];
        let q = orthogonal_factor(&sheared);
        for i in 0..3 {
            for j in 0..3 {
                let dot: f64 = (0..3).map(|k| q[k][i] * q[k][j]).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn a_column_of_zeros_is_dropped() {
        let q = orthogonal_factor(&[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]);
        assert_eq!(q, [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]);
    }
}
