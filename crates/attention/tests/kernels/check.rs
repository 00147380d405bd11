//! The check: any kernel, any case, any layout, against rows in f64.

use std::ops::Range;

use attention::{
    AttentionError, Bias, Case, Element, ElementType, Extents, Kernel, Mask, Operands, Options, Shape, Strides,
    Threads, View, ViewMut, kernels, paths,
};
use half::{bf16, f16};
use op::Ran;
use proof::{
    Mismatch,
    attention::{Exact, Rounding, Row, check_rows},
    guarded::Guarded,
    input::normal,
};

/// Order and gaps of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Lay {
    /// Batch, token, head, element.
    Bnhd,
    /// Batch, head, token, element.
    Bhnd,
    /// Token, batch, head, element, with gaps between all of them.
    Gaps,
    /// One head, repeated: for K and V, which are only read.
    Repeated,
}

pub(crate) const LAYS: [Lay; 3] = [Lay::Bnhd, Lay::Bhnd, Lay::Gaps];

impl Lay {
    pub(crate) fn strides(self, extents: Extents) -> Strides {
        let Extents { batch, tokens, heads, head_dim } = extents;
        match self {
            Lay::Bnhd => Strides::bnhd(extents).expect("small extents"),
            Lay::Bhnd => Strides::bhnd(extents).expect("small extents"),
            Lay::Gaps => {
                let head = head_dim + 3;
                let in_batch = heads * head + 1;
                Strides { batch: in_batch, token: batch * in_batch + 5, head }
            }
            Lay::Repeated => Strides { batch: tokens * head_dim, token: head_dim, head: 0 },
        }
    }

    /// Elements from the first to the last.
    pub(crate) fn span(self, extents: Extents) -> usize {
        let Extents { batch, tokens, heads, head_dim } = extents;
        if batch * tokens * heads * head_dim == 0 {
            return 0;
        }
        let strides = self.strides(extents);
        (batch - 1) * strides.batch + (tokens - 1) * strides.token + (heads - 1) * strides.head + head_dim
    }

    pub(crate) fn index(self, extents: Extents, [b, t, h, d]: [usize; 4]) -> usize {
        let strides = self.strides(extents);
        b * strides.batch + t * strides.token + h * strides.head + d
    }
}

/// All indices of a tensor.
pub(crate) fn indices(extents: Extents) -> impl Iterator<Item = [usize; 4]> {
    let Extents { batch, tokens, heads, head_dim } = extents;
    (0..batch * tokens * heads * head_dim).map(move |at| {
        let (d, at) = (at % head_dim, at / head_dim);
        let (h, at) = (at % heads, at / heads);
        [at / tokens, at % tokens, h, d]
    })
}

/// A tensor to read: the elements in the order batch, token, head, element, rounded to their type.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) extents: Extents,
    pub(crate) lay: Lay,
    pub(crate) element: ElementType,
    pub(crate) elements: Vec<f32>,
}

impl Tensor {
    fn new(seed: u64, extents: Extents, lay: Lay) -> Self {
        let Extents { batch, tokens, heads, head_dim } = extents;
        let elements = normal(seed, batch * tokens * heads * head_dim);
        Self { extents, lay, element: ElementType::F32, elements }
    }

    pub(crate) fn at(&self, [b, t, h, d]: [usize; 4]) -> f32 {
        let Extents { tokens, heads, head_dim, .. } = self.extents;
        let h = if self.lay == Lay::Repeated { 0 } else { h };
        let x = self.elements[((b * tokens + t) * heads + h) * head_dim + d];
        match self.element {
            ElementType::F16 => f16::from_f32(x).to_f32(),
            ElementType::Bf16 => bf16::from_f32(x).to_f32(),
            _ => x,
        }
    }

    pub(crate) fn set(&mut self, [b, t, h, d]: [usize; 4], x: f32) {
        let Extents { tokens, heads, head_dim, .. } = self.extents;
        self.elements[((b * tokens + t) * heads + h) * head_dim + d] = x;
    }

    /// The memory that a kernel sees: NaN wherever there is no element.
    pub(crate) fn stored<T: Element>(&self) -> Vec<T> {
        let mut memory = vec![T::from_f32(f32::NAN); self.lay.span(self.extents)];
        for index in indices(self.extents) {
            memory[self.lay.index(self.extents, index)] = T::from_f32(self.at(index));
        }
        memory
    }

    pub(crate) fn view<'m, T>(&self, memory: &'m [T]) -> View<'m, T> {
        View::with_strides(memory, self.extents, self.lay.strides(self.extents)).expect("the test's own layout")
    }
}

/// A case with its data.
#[derive(Clone)]
pub(crate) struct Trial {
    pub(crate) case: Case,
    pub(crate) q: Tensor,
    pub(crate) k: Tensor,
    pub(crate) v: Tensor,
    pub(crate) out: Lay,
    pub(crate) scale: Option<f32>,
    pub(crate) mask: Mask,
    pub(crate) key_lengths: Option<Vec<usize>>,
    /// Bounds of queries and keys.
    pub(crate) bounds: Option<[Vec<usize>; 2]>,
    /// Numbers and extents.
    pub(crate) bias: Option<(Vec<f32>, [usize; 4])>,
    pub(crate) slopes: Option<Vec<f32>>,
}

/// Self-attention of one batch and one head.
pub(crate) fn own(tokens: usize, head_dim: usize) -> Shape {
    Shape { batch: 1, queries: tokens, keys: tokens, heads: 1, kv_heads: 1, head_dim, value_dim: head_dim }
}

/// What a kernel wrote, as f32.
pub(crate) struct Outcome {
    /// In the order batch, token, head, element.
    pub(crate) out: Vec<f32>,
    /// In the order batch, head, query.
    pub(crate) lse: Vec<f32>,
    pub(crate) ran: Ran,
}

impl Trial {
    /// Without options, on one thread.
    pub(crate) fn new(shape: Shape, [q, k, v, out]: [Lay; 4]) -> Self {
        let Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = shape;
        let extents = |tokens, heads, head_dim| Extents { batch, tokens, heads, head_dim };
        Self {
            case: shape.into(),
            q: Tensor::new(1, extents(queries, heads, head_dim), q),
            k: Tensor::new(2, extents(keys, kv_heads, head_dim), k),
            v: Tensor::new(3, extents(keys, kv_heads, value_dim), v),
            out,
            scale: None,
            mask: Mask::None,
            key_lengths: None,
            bounds: None,
            bias: None,
            slopes: None,
        }
    }

    pub(crate) fn dense(shape: Shape) -> Self {
        Self::new(shape, [Lay::Bnhd; 4])
    }

    pub(crate) fn masked(self, mask: Mask) -> Self {
        Self { mask, ..self }
    }

    pub(crate) fn threads(mut self, threads: usize) -> Self {
        self.case.threads = Threads::new(threads).unwrap_or_default();
        self
    }

    /// The types of Q, and of K and V.
    pub(crate) fn types(mut self, q: ElementType, kv: ElementType) -> Self {
        (self.q.element, self.k.element, self.v.element) = (q, kv, kv);
        self
    }

    /// A bias of these extents.
    pub(crate) fn biased(mut self, extents: [usize; 4]) -> Self {
        self.bias = Some((normal(4, extents.iter().product()), extents));
        self
    }

    /// Sequences of these lengths of queries and keys.
    pub(crate) fn packed(mut self, lengths: &[(usize, usize)]) -> Self {
        let mut bounds = [vec![0], vec![0]];
        for &(queries, keys) in lengths {
            bounds[0].push(bounds[0].last().unwrap() + queries);
            bounds[1].push(bounds[1].last().unwrap() + keys);
        }
        self.bounds = Some(bounds);
        self
    }

    pub(crate) fn options(&self) -> Options<'_> {
        let mut options = Options::NONE.mask(self.mask);
        if let Some(scale) = self.scale {
            options = options.scale(scale);
        }
        if let Some(lengths) = &self.key_lengths {
            options = options.key_lengths(lengths);
        }
        if let Some([queries, keys]) = &self.bounds {
            options = options.sequences(queries, keys);
        }
        if let Some((bias, extents)) = &self.bias {
            options = options.bias(Bias::new(bias, *extents).expect("the test's own bias"));
        }
        if let Some(slopes) = &self.slopes {
            options = options.alibi(slopes);
        }
        options
    }

    fn out_extents(&self) -> Extents {
        Extents { head_dim: self.case.shape.value_dim, ..self.q.extents }
    }

    /// Runs the kernel on a guarded output, and checks that all of it and nothing else was written.
    pub(crate) fn run(&self, kernel: &dyn Kernel) -> Result<Outcome, Mismatch> {
        let q = self.q.stored::<f32>();
        let (q_f16, q_bf16) = (self.q.stored::<f16>(), self.q.stored::<bf16>());
        let q = match self.q.element {
            ElementType::F16 => self.q.view(&q_f16).into(),
            ElementType::Bf16 => self.q.view(&q_bf16).into(),
            _ => self.q.view(&q).into(),
        };
        match self.k.element {
            ElementType::F16 => self.run_on::<f16>(kernel, q),
            ElementType::Bf16 => self.run_on::<bf16>(kernel, q),
            _ => self.run_on::<f32>(kernel, q),
        }
    }

    fn run_on<T: Element>(&self, kernel: &dyn Kernel, q: attention::Input<'_>) -> Result<Outcome, Mismatch> {
        let (k, v) = (self.k.stored::<T>(), self.v.stored::<T>());
        let extents = self.out_extents();
        let mut out = Guarded::<f32>::new(self.out.span(extents));
        let Shape { batch, heads, queries, .. } = self.case.shape;
        let mut lse = Guarded::<f32>::new(batch * heads * queries);
        let view = ViewMut::with_strides(&mut out, extents, self.out.strides(extents)).expect("the test's own layout");
        let operands = Operands {
            lse: Some(&mut lse),
            options: self.options(),
            ..Operands::new(q, self.k.view(&k), self.v.view(&v), view)
        };
        let mut loaded = kernel.load(&self.case, operands).expect("a case that fits");
        loaded.run();
        let ran = loaded.ran();
        drop(loaded);
        let mut is_output = vec![false; out.len()];
        indices(extents).for_each(|index| is_output[self.out.index(extents, index)] = true);
        out.verify_where(|i| is_output[i])?;
        lse.verify()?;
        let elements = indices(extents).map(|index| out[self.out.index(extents, index)]).collect();
        Ok(Outcome { out: elements, lse: lse.to_vec(), ran })
    }

    /// The first query and key of each sequence, and how many queries and keys it has.
    fn sequences(&self) -> Vec<(usize, Range<usize>, Range<usize>)> {
        let Shape { batch, queries, keys, .. } = self.case.shape;
        match &self.bounds {
            Some([q, k]) => (1..q.len()).map(|s| (0, q[s - 1]..q[s], k[s - 1]..k[s])).collect(),
            None => (0..batch).map(|batch| (batch, 0..queries, 0..keys)).collect(),
        }
    }

    /// Whether a query sees a key, both counted from the first of their sequence. Written a second time, from the
    /// documentation.
    fn sees(&self, batch: usize, (query, queries): (usize, usize), (key, keys): (usize, usize)) -> bool {
        let is_padding = self.key_lengths.as_ref().is_some_and(|lengths| key >= lengths[batch]);
        let distance = (query + keys) as i128 - queries as i128 - key as i128;
        let is_in_mask = match self.mask {
            Mask::None => true,
            Mask::Causal => distance >= 0,
            Mask::Window { left, right } => distance <= left as i128 && -distance <= right as i128,
        };
        is_in_mask && !is_padding
    }

    /// All rows in f64: batch, token, head.
    pub(crate) fn exact(&self, rounding: Rounding) -> Vec<Exact> {
        let Shape { heads, head_dim, value_dim, .. } = self.case.shape;
        let group = self.case.shape.group();
        let scale = f64::from(self.scale.unwrap_or(1.0 / (head_dim.max(1) as f32).sqrt()));
        let mut rows = Vec::new();
        for (batch, queries, keys) in self.sequences() {
            for (query, head) in (0..queries.len()).flat_map(|query| (0..heads).map(move |head| (query, head))) {
                let seen = |key: &usize| self.sees(batch, (query, queries.len()), (*key, keys.len()));
                let first = (0..keys.len()).find(seen).unwrap_or(0);
                let count = (0..keys.len()).filter(seen).count();
                let (token, kv_head) = (queries.start + query, head / group);
                let term = |key: usize| {
                    let bias = self.bias.as_ref().map_or(0.0, |(bias, extents)| {
                        let index = [batch, head, query, key];
                        let at = (0..4)
                            .fold(0, |at, axis| at * extents[axis] + if extents[axis] == 1 { 0 } else { index[axis] });
                        f64::from(bias[at])
                    });
                    let distance = ((query + keys.len()) as f64 - (queries.len() + key) as f64).abs();
                    bias - self.slopes.as_ref().map_or(0.0, |slopes| f64::from(slopes[head]) * distance)
                };
                let row = Row {
                    head_dim,
                    value_dim,
                    scale,
                    q: &|d| f64::from(self.q.at([batch, token, head, d])),
                    k: &|key, d| f64::from(self.k.at([batch, keys.start + key, kv_head, d])),
                    v: &|key, d| f64::from(self.v.at([batch, keys.start + key, kv_head, d])),
                    term: &term,
                    keys: first..first + count,
                    rounding,
                };
                rows.push(row.exact());
            }
        }
        rows
    }

    /// The log-sum-exp of all rows, in the order batch, head, query, with tolerances.
    fn exact_lse(&self, rows: &[Exact]) -> (Vec<f64>, Vec<f64>) {
        let Shape { batch, queries, heads, .. } = self.case.shape;
        let row = |b: usize, h: usize, i: usize| &rows[(b * queries + i) * heads + h];
        let order = (0..batch).flat_map(|b| (0..heads).flat_map(move |h| (0..queries).map(move |i| (b, h, i))));
        order.map(|(b, h, i)| (row(b, h, i).lse, row(b, h, i).lse_tolerance)).unzip()
    }

    /// Whether the kernel's output is right, and nothing else was written.
    pub(crate) fn check(&self, kernel: &dyn Kernel) -> Result<(), Mismatch> {
        self.check_against(kernel, &self.exact(Rounding::default()))
    }

    fn check_against(&self, kernel: &dyn Kernel, rows: &[Exact]) -> Result<(), Mismatch> {
        let outcome = self.run(kernel)?;
        check_rows(&outcome.out, rows)?;
        let (lse, tolerance) = self.exact_lse(rows);
        // Infinities are equal or wrong.
        let both = outcome
            .lse
            .iter()
            .zip(&lse)
            .map(|(&got, &want)| if f64::from(got) == want { (0.0, 0.0) } else { (got, want) });
        let (got, want): (Vec<f32>, Vec<f64>) = both.unzip();
        proof::compare::check(&got, &want, |i| tolerance[i]).map(drop)
    }

    /// [`check`](Self::check) over all kernels and all their paths. A path that this case cannot take is replaced by
    /// the kernel's own choice.
    pub(crate) fn check_all(&self) {
        let rows = self.exact(Rounding::default());
        for (name, kernel) in named_kernels() {
            if let Err(mismatch) = self.check_against(kernel.as_ref(), &rows) {
                panic!("{name}: {}: {mismatch}", self.text());
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        let lays = [self.q.lay, self.k.lay, self.v.lay, self.out];
        let Self { case, mask, key_lengths, bounds, .. } = self;
        let types = [self.q.element, self.k.element];
        format!("{} {case:?} {lays:?} {types:?} {mask:?} {key_lengths:?} {bounds:?}", case.shape)
    }

    /// Why the first kernel refuses the case.
    pub(crate) fn refusal(&self) -> Option<AttentionError> {
        let (q, k, v) = (self.q.stored::<f32>(), self.k.stored::<f32>(), self.v.stored::<f32>());
        let extents = self.out_extents();
        let mut out = vec![0.0_f32; self.out.span(extents)];
        let view = ViewMut::with_strides(&mut out, extents, self.out.strides(extents)).expect("the test's own layout");
        let operands = Operands {
            options: self.options(),
            ..Operands::new(self.q.view(&q), self.k.view(&k), self.v.view(&v), view)
        };
        kernels()[0].load(&self.case, operands).err()
    }
}

/// All kernels, and all kernels with a forced path.
pub(crate) fn named_kernels() -> Vec<(String, Box<dyn Kernel>)> {
    let plain = kernels().into_iter().map(|kernel| (kernel.name().to_owned(), kernel));
    plain.chain(paths().into_iter().map(|(path, kernel)| (format!("{} {path}", kernel.name()), kernel))).collect()
}
