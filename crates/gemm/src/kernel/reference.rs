//! The product as it is defined, in f64: what every other kernel is checked against.

use quant::{GgmlType, QK_K};
use simd::{Isa, math::reference};

use crate::{
    choice::{Choice, Path},
    epilogue::{Activation, Bias},
    matrix::Input,
    problem::Problem,
    shape::Shape,
    weights::{QMatRef, Source},
};

use super::cpu::Codes;

/// C <- act(alpha A B + beta C + bias) + residual, each element summed in f64 in the order of k and rounded once, or
/// twice where C is stored as 16 bits. For weights of codes, A is rounded first.
pub(crate) fn product(problem: Problem<'_>) -> Choice {
    let Shape { m, n, k } = problem.shape();
    let scaling = problem.is_scaling();
    let Problem { alpha, a, b, beta, mut c, epilogue } = problem;
    let residual = epilogue.residual_matrix();
    let codes = match b.0 {
        Source::Blocks(b) if !scaling && m > 0 && n > 0 => Some((rounded(a, Codes::Blocks(b.ggml_type())), floats(b))),
        Source::Int8(b) if !scaling && m > 0 && n > 0 => {
            Some((rounded(a, Codes::Int8), (0..n).flat_map(|j| (0..k).filter_map(move |p| b.get(p, j))).collect()))
        }
        _ => None,
    };
    // With n = 0, m may be any number.
    for i in 0..if n == 0 { 0 } else { m } {
        for j in 0..n {
            let term = |p| match &codes {
                None => Some(f64::from(a.get(i, p)?) * f64::from(b.get(p, j)?)),
                Some((a, b)) => Some(f64::from(a[i * k + p]) * f64::from(b[j * k + p])),
            };
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

/// What a product with weights of codes multiplies: the rows of A, rounded to 8 bits.
fn rounded(a: Input<'_>, codes: Codes) -> Vec<f32> {
    let numbers: Vec<f32> = (0..a.rows()).flat_map(|i| (0..a.cols()).filter_map(move |p| a.get(i, p))).collect();
    round_activations(codes, a.cols(), &numbers)
}

/// The numbers that a product with weights of codes multiplies instead of `x`, rows of `k` numbers of A: what checks of
/// such products compare with. Types with blocks of 256 numbers have one scale for so many and the codes of Q8_K, other
/// types one for 32, and integer weights one for a row.
pub fn round_activations(codes: Codes, k: usize, x: &[f32]) -> Vec<f32> {
    let mut rounded = vec![0.0; x.len()];
    let together = match codes {
        Codes::Blocks(ty) if ty.block_len() == QK_K => {
            let mut bytes = vec![0; x.len() / QK_K * GgmlType::Q8_K.block_bytes()];
            // Nothing fails: these are whole blocks.
            let _ = quant::quantize(GgmlType::Q8_K, x, &mut bytes);
            let _ = quant::dequantize(GgmlType::Q8_K, &bytes, &mut rounded);
            return rounded;
        }
        Codes::Blocks(_) => 32,
        Codes::Int8 => k.max(1),
    };
    for (x, rounded) in x.chunks(together).zip(rounded.chunks_mut(together)) {
        let largest = x.iter().fold(0.0, |largest: f32, x| if x.is_nan() { f32::NAN } else { largest.max(x.abs()) });
        let (inverse, scale) = (127.0 / largest, largest / 127.0);
        for (x, rounded) in x.iter().zip(rounded) {
            *rounded = match (largest.is_finite(), inverse.is_finite()) {
                (false, _) => f32::NAN,
                (true, true) => (inverse * x).round_ties_even() * scale,
                (true, false) => 0.0,
            };
        }
    }
    rounded
}

/// The weights, row by row.
fn floats(b: QMatRef<'_>) -> Vec<f32> {
    let mut floats = vec![0.0; b.rows() * b.cols()];
    // Nothing fails: the bytes are those of as many numbers.
    let _ = quant::dequantize(b.ggml_type(), b.as_bytes(), &mut floats);
    floats
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
