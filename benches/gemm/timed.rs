//! An implementation with its operands: proved, then timed.

use std::time::{Duration, Instant};

use gemm::{
    Activation, Case, Epilogue, Input, Int8Weights, Kernel, MatMut, MatRef, Operands, PackedB, QMatRef, Rhs, Shape,
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
use quant::GgmlType;

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

/// B in the form of its case.
enum B {
    Matrix(Elements),
    Packed(PackedB),
    Blocks(GgmlType, Vec<u8>),
    Int8(Int8Weights),
}

impl B {
    fn new(by: &Implementation, order: Order, plain: &Elements, Shape { n, k, .. }: Shape) -> Self {
        match (by, order) {
            (Implementation::Ours(kernel), Order::Packed) => {
                Self::Packed(kernel.pack(view(plain, k, n, false)).expect("memory for the weights"))
            }
            (_, Order::Blocks(ty)) => {
                let mut bytes = vec![0; n * ty.row_bytes(k).expect("whole blocks")];
                quant::quantize(ty, &plain.floats(), &mut bytes).expect("whole blocks");
                Self::Blocks(ty, bytes)
            }
            (_, Order::Int8) => Self::Int8(Int8Weights::round(view(plain, k, n, true)).expect("a short k")),
            _ => Self::Matrix(plain.clone()),
        }
    }

    /// In memory of its own; `None` for packed weights.
    fn copy(&self) -> Option<Self> {
        match self {
            Self::Matrix(b) => Some(Self::Matrix(b.clone())),
            Self::Packed(_) => None,
            Self::Blocks(ty, bytes) => Some(Self::Blocks(*ty, bytes.clone())),
            Self::Int8(b) => Some(Self::Int8(b.clone())),
        }
    }

    fn rhs(&self, Shape { n, k, .. }: Shape, by_columns: bool) -> Rhs<'_> {
        match self {
            Self::Matrix(b) => view(b, k, n, by_columns).into(),
            Self::Packed(b) => b.into(),
            Self::Blocks(ty, bytes) => QMatRef::from_bytes(*ty, bytes, n, k).expect("n rows of k").into(),
            Self::Int8(b) => b.into(),
        }
    }

    /// What the codes stand for, column by column; `None` without codes.
    fn floats(&self, Shape { n, k, .. }: Shape) -> Option<Vec<f32>> {
        match self {
            Self::Matrix(_) | Self::Packed(_) => None,
            Self::Blocks(ty, bytes) => {
                let mut floats = vec![0.0; k * n];
                quant::dequantize(*ty, bytes, &mut floats).expect("whole blocks");
                Some(floats)
            }
            Self::Int8(b) => {
                let element = |j: usize, p: usize| Some(f32::from(b.code(p, j)?) * b.scales()[j]);
                Some((0..n).flat_map(|j| (0..k).filter_map(move |p| element(j, p))).collect())
            }
        }
    }
}

/// An implementation with its operands.
pub(super) struct Timed {
    by: Implementation,
    case: Case,
    by_columns: bool,
    a: Elements,
    /// B as a matrix.
    plain: Elements,
    /// One, or several copies that no cache holds together.
    b: Vec<B>,
    next: usize,
    bias: Option<Vec<f32>>,
    c: Guarded<f32>,
    ran: Option<Ran>,
}

impl Timed {
    pub(super) fn new(by: Implementation, case: Case, named: &NamedCase<cases::Product>) -> Self {
        let shape @ Shape { m, n, k } = case.shape;
        let cases::Product { element, b: order, activation, .. } = named.params;
        let by_columns = matches!(order, Order::Columns | Order::Blocks(_) | Order::Int8);
        let (a, plain) = (Elements::new(&normal(1, m * k), element), Elements::new(&normal(2, k * n), element));
        let bytes = match order {
            Order::Blocks(ty) => n * ty.row_bytes(k).expect("whole blocks"),
            Order::Int8 => n * k,
            _ => k * n * element.bytes(),
        };
        let mut b = vec![B::new(&by, order, &plain, shape)];
        for _ in 1..named.regime.copies(bytes) {
            // Rounding to codes takes long, copying them does not.
            let copy = b[0].copy().unwrap_or_else(|| B::new(&by, order, &plain, shape));
            b.push(copy);
        }
        let bias = (activation != Activation::Identity).then(|| normal(3, n));
        Self { by, case, by_columns, a, plain, b, next: 0, bias, c: Guarded::new(m * n), ran: None }
    }

    fn run_each(&mut self, iters: u64) -> Duration {
        let count = self.b.len();
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
        let Self { by, case, by_columns, a, b, bias, c, ran, .. } = self;
        let Shape { m, n, k } = case.shape;
        match by {
            Implementation::Ours(kernel) => {
                let b = b[copy].rhs(case.shape, *by_columns);
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
                let (Elements::F32(a), B::Matrix(Elements::F32(b))) = (a, &b[copy]) else {
                    panic!("ndarray multiplies matrices of f32")
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
        // Rounding A is part of the definition of products with codes.
        let mut a = self.a.floats();
        if let Some(codes) = self.case.codes {
            a = round_activations(codes, k, &a);
        }
        let b = self.b[0].floats(self.case.shape).unwrap_or_else(|| self.plain.floats());
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
