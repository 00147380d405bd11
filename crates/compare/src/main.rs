//! `cargo assay`: compare, gate, log and doctor for any Cargo workspace with criterion benches.
//!
//! Cargo calls the program `cargo-assay` with `assay` as its first argument.

use std::process::ExitCode;

use clap::Parser;
use compare::cli::Command;
use compare::commands;
use compare::comparison::Invocation;

/// Compare revisions of a Cargo workspace by its criterion benchmarks: proved, then timed, then compared
#[derive(Debug, Parser)]
#[command(name = "cargo assay", bin_name = "cargo assay", version, arg_required_else_help = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let mut words: Vec<_> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "assay") {
        words.remove(1);
    }
    let line = Line::try_parse_from(words).unwrap_or_else(|error| error.exit());
    match Invocation::of_process("cargo assay") {
        Ok(invocation) => ExitCode::from(commands::execute(&invocation, &line.command).code()),
        #[expect(clippy::print_stderr, reason = "a binary's last word, before its console exists")]
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
