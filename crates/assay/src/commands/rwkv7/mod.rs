//! `assay rwkv7`: a model at work, from the command line.

mod generate;
mod info;
mod logits;
mod quantize;
mod sequence;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use gguf::{File, Options};
use rwkv7::{Model, Threads, Vocabulary};

pub(crate) use quantize::rewrite;
pub(crate) use sequence::Sequence;

use crate::commands::gguf::map;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the dimensions of a model, what a token costs, and whether everything that it needs is there
    Info(info::Arguments),
    /// Continue a prompt; the text appears as it is generated, a summary of times follows on stderr
    Generate(generate::Arguments),
    /// Write the logits of every position as a NumPy array of f32, positions x vocabulary
    Logits(logits::Arguments),
    /// Tell how well a model predicts a text: the mean surprise of its tokens
    Perplexity(logits::PerplexityArguments),
    /// Write a model of f32 or f16 in other types, each tensor as llama.cpp's quantizer types it
    Quantize(quantize::Arguments),
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Info(arguments) => info::run(arguments),
        Command::Generate(arguments) => generate::run(arguments),
        Command::Logits(arguments) => logits::run(arguments),
        Command::Perplexity(arguments) => logits::perplexity(arguments),
        Command::Quantize(arguments) => quantize::run(arguments),
    }
}

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Device {
    /// The processor
    Cpu,
    /// A GPU, through Vulkan, Metal or Direct3D 12
    Wgpu,
}

/// A model and how to run it.
#[derive(Debug, Args)]
struct Running {
    /// The model, a GGUF file of the architecture `rwkv7`
    model: PathBuf,
    /// What computes
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    device: Device,
    /// Threads that work [default: as many as the machine has]
    #[arg(long)]
    threads: Option<Threads>,
    /// Tokens of the prompt that are computed together; a GPU takes at most 16
    #[arg(long, default_value_t = rwkv7::CHUNK)]
    chunk: usize,
}

impl Running {
    fn threads(&self) -> Threads {
        self.threads.unwrap_or_else(Threads::available)
    }

    /// A sequence before its first token.
    fn sequence<'m, 'a>(&self, model: &'m Model<'a>) -> Result<Sequence<'m, 'a>> {
        Sequence::new(self.device, (self.threads(), self.chunk), model)
    }

    /// Calls `work` on a thread of a pool with as many threads as were asked for.
    fn on_threads<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads().get()).build();
        Ok(pool.context("the threads cannot be started")?.install(work))
    }
}

/// A text to read.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Text {
    /// The text
    #[arg(long)]
    prompt: Option<String>,
    /// A file with the text, which may hold any bytes
    #[arg(long)]
    file: Option<PathBuf>,
    /// Tokens by number, separated by commas
    #[arg(long, value_delimiter = ',')]
    tokens: Vec<u32>,
}

impl Text {
    /// Its tokens; the vocabulary of the file is needed for anything but numbers.
    fn tokens(&self, file: &File) -> Result<Vec<u32>> {
        let encode = |bytes: &[u8]| -> Result<Vec<u32>> {
            Ok(Vocabulary::from_metadata(file.metadata()).context("this model's text cannot be read")?.encode(bytes))
        };
        let tokens = match (&self.prompt, &self.file) {
            (Some(prompt), _) => encode(prompt.as_bytes())?,
            (None, Some(path)) => {
                encode(&std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?)?
            }
            (None, None) => self.tokens.clone(),
        };
        ensure!(!tokens.is_empty(), "the text is empty: give at least one token to begin with");
        Ok(tokens)
    }
}

fn open(path: &Path) -> Result<File> {
    Ok(map(path, Options::default())?)
}

fn model_of<'a>(file: &'a File, path: &Path) -> Result<Model<'a>> {
    Model::new(file).with_context(|| format!("{} is no RWKV-7 model that can run", path.display()))
}
