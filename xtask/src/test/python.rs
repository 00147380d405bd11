//! The Python package: built as the wheel that users install, and tested with NumPy and nibabel in an environment of
//! its own below `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Error, Result};
use compare::command;
use compare::comparison::Invocation;

use super::{Outcome, count};

/// The crate, and what its tests need.
const PACKAGE: &str = "crates/loader-python";
const REQUIREMENTS: &str = "crates/loader-python/tests/requirements.txt";
/// The environment and the wheels.
const BELOW_TARGET: &str = "target/python-package";

/// What `--require` calls these tests.
pub(super) const REQUIRED: &str = "python";

/// An environment with the requirements.
pub(super) struct Environment {
    directory: PathBuf,
}

impl Environment {
    /// The environment. `None`, and a note, where there is none and `required` does not name it.
    pub(super) fn wanted(invocation: &Invocation, root: &Path, required: &[String]) -> Option<Result<Self>> {
        let environment = Self::prepared(root);
        match &environment {
            Err(error) if required.iter().all(|name| name != REQUIRED) => {
                let note = format!("SKIPPED: no tests of the Python package: {error:#}");
                invocation.console.note(&note);
                None
            }
            _ => Some(environment),
        }
    }

    /// Makes the environment, or brings it up to date; why not, where Python or its packages cannot be had.
    fn prepared(root: &Path) -> Result<Self> {
        let directory = root.join(BELOW_TARGET).join("environment");
        let environment = Self { directory };
        if !environment.program("python").exists() {
            let mut make = command::in_directory("python3", root);
            command::run(make.args(["-m", "venv", "--clear"]).arg(&environment.directory))
                .context("no environment of Python: python3 and its module venv are needed")?;
        }
        let packages = environment.pip(root, &["--requirement", REQUIREMENTS]);
        packages.context("the packages of the tests cannot be installed: a registry of Python packages is needed")?;
        Ok(environment)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.directory.join("bin").join(name)
    }

    /// `name` of this environment, in `root`.
    fn command(&self, root: &Path, name: &str) -> Command {
        command::in_directory(&self.program(name).to_string_lossy(), root)
    }

    fn pip(&self, root: &Path, arguments: &[&str]) -> Result<()> {
        let mut pip = self.command(root, "python");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(arguments);
        command::run(&mut pip).map(drop)
    }

    /// The decoder is that of the Rust tests, if they were built before: profile, features and target directory agree.
    fn install(&self, root: &Path) -> Result<()> {
        let wheels = root.join(BELOW_TARGET).join("wheels");
        if wheels.exists() {
            std::fs::remove_dir_all(&wheels).with_context(|| format!("failed to empty {}", wheels.display()))?;
        }
        let mut maturin = self.command(root, "maturin");
        maturin.args(["build", "--locked", "--profile", "dev", "--auditwheel", "skip"]);
        maturin.arg("--manifest-path").arg(root.join(PACKAGE).join("Cargo.toml")).arg("--out").arg(&wheels);
        command::run(&mut maturin)?;
        let built: Vec<PathBuf> = std::fs::read_dir(&wheels)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        let wheel = built.first().with_context(|| format!("maturin left no wheel in {}", wheels.display()))?;
        self.pip(root, &["--no-index", "--no-deps", "--force-reinstall", &wheel.to_string_lossy()])
    }

    fn run(&self, root: &Path) -> Result<Outcome> {
        let mut tests = self.command(root, "python");
        tests.args(["-m", "unittest", "discover", "--start-directory"]).arg(root.join(PACKAGE).join("tests"));
        tests.env("RUST_BACKTRACE", "0");
        let output = command::output_of(&mut tests)?;
        let text = String::from_utf8_lossy(&output.stderr);
        let count = count::unittest(&text).of_step(output.status.success());
        let shown = if output.status.success() { String::new() } else { command::tail(&output.stderr) };
        Ok(Outcome { count, shown, ..Outcome::default() })
    }
}

/// Builds the wheel, installs it and runs the tests. That there is no environment is a failure, too.
pub(super) fn test(root: &Path, environment: Result<&Environment, &Error>) -> Result<Outcome> {
    let failed = |error: &Error| Outcome {
        count: count::nothing("").of_step(false),
        shown: format!("{error:#}"),
        ..Outcome::default()
    };
    let environment = match environment {
        Ok(environment) => environment,
        Err(error) => return Ok(failed(error)),
    };
    match environment.install(root) {
        Ok(()) => environment.run(root),
        Err(error) => Ok(failed(&error)),
    }
}
