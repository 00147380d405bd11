//! The programs of the tests, two at a time: many wait for other programs most of the time.
//!
//! `cargo test` runs one after the other. Here cargo builds them, as `cargo test` would, and names them; each then runs
//! in the directory of its package. Integration tests come first, because the longest are among them. Meanwhile cargo
//! builds the benches, which have a directory of their own, and after that builds and runs the doc tests.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use compare::command;
use peers::TestProgram;

use super::{Cargo, Outcome, count};

/// Programs that run at a time.
const AT_A_TIME: usize = 2;

const BUILT: Cargo = Cargo::new("tests, built", &["test", "--workspace", "--no-run"], count::nothing);
const BENCHES_BUILT: Cargo = Cargo::new("benches, built", &["bench", "--workspace", "--no-run"], count::nothing);
const DOC_TESTS: Cargo = Cargo::new("doc tests", &["test", "--workspace", "--doc", "--no-fail-fast"], count::tests);

/// Builds and runs all tests. Why a bench cannot be built is told by the step that runs them.
pub(super) fn run(root: &Path, variables: &[(&str, OsString)]) -> Result<Outcome> {
    let built = BUILT.run(root, variables)?;
    if built.count.failed > 0 {
        return Ok(built);
    }
    let mut programs = peers::test_programs(root)?;
    // Taken from the end.
    programs.sort_by_key(|program| program.is_integration);
    let waiting = Mutex::new(programs);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME)
            .map(|_| {
                scope.spawn(|| {
                    std::iter::from_fn(next).map(|program| run_one(&program, variables)).collect::<Result<Vec<_>>>()
                })
            })
            .collect();
        BENCHES_BUILT.run::<&str>(root, &[])?;
        let doc_tests = DOC_TESTS.run(root, variables)?;
        let mut all = Outcome::default();
        for worker in workers {
            let outcomes = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            outcomes.into_iter().for_each(|outcome| all.add(outcome));
        }
        all.add(doc_tests);
        Ok(all)
    })
}

/// Runs a program as `cargo test` does.
fn run_one(program: &TestProgram, variables: &[(&str, OsString)]) -> Result<Outcome> {
    let mut command: Command = command::in_directory(&program.path.to_string_lossy(), &program.directory);
    command.env("CARGO_MANIFEST_DIR", &program.directory);
    let variables = variables.iter().map(|(key, value)| (*key, value));
    super::run_tests(&mut command, variables, |text, is_success| count::tests(text).of_part(is_success))
}
