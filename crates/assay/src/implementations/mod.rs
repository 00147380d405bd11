//! Our side of `cargo xtask peers OP`: one implementation per op, which calls the op's public functions.

mod attention;
mod gemm;
mod gguf;
mod gguf_files;
mod inflate;
mod multiview;
mod nifti_decode;
mod quant;
mod rwkv7;

use std::num::NonZeroUsize;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use op::{CaseRow, NamedCase, Parameters, random::SplitMix64};
use peer::Implementation;

/// What to serve.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The op
    op: Op,
    /// Threads that every case of this process may use
    #[arg(long, default_value = "1")]
    threads: NonZeroUsize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Op {
    Attention,
    Gemm,
    Gguf,
    Multiview,
    Quant,
    NiftiDecode,
    // Its large models take long, so they have a file of their own below `peers/`.
    #[value(alias = "rwkv7-large")]
    Rwkv7,
}

/// Answers requests until stdin ends. The serving thread belongs to the pool, as in a program that runs entirely in its
/// pool.
pub(crate) fn serve(arguments: &Arguments) -> Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads.get()).use_current_thread();
    pool.build_global().context("failed to start the threads")?;
    let mut implementation: Box<dyn Implementation> = match arguments.op {
        Op::Attention => Box::new(attention::FusedAttention::new(arguments.threads)),
        Op::Gemm => Box::new(gemm::Gemm::new(arguments.threads)),
        Op::Gguf => Box::new(gguf::Opening::new(arguments.threads)),
        Op::Multiview => Box::new(multiview::Multiview::new(arguments.threads)),
        Op::Quant => Box::new(quant::Quant::new(arguments.threads)),
        Op::NiftiDecode => Box::new(nifti_decode::Volumes::new(arguments.threads)),
        Op::Rwkv7 => Box::new(rwkv7::Rwkv7::new(arguments.threads)),
    };
    Ok(peer::serve(&mut *implementation)?)
}

/// A table of cases for those who do not know the op's types.
fn rows<P: Parameters>(cases: &[NamedCase<P>]) -> Vec<CaseRow> {
    cases.iter().map(NamedCase::row).collect()
}

/// `len` values of mean 0 and variance 1, each the sum of four uniform ones.
fn normal_like(seed: u64, len: usize) -> impl Iterator<Item = f32> {
    let mut bits = SplitMix64::new(seed);
    let mut uniform = move || (bits.bits() >> 40) as f32 / (1_u32 << 24) as f32;
    let scale = 3.0_f32.sqrt();
    (0..len).map(move |_| scale * ((0..4).map(|_| uniform()).sum::<f32>() - 2.0))
}
