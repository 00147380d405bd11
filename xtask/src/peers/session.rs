//! One contestant and its process: started, asked, shown.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::build::Contestant;
use super::matrix::Matrix;
use super::process::Process;
use super::row::Outcome;

/// A contestant of one set: its program, and its process once it runs.
pub(super) struct PeerSession<'a> {
    pub(super) contestant: &'a Contestant,
    process: Option<Process>,
    /// Version and settings, by its own word; empty until it runs.
    pub(super) version: String,
}

impl<'a> PeerSession<'a> {
    pub(super) fn new(contestant: &'a Contestant) -> Self {
        Self { contestant, process: None, version: String::new() }
    }

    /// Starts its process unless it runs.
    pub(super) fn start(&mut self, matrix: &Matrix, threads: NonZeroUsize) -> Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        // One thread stays on one processor, the same for all: a wandering thread takes cold caches along.
        let processor = if threads.get() == 1 { machine::threads::allowed_cpus().last().copied() } else { None };
        let limit = Duration::from_secs_f64(matrix.limit_s);
        let mut process = Process::start(self.contestant.command(threads.get()), limit, processor)?;
        let about = process.ask(&json!({"do": "describe"}))?;
        ensure!(about["unavailable"].is_null(), "{}", text(&about, "unavailable"));
        self.version = format!("{} ({})", text(&about, "version"), text(&about, "settings"));
        self.process = Some(process);
        Ok(())
    }

    /// Asks; a process that is lost leaves its session.
    pub(super) fn ask(&mut self, request: &Value) -> Result<Value> {
        let process = self.process.as_mut().context("it does not run")?;
        let answer = process.ask(request);
        if answer.is_err() {
            self.process = None;
        }
        answer
    }

    /// The `ok` of an answer, or why there is none.
    pub(super) fn accepted(&mut self, request: &Value) -> Result<Value, Outcome> {
        let answer = self.ask(request).map_err(|error| Outcome::Error { why: format!("{error:#}") })?;
        match (&answer["unsupported"], &answer["error"]) {
            (Value::Null, Value::Null) => Ok(answer["ok"].clone()),
            (Value::Null, _) => Err(Outcome::Error { why: text(&answer, "error") }),
            _ => Err(Outcome::Unsupported { why: text(&answer, "unsupported") }),
        }
    }

    pub(super) fn unload(&mut self) {
        // One that does not answer has left its session, and is started again for the next case.
        let _ = self.ask(&json!({"do": "unload"}));
    }
}

/// A member of an answer that is a string; empty if it is none.
pub(super) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
