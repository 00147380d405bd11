//! Attention as users write it with a crate for products: all scores of a head, softmax row by row, the product with V.
//! f32 alone. Tensors are in the order batch, token, head, element.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::Path;
use std::rc::Rc;

use gemm::{Parallelism, gemm};
use peer::{Case, Closures, Description, Load, Ran, Refusal};
use rayon::iter::{IndexedParallelIterator as _, ParallelIterator as _};
use rayon::slice::ParallelSliceMut as _;

pub(crate) struct Implementation {
    parallelism: Parallelism,
}

impl Implementation {
    pub(crate) fn new(threads: NonZeroUsize) -> Self {
        let parallelism = if threads.get() == 1 { Parallelism::None } else { Parallelism::Rayon(threads.get()) };
        Self { parallelism }
    }
}

/// One sequence of a batch: its first query and key, and how many there are.
struct Sequence {
    query: usize,
    queries: usize,
    key: usize,
    keys: usize,
}

struct Attention {
    sequences: Vec<Sequence>,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    /// Keys before and after its own position that a query sees.
    window: (usize, usize),
    parallelism: Parallelism,
}

impl peer::Implementation for Implementation {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("gemm + softmax", "0.19", format!("{:?}", self.parallelism)))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        if case.text("type")? != "f32" {
            return Err(Refusal::Unsupported("f32 alone".to_owned()));
        }
        let (q, k, v) = (read(inputs, "q")?, read(inputs, "k")?, read(inputs, "v")?);
        let attention = Attention::of(case, self.parallelism)?;
        let out = Rc::new(RefCell::new(vec![f32::NAN; q.len()]));
        let result = out.clone();
        let mut scores = Vec::new();
        let run = move || attention.run(&q, &k, &v, &mut scores, &mut out.borrow_mut());
        let output = move || result.borrow().iter().flat_map(|x| x.to_le_bytes()).collect();
        Ok(Closures::boxed(Ran::by("gemm", "all scores"), run, output))
    }
}

fn read(inputs: &Path, name: &str) -> Result<Vec<f32>, Refusal> {
    peer::read_f32(&inputs.join(name)).map_err(Refusal::from)
}

impl Attention {
    fn of(case: &Case, parallelism: Parallelism) -> Result<Self, Refusal> {
        let (queries, keys) = (case.number("queries")?, case.number("keys")?);
        let mut sequences = Vec::new();
        match case.text("lengths") {
            Ok(lengths) => {
                let mut start = 0;
                for length in lengths.split(',') {
                    let length = length.parse().map_err(|_| Refusal::Error(format!("a length is {length}")))?;
                    sequences.push(Sequence { query: start, queries: length, key: start, keys: length });
                    start += length;
                }
            }
            Err(_) => {
                let one = |b| Sequence { query: b * queries, queries, key: b * keys, keys };
                sequences.extend((0..case.number("batch")?).map(one));
            }
        }
        let window = match case.text("mask")? {
            "none" => (keys, keys),
            "causal" => (keys, 0),
            "window" => (case.number("left")?, case.number("right")?),
            other => return Err(Refusal::Unsupported(format!("no mask {other}"))),
        };
        let (heads, kv_heads, head_dim) = (case.number("heads")?, case.number("kv_heads")?, case.number("head_dim")?);
        Ok(Self { sequences, heads, kv_heads, head_dim, window, parallelism })
    }

    fn run(&self, q: &[f32], k: &[f32], v: &[f32], scores: &mut Vec<f32>, out: &mut [f32]) {
        let &Self { heads, kv_heads, head_dim: d, parallelism, .. } = self;
        let scale = (d as f32).sqrt().recip();
        for sequence in &self.sequences {
            let &Sequence { query, queries, key, keys } = sequence;
            scores.resize(queries * keys, 0.0);
            for head in 0..heads {
                let kv = head / (heads / kv_heads);
                let (q, out) = (&q[(query * heads + head) * d..], &mut out[(query * heads + head) * d..]);
                let (k, v) = (&k[(key * kv_heads + kv) * d..], &v[(key * kv_heads + kv) * d..]);
                let (q_row, kv_row, row) = ((heads * d) as isize, (kv_heads * d) as isize, keys as isize);
                let (q, k, v, s) = (q.as_ptr(), k.as_ptr(), v.as_ptr(), scores.as_mut_ptr());
                // SAFETY: `queries` rows of Q and of the output lie q_row apart, and `keys` rows of K and V kv_row
                // apart, d elements each, within the tensors; the scores are queries x keys.
                unsafe {
                    gemm(
                        queries,
                        keys,
                        d,
                        s,
                        1,
                        row,
                        false,
                        q,
                        1,
                        q_row,
                        k,
                        kv_row,
                        1,
                        0.0,
                        scale,
                        false,
                        false,
                        false,
                        parallelism,
                    );
                }
                let softmax = |(i, row): (usize, &mut [f32])| self.softmax(row, i + keys - queries);
                match parallelism {
                    Parallelism::None => scores.chunks_exact_mut(keys).enumerate().for_each(softmax),
                    Parallelism::Rayon(_) => scores.par_chunks_exact_mut(keys).enumerate().for_each(softmax),
                }
                let (s, out) = (scores.as_ptr(), out.as_mut_ptr());
                // SAFETY: as above.
                unsafe {
                    gemm(
                        queries,
                        d,
                        keys,
                        out,
                        1,
                        q_row,
                        false,
                        s,
                        1,
                        row,
                        v,
                        1,
                        kv_row,
                        0.0,
                        1.0,
                        false,
                        false,
                        false,
                        parallelism,
                    );
                }
            }
        }
    }

    /// The softmax of the scores of a query at `position`.
    fn softmax(&self, row: &mut [f32], position: usize) {
        let (first, end) = (position.saturating_sub(self.window.0), (position + self.window.1 + 1).min(row.len()));
        row[..first].fill(0.0);
        row[end..].fill(0.0);
        let seen = &mut row[first..end];
        let max = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        seen.iter_mut().for_each(|x| *x = (*x - max).exp());
        let sum: f32 = seen.iter().sum();
        seen.iter_mut().for_each(|x| *x /= sum);
    }
}
