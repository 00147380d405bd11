//! Rows of attention in f64, with the error that rounding explains.
//!
//! A row is O = Σ pⱼ Vⱼ / Σ pⱼ with pⱼ = e^(sⱼ − m), sⱼ = scale q·Kⱼ + termⱼ and m the largest of them. The tolerance
//! follows the rounding errors of a computation with f32 sums through these steps. Sums of n terms are allowed
//! λ √n units instead of the n of the worst case: errors of rounding behave as if they were independent (Higham and
//! Mary, SIAM J. Sci. Comput. 41, 2019), and a bound that grows with n would let a kernel lose a key among a thousand.

use std::ops::Range;

use simd::ElementType;

use crate::compare::{Checked, Mismatch, check};

/// λ above: at 8, an error beyond the tolerance by chance has a probability far below 10⁻¹⁰.
const LAMBDA: f64 = 8.0;

/// Half the machine epsilon of f32.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// One row of the output: a query and the keys that it sees.
pub struct Row<'a> {
    /// Elements of q and of each key.
    pub head_dim: usize,
    /// Elements of each row of V and of the output.
    pub value_dim: usize,
    /// Factor of q·K.
    pub scale: f64,
    /// Element of q.
    pub q: &'a dyn Fn(usize) -> f64,
    /// Element of K: key, then element.
    pub k: &'a dyn Fn(usize, usize) -> f64,
    /// Element of V: key, then element.
    pub v: &'a dyn Fn(usize, usize) -> f64,
    /// What is added to the score of a key.
    pub term: &'a dyn Fn(usize) -> f64,
    /// The keys that it sees.
    pub keys: Range<usize>,
    /// How the kernel rounds.
    pub rounding: Rounding,
}

/// Errors of what a kernel rounds besides its f32 arithmetic: 0 where it does not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rounding {
    /// Largest relative error of weights before they multiply V and are summed: the sum is that of the rounded ones.
    pub weight: f64,
    /// Largest relative error of the output as it is stored.
    pub output: f64,
    /// Largest absolute error of the output where it is too small for a relative one.
    pub smallest: f64,
}

impl Rounding {
    /// For an output that is stored as this type, rounded to nearest.
    pub fn of_output(element: ElementType) -> Self {
        let (output, smallest) = match element {
            ElementType::F32 => (0.0, 0.0),
            ElementType::F16 => (2.0_f64.powi(-11), 2.0_f64.powi(-25)),
            ElementType::Bf16 => (2.0_f64.powi(-8), 2.0_f64.powi(-134)),
        };
        Self { output, smallest, ..Self::default() }
    }
}

/// A row and what a kernel may differ from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exact {
    /// The row of O; 0 where no key has a weight.
    pub out: Vec<f64>,
    /// Largest error of each element.
    pub tolerance: Vec<f64>,
    /// The logarithm of the sum of e^s; minus infinity where no key has a weight.
    pub lse: f64,
    /// Largest error of that.
    pub lse_tolerance: f64,
}

impl Row<'_> {
    /// The row, summed in f64.
    pub fn exact(&self) -> Exact {
        let mut magnitude = 0.0_f64;
        let mut scores = Vec::with_capacity(self.keys.len());
        for key in self.keys.clone() {
            let products = (0..self.head_dim).map(|d| (self.q)(d) * (self.k)(key, d));
            let (sum, absolute) = products.fold((0.0, 0.0), |(sum, absolute), x: f64| (sum + x, absolute + x.abs()));
            let term = (self.term)(key);
            scores.push(self.scale * sum + term);
            if term > f64::NEG_INFINITY {
                magnitude = magnitude.max((self.scale * absolute).abs() + term.abs());
            }
        }
        let max = scores.iter().copied().fold(f64::MIN, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - max).exp()).collect();
        let sum: f64 = weights.iter().sum();
        // Of a score: the products and their sum, the scale, the term, the subtraction of the largest score.
        let score = root(self.head_dim + 8) * 2.0 * magnitude;
        let (weight, sums) = ((2.0 * score).exp_m1(), root(self.keys.len() + 32));
        let mut exact = Exact { out: Vec::new(), tolerance: Vec::new(), lse: f64::NEG_INFINITY, lse_tolerance: 0.0 };
        if sum > 0.0 {
            exact.lse = max + sum.ln();
            // Weights that are equal are rounded alike.
            exact.lse_tolerance = score + 1.01 * self.rounding.weight + sums;
            exact.lse_tolerance += 4.0 * UNIT * (exact.lse.abs() + max.abs());
        }
        for d in 0..self.value_dim {
            let terms = self.keys.clone().zip(&weights).map(|(key, weight)| weight * (self.v)(key, d));
            let (dot, absolute) = terms.fold((0.0, 0.0), |(dot, absolute), x: f64| (dot + x, absolute + x.abs()));
            let (dot, absolute) = if sum == 0.0 { (0.0, 0.0) } else { (dot / sum, absolute / sum) };
            exact.out.push(dot);
            // However wrong the weights, they are not negative: O stays among the elements of V. With huge scores this
            // bounds what the first term does not.
            let farthest = self.keys.clone().map(|key| ((self.v)(key, d) - dot).abs()).fold(0.0, f64::max);
            let weights_error = weight * absolute + self.weight_tolerance(dot, d, &weights);
            let error = weights_error.min(farthest) + sums * absolute;
            let rounded = (self.rounding.output + UNIT) * (dot.abs() + error) + self.rounding.smallest;
            exact.tolerance.push(error + rounded + f64::from(f32::from_bits(4)));
        }
        exact
    }

    /// What rounding of weights adds to the error of an element `out`: with relative errors δⱼ up to w, it is
    /// Σ pⱼ δⱼ (Vⱼ − O) / Σ pⱼ (1 + δⱼ). Errors are taken as independent, up to the worst case.
    fn weight_tolerance(&self, out: f64, d: usize, weights: &[f64]) -> f64 {
        let error = 1.01 * self.rounding.weight;
        let sum: f64 = weights.iter().sum();
        if error == 0.0 || sum == 0.0 {
            return 0.0;
        }
        let parts = self.keys.clone().zip(weights).map(|(key, weight)| weight / sum * ((self.v)(key, d) - out).abs());
        let (worst, squares) = parts.fold((0.0, 0.0), |(worst, squares), x: f64| (worst + x, squares + x * x));
        error * worst.min(LAMBDA * squares.sqrt())
    }
}

/// λ √n units.
fn root(n: usize) -> f64 {
    LAMBDA * (n as f64).sqrt() * UNIT
}

/// Compares rows of a kernel's output with exact ones, one after the other.
///
/// # Errors
/// [`Mismatch::Shape`] for rows of different length, [`Mismatch::Value`] with the worst element of all, counted through
/// the rows.
pub fn check_rows(actual: &[f32], rows: &[Exact]) -> Result<Checked, Mismatch> {
    let expected: Vec<f64> = rows.iter().flat_map(|row| row.out.iter().copied()).collect();
    let tolerance: Vec<f64> = rows.iter().flat_map(|row| row.tolerance.iter().copied()).collect();
    check(actual, &expected, |i| tolerance[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(keys: Range<usize>, term: &dyn Fn(usize) -> f64) -> Exact {
        let k = |key: usize, d: usize| if (key + d).is_multiple_of(2) { 1.0 } else { 0.5 };
        let v = |key: usize, d: usize| (10 * key + d) as f64;
        let rounding = Rounding::default();
        Row { head_dim: 2, value_dim: 3, scale: 2.0, q: &|_| 1.0, k: &k, v: &v, term, keys, rounding }.exact()
    }

    #[test]
    fn a_row_is_that_of_the_definition() {
        // All scores are 2 (1 + 0.5): equal weights.
        let even = exact(0..2, &|_| 0.0);
        assert_eq!(even.out, [5.0, 6.0, 7.0]);
        assert!((even.lse - (3.0 + 2.0_f64.ln())).abs() < 1e-15);
        // The second weighs three times as much.
        let odd = exact(0..2, &|key| if key == 1 { 3.0_f64.ln() } else { 0.0 });
        assert!(odd.out.iter().zip([7.5, 8.5, 9.5]).all(|(x, y)| (x - y).abs() < 1e-12), "{odd:?}");
        assert!(odd.tolerance.iter().all(|&t| t > 1e-6 && t < 1e-3), "{odd:?}");
    }

    #[test]
    fn a_row_without_weights_is_0() {
        for none in [exact(5..5, &|_| 0.0), exact(0..2, &|_| f64::NEG_INFINITY)] {
            assert_eq!((none.out, none.lse, none.lse_tolerance), (vec![0.0; 3], f64::NEG_INFINITY, 0.0));
        }
        assert!(exact(0..2, &|_| f64::NAN).out[0].is_nan());
    }

    /// Scores whose rounding error exceeds 1 still leave O among the elements of V.
    #[test]
    fn huge_scores_do_not_excuse_everything() {
        let of = |scale: f64| {
            let (k, v) = (|_: usize, _: usize| 1.0, |key: usize, _: usize| key as f64);
            let rounding = Rounding::default();
            let row = Row {
                head_dim: 2,
                value_dim: 1,
                scale,
                q: &|_| 1.0,
                k: &k,
                v: &v,
                term: &|_| 0.0,
                keys: 1..6,
                rounding,
            };
            row.exact()
        };
        let (huge, small) = (of(1e30), of(1.0));
        assert_eq!((&huge.out, &small.out), (&vec![3.0], &vec![3.0]));
        assert!(huge.tolerance[0] < 2.001 && small.tolerance[0] < 1e-4, "{huge:?} {small:?}");
        for wrong in [0.5, 5.5, f32::NAN, f32::INFINITY] {
            assert!(check_rows(&[wrong], std::slice::from_ref(&huge)).is_err(), "{wrong}");
        }
    }

    /// An output that is cut off instead of rounded.
    #[test]
    fn wrong_rounding_is_found() {
        for (element, bits, smallest) in [(ElementType::F16, 11, -24), (ElementType::Bf16, 8, -133)] {
            let unit = 2.0_f64.powi(1 - bits);
            let rounding = Rounding::of_output(element);
            for (value, is_right) in [(1.0 + 0.49 * unit, true), (1.0 + 0.55 * unit, false)] {
                let row = Row {
                    head_dim: 0,
                    value_dim: 1,
                    scale: 1.0,
                    q: &|_| 0.0,
                    k: &|_, _| 0.0,
                    v: &|_, _| value,
                    term: &|_| 0.0,
                    keys: 0..1,
                    rounding,
                };
                assert_eq!(check_rows(&[1.0], &[row.exact()]).is_ok(), is_right, "{element} {value}");
                let tiny = |_: usize, _: usize| (value - 1.0) / unit * 2.0_f64.powi(smallest);
                let row = Row { v: &tiny, ..row };
                assert_eq!(check_rows(&[0.0], &[row.exact()]).is_ok(), is_right, "{element}, tiny");
            }
        }
    }

    /// Weights 1 and 3 of rows 0 and 1, which are 10 apart, with errors of 1 % in opposite directions.
    #[test]
    fn rounded_weights_are_allowed_what_they_explain() {
        let term = |key: usize| if key == 1 { 3.0_f64.ln() } else { 0.0 };
        let rounding = Rounding { weight: 0.01, ..Rounding::default() };
        let (k, v) = (|_: usize, _: usize| 1.0, |key: usize, d: usize| (10 * key + d) as f64);
        let row =
            Row { head_dim: 2, value_dim: 1, scale: 1.0, q: &|_| 1.0, k: &k, v: &v, term: &term, keys: 0..2, rounding };
        let exact = row.exact();
        let error = 10.0 * 3.03 / (0.99 + 3.03) - 7.5;
        assert!((0.9 * exact.tolerance[0]..exact.tolerance[0]).contains(&error), "{error}, {exact:?}");
        assert!((0.01..0.011).contains(&exact.lse_tolerance), "{exact:?}");
        // One key alone: its weight cancels.
        let alone = Row { keys: 1..2, ..row }.exact();
        assert!(alone.tolerance[0] < 1e-3, "{alone:?}");
    }

    #[test]
    fn wrong_rows_are_found() {
        let rows = [exact(0..4, &|_| 0.0), exact(2..9, &|key| key as f64 / 4.0)];
        let right: Vec<f32> = rows.iter().flat_map(|row| row.out.iter().map(|&x| x as f32)).collect();
        check_rows(&right, &rows).unwrap();
        for (at, factor) in [(0, 1.0 + 1e-4), (5, 1.0 - 1e-4), (3, f32::NAN)] {
            let mut wrong = right.clone();
            wrong[at] *= factor;
            assert!(check_rows(&wrong, &rows).is_err(), "element {at}, {factor}");
        }
        // One key of seven left out.
        let lost = exact(2..8, &|key| key as f64 / 4.0);
        let wrong: Vec<f32> = rows[0].out.iter().chain(&lost.out).map(|&x| x as f32).collect();
        assert!(check_rows(&wrong, &rows).is_err());
        assert!(matches!(check_rows(&right[1..], &rows), Err(Mismatch::Shape { .. })));
    }
}
