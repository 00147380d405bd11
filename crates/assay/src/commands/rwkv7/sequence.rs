//! A sequence of tokens on the CPU, or on a GPU through wgpu.

use anyhow::{Context, Result};
use gpu::{Choice, Wgpu};
use rwkv7::{Model, Sampler, State};

use super::{Device, Running};

/// A model with the state of one sequence.
pub(super) enum Sequence<'m, 'a> {
    Cpu(Box<(rwkv7::Forward<'m, 'a>, State)>),
    Wgpu(Box<rwkv7_gpu::Forward<'m, 'a>>, String),
}

impl<'m, 'a> Sequence<'m, 'a> {
    /// Before its first token.
    pub(super) fn new(running: &Running, model: &'m Model<'a>) -> Result<Self> {
        match running.device {
            Device::Cpu => {
                let forward = rwkv7::Forward::new(model, running.threads()).chunk(running.chunk);
                Ok(Self::Cpu(Box::new((forward, State::new(model.config())))))
            }
            Device::Wgpu => {
                let gpu = Wgpu::open(&Choice::Best).context("no GPU can be used; leave `--device wgpu` out")?;
                let forward = rwkv7_gpu::Forward::new(&gpu, model).context("the model cannot run on this GPU")?;
                Ok(Self::Wgpu(Box::new(forward), gpu.identity().to_string()))
            }
        }
    }

    /// What computes, where it is not the CPU.
    pub(super) fn device(&self) -> Option<&str> {
        match self {
            Self::Cpu(_) => None,
            Self::Wgpu(_, device) => Some(device),
        }
    }

    /// Takes tokens, and writes the logits of each.
    pub(super) fn all(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<()> {
        match self {
            Self::Cpu(of) => of.0.all(&mut of.1, tokens, logits)?,
            Self::Wgpu(forward, _) => forward.all(tokens, logits)?,
        }
        Ok(())
    }

    /// Takes tokens, and chooses the next one. Where the most probable one is wanted, a GPU chooses it by itself.
    pub(super) fn next(&mut self, tokens: &[u32], sampler: &mut Sampler, logits: &mut [f32]) -> Result<u32> {
        match self {
            Self::Cpu(of) => of.0.last(&mut of.1, tokens, logits)?,
            Self::Wgpu(forward, _) if sampler.is_greedy() => return Ok(forward.greedy(tokens)?),
            Self::Wgpu(forward, _) => forward.last(tokens, logits)?,
        }
        Ok(sampler.choose(logits))
    }
}
