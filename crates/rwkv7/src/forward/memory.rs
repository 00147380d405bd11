//! The arrays of a chunk.

use op::Threads;

use crate::{heads, model::Model, state::padded};

/// Arrays of a chunk, each rows x channels unless it says otherwise.
#[derive(Debug, Default)]
pub(super) struct Memory {
    rows: usize,
    pub(super) x: Vec<f32>,
    pub(super) normed: Vec<f32>,
    /// For r, w, k, v, a and g.
    pub(super) mixed: [Vec<f32>; 6],
    pub(super) r: Vec<f32>,
    pub(super) w: Vec<f32>,
    pub(super) k: Vec<f32>,
    pub(super) v: Vec<f32>,
    pub(super) a: Vec<f32>,
    pub(super) g: Vec<f32>,
    pub(super) value_mix: Vec<f32>,
    pub(super) first_values: Vec<f32>,
    /// Rows x the largest rank, for four products at once where there is one row.
    pub(super) low: Vec<f32>,
    /// Heads x rows x padded head size.
    pub(super) heads: Vec<f32>,
    pub(super) scratch: Vec<f32>,
    pub(super) gated: Vec<f32>,
    /// Rows x feed-forward channels.
    pub(super) hidden: Vec<f32>,
}

impl Memory {
    /// Makes room for so many rows.
    pub(super) fn reserve(&mut self, model: &Model<'_>, rows: usize, threads: Threads) {
        let config = &model.config;
        if rows <= self.rows {
            return;
        }
        self.rows = rows;
        let len = rows * config.channels;
        for array in [&mut self.x, &mut self.normed, &mut self.r, &mut self.w, &mut self.k, &mut self.v, &mut self.a] {
            array.resize(len, 0.0);
        }
        for array in [&mut self.g, &mut self.value_mix, &mut self.first_values, &mut self.gated] {
            array.resize(len, 0.0);
        }
        for array in &mut self.mixed {
            array.resize(len, 0.0);
        }
        let rank = [config.decay_rank, config.rate_rank, config.value_rank, config.gate_rank].into_iter().max();
        self.low.resize(rows.max(4) * rank.unwrap_or(0), 0.0);
        self.heads.resize(rows * config.heads() * padded(config.head_size), 0.0);
        let parts = threads.min(config.heads()).get();
        self.scratch.resize(parts * heads::scratch(rows, config.head_size), 0.0);
        self.hidden.resize(rows * config.feed_forward, 0.0);
    }
}
