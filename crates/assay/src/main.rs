//! `assay`: daily tools on the formats, the scenarios, and our side of `cargo xtask peers`.
//!
//! Exit codes: see [`EXIT_CODES`].
#![deny(unsafe_code)]

mod commands;
mod identify;
mod implementations;
#[cfg(unix)]
mod interrupt;
mod print;
mod progress;
mod scenarios;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use machine::heap::Metering;

/// Cells report the peak of their heap.
#[global_allocator]
static ALLOCATOR: Metering = Metering;

/// What a script can rely on; shown by every `--help`.
const EXIT_CODES: &str = "\
Exit codes:
  0  all is well; warnings do not count
  1  a file is bad, or the work failed; each error names its file
  2  wrong usage
Results go to stdout; errors, warnings and progress go to stderr. A signal ends a command as the shell expects (130 for Ctrl-C), and
leaves no unfinished file.";

/// Tools on the formats that Assay's kernels work on
#[derive(Debug, Parser)]
#[command(name = "assay", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// GGUF files: what is in one, whether it is sound, and files to test with
    #[command(subcommand, after_help = EXIT_CODES)]
    Gguf(commands::gguf::Command),
    /// NIfTI and ANALYZE files: the header, checks, statistics, conversion, patches, indexes, and files to test with
    #[command(subcommand, after_help = EXIT_CODES)]
    Nifti(commands::nifti::Command),
    /// RWKV-7 models: dimensions, generation, logits, perplexity, quantization
    #[command(subcommand, after_help = EXIT_CODES)]
    Rwkv7(commands::rwkv7::Command),
    /// List the cells of a scenario, or the scenarios
    Cells(commands::cells::ListArguments),
    /// Run one cell of a scenario and write its record
    ///
    /// `cargo xtask run NAME` runs all cells, each in a process like this.
    Cell(commands::cells::RunArguments),
    /// Make the report of a scenario from the rows that were kept
    Report(commands::cells::ReportArguments),
    /// Take part in `cargo xtask peers OP` as our side, on stdin and stdout
    #[command(hide = true)]
    Peer(implementations::Arguments),
}

fn main() -> ExitCode {
    let command = Line::parse().command;
    #[cfg(unix)]
    if !matches!(command, Command::Peer(_))
        && let Err(error) = interrupt::watch()
    {
        print::error(&anyhow::Error::from(error).context("cannot watch for signals"));
        return ExitCode::FAILURE;
    }
    let result = match command {
        Command::Gguf(command) => commands::gguf::run(&command),
        Command::Nifti(command) => commands::nifti::run(&command),
        Command::Rwkv7(command) => commands::rwkv7::run(&command),
        Command::Cells(arguments) => commands::cells::list(&arguments),
        Command::Cell(arguments) => commands::cells::run(&arguments),
        Command::Report(arguments) => commands::cells::report(&arguments),
        Command::Peer(arguments) => implementations::serve(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(&error);
            ExitCode::FAILURE
        }
    }
}
