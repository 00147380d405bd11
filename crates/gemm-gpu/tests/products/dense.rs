//! Dense products of odd and even shapes, by every variant that the device has.

use gemm_gpu::{ElementType, Matrix, Operand, Product, Variant};
use gpu::{Choice, Wgpu};
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
    for (at, variant) in Variant::ALL.into_iter().enumerate() {
        // Software adapters take a second to compile a kernel: only the first of each kind sees every type and shape.
        let is_first = at == 0 || Variant::ALL[at - 1].kernel() != variant.kernel();
        let types = [ElementType::F32, ElementType::F16, ElementType::Bf16];
        for ty in if is_first { &types[..] } else { &types[at % 3..][..1] } {
            for by_columns in [false, true] {
                for (number, shape) in SHAPES.into_iter().enumerate() {
                    let is_chosen = is_first || number % 3 == at % 3;
                    if is_chosen && variant.missing(gpu.capabilities(), *ty, shape.0, by_columns).is_none() {
                        check(variant, *ty, shape, by_columns);
                        ran += 1;
                    }
                }
            }
        }
    }
    assert!(ran > 90, "{ran}");
}

/// The sums of a kernel have one order, so every run gives the same bits.
#[test]
fn a_thousand_runs_give_the_same_bits() {
    let Some(gpu) = device() else { return };
    let (m, n, k) = (3, 20, 70);
    let a = upload(ElementType::F32, &proof::input::normal(1, m * k), m, k);
    let b = upload(ElementType::F32, &proof::input::normal(2, n * k), n, k);
    for variant in [Variant::Tile { bk: 8, stages: 2 }, Variant::Gemv { group: 128, rows: 2 }] {
        let product = Product::new(gpu, variant, &a, Operand::Columns(&b), None).unwrap();
        product.run().unwrap();
        let first = product.c().read(gpu).unwrap();
        for _ in 0..10 {
            product.time(100).unwrap();
            let again = product.c().read(gpu).unwrap();
            assert!(first.iter().zip(&again).all(|(x, y)| x.to_bits() == y.to_bits()), "{variant}");
        }
    }
}

/// Nothing beside the rows of C is written: what stands in front of and behind them survives, and so does the padding's
/// memory beyond the last fragment.
#[test]
fn guards_around_c_survive() {
    let Some(gpu) = device() else { return };
    let (m, n, k) = (5, 21, 40);
    let a = upload(ElementType::F32, &proof::input::normal(1, m * k), m, k);
    let b = upload(ElementType::F32, &proof::input::normal(2, n * k), n, k);
    for variant in [Variant::Tile { bk: 8, stages: 2 }, Variant::Gemv { group: 64, rows: 4 }] {
        let c = Matrix::zeros(gpu, ElementType::F32, m, n).unwrap();
        let words = c.buffer().bytes() as usize / 4;
        let guards: Vec<u32> = (0..words as u32).map(|i| 0x7fc6_0000 | i).collect();
        gpu.write(c.buffer(), 0, bytemuck::cast_slice(&guards)).unwrap();
        Product::new(gpu, variant, &a, Operand::Columns(&b), Some(&c)).unwrap().run().unwrap();
        let after: Vec<u32> = gpu.read_as(c.buffer(), 0, words as u64).unwrap();
        for (at, (after, guard)) in after.iter().zip(&guards).enumerate() {
            let (i, j) = (at / c.ld(), at % c.ld());
            if i < m && j < n {
                assert_ne!(after, guard, "{variant}: ({i}, {j}) was not written");
            } else if i >= m {
                assert_eq!(after, guard, "{variant}: word {at} beyond C was written");
            }
        }
    }
}

/// What one product asks of the device, exactly.
#[test]
fn a_product_is_one_dispatch_without_a_readback() {
    let Some(shared) = device() else { return };
    let gpu = Wgpu::open(&Choice::Named(shared.identity().name.clone())).unwrap();
    let x: Vec<f32> = proof::input::normal(1, 32 * 32);
    let a = Matrix::upload(&gpu, &x, 32, 32).unwrap();
    let product = |of: &Matrix| {
        let variant = Variant::Gemv { group: 64, rows: 2 };
        Product::new(&gpu, variant, of, Operand::Columns(&a), None).unwrap()
    };
    let few = Matrix::upload(&gpu, &x[..64], 2, 32).unwrap();
    let before = gpu.counts();
    let (first, second) = (product(&few), product(&few));
    let made = gpu.counts().since(&before);
    assert_eq!((made.pipelines, made.bind_groups, made.buffers, made.dispatches), (1, 2, 4, 0));
    let before = gpu.counts();
    gpu.run(&[first.steps(), second.steps()].concat()).unwrap();
    let ran = gpu.counts().since(&before);
    assert_eq!((ran.dispatches, ran.barriers, ran.passes, ran.submissions), (2, 0, 1, 1));
    assert_eq!((ran.uploaded_bytes, ran.read_bytes, ran.buffers), (0, 0, 0));
    // C is 2 rows of 32, padded to 16.
    assert_eq!(first.c().buffer().bytes(), 16 * 32 * 4);
}

/// More workgroups than one axis of a grid has.
#[test]
fn more_rows_than_an_axis_of_the_grid() {
    let Some(_) = device() else { return };
    check(Variant::Gemv { group: 32, rows: 1 }, ElementType::F16, (1, 65_536 + 3, 8), true);
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
