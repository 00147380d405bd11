//! `assay gguf`: what is in a file, whether it is sound, and files to test with.

mod check;
mod corpus;
mod info;
mod model;
mod synth;
mod tensors;
mod text;

pub(crate) use model::map;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use gguf::{Options, Split};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keys, types of tensors and sizes of a file, or of a model in several files
    Info(Reading),
    /// Every tensor with type, shape, place and size
    Tensors(Reading),
    /// Whether a file keeps the rules; exit code 1 and the rule if it does not
    Check(check::Arguments),
    /// A model of true names and shapes with random weights
    Synth(synth::Arguments),
    /// Hostile files, one inside and one outside every rule, to test readers with
    Corpus(corpus::Arguments),
}

/// A file to read.
#[derive(Debug, Args)]
pub(crate) struct Reading {
    /// The file; of a model in several files the first one
    file: PathBuf,
    /// JSON instead of text, of a refused file too: the rule, where, what stands there and what should
    #[arg(long)]
    json: bool,
    /// Refuse what llama.cpp refuses, big-endian files and arrays of arrays too
    #[arg(long)]
    strict: bool,
}

impl Reading {
    fn open(&self) -> Result<Split> {
        let options = if self.strict { Options::default() } else { Options::LENIENT };
        model::open(&self.file, options, self.json)
    }
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Info(reading) => info::run(reading),
        Command::Tensors(reading) => tensors::run(reading),
        Command::Check(arguments) => check::run(arguments),
        Command::Synth(arguments) => synth::run(arguments),
        Command::Corpus(arguments) => corpus::run(arguments),
    }
}
