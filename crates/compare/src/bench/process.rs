//! One bench process from start to end: the sample of every comparison.
//!
//! The process is spawned in its own process group and told where to report. Its messages are received, and the whole
//! process is timed. It is never left behind: it is killed with its group at the time limit, when the user interrupts,
//! and when this process dies.

use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use machine::noise::{self, ProcessCounters};
use record::bench_row::BenchRow;

use super::cells;
use super::executable::{PORT, mentions_criterion};
use super::protocol::{Connection, CriterionVersion, Message, RawId, Request, Samples};
use super::request::{Selection, arguments};
use crate::child::{Group, describe, die_with_parent, last_lines, pin, threads};
use crate::command::Interrupt;
use crate::disk;

/// Time to connect for a program that does not contain criterion: it may start one that does.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a program lists and measures what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A criterion binary.
    Criterion,
    /// The program `assay`, whose cells are processes already.
    Cells {
        /// Scenario.
        scenario: String,
        /// Restrictions of its axes, `axis=value`.
        set: Vec<String>,
    },
}

/// A built program and the surroundings that cargo would give it.
#[derive(Clone, Debug)]
pub struct Program {
    /// How to talk to it.
    pub protocol: Protocol,
    /// The executable.
    pub executable: PathBuf,
    /// The only processor that it may run on; `None` leaves that to the system.
    pub processor: Option<usize>,
    /// Working directory: the package's root in its slot.
    pub directory: PathBuf,
    /// The whole environment; nothing else is inherited.
    pub environment: Vec<(OsString, OsString)>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// By itself, successfully.
    Success,
    /// By itself, with another status; the text says which.
    Failed(String),
    /// It was killed at the time limit.
    TimedOut,
    /// It never spoke criterion's protocol.
    NotCriterion,
    /// It contains criterion, and ended successfully without connecting.
    NotConnected,
}

/// What one process reported.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// Criterion's version at the other end.
    pub version: Option<CriterionVersion>,
    /// Every benchmark that it has, in order.
    pub listed: Vec<RawId>,
    /// Samples of the measured ones.
    pub samples: Vec<Samples>,
    /// Rows that a proved bench wrote about itself.
    pub rows: Vec<BenchRow>,
    /// Memory and context switches right after the last measurement.
    pub counters: Option<ProcessCounters>,
    /// Threads that it had then.
    pub threads: Option<u64>,
    /// Wall time of the whole process. Seconds.
    pub seconds: f64,
    /// Last lines of its output.
    pub tail: String,
}

impl Run {
    /// Nothing reported yet.
    pub(super) fn empty() -> Self {
        Self {
            end: End::Success,
            version: None,
            listed: Vec::new(),
            samples: Vec::new(),
            rows: Vec::new(),
            counters: None,
            threads: None,
            seconds: 0.0,
            tail: String::new(),
        }
    }
}

/// Where processes write their files, and the interrupt that stops them.
#[derive(Debug)]
pub struct ScratchDir {
    pub(super) scratch: tempfile::TempDir,
    pub(super) interrupt: Interrupt,
}

/// Prefix of the names of scratch directories.
const SCRATCH: &str = "run-";

impl ScratchDir {
    /// Makes a scratch directory below `parent`, which is removed at the end. The machine's lock ensures that there is
    /// one at a time below a parent, so directories that killed processes left there are removed.
    pub fn new(parent: &Path, interrupt: Interrupt) -> Result<Self> {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(SCRATCH) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(parent);
        Ok(Self { scratch: scratch.context("failed to make a scratch directory")?, interrupt })
    }

    /// Runs `program` once. `extra` is added to its environment. An error means that nothing is known about the program
    /// (it could not be started, the disk was full, or the user interrupted); [`Run::end`] reports everything else.
    pub fn run(
        &self,
        program: &Program,
        selection: &Selection<'_>,
        extra: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Run> {
        let run = match &program.protocol {
            Protocol::Criterion => self.run_criterion(program, selection, extra, timeout),
            Protocol::Cells { scenario, set } => cells::run(self, program, (scenario, set), selection, timeout),
        }?;
        // The code is not to blame for the disk.
        if let End::Failed(status) = &run.end {
            let said = format!("{status}\n{}", run.tail);
            let places = [self.scratch.path(), &program.directory, &std::env::temp_dir()];
            if let Some(full) = disk::exhausted(&said, &places) {
                let named = program.executable.display();
                return Err(anyhow!("the benchmark program {named} failed ({status}): {}", run.tail).context(full));
            }
        }
        Ok(run)
    }

    fn run_criterion(
        &self,
        program: &Program,
        selection: &Selection<'_>,
        extra: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Run> {
        let listener = TcpListener::bind("127.0.0.1:0").context("failed to listen on the loopback interface")?;
        let rows = self.scratch.path().join("rows.jsonl");
        let _ = std::fs::remove_file(&rows);
        let mut output = tempfile::tempfile_in(self.scratch.path()).context("failed to make a scratch file")?;
        let mut command = Command::new(&program.executable);
        command.args(arguments(selection)).current_dir(&program.directory).env_clear();
        command.envs(program.environment.iter().map(|(key, value)| (key, value)));
        command.env(PORT, listener.local_addr()?.port().to_string());
        command.env("CRITERION_HOME", self.scratch.path().join("criterion")).env("ASSAY_ROWS", &rows);
        command.envs(extra.iter().copied());
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
        die_with_parent(&mut command);
        if let Some(processor) = program.processor {
            pin(&mut command, processor);
        }
        let start = Instant::now();
        let mut child = Group::spawn(&mut command)?;
        let mut run = Run::empty();
        // A program that is measured was listed before, so it is criterion. Otherwise the executable's content decides,
        // without waiting for a program of another kind to end.
        let knows_criterion = matches!(selection, Selection::Measure { .. }) || mentions_criterion(&program.executable);
        run.end = self.converse(&mut child, (&listener, knows_criterion), start + timeout, &mut run)?;
        run.seconds = start.elapsed().as_secs_f64();
        drop(child);
        run.tail = last_lines(&mut output)?;
        run.rows = read_rows(&rows)?;
        Ok(run)
    }

    /// Runs `command` in its own process group with its output in a file, so that a process that it leaves behind
    /// cannot block us. Kills the whole group at the limit, on an interrupt and at the end. Returns how it ended and
    /// the last part of its output.
    pub fn capture(&self, command: &mut Command, timeout: Duration) -> Result<(End, String)> {
        let mut output = tempfile::tempfile_in(self.scratch.path()).context("failed to make a scratch file")?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
        die_with_parent(command);
        let deadline = Instant::now() + timeout;
        let mut child = Group::spawn(command)?;
        let end = self.ended(&mut child, deadline, End::Success)?;
        drop(child);
        Ok((end, last_lines(&mut output)?))
    }

    fn converse(
        &self,
        child: &mut Group,
        (listener, knows_criterion): (&TcpListener, bool),
        deadline: Instant,
        run: &mut Run,
    ) -> Result<End> {
        let limit = if knows_criterion { deadline } else { deadline.min(Instant::now() + CONNECT_TIMEOUT) };
        let Some(stream) = self.accept(child, listener, limit)? else {
            return Ok(match child.status()? {
                _ if !knows_criterion => End::NotCriterion,
                None => End::TimedOut,
                Some(status) if status.success() => End::NotConnected,
                Some(status) => End::Failed(describe(status)),
            });
        };
        let mut watch = || -> io::Result<()> {
            if self.interrupt.is_set() || Instant::now() >= deadline {
                Err(io::ErrorKind::TimedOut.into())
            } else {
                Ok(())
            }
        };
        let mut connection = match Connection::open(stream, &mut watch) {
            Ok(connection) => connection,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(End::NotCriterion),
            Err(_) => return self.ended(child, deadline, End::NotCriterion),
        };
        run.version = Some(connection.version);
        loop {
            let reply = match connection.receive(&mut watch) {
                Ok(Some(Message::Skipping(id) | Message::Beginning(id))) => {
                    run.listed.push(id);
                    None
                }
                Ok(Some(Message::Complete(samples))) => {
                    run.counters = noise::process_counters(child.id());
                    run.threads = threads(child.id());
                    run.samples.push(samples);
                    Some(Request::ScaleForMachines { values: vec![1.0] })
                }
                Ok(Some(Message::Unit(unit))) => {
                    if let Some(last) = run.samples.last_mut() {
                        last.unit = unit;
                    }
                    Some(Request::Continue)
                }
                Ok(Some(Message::GroupFinished)) => Some(Request::Continue),
                Ok(Some(Message::Other)) => None,
                Ok(None) => return self.ended(child, deadline, End::Success),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    self.interrupt.check()?;
                    return Ok(End::TimedOut);
                }
                Err(error) => {
                    let failed = End::Failed(format!("protocol error: {error}"));
                    // A message that breaks off comes from a process that died, and its status is more specific. After
                    // any other error the process may wait for an answer forever, so its group is killed.
                    let died = error.kind() == io::ErrorKind::UnexpectedEof;
                    return if died { self.ended(child, deadline, failed) } else { Ok(failed) };
                }
            };
            if let Some(reply) = reply
                && connection.send(&reply).is_err()
            {
                return self.ended(child, deadline, End::Success);
            }
        }
    }

    /// Waits for the benchmark to connect; `None` if it ended or let `limit` pass instead.
    fn accept(&self, child: &mut Group, listener: &TcpListener, limit: Instant) -> Result<Option<std::net::TcpStream>> {
        listener.set_nonblocking(true)?;
        while Instant::now() < limit {
            self.interrupt.check()?;
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Ok(Some(stream));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => bail!("failed to accept the benchmark's connection: {error}"),
            }
            if child.status()?.is_some() {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(None)
    }

    /// Waits for the process to end. `expected` is the answer when it ends well.
    pub(super) fn ended(&self, child: &mut Group, deadline: Instant, expected: End) -> Result<End> {
        loop {
            if let Some(status) = child.status()? {
                return Ok(if status.success() { expected } else { End::Failed(describe(status)) });
            }
            self.interrupt.check()?;
            if Instant::now() >= deadline {
                return Ok(End::TimedOut);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn read_rows(path: &Path) -> Result<Vec<BenchRow>> {
    match std::fs::read_to_string(path) {
        // Skip a row of another schema, and one that a crash cut off: the bench then counts as unproved.
        Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).context("failed to read the rows that a bench wrote"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program {
            protocol: Protocol::Criterion,
            executable: "/bin/sh".into(),
            processor: None,
            directory: std::env::temp_dir(),
            environment: vec![
                ("PATH".into(), std::env::var_os("PATH").unwrap_or_default()),
                ("SCRIPT".into(), script.into()),
            ],
        }
    }

    /// `sh --bench` is an error, so scripts run through a tiny program file instead.
    fn script(directory: &Path, text: &str) -> Program {
        let path = directory.join("bench.sh");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Program { executable: path, ..shell("") }
    }

    fn run(text: &str, timeout: Duration) -> Run {
        let directory = tempfile::tempdir().unwrap();
        let scratch = ScratchDir::new(directory.path(), Interrupt::default()).unwrap();
        scratch.run(&script(directory.path(), text), &Selection::List, &[], timeout).unwrap()
    }

    #[test]
    fn a_program_that_ends_without_reporting_is_not_criterion() {
        assert_eq!(run("echo hello", Duration::from_secs(30)).end, End::NotCriterion);
    }

    #[test]
    fn a_program_that_fails_shows_its_last_lines() {
        let run = run("# CARGO_CRITERION_PORT\necho out of luck >&2; exit 7", Duration::from_secs(30));
        assert_eq!(run.end, End::Failed("exit status: 7".to_owned()));
        assert_eq!(run.tail, "out of luck");
    }

    /// `/proc` is a file system without room.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_no_fault_of_the_program() {
        let directory = tempfile::tempdir().unwrap();
        let scratch = ScratchDir::new(directory.path(), Interrupt::default()).unwrap();
        let text = "# CARGO_CRITERION_PORT\necho 'write: No space left on device (os error 28)' >&2; exit 101";
        let program = script(directory.path(), text);
        let run = |program: &Program| scratch.run(program, &Selection::List, &[], Duration::from_secs(30));
        let full = run(&Program { directory: "/proc".into(), ..program.clone() }).unwrap_err();
        assert_eq!(full.downcast_ref::<disk::DiskFull>().unwrap().free, Some(0));
        assert!(format!("{full:#}").contains("os error 28"), "{full:#}");
        let other = script(directory.path(), "# CARGO_CRITERION_PORT\necho 'out of luck' >&2; exit 101");
        let other = run(&Program { directory: "/proc".into(), ..other }).unwrap();
        assert_eq!(other.end, End::Failed("exit status: 101".to_owned()));
    }

    #[test]
    fn a_criterion_program_is_recognized_by_its_content() {
        let ended = |text| run(text, Duration::from_secs(30)).end;
        assert_eq!(ended("exit 2"), End::NotCriterion, "a program that refuses our arguments");
        assert_eq!(ended("# CARGO_CRITERION_PORT"), End::NotConnected);
        assert_eq!(run("# CARGO_CRITERION_PORT\nsleep 60", Duration::from_millis(300)).end, End::TimedOut);
        assert_eq!(run("sleep 60", Duration::from_millis(300)).end, End::NotCriterion);
    }
}
