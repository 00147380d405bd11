//! Errors: what is refused, and that C is unchanged then.

use gemm::{
    BatchMut, Case, ElementType, Gemm, GemmError, LayoutError, MatMut, MatRef, Operands, PackedB, ProblemLayout, Shape,
    Storage, Threads, Workspace, explain, gemm, kernels,
};

const SERIAL: Threads = Threads::SERIAL;

#[test]
fn extents_must_fit() {
    let x = [1.0_f32; 12];
    for (a, b, c) in
        [((2, 3), (4, 2), (2, 2)), ((2, 3), (3, 2), (3, 2)), ((2, 3), (3, 2), (2, 3)), ((3, 2), (2, 1), (1, 3))]
    {
        let mut out = [7.0_f32; 12];
        let view = |(rows, cols)| MatRef::from_row_major(&x, rows, cols).unwrap();
        let out_view = MatMut::from_row_major(&mut out, c.0, c.1).unwrap();
        assert_eq!(gemm(SERIAL, 1.0, view(a), view(b), 0.0, out_view), Err(GemmError::ShapeMismatch { a, b, c }));
        assert_eq!(out, [7.0; 12]);
    }
}

#[test]
fn matrices_must_fit_their_slices() {
    let mut x = [0.0_f32; 12];
    assert_eq!(MatRef::from_row_major(&x, 3, 5).unwrap_err(), LayoutError::OutOfBounds { need: 15, len: 12 });
    assert_eq!(MatRef::with_strides(&x, 3, 2, 6, 1).unwrap_err(), LayoutError::OutOfBounds { need: 14, len: 12 });
    let huge = MatRef::from_row_major(&x, usize::MAX, usize::MAX).unwrap_err();
    assert!(matches!(huge, LayoutError::Overflow { .. }), "{huge:?}");
    for (row_stride, col_stride) in [(0, 1), (1, 0), (2, 1), (0, 0), (-2, 1), (1, 2), (2, 2)] {
        let overlap = LayoutError::Overlap { rows: 3, cols: 3, row_stride, col_stride };
        assert_eq!(MatMut::with_strides(&mut x, 3, 3, row_stride, col_stride).unwrap_err(), overlap);
        assert!(MatRef::with_strides(&x, 3, 3, row_stride, col_stride).is_ok(), "an input may repeat itself");
    }
    let outside = MatRef::from_row_major(&x, 3, 4).unwrap().sub(1..4, 0..2).unwrap_err();
    assert_eq!(outside, LayoutError::OutOfMatrix { row_end: 4, col_end: 2, rows: 3, cols: 4 });
}

#[test]
fn parts_and_transposes_address_the_same_elements() {
    let x: Vec<f32> = (0..20).map(|x| x as f32).collect();
    let a = MatRef::from_row_major(&x, 4, 5).unwrap();
    let part = a.sub(1..3, 2..5).unwrap();
    assert_eq!((part.rows(), part.cols(), part.get(0, 0), part.get(1, 2)), (2, 3, Some(&7.0), Some(&14.0)));
    assert_eq!((part.get(2, 0), part.get(0, 3)), (None, None));
    assert_eq!((part.t().get(2, 1), part.t().row_stride()), (Some(&14.0), 1));
    assert_eq!(a.sub(4..4, 5..5).unwrap().get(0, 0), None);
    let up = MatRef::with_strides(&x, 4, 5, -5, 1).unwrap();
    assert_eq!((up.get(0, 0), up.get(3, 4)), (Some(&15.0), Some(&4.0)));
    let mut y = x.clone();
    let mut c = MatMut::from_col_major(&mut y, 4, 5).unwrap();
    *c.reborrow().sub(1..2, 3..4).unwrap().t().get_mut(0, 0).unwrap() = -1.0;
    assert_eq!(c.as_ref().get(1, 3), Some(&-1.0));
    assert_eq!(y[13], -1.0);
}

/// A product too large to count, although its operands are three floats.
#[test]
fn operations_must_be_countable() {
    let x = [1.0_f32; 4];
    let mut out = [0.0_f32; 16];
    let k = usize::MAX / 4;
    let (a, b) = (MatRef::with_strides(&x, 4, k, 1, 0).unwrap(), MatRef::with_strides(&x, k, 4, 0, 1).unwrap());
    let c = MatMut::from_row_major(&mut out, 4, 4).unwrap();
    assert_eq!(gemm(SERIAL, 1.0, a, b, 0.0, c), Err(GemmError::Overflow { m: 4, n: 4, k }));
}

/// Extents of matrices without elements may be anything: nothing is walked along, and nothing overflows.
#[test]
fn empty_matrices_of_any_extent_cost_nothing() {
    let (x, mut out) = ([1.0_f32; 4], [7.0_f32; 4]);
    for huge in [1 << 62, usize::MAX] {
        let tall = MatRef::with_strides(&x, huge, 0, 1, 1).unwrap();
        let none = MatRef::with_strides(&x, 0, 0, 1, 1).unwrap();
        let c = MatMut::with_strides(&mut out, huge, 0, 1, 1).unwrap();
        for kernel in kernels() {
            let case =
                Case { shape: Shape { m: huge, n: 0, k: 0 }, codes: None, alpha: 1.0, beta: 0.5, threads: SERIAL };
            let mut other = [0.0_f32; 1];
            let c = MatMut::with_strides(&mut other, huge, 0, 1, 1).unwrap();
            kernel.load(&case, Operands::new(tall, none, c)).unwrap().run();
        }
        assert_eq!(gemm(SERIAL, 1.0, tall, none, 0.5, c).unwrap().path, gemm::Path::Scale);
        let weights = PackedB::new(tall).unwrap();
        assert_eq!((weights.rows(), weights.cols(), weights.bytes()), (huge, 0, 0));
        let wide = PackedB::new(MatRef::with_strides(&x, 0, huge, 1, 1).unwrap());
        assert!(wide.is_ok() || huge == usize::MAX, "{wide:?}");
        let c = BatchMut::with_strides(&mut out, huge, 0, 0, 0, 1, 1).unwrap();
        assert_eq!(Gemm::new(none, none).run(c).unwrap().path, gemm::Path::Scale);
    }
    assert_eq!(out, [7.0; 4]);
}

/// `explain` takes shapes that cannot be computed.
#[test]
fn explaining_never_overflows() {
    let sizes = [0, 1, 1 << 20, 1 << 31, 1 << 62, usize::MAX];
    for (m, n, k) in sizes.iter().flat_map(|&m| sizes.iter().flat_map(move |&n| sizes.map(|k| (m, n, k)))) {
        for threads in [SERIAL, Threads::new(64).unwrap()] {
            for element in [ElementType::F32, ElementType::Bf16] {
                for b in [Storage::row_major(element), Storage::col_major(element)] {
                    let (a, c) = (Storage::row_major(ElementType::F32), Storage::row_major(element));
                    let choice = explain(ProblemLayout::new(Shape { m, n, k }, a, b, c), threads);
                    assert!((1..=64).contains(&choice.threads), "{choice:?}");
                }
            }
        }
    }
}

/// A row that repeats for longer than memory: refused where it would have to be packed.
#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let k = usize::MAX >> 3;
    let (x, mut out) = ([1.0_f32; 1], [7.0_f32; 1]);
    let (a, b) = (MatRef::with_strides(&x, 1, k, 0, 0).unwrap(), MatRef::with_strides(&x, k, 1, 0, 0).unwrap());
    assert!(matches!(PackedB::new(b), Err(GemmError::OutOfMemory { .. })));
    let scalar = kernels().into_iter().find(|kernel| kernel.name() == "cpu-scalar").unwrap();
    let case = Case { shape: Shape { m: 1, n: 1, k }, codes: None, alpha: 1.0, beta: 0.0, threads: SERIAL };
    let c = MatMut::from_row_major(&mut out, 1, 1).unwrap();
    let mut loaded = scalar.load(&case, Operands::new(a, b, c)).unwrap();
    loaded.run();
    assert!(loaded.ran().path.contains("memory"), "{:?}", loaded.ran());
    drop(loaded);
    assert_eq!(out, [7.0]);
}

#[test]
fn inputs_may_repeat() {
    let (x, mut out) = ([2.0_f32, 3.0], [0.0_f32; 6]);
    let a = MatRef::with_strides(&x, 2, 40, 1, 0).unwrap();
    let b = MatRef::with_strides(&x[..1], 40, 3, 0, 0).unwrap();
    gemm(SERIAL, 1.0, a, b, 0.0, MatMut::from_row_major(&mut out, 2, 3).unwrap()).unwrap();
    assert_eq!(out, [160.0, 160.0, 160.0, 240.0, 240.0, 240.0]);
}

#[test]
fn operands_must_be_of_the_cases_shape() {
    let (x, mut out) = ([1.0_f32; 4], [0.0_f32; 4]);
    let view = MatRef::from_row_major(&x, 2, 2).unwrap();
    let case = Case { shape: Shape { m: 2, n: 2, k: 3 }, codes: None, alpha: 1.0, beta: 0.0, threads: SERIAL };
    let operands = Operands::new(view, view, MatMut::from_row_major(&mut out, 2, 2).unwrap());
    assert!(matches!(kernels()[0].load(&case, operands), Err(GemmError::ShapeMismatch { .. })));
}

#[test]
fn explain_says_what_runs() {
    for (m, n, k) in [(1, 1, 1), (8, 1536, 384), (300, 300, 300), (0, 4, 4), (4, 4, 0)] {
        let (a, b, mut c) = (vec![1.0_f32; m * k], vec![1.0_f32; k * n], vec![0.0_f32; m * n]);
        let (a, b) = (MatRef::from_row_major(&a, m, k).unwrap(), MatRef::from_row_major(&b, k, n).unwrap());
        let c = MatMut::from_row_major(&mut c, m, n).unwrap();
        let threads = Threads::new(2).unwrap();
        let ran = gemm(threads, 1.0, a, b, 0.0, c).unwrap();
        assert_eq!(ran, explain(Shape { m, n, k }, threads));
    }
}

/// For every type and layout, and for packed weights.
#[test]
fn explain_knows_types_layouts_and_packed_weights() {
    let threads = Threads::new(2).unwrap();
    for (m, n, k) in [(1, 700, 300), (4, 300, 300), (40, 90, 30), (120, 300, 600)] {
        for b_by_rows in [true, false] {
            let (a, b) = (vec![half::bf16::ONE; m * k], vec![half::f16::ONE; k * n]);
            let mut c = vec![0.0_f32; m * n];
            let a = MatRef::from_row_major(&a, m, k).unwrap();
            let b = match b_by_rows {
                true => MatRef::from_row_major(&b, k, n).unwrap(),
                false => MatRef::from_col_major(&b, k, n).unwrap(),
            };
            let stored_b = match b_by_rows {
                true => Storage::row_major(ElementType::F16),
                false => Storage::col_major(ElementType::F16),
            };
            let ran = gemm(threads, 1.0, a, b, 0.0, MatMut::from_row_major(&mut c, m, n).unwrap()).unwrap();
            let (a_storage, c_storage) = (Storage::row_major(ElementType::Bf16), Storage::row_major(ElementType::F32));
            let layout = ProblemLayout::new(Shape { m, n, k }, a_storage, stored_b, c_storage);
            assert_eq!(ran, explain(layout, threads));
            let weights = PackedB::new(b).unwrap();
            let ran = gemm(threads, 1.0, a, &weights, 0.0, MatMut::from_row_major(&mut c, m, n).unwrap()).unwrap();
            assert_eq!(ran, weights.explain(m, ElementType::F32, threads));
        }
    }
}

#[test]
fn a_workspace_stops_growing() {
    let (x, mut out) = (vec![1.0_f32; 200 * 200], vec![0.0_f32; 200 * 200]);
    let mut workspace = Workspace::new();
    let mut sizes = Vec::new();
    for extent in [200, 200, 100, 7] {
        let view = MatRef::from_row_major(&x, extent, extent).unwrap();
        let c = MatMut::from_row_major(&mut out, extent, extent).unwrap();
        Gemm::new(view, view).workspace(&mut workspace).run(c).unwrap();
        sizes.push(workspace.bytes());
    }
    assert!(sizes.iter().all(|&bytes| bytes == sizes[0] && bytes < 4 << 20), "{sizes:?}");
}

/// Packed weights of every type, C of floats and of 16 bits, a k of several blocks, several threads.
#[test]
fn a_workspace_grows_to_what_is_said_before() {
    for (m, n, k) in [(1, 1, 1), (69, 384, 128), (138, 128, 588), (6, 512, 128), (300, 250, 1500), (0, 4, 4)] {
        let (x, w) = (vec![1.0_f32; m * k], vec![half::f16::ONE; k * n]);
        let weights = PackedB::new(MatRef::from_row_major(&w, k, n).unwrap()).unwrap();
        assert_eq!(weights.bytes(), PackedB::bytes_of(k, n, ElementType::F16));
        let (mut wide, mut narrow) = (vec![0.0_f32; m * n], vec![half::f16::ZERO; m * n]);
        for threads in [1, 2, 3].map(|threads| Threads::new(threads).unwrap()) {
            let shape = Shape { m, n, k };
            let a = MatRef::from_row_major(&x, m, k).unwrap();
            let mut workspace = Workspace::new();
            let product = Gemm::new(a, &weights).threads(threads).workspace(&mut workspace);
            product.run(MatMut::from_row_major(&mut wide, m, n).unwrap()).unwrap();
            let said = PackedB::workspace_bytes(shape, ElementType::F32, threads);
            assert_eq!(workspace.bytes(), said, "{shape:?} on {threads}");
            let mut workspace = Workspace::new();
            let product = Gemm::new(a, &weights).threads(threads).workspace(&mut workspace);
            product.run(MatMut::from_row_major(&mut narrow, m, n).unwrap()).unwrap();
            let said = PackedB::workspace_bytes(shape, ElementType::F16, threads);
            assert_eq!(workspace.bytes(), said, "{shape:?} on {threads}, f16");
        }
    }
    assert_eq!(PackedB::bytes_of(usize::MAX, 2, ElementType::F32), usize::MAX);
}

/// Running twice with beta other than 0 adds twice; a reset takes it back.
#[test]
fn reset_restores_c() {
    let (x, mut out) = ([1.0_f32; 4], [10.0_f32; 4]);
    let view = MatRef::from_row_major(&x, 2, 2).unwrap();
    let case = Case { shape: Shape { m: 2, n: 2, k: 2 }, codes: None, alpha: 1.0, beta: 1.0, threads: SERIAL };
    for kernel in kernels() {
        let operands = Operands::new(view, view, MatMut::from_row_major(&mut out, 2, 2).unwrap());
        let mut loaded = kernel.load(&case, operands).unwrap();
        loaded.run();
        loaded.run();
        loaded.reset();
        loaded.run();
        let ran = loaded.ran();
        assert_eq!((ran.flops, ran.bytes), (16, 64), "{ran:?}");
        loaded.reset();
        drop(loaded);
        assert_eq!(out, [10.0; 4], "{}", kernel.name());
    }
}
