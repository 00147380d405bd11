//! Epilogues and batches against `gemm` on the processor, whose own tests compare it with f64.

use gemm::{Gemm, MatMut, MatRef};
use gemm_gpu::{Activation, Bias, Epilogue, GemmGpuError, Matrix, Operand, Operands, Product, Variant};
use proof::input::normal;

use crate::device;

const TILE: Variant = Variant::Tile { bk: 8, stages: 2 };

/// m x n numbers on the device.
fn upload(x: &[f32], rows: usize, cols: usize) -> Matrix {
    Matrix::upload(device().unwrap(), x, rows, cols).unwrap()
}

fn assert_near(what: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        let allowed = 1e-4 * expected.abs().max(1.0);
        assert!((got - expected).abs() <= allowed, "{what}: element {at} is {got}, not {expected}");
    }
}

#[test]
fn every_epilogue_is_that_of_the_processor() {
    let Some(gpu) = device() else { return };
    for (m, n, k) in [(5, 21, 40), (130, 133, 9), (128, 128, 16)] {
        let (a, b, c) = (normal(1, m * k), normal(2, k * n), normal(3, m * n));
        let (per_row, per_column) = (normal(4, m), normal(5, n));
        let [of_a, of_b, residual] = [(&a, m, k), (&b, k, n), (&c, m, n)].map(|(x, rows, cols)| upload(x, rows, cols));
        let biases = [upload(&per_row, 1, m), upload(&per_column, 1, n)];
        let functions = [Activation::Identity, Activation::Gelu, Activation::SquaredRelu, Activation::Tanh];
        for (number, activation) in functions.into_iter().enumerate() {
            let (alpha, has_residual) = ([1.0, 0.5, -2.0, 0.1][number], number % 2 == 1);
            for bias in [Bias::None, Bias::PerRow(&biases[0]), Bias::PerColumn(&biases[1])] {
                let what = format!("{m} x {n} x {k}, {activation:?}, {bias:?}");
                let epilogue = Epilogue { alpha, bias, activation, residual: has_residual.then_some(&residual) };
                let operands = Operands { a: &of_a, b: Operand::Rows(&of_b), c: None, batch: 1, epilogue };
                let product = Product::of(gpu, TILE, operands).unwrap();
                product.run().unwrap();

                let mut on_processor = gemm::Epilogue::new().activation(activation);
                match bias {
                    Bias::None => {}
                    Bias::PerRow(_) => on_processor = on_processor.bias_per_row(&per_row),
                    Bias::PerColumn(_) => on_processor = on_processor.bias_per_column(&per_column),
                }
                if has_residual {
                    on_processor = on_processor.residual(MatRef::from_row_major(&c, m, n).unwrap());
                }
                let mut expected = vec![0.0; m * n];
                let of = |x, rows, cols| MatRef::from_row_major(x, rows, cols).unwrap();
                let out = MatMut::from_row_major(&mut expected, m, n).unwrap();
                Gemm::new(of(&a, m, k), of(&b, k, n)).alpha(alpha).epilogue(on_processor).run(out).unwrap();
                assert_near(&what, &product.c().read(gpu).unwrap(), &expected);
                // What pads a row stays 0, whatever the bias.
                let words: Vec<f32> = gpu.read_as(product.c().buffer(), 0, product.c().buffer().bytes() / 4).unwrap();
                let padding = words.chunks_exact(product.c().ld()).flat_map(|row| &row[n..]);
                assert!(padding.copied().all(|x| x == 0.0), "{what}: the padding");
            }
        }
    }
}

#[test]
fn a_batch_is_as_many_products() {
    let Some(gpu) = device() else { return };
    for (batch, m, n, k, by_columns) in [(3, 5, 21, 40, false), (2, 130, 20, 9, true), (4, 128, 128, 16, false)] {
        let (a, b) = (normal(1, batch * m * k), normal(2, batch * k * n));
        let residual = normal(3, batch * m * n);
        let (rows, cols) = if by_columns { (n, k) } else { (k, n) };
        let of = |operand: &Matrix, of_a: &Matrix, residual: &Matrix, batch| {
            let b = if by_columns { Operand::Columns(operand) } else { Operand::Rows(operand) };
            let epilogue = Epilogue { residual: Some(residual), ..Epilogue::NONE };
            let product = Product::of(gpu, TILE, Operands { a: of_a, b, c: None, batch, epilogue }).unwrap();
            assert_eq!(product.steps().len(), 1);
            product.run().unwrap();
            product.c().read(gpu).unwrap()
        };
        let all =
            of(&upload(&b, batch * rows, cols), &upload(&a, batch * m, k), &upload(&residual, batch * m, n), batch);
        for item in 0..batch {
            let cut = |x: &[f32], rows: usize, cols: usize| upload(&x[item * rows * cols..][..rows * cols], rows, cols);
            let one = of(&cut(&b, rows, cols), &cut(&a, m, k), &cut(&residual, m, n), 1);
            assert!(all[item * m * n..][..m * n] == one, "product {item} of {batch}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(gpu) = device() else { return };
    let [a, b] = [(5, 8), (8, 6)].map(|(rows, cols)| upload(&normal(1, rows * cols), rows, cols));
    let columns = upload(&normal(1, 48), 6, 8);
    let short = upload(&normal(1, 4), 1, 4);
    let refused = |variant, b, batch, epilogue| {
        Product::of(gpu, variant, Operands { a: &a, b, c: None, batch, epilogue }).unwrap_err()
    };
    for bias in [Bias::PerRow(&short), Bias::PerColumn(&short)] {
        let error = refused(TILE, Operand::Rows(&b), 1, Epilogue { bias, ..Epilogue::NONE });
        assert!(matches!(error, GemmGpuError::Shape { got: 4, need: 5 | 6, .. }), "{error}");
    }
    let error = refused(TILE, Operand::Rows(&b), 1, Epilogue { residual: Some(&a), ..Epilogue::NONE });
    assert!(matches!(error, GemmGpuError::Shape { got: 40, need: 30, .. }), "{error}");
    for batch in [0, 2, 3] {
        let error = refused(TILE, Operand::Rows(&b), batch, Epilogue::NONE);
        assert!(matches!(error, GemmGpuError::Shape { .. }), "{batch}: {error}");
    }
    let gemv = Variant::Gemv { group: 64, rows: 1 };
    let activation = Activation::Tanh;
    let error = refused(gemv, Operand::Columns(&columns), 1, Epilogue { activation, ..Epilogue::NONE });
    assert!(matches!(error, GemmGpuError::Variant { reason: "only wgpu-tile has epilogues", .. }), "{error}");
}
