//! Products with their operands on the device: proved, then timed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gemm_gpu::{
    Activations, BlockProduct, BlockVariant, Blocks, ElementType, Layout, Matrix, Operand, Product, Variant,
    cases::{Case, Weights},
};
use gpu::{Step, Wgpu};
use half::{bf16, f16};
use op::{Loaded, Ran};
use proof::{
    Tolerance,
    bench::Subject,
    guarded::Guarded,
    input::{hash, normal},
    product::{View, row_major},
};
use quant::GgmlType;

/// Bytes of weights that no cache of a GPU holds.
const STREAM_BYTES: usize = 512 << 20;

/// Numbers of a case, rounded to its type; those of the last case are kept, for the next variant.
fn numbers(ty: ElementType, seed: u64, len: usize) -> std::sync::Arc<Vec<f32>> {
    type Kept = Vec<((ElementType, u64, usize), std::sync::Arc<Vec<f32>>)>;
    static KEPT: Mutex<Kept> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (ty, seed, len);
    if let Some((_, found)) = kept.iter().find(|(known, _)| *known == key) {
        return found.clone();
    }
    let mut x = normal(seed, len);
    for x in &mut x {
        *x = match ty {
            ElementType::F32 => *x,
            ElementType::F16 => f16::from_f32(*x).to_f32(),
            ElementType::Bf16 => bf16::from_f32(*x).to_f32(),
        };
    }
    let x = std::sync::Arc::new(x);
    kept.push((key, x.clone()));
    if kept.len() > 4 {
        kept.remove(0);
    }
    x
}

fn upload(gpu: &Wgpu, ty: ElementType, x: &[f32], rows: usize, cols: usize) -> Matrix {
    let matrix = match ty {
        ElementType::F32 => Matrix::upload(gpu, x, rows, cols),
        ElementType::F16 => Matrix::upload(gpu, &x.iter().map(|x| f16::from_f32(*x)).collect::<Vec<_>>(), rows, cols),
        ElementType::Bf16 => Matrix::upload(gpu, &x.iter().map(|x| bf16::from_f32(*x)).collect::<Vec<_>>(), rows, cols),
    };
    matrix.expect("memory of the device for a matrix")
}

/// How many copies of weights of so many bytes the runs rotate over.
fn copies(gpu: &Wgpu, case: &Case, bytes: usize) -> usize {
    if case.is_streamed && !gpu.identity().is_software() { 1 + STREAM_BYTES.div_ceil(bytes) } else { 1 }
}

/// C, fetched into guarded memory.
fn fetch(gpu: &Wgpu, c: &Matrix) -> Guarded<f32> {
    let mut guarded = Guarded::new(c.rows() * c.cols());
    guarded.copy_from_slice(&c.read(gpu).expect("C from the device"));
    guarded
}

/// A dense product: one, or several over copies of B.
pub(super) struct Dense {
    gpu: &'static Wgpu,
    case: &'static Case,
    products: Vec<Product>,
    c: Matrix,
}

impl Dense {
    pub(super) fn new(gpu: &'static Wgpu, variant: Variant, case: &'static Case) -> Self {
        let &Case { m, n, k, ty, .. } = case;
        let a = upload(gpu, ty, &numbers(ty, 1, m * k), m, k);
        let (rows, cols) = if case.weights == Weights::Columns { (n, k) } else { (k, n) };
        let weights = numbers(ty, 2, k * n);
        let shared = Matrix::zeros(gpu, ElementType::F32, m, n).expect("memory of the device for C");
        let products = (0..copies(gpu, case, k * n * ty.bytes()))
            .map(|_| {
                let b = upload(gpu, ty, &weights, rows, cols);
                let b = if case.weights == Weights::Columns { Operand::Columns(&b) } else { Operand::Rows(&b) };
                let c = (!case.is_overlapped).then_some(&shared);
                Product::new(gpu, variant, &a, b, c).expect("operands of the case's shape")
            })
            .collect::<Vec<_>>();
        let c = products[0].c().clone();
        Self { gpu, case, products, c }
    }
}

impl Loaded for Dense {
    fn run(&mut self) {
        self.products[0].run().expect("a product on the device");
    }

    fn time(&mut self, iters: u64) -> Duration {
        let steps: Vec<Vec<Step<'_>>> = self.products.iter().map(Product::steps).collect();
        timed(self.gpu, &steps, iters)
    }

    fn ran(&self) -> Ran {
        self.products[0].ran().clone()
    }
}

/// The time of `iters` rounds, each with the next copy.
fn timed(gpu: &Wgpu, copies: &[Vec<Step<'_>>], iters: u64) -> Duration {
    let all = copies.concat();
    let (whole, rest) = (iters / copies.len() as u64, iters % copies.len() as u64);
    let mut time = Duration::ZERO;
    if whole > 0 {
        time += gpu.time(&all, whole).expect("time of products on the device");
    }
    if rest > 0 {
        let part = copies[..rest as usize].concat();
        time += gpu.time(&part, 1).expect("time of products on the device");
    }
    time
}

impl Subject for Dense {
    fn prove(&mut self) -> record::Proof {
        self.run();
        let &Case { m, n, k, ty, .. } = self.case;
        let (a, b) = (numbers(ty, 1, m * k), numbers(ty, 2, k * n));
        let by_columns = self.case.weights == Weights::Columns;
        let (rs, cs) = if by_columns { (1, k) } else { (n, 1) };
        let view = View::new(k, n, |p, j| f64::from(b[p * rs + j * cs]));
        let view = if by_columns { view.column_major() } else { view };
        let product = proof::product::Product {
            alpha: 1.0,
            a: &row_major(&a, m, k, k),
            b: &view,
            beta: 0.0,
            c0: None,
            tolerance: Tolerance::gemm_f32(k),
        };
        let checked = product.check_guarded(&fetch(self.gpu, &self.c), n, 3);
        proof::compare::proof(checked, hash(&[&a, &b]))
    }
}

/// Weights in blocks; a run rounds the activations, unless the case says that they are rounded already.
pub(super) struct Blocked {
    gpu: &'static Wgpu,
    case: &'static Case,
    bytes: Vec<u8>,
    activations: Activations,
    products: Vec<BlockProduct>,
}

impl Blocked {
    pub(super) fn new(gpu: &'static Wgpu, layout: Layout, variant: BlockVariant, case: &'static Case) -> Self {
        let &Case { m, n, k, .. } = case;
        let Weights::Blocks(ty) = case.weights else { panic!("{} has no blocks", case.name) };
        let bytes = quantized(ty, n, k);
        let x = upload(gpu, ElementType::F32, &numbers(ElementType::F32, 1, m * k), m, k);
        let activations = Activations::new(gpu, ty, &x).expect("memory of the device for activations");
        let shared = Matrix::zeros(gpu, ElementType::F32, m, n).expect("memory of the device for C");
        let products = (0..copies(gpu, case, bytes.len()))
            .map(|_| {
                let blocks = Blocks::upload(gpu, ty, layout, &bytes, n, k).expect("memory of the device for weights");
                let c = (!case.is_overlapped).then_some(&shared);
                BlockProduct::new(gpu, variant, &activations, &blocks, c).expect("operands of the case's shape")
            })
            .collect();
        Self { gpu, case, bytes, activations, products }
    }

    fn steps<'a>(&'a self, product: &'a BlockProduct) -> Vec<Step<'a>> {
        let mut steps = if self.case.is_rounded { Vec::new() } else { self.activations.steps() };
        steps.extend(product.steps());
        steps
    }
}

/// The weights of a case; the last ones are kept, for the next variant.
fn quantized(ty: GgmlType, n: usize, k: usize) -> Vec<u8> {
    type Kept = Option<((GgmlType, usize, usize), Vec<u8>)>;
    static KEPT: Mutex<Kept> = Mutex::new(None);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    match &*kept {
        Some((key, bytes)) if *key == (ty, n, k) => bytes.clone(),
        _ => {
            let mut bytes = vec![0; n * ty.row_bytes(k).expect("whole blocks")];
            quant::quantize(ty, &normal(2, n * k), &mut bytes).expect("whole blocks");
            *kept = Some(((ty, n, k), bytes.clone()));
            bytes
        }
    }
}

impl Loaded for Blocked {
    fn run(&mut self) {
        let steps = [self.activations.steps(), self.products[0].steps()].concat();
        self.gpu.run(&steps).expect("a product on the device");
    }

    fn time(&mut self, iters: u64) -> Duration {
        let steps: Vec<Vec<Step<'_>>> = self.products.iter().map(|product| self.steps(product)).collect();
        timed(self.gpu, &steps, iters)
    }

    fn ran(&self) -> Ran {
        self.products[0].ran().clone()
    }
}

impl Subject for Blocked {
    /// Rounding A is part of the definition: the product is proved for the codes that the device made, and the codes
    /// are proved to be within half a step of A.
    fn prove(&mut self) -> record::Proof {
        self.run();
        let &Case { m, n, k, .. } = self.case;
        let Weights::Blocks(ty) = self.case.weights else { panic!("{} has no blocks", self.case.name) };
        let x = numbers(ElementType::F32, 1, m * k);
        let a = self.activations.read(self.gpu).expect("codes from the device");
        let mut b = vec![0.0; n * k];
        quant::dequantize(ty, &self.bytes, &mut b).expect("whole blocks");
        let product = proof::product::Product {
            alpha: 1.0,
            a: &row_major(&a, m, k, k),
            b: &View::new(k, n, |p, j| f64::from(b[j * k + p])).column_major(),
            beta: 0.0,
            c0: None,
            tolerance: Tolerance::gemm_f32(k),
        };
        let checked = product.check_guarded(&fetch(self.gpu, self.products[0].c()), n, 3);
        let mut proof = proof::compare::proof(checked, hash(&[&a, &b]));
        let span = ty.block_len();
        let wrong = a.iter().zip(&*x).enumerate().find(|(at, (a, x))| {
            let peak = |from: &[f32]| from.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
            let step = peak(&x_of(self.case, *at, span)) / 127.0;
            // A NaN is wrong.
            (**a - **x).abs().partial_cmp(&(0.501 * step)).is_none_or(std::cmp::Ordering::is_gt)
        });
        let text = wrong.map(|(at, (a, x))| format!("number {at} of A, {x}, is rounded to {a}"));
        proof.failure = proof.failure.or(text);
        proof
    }
}

/// The numbers of A that share a scale with number `at`.
fn x_of(case: &Case, at: usize, span: usize) -> Vec<f32> {
    let x = numbers(ElementType::F32, 1, case.m * case.k);
    let (row, within) = (at / case.k, at % case.k / span * span);
    x[row * case.k + within..][..span.min(case.k - within)].to_vec()
}
