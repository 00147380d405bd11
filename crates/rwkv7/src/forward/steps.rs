//! The steps of a pass: products, and the passes over rows between them.

use std::ops::Range;

use gemm::{Activation, Epilogue, Gemm, MatMut, MatRef};
use op::Threads;
use rayon::prelude::*;
use simd::{InstructionSet, LayerNorm, Vectorized};

use super::{
    memory::Memory,
    token::{self, Chain, Middle, Whole},
};
use crate::{
    error::RunError,
    heads::{self, Heads, Inputs},
    matrix::Matrix,
    mix::{Gated, Shift, Sigmoid},
    model::{ChannelMix, LowRank, Model, Norm, TimeMix},
    state::{LayerState, padded},
    team::Team,
};

/// Floats of a pass below which threads would wait longer for each other than they compute.
const LEAST_SHARED: usize = 1 << 15;

/// What every step of a pass needs.
pub(super) struct Run<'w, 't> {
    pub(super) threads: Threads,
    pub(super) epsilon: f32,
    pub(super) channels: usize,
    /// Whether products sum as those of a single token do, whatever the length of the chunk.
    pub(super) rows_alone: bool,
    pub(super) workspace: &'w mut gemm::Workspace,
    /// For a single token.
    pub(super) team: Option<&'w mut Team<'t>>,
}

/// Where the projections of a chunk go, each rows x channels.
struct Projected<'m> {
    r: &'m mut [f32],
    w: &'m mut [f32],
    k: &'m mut [f32],
    v: &'m mut [f32],
    a: &'m mut [f32],
    value_mix: &'m mut [f32],
    /// Only of the rows whose outputs are wanted.
    g: &'m mut [f32],
}

impl Run<'_, '_> {
    /// Rows of the embedding, normalized, into `x`.
    pub(super) fn embed(&self, model: &Model<'_>, tokens: &[u32], rows: &mut [f32], x: &mut [f32]) {
        for (&token, row) in tokens.iter().zip(rows.chunks_exact_mut(self.channels)) {
            model.embedding.row(token as usize, row);
        }
        self.norm(&model.embedding_norm, &rows[..tokens.len() * self.channels], x);
    }

    /// x <- x + time mix of x, for the rows from `first` on; all rows go into the state.
    pub(super) fn time_mix(
        &mut self,
        weights: &TimeMix<'_>,
        head_size: usize,
        memory: &mut Memory,
        state: &mut LayerState,
        rows: usize,
        first: usize,
    ) -> Result<(), RunError> {
        let Memory { x, normed, mixed, r, w, k, v, a, g, value_mix, first_values, low, heads, scratch, gated, .. } =
            memory;
        let len = rows * self.channels;
        let from = first * self.channels..len;
        let normed = &mut normed[..len];
        self.norm(&weights.norm, &x[..len], normed);
        self.shift(normed, &state.time, &weights.lerps, mixed);
        state.time.copy_from_slice(&normed[len - self.channels..]);
        let mixed = mixed.each_ref().map(|mixed| &mixed[..len]);
        let outputs = Projected {
            r: &mut r[..len],
            w: &mut w[..len],
            k: &mut k[..len],
            v: &mut v[..len],
            a: &mut a[..len],
            value_mix: &mut value_mix[..len],
            g: &mut g[..from.len()],
        };
        match self.team.as_deref_mut() {
            Some(team) => project_one(team, weights, mixed, low, outputs)?,
            None => self.project(weights, mixed, low, outputs, from.clone())?,
        }
        if weights.value_mix.is_none() {
            first_values[..len].copy_from_slice(&v[..len]);
        }
        let mix = weights.value_mix.is_some().then_some([&value_mix[..len], &first_values[..len]]);
        let gate = weights.gate.is_some().then_some(&g[..from.len()]);

        let inputs = Inputs {
            receptance: &r[..len],
            key: &k[..len],
            value: &v[..len],
            decay: &w[..len],
            rate: &a[..len],
            first_values: mix,
        };
        let heads = &mut heads[..rows * self.channels / head_size * padded(head_size)];
        let (states, outputs) = (&mut state.heads[..], &mut *heads);
        self.heads(Heads { weights, head_size, first: 0, rows, inputs, states, outputs, scratch });
        let gated = &mut gated[..from.len()];
        let (padded, heads) = (padded(head_size), &*heads);
        self.in_rows(gated, self.channels, |start, to| {
            let gate = gate.map(|gate| &gate[start * self.channels..]);
            Gated { heads, padded, head_size, rows, first: first + start, gate, to }
        });
        self.product(gated, &weights.output, &mut x[from], Epilogue::NONE, 1.0)
    }

    /// All projections of a chunk, each shared by threads. The gate is computed for the rows of `gated`, in floats.
    fn project(
        &mut self,
        weights: &TimeMix<'_>,
        [xr, xw, xk, xv, xa, xg]: [&[f32]; 6],
        low: &mut [f32],
        Projected { r, w, k, v, a, value_mix, g }: Projected<'_>,
        gated: Range<usize>,
    ) -> Result<(), RunError> {
        self.product(xr, &weights.receptance, r, Epilogue::NONE, 0.0)?;
        self.product(xk, &weights.key, k, Epilogue::NONE, 0.0)?;
        self.product(xv, &weights.value, v, Epilogue::NONE, 0.0)?;
        self.low_rank(xw, &weights.decay, low, w, Activation::Tanh)?;
        self.low_rank(xa, &weights.rate, low, a, Activation::Identity)?;
        if let Some(mix) = &weights.value_mix {
            self.low_rank(xv, mix, low, value_mix, Activation::Identity)?;
        }
        if let Some([down, up]) = &weights.gate {
            let low = &mut low[..g.len() / self.channels * down.rows];
            self.product(&xg[gated], down, low, Epilogue::NONE, 0.0)?;
            InstructionSet::best().run(Sigmoid(low));
            self.product(low, up, g, Epilogue::NONE, 0.0)?;
        }
        Ok(())
    }

    /// x <- x + channel mix of x. The row before the first one is the state's only where `rows` begin at 0; elsewhere
    /// nothing needs the first row.
    pub(super) fn channel_mix(
        &mut self,
        weights: &ChannelMix<'_>,
        memory: &mut Memory,
        state: &mut LayerState,
        rows: Range<usize>,
    ) -> Result<(), RunError> {
        let Memory { x, normed, mixed: [mixed, ..], hidden, .. } = memory;
        let x = &mut x[rows.start * self.channels..rows.end * self.channels];
        let normed = &mut normed[..x.len()];
        self.norm(&weights.norm, x, normed);
        let before = &state.channel;
        let (normed, mixed) = (&*normed, &mut mixed[..x.len()]);
        self.in_rows(mixed, self.channels, |start, to| Shift {
            now: &normed[start * self.channels..][..to.len()],
            before: if start == 0 { before } else { &normed[(start - 1) * self.channels..][..self.channels] },
            lerps: &weights.lerp,
            to: [to],
        });
        state.channel.copy_from_slice(&normed[normed.len() - self.channels..]);
        let hidden = &mut hidden[..rows.len() * weights.key.rows];
        let squared = Epilogue::new().activation(Activation::SquaredRelu);
        self.product(mixed, &weights.key, hidden, squared, 0.0)?;
        self.product(hidden, &weights.value, x, Epilogue::NONE, 1.0)
    }

    /// All heads of a layer, on threads where it pays.
    fn heads(&mut self, all: Heads<'_>) {
        if let Some(team) = self.team.as_deref_mut() {
            return token::heads(team, all);
        }
        let Heads { weights, head_size, first: _, rows, inputs, states, outputs, scratch } = all;
        let heads = self.channels / head_size;
        let is_small = rows * self.channels * head_size < 4 * LEAST_SHARED;
        let each = if is_small { heads } else { heads.div_ceil(self.threads.min(heads).get()) };
        let work = |nth: usize, states, outputs, scratch| {
            let first = nth * each;
            InstructionSet::best().run(Heads { weights, head_size, first, rows, inputs, states, outputs, scratch });
        };
        if each == heads {
            return work(0, states, outputs, scratch);
        }
        let padded = padded(head_size);
        states
            .par_chunks_mut(each * head_size * padded)
            .zip(outputs.par_chunks_mut(each * rows * padded))
            .zip(scratch.par_chunks_mut(heads::scratch(rows, head_size)))
            .enumerate()
            .for_each(|(nth, ((states, outputs), scratch))| work(nth, states, outputs, scratch));
    }

    /// y <- activation(x D) U; the offset is added where y is used.
    fn low_rank(
        &mut self,
        x: &[f32],
        weights: &LowRank<'_>,
        low: &mut [f32],
        y: &mut [f32],
        activation: Activation,
    ) -> Result<(), RunError> {
        let low = &mut low[..x.len() / self.channels * weights.down.rows];
        self.product(x, &weights.down, low, Epilogue::new().activation(activation), 0.0)?;
        self.product(low, &weights.up, y, Epilogue::NONE, 0.0)
    }

    /// y <- epilogue(x W^T + beta y)
    pub(super) fn product(
        &mut self,
        x: &[f32],
        weights: &Matrix<'_>,
        y: &mut [f32],
        epilogue: Epilogue<'_>,
        beta: f32,
    ) -> Result<(), RunError> {
        if let Some(team) = self.team.as_deref_mut() {
            return token::product(team, (x, weights, y), epilogue, beta);
        }
        let rows = x.len() / weights.cols;
        let x = MatRef::from_row_major(x, rows, weights.cols)?;
        let y = MatMut::from_row_major(y, rows, weights.rows)?;
        let product = Gemm::new(x, weights.rhs()?).beta(beta).epilogue(epilogue).threads(self.threads);
        product.rows_alone(self.rows_alone).workspace(self.workspace).run(y)?;
        Ok(())
    }

    /// Normalizes all rows of `from`.
    pub(super) fn norm(&self, norm: &Norm<'_>, from: &[f32], to: &mut [f32]) {
        let Norm { factors, offsets } = norm;
        self.in_rows(&mut to[..from.len()], self.channels, |start, to| LayerNorm {
            from: &from[start * self.channels..][..to.len()],
            to,
            factors,
            offsets,
            epsilon: self.epsilon,
        });
    }

    /// The six mixes of the time mix.
    fn shift(&self, now: &[f32], before: &[f32], lerps: &[f32], to: &mut [Vec<f32>; 6]) {
        let channels = self.channels;
        let part = channels * self.rows_of_part(now.len() / channels, 6 * channels);
        let [r, w, k, v, a, g] = to.each_mut().map(|to| &mut to[..now.len()]);
        let work = |nth: usize, to| {
            let start = nth * part;
            let before = if nth == 0 { before } else { &now[start - channels..start] };
            let now = &now[start..now.len().min(start + part)];
            InstructionSet::best().run(Shift { now, before, lerps, to });
        };
        if part >= now.len() {
            return work(0, [r, w, k, v, a, g]);
        }
        r.par_chunks_mut(part)
            .zip(w.par_chunks_mut(part))
            .zip(k.par_chunks_mut(part).zip(v.par_chunks_mut(part)))
            .zip(a.par_chunks_mut(part).zip(g.par_chunks_mut(part)))
            .enumerate()
            .for_each(|(nth, (((r, w), (k, v)), (a, g)))| work(nth, [r, w, k, v, a, g]));
    }

    /// Runs a pass over parts of the rows of `to`, on threads where it pays.
    fn in_rows<'t, V: Vectorized<Output = ()>>(
        &self,
        to: &'t mut [f32],
        channels: usize,
        pass: impl Fn(usize, &'t mut [f32]) -> V + Sync,
    ) {
        let part = channels * self.rows_of_part(to.len() / channels, channels);
        if part >= to.len() {
            return InstructionSet::best().run(pass(0, to));
        }
        let parts = to.par_chunks_mut(part).enumerate();
        parts.for_each(|(nth, to)| InstructionSet::best().run(pass(nth * part / channels, to)));
    }

    /// Rows of a part where so many of them, with so many floats each, are shared by threads.
    fn rows_of_part(&self, rows: usize, floats: usize) -> usize {
        let parts = (rows * floats / LEAST_SHARED).clamp(1, self.threads.get());
        rows.div_ceil(parts).max(1)
    }
}

/// All projections of one token, in one step of a team.
fn project_one(
    team: &mut Team<'_>,
    weights: &TimeMix<'_>,
    [xr, xw, xk, xv, xa, xg]: [&[f32]; 6],
    low: &mut [f32],
    Projected { r, w, k, v, a, value_mix: mixed_in, g }: Projected<'_>,
) -> Result<(), RunError> {
    let wholes = [(xr, &weights.receptance, r), (xk, &weights.key, k), (xv, &weights.value, v)];
    let wholes = wholes.map(|(x, matrix, y)| Whole { x, matrix, y });
    let mut low = low.chunks_exact_mut(low.len() / 4);
    let mut low = || low.next().unwrap_or_default();
    let decay = Chain::new(xw, &weights.decay.down, Middle::Tanh, &weights.decay.up, (low(), w));
    let rate = Chain::new(xa, &weights.rate.down, Middle::Plain, &weights.rate.up, (low(), a));
    let value_mix = weights.value_mix.as_ref();
    let value_mix = value_mix.map(|mix| Chain::new(xv, &mix.down, Middle::Plain, &mix.up, (low(), mixed_in)));
    let gate = weights.gate.as_ref();
    let gate = gate.map(|[down, up]| Chain::new(xg, down, Middle::Sigmoid, up, (low(), g)));
    token::project(team, weights, wholes, [Some(decay), Some(rate), value_mix, gate])
}
