//! The product as the definition says it, in f64: what every other kernel is measured against.

use machine::isa::Isa;

use crate::{
    choice::{Choice, Path},
    kernel::Shape,
    problem::Problem,
};

/// C <- alpha A B + beta C, each element summed in f64 in the order of k and rounded once.
pub(crate) fn product(problem: Problem<'_>) -> Choice {
    let Shape { m, n, k } = problem.shape();
    let scaling = problem.is_scaling();
    let Problem { alpha, a, b, beta, mut c } = problem;
    for i in 0..m {
        for j in 0..n {
            let term = |p| Some(f64::from(*a.get(i, p)?) * f64::from(*b.get(p, j)?));
            let sum: f64 = if scaling { 0.0 } else { (0..k).filter_map(term).sum() };
            if let Some(c) = c.get_mut(i, j) {
                let before = if beta == 0.0 { 0.0 } else { f64::from(beta) * f64::from(*c) };
                *c = (f64::from(alpha) * sum + before) as f32;
            }
        }
    }
    Choice { kernel: "reference", isa: Isa::Scalar, path: Path::Definition, tile: None, threads: 1 }
}
