//! C <- A B in f32: every kernel of this machine and `ndarray`, side by side on the shapes that its users run.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use gemm::{Case, Kernel, MatMut, MatRef, Operands, Parallelism, Shape, explain, kernels};
use machine::{isa::Isa, kernel::Ran};
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder, linalg::general_mat_mul};
use proof::{
    Tolerance,
    bench::{Bench, Ceiling, Subject, Suite},
    guarded::Guarded,
    input::{hash, normal},
    product::{Product, View, row_major},
};
use record::Work;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

/// One problem, and who is timed on it.
struct Row {
    shape: Shape,
    /// B is stored column after column: y = x Wt with the weights as models store them.
    b_by_columns: bool,
    threads: usize,
    /// Of the id whose kernel is `auto`; the others are tier 2, or the same if that is more.
    tier: u8,
    rivals: Rivals,
}

/// Kernels timed beside `auto`.
#[derive(Clone, Copy, PartialEq)]
enum Rivals {
    None,
    /// `ndarray`, which has one thread.
    Foreign,
    /// `ndarray` and every kernel of ours that is not portable.
    Fast,
    /// All.
    All,
}

const fn row(m: usize, n: usize, k: usize, threads: usize, tier: u8, rivals: Rivals) -> Row {
    Row { shape: Shape { m, n, k }, b_by_columns: false, threads, tier, rivals }
}

const ROWS: [Row; 16] = [
    // Squares. 1000 is no multiple of any tile; rows of 1024 floats share sets of the caches.
    row(256, 256, 256, 1, 1, Rivals::All),
    row(512, 512, 512, 1, 1, Rivals::All),
    row(1000, 1000, 1000, 1, 1, Rivals::Fast),
    row(1024, 1024, 1024, 2, 1, Rivals::None),
    row(1024, 1024, 1024, 1, 2, Rivals::Fast),
    row(512, 512, 512, 2, 2, Rivals::None),
    row(256, 256, 256, 2, 2, Rivals::None),
    row(64, 64, 64, 1, 2, Rivals::Foreign),
    row(16, 16, 16, 1, 3, Rivals::Foreign),
    // A few rows of activations against a layer's weights, and the long way round.
    row(8, 1536, 384, 1, 1, Rivals::Fast),
    row(2048, 48, 512, 1, 1, Rivals::Fast),
    row(128, 1536, 384, 1, 3, Rivals::Foreign),
    // Short and long sums.
    row(512, 512, 16, 1, 3, Rivals::Foreign),
    row(64, 64, 8192, 1, 3, Rivals::Foreign),
    // Weights as models store them.
    Row { b_by_columns: true, ..row(128, 1536, 384, 1, 2, Rivals::Foreign) },
    Row { b_by_columns: true, ..row(8, 1536, 384, 1, 3, Rivals::Foreign) },
];

fn main() {
    proof::bench::main(|suite| {
        for row in &ROWS {
            for kernel in kernels() {
                let is_timed = match kernel.name() {
                    "auto" => true,
                    "reference" => false,
                    "cpu-scalar" => row.rivals == Rivals::All,
                    _ => matches!(row.rivals, Rivals::Fast | Rivals::All),
                };
                if is_timed {
                    declare(suite, row, Who::Ours(kernel));
                }
            }
            if row.rivals != Rivals::None {
                declare(suite, row, Who::Ndarray);
            }
        }
    });
}

/// A contestant.
enum Who {
    Ours(Box<dyn Kernel>),
    /// `ndarray`, which calls `matrixmultiply`.
    Ndarray,
}

fn declare(suite: &mut Suite, row: &Row, who: Who) {
    let &Row { shape, b_by_columns, threads, tier, .. } = row;
    let Shape { m, n, k } = shape;
    let parallelism =
        NonZeroUsize::new(threads).filter(|_| threads > 1).map_or(Parallelism::Serial, Parallelism::Rayon);
    let case = Case { shape, alpha: 1.0, beta: 0.0, parallelism };
    let (name, isa, tier) = match &who {
        Who::Ours(kernel) if kernel.name() == "auto" => ("auto", explain(shape, parallelism).isa, tier),
        Who::Ours(kernel) => (kernel.name(), isa_of(kernel.name()), tier.max(2)),
        Who::Ndarray => ("ndarray", Isa::best(), tier.max(2)),
    };
    let layout = if b_by_columns { "-bt" } else { "" };
    let floats = m * k + k * n + m * n;
    let bench = Bench {
        group: "gemm/gemm/f32".to_owned(),
        function: format!("m{m}-n{n}-k{k}{layout}/resident/t{threads}"),
        value: name.to_owned(),
        tier,
        work: Work { flops: shape.flops().map(|flops| flops as f64), bytes: Some(4.0 * floats as f64), elements: None },
        throughput: None,
        ceiling: Ceiling::Fma { isa, threads },
    };
    suite.bench(bench, || Box::new(Timed::new(who, case, b_by_columns)));
}

/// The instruction set in a kernel's name: `cpu-avx2`.
fn isa_of(kernel: &str) -> Isa {
    kernel.strip_prefix("cpu-").and_then(|isa| isa.parse().ok()).unwrap_or(Isa::Scalar)
}

/// Values on a cache line's boundary: where the allocator happens to put a small operand would else be part of its time.
fn input(seed: u64, len: usize) -> Guarded<f32> {
    let mut values = Guarded::new(len);
    values.copy_from_slice(&normal(seed, len));
    values
}

/// A contestant with its operands.
struct Timed {
    who: Who,
    case: Case,
    b_by_columns: bool,
    a: Guarded<f32>,
    b: Guarded<f32>,
    c: Guarded<f32>,
    ran: Option<Ran>,
}

impl Timed {
    fn new(who: Who, case: Case, b_by_columns: bool) -> Self {
        let Shape { m, n, k } = case.shape;
        let (a, b, c) = (input(1, m * k), input(2, k * n), Guarded::new(m * n));
        Self { who, case, b_by_columns, a, b, c, ran: None }
    }

    fn run(&mut self, iters: u64) -> Duration {
        let Self { who, case, b_by_columns, a, b, c, ran } = self;
        let Shape { m, n, k } = case.shape;
        match who {
            Who::Ours(kernel) => {
                let b = if *b_by_columns { MatRef::from_col_major(b, k, n) } else { MatRef::from_row_major(b, k, n) };
                let (a, b) = (MatRef::from_row_major(a, m, k).expect("m x k"), b.expect("k x n"));
                let operands = Operands { a, b, c: MatMut::from_row_major(c, m, n).expect("m x n") };
                let mut loaded = kernel.load(case, operands).expect("operands of the case's shape");
                let elapsed = loaded.time(iters);
                *ran = Some(loaded.ran());
                elapsed
            }
            Who::Ndarray => {
                let a = ArrayView2::from_shape((m, k), &a[..]).expect("m x k");
                let b = ArrayView2::from_shape((k, n).set_f(*b_by_columns), &b[..]).expect("k x n");
                let mut c = ArrayViewMut2::from_shape((m, n), c).expect("m x n");
                let start = Instant::now();
                for _ in 0..iters {
                    // What `.dot` calls, without the allocation of its result.
                    general_mat_mul(case.alpha, &a, &b, case.beta, &mut c);
                }
                start.elapsed()
            }
        }
    }
}

impl Subject for Timed {
    fn prove(&mut self) -> record::Proof {
        self.c.poison();
        self.run(1);
        let Self { case, b_by_columns, a, b, c, .. } = self;
        let Shape { m, n, k } = case.shape;
        let (rs, cs) = if *b_by_columns { (1, k) } else { (n, 1) };
        let b_view = View::new(k, n, |p, j| f64::from(b[p * rs + j * cs]));
        let b_view = if *b_by_columns { b_view.column_major() } else { b_view };
        let product = Product {
            alpha: f64::from(case.alpha),
            a: &row_major(a, m, k, k),
            b: &b_view,
            beta: f64::from(case.beta),
            c0: None,
            tolerance: Tolerance::gemm_f32(k),
        };
        proof::compare::proof(product.check_guarded(c, n, 3), hash(&[a, b]))
    }

    fn time(&mut self, iters: u64) -> Duration {
        self.run(iters)
    }

    fn ran(&self) -> Ran {
        let foreign = |kernel, isa: &str| Ran {
            kernel,
            isa: isa.to_owned(),
            path: String::new(),
            tile: String::new(),
            threads: 1,
            flops: self.case.shape.flops().unwrap_or(u64::MAX),
            bytes: 0,
        };
        // `matrixmultiply` chooses by itself and does not say what.
        self.ran.clone().unwrap_or_else(|| foreign("ndarray", "matrixmultiply"))
    }
}
