//! A sequence of tokens on the CPU, or on a GPU through wgpu.

use anyhow::{Context, Result};
use gpu::{Choice, Wgpu};
use rwkv7::{Model, Sampler, State, Threads};

use super::Device;

/// A model with the state of one sequence.
pub(crate) enum Sequence<'m, 'a> {
    Cpu(Box<(rwkv7::Forward<'m, 'a>, State)>),
    Wgpu(Box<rwkv7_gpu::Forward<'m, 'a>>, String),
}

impl<'m, 'a> Sequence<'m, 'a> {
    /// Before its first token. `threads` and `chunk` are those of the CPU.
    pub(crate) fn new(device: Device, (threads, chunk): (Threads, usize), model: &'m Model<'a>) -> Result<Self> {
        match device {
            Device::Cpu => {
                let forward = rwkv7::Forward::new(model, threads).chunk(chunk);
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
    pub(crate) fn device(&self) -> Option<&str> {
        match self {
            Self::Cpu(_) => None,
            Self::Wgpu(_, device) => Some(device),
        }
    }

    /// Forgets all tokens.
    pub(crate) fn reset(&mut self) -> Result<()> {
        match self {
            Self::Cpu(of) => of.1.reset(),
            Self::Wgpu(forward, _) => forward.reset()?,
        }
        Ok(())
    }

    /// Takes tokens, and writes the logits of the last.
    pub(crate) fn last(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<()> {
        match self {
            Self::Cpu(of) => of.0.last(&mut of.1, tokens, logits)?,
            Self::Wgpu(forward, _) => forward.last(tokens, logits)?,
        }
        Ok(())
    }

    /// Takes tokens, and chooses the most probable next one. A GPU does so by itself, without writing logits.
    pub(crate) fn greedy(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<u32> {
        match self {
            Self::Cpu(of) => of.0.last(&mut of.1, tokens, logits)?,
            Self::Wgpu(forward, _) => return Ok(forward.greedy(tokens)?),
        }
        Ok(rwkv7::greedy(logits))
    }

    /// Takes tokens, and writes the logits of each.
    pub(crate) fn all(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<()> {
        match self {
            Self::Cpu(of) => of.0.all(&mut of.1, tokens, logits)?,
            Self::Wgpu(forward, _) => forward.all(tokens, logits)?,
        }
        Ok(())
    }

    /// Takes tokens, and chooses the next one.
    pub(super) fn next(&mut self, tokens: &[u32], sampler: &mut Sampler, logits: &mut [f32]) -> Result<u32> {
        if sampler.is_greedy() {
            return self.greedy(tokens, logits);
        }
        self.last(tokens, logits)?;
        Ok(sampler.choose(logits))
    }
}
