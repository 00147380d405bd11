//! Weights in blocks: every kernel and path against the f64 product of the dequantized weights and the rows of A,
//! rounded to 8 bits by code of this file.

use gemm::{
    Activation, Batch, BatchMut, Epilogue, Gemm, GemmError, LayoutError, MatMut, MatRef, Operands, QMatRef, Rhs, Shape,
    Threads, block_paths,
};
use half::{bf16, f16};
use proof::{
    Tolerance,
    fenced::Fenced,
    guarded::Guarded,
    input::normal,
    product::{Product, View, row_major},
};
use quant::{GgmlType, dequantize, quantize};
use rayon::ThreadPoolBuilder;

use crate::check::{self, Lay, mat_mut, mat_ref};

fn is_k_type(ty: GgmlType) -> bool {
    ty.block_len() == 256
}

/// n rows of k weights.
struct Weights {
    ty: GgmlType,
    n: usize,
    k: usize,
    bytes: Vec<u8>,
}

impl Weights {
    fn new(ty: GgmlType, seed: u64, n: usize, k: usize) -> Self {
        let mut bytes = vec![0; n * ty.row_bytes(k).unwrap()];
        quantize(ty, &normal(seed, n * k), &mut bytes).unwrap();
        Self { ty, n, k, bytes }
    }

    fn view(&self) -> QMatRef<'_> {
        QMatRef::from_bytes(self.ty, &self.bytes, self.n, self.k).unwrap()
    }

    fn floats(&self) -> Vec<f32> {
        let mut floats = vec![0.0; self.n * self.k];
        dequantize(self.ty, &self.bytes, &mut floats).unwrap();
        floats
    }
}

/// What the product multiplies: rows of k numbers, rounded in the blocks of the type.
fn rounded(ty: GgmlType, x: &[f32], k: usize) -> Vec<f32> {
    if is_k_type(ty) {
        let mut bytes = vec![0; GgmlType::Q8_K.row_bytes(x.len()).unwrap()];
        let mut rounded = vec![0.0; x.len()];
        quantize(GgmlType::Q8_K, x, &mut bytes).unwrap();
        dequantize(GgmlType::Q8_K, &bytes, &mut rounded).unwrap();
        return rounded;
    }
    assert!(k.is_multiple_of(32));
    let blocks = x.chunks_exact(32).flat_map(|x| {
        let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let inverse = 127.0 / largest;
        x.iter().map(move |x| if largest == 0.0 { 0.0 } else { (inverse * x).round_ties_even() * (largest / 127.0) })
    });
    blocks.collect()
}

/// Whether C is alpha A W^T + beta C0 for the rounded A.
fn check(weights: &Weights, a: &[f32], (alpha, beta): (f32, f32), c0: &[f32], c: &[f32], who: &str) {
    let (n, k) = (weights.n, weights.k);
    let m = c.len() / n;
    let (a, w) = (rounded(weights.ty, a, k), weights.floats());
    let b = View::new(k, n, |p, j| f64::from(w[j * k + p]));
    let c0 = View::new(m, n, |i, j| f64::from(c0[i * n + j]));
    let product = Product {
        alpha: f64::from(alpha),
        a: &row_major(&a, m, k, k),
        b: &b,
        beta: f64::from(beta),
        c0: Some(&c0),
        tolerance: Tolerance::gemm_f32(k),
    };
    if let Err(mismatch) = product.check_all(&View::new(m, n, |i, j| f64::from(c[i * n + j]))) {
        panic!("{who} {} m{m} n{n} k{k} alpha {alpha} beta {beta}: {mismatch}", weights.ty);
    }
}

/// All kernels, and all paths of those that have several.
fn all() -> Vec<(String, Box<dyn gemm::Kernel>)> {
    let named = |path: &str, kernel: Box<dyn gemm::Kernel>| (format!("{} {path}", kernel.name()), kernel);
    let kernels = gemm::kernels().into_iter().skip(1).map(|kernel| named("", kernel));
    kernels.chain(block_paths().into_iter().map(|(path, kernel)| named(path.name(), kernel))).collect()
}

fn case(shape: Shape, ty: GgmlType, (alpha, beta): (f32, f32), threads: usize) -> gemm::Case {
    let threads = Threads::new(threads).unwrap();
    gemm::Case { alpha, beta, threads, blocks: Some(ty), ..gemm::Case::from(shape) }
}

/// C of one kernel, framed by guard words and poisoned where it is not read.
fn run(
    kernel: &dyn gemm::Kernel,
    weights: &Weights,
    a: &[f32],
    factors: (f32, f32),
    c0: &[f32],
    threads: usize,
) -> Guarded<f32> {
    let (n, k) = (weights.n, weights.k);
    let m = c0.len() / n;
    let mut c = Guarded::new(m * n);
    if factors.1 != 0.0 {
        c.copy_from_slice(c0);
    }
    let case = case(Shape { m, n, k }, weights.ty, factors, threads);
    assert!(kernel.supports(&case));
    let operands = Operands::new(
        MatRef::from_row_major(a, m, k).unwrap(),
        weights.view(),
        MatMut::from_row_major(&mut c, m, n).unwrap(),
    );
    let mut loaded = kernel.load(&case, operands).unwrap();
    loaded.run();
    assert!(loaded.ran().threads <= threads);
    drop(loaded);
    c.verify().unwrap();
    c
}

#[test]
fn every_kernel_multiplies_every_type() {
    for ty in QMatRef::TYPES {
        let lengths: &[usize] = if is_k_type(ty) { &[256, 512, 1280] } else { &[32, 96, 256, 288, 1056] };
        for &k in lengths {
            for n in [1, 3, 4, 31, 33, 70] {
                let weights = Weights::new(ty, 7, n, k);
                for m in [1, 2, 3, 4, 5, 8, 9, 13, 20] {
                    let (a, c0) = (normal(1, m * k), normal(3, m * n));
                    for factors in [(1.0, 0.0), (0.5, -2.0)] {
                        for (name, kernel) in all() {
                            let c = run(kernel.as_ref(), &weights, &a, factors, &c0, 1);
                            check(&weights, &a, factors, &c0, &c, &name);
                        }
                    }
                }
            }
        }
    }
}

/// More rows than a panel is unpacked for at once.
#[test]
fn many_rows_are_multiplied() {
    for (ty, m, n, k) in [(GgmlType::Q4_K, 1030, 37, 768), (GgmlType::Q8_0, 513, 65, 544)] {
        let weights = Weights::new(ty, 7, n, k);
        let (a, c0) = (normal(1, m * k), normal(3, m * n));
        for (name, kernel) in all() {
            let c = run(kernel.as_ref(), &weights, &a, (1.0, 1.0), &c0, 1);
            check(&weights, &a, (1.0, 1.0), &c0, &c, &name);
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let pool = ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    for ty in QMatRef::TYPES {
        for (m, n, k) in [(1, 3000, 1024), (6, 700, 512), (100, 300, 768)] {
            let weights = Weights::new(ty, 7, n, k);
            let (a, c0) = (normal(1, m * k), vec![0.0; m * n]);
            for (name, kernel) in all() {
                let bits = |threads| -> Vec<u32> {
                    let c = run(kernel.as_ref(), &weights, &a, (1.0, 0.0), &c0, threads);
                    c.iter().map(|c| c.to_bits()).collect()
                };
                let serial = bits(1);
                for threads in [2, 3, 4, 7, 64] {
                    assert!(pool.install(|| bits(threads)) == serial, "{name} {ty} m{m}: {threads} threads");
                }
            }
        }
    }
}

/// Layouts and types of A and C, and the epilogue, which are those of any product.
#[test]
fn any_matrix_may_be_a_or_c() {
    let (m, n, k, ty) = (11, 37, 512, GgmlType::Q4_K);
    let weights = Weights::new(ty, 7, n, k);
    let a = normal(1, m * k);
    for (name, kernel) in all() {
        let plain = run(kernel.as_ref(), &weights, &a, (1.0, 0.0), &vec![0.0; m * n], 1);
        for lay in [Lay::Rows(3), Lay::Cols(0), Lay::Apart, Lay::RowsUp, Lay::RowsBack] {
            let input = check::Input { elements: a.clone(), ..check::Input::new(1, m, k, lay) };
            let memory = input.memory();
            let mut c = Guarded::<f32>::new(lay.strides(m, n).2);
            let operands = Operands::new(input.view(&memory), weights.view(), mat_mut(&mut c, m, n, lay));
            kernel.load(&case(Shape { m, n, k }, ty, (1.0, 0.0), 1), operands).unwrap().run();
            for at in 0..m * n {
                assert_eq!(c[lay.index(m, n, at / n, at % n)].to_bits(), plain[at].to_bits(), "{name} {lay:?}");
            }
        }
    }
    let halves: Vec<f16> = a.iter().map(|&x| f16::from_f32(x)).collect();
    let exact: Vec<f32> = halves.iter().map(|x| x.to_f32()).collect();
    let (bias, residual) = (normal(4, n), normal(5, m * n));
    let epilogue = Epilogue::new().bias_per_column(&bias).activation(Activation::SquaredRelu);
    let epilogue = epilogue.residual(MatRef::from_row_major(&residual, m, n).unwrap());
    let (mut plain, mut c) = (vec![0.0_f32; m * n], vec![bf16::ZERO; m * n]);
    Gemm::new(mat_ref(&exact, m, k, Lay::Rows(0)), weights.view())
        .run(mat_mut(&mut plain, m, n, Lay::Rows(0)))
        .unwrap();
    Gemm::new(mat_ref(&halves, m, k, Lay::Rows(0)), weights.view())
        .epilogue(epilogue)
        .run(mat_mut(&mut c, m, n, Lay::Rows(0)))
        .unwrap();
    for at in 0..m * n {
        let expected = (plain[at] + bias[at % n]).max(0.0).powi(2) + residual[at];
        assert_eq!(c[at], bf16::from_f32(expected));
    }
}

#[test]
fn a_batch_shares_its_weights() {
    let (m, n, k, count) = (3, 20, 256, 5);
    let weights = Weights::new(GgmlType::Q6_K, 7, n, k);
    let a = normal(1, count * m * k);
    let mut c = vec![0.0; count * m * n];
    let batch = Batch::from_row_major(&a, count, m, k).unwrap();
    Gemm::new(batch, weights.view()).run(BatchMut::from_row_major(&mut c, count, m, n).unwrap()).unwrap();
    for (a, c) in a.chunks_exact(m * k).zip(c.chunks_exact(m * n)) {
        check(&weights, a, (1.0, 0.0), &vec![0.0; m * n], c, "batch");
    }
}

/// Weights and rows that end where memory does.
#[test]
fn no_kernel_leaves_its_operands() {
    for ty in QMatRef::TYPES {
        let lengths: &[usize] = if is_k_type(ty) { &[256, 768] } else { &[32, 224, 256, 320] };
        for &k in lengths {
            for (m, n) in [(1, 1), (1, 7), (5, 33), (19, 35)] {
                let weights = Weights::new(ty, 7, n, k);
                let mut fences =
                    [Fenced::of::<u8>(weights.bytes.len()), Fenced::of::<f32>(m * k), Fenced::of::<f32>(m * n)];
                let [fw, fa, fc] = &mut fences;
                for at_end in [true, false] {
                    let bytes = fw.elements::<u8>(weights.bytes.len(), at_end);
                    bytes.copy_from_slice(&weights.bytes);
                    let view = QMatRef::from_bytes(ty, bytes, n, k).unwrap();
                    let a = fa.elements::<f32>(m * k, at_end);
                    a.fill(0.5);
                    for (_, kernel) in all() {
                        let c = mat_mut(fc.elements::<f32>(m * n, at_end), m, n, Lay::Rows(0));
                        let operands = Operands::new(mat_ref(a, m, k, Lay::Rows(0)), view, c);
                        kernel.load(&case(Shape { m, n, k }, ty, (1.0, 0.5), 1), operands).unwrap().run();
                    }
                }
            }
        }
    }
}

/// The largest codes, scales and rounded numbers, all of one sign: the integer sums are the largest that there are.
#[test]
fn integers_do_not_overflow() {
    for ty in QMatRef::TYPES {
        let (n, k) = (33, 512);
        let mut bytes = vec![0xff; n * ty.row_bytes(k).unwrap()];
        // Scales of 16 bits are 1, so that only the integers are large.
        let one = f16::from_f32(1.0).to_bits().to_le_bytes();
        for block in bytes.chunks_exact_mut(ty.block_bytes()) {
            match ty {
                GgmlType::Q6_K => {
                    block[208..].copy_from_slice(&one);
                    // Scales are signed.
                    block[192..208].fill(if n % 2 == 0 { 127 } else { 0x80 });
                }
                GgmlType::Q4_K | GgmlType::Q5_K => {
                    block[..2].copy_from_slice(&one);
                    block[2..4].copy_from_slice(&[0, 0]);
                }
                GgmlType::Q8_0 => {
                    block[..2].copy_from_slice(&one);
                    block[2..].fill(0x80);
                }
                _ => block[..2].copy_from_slice(&one),
            }
        }
        let weights = Weights { ty, n, k, bytes };
        for sign in [1.0, -1.0] {
            for m in [1, 4, 12] {
                let a = vec![sign * 127.0; m * k];
                for (name, kernel) in all() {
                    let c = run(kernel.as_ref(), &weights, &a, (1.0, 0.0), &vec![0.0; m * n], 1);
                    check(&weights, &a, (1.0, 0.0), &vec![0.0; m * n], &c, &name);
                }
            }
        }
    }
}

/// A row of A that is not finite gives a row of NaN, a scale that is not finite a column of NaN; nothing else changes.
#[test]
fn what_is_not_finite_stays_in_its_place() {
    for ty in QMatRef::TYPES {
        let (m, n, k) = (10, 35, 512);
        let mut weights = Weights::new(ty, 7, n, k);
        let row = weights.view().row_bytes();
        let d = 17 * row + if ty == GgmlType::Q6_K { 208 } else { 0 };
        weights.bytes[d..d + 2].copy_from_slice(&f16::NAN.to_bits().to_le_bytes());
        let finite = normal(1, m * k);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut a = finite.clone();
            a[3 * k + 300] = bad;
            for (name, kernel) in all() {
                let c = run(kernel.as_ref(), &weights, &a, (1.0, 0.0), &vec![0.0; m * n], 1);
                for at in 0..m * n {
                    let is_nan = at / n == 3 || at % n == 17;
                    assert_eq!(c[at].is_nan(), is_nan, "{name} {ty} {bad}: ({}, {})", at / n, at % n);
                }
            }
        }
    }
}

/// Numbers of any size, zeros and subnormal numbers included.
#[test]
fn scales_of_any_size_are_right() {
    for ty in QMatRef::TYPES {
        let (m, n, k) = (9, 5, 512);
        let weights = Weights::new(ty, 7, n, k);
        for size in [0.0, 1e-44, 1e-39, 1e-30, 1e30] {
            let a: Vec<f32> = normal(1, m * k).iter().map(|x| x * size).collect();
            // Below this the inverse of a scale overflows, and numbers count as 0.
            let is_zero = size < 1e-38;
            for (name, kernel) in all() {
                let c = run(kernel.as_ref(), &weights, &a, (1.0, 0.0), &vec![0.0; m * n], 1);
                match is_zero {
                    true => assert!(c.iter().all(|c| c.abs() < 1e-36), "{name} {ty} {size}"),
                    false => check(&weights, &a, (1.0, 0.0), &vec![0.0; m * n], &c, &name),
                }
            }
        }
    }
}

/// Rounding A to 8 bits costs less than what ggml's own tests allow: a normalized mean squared error of 5e-4.
#[test]
fn rounding_the_rows_of_a_costs_little() {
    for ty in QMatRef::TYPES {
        let (m, n, k) = (16, 64, 2560);
        let weights = Weights::new(ty, 7, n, k);
        let (a, w) = (normal(1, m * k), weights.floats());
        for (name, kernel) in all() {
            let c = run(kernel.as_ref(), &weights, &a, (1.0, 0.0), &vec![0.0; m * n], 1);
            let (mut error, mut size) = (0.0, 0.0);
            for (i, a) in a.chunks_exact(k).enumerate() {
                for (j, w) in w.chunks_exact(k).enumerate() {
                    let exact: f64 = a.iter().zip(w).map(|(&a, &w)| f64::from(a) * f64::from(w)).sum();
                    error += (f64::from(c[i * n + j]) - exact).powi(2);
                    size += exact * exact;
                }
            }
            assert!(error / size < 5e-4, "{name} {ty}: {}", error / size);
        }
    }
}

#[test]
fn products_without_work_only_scale_c() {
    let weights = Weights::new(GgmlType::Q4_K, 7, 3, 256);
    let a = normal(1, 2 * 256);
    for (name, kernel) in all() {
        let c = run(kernel.as_ref(), &weights, &a, (0.0, 0.5), &[2.0; 6], 1);
        assert_eq!(*c, [1.0; 6], "{name}");
    }
    let (empty, mut c) = (QMatRef::from_bytes(GgmlType::Q4_K, &[], 3, 0).unwrap(), [7.0_f32; 6]);
    let a: [f32; 0] = [];
    let c_view = MatMut::from_row_major(&mut c, 2, 3).unwrap();
    Gemm::new(MatRef::from_row_major(&a, 2, 0).unwrap(), empty).run(c_view).unwrap();
    assert_eq!(c, [0.0; 6]);
    let none = QMatRef::from_bytes(GgmlType::Q4_K, &[], 0, 256).unwrap();
    let x = [1.0_f32; 256];
    let c_view = MatMut::from_row_major(&mut c[..0], 1, 0).unwrap();
    Gemm::new(MatRef::from_row_major(&x, 1, 256).unwrap(), none).run(c_view).unwrap();
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let bytes = [0; 1000];
    let (ty, need) = (GgmlType::Q4_K, 256);
    let refused = |ty, n, k| QMatRef::from_bytes(ty, &bytes, n, k).unwrap_err();
    assert_eq!(refused(ty, 1, 384), LayoutError::BlockLength { ty, got: 384, need });
    assert_eq!(refused(ty, 7, 256), LayoutError::OutOfBounds { need: 1008, len: 1000 });
    assert_eq!(refused(GgmlType::IQ2_XS, 1, 256), LayoutError::BlockType { ty: GgmlType::IQ2_XS });
    assert!(matches!(refused(ty, usize::MAX, 256), LayoutError::Overflow { .. }));
    assert!(matches!(refused(ty, 1, usize::MAX - 255), LayoutError::OutOfBounds { .. } | LayoutError::Overflow { .. }));
    let weights = QMatRef::from_bytes(ty, &bytes, 2, 256).unwrap();
    let (x, mut y) = ([0.0_f32; 512], [0.0_f32; 2]);
    let x = MatRef::from_row_major(&x, 1, 512).unwrap();
    let error = Gemm::new(x, weights).run(MatMut::from_row_major(&mut y, 1, 2).unwrap()).unwrap_err();
    assert!(matches!(error, GemmError::ShapeMismatch { .. }));
}

/// Tensors of numbers are matrices, where they lie at a multiple of their size.
#[test]
fn tensors_of_any_type_are_weights() {
    let numbers = [bf16::ONE, bf16::ZERO, bf16::NEG_ONE, bf16::ONE];
    let bytes: &[u8] = bytemuck::cast_slice(&numbers);
    let (x, mut y) = ([2.0_f32, 3.0], [0.0_f32; 2]);
    let weights = Rhs::from_ggml(GgmlType::BF16, bytes, 2, 2).unwrap();
    let x = MatRef::from_row_major(&x, 1, 2).unwrap();
    Gemm::new(x, weights).run(MatMut::from_row_major(&mut y, 1, 2).unwrap()).unwrap();
    assert_eq!(y, [2.0, 1.0]);
    let ty = GgmlType::BF16;
    let misaligned = Rhs::from_ggml(ty, &bytes[1..], 1, 2).unwrap_err();
    assert_eq!(misaligned, LayoutError::Misaligned { ty, need: 2 });
    assert!(Rhs::from_ggml(GgmlType::I8, bytes, 2, 2).is_err());
}
