//! Weights in blocks: every kernel and path against the f64 product of the dequantized weights and the rows of A,
//! rounded to 8 bits by code of this file.

mod edges;

use gemm::{
    Activation, Batch, BatchMut, Codes, Epilogue, Gemm, MatMut, MatRef, Operands, QMatRef, Shape, Threads, block_paths,
};
use half::{bf16, f16};
use proof::{
    Tolerance,
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

/// All kernels that take weights in blocks, and all paths of those that have several.
fn all() -> Vec<(String, Box<dyn gemm::Kernel>)> {
    let named = |path: &str, kernel: Box<dyn gemm::Kernel>| (format!("{} {path}", kernel.name()), kernel);
    let any = case(Shape { m: 1, n: 1, k: 256 }, GgmlType::Q4_K, (1.0, 0.0), 1);
    let kernels = gemm::kernels().into_iter().skip(1).filter(|kernel| kernel.supports(&any));
    let kernels = kernels.map(|kernel| named("", kernel));
    kernels.chain(block_paths().into_iter().map(|(path, kernel)| named(path.name(), kernel))).collect()
}

fn case(shape: Shape, ty: GgmlType, (alpha, beta): (f32, f32), threads: usize) -> gemm::Case {
    let threads = Threads::new(threads).unwrap();
    gemm::Case { alpha, beta, threads, codes: Some(Codes::Blocks(ty)), ..gemm::Case::from(shape) }
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

/// A row of A has the same result alone and among others, whatever their number and the path.
#[test]
fn rows_have_the_same_bits_alone_and_among_others() {
    for ty in QMatRef::TYPES {
        let lengths: &[usize] = if is_k_type(ty) { &[256, 1280] } else { &[32, 256, 1056] };
        for &k in lengths {
            let n = 70;
            let mut weights = Weights::new(ty, 7, n, k);
            // The largest codes, too.
            for extreme in [false, true] {
                let mut a = normal(1, 20 * k);
                if extreme {
                    weights = Weights::new(ty, 7, n, k);
                    largest(&mut weights, &mut a);
                }
                for (name, kernel) in all().into_iter().filter(|(_, kernel)| kernel.name().starts_with("cpu-avx")) {
                    let among = run(kernel.as_ref(), &weights, &a, (1.0, 0.0), &vec![0.0; 20 * n], 1);
                    for m in [1, 2, 3, 4, 5, 6, 7, 13] {
                        let few = run(kernel.as_ref(), &weights, &a[..m * k], (1.0, 0.0), &vec![0.0; m * n], 1);
                        let differs = (0..m * n).find(|&i| few[i].to_bits() != among[i].to_bits());
                        assert_eq!(differs, None, "{name} {ty} m{m} k{k} extreme {extreme}");
                    }
                }
            }
        }
    }
    // Between paths of a kernel.
    let mut found = std::collections::HashMap::new();
    for ty in QMatRef::TYPES {
        let (weights, a) = (Weights::new(ty, 5, 33, 512), normal(6, 9 * 512));
        for (name, kernel) in block_paths() {
            let c = run(kernel.as_ref(), &weights, &a, (1.0, 0.0), &[0.0; 9 * 33], 1);
            let bits: Vec<u32> = c.iter().map(|x| x.to_bits()).collect();
            let first = found.entry((ty, kernel.name())).or_insert_with(|| bits.clone());
            assert!(*first == bits, "{} {} {ty}", kernel.name(), name.name());
        }
    }
}

/// Weights whose codes, scales and minima are the largest there are, and rows of A to match.
fn largest(weights: &mut Weights, a: &mut [f32]) {
    let half = f16::from_f32(1.0).to_bits().to_le_bytes();
    let block = weights.ty.block_bytes();
    for (nth, block) in weights.bytes.chunks_exact_mut(block).enumerate() {
        block.fill(if nth % 2 == 0 { 0xff } else { 0x7f });
        match weights.ty {
            GgmlType::Q6_K => block[208..].copy_from_slice(&half),
            GgmlType::Q4_K | GgmlType::Q5_K => block[..4].copy_from_slice(&[half, half].concat()),
            _ => block[..2].copy_from_slice(&half),
        }
    }
    for (i, x) in a.iter_mut().enumerate() {
        *x = if i % 5 == 0 { -1.0 } else { 1.0 } * (1.0 + (i / 1000) as f32);
    }
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
