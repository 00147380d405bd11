//! Runs other programs in a clean environment.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// How many of a failing program's last lines an error repeats.
const TAIL_LINES: usize = 20;

/// What a program left.
pub struct Ran {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
}

impl Ran {
    /// Why it failed, in a line and then its last words: the status with the first line that calls itself an error,
    /// else with the last line.
    pub fn reason(&self) -> String {
        let is_error = |line: &&str| line.to_ascii_lowercase().starts_with("error");
        let lines = || self.stdout.lines().chain(self.stderr.lines()).map(str::trim).filter(|line| !line.is_empty());
        let why = lines().find(is_error).or(lines().next_back()).unwrap_or("it says nothing");
        let status = self.code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit {code}"));
        format!("{status}: {why}\n{}", self.tail())
    }

    /// The last lines of both streams.
    fn tail(&self) -> String {
        let lines: Vec<&str> = self.stdout.lines().chain(self.stderr.lines()).collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

/// A command in `directory`, without what `cargo run` and a user's shell add for this program alone.
pub fn command(program: impl AsRef<OsStr>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).stdin(Stdio::null());
    std::env::vars_os().map(|(name, _)| name).filter(|name| is_foreign(&name.to_string_lossy())).for_each(|name| {
        command.env_remove(name);
    });
    command
}

fn is_foreign(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "CARGO",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_TARGET_DIR",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
        "RUST_RECURSION_COUNT",
        "LD_LIBRARY_PATH",
    ];
    NAMES.contains(&name) || name.starts_with("CARGO_PKG_") || name.starts_with("GIT_")
}

/// Runs to the end, whatever the status.
///
/// # Errors
/// The program cannot be started.
pub fn run(command: &mut Command) -> Result<Ran> {
    let output = command.output().with_context(|| format!("failed to start `{}`", shown(command)))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ran { stdout: text(&output.stdout), stderr: text(&output.stderr), code: output.status.code() })
}

/// Runs to the end and gives standard output.
///
/// # Errors
/// The program cannot be started, or fails.
pub fn succeed(command: &mut Command) -> Result<String> {
    let ran = run(command)?;
    if ran.code != Some(0) {
        bail!("`{}`: {}", shown(command), ran.reason());
    }
    Ok(ran.stdout)
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_this_program_is_taken_away() {
        for name in ["CARGO", "CARGO_PKG_NAME", "RUSTFLAGS", "GIT_DIR", "CARGO_TARGET_DIR"] {
            assert!(is_foreign(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_HTTP_PROXY", "PATH", "HOME", "RUSTUP_HOME"] {
            assert!(!is_foreign(name), "{name}");
        }
    }

    #[test]
    fn failures_show_the_command_and_its_last_words() {
        let error = |script| succeed(command("sh", Path::new(".")).args(["-c", script])).unwrap_err().to_string();
        assert_eq!(
            error("echo one; echo two >&2; exit 3"),
            "`sh -c echo one; echo two >&2; exit 3`: exit 3: two\none\ntwo"
        );
        let named = error("echo one; echo Error: two >&2; echo three >&2; exit 1");
        assert!(named.lines().next().is_some_and(|line| line.ends_with("`: exit 1: Error: two")), "{named}");
    }
}
