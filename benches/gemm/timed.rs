//! An implementation with its operands: proved, then timed.

use std::time::{Duration, Instant};

use gemm::{
    Activation, Case, Epilogue, Input, Kernel, MatMut, MatRef, Operands, PackedB, QMatRef, Rhs, Shape,
    cases::{self, Order},
    round_activations,
};
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder, linalg::general_mat_mul};
use op::{Loaded, NamedCase, Ran};
use proof::{
    Tolerance,
    bench::Subject,
    elements::Elements,
    guarded::Guarded,
    input::{hash, normal},
    product::{Product, View, row_major},
    with_elements,
};

/// What is timed.
pub(super) enum Implementation {
    Ours(Box<dyn Kernel>),
    /// `ndarray`, which calls `matrixmultiply`.
    Ndarray,
}

fn view(x: &Elements, rows: usize, cols: usize, by_columns: bool) -> Input<'_> {
    with_elements!(x, x => {
        let view =
            if by_columns { MatRef::from_col_major(x, rows, cols) } else { MatRef::from_row_major(x, rows, cols) };
        view.expect("as many elements as the matrix has").into()
    })
}

/// An implementation with its operands.
pub(super) struct Timed {
    by: Implementation,
    case: Case,
    by_columns: bool,
    a: Elements,
    /// One, or several copies that no cache holds together.
    b: Vec<Elements>,
    packed: Vec<PackedB>,
    /// Copies of the weights in blocks, instead of `b`.
    blocks: Vec<Vec<u8>>,
    next: usize,
    bias: Option<Vec<f32>>,
    c: Guarded<f32>,
    ran: Option<Ran>,
}

impl Timed {
    pub(super) fn new(by: Implementation, case: Case, named: &NamedCase<cases::Product>) -> Self {
        let Shape { m, n, k } = case.shape;
        let cases::Product { element, b: order, activation, .. } = named.params;
        let by_columns = matches!(order, Order::Columns | Order::Blocks(_));
        let (a, first) = (Elements::new(&normal(1, m * k), element), Elements::new(&normal(2, k * n), element));
        let (mut b, mut blocks) = (Vec::new(), Vec::new());
        if let Order::Blocks(ty) = order {
            let mut bytes = vec![0; n * ty.row_bytes(k).expect("whole blocks")];
            quant::quantize(ty, &first.floats(), &mut bytes).expect("whole blocks");
            blocks = vec![bytes; named.regime.copies(n * ty.row_bytes(k).expect("whole blocks"))];
        } else {
            b = vec![first; named.regime.copies(k * n * element.bytes())];
        }
        let packed = match (&by, order) {
            (Implementation::Ours(kernel), Order::Packed) => {
                b.iter().map(|b| kernel.pack(view(b, k, n, false)).expect("memory for the weights")).collect()
            }
            _ => Vec::new(),
        };
        let bias = (activation != Activation::Identity).then(|| normal(3, n));
        Self { by, case, by_columns, a, b, packed, blocks, next: 0, bias, c: Guarded::new(m * n), ran: None }
    }

    fn run_each(&mut self, iters: u64) -> Duration {
        let count = self.b.len().max(self.blocks.len());
        if count == 1 {
            return self.run_on(0, iters);
        }
        // One copy after the other.
        let mut elapsed = Duration::ZERO;
        for _ in 0..iters {
            elapsed += self.run_on(self.next, 1);
            self.next = (self.next + 1) % count;
        }
        elapsed
    }

    fn run_on(&mut self, copy: usize, iters: u64) -> Duration {
        let Self { by, case, by_columns, a, b, packed, blocks, bias, c, ran, .. } = self;
        let Shape { m, n, k } = case.shape;
        match by {
            Implementation::Ours(kernel) => {
                let b: Rhs<'_> = match (packed.get(copy), case.blocks) {
                    (Some(packed), _) => packed.into(),
                    (None, Some(ty)) => QMatRef::from_bytes(ty, &blocks[copy], n, k).expect("n rows of k").into(),
                    (None, None) => view(&b[copy], k, n, *by_columns).into(),
                };
                let c = MatMut::from_row_major(c, m, n).expect("m x n");
                let epilogue = bias
                    .as_deref()
                    .map_or(Epilogue::NONE, |bias| Epilogue::new().bias_per_column(bias).activation(Activation::Gelu));
                let operands = Operands { epilogue, ..Operands::new(view(a, m, k, false), b, c) };
                let mut loaded = kernel.load(case, operands).expect("operands of the case's shape");
                let elapsed = loaded.time(iters);
                *ran = Some(loaded.ran());
                elapsed
            }
            Implementation::Ndarray => {
                let (Elements::F32(a), Elements::F32(b)) = (a, &b[copy]) else {
                    panic!("ndarray has no 16-bit products")
                };
                let a = ArrayView2::from_shape((m, k), &a[..]).expect("m x k");
                let b = ArrayView2::from_shape((k, n).set_f(*by_columns), &b[..]).expect("k x n");
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
    /// With an epilogue, the product alone is proved, by the same kernel and path; then the epilogue against it.
    fn prove(&mut self) -> record::Proof {
        let bias = self.bias.take();
        self.c.poison();
        self.run();
        let Shape { m, n, k } = self.case.shape;
        let (rs, cs) = if self.by_columns { (1, k) } else { (n, 1) };
        let (mut a, mut b) = (self.a.floats(), vec![0.0; if self.case.blocks.is_some() { k * n } else { 0 }]);
        match self.case.blocks {
            // Rounding A is part of the definition of these products.
            Some(ty) => {
                a = round_activations(ty, &a);
                quant::dequantize(ty, &self.blocks[0], &mut b).expect("whole blocks");
            }
            None => b = self.b[0].floats(),
        }
        let b_view = View::new(k, n, |p, j| f64::from(b[p * rs + j * cs]));
        let b_view = if self.by_columns { b_view.column_major() } else { b_view };
        let product = Product {
            alpha: f64::from(self.case.alpha),
            a: &row_major(&a, m, k, k),
            b: &b_view,
            beta: f64::from(self.case.beta),
            c0: None,
            tolerance: Tolerance::gemm_f32(k),
        };
        let mut proof = proof::compare::proof(product.check_guarded(&self.c, n, 3), hash(&[&a, &b]));
        if let Some(bias) = bias {
            let plain = self.c.to_vec();
            self.bias = Some(bias);
            self.c.poison();
            self.run();
            proof.failure = proof.failure.or_else(|| self.wrong_epilogue(&plain));
        }
        proof
    }
}

impl Loaded for Timed {
    fn run(&mut self) {
        self.run_each(1);
    }

    fn time(&mut self, iters: u64) -> Duration {
        self.run_each(iters)
    }

    fn ran(&self) -> Ran {
        // `matrixmultiply` chooses by itself and does not say what.
        let flops = self.case.shape.flops().unwrap_or(u64::MAX);
        self.ran.clone().unwrap_or_else(|| Ran { flops, ..Ran::new("ndarray", "matrixmultiply") })
    }
}

impl Timed {
    /// Where C is not the GELU of the product and the bias, by the approximation with tanh, which is right to 5e-4.
    fn wrong_epilogue(&self, plain: &[f32]) -> Option<String> {
        let (n, bias) = (self.case.shape.n, self.bias.as_deref()?);
        let about = |x: f64| 0.5 * x * (1.0 + (0.797_884_560_802_865 * (x + 0.044_715 * x.powi(3))).tanh());
        self.c.iter().zip(plain).enumerate().find_map(|(at, (&c, &plain))| {
            let expected = about(f64::from(plain) + f64::from(bias[at % n]));
            let is_close = (f64::from(c) - expected).abs() <= 1e-3;
            (!is_close).then(|| format!("element {at} is {c}, about {expected} was expected"))
        })
    }
}
