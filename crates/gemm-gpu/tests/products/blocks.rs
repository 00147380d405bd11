//! Products with weights in blocks: activations against their definition, products against f64.

use gemm_gpu::{
    Activations, BlockProduct, BlockVariant, Blocks, ElementType, Finish, GemmGpuError, Layout, Matrix, Rows,
};
use proof::{
    Tolerance,
    product::{View, row_major},
};
use quant::GgmlType::{self, Q4_0, Q4_K, Q5_K, Q6_K, Q8_0};

use crate::device;

/// Rounded numbers are codes times scales: each is within half a scale of the number, and the scale is right.
#[test]
fn activations_are_rounded_as_defined() {
    let Some(gpu) = device() else { return };
    for (ty, m, k) in [(Q4_K, 1, 256), (Q4_K, 3, 768), (Q8_0, 2, 512)] {
        let x = proof::input::normal(5, m * k);
        let activations = Activations::new(gpu, ty, &Matrix::upload(gpu, &x, m, k).unwrap()).unwrap();
        gpu.run(&activations.steps()).unwrap();
        let got = activations.read(gpu).unwrap();
        let expected = gemm::round_activations(gemm::Codes::Blocks(ty), k, &x);
        let mut different = 0;
        for (at, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let scale = x[at / 256 * 256..][..256].iter().fold(0.0_f32, |peak, x| peak.max(x.abs())) / 127.0;
            // A number halfway between two codes may go either way: division is not exact on every device.
            different += usize::from((got - expected).abs() > 1e-5 * expected.abs());
            assert!((got - x[at]).abs() <= 0.501 * scale, "{at}: {got} for {}", x[at]);
        }
        assert!(different <= got.len() / 1000, "{different} of {} differ", got.len());
    }
}

/// What the proof of a product compares with: the activations as the device rounded them, the weights as defined.
fn check(ty: GgmlType, layout: Layout, variant: BlockVariant, (m, n, k): (usize, usize, usize)) {
    let gpu = device().unwrap();
    let what = format!("{ty} {variant} {layout:?} {m} x {n} x {k}");
    let weights = proof::input::normal(2, n * k);
    let mut bytes = vec![0; n * ty.row_bytes(k).unwrap()];
    quant::quantize(ty, &weights, &mut bytes).unwrap();
    let mut b = vec![0.0; n * k];
    quant::dequantize(ty, &bytes, &mut b).unwrap();
    let x = Matrix::upload(gpu, &proof::input::normal(1, m * k), m, k).unwrap();
    let activations = Activations::new(gpu, ty, &x).unwrap();
    let blocks = Blocks::upload(gpu, ty, layout, &bytes, n, k).unwrap();
    let product = BlockProduct::new(gpu, variant, &activations, &blocks, None).unwrap();
    let steps = [activations.steps(), product.steps()].concat();
    gpu.run(&steps).unwrap();
    let c = product.c().read(gpu).unwrap();
    let a = activations.read(gpu).unwrap();
    let expected = proof::product::Product {
        alpha: 1.0,
        a: &row_major(&a, m, k, k),
        b: &View::new(k, n, |p, j| f64::from(b[j * k + p])).column_major(),
        beta: 0.0,
        c0: None,
        tolerance: Tolerance::gemm_f32(k),
    };
    expected.check_all(&row_major(&c, m, n, n)).unwrap_or_else(|error| panic!("{what}: {error}"));
}

#[test]
fn every_layout_and_variant() {
    let Some(_) = device() else { return };
    for layout in [Layout::Gguf, Layout::Packed] {
        for (at, variant) in BlockVariant::ALL.into_iter().enumerate() {
            // The first sees every shape, the others one each: a software adapter takes a second to compile a kernel.
            let shapes = [(1, 37, 768), (2, 9, 2560), (16, 17, 512), (1, 1, 256)];
            for shape in if at == 0 { &shapes[..] } else { &shapes[at % 4..][..1] } {
                check(Q4_K, layout, variant, *shape);
            }
        }
    }
}

#[test]
fn every_type() {
    let Some(gpu) = device() else { return };
    let (first, second) = (BlockVariant::ALL[0], BlockVariant::ALL[1]);
    check(Q5_K, Layout::Gguf, first, (1, 37, 768));
    check(Q5_K, Layout::Gguf, second, (2, 9, 2560));
    for ty in [Q6_K, Q8_0, Q4_0] {
        check(ty, Layout::Packed, first, (1, 37, 768));
        check(ty, Layout::Packed, second, (3, 9, 512));
    }
    // Rows that are no whole blocks of 256.
    check(Q8_0, Layout::Packed, first, (2, 5, 96));
    check(Q4_0, Layout::Packed, first, (1, 6, 288));
    let refused = Blocks::upload(gpu, Q6_K, Layout::Gguf, &[], 0, 256).unwrap_err();
    assert!(matches!(refused, GemmGpuError::Type { ty: Q6_K, .. }), "{refused}");
}

/// Some rows of the activations, fewer rows of C than it has, added to C or through a squared ReLU: the numbers are
/// those of a plain product.
#[test]
fn rows_are_taken_apart_and_sums_are_finished() {
    let Some(gpu) = device() else { return };
    let variant = BlockVariant::ALL[0];
    let (n, k, rows) = (9, 256, Rows { first: 1, step: 3 });
    for (ty, layout) in [(Q4_K, Layout::Packed), (Q5_K, Layout::Gguf), (Q6_K, Layout::Packed), (Q8_0, Layout::Packed)] {
        let mut bytes = vec![0; n * ty.row_bytes(k).unwrap()];
        quant::quantize(ty, &proof::input::normal(2, n * k), &mut bytes).unwrap();
        let blocks = Blocks::upload(gpu, ty, layout, &bytes, n, k).unwrap();
        let x = Matrix::upload(gpu, &proof::input::normal(1, 8 * k), 8, k).unwrap();
        let all = Activations::new(gpu, ty, &x).unwrap();
        let plain = BlockProduct::new(gpu, variant, &all, &blocks, None).unwrap();
        gpu.run(&[all.steps(), plain.steps()].concat()).unwrap();
        let plain = plain.c().read(gpu).unwrap();
        let start = proof::input::normal(3, 3 * n);
        for finish in [Finish::Store, Finish::Add, Finish::SquaredRelu] {
            let c = Matrix::upload(gpu, &start, 3, n).unwrap();
            let product = BlockProduct::of_rows(gpu, variant, (&all, rows), &blocks, &c, finish).unwrap();
            gpu.run(&[vec![all.first(5)], product.first(2)].concat()).unwrap();
            let found = c.read(gpu).unwrap();
            for (at, (found, start)) in found.iter().zip(&start).enumerate() {
                let sum = plain[(rows.first + at / n * rows.step) * n + at % n];
                let expected = match finish {
                    _ if at / n == 2 => *start,
                    Finish::Store => sum,
                    Finish::Add => start + sum,
                    Finish::SquaredRelu => sum.max(0.0).powi(2),
                };
                assert_eq!(*found, expected, "{ty} {finish:?} {at}");
            }
        }
        let c = Matrix::zeros(gpu, ElementType::F32, 4, n).unwrap();
        let beyond = BlockProduct::of_rows(gpu, variant, (&all, rows), &blocks, &c, Finish::Store).unwrap_err();
        assert!(matches!(beyond, GemmGpuError::Shape { what: "rows of A", got: 8, need: 11 }), "{beyond}");
    }
}
