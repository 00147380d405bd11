//! The product as it is defined, in f64: what every other kernel is checked against.

use simd::{Isa, math::reference};

use crate::{
    choice::{Choice, Path},
    epilogue::{Activation, Bias},
    problem::Problem,
    shape::Shape,
};

/// C <- act(alpha A B + beta C + bias) + residual, each element summed in f64 in the order of k and rounded once, or
/// twice where C is stored as 16 bits.
pub(crate) fn product(problem: Problem<'_>) -> Choice {
    let Shape { m, n, k } = problem.shape();
    let scaling = problem.is_scaling();
    let Problem { alpha, a, b, beta, mut c, epilogue } = problem;
    let residual = epilogue.residual_matrix();
    // With n = 0, m may be any number.
    for i in 0..if n == 0 { 0 } else { m } {
        for j in 0..n {
            let term = |p| Some(f64::from(a.get(i, p)?) * f64::from(b.get(p, j)?));
            let sum: f64 = if scaling { 0.0 } else { f64::from(alpha) * (0..k).filter_map(term).sum::<f64>() };
            let before =
                if beta == 0.0 { 0.0 } else { f64::from(beta) * f64::from(c.as_input().get(i, j).unwrap_or(0.0)) };
            let bias = match epilogue.bias {
                None => 0.0,
                Some(Bias::PerRow(bias)) => f64::from(bias[i]),
                Some(Bias::PerColumn(bias)) => f64::from(bias[j]),
            };
            let residual = residual.and_then(|residual| residual.get(i, j)).map_or(0.0, f64::from);
            c.set(i, j, (activation(epilogue.activation, sum + before + bias) + residual) as f32);
        }
    }
    Choice {
        kernel: "reference",
        isa: Isa::Scalar,
        path: Path::Definition,
        transposed: false,
        tile: None,
        threads: 1,
        grid: [1, 1],
    }
}

/// The activation in f64.
fn activation(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Gelu => reference::gelu(x),
        Activation::SquaredRelu => reference::squared_relu(x),
        Activation::Tanh => x.tanh(),
    }
}
