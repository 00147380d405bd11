//! `run`: measures the pack that it lies in. See `docs/elsewhere.md`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use compare::comparison::Invocation;
use compare::exit;
use pack::run::{self, Arguments};

/// Measure the pack that this program lies in
///
/// Checks every file, says what the machine is, and measures unit by unit, the most important first. Each finished unit
/// is one record. The same command continues what was cut short. Needs no network, no root and no HOME.
#[derive(Debug, Parser)]
#[command(name = "run", version)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    let line = Line::parse();
    let invocation = match Invocation::of_process("./run") {
        Ok(invocation) => invocation,
        #[expect(clippy::print_stderr, reason = "a binary's last word, before its console exists")]
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let folder = std::env::current_exe().context("this program does not find itself; is /proc mounted?");
    let result =
        folder.and_then(|program| run::run(&invocation, program.parent().unwrap_or(&program), &line.arguments));
    let exit = result.unwrap_or_else(|error| {
        invocation.console.error(&format!("error: {error:#}"));
        exit::of_error(&error)
    });
    ExitCode::from(exit.code())
}
