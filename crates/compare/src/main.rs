//! `cargo assay`: compare, gate, log and doctor for any Cargo workspace with criterion benches.
//!
//! Cargo calls the program `cargo-assay` with `assay` as its first argument.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use compare::cli;
use compare::commands;
use compare::comparison::Invocation;

/// Compare revisions of a Cargo workspace by its criterion benchmarks: proved, then timed, then compared
#[derive(Debug, Parser)]
#[command(name = "cargo assay", bin_name = "cargo assay", version = VERSION, arg_required_else_help = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// What a reader of a report or a log must know of the program that wrote it.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (log schema 1, log form 2, criterion 0.3 to 0.8",
    // The build script says "; commit 0123456789" in a release that is built from a repository, else nothing. Cargo
    // drops spaces at the end.
    env!("ASSAY_REVISION"),
    ")"
);

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value per process")]
enum Command {
    #[command(flatten)]
    Compare(cli::Command),
    /// Print completions for a shell, to be put where it looks for those of `cargo-assay`
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let mut words: Vec<_> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "assay") {
        words.remove(1);
    }
    let line = Line::try_parse_from(words).unwrap_or_else(|error| error.exit());
    let command = match line.command {
        Command::Compare(command) => command,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Line::command(), "cargo-assay", &mut script);
            // A reader that went away (`| head`) is no error.
            return match std::io::stdout().write_all(&script) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
                _ => ExitCode::SUCCESS,
            };
        }
    };
    match Invocation::of_process("cargo assay") {
        Ok(invocation) => ExitCode::from(commands::execute(&invocation, &command).code()),
        #[expect(clippy::print_stderr, reason = "a binary's last word, before its console exists")]
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_names_what_the_library_writes() {
        let (schema, form) = (compare::report::SCHEMA, compare::report::RENDER);
        assert!(VERSION.contains(&format!("log schema {schema}, log form {form},")), "{VERSION}");
    }

    #[test]
    fn every_shell_gets_completions_of_every_command() {
        use clap::ValueEnum;
        for shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Line::command(), "cargo-assay", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("gate") && script.contains("demo") && script.contains("budget"), "{shell}");
        }
    }
}
