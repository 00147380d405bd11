//! `assay gguf`: the contents of a file, its soundness, and files for tests.

mod behind;
mod check;
mod corpus;
mod file_type;
mod info;
mod model;
pub(crate) mod synth;
mod tensors;
mod text;

pub(crate) use model::map;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use gguf::{Options, Split};

use crate::print;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show keys, tensor types and sizes of a file, or of a model in several files
    Info(Reading),
    /// List every tensor with type, shape, offset and size
    Tensors(Reading),
    /// Check the rules of the GGUF container; exit code 1 and the broken rule if a file breaks one
    ///
    /// These are the rules that llama.cpp checks of any GGUF file: header, keys, arrays, tensor table, alignment, and
    /// that the data of every tensor lie within the file. Not checked is the model in it: whether the keys and tensors
    /// that its architecture needs are there with the right types and shapes, whether the vocabulary is complete, and
    /// whether the values are sensible.
    Check(check::Arguments),
    /// Write a model with the names and shapes of a real one and random weights
    Synth(synth::Arguments),
    /// Write hostile files for tests of readers: one inside and one outside every rule
    Corpus(corpus::Arguments),
}

/// A file to read.
#[derive(Debug, Args)]
pub(crate) struct Reading {
    /// The file; of a model in several files the first one
    file: PathBuf,
    /// Print JSON: for a refused file the rule, the key or tensor, the offset, the value found and the value needed
    #[arg(long)]
    json: bool,
    /// Also refuse what only llama.cpp refuses: big-endian files, arrays of arrays
    #[arg(long)]
    strict: bool,
}

impl Reading {
    fn open(&self) -> Result<Split> {
        let options = if self.strict { Options::default() } else { Options::LENIENT };
        model::open(&self.file, options).or_else(|refusal| {
            if self.json {
                print::json(&refusal.json())?;
            }
            Err(refusal.error())
        })
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
