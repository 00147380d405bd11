//! The process of an implementation.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use compare::child::{self, Group};
use compare::command;
use serde_json::Value;

/// A running implementation. It is stopped (SIGSTOP) between requests, so that a spinning thread pool takes no
/// processor time.
#[derive(Debug)]
pub(crate) struct Process {
    group: Group,
    requests: ChildStdin,
    answers: Receiver<String>,
    stderr: File,
    limit: Duration,
}

impl Process {
    /// Starts it, pinned to `processor` if given.
    pub(crate) fn start(mut command: Command, limit: Duration, processor: Option<usize>) -> Result<Self> {
        let stderr = tempfile::tempfile().context("failed to make a scratch file")?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr.try_clone()?);
        child::die_with_parent(&mut command);
        if let Some(processor) = processor {
            child::pin(&mut command, processor);
        }
        let mut group = Group::spawn(&mut command)?;
        let requests = group.child().stdin.take().context("no pipe to the implementation")?;
        let answers = group.child().stdout.take().context("no pipe from the implementation")?;
        let (sender, receiver) = mpsc::channel();
        // The thread sleeps in `read` while the implementation works, and ends when the output is closed.
        std::thread::spawn(move || {
            for line in BufReader::new(answers).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { group, requests, answers: receiver, stderr, limit })
    }

    /// Sends one request and waits for the answer; the process runs only in between. After an error it must not be used
    /// again.
    pub(crate) fn ask(&mut self, request: &Value) -> Result<Value> {
        self.group.resume();
        let answer = self.converse(request);
        self.group.stop();
        answer
    }

    fn converse(&mut self, request: &Value) -> Result<Value> {
        let sent = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        if sent.is_err() {
            return Err(self.ended());
        }
        match self.answers.recv_timeout(self.limit) {
            Ok(line) => serde_json::from_str(&line).with_context(|| format!("the answer is not JSON: {line}")),
            Err(RecvTimeoutError::Timeout) => bail!("no answer within {} s to {request}", self.limit.as_secs()),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
        }
    }

    /// The error for a process that ended: its status and the last lines that it wrote.
    fn ended(&mut self) -> anyhow::Error {
        let status = match self.group.status() {
            Ok(Some(status)) => status.to_string(),
            _ => "closed its output".to_owned(),
        };
        let mut words = Vec::new();
        let _ = self.stderr.rewind().and_then(|()| self.stderr.read_to_end(&mut words).map(drop));
        anyhow!("the process ended ({status}): {}", command::tail(&words))
    }
}
