//! `assay`: daily tools on the formats, and our side of `cargo xtask peers`.
//!
//! Exit codes: 0 all is well, 1 the input or the work is bad, 2 usage.
#![deny(unsafe_code)]

mod commands;
mod implementations;
mod print;
mod progress;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tools on the formats that Assay's kernels work on
#[derive(Debug, Parser)]
#[command(name = "assay", version, arg_required_else_help = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// GGUF files: what is in one, whether it is sound, and files to test with
    #[command(subcommand)]
    Gguf(commands::gguf::Command),
    /// NIfTI and ANALYZE files: what is in one, statistics, patches, conversion, indexes, and files to test with
    #[command(subcommand)]
    Nifti(commands::nifti::Command),
    /// Take part in `cargo xtask peers OP` as our side, on stdin and stdout
    #[command(hide = true)]
    Peer(implementations::Arguments),
}

fn main() -> ExitCode {
    let result = match Line::parse().command {
        Command::Gguf(command) => commands::gguf::run(&command),
        Command::Nifti(command) => commands::nifti::run(&command),
        Command::Peer(arguments) => implementations::serve(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        #[expect(clippy::print_stderr, reason = "a binary's last word")]
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
