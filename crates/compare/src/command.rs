//! Runs other programs: captures output, shows the command and its last lines in errors, honors Ctrl-C.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How many of a failing program's last lines an error repeats.
pub const TAIL_LINES: usize = 25;

/// Becomes true once the user pressed Ctrl-C or the process was asked to terminate.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Registers the handlers of SIGINT and SIGTERM. A second signal ends the process at once, as users expect.
    pub fn install() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&flag))
                .context("failed to install the signal handler")?;
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("failed to install the signal handler")?;
        }
        Ok(Self(flag))
    }

    /// An error once interrupted; call it between steps.
    pub fn check(&self) -> Result<()> {
        if self.is_set() { bail!("interrupted: nothing was logged") } else { Ok(()) }
    }

    /// Whether a signal came.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs `command` to its end and returns its standard output as text.
pub fn stdout_of(command: &mut Command) -> Result<String> {
    let output = run(command)?;
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed something that is not UTF-8", shown(command)))
}

/// Runs `command` to its end; a non-zero status is an error that carries the last lines it printed.
pub fn run(command: &mut Command) -> Result<Output> {
    let output = output_of(command)?;
    if !output.status.success() {
        bail!("`{}` failed ({})\n{}", shown(command), output.status, tail(&output.stderr));
    }
    Ok(output)
}

/// Runs `command` to its end whatever its status; an error only if it cannot be started.
pub fn output_of(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null());
    unless_busy(|| command.output()).with_context(|| format!("failed to start `{}`", shown(command)))
}

/// `start` again while the program's file is "busy". A file that was just written cannot be run while any process has
/// it open for writing, and a process that another thread forks inherits our open file until it runs its own program
/// (golang/go#22315). That is over in milliseconds; a file that stays busy is an error after about a second.
pub fn unless_busy<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for wait_ms in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] {
        match start() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(wait_ms));
            }
            other => return other,
        }
    }
    start()
}

/// The last lines of a program's output, for an error message.
pub fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    printable(&lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")).into_owned()
}

/// `text` without control characters other than line breaks and tabs, which a terminal would obey: they are written as
/// escapes, except the colors that compilers print, which are left out.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_raw = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(is_raw) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match color_after(after).filter(|_| c == '\u{1b}') {
            Some(after) => after,
            None => {
                if is_raw(c) {
                    clean.extend(c.escape_default())
                } else {
                    clean.push(c)
                }
                after
            }
        };
    }
    Cow::Owned(clean)
}

/// What follows a color sequence, `[`, digits and semicolons, `m`.
fn color_after(text: &str) -> Option<&str> {
    let end = text.strip_prefix('[')?.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
    end.strip_prefix('m')
}

/// The command as a person would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// `program` in `directory`.
pub fn in_directory(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory);
    command
}

/// What `git rev-parse --local-env-vars` lists. Git exports some of them to hooks and aliases, where they outweigh the
/// directory that a command runs in: a checkout in a slot would then move the user's own HEAD and index.
pub const GIT_LOCAL_VARIABLES: [&str; 16] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Git in `directory`, about the repository of that directory and no other, without a prompt.
pub fn git_in(directory: &Path) -> Command {
    let mut command = in_directory("git", directory);
    for name in GIT_LOCAL_VARIABLES {
        command.env_remove(name);
    }
    command.env("GIT_TERMINAL_PROMPT", "0");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_named_with_its_last_lines() {
        let error =
            run(Command::new("sh").args(["-c", "echo first >&2; echo last >&2; exit 3"])).unwrap_err().to_string();
        assert!(
            error.contains("sh -c") && error.contains("exit status: 3") && error.ends_with("first\nlast"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err().to_string();
        assert!(error.contains("no-such-program-here"), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_that_is_still_open_for_writing_is_waited_for() {
        use std::os::unix::fs::OpenOptionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        let mut writer = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(&path).unwrap();
        io::Write::write_all(&mut writer, b"#!/bin/sh\nexit 0\n").unwrap();
        let mut writer = Some(writer);
        let mut starts = 0;
        let mut command = Command::new(&path);
        let status = unless_busy(|| {
            starts += 1;
            let status = command.status();
            drop(writer.take());
            status
        });
        assert!(status.unwrap().success() && starts >= 2, "{starts} starts");
        let missing = unless_busy(|| Command::new(directory.path().join("none")).status());
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn control_characters_are_written_out_and_colors_left_out() {
        assert_eq!(printable("plain\n\ttext ä"), "plain\n\ttext ä");
        assert_eq!(printable("\u{1b}[1;31merror\u{1b}[0m: no"), "error: no");
        assert_eq!(printable("a\u{1b}]0;title\u{7}b\r"), "a\\u{1b}]0;title\\u{7}b\\r");
        assert_eq!(printable("\u{1b}[2J"), "\\u{1b}[2J", "clearing the screen is no color");
    }

    #[test]
    fn the_tail_is_bounded() {
        let many: String = (0..100).map(|i| format!("line {i}\n")).collect();
        let tail = tail(many.as_bytes());
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("line 99"));
    }
}
