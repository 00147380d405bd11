//! Runs other programs: captures output, shows the command and its last lines in errors, honors Ctrl-C.
//!
//! Every program that is run to its end here is watched for a signal meanwhile, so that a slow git, linker or network
//! does not keep the user waiting.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::child::Group;
pub use crate::interrupt::{Interrupt, Interrupted, is_interrupted};

/// How many of a failing program's last lines an error repeats.
pub const TAIL_LINES: usize = 25;
/// Characters of a line, or of a command, that a message repeats: the call of a linker has thousands.
const LINE_CHARACTERS: usize = 240;
/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Runs `command` to its end and returns its standard output as text.
pub fn stdout_of(command: &mut Command) -> Result<String> {
    command.stderr(Stdio::piped());
    let output = succeeded(command, &Interrupt::of_process())?;
    text_of(command, output.stdout)
}

/// As [`stdout_of`], but what it writes to standard error is shown as it comes.
pub fn stdout_of_shown(command: &mut Command) -> Result<String> {
    command.stderr(Stdio::inherit());
    let output = succeeded(command, &Interrupt::of_process())?;
    text_of(command, output.stdout)
}

fn text_of(command: &Command, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).with_context(|| format!("`{}` printed something that is not UTF-8", shown(command)))
}

/// Runs `command` to its end; a non-zero status is an error that carries the last lines it printed.
pub fn run(command: &mut Command) -> Result<Output> {
    command.stderr(Stdio::piped());
    succeeded(command, &Interrupt::of_process())
}

/// Runs `command` to its end whatever its status; an error only if it cannot be started or a signal came.
pub fn output_of(command: &mut Command) -> Result<Output> {
    command.stderr(Stdio::piped());
    watched(command, &Interrupt::of_process())
}

fn succeeded(command: &mut Command, interrupt: &Interrupt) -> Result<Output> {
    let output = watched(command, interrupt)?;
    if !output.status.success() {
        bail!("`{}` failed ({})\n{}", shown(command), output.status, tail(&output.stderr));
    }
    Ok(output)
}

/// Runs `command` to its end, and reads what it prints meanwhile. On a signal, the program and what it started are
/// asked to end, then killed, and the error is [`Interrupted`].
fn watched(command: &mut Command, interrupt: &Interrupt) -> Result<Output> {
    interrupt.check()?;
    let mut group = Group::in_session(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let child = group.child();
    let streams = [child.stdout.take().map(reader), child.stderr.take().map(reader)];
    match finished(&mut group, streams, interrupt) {
        Ok((status, [stdout, stderr])) => {
            group.release();
            Ok(Output { status, stdout, stderr })
        }
        Err(error) => {
            group.end();
            Err(error)
        }
    }
}

/// Waits until both streams are at their end, and then for the program.
fn finished(
    group: &mut Group,
    streams: [Option<Receiver<io::Result<Vec<u8>>>>; 2],
    interrupt: &Interrupt,
) -> Result<(ExitStatus, [Vec<u8>; 2])> {
    let mut read = [Vec::new(), Vec::new()];
    for (stream, bytes) in streams.into_iter().zip(&mut read) {
        let Some(stream) = stream else { continue };
        *bytes = loop {
            match stream.recv_timeout(LOOK) {
                Ok(read) => break read.context("failed to read what a program printed")?,
                Err(mpsc::RecvTimeoutError::Timeout) => interrupt.check()?,
                Err(mpsc::RecvTimeoutError::Disconnected) => bail!("failed to read what a program printed"),
            }
        };
    }
    let mut wait = Duration::from_micros(100);
    loop {
        if let Some(status) = group.status()? {
            return Ok((status, read));
        }
        interrupt.check()?;
        thread::sleep(wait);
        wait = (2 * wait).min(LOOK);
    }
}

/// Reads a stream to its end in a thread of its own. The thread is not waited for: a process that outlives the program
/// may keep the stream open.
fn reader(mut stream: impl Read + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let result = stream.read_to_end(&mut bytes).map(|_| bytes);
        let _ = send.send(result);
    });
    receive
}

/// `start` again while the program's file is "busy". A file that was just written cannot be run while any process has
/// it open for writing, and a process that another thread forks inherits our open file until it runs its own program
/// (golang/go#22315). That is over in milliseconds; a file that stays busy is an error after about a second.
pub fn unless_busy<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for wait_ms in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] {
        match start() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                thread::sleep(Duration::from_millis(wait_ms));
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
    let last = lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(|line| shortened(line));
    printable(&last.collect::<Vec<_>>().join("\n")).into_owned()
}

/// Writes all that a program said into the file at `path`, or into a new temporary file where there is no room.
/// Returns where it is, if it is anywhere.
pub fn keep_log(path: &Path, said: &str) -> Option<PathBuf> {
    if std::fs::write(path, said).is_ok() {
        return Some(path.to_owned());
    }
    let _ = std::fs::remove_file(path);
    let mut file = tempfile::Builder::new().prefix("assay-").suffix(".log").tempfile().ok()?;
    io::Write::write_all(&mut file, said.as_bytes()).ok()?;
    file.into_temp_path().keep().ok()
}

/// The beginning of a line that is too long for a message.
fn shortened(line: &str) -> Cow<'_, str> {
    match line.char_indices().nth(LINE_CHARACTERS) {
        None => Cow::Borrowed(line),
        Some((at, _)) => Cow::Owned(format!("{} … ({} more characters)", &line[..at], line[at..].chars().count())),
    }
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

/// The command as a person would type it; the beginning of one that is too long for a message.
pub fn shown(command: &Command) -> String {
    shortened(&whole(command)).into_owned()
}

/// The command with all its words.
pub fn whole(command: &Command) -> String {
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
    #[cfg(unix)]
    fn an_interrupt_ends_a_program_and_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let started = directory.path().join("started");
        // It ignores the request to end, so it must be killed; its child keeps the output open.
        let script = "trap '' TERM; sleep 1000 & echo $! $$ >\"$1\"; while :; do sleep 1; done";
        let interrupt = Interrupt::default();
        let result = thread::scope(|scope| {
            let run = scope.spawn(|| watched(Command::new("sh").args(["-c", script, "sh"]).arg(&started), &interrupt));
            while std::fs::read_to_string(&started).unwrap_or_default().lines().count() == 0 {
                thread::sleep(LOOK);
            }
            interrupt.set();
            run.join().unwrap()
        });
        assert!(is_interrupted(&result.unwrap_err().context("while it ran")));
        for pid in std::fs::read_to_string(&started).unwrap().split_whitespace() {
            // SAFETY: signal 0 to a process id only asks whether there is such a process.
            let exists = || unsafe { libc::kill(pid.parse().unwrap(), 0) } == 0;
            // A killed orphan is there until its new parent has waited for it.
            for _ in 0..500 {
                if !exists() {
                    break;
                }
                thread::sleep(LOOK);
            }
            assert!(!exists(), "process {pid} is left");
        }
        assert!(
            is_interrupted(&watched(&mut Command::new("true"), &interrupt).unwrap_err()),
            "nothing more is started"
        );
    }

    #[test]
    #[cfg(unix)]
    fn both_streams_are_read_whole_and_a_process_in_the_background_goes_on() {
        let script = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; sleep 30 >/dev/null 2>&1 & echo $! >&2";
        let output = output_of(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!((output.status.success(), output.stdout.len()), (true, 300_000));
        let pid: i32 = String::from_utf8_lossy(&output.stderr[300_000..]).trim().parse().unwrap();
        // SAFETY: kill takes two integers; the process is the one that the script just started.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0, "what a program leaves in the background goes on");
    }

    #[test]
    fn a_long_command_and_a_long_line_are_cut() {
        let long = format!("ä{}", "x".repeat(5000));
        let error =
            run(Command::new("sh").args(["-c", "echo \"$1\" >&2; exit 1", "sh", &long])).unwrap_err().to_string();
        assert!(error.len() < 700 && error.contains("more characters)"), "{error}");
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
