//! Tokens through all layers, a chunk at a time, in one compute pass a chunk.

use gemm_gpu::{ElementType, Finish, Matrix, Rows};
use gpu::{Binding, Buffer, Readback, Step, Wgpu};
use rwkv7::{Config, Model, RunError, State};

use crate::{
    error::Rwkv7GpuError,
    kernels::{self, Channels, GROUP, PAD},
    layer::{Layer, Memory, layer_state},
    stage::{Input, Stage},
    weights::{Converted, Linear, Loader},
};

/// Tokens of the longest chunk: as many rows as products with blocks take.
pub const CHUNK: usize = 16;

/// A model on a device, with the state of one sequence.
///
/// The length of chunks changes no bit: rows are computed apart from each other, and the recurrence goes token by
/// token.
#[derive(Debug)]
pub struct Forward<'m, 'a> {
    gpu: Wgpu,
    model: &'m Model<'a>,
    memory: Memory,
    /// Rows of the embedding, which the host converts.
    embedded: Matrix,
    rows: Vec<f32>,
    embedding_norm: Stage,
    layers: Vec<Layer>,
    output_norm: Stage,
    head: Linear,
    logits: Matrix,
    argmax: Stage,
    chosen: Buffer,
    readback: Readback,
    converted: Vec<Converted>,
    weight_bytes: u64,
}

/// What is computed behind the last layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Nothing,
    /// The logits from this token of the chunk on.
    Logits(usize),
    /// The token with the largest logit behind the last one.
    Token,
}

impl<'m, 'a> Forward<'m, 'a> {
    /// Takes the weights to the device and compiles all kernels. The state is that before the first token.
    ///
    /// # Errors
    /// [`Rwkv7GpuError`]: matrices larger than a binding, heads larger than a workgroup, errors of the device.
    pub fn new(gpu: &Wgpu, model: &'m Model<'a>) -> Result<Self, Rwkv7GpuError> {
        let config = model.config();
        let most = GROUP.min(gpu.capabilities().workgroup_size as usize);
        if config.head_size > most {
            return Err(Rwkv7GpuError::HeadSize { found: config.head_size, most });
        }
        let mut loader = Loader { gpu, converted: Vec::new(), bytes: 0 };
        loader.check("the state", 4 * state_len(config))?;
        loader.check("the logits of a chunk", 4 * CHUNK * model.vocabulary().next_multiple_of(PAD))?;
        let mut memory = Memory::new(gpu, config, CHUNK)?;
        let embedded = Matrix::zeros(gpu, ElementType::F32, CHUNK, config.channels)?;
        let embedding_norm = norm(&mut loader, model, &memory.chunk, [&embedded, &memory.x], false)?;
        let layers: Result<Vec<_>, _> = (model.layers().iter().enumerate())
            .map(|(nth, layer)| Layer::new(&mut loader, config, nth, layer, &mut memory))
            .collect();
        let mut normed = Input::new(gpu, CHUNK, 1, config.channels)?;
        let output_norm = norm(&mut loader, model, &memory.chunk, [&memory.x, &normed.matrix], true)?;
        let logits = Matrix::zeros(gpu, ElementType::F32, CHUNK, model.vocabulary())?;
        let rows = (&mut normed, Rows::ALL);
        let head = loader.linear("output.weight", model.head(), rows, &logits, Finish::Store)?;
        let chosen = gpu.zeros("chosen", 4)?;
        let readback = gpu.readback(4 * (CHUNK * logits.ld()) as u64)?;
        let operands = [Binding::read(logits.buffer()), Binding::write(&chosen)];
        let argmax = Stage::new(gpu, kernels::argmax(model.vocabulary()), &operands, [1, 1, 1], None)?;
        Ok(Self {
            gpu: gpu.clone(),
            model,
            rows: vec![0.0; CHUNK * embedded.ld()],
            embedded,
            memory,
            embedding_norm,
            layers: layers?,
            output_norm,
            head,
            logits,
            argmax,
            chosen,
            readback,
            converted: loader.converted,
            weight_bytes: loader.bytes,
        })
    }

    /// The model.
    pub fn model(&self) -> &'m Model<'a> {
        self.model
    }

    /// The matrices that the device has as f32, though the file has them in another type.
    pub fn converted(&self) -> &[Converted] {
        &self.converted
    }

    /// Bytes of weights on the device, all of which a token reads. The embedding remains with the host.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    /// Takes `tokens` into the state and writes the logits of the last one: as many as the vocabulary has tokens.
    ///
    /// # Errors
    /// [`Rwkv7GpuError`]. The state is unchanged where the tokens or the output are refused.
    pub fn last(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<(), Rwkv7GpuError> {
        self.check(tokens, Some((logits.len(), 1)))?;
        let found = self.passes(tokens, Wanted::Logits)?;
        self.take(&found, logits);
        Ok(())
    }

    /// Takes `tokens` into the state and writes the logits of each: positions x tokens of the vocabulary.
    ///
    /// # Errors
    /// As [`last`](Self::last).
    pub fn all(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<(), Rwkv7GpuError> {
        self.check(tokens, Some((logits.len(), tokens.len())))?;
        let vocabulary = self.model.vocabulary();
        for (tokens, logits) in tokens.chunks(CHUNK).zip(logits.chunks_mut(CHUNK * vocabulary)) {
            let found = self.pass(tokens, Wanted::Logits(0))?;
            self.take(&found, logits);
        }
        Ok(())
    }

    /// Takes `tokens` into the state and returns the token with the largest logit behind the last one, as
    /// [`rwkv7::greedy`] chooses it. Four bytes come back from the device.
    ///
    /// # Errors
    /// As [`last`](Self::last).
    pub fn greedy(&mut self, tokens: &[u32]) -> Result<u32, Rwkv7GpuError> {
        self.check(tokens, None)?;
        let chosen = self.passes(tokens, |_| Wanted::Token)?;
        Ok(chosen[0])
    }

    /// Fetches the state, with which the host or another device can go on.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn state(&self) -> Result<State, Rwkv7GpuError> {
        let config = self.model.config();
        let count = state_len(config);
        let floats: Vec<f32> = self.gpu.read_as(&self.memory.state, 0, count as u64)?;
        let found = floats.len();
        State::from_floats(config, &floats).ok_or(RunError::State { found, wanted: count }.into())
    }

    /// Goes on from a state.
    ///
    /// # Errors
    /// [`RunError::State`] for that of a model of other dimensions; errors of the device.
    pub fn set_state(&mut self, state: &State) -> Result<(), Rwkv7GpuError> {
        let config = self.model.config();
        if !state.belongs_to(config) {
            return Err(RunError::State { found: state.len(), wanted: state_len(config) }.into());
        }
        let floats: Vec<f32> = state.floats().collect();
        Ok(self.gpu.write(&self.memory.state, 0, bytemuck::cast_slice(&floats))?)
    }

    /// Forgets all tokens.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn reset(&mut self) -> Result<(), Rwkv7GpuError> {
        self.set_state(&State::new(self.model.config()))
    }

    /// Refuses what does not fit the model. The output is its length and the positions that it is for.
    fn check(&self, tokens: &[u32], output: Option<(usize, usize)>) -> Result<(), RunError> {
        let vocabulary = self.model.vocabulary();
        if tokens.is_empty() {
            return Err(RunError::Empty);
        }
        if let Some(position) = tokens.iter().position(|&token| token as usize >= vocabulary) {
            return Err(RunError::Token { token: tokens[position], position, vocabulary });
        }
        match output.map(|(found, positions)| (found, positions.saturating_mul(vocabulary))) {
            Some((found, wanted)) if found != wanted => Err(RunError::Output { found, wanted }),
            _ => Ok(()),
        }
    }

    /// All chunks; behind the last one, what is wanted of its last token.
    fn passes(&mut self, tokens: &[u32], wanted: impl Fn(usize) -> Wanted) -> Result<Vec<u32>, Rwkv7GpuError> {
        let last = (tokens.len() - 1) / CHUNK * CHUNK;
        for tokens in tokens[..last].chunks(CHUNK) {
            self.pass(tokens, Wanted::Nothing)?;
        }
        let tokens = &tokens[last..];
        self.pass(tokens, wanted(tokens.len() - 1))
    }

    /// Submits one chunk, and waits for the words that are wanted: a token, or the bits of rows of logits.
    fn pass(&mut self, tokens: &[u32], wanted: Wanted) -> Result<Vec<u32>, Rwkv7GpuError> {
        let stride = self.embedded.ld();
        for (&token, row) in tokens.iter().zip(self.rows.chunks_exact_mut(stride)) {
            embed(self.model, token, row)?;
        }
        let count = tokens.len();
        let first = match wanted {
            Wanted::Logits(first) => first,
            _ => count - 1,
        };
        self.gpu.write(self.embedded.buffer(), 0, bytemuck::cast_slice(&self.rows[..count * stride]))?;
        self.gpu.write(&self.memory.chunk, 0, bytemuck::cast_slice(&[count as u32, first as u32, 0, 0]))?;
        let mut steps: Vec<Step<'_>> = vec![self.embedding_norm.step(count)];
        for layer in &self.layers {
            layer.steps(count, &mut steps);
        }
        if wanted != Wanted::Nothing {
            let count = count - first;
            steps.push(self.output_norm.step(count));
            self.head.alone(count, &mut steps);
        }
        if wanted == Wanted::Token {
            steps.push(self.argmax.step(1));
        }
        let (from, words) = match wanted {
            Wanted::Nothing => return Ok(self.gpu.run(&steps).map(|()| Vec::new())?),
            Wanted::Logits(_) => (self.logits.buffer(), (count - first) * self.logits.ld()),
            Wanted::Token => (&self.chosen, 1),
        };
        let bytes = self.gpu.run_and_read(&steps, (from, 0, 4 * words as u64), &self.readback)?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }

    /// Rows of logits without what pads them.
    fn take(&self, found: &[u32], logits: &mut [f32]) {
        let vocabulary = self.model.vocabulary();
        for (to, from) in logits.chunks_exact_mut(vocabulary).zip(found.chunks_exact(self.logits.ld())) {
            to.iter_mut().zip(from).for_each(|(to, bits)| *to = f32::from_bits(*bits));
        }
    }
}

/// Numbers of a state.
fn state_len(config: &Config) -> usize {
    config.layers * layer_state(config)
}

/// The embedding's row of a token.
fn embed(model: &Model<'_>, token: u32, row: &mut [f32]) -> Result<(), Rwkv7GpuError> {
    let embedding = model.embedding();
    let (ty, bytes) = embedding.stored();
    let row_bytes = bytes.len() / embedding.rows();
    let stored = &bytes[token as usize * row_bytes..][..row_bytes];
    quant::dequantize(ty, stored, &mut row[..embedding.cols()])
        .map_err(|_| Rwkv7GpuError::Type { name: "token_embd.weight".to_owned(), ty })
}

/// The norm before the first layer, or with `is_last` that behind the last one.
fn norm(
    loader: &mut Loader<'_>,
    model: &Model<'_>,
    chunk: &Buffer,
    [from, to]: [&Matrix; 2],
    is_last: bool,
) -> Result<Stage, Rwkv7GpuError> {
    let norm = if is_last { model.output_norm() } else { model.embedding_norm() };
    let affine = loader.vectors(&[&norm.factors, &norm.offsets])?;
    let channels = Channels::of(model.config());
    let operands =
        [Binding::read(from.buffer()), Binding::read(&affine), Binding::write(to.buffer()), Binding::read(chunk)];
    let grid = [channels.count.div_ceil(GROUP) as u32, 1, 1];
    Stage::new(loader.gpu, kernels::norm(channels, is_last), &operands, grid, Some(1))
}
