//! `assay gguf synth`: a model with the names, shapes and types of a real one, and random weights in realistic ranges.
//! It serves to measure speed, load time and memory; its output is meaningless.

mod random;
mod shape;
mod vocabulary;
mod weights;

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Error, Result};
use clap::{Args, Subcommand, ValueEnum};
use gguf::{Value, Writer};

use crate::{commands::gguf::text, print, progress::Progress};
use shape::Shape;
pub(crate) use shape::{Recipe, Size};
pub(crate) use vocabulary::{bytes, full, spelling};
use weights::Weights;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    model: Model,
}

#[derive(Debug, Subcommand)]
enum Model {
    /// RWKV-7, with the keys and tensors of llama.cpp's architecture `rwkv7`
    Rwkv7(Rwkv7),
}

#[derive(Debug, Args)]
struct Rwkv7 {
    /// Size of a published model, or `tiny` for tests
    #[arg(long, default_value = "0.19b")]
    size: Size,
    /// Quantization, as in the names of files
    #[arg(long = "type", default_value = "Q4_K_M")]
    recipe: Recipe,
    /// Seed of the weights; the same seed gives the same file
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of tokens: as in the published models, or one for each byte
    #[arg(long, default_value = "full")]
    vocabulary: Vocabulary,
    /// The file to write; it appears as a whole or not at all
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Vocabulary {
    /// 65536 tokens
    Full,
    /// 257 tokens: the end of a text and the 256 bytes
    Bytes,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Model::Rwkv7(Rwkv7 { size, recipe, seed, vocabulary, out }) = &arguments.model;
    let tokens = match vocabulary {
        Vocabulary::Full => full(),
        Vocabulary::Bytes => bytes(),
    };
    let bytes = Synthetic { size: *size, recipe: *recipe, seed: *seed, tokens: &tokens }.write(out)?;
    let tensors = size.shape(tokens.len() as u64).tensors().len();
    print::lines([format!("{}: {tensors} tensors, {}", out.display(), text::bytes(bytes))])
}

/// Writes RWKV-7 of a published size with all tokens, seed 1. `types` are written as in `--type`, in either case.
pub(crate) fn rwkv7(out: &Path, size: &str, types: &str) -> Result<()> {
    let recipe = Recipe::from_str(types, true).map_err(Error::msg)?;
    Synthetic { size: size.parse()?, recipe, seed: 1, tokens: &full() }.write(out).map(drop)
}

/// A model with random weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Synthetic<'a> {
    pub(crate) size: Size,
    pub(crate) recipe: Recipe,
    pub(crate) seed: u64,
    /// The vocabulary, as the file spells it; the first token is the end of a text.
    pub(crate) tokens: &'a [String],
}

impl Synthetic<'_> {
    /// Writes the file; it appears as a whole or not at all. Gives its bytes.
    pub(crate) fn write(&self, out: &Path) -> Result<u64> {
        let shape = self.size.shape(self.tokens.len() as u64);
        let mut writer = self.declare(&shape);
        let tensors = shape.tensors();
        for tensor in &tensors {
            writer.tensor(&tensor.name, &tensor.dims, self.recipe.ty(tensor.role));
        }
        let weights = Weights { seed: self.seed, shape: &shape };
        let sizes = tensors.iter().map(|tensor| self.recipe.ty(tensor.role).row_bytes(tensor.elements()));
        let progress = Progress::bytes("weights", sizes.sum::<Result<usize, _>>()? as u64);
        let mut next = tensors.iter();
        let written = writer.create(out, |declared, out| {
            let tensor = next.next().ok_or_else(|| io::Error::other("more tensors than were declared"))?;
            weights.write(tensor, declared.ty, &mut |bytes| {
                progress.add(bytes.len() as u64);
                out.write_all(bytes)
            })
        });
        drop(progress);
        written.with_context(|| format!("failed to write {}", out.display()))
    }

    /// The keys that llama.cpp's converter writes.
    fn declare(&self, shape: &Shape) -> Writer {
        let Self { size, recipe, seed, tokens } = *self;
        let mut writer = Writer::new();
        let name = format!("RWKV-7 {size}, random weights, seed {seed}");
        writer.key("general.architecture", Value::from("rwkv7"));
        writer.key("general.name", Value::from(&*name));
        writer.key("general.quantization_version", Value::U32(2));
        writer.key("general.file_type", Value::U32(recipe.file_type()));
        for (key, value) in [
            ("context_length", 1 << 20),
            ("embedding_length", shape.channels),
            ("block_count", shape.layers),
            ("feed_forward_length", shape.feed_forward()),
            ("wkv.head_size", 64),
            ("attention.decay_lora_rank", shape.decay_rank),
            ("attention.iclr_lora_rank", shape.iclr_rank),
            ("attention.value_residual_mix_lora_rank", shape.value_rank),
            ("attention.gate_lora_rank", shape.gate_rank),
            ("attention.head_count", 0),
            ("token_shift_count", 2),
        ] {
            writer.key(format!("rwkv7.{key}"), Value::U32(value as u32));
        }
        writer.key("rwkv7.attention.layer_norm_epsilon", Value::F32(1e-5));
        writer.key("tokenizer.ggml.model", Value::from("rwkv"));
        writer.strings("tokenizer.ggml.tokens", tokens);
        // Type 3 (control) for the end of a text, 1 (normal) for all others.
        let types: Vec<i32> = (0..tokens.len()).map(|i| if i == 0 { 3 } else { 1 }).collect();
        writer.numbers("tokenizer.ggml.token_type", &types);
        for key in ["bos", "eos"] {
            writer.key(format!("tokenizer.ggml.{key}_token_id"), Value::U32(0));
        }
        writer
    }
}
