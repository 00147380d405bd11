//! An implementation with its operands: proved, then timed.

use std::time::{Duration, Instant};

use attention::{
    BF16_WEIGHT_ERROR, Case, Input, Kernel, Mask, Operands, Options, Output, Shape, Threads, View, ViewMut,
    cases::Problem,
};
use op::{Loaded, NamedCase, Ran};
use proof::{
    attention::{Exact, Rounding, Row, check_rows},
    bench::Subject,
    elements::Elements,
    input::{hash, normal},
    with_elements,
};

use crate::unfused;

/// What is timed.
pub(super) enum Implementation {
    Ours(Box<dyn Kernel>),
    /// Two products of our `gemm` with a softmax between them: what a program without a fused kernel does.
    Unfused,
}

fn input(x: &Elements, shape: [usize; 4]) -> Input<'_> {
    with_elements!(x, x => View::from_bnhd(&x[..], shape).expect("as many elements as the tensor has").into())
}

fn output(x: &mut Elements, shape: [usize; 4]) -> Output<'_> {
    with_elements!(x, x => ViewMut::from_bnhd(&mut x[..], shape).expect("as many elements as the tensor has").into())
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
        let mut kv: Vec<_> = (1..copies).map(|_| [first[0].clone(), first[1].clone()]).collect();
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
            out: Elements::poisoned(rows * value_dim, problem.element),
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
                let k = input(k, [batch, keys, kv_heads, head_dim]);
                let v = input(v, [batch, keys, kv_heads, value_dim]);
                let mut options = Options::NONE.mask(problem.mask);
                if let Some(bounds) = bounds {
                    options = options.sequences(bounds, bounds);
                }
                let q = input(q, [batch, queries, heads, head_dim]);
                let out = output(out, [batch, queries, heads, value_dim]);
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
        let is_rounded = self.ran.as_ref().is_some_and(|ran| ran.kernel == "cpu-amx");
        let weight = if is_rounded { BF16_WEIGHT_ERROR } else { 0.0 };
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
                rounding: Rounding { weight, ..Rounding::of_output(self.problem.element) },
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
