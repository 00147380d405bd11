//! `cargo xtask`: what this workspace checks about itself, and the commands of `compare`.
//!
//! A dispatcher: it links nothing that computes. Benchmarks, tests and lints are reached through processes and files.
#![forbid(unsafe_code)]

mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use compare::comparison::Invocation;
use compare::exit::{self, Exit};
use compare::{cli, commands};
use pack::slurm::OrSlurm;

const AFTER_HELP: &str = "\
First steps:
  cargo xtask compare --title \"First look\" --change \"as cloned\"   record the state as it is
  (edit a kernel)
  cargo xtask compare --title \"First look\" --change \"what I did\"  measure before and after, in turns
  cargo xtask test                                               everything that CI runs

Exit codes: 0 nothing proven worse, 1 tool or build failure, 2 usage, 3 proven regression,
4 (gate) no verdict, 5 wrong output or a benchmark missing. `tidy` and `test` end with 0 or 1.

`cargo xtask COMMAND --help` says more. README.md explains how to read a comparison, ARCHITECTURE.md the workspace.";

/// The commands of this workspace: proved, then timed, then compared
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = AFTER_HELP)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value per process")]
enum Command {
    #[command(flatten)]
    Compare(cli::Command<OrSlurm<cli::Compare>>),
    /// Check the structural rules: directions, wiring, names, sizes, comments, workflows
    ///
    /// Reads files and starts no build. `--ids` also checks bench ids and tiers, which only the bench programs know.
    Tidy(tidy::Arguments),
    /// Time our kernels beside other people's code, on the same bytes, in turns
    ///
    /// `peers/OP.toml` names the peers and the cases. Peers are built and started from workspaces of their own; one
    /// that is not available stays in the table with the reason. A whole run writes its table below `baselines/` and
    /// its summary into docs/results/. Exit code 5 if a peer's result differs from ours.
    Peers(peers::Arguments),
    /// Run the cells of a scenario, each in a process of its own, and report them
    ///
    /// `benches/scenarios/NAME.toml` is the matrix. Each row is written when its process ends: after an interrupt,
    /// the same command continues. A whole run keeps rows, report and figures below `baselines/`. Exit code 5
    /// if an output is wrong, 1 if a cell failed.
    Run(OrSlurm<scenarios::Arguments>),
    /// Build here what is measured on a machine without a toolchain
    ///
    /// Writes a folder below target/pack/ with programs, a plan, checksums and the program `run`. docs/elsewhere.md
    /// shows how to use it.
    Pack(pack::pack::Arguments),
    /// Bring home what a pack measured
    ///
    /// Checks the records against their pack and keeps them below `baselines/`. Importing twice changes nothing.
    Import(pack::import::Arguments),
    /// Compare results and files with other people's programs, and count what agrees
    ///
    /// Runs every case of `peers/OP.toml` once with every peer, and the checkers that the file names. The counts go to
    /// `baselines/agree-OP.md`. Exit code 1 if a peer differs from us and the file lists no reason, or is not
    /// available.
    Agree(peers::AgreeArguments),
    /// Draw charts and tables in docs/results/ from what `peers` and `agree` kept
    ///
    /// All of them show one machine class. Equal data draw equal bytes; `tidy` fails if a file differs from its data.
    Charts(peers::ChartsArguments),
    /// Everything that CI runs: format, lints, tests, documentation, one iteration of every bench, the
    /// smallest cells of every scenario, tidy, log
    ///
    /// All steps run even if one fails. The last line is `N passed, N failed`: tests, smoke-tested benches and cells
    /// one by one, every other step as one.
    Test(test::Arguments),
}

fn main() -> ExitCode {
    let mut words: Vec<_> = std::env::args_os().collect();
    if words.len() == 1 {
        words.push("--help".into());
    }
    let line = Line::try_parse_from(words).unwrap_or_else(|error| error.exit());
    match Invocation::of_process("cargo xtask") {
        Ok(invocation) => ExitCode::from(dispatch(&invocation, &line.command).code()),
        #[expect(clippy::print_stderr, reason = "a binary's last word, before its console exists")]
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(invocation: &Invocation, command: &Command) -> Exit {
    let root = root(invocation);
    let result = match command {
        Command::Compare(cli::Command::Compare(arguments)) if arguments.is_slurm() => {
            pack::slurm::compare(invocation, &root, arguments)
        }
        Command::Compare(command) => return commands::execute(invocation, command),
        Command::Peers(arguments) => peers::peers(invocation, &root, arguments),
        Command::Run(arguments) if arguments.is_slurm() => pack::slurm::run(invocation, &root, arguments),
        Command::Run(arguments) => scenarios::run(invocation, &root, &arguments.here),
        Command::Pack(arguments) => pack::pack::pack(invocation, &root, arguments),
        Command::Import(arguments) => pack::import::import(invocation, &root, arguments),
        Command::Agree(arguments) => peers::agree(invocation, &root, arguments),
        Command::Charts(arguments) => peers::charts(invocation, &root, arguments),
        Command::Tidy(arguments) => tidy::tidy(invocation, &root, arguments),
        Command::Test(arguments) => test::test(invocation, &root, arguments),
    };
    result.unwrap_or_else(|error| {
        invocation.console.note(&format!("error: {error:#}"));
        exit::of_error(&error)
    })
}

/// The workspace that this xtask belongs to: cargo names its directory when it runs it.
fn root(invocation: &Invocation) -> PathBuf {
    let xtask = invocation.variable("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    xtask.parent().map(Path::to_owned).unwrap_or(xtask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_and_forwarded_commands_parse() {
        for line in [
            "x compare --title T --change C --filter x",
            "x gate --base main --format github --json-file a --comment-file b --accept *=why",
            "x log check",
            "x doctor",
            "x selftest",
            "x peers gemm --filter 512 --peer matrixmultiply --dry-run",
            "x run gguf-load --set access=map,read --set size_mib=64 --full --again --dry-run --seed 1",
            "x run",
            "x run gguf-load --slurm --sbatch --partition=p --shared /s --cpus 4 --poll 5s --again",
            "x compare --base main --slurm --sbatch --partition=p",
            "x pack peers gemm --filter 512 --peer torch --threads 1,16",
            "x pack bench quant --filter q4 --with-loader",
            "x pack compare --base main -p quant --filter q4 --title T --change C",
            "x pack scenario gguf-load --set access=map --full --with-loader",
            "x import a b",
            "x import a --json",
            "x agree gguf --filter split --dry-run",
            "x charts --class some-class",
            "x peers gemm --render --class some-class",
            "x tidy",
            "x tidy --ids",
            "x test",
            "x test --require cpu-avx2,wgpu",
        ] {
            Line::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in ["x frobnicate", "x run gguf-load --cpus 4", "x gate --slurm", "x run gguf-load --slurm --cpus 0"] {
            assert!(Line::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
