//! The check: any kernel, any case, any layout, against rows in f64.

use std::{cell::OnceCell, ops::Range};

use attention::{
    AttentionError, BF16_WEIGHT_ERROR, Bias, Case, Element, ElementType, Extents, Kernel, Mask, Operands, Options,
    Output, Path, Shape, Threads, ViewMut, kernels, paths,
};
use half::{bf16, f16};
use op::Ran;
use proof::{
    Mismatch,
    attention::{Exact, Rounding, Row, check_rows},
    elements::Elements,
    guarded::Guarded,
    input::normal,
    with_elements,
};

pub(crate) use crate::tensor::{LAYS, Lay, Tensor, indices};

/// A case with its data.
#[derive(Clone)]
pub(crate) struct Trial {
    pub(crate) case: Case,
    pub(crate) q: Tensor,
    pub(crate) k: Tensor,
    pub(crate) v: Tensor,
    pub(crate) out: Lay,
    pub(crate) out_type: ElementType,
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
            out_type: ElementType::F32,
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

    /// The type of the output.
    pub(crate) fn stored_as(self, out_type: ElementType) -> Self {
        Self { out_type, ..self }
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
        let mut out = Elements::poisoned(self.out.span(extents), self.out_type);
        let Shape { batch, heads, queries, .. } = self.case.shape;
        let mut lse = Guarded::<f32>::new(batch * heads * queries);
        let strides = self.out.strides(extents);
        let view: Output<'_> = with_elements!(&mut out, x => {
            ViewMut::with_strides(x, extents, strides).expect("the test's own layout").into()
        });
        let operands = Operands {
            lse: Some(&mut lse),
            options: self.options(),
            ..Operands::new(q, self.k.view(&k), self.v.view(&v), view)
        };
        let mut loaded = kernel.load(&self.case, operands).expect("a case that fits");
        loaded.run();
        let ran = loaded.ran();
        drop(loaded);
        let mut is_output = vec![false; self.out.span(extents)];
        indices(extents).for_each(|index| is_output[self.out.index(extents, index)] = true);
        out.verify_where(|i| is_output[i])?;
        lse.verify()?;
        let out = out.floats();
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

    /// All rows in f64: batch, token, head. The rounding of the output is that of its type.
    pub(crate) fn exact(&self, rounding: Rounding) -> Vec<Exact> {
        let rounding = Rounding { weight: rounding.weight, ..Rounding::of_output(self.out_type) };
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
        self.check_against(kernel, &References::default())
    }

    fn check_against(&self, kernel: &dyn Kernel, references: &References) -> Result<(), Mismatch> {
        let outcome = self.run(kernel)?;
        let is_rounded = outcome.ran.kernel == "cpu-amx";
        let weight = if is_rounded { BF16_WEIGHT_ERROR } else { 0.0 };
        let rows =
            references[usize::from(is_rounded)].get_or_init(|| self.exact(Rounding { weight, ..Rounding::default() }));
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

    /// [`check`](Self::check) over all kernels and all their paths, and over kernels of bf16 alone with the same case
    /// in bf16. A path that this case cannot take is replaced by the kernel's own choice.
    pub(crate) fn check_all(&self) {
        self.check_each(named_kernels());
        self.in_bf16().check_each(bf16_kernels());
    }

    fn check_each(&self, kernels: Vec<(String, Box<dyn Kernel>)>) {
        let references = References::default();
        for (name, kernel) in kernels {
            if let Err(mismatch) = self.check_against(kernel.as_ref(), &references) {
                panic!("{name}: {}: {mismatch}", self.text());
            }
        }
    }

    /// The same case with Q, K and V rounded to bf16.
    fn in_bf16(&self) -> Self {
        self.clone().types(ElementType::Bf16, ElementType::Bf16)
    }

    /// All kernels, each with the case that it is for: this one, and for kernels of bf16 alone also the one in bf16.
    pub(crate) fn with_kernels(&self) -> Vec<(Self, String, Box<dyn Kernel>)> {
        let plain = named_kernels().into_iter().map(|(name, kernel)| (self.clone(), name, kernel));
        let bf16 = bf16_kernels().into_iter().map(|(name, kernel)| (self.in_bf16(), format!("{name} bf16"), kernel));
        plain.chain(bf16).collect()
    }

    pub(crate) fn text(&self) -> String {
        let lays = [self.q.lay, self.k.lay, self.v.lay, self.out];
        let Self { case, mask, key_lengths, bounds, .. } = self;
        let types = [self.q.element, self.k.element, self.out_type];
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

/// The rows in f64, with the tolerance of f32 weights and with that of rounded ones, computed when they are needed.
type References = [OnceCell<Vec<Exact>>; 2];

/// Kernels with a path that only bf16 takes.
fn bf16_kernels() -> Vec<(String, Box<dyn Kernel>)> {
    named_kernels().into_iter().filter(|(name, _)| name.ends_with(Path::Amx.name()) && name.contains(' ')).collect()
}

/// All kernels, and all kernels with a forced path.
pub(crate) fn named_kernels() -> Vec<(String, Box<dyn Kernel>)> {
    let plain = kernels().into_iter().map(|kernel| (kernel.name().to_owned(), kernel));
    plain.chain(paths().into_iter().map(|(path, kernel)| (format!("{} {path}", kernel.name()), kernel))).collect()
}
