//! The forward pass: tokens through all layers, a chunk at a time.
//!
//! ```text
//!   tokens -> rows of the embedding, normalized
//!   each layer:   norm, shift ─┬─ six mixes ── r, k, v and four low-rank products ── heads ── gate ── output ──(+)
//!                 norm, shift ─── one mix ──── key, relu^2 ── value ─────────────────────────────────────────(+)
//!   norm, head -> logits
//! ```
//!
//! A chunk's rows go through a product together, so weights are read once a chunk. Threads share the columns of
//! products, the rows of the passes between them, and heads. Where only the last position's logits are wanted, what the
//! last layer computes behind its recurrence is computed for the last position alone.

mod memory;
mod steps;
mod token;

use gemm::Epilogue;
use op::Threads;

use self::{memory::Memory, steps::Run};
use crate::{
    error::RunError,
    model::Model,
    state::State,
    team::{self, Team},
};

/// Tokens of a chunk, unless another number is asked for: enough that a product costs multiply-adds, not reading.
pub const CHUNK: usize = 128;

/// Computes logits with a model: memory for a chunk, and how many threads work.
///
/// Threads are those of the rayon pool that it is called from. While a single token is computed, they wait for its next
/// step without sleeping, and do nothing else. Results do not depend on their number, down to the last
/// bit, nor, where matrices are in blocks, on the length of chunks. Where all matrices are of floats, it changes the
/// order of sums: one that is slower for many rows would be needed for the same bits, and the difference stays one of
/// the last bits.
#[derive(Debug)]
pub struct Forward<'m, 'a> {
    model: &'m Model<'a>,
    threads: Threads,
    chunk: usize,
    memory: Memory,
    workspace: gemm::Workspace,
}

/// For which positions logits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Last,
    All,
}

impl<'m, 'a> Forward<'m, 'a> {
    /// On at most so many threads.
    pub fn new(model: &'m Model<'a>, threads: Threads) -> Self {
        Self { model, threads, chunk: CHUNK, memory: Memory::default(), workspace: gemm::Workspace::new() }
    }

    /// With chunks of so many tokens, at least 1.
    #[must_use]
    pub fn chunk(self, tokens: usize) -> Self {
        Self { chunk: tokens.max(1), ..self }
    }

    /// The model.
    pub fn model(&self) -> &'m Model<'a> {
        self.model
    }

    /// Takes `tokens` into the state and writes the logits of the last one: as many as the vocabulary has tokens.
    ///
    /// # Errors
    /// [`RunError`]. Unless memory is refused, the state is then unchanged.
    pub fn last(&mut self, state: &mut State, tokens: &[u32], logits: &mut [f32]) -> Result<(), RunError> {
        self.check(state, tokens, logits, 1)?;
        let chunks = tokens.len().div_ceil(self.chunk);
        for (nth, tokens) in tokens.chunks(self.chunk).enumerate() {
            let is_last = nth + 1 == chunks;
            self.pass(state, tokens, if is_last { &mut *logits } else { &mut [] }, Wanted::Last)?;
        }
        Ok(())
    }

    /// Takes `tokens` into the state and writes the logits of each: positions x tokens of the vocabulary.
    ///
    /// # Errors
    /// As [`last`](Self::last).
    pub fn all(&mut self, state: &mut State, tokens: &[u32], logits: &mut [f32]) -> Result<(), RunError> {
        self.check(state, tokens, logits, tokens.len())?;
        let vocabulary = self.model.vocabulary();
        for (tokens, logits) in tokens.chunks(self.chunk).zip(logits.chunks_mut(self.chunk * vocabulary)) {
            self.pass(state, tokens, logits, Wanted::All)?;
        }
        Ok(())
    }

    fn check(&self, state: &State, tokens: &[u32], logits: &[f32], positions: usize) -> Result<(), RunError> {
        let vocabulary = self.model.vocabulary();
        if tokens.is_empty() {
            return Err(RunError::Empty);
        }
        if let Some(position) = tokens.iter().position(|&token| token as usize >= vocabulary) {
            return Err(RunError::Token { token: tokens[position], position, vocabulary });
        }
        if !state.belongs_to(&self.model.config) {
            return Err(RunError::State { found: state.len(), wanted: State::new(&self.model.config).len() });
        }
        let wanted = positions.saturating_mul(vocabulary);
        if logits.len() != wanted { Err(RunError::Output { found: logits.len(), wanted }) } else { Ok(()) }
    }

    /// One chunk. Without room for logits, none are computed.
    fn pass(&mut self, state: &mut State, tokens: &[u32], logits: &mut [f32], wanted: Wanted) -> Result<(), RunError> {
        match tokens.len() {
            1 => team::with(self.threads, |team| self.pass_with(Some(team), state, tokens, logits, wanted)),
            _ => team::awake(self.threads, || self.pass_with(None, state, tokens, logits, wanted)),
        }
    }

    /// One chunk, where a team shares the steps of a single token.
    fn pass_with(
        &mut self,
        team: Option<&mut Team<'_>>,
        state: &mut State,
        tokens: &[u32],
        logits: &mut [f32],
        wanted: Wanted,
    ) -> Result<(), RunError> {
        let Self { model, threads, memory, workspace, .. } = self;
        let (rows, channels) = (tokens.len(), model.config.channels);
        memory.reserve(model, rows, *threads);
        let (epsilon, rows_alone) = (model.config.epsilon, model.rounds());
        let mut run = Run { threads: *threads, epsilon, channels, rows_alone, workspace, team };
        run.embed(model, tokens, &mut memory.normed, &mut memory.x);
        let depth = model.layers.len();
        for (nth, (layer, state)) in model.layers.iter().zip(state.layers()).enumerate() {
            // The channel mix of the last position needs the input of the one before it.
            let first = if nth + 1 == depth && wanted == Wanted::Last { rows.saturating_sub(2) } else { 0 };
            run.time_mix(&layer.time, model.config.head_size, memory, state, rows, first)?;
            run.channel_mix(&layer.channel, memory, state, first..rows)?;
        }
        if logits.is_empty() {
            return Ok(());
        }
        let first = if wanted == Wanted::Last { rows - 1 } else { 0 };
        let Memory { x, normed, .. } = memory;
        let count = rows - first;
        run.norm(&model.output_norm, &x[first * channels..][..count * channels], normed);
        run.product(&normed[..count * channels], &model.head, logits, Epilogue::NONE, 0.0)
    }
}
