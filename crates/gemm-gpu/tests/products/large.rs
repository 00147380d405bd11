//! Operands larger than a binding are computed in parts, with the same bits as by themselves.

use gemm_gpu::{
    Activations, Bias, BlockProduct, BlockVariant, Blocks, Epilogue, GemmGpuError, Layout, Matrix, Operand, Operands,
    Product, Variant,
};
use gpu::Wgpu;
use proof::input::normal;
use quant::GgmlType::{Q4_K, Q8_0};

use crate::device;

/// Devices with bindings above this have too much memory in one for a test.
const MOST: u64 = 1 << 28;

/// Says so even where the test harness hides what a test that passes prints.
fn small_bindings() -> Option<(&'static Wgpu, usize)> {
    let gpu = device()?;
    let most = gpu.capabilities().binding_bytes;
    if most > MOST {
        std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("\nSKIPPED: bindings of {most} bytes are too large for a test of parts\n").as_bytes(),
        )
        .unwrap();
        return None;
    }
    Some((gpu, most as usize))
}

/// So many rows, a few of which are repeated.
fn repeated(rows: usize, some: &[f32], cols: usize) -> Vec<f32> {
    some.iter().copied().cycle().take(rows * cols).collect()
}

#[test]
fn weights_by_columns_are_bound_in_parts() {
    let Some((gpu, most)) = small_bindings() else { return };
    let (m, k, few) = (2, 4096, 300);
    let n = most / (4 * k) + 700;
    let some = normal(2, few * k);
    let a = Matrix::upload(gpu, &normal(1, m * k), m, k).unwrap();
    let large = Matrix::upload(gpu, &repeated(n, &some, k), n, k).unwrap();
    let small = Matrix::upload(gpu, &some, few, k).unwrap();
    let numbers = normal(3, n);
    let bias = Matrix::upload(gpu, &numbers, 1, n).unwrap();
    let added = normal(4, m * n);
    let residual = Matrix::upload(gpu, &added, m, n).unwrap();
    for variant in [Variant::Gemv { group: 64, rows: 4 }, Variant::Tile { bk: 8, stages: 2 }] {
        let has_epilogue = matches!(variant, Variant::Tile { .. });
        let epilogue = if has_epilogue {
            Epilogue { bias: Bias::PerColumn(&bias), residual: Some(&residual), ..Epilogue::NONE }
        } else {
            Epilogue::NONE
        };
        let operands = Operands { a: &a, b: Operand::Columns(&large), c: None, batch: 1, epilogue };
        let product = Product::of(gpu, variant, operands).unwrap();
        assert_eq!(product.steps().len(), 2, "{variant}");
        product.run().unwrap();
        let alone = Product::new(gpu, variant, &a, Operand::Columns(&small), None).unwrap();
        alone.run().unwrap();
        let (got, expected) = (product.c().read(gpu).unwrap(), alone.c().read(gpu).unwrap());
        for i in 0..m {
            for j in 0..n {
                let product = expected[i * few + j % few];
                let expected = if has_epilogue { product + numbers[j] + added[i * n + j] } else { product };
                assert_eq!(got[i * n + j], expected, "{variant}: ({i}, {j})");
            }
        }
    }
}

#[test]
fn many_rows_are_bound_in_parts() {
    let Some((gpu, most)) = small_bindings() else { return };
    let (n, k, few) = (16, 1024, 200);
    let m = most / (4 * k) + 300;
    let some = normal(1, few * k);
    let b = Matrix::upload(gpu, &normal(2, k * n), k, n).unwrap();
    let variant = Variant::Tile { bk: 8, stages: 2 };
    let of = |rows: usize, x: &[f32]| {
        let a = Matrix::upload(gpu, x, rows, k).unwrap();
        let product = Product::new(gpu, variant, &a, Operand::Rows(&b), None).unwrap();
        product.run().unwrap();
        (product.steps().len(), product.c().read(gpu).unwrap())
    };
    let (parts, got) = of(m, &repeated(m, &some, k));
    let (_, expected) = of(few, &some);
    assert_eq!(parts, 2);
    assert!((0..m * n).all(|at| got[at] == expected[at % (few * n)]));

    // Columns of a matrix that is stored row by row have no place of their own.
    let rows = most / (4 * 16) + 1;
    let (b, a) = (Matrix::upload(gpu, &vec![0.0; rows * 16], rows, 16), Matrix::upload(gpu, &vec![0.0; rows], 1, rows));
    let error = Product::new(gpu, variant, &a.unwrap(), Operand::Rows(&b.unwrap()), None).unwrap_err();
    assert!(matches!(error, GemmGpuError::TooLarge { .. }), "{error}");
}

#[test]
fn a_batch_is_bound_in_parts() {
    let Some((gpu, most)) = small_bindings() else { return };
    let (m, n, k, few) = (130, 16, 4096, 3);
    let batch = most / (4 * m * k) + 5;
    let (some_a, some_b) = (normal(1, few * m * k), normal(2, few * k * n));
    let of = |batch: usize| {
        let a = Matrix::upload(gpu, &repeated(batch * m, &some_a, k), batch * m, k).unwrap();
        let b = Matrix::upload(gpu, &repeated(batch * k, &some_b, n), batch * k, n).unwrap();
        let operands = Operands { a: &a, b: Operand::Rows(&b), c: None, batch, epilogue: Epilogue::NONE };
        let product = Product::of(gpu, Variant::Tile { bk: 8, stages: 2 }, operands).unwrap();
        product.run().unwrap();
        (product.steps().len(), product.c().read(gpu).unwrap())
    };
    let ((parts, got), (_, expected)) = (of(batch), of(few));
    assert_eq!(parts, 2);
    assert!((0..batch * m * n).all(|at| got[at] == expected[at % (few * m * n)]));
}

#[test]
fn blocks_are_bound_in_parts() {
    let Some((gpu, most)) = small_bindings() else { return };
    let (m, k, few) = (2, 4096, 300);
    for (ty, layout) in [(Q4_K, Layout::Gguf), (Q8_0, Layout::Packed)] {
        let row = ty.row_bytes(k).unwrap();
        // Packed Q8_0 has its scales, which are part of a row here, in a place of their own.
        let n = most / row.min(k) + 500;
        let mut some = vec![0; few * row];
        quant::quantize(ty, &normal(2, few * k), &mut some).unwrap();
        let bytes: Vec<u8> = some.iter().copied().cycle().take(n * row).collect();
        let activations = Activations::new(gpu, ty, &Matrix::upload(gpu, &normal(1, m * k), m, k).unwrap()).unwrap();
        let of = |n: usize, bytes: &[u8]| {
            let blocks = Blocks::upload(gpu, ty, layout, bytes, n, k).unwrap();
            let product = BlockProduct::new(gpu, BlockVariant::ALL[0], &activations, &blocks, None).unwrap();
            gpu.run(&[activations.steps(), product.steps()].concat()).unwrap();
            (product.steps().len(), product.c().read(gpu).unwrap())
        };
        let ((parts, got), (_, expected)) = (of(n, &bytes), of(few, &some));
        assert_eq!(parts, 2, "{ty}");
        for (at, got) in got.iter().enumerate() {
            assert_eq!(*got, expected[at / n * few + at % n % few], "{ty}: element {at}");
        }
    }
}
