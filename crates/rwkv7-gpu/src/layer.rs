//! A layer: its weights, and its dispatches in their order.

use gemm_gpu::{ElementType, Finish, Matrix, Rows};
use gpu::{Binding, Buffer, Step, Wgpu};
use rwkv7::{Config, weights};

use crate::{
    error::Rwkv7GpuError,
    kernels::{self, Channels, GROUP, PAD},
    stage::{Input, Stage},
    weights::{Function, Linear, Loader, Part, Tokens},
};

/// Arrays that the layers share, for a chunk of the longest length.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Tokens of the chunk, and the first of them whose logits are wanted.
    pub(crate) chunk: Buffer,
    /// What goes from layer to layer.
    pub(crate) x: Matrix,
    /// The state of all layers, as [`rwkv7::State::floats`] orders it.
    pub(crate) state: Buffer,
    /// For each token six rows: for r, w, k, v, a and g.
    mixed: Input,
    r: Matrix,
    k: Matrix,
    v: Matrix,
    first_values: Matrix,
    /// For each token the results of up to four low-rank matrices.
    low: Buffer,
    low_stride: usize,
    /// For each token rows of decay, rate, mix and gate.
    ups: Buffer,
    gated: Input,
    channel_mixed: Input,
    hidden: Input,
}

/// Where the results of the four low-rank matrices of a token begin, and where they end.
fn low_places(config: &Config) -> [usize; 5] {
    let mut places = [0; 5];
    // In layers without a mix of values, its place is idle.
    let ranks = [config.decay_rank, config.rate_rank, config.value_rank, config.gate_rank];
    for (at, rank) in ranks.into_iter().enumerate() {
        places[at + 1] = places[at] + rank.next_multiple_of(PAD);
    }
    places
}

impl Memory {
    /// For so many tokens.
    pub(crate) fn new(gpu: &Wgpu, config: &Config, tokens: usize) -> Result<Self, Rwkv7GpuError> {
        let channels = config.channels;
        let rows = || Matrix::zeros(gpu, ElementType::F32, tokens, channels);
        let floats = |label, count: usize| gpu.zeros(label, count as u64 * 4);
        let low_stride = low_places(config)[4];
        Ok(Self {
            chunk: gpu.uniform("chunk", &[0; 4])?,
            x: rows()?,
            state: floats("state", config.layers * layer_state(config))?,
            mixed: Input::new(gpu, tokens, 6, channels)?,
            r: rows()?,
            k: rows()?,
            v: rows()?,
            first_values: rows()?,
            low: floats("low rank", tokens * low_stride)?,
            low_stride,
            ups: floats("low rank", tokens * 4 * Channels::of(config).stride())?,
            gated: Input::new(gpu, tokens, 1, channels)?,
            channel_mixed: Input::new(gpu, tokens, 1, channels)?,
            hidden: Input::new(gpu, tokens, 1, config.feed_forward)?,
        })
    }
}

/// Numbers of a layer's state.
pub(crate) fn layer_state(config: &Config) -> usize {
    config.channels * (2 + config.head_size)
}

/// A layer on the device.
#[derive(Debug)]
pub(crate) struct Layer {
    mix: Stage,
    down: Stage,
    up: Stage,
    receptance: Linear,
    key: Linear,
    value: Linear,
    heads: Stage,
    output: Linear,
    channel_mix: Stage,
    channel_key: Linear,
    channel_value: Linear,
}

impl Layer {
    /// Takes layer `nth` to the device.
    pub(crate) fn new(
        loader: &mut Loader<'_>,
        config: &Config,
        nth: usize,
        layer: &weights::Layer<'_>,
        memory: &mut Memory,
    ) -> Result<Self, Rwkv7GpuError> {
        let weights::Layer { time, channel } = layer;
        let named = |name: &str| format!("blk.{nth}.{name}.weight");
        let state = nth * layer_state(config);
        let mix = [&*time.norm.factors, &time.norm.offsets, &time.lerps];
        let mix = Self::mix(loader, config, &mix, 6, state, memory, &memory.mixed)?;
        let [down, up] = Self::low_rank(loader, config, nth, time, memory)?;
        let Memory { x, mixed, r, k, v, first_values, gated, channel_mixed, hidden, .. } = &mut *memory;
        // The first layer's values are those that the others mix in.
        let v = if time.value_mix.is_some() { &*v } else { &*first_values };
        let mut of_mixed = |name: &str, weights, first: usize, c: &Matrix| {
            let rows = Rows { first, step: 6 };
            loader.linear(&named(&format!("time_mix_{name}")), weights, (&mut *mixed, rows), c, Finish::Store)
        };
        let receptance = of_mixed("receptance", &time.receptance, 0, r)?;
        let key = of_mixed("key", &time.key, 2, k)?;
        let value = of_mixed("value", &time.value, 3, v)?;
        let mut linear = |name: &str, weights, input: &mut Input, c: &Matrix, finish| {
            loader.linear(&named(name), weights, (input, Rows::ALL), c, finish)
        };
        let output = linear("time_mix_output", &time.output, gated, x, Finish::Add)?;
        let squared = Finish::SquaredRelu;
        let c = hidden.matrix.clone();
        let channel_key = linear("channel_mix_key", &channel.key, channel_mixed, &c, squared)?;
        let channel_value = linear("channel_mix_value", &channel.value, hidden, x, Finish::Add)?;
        let vectors = [&*channel.norm.factors, &channel.norm.offsets, &channel.lerp];
        let place = state + config.channels;
        let channel_mix = Self::mix(loader, config, &vectors, 1, place, memory, &memory.channel_mixed)?;
        let heads = Self::heads(loader, config, time, state + 2 * config.channels, memory)?;
        Ok(Self { mix, down, up, receptance, key, value, heads, output, channel_mix, channel_key, channel_value })
    }

    /// The dispatches of so many tokens.
    pub(crate) fn steps<'s>(&'s self, tokens: usize, steps: &mut Vec<Step<'s>>) {
        let mixed = [&self.receptance, &self.key, &self.value];
        steps.push(self.mix.step(tokens));
        // What does not depend on each other stands together, so that nothing waits between.
        Linear::rounding(&mixed, tokens, steps);
        steps.push(self.down.step(tokens));
        Linear::steps(&mixed, tokens, steps);
        steps.push(self.up.step(tokens));
        steps.push(self.heads.step(tokens));
        self.output.alone(tokens, steps);
        steps.push(self.channel_mix.step(tokens));
        self.channel_key.alone(tokens, steps);
        self.channel_value.alone(tokens, steps);
    }

    /// Norm, shift and lerps of x, with the row before at number `place` of the state.
    fn mix(
        loader: &mut Loader<'_>,
        config: &Config,
        vectors: &[&[f32]],
        lerps: usize,
        place: usize,
        memory: &Memory,
        to: &Input,
    ) -> Result<Stage, Rwkv7GpuError> {
        let vectors = loader.vectors(vectors)?;
        let place = loader.gpu.uniform("place", &[place as u32, 0, 0, 0])?;
        let operands = [
            Binding::read(memory.x.buffer()),
            Binding::read(&vectors),
            Binding::write(&memory.state),
            Binding::write(to.matrix.buffer()),
            Binding::read(&memory.chunk),
            Binding::read(&place),
        ];
        let grid = [config.channels.div_ceil(GROUP) as u32, 1, 1];
        Stage::new(loader.gpu, kernels::mix(Channels::of(config), lerps), &operands, grid, None)
    }

    /// The products with the matrices of low rank: down, and up again.
    fn low_rank(
        loader: &mut Loader<'_>,
        config: &Config,
        nth: usize,
        time: &weights::TimeMix<'_>,
        memory: &Memory,
    ) -> Result<[Stage; 2], Rwkv7GpuError> {
        use Function::{Decay, Identity, Sigmoid, Tanh};
        let stride = Channels::of(config).stride();
        let places = low_places(config);
        // Letter and place of each, the row of the mixed ones that it takes, and what is applied to its two results.
        let mut all = Vec::new();
        let weights::LowRank { down, up, offset } = &time.decay;
        all.push(('w', 0, 1, [down, up], &**offset, [Tanh, Decay]));
        let weights::LowRank { down, up, offset } = &time.rate;
        all.push(('a', 1, 4, [down, up], &**offset, [Identity, Sigmoid]));
        if let Some(weights::LowRank { down, up, offset }) = &time.value_mix {
            all.push(('v', 2, 3, [down, up], &**offset, [Identity, Sigmoid]));
        }
        if let Some([down, up]) = &time.gate {
            all.push(('g', 3, 5, [down, up], &[], [Sigmoid, Identity]));
        }
        let (mut downs, mut ups) = (Vec::new(), Vec::new());
        for (letter, at, row, [down, up], offsets, [function, last]) in all {
            let named = |nth_matrix| format!("blk.{nth}.time_mix_{letter}{nth_matrix}.weight");
            let (x, y) = (row * stride, places[at]);
            downs.push(Part { name: named(1), weights: down, x, y, offsets: &[], function });
            ups.push(Part { name: named(2), weights: up, x: y, y: at * stride, offsets, function: last });
        }
        let mixed = Tokens { buffer: memory.mixed.matrix.buffer(), stride: 6 * stride };
        let low = Tokens { buffer: &memory.low, stride: memory.low_stride };
        let high = Tokens { buffer: &memory.ups, stride: 4 * stride };
        let down = loader.projection(&downs, mixed, low, Finish::Store)?;
        Ok([down, loader.projection(&ups, low, high, Finish::Store)?])
    }

    /// The recurrence, with the states of the heads from number `place` of the state on.
    fn heads(
        loader: &mut Loader<'_>,
        config: &Config,
        time: &weights::TimeMix<'_>,
        place: usize,
        memory: &Memory,
    ) -> Result<Stage, Rwkv7GpuError> {
        let norm = &time.head_norm;
        let vectors = [&*time.key_norm, &time.key_rate, &time.bonus, &norm.factors, &norm.offsets];
        let vectors = loader.vectors(&vectors)?;
        let has = |part: bool| u32::from(part);
        let layer = [place as u32, has(time.value_mix.is_some()), has(time.gate.is_some()), 0];
        let layer = loader.gpu.uniform("place", &layer)?;
        let v = if time.value_mix.is_some() { &memory.v } else { &memory.first_values };
        let operands = [
            Binding::read(memory.r.buffer()),
            Binding::read(memory.k.buffer()),
            Binding::read(v.buffer()),
            Binding::read(memory.first_values.buffer()),
            Binding::read(&memory.ups),
            Binding::read(&vectors),
            Binding::write(&memory.state),
            Binding::write(memory.gated.matrix.buffer()),
            Binding::read(&memory.chunk),
            Binding::read(&layer),
        ];
        let grid = [config.heads() as u32, 1, 1];
        Stage::new(loader.gpu, kernels::heads(Channels::of(config), config.head_size), &operands, grid, None)
    }
}
