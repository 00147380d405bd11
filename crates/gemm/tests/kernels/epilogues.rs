//! Bias, activation and residual: fused, they give the same as one after the other.

use gemm::{Activation, Case, Epilogue, Gemm, GemmError, MatMut, MatRef, Operands, Shape, kernels, paths};
use proof::input::normal;

use crate::check::{Lay, Trial, mat_mut};

const ACTIVATIONS: [Activation; 4] =
    [Activation::Identity, Activation::Gelu, Activation::SquaredRelu, Activation::Tanh];

/// A change of the argument by e changes the function by at most this many e.
fn slope(activation: Activation, largest: f32) -> f32 {
    match activation {
        Activation::Gelu => 1.13,
        Activation::SquaredRelu => 2.0 * largest,
        _ => 1.0,
    }
}

fn run(trial: &Trial, kernel: &dyn gemm::Kernel, epilogue: Epilogue<'_>) -> Vec<f32> {
    let Shape { m, n, .. } = trial.case.shape;
    let (a, b) = (trial.a.memory(), trial.b.memory());
    let lay = trial.c0.lay;
    let mut memory = vec![0.0; lay.strides(m, n).2];
    for at in 0..m * n {
        memory[lay.index(m, n, at / n, at % n)] = trial.c0.elements[at];
    }
    let c = mat_mut(&mut memory, m, n, lay);
    let operands = Operands { epilogue, ..Operands::new(trial.a.view(&a), trial.b.view(&b), c) };
    kernel.load(&trial.case, operands).unwrap().run();
    (0..m * n).map(|at| memory[lay.index(m, n, at / n, at % n)]).collect()
}

#[test]
fn every_kernel_fuses_as_the_definition_says() {
    for (shape @ (m, n, k), lays) in [
        ((13, 37, 21), [Lay::Rows(0); 3]),
        ((1, 70, 300), [Lay::Rows(0); 3]),
        ((70, 1, 300), [Lay::Rows(0); 3]),
        ((5, 130, 140), [Lay::Rows(0), Lay::Cols(0), Lay::Rows(1)]),
        ((130, 7, 140), [Lay::Rows(0), Lay::Rows(0), Lay::Cols(0)]),
        ((50, 100, 600), [Lay::Rows(0), Lay::Rows(0), Lay::Apart]),
        ((4, 5, 0), [Lay::Rows(0), Lay::Rows(0), Lay::Cols(0)]),
    ] {
        let (per_row, per_column, residual) = (normal(8, m), normal(9, n), normal(10, m * n));
        let residual = MatRef::from_col_major(&residual, m, n).unwrap();
        for activation in ACTIVATIONS {
            let epilogue = Epilogue::new().activation(activation).residual(residual);
            for (epilogue, beta) in [
                (epilogue.bias_per_column(&per_column), 0.0),
                (epilogue.bias_per_row(&per_row), 0.5),
                (Epilogue::new().activation(activation), 1.0),
            ] {
                let trial = Trial::new(shape, lays).factors(0.5, beta);
                let expected = run(&trial, kernels()[0].as_ref(), epilogue);
                for kernel in kernels().into_iter().chain(paths().into_iter().map(|(_, kernel)| kernel)) {
                    let c = run(&trial, kernel.as_ref(), epilogue);
                    // Sums of k terms of order 1 are right to some k units, and the activation to a few.
                    let tolerance = 1e-6 * (k as f32 + 8.0) * slope(activation, 4.0 * (k as f32).sqrt() + 4.0);
                    for (at, (c, expected)) in c.iter().zip(&expected).enumerate() {
                        let name = kernel.name();
                        let difference = (c - expected).abs();
                        assert!(difference <= tolerance, "{name} {shape:?} {activation:?} {at}: {c}, not {expected}");
                    }
                }
            }
        }
    }
}

/// The activation alone: the elements of this product are those of A.
fn function(kernel: &dyn gemm::Kernel, activation: Activation, x: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; x.len()];
    let shape = Shape { m: x.len(), n: 1, k: 1 };
    let case = Case::from(shape);
    let operands = Operands::new(MatRef::column(x), MatRef::column(&[1.0_f32]), MatMut::column(&mut out));
    let operands = Operands { epilogue: Epilogue::new().activation(activation), ..operands };
    kernel.load(&case, operands).unwrap().run();
    out
}

/// Units in the last place between two floats, the subnormal spacing at least.
fn ulps(got: f32, exact: f64) -> f64 {
    let magnitude = (exact.abs() as f32).max(f32::MIN_POSITIVE);
    let unit = f64::from(magnitude.next_up()) - f64::from(magnitude);
    (f64::from(got) - exact).abs() / unit
}

/// Over every 64th float: the reference computes in f64 and rounds once, so it is right to half a unit.
#[test]
fn activations_are_right_to_some_units_in_the_last_place() {
    let all: Vec<f32> = (0..u32::MAX).step_by(4099).map(f32::from_bits).filter(|x| x.is_finite()).collect();
    let near: Vec<f32> = (-60_000..60_000).map(|i| i as f32 / 4000.0).collect();
    for (activation, allowed) in [(Activation::Gelu, 4.0), (Activation::SquaredRelu, 1.5), (Activation::Tanh, 3.5)] {
        for x in [&all, &near] {
            let exact = function(kernels()[0].as_ref(), activation, x);
            for kernel in kernels() {
                let got = function(kernel.as_ref(), activation, x);
                for ((x, got), exact) in x.iter().zip(got).zip(&exact) {
                    let is_right = got == *exact || ulps(got, f64::from(*exact)) <= allowed;
                    let name = kernel.name();
                    assert!(is_right, "{name} {activation:?}({x:e}) = {got:e}, not {exact:e}");
                }
            }
        }
    }
}

#[test]
fn activations_of_what_is_not_finite() {
    let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0];
    for kernel in kernels() {
        let of = |activation| function(kernel.as_ref(), activation, &x);
        for activation in [Activation::Gelu, Activation::SquaredRelu, Activation::Tanh] {
            assert!(of(activation)[0].is_nan(), "{} {activation:?}", kernel.name());
        }
        assert_eq!(of(Activation::Gelu)[1..], [f32::INFINITY, 0.0, 0.0, 0.0], "{}", kernel.name());
        assert_eq!(of(Activation::SquaredRelu)[1..], [f32::INFINITY, 0.0, 0.0, 0.0], "{}", kernel.name());
        assert_eq!(of(Activation::Tanh)[1..], [1.0, -1.0, 0.0, 0.0], "{}", kernel.name());
    }
}

#[test]
fn epilogues_must_fit() {
    let (x, mut out) = ([1.0_f32; 6], [7.0_f32; 6]);
    let (a, b) = (MatRef::from_row_major(&x, 2, 1).unwrap(), MatRef::from_row_major(&x, 1, 3).unwrap());
    let mut refused = |epilogue| {
        let c = MatMut::from_row_major(&mut out, 2, 3).unwrap();
        Gemm::new(a, b).epilogue(epilogue).run(c).unwrap_err()
    };
    let residual = MatRef::from_row_major(&x, 3, 2).unwrap();
    assert_eq!(refused(Epilogue::new().bias_per_column(&x[..2])), GemmError::BiasLength { got: 2, need: 3 });
    assert_eq!(refused(Epilogue::new().bias_per_row(&x[..3])), GemmError::BiasLength { got: 3, need: 2 });
    assert_eq!(refused(Epilogue::new().residual(residual)), GemmError::ResidualShape { got: (3, 2), need: (2, 3) });
    assert_eq!(out, [7.0; 6]);
}
