//! An implementation with its operands: proved, then timed.

use std::time::{Duration, Instant};

use attention::{
    Case, Element, ElementType, Input, Kernel, Mask, Operands, Options, Output, Shape, Threads, View, ViewMut,
    cases::Problem,
};
use half::{bf16, f16};
use op::{Loaded, NamedCase, Ran};
use proof::{
    Mismatch,
    attention::{Exact, Rounding, Row, check_rows},
    bench::Subject,
    guarded::Guarded,
    input::{hash, normal},
};

use crate::unfused;

/// What is timed.
pub(super) enum Implementation {
    Ours(Box<dyn Kernel>),
    /// Two products of our `gemm` with a softmax between them: what a program without a fused kernel does.
    Unfused,
}

/// Elements of a tensor, the first on a cache line where they are floats.
enum Elements {
    F32(Guarded<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl Elements {
    fn new(values: &[f32], element: ElementType) -> Self {
        match element {
            ElementType::F16 => Self::F16(values.iter().copied().map(f16::from_f32).collect()),
            ElementType::Bf16 => Self::Bf16(values.iter().copied().map(bf16::from_f32).collect()),
            _ => {
                let mut aligned = Guarded::new(values.len());
                aligned.copy_from_slice(values);
                Self::F32(aligned)
            }
        }
    }

    fn duplicate(&self) -> Self {
        match self {
            Self::F32(x) => Self::F32(x.clone()),
            Self::F16(x) => Self::F16(x.clone()),
            Self::Bf16(x) => Self::Bf16(x.clone()),
        }
    }

    fn floats(&self) -> Vec<f32> {
        match self {
            Self::F32(x) => x.to_vec(),
            Self::F16(x) => x.iter().map(|x| x.to_f32()).collect(),
            Self::Bf16(x) => x.iter().map(|x| x.to_f32()).collect(),
        }
    }

    fn poison(&mut self) {
        match self {
            Self::F32(x) => x.poison(),
            Self::F16(x) => x.fill(f16::NAN),
            Self::Bf16(x) => x.fill(bf16::NAN),
        }
    }

    /// Whether all of it was written, and nothing around it.
    fn verify(&self) -> Result<(), Mismatch> {
        match self {
            Self::F32(x) => x.verify(),
            _ => match self.floats().iter().position(|x| x.is_nan()) {
                Some(index) => Err(Mismatch::Poison { index: index as u64 }),
                None => Ok(()),
            },
        }
    }

    fn input(&self, shape: [usize; 4]) -> Input<'_> {
        fn view<T: Element>(x: &[T], shape: [usize; 4]) -> Input<'_> {
            View::from_bnhd(x, shape).expect("as many elements as the tensor has").into()
        }
        match self {
            Self::F32(x) => view(&x[..], shape),
            Self::F16(x) => view(x, shape),
            Self::Bf16(x) => view(x, shape),
        }
    }

    fn output(&mut self, shape: [usize; 4]) -> Output<'_> {
        fn view<T: Element>(x: &mut [T], shape: [usize; 4]) -> Output<'_> {
            ViewMut::from_bnhd(x, shape).expect("as many elements as the tensor has").into()
        }
        match self {
            Self::F32(x) => view(&mut x[..], shape),
            Self::F16(x) => view(x, shape),
            Self::Bf16(x) => view(x, shape),
        }
    }
}

/// An implementation with its operands.
pub(super) struct Timed {
    by: Implementation,
    problem: &'static Problem,
    case: Case,
    bounds: Option<Vec<usize>>,
    q: Elements,
    /// K and V: one, or several copies that no cache holds together.
    kv: Vec<[Elements; 2]>,
    next: usize,
    out: Elements,
    ran: Option<Ran>,
}

impl Timed {
    pub(super) fn new(by: Implementation, named: &'static NamedCase<Problem>, threads: Threads) -> Self {
        let problem = &named.params;
        let Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = problem.shape;
        let kv_rows = batch * keys * kv_heads;
        let tensor = |seed, len| Elements::new(&normal(seed, len), problem.element);
        let first = [tensor(2, kv_rows * head_dim), tensor(3, kv_rows * value_dim)];
        let copies = named.regime.copies(kv_rows * (head_dim + value_dim) * problem.element.bytes());
        let mut kv: Vec<_> = (1..copies).map(|_| [first[0].duplicate(), first[1].duplicate()]).collect();
        kv.push(first);
        let rows = batch * queries * heads;
        Self {
            by,
            problem,
            case: Case { shape: problem.shape, threads },
            bounds: problem.bounds(),
            q: tensor(1, rows * head_dim),
            kv,
            next: 0,
            out: Elements::new(&vec![0.0; rows * value_dim], problem.element),
            ran: None,
        }
    }

    fn run_each(&mut self, iters: u64) -> Duration {
        if self.kv.len() == 1 {
            return self.run_on(0, iters);
        }
        // One copy after the other.
        let mut elapsed = Duration::ZERO;
        for _ in 0..iters {
            elapsed += self.run_on(self.next, 1);
            self.next = (self.next + 1) % self.kv.len();
        }
        elapsed
    }

    fn run_on(&mut self, copy: usize, iters: u64) -> Duration {
        let Self { by, problem, case, bounds, q, kv, out, ran, .. } = self;
        let Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = case.shape;
        match by {
            Implementation::Ours(kernel) => {
                let [k, v] = &kv[copy];
                let k = k.input([batch, keys, kv_heads, head_dim]);
                let v = v.input([batch, keys, kv_heads, value_dim]);
                let mut options = Options::NONE.mask(problem.mask);
                if let Some(bounds) = bounds {
                    options = options.sequences(bounds, bounds);
                }
                let q = q.input([batch, queries, heads, head_dim]);
                let out = out.output([batch, queries, heads, value_dim]);
                let operands = Operands { q, k, v, out, lse: None, options };
                let mut loaded = kernel.load(case, operands).expect("operands of the case's shape");
                let elapsed = loaded.time(iters);
                *ran = Some(loaded.ran());
                elapsed
            }
            Implementation::Unfused => {
                let (Elements::F32(q), [Elements::F32(k), Elements::F32(v)], Elements::F32(out)) = (q, &kv[copy], out)
                else {
                    panic!("the unfused way is timed on floats")
                };
                let mut scores = vec![0.0; queries * keys];
                let start = Instant::now();
                for _ in 0..iters {
                    unfused::attention(problem, [&q[..], &k[..], &v[..]], &mut scores, out);
                }
                start.elapsed()
            }
        }
    }

    /// Some rows of the output in f64: the first, the last, and others between them.
    fn sample(&self) -> (Vec<f32>, Vec<Exact>) {
        const ROWS: usize = 32;
        let Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = self.case.shape;
        let (q, [k, v]) = (self.q.floats(), self.kv[0].each_ref().map(Elements::floats));
        let out = self.out.floats();
        let output = match self.problem.element {
            ElementType::F16 => 2.0_f64.powi(-11),
            ElementType::Bf16 => 2.0_f64.powi(-8),
            _ => 0.0,
        };
        let rows = batch * queries * heads;
        let count = rows.min(ROWS);
        let (mut got, mut exact) = (Vec::new(), Vec::new());
        for row in (0..count).map(|i| if count == 1 { 0 } else { i * (rows - 1) / (count - 1) }) {
            let (batch, token, head) = (row / heads / queries, row / heads % queries, row % heads);
            let kv_row = |key: usize| (batch * keys + key) * kv_heads + head / (heads / kv_heads);
            let seen = Row {
                head_dim,
                value_dim,
                scale: f64::from(1.0 / (head_dim as f32).sqrt()),
                q: &|d| f64::from(q[row * head_dim + d]),
                k: &|key, d| f64::from(k[kv_row(key) * head_dim + d]),
                v: &|key, d| f64::from(v[kv_row(key) * value_dim + d]),
                term: &|_| 0.0,
                keys: self.keys_of(token),
                rounding: Rounding { output, ..Rounding::default() },
            };
            exact.push(seen.exact());
            got.extend_from_slice(&out[row * value_dim..(row + 1) * value_dim]);
        }
        (got, exact)
    }

    /// The keys that the query of a token sees.
    fn keys_of(&self, token: usize) -> std::ops::Range<usize> {
        let Shape { queries, keys, .. } = self.case.shape;
        if let Some(bounds) = &self.bounds {
            let end = bounds.partition_point(|&bound| bound <= token);
            return bounds[end - 1]..bounds[end];
        }
        let position = token + keys - queries;
        match self.problem.mask {
            Mask::None => 0..keys,
            Mask::Causal => 0..position + 1,
            Mask::Window { left, right } => position.saturating_sub(left)..keys.min(position + right + 1),
        }
    }
}

impl Subject for Timed {
    /// All of the output must be written, and some of its rows are compared with rows in f64.
    fn prove(&mut self) -> record::Proof {
        self.out.poison();
        self.next = 0;
        self.run_on(0, 1);
        let input_hash = hash(&[&self.q.floats(), &self.kv[0][0].floats(), &self.kv[0][1].floats()]);
        let checked = self.out.verify().and_then(|()| {
            let (got, exact) = self.sample();
            check_rows(&got, &exact)
        });
        proof::compare::proof(checked, input_hash)
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
        self.ran.clone().unwrap_or_else(|| Ran { flops: self.problem.flops(), ..Ran::new("gemm-softmax", "gemm") })
    }
}
