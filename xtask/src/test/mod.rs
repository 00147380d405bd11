//! `cargo xtask test`: everything that CI runs, in one command, one target directory and one count.

mod count;
mod programs;
mod python;
mod schema;
mod targets;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use compare::command;
use compare::comparison::Invocation;
use compare::exit::Exit;
use compare::log::{self, Log};
use record::BenchRow;

use crate::tidy;
use count::Count;
use python::Environment;
use schema::Checker;

/// `test`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Kernels or backends that must be there: a missing one fails instead of being skipped. `python` stands for the
    /// tests of the Python package
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    require: Vec<String>,
}

/// What a step found.
#[derive(Debug, Default)]
struct Outcome {
    count: Count,
    /// What to show of a step that failed.
    shown: String,
    /// What tests said that they left out.
    left_out: Vec<String>,
}

/// A step that is a run of cargo.
struct Cargo {
    name: &'static str,
    arguments: Cow<'static, [&'static str]>,
    /// Counts tests in the standard output of steps that have several.
    count: fn(&str) -> Count,
}

const FORMAT: Cargo = Cargo::new("format", &["fmt", "--all", "--check"], count::nothing);
const CLIPPY: Cargo =
    Cargo::new("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], count::nothing);
const DOCUMENTATION: Cargo = Cargo::new("documentation", &["doc", "--workspace", "--no-deps"], count::nothing);
const BENCHES: Cargo = Cargo::new("benches, once each", &["bench", "--workspace", "--", "--test"], count::benches);

/// Tests of one program that run at a time, at least: those of `compare` wait for other programs most of the time.
const LEAST_TEST_THREADS: usize = 4;

/// Runs the command.
pub(crate) fn test(invocation: &Invocation, root: &Path, arguments: &Arguments) -> Result<Exit> {
    let (rows_variable, rows_path) = tidy::row_file();
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut of_tests: Vec<(&str, OsString)> =
        vec![("RUST_TEST_THREADS", processors.max(LEAST_TEST_THREADS).to_string().into())];
    if !arguments.require.is_empty() {
        of_tests.push(("ASSAY_REQUIRE", arguments.require.join(",").into()));
    }
    let mut rows = Vec::new();
    let mut total = Count::default();
    let mut step = |name: &str, run: &mut dyn FnMut() -> Result<Outcome>| -> Result<()> {
        invocation.interrupt.check()?;
        let progress = invocation.console.spinner(name);
        let start = Instant::now();
        let outcome = run()?;
        progress.finish();
        total += outcome.count;
        invocation.console.print(&line(name, &outcome, start.elapsed().as_secs_f64()))?;
        outcome.left_out.iter().for_each(|left_out| invocation.console.note(left_out));
        Ok(())
    };
    for cargo in [FORMAT, CLIPPY] {
        step(cargo.name, &mut || cargo.run::<&str>(root, &[]))?;
    }
    step("tests, doc tests", &mut || programs::run(root, &of_tests))?;
    step(DOCUMENTATION.name, &mut || DOCUMENTATION.run(root, &[("RUSTDOCFLAGS", "-D warnings".into())]))?;
    step(BENCHES.name, &mut || {
        let outcome = BENCHES.run(root, &[(rows_variable, rows_path.clone().into())])?;
        rows = tidy::take_rows(&rows_path)?;
        Ok(outcome)
    })?;
    step("scenarios, smoke", &mut || {
        // As the tests built it: by itself it would have other features of its dependencies, and be built again.
        let assay = peers::program_of(root, "assay", &["test", "--workspace", "--no-run"])?;
        Ok(of_cells(&scenarios::smoke(invocation, root, &assay)?))
    })?;
    if let Some(environment) = Environment::wanted(invocation, root, &arguments.require) {
        step("Python package", &mut || python::test(root, environment.as_ref()))?;
    }
    let (targets, absent): (Vec<&str>, Vec<&str>) =
        targets::TARGETS.into_iter().partition(|target| targets::is_installed(root, target));
    if !targets.is_empty() {
        let cargo = targets::step(&targets);
        step(cargo.name, &mut || cargo.run(root, &targets::variables(root, &targets)))?;
    }
    for target in absent {
        invocation
            .console
            .note(&format!("SKIPPED: no `cargo check` for {target}: `rustup target add {target}` installs it"));
    }
    if !arguments.require.is_empty() {
        step("required kernels", &mut || Ok(of_list(missing(&arguments.require, &rows))))?;
    }
    step("tidy", &mut || {
        let violations = tidy::check(root)?.into_iter().chain(tidy::check_ids(&rows));
        Ok(of_list(violations.map(|violation| violation.to_string()).collect()))
    })?;
    match Checker::installed() {
        Some(checker) => step(checker.name, &mut || Ok(of_list(checker.check(root)?)))?,
        None => invocation.console.note(
            "workflows are not checked against GitHub's schema: neither actionlint nor check-jsonschema is installed",
        ),
    }
    step("log check", &mut || {
        let (_, _, faults) = log::check(&Log::open(root))?;
        Ok(of_list(faults.into_iter().map(|fault| format!("{}: {}", fault.id, fault.reason)).collect()))
    })?;
    invocation.console.print(&total.to_string())?;
    Ok(if total.failed == 0 { Exit::Fine } else { Exit::Failure })
}

impl Cargo {
    const fn new(name: &'static str, arguments: &'static [&'static str], count: fn(&str) -> Count) -> Self {
        Self { name, arguments: Cow::Borrowed(arguments), count }
    }

    fn run<K: AsRef<OsStr>>(&self, root: &Path, variables: &[(K, OsString)]) -> Result<Outcome> {
        let mut cargo: Command = command::in_directory("cargo", root);
        cargo.args(&*self.arguments).env("CARGO_TERM_COLOR", "never");
        let variables = variables.iter().map(|(key, value)| (key, value));
        run_tests(&mut cargo, variables, |text, is_success| (self.count)(text).of_step(is_success))
    }
}

impl Outcome {
    /// Adds what another part of the step found.
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.shown.push_str(&other.shown);
        self.left_out.extend(other.left_out);
    }
}

/// Runs a command whose standard output tells of tests, or which is one test itself. `count` takes the output and
/// whether the command succeeded.
fn run_tests<K: AsRef<OsStr>, V: AsRef<OsStr>>(
    command: &mut Command,
    variables: impl Iterator<Item = (K, V)>,
    count: impl Fn(&str, bool) -> Count,
) -> Result<Outcome> {
    command.env("RUST_BACKTRACE", "0");
    // What this process was told is not for the programs under test.
    for name in ["ASSAY_ROWS", "ASSAY_INJECT", "ASSAY_REPEAT"] {
        command.env_remove(name);
    }
    command.envs(variables);
    let output = command::output_of(command)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let count = count(&text, output.status.success());
    let left_out = count::left_out(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(Outcome { count, shown: String::new(), left_out });
    }
    let mut shown = format!("`{}` failed ({})\n", command::shown(command), output.status);
    let failures = count::failures(&text);
    // The end of the output tells what failed, unless failed tests tell it themselves.
    let end = if failures.is_empty() { command::tail(&output.stdout) } else { failures };
    for part in [end, command::tail(&output.stderr)] {
        if !part.is_empty() {
            shown.push_str(&part);
            shown.push('\n');
        }
    }
    Ok(Outcome { count, shown, left_out })
}

/// A step that is a list of faults.
fn of_list(faults: Vec<String>) -> Outcome {
    Outcome { count: Count::default().of_step(faults.is_empty()), shown: faults.join("\n"), ..Outcome::default() }
}

/// A step that counts cells and reports one by one.
fn of_cells(smoked: &[scenarios::Smoked]) -> Outcome {
    let faults = smoked.iter().filter_map(|cell| Some(format!("{}: {}", cell.what, cell.fault.as_ref()?)));
    let shown: Vec<String> = faults.collect();
    let count = Count { passed: smoked.len() - shown.len(), failed: shown.len() };
    let count = if smoked.is_empty() { count.of_step(false) } else { count };
    Outcome { count, shown: shown.join("\n"), ..Outcome::default() }
}

/// Required names that no bench ran: neither a kernel nor the beginning of kernels' names (`wgpu` of `wgpu-tiled`).
fn missing(required: &[String], rows: &[BenchRow]) -> Vec<String> {
    let ran = |name: &str| {
        let mut kernels = rows.iter().filter_map(|row| row.ran.get("kernel"));
        kernels.any(|kernel| kernel.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
    };
    let absent = required.iter().filter(|name| *name != python::REQUIRED && !ran(name));
    absent.map(|name| format!("{name} is required, but no bench ran a kernel of that name")).collect()
}

fn line(name: &str, outcome: &Outcome, seconds: f64) -> String {
    let state = if outcome.count.failed == 0 { "ok" } else { "FAILED" };
    let count = outcome.count.to_string();
    let shown = if outcome.count.failed == 0 { "" } else { outcome.shown.trim_end() };
    let separator = if shown.is_empty() { "" } else { "\n" };
    format!("{name:<20} {state:<6} {seconds:>7.1} s   {count}{separator}{shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_shows_why_and_is_counted() {
        let outcome = of_list(vec!["a.rs:1: wrong".into(), "b.rs:2: wrong".into()]);
        assert_eq!(
            line("tidy", &outcome, 1.25),
            "tidy                 FAILED     1.2 s   0 passed, 1 failed\na.rs:1: wrong\nb.rs:2: wrong"
        );
        assert_eq!(
            line("tidy", &of_list(Vec::new()), 0.0),
            "tidy                 ok         0.0 s   1 passed, 0 failed"
        );
    }

    #[test]
    fn cells_are_counted_one_by_one_and_none_is_a_failure() {
        let cell = |fault: Option<&str>| scenarios::Smoked { what: "s a=1".into(), fault: fault.map(str::to_owned) };
        let outcome = of_cells(&[cell(None), cell(Some("killed")), cell(None)]);
        assert_eq!((outcome.count, outcome.shown.as_str()), (Count { passed: 2, failed: 1 }, "s a=1: killed"));
        assert_eq!(of_cells(&[]).count.failed, 1);
    }

    #[test]
    fn a_required_kernel_that_nothing_ran_is_a_failure() {
        let required = ["cpu-avx2".to_owned()];
        assert_eq!(missing(&required, &[]).len(), 1);
        let line = r#"{"schema":1,"state":"proved","group":"g","function":"f","value":"v","tier":1,"source":null,"proof":null,
            "ran":{"kernel":"cpu-avx2-tiled"},"work":{"flops":null,"bytes":null,"elements":null},"ceiling":null,"rate_per_s":null,
            "allocations":null,"peak_rss_bytes":null}"#;
        let rows =
            record::jsonl::parse::<BenchRow>(line.replace('\n', " ").as_bytes(), Path::new("rows"), 1).unwrap().rows;
        assert_eq!(missing(&required, &rows), Vec::<String>::new());
        assert_eq!(missing(&["cpu-avx".to_owned()], &rows).len(), 1, "part of a word is another name");
        assert_eq!(missing(&["python".to_owned()], &rows), Vec::<String>::new(), "its own step tells");
    }

    #[test]
    fn a_failing_cargo_is_a_failing_step_with_its_last_lines() {
        let step = Cargo::new("x", &["no-such-subcommand"], count::nothing);
        let outcome = step.run::<&str>(Path::new("."), &[]).unwrap();
        assert_eq!(outcome.count, Count { passed: 0, failed: 1 });
        assert!(outcome.shown.contains("no-such-subcommand"), "{}", outcome.shown);
    }
}
