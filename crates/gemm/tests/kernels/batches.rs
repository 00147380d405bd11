//! Batches: each product has the bits that it has as a single product.

use gemm::{
    Activation, Batch, BatchMut, Epilogue, Gemm, GemmError, LayoutError, MatMut, MatRef, Operand, PackedB, Path,
    Threads, Workspace, gemm,
};
use proof::input::normal;

#[test]
fn a_batch_is_many_products() {
    for (count, (m, n, k)) in
        [(1, (5, 6, 7)), (7, (12, 20, 9)), (3, (64, 64, 200)), (9, (128, 96, 128)), (0, (3, 3, 3))]
    {
        let (a, b) = (normal(1, count * m * k), normal(2, k * n));
        let c0 = normal(3, count * m * n);
        let mut single = c0.clone();
        for (i, c) in single.chunks_mut(m * n).enumerate() {
            let a = MatRef::from_row_major(&a[i * m * k..], m, k).unwrap();
            let b = MatRef::from_col_major(&b, k, n).unwrap();
            gemm(Threads::SERIAL, 0.5, a, b, 2.0, MatMut::from_row_major(c, m, n).unwrap()).unwrap();
        }
        for threads in [1, 2, 4] {
            let mut c = c0.clone();
            let batch_a = Batch::from_row_major(&a, count, m, k).unwrap();
            let b = MatRef::from_col_major(&b, k, n).unwrap();
            let batch_c = BatchMut::from_row_major(&mut c, count, m, n).unwrap();
            let threads = Threads::new(threads).unwrap();
            let ran = Gemm::new(batch_a, b).alpha(0.5).beta(2.0).threads(threads).run(batch_c).unwrap();
            assert!(ran.threads <= threads.get() && (count == 0) == (ran.path == Path::Scale), "{ran:?}");
            assert!(c == single, "{count} of {m} x {n} x {k} with {threads} threads");
        }
    }
}

/// Heads of an attention layer: matrix h has the columns h * 8 .. h * 8 + 8 of each row.
#[test]
fn matrices_may_interleave() {
    let (heads, rows, width) = (4, 5, 8);
    let x = normal(4, rows * heads * width);
    let mut c = vec![f32::NAN; rows * heads * width];
    let (w, stride) = (normal(5, width * width), (heads * width) as isize);
    let a = Batch::with_strides(&x, heads, rows, width, width as isize, stride, 1).unwrap();
    let b = MatRef::from_row_major(&w, width, width).unwrap();
    let out = BatchMut::with_strides(&mut c, heads, rows, width, width as isize, stride, 1).unwrap();
    Gemm::new(a, b).run(out).unwrap();
    for (h, i, j) in (0..heads).flat_map(|h| (0..rows).flat_map(move |i| (0..width).map(move |j| (h, i, j)))) {
        let row = &x[i * heads * width + h * width..][..width];
        let expected: f64 = (0..width).map(|p| f64::from(row[p]) * f64::from(w[p * width + j])).sum();
        assert!((f64::from(c[i * heads * width + h * width + j]) - expected).abs() < 1e-5, "{h} {i} {j}");
    }
}

#[test]
fn batches_must_fit() {
    let mut x = vec![0.0_f32; 24];
    let short = Batch::from_row_major(&x, 3, 3, 3).unwrap_err();
    assert_eq!(short, LayoutError::OutOfBounds { need: 27, len: 24 });
    let huge = Batch::with_strides(&x, usize::MAX, 2, 2, isize::MAX, 2, 1).unwrap_err();
    assert_eq!(huge, LayoutError::BatchOverflow { count: usize::MAX, stride: isize::MAX });
    assert!(matches!(Batch::from_row_major(&x, 2, usize::MAX, 2), Err(LayoutError::BatchOverflow { .. })));
    for (stride, row_stride, col_stride) in [(0, 2, 1), (1, 2, 1), (3, 2, 1), (-3, 2, 1), (4, 1, 1)] {
        let overlap = BatchMut::with_strides(&mut x, 3, 2, 2, stride, row_stride, col_stride).unwrap_err();
        assert_eq!(overlap, LayoutError::BatchOverlap { count: 3, stride });
    }
    for (stride, row_stride, col_stride) in [(4, 2, 1), (-4, -2, 1), (1, 3, 6), (2, 6, 1)] {
        assert!(BatchMut::with_strides(&mut x, 3, 2, 2, stride, row_stride, col_stride).is_ok(), "{stride}");
    }
    let (one, mut out) = ([1.0_f32; 4], [7.0_f32; 4]);
    let batch = |count| Batch::from_row_major(&one, count, 1, 1).unwrap();
    let c = BatchMut::from_row_major(&mut out, 4, 1, 1).unwrap();
    let refused = Gemm::new(batch(4), batch(3)).run(c);
    assert_eq!(refused, Err(GemmError::BatchMismatch { operand: Operand::B, got: 3, need: 4 }));
    let c = MatMut::from_row_major(&mut out, 1, 1).unwrap();
    let refused = Gemm::new(batch(4), batch(1)).run(c);
    assert_eq!(refused, Err(GemmError::BatchMismatch { operand: Operand::A, got: 4, need: 1 }));
    let c = BatchMut::from_row_major(&mut out, 4, 1, 1).unwrap();
    let refused = Gemm::new(batch(4), batch(4)).epilogue(Epilogue::new().residual(batch(2))).run(c);
    assert_eq!(refused, Err(GemmError::BatchMismatch { operand: Operand::Residual, got: 2, need: 4 }));
    assert_eq!(out, [7.0; 4]);
}

/// Everything at once: a batch of activations, weights that were packed before, bias, activation, a residual of each
/// product or one for all, threads and a workspace.
#[test]
fn everything_composes() {
    let (count, (m, n, k)) = (5, (9, 40, 33));
    let (x, w, bias) = (normal(1, count * m * k), normal(2, k * n), normal(3, n));
    let (residuals, c0) = (normal(4, count * m * n), normal(5, count * m * n));
    let weights = PackedB::new(MatRef::from_row_major(&w, k, n).unwrap()).unwrap();
    let layer = Epilogue::new().bias_per_column(&bias).activation(Activation::Gelu);
    for is_shared in [false, true] {
        let residual_of = |i: usize| {
            let first = if is_shared { 0 } else { i * m * n };
            MatRef::from_row_major(&residuals[first..], m, n).unwrap()
        };
        let mut single = c0.clone();
        for (i, c) in single.chunks_mut(m * n).enumerate() {
            let a = MatRef::from_row_major(&x[i * m * k..], m, k).unwrap();
            let c = MatMut::from_row_major(c, m, n).unwrap();
            Gemm::new(a, &weights).alpha(0.5).beta(-1.0).epilogue(layer.residual(residual_of(i))).run(c).unwrap();
        }
        for threads in [1, 2, 4] {
            let (mut c, mut workspace) = (c0.clone(), Workspace::new());
            let epilogue = match is_shared {
                true => layer.residual(residual_of(0)),
                false => layer.residual(Batch::from_row_major(&residuals, count, m, n).unwrap()),
            };
            Gemm::new(Batch::from_row_major(&x, count, m, k).unwrap(), &weights)
                .alpha(0.5)
                .beta(-1.0)
                .epilogue(epilogue)
                .threads(Threads::new(threads).unwrap())
                .workspace(&mut workspace)
                .run(BatchMut::from_row_major(&mut c, count, m, n).unwrap())
                .unwrap();
            assert!(c == single, "{threads} threads, shared residual: {is_shared}");
        }
    }
}
