//! The WGSL of the stages with its constants: one function a file.

use gemm_gpu::Finish;
use gpu::{GpuError, Kernel, Source, Wgpu};
use rwkv7::Config;

const LAYER_NORM: &str = include_str!("../../../kernels/shared/layer_norm.wgsl");
const FINISH: &str = include_str!("../../../kernels/shared/finish.wgsl");

/// Invocations of a workgroup that passes over channels.
pub(crate) const GROUP: usize = 256;
/// Invocations of a workgroup of a projection.
pub(crate) const PROJECT_GROUP: usize = 128;
/// Lanes that may share a row of a projection.
const LANES: [usize; 3] = [64, 32, 8];
/// Numbers from row to row are a multiple of this, as those of [`gemm_gpu::Matrix`] are.
pub(crate) const PAD: usize = 16;

/// What a row of channels is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channels {
    /// Numbers of a row.
    pub(crate) count: usize,
    /// Added to variances.
    pub(crate) epsilon: f32,
}

impl Channels {
    pub(crate) fn of(config: &Config) -> Self {
        Self { count: config.channels, epsilon: config.epsilon }
    }

    /// Numbers from row to row.
    pub(crate) fn stride(self) -> usize {
        self.count.next_multiple_of(PAD)
    }

    fn constants(self, source: Source) -> Source {
        source.constant("CHANNELS", self.count as u32).constant("STRIDE", self.stride() as u32)
    }

    fn normalizing(self, source: Source) -> Source {
        self.constants(source.with(LAYER_NORM)).constant("GROUP", GROUP as u32).constant("EPSILON", self.epsilon)
    }
}

/// Normalizes rows; from the first one whose logits are wanted, if `is_picked`.
pub(crate) fn norm(channels: Channels, is_picked: bool) -> Source {
    let source = Source::new("rwkv7-norm", include_str!("../../../kernels/rwkv7/norm.wgsl"));
    channels.normalizing(source).constant("PICKED", is_picked)
}

/// Normalizes rows and mixes each with the one before.
pub(crate) fn mix(channels: Channels, lerps: usize) -> Source {
    let source = Source::new("rwkv7-mix", include_str!("../../../kernels/rwkv7/mix.wgsl"));
    channels.normalizing(source).constant("LERPS", lerps as u32)
}

/// Multiplies rows with up to four dense matrices.
pub(crate) fn project(lanes: usize, finish: Finish) -> Source {
    let source = Source::new("rwkv7-project", include_str!("../../../kernels/rwkv7/project.wgsl"));
    let source = source.with(FINISH).constant("FINISH", finish as u32);
    source.constant("GROUP", PROJECT_GROUP as u32).constant("LANES", lanes as u32)
}

/// Lanes that share a row of so many vectors.
pub(crate) fn lanes(vectors: usize) -> usize {
    // Four vectors a lane hide the latency of loads; a row of few vectors would leave lanes idle.
    LANES.into_iter().find(|lanes| vectors >= 4 * lanes).unwrap_or(LANES[2])
}

/// The recurrence of all heads.
pub(crate) fn heads(channels: Channels, size: usize) -> Source {
    let source = Source::new("rwkv7-heads", include_str!("../../../kernels/rwkv7/heads.wgsl"));
    channels.constants(source).constant("SIZE", size as u32).constant("SPLIT", split(size) as u32)
}

/// Invocations that share a value channel.
fn split(size: usize) -> usize {
    [8, 4, 2].into_iter().find(|split| size * split <= GROUP && size.is_multiple_of(*split)).unwrap_or(1)
}

/// The token with the largest of so many logits.
pub(crate) fn argmax(tokens: usize) -> Source {
    let source = Source::new("rwkv7-argmax", include_str!("../../../kernels/rwkv7/argmax.wgsl"));
    source.constant("GROUP", GROUP as u32).constant("TOKENS", tokens as u32)
}

/// Every kernel of this crate that a model of these dimensions may compile, with so many tokens in its vocabulary: what
/// [`Wgpu::keep_pipelines`] asks for, and what tests validate. The products with blocks are those of `gemm_gpu`.
pub fn sources(config: &Config, vocabulary: usize) -> Vec<Source> {
    let channels = Channels::of(config);
    let mut all = vec![norm(channels, false), norm(channels, true), mix(channels, 6), mix(channels, 1)];
    for finish in [Finish::Store, Finish::Add, Finish::SquaredRelu] {
        all.extend(LANES.map(|lanes| project(lanes, finish)));
    }
    all.extend([heads(channels, config.head_size), argmax(vocabulary)]);
    all
}

/// Compiles a kernel of this crate.
pub(crate) fn compile(gpu: &Wgpu, source: Source) -> Result<Kernel, GpuError> {
    // SAFETY: the comment on top of each kernel says which rows, channels and vectors it reads and writes; buffers are
    // made for the longest chunk, and a chunk is never longer. Loops count up or halve to a bound that they do not
    // change. What is read from workgroup memory was written before, by the same workgroup. Tests run all of them
    // checked, with the same bits.
    gpu.kernel(&unsafe { source.trusted() })
}

#[cfg(test)]
mod tests {
    use gpu::{Binding, Choice};

    use super::*;
    use crate::stage::Stage;

    /// Without an adapter there is nothing to test; the tests of the crate say so, or fail.
    #[test]
    fn the_device_chooses_as_the_host_does() {
        let Ok(gpu) = Wgpu::open(&Choice::Best) else { return };
        let (nan, least) = (f32::NAN, f32::NEG_INFINITY);
        // Equal ones of one invocation, of two, of two whose order the tree turns; zeros; what is no number.
        for (places, value, others) in [
            (&[5, 261][..], 3.0, -1.0),
            (&[300, 7, 511], 3.0, 2.5),
            (&[140, 12], -2.0, -2.5),
            (&[130, 2], -0.0, nan),
            (&[599], least, nan),
            (&[40], f32::INFINITY, 1e38),
            (&[], 0.0, nan),
        ] {
            let mut logits = vec![others; 600];
            places.iter().for_each(|&place: &usize| logits[place] = value);
            if value == 0.0 && !places.is_empty() {
                logits[131] = 0.0;
            }
            let from = gpu.upload("logits", bytemuck::cast_slice(&logits)).unwrap();
            let chosen = gpu.zeros("chosen", 4).unwrap();
            let operands = [Binding::read(&from), Binding::write(&chosen)];
            let stage = Stage::new(&gpu, argmax(600), &operands, [1, 1, 1], None).unwrap();
            gpu.run(&[stage.step(1)]).unwrap();
            let found: Vec<u32> = gpu.read_as(&chosen, 0, 1).unwrap();
            assert_eq!(found[0], rwkv7::greedy(&logits), "{places:?} {value} {others}");
        }
    }
}
