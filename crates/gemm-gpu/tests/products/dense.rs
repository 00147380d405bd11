//! Dense products of odd and even shapes, by every variant that the device has.

use gemm_gpu::{ElementType, Matrix, Operand, Product, Variant};
use half::{bf16, f16};
use proof::{Tolerance, product::row_major};

use crate::device;

/// Rounded to the type, as f32.
fn rounded(ty: ElementType, x: &[f32]) -> Vec<f32> {
    let round = |x: &f32| match ty {
        ElementType::F32 => *x,
        ElementType::F16 => f16::from_f32(*x).to_f32(),
        ElementType::Bf16 => bf16::from_f32(*x).to_f32(),
    };
    x.iter().map(round).collect()
}

fn upload(ty: ElementType, x: &[f32], rows: usize, cols: usize) -> Matrix {
    let gpu = device().unwrap();
    let matrix = match ty {
        ElementType::F32 => Matrix::upload(gpu, x, rows, cols),
        ElementType::F16 => Matrix::upload(gpu, &x.iter().map(|x| f16::from_f32(*x)).collect::<Vec<_>>(), rows, cols),
        ElementType::Bf16 => Matrix::upload(gpu, &x.iter().map(|x| bf16::from_f32(*x)).collect::<Vec<_>>(), rows, cols),
    };
    matrix.unwrap()
}

/// Runs a product and compares every element with one in f64.
fn check(variant: Variant, ty: ElementType, (m, n, k): (usize, usize, usize), by_columns: bool) {
    let gpu = device().unwrap();
    let what = format!("{variant} {} {m} x {n} x {k}, by columns {by_columns}", ty.name());
    let a = rounded(ty, &proof::input::normal(1, m * k));
    let b = rounded(ty, &proof::input::normal(2, k * n));
    let of_b = if by_columns {
        let columns: Vec<f32> = (0..n).flat_map(|j| (0..k).map(move |p| (p, j))).map(|(p, j)| b[p * n + j]).collect();
        upload(ty, &columns, n, k)
    } else {
        upload(ty, &b, k, n)
    };
    let operand = if by_columns { Operand::Columns(&of_b) } else { Operand::Rows(&of_b) };
    let product = Product::new(gpu, variant, &upload(ty, &a, m, k), operand, None).unwrap();
    product.run().unwrap();
    let c = product.c().read(gpu).unwrap();
    let expected = proof::product::Product {
        alpha: 1.0,
        a: &row_major(&a, m, k, k),
        b: &row_major(&b, k, n, n),
        beta: 0.0,
        c0: None,
        tolerance: Tolerance::gemm_f32(k),
    };
    expected.check_all(&row_major(&c, m, n, n)).unwrap_or_else(|error| panic!("{what}: {error}"));
}

const SHAPES: [(usize, usize, usize); 9] = [
    (1, 1, 1),
    (1, 5, 70),
    (3, 17, 33),
    (16, 130, 100),
    (128, 128, 32),
    (130, 70, 19),
    (129, 260, 40),
    (0, 3, 4),
    (2, 3, 0),
];

#[test]
fn every_variant_computes_every_shape_or_says_why_not() {
    let Some(gpu) = device() else { return };
    let mut ran = 0;
    for variant in Variant::ALL {
        for ty in [ElementType::F32, ElementType::F16, ElementType::Bf16] {
            for by_columns in [false, true] {
                for shape in SHAPES {
                    // Software adapters take long to compile, not to run: GEMV is compiled for its number of rows.
                    let is_odd_one = matches!(variant, Variant::Gemv { .. }) && ![1, 3, 0].contains(&shape.0);
                    if is_odd_one {
                        continue;
                    }
                    if variant.missing(gpu.capabilities(), ty, shape.0, by_columns).is_none() {
                        check(variant, ty, shape, by_columns);
                        ran += 1;
                    }
                }
            }
        }
    }
    assert!(ran > 200, "{ran}");
}

/// Long enough rows for the loop of whole rounds in `gemv.wgsl`.
#[test]
fn long_rows() {
    let Some(_) = device() else { return };
    for variant in Variant::ALL.into_iter().filter(|variant| matches!(variant, Variant::Gemv { .. })) {
        for (ty, m) in [(ElementType::F32, 1), (ElementType::F16, 2), (ElementType::Bf16, 1)] {
            check(variant, ty, (m, 7, 8195), true);
        }
    }
}
