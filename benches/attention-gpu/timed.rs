//! A variant with its operands on the device: proved, then timed.

use std::{cell::RefCell, ops::Range, rc::Rc, time::Duration};

use attention_gpu::{Attention, Mask, OnDevice, Operands, Problem, Shape, Variant};
use op::{Loaded, NamedCase, Ran, Regime};
use proof::{
    attention::{Exact, Rounding, Row, check_rows},
    bench::Subject,
    compare::{self, Mismatch},
    elements::Elements,
    input::{hash, normal},
    with_elements,
};

/// Bytes that no cache of a GPU holds.
const STREAMED_BYTES: usize = 1 << 30;
/// Half a unit in the last place of f16: what cooperative matrices round weights to.
const F16_WEIGHT_ERROR: f64 = 1.0 / 2048.0;

/// The operands of a case, and some rows of the output in f64: the first, the last, and others between them.
struct Inputs {
    problem: &'static Problem,
    q: Elements,
    k: Elements,
    v: Elements,
    hash: String,
    rows: Vec<usize>,
    exact: Vec<Exact>,
    /// For variants that round weights to f16.
    exact_f16: Vec<Exact>,
}

/// A variant with its operands.
pub(super) struct Timed {
    inputs: Rc<Inputs>,
    loaded: OnDevice,
}

impl Timed {
    /// # Panics
    /// Where the device refuses the problem: there is nothing to time.
    pub(super) fn new(attention: &Attention, named: &'static NamedCase<Problem>, variant: Option<Variant>) -> Self {
        let inputs = Inputs::of(named);
        let Shape { batch, keys, kv_heads, head_dim, .. } = named.params.shape;
        let kv_bytes = 2 * batch * keys * kv_heads * head_dim * named.params.element.bytes();
        let is_streamed = named.regime == Regime::Streamed && !attention.gpu().identity().is_software();
        let copies = if is_streamed { STREAMED_BYTES.div_ceil(kv_bytes) } else { 1 };
        let operands = Operands { q: bytes(&inputs.q), k: bytes(&inputs.k), v: bytes(&inputs.v), copies };
        let loaded = OnDevice::new(attention, &named.params, variant, operands);
        let loaded = loaded.unwrap_or_else(|error| panic!("{}: {error}", named.name));
        Self { inputs, loaded }
    }

    /// Runs once on a poisoned output: all of it must be written, and some rows are compared.
    fn check(&mut self) -> Result<compare::Checked, Mismatch> {
        let Shape { batch, queries, heads, head_dim, .. } = self.inputs.problem.shape;
        let mut out = vec![0.0; batch * queries * heads * head_dim];
        self.loaded.poison().unwrap_or_else(|error| panic!("{error}"));
        self.loaded.reset();
        self.loaded.run();
        self.loaded.read(&mut out);
        let row = |row: usize| out[row * head_dim..(row + 1) * head_dim].iter().copied();
        let mut got: Vec<f32> = self.inputs.rows.iter().flat_map(|&at| row(at)).collect();
        if let Some(missing) = out.iter().position(|x| x.is_nan()) {
            // Its row in place of the first, which fails.
            got.splice(..head_dim, row(missing / head_dim));
        }
        let rounds_weights = self.loaded.ran().kernel.starts_with("wgpu-coop");
        check_rows(&got, if rounds_weights { &self.inputs.exact_f16 } else { &self.inputs.exact })
    }
}

impl Inputs {
    /// Of this case; those of the last case are kept, for its next variant.
    fn of(named: &'static NamedCase<Problem>) -> Rc<Self> {
        thread_local!(static KEPT: RefCell<Option<Rc<Inputs>>> = const { RefCell::new(None) });
        KEPT.with_borrow_mut(|kept| {
            if let Some(inputs) = kept.as_ref().filter(|inputs| std::ptr::eq(inputs.problem, &named.params)) {
                return Rc::clone(inputs);
            }
            // Two of them may be too large.
            *kept = None;
            Rc::clone(kept.insert(Rc::new(Self::new(&named.params))))
        })
    }

    fn new(problem: &'static Problem) -> Self {
        const ROWS: usize = 24;
        let Shape { batch, queries, keys, heads, kv_heads, head_dim, .. } = problem.shape;
        let tensor = |seed, rows: usize| Elements::new(&normal(seed, batch * rows * head_dim), problem.element);
        let [q, k, v] = [(1, queries * heads), (2, keys * kv_heads), (3, keys * kv_heads)].map(|(s, r)| tensor(s, r));
        let count = batch * queries * heads;
        let most = count.min(ROWS);
        let rows = (0..most).map(|i| if most == 1 { 0 } else { i * (count - 1) / (most - 1) }).collect();
        let hash = hash(&[&q.floats(), &k.floats(), &v.floats()]);
        let mut inputs = Self { problem, q, k, v, hash, rows, exact: Vec::new(), exact_f16: Vec::new() };
        inputs.exact = inputs.exact(0.0);
        inputs.exact_f16 = inputs.exact(F16_WEIGHT_ERROR);
        inputs
    }

    fn exact(&self, weight: f64) -> Vec<Exact> {
        let Shape { queries, keys, heads, kv_heads, head_dim, .. } = self.problem.shape;
        let (q, k, v) = (self.q.floats(), self.k.floats(), self.v.floats());
        let of = |&row: &usize| {
            let (token, head) = (row / heads, row % heads);
            let (batch, query) = (token / queries, token % queries);
            let kv_row = |key: usize| (batch * keys + key) * kv_heads + head / (heads / kv_heads);
            let seen = Row {
                head_dim,
                value_dim: head_dim,
                scale: f64::from(1.0 / (head_dim as f32).sqrt()),
                q: &|d| f64::from(q[row * head_dim + d]),
                k: &|key, d| f64::from(k[kv_row(key) * head_dim + d]),
                v: &|key, d| f64::from(v[kv_row(key) * head_dim + d]),
                term: &|_| 0.0,
                keys: self.keys_of(query),
                rounding: Rounding { weight, ..Rounding::of_output(self.problem.element) },
            };
            seen.exact()
        };
        self.rows.iter().map(of).collect()
    }

    /// The keys that a query of a batch sees.
    fn keys_of(&self, query: usize) -> Range<usize> {
        let Shape { queries, keys, .. } = self.problem.shape;
        if let Some(bounds) = self.problem.bounds() {
            let end = bounds.partition_point(|&bound| bound <= query);
            return bounds[end - 1]..bounds[end];
        }
        let position = query + keys - queries;
        match self.problem.mask {
            Mask::None => 0..keys,
            Mask::Causal => 0..position + 1,
            Mask::Window { left, right } => position.saturating_sub(left)..keys.min(position + right + 1),
        }
    }
}

/// The bytes of a tensor as they are stored.
fn bytes(elements: &Elements) -> &[u8] {
    with_elements!(elements, x => bytemuck::cast_slice(&x[..]))
}

impl Subject for Timed {
    fn prove(&mut self) -> record::Proof {
        let checked = self.check();
        compare::proof(checked, self.inputs.hash.clone())
    }
}

impl Loaded for Timed {
    fn run(&mut self) {
        self.loaded.run();
    }

    fn time(&mut self, iters: u64) -> Duration {
        self.loaded.time(iters)
    }

    fn reset(&mut self) {
        self.loaded.reset();
    }

    fn ran(&self) -> Ran {
        self.loaded.ran()
    }
}
