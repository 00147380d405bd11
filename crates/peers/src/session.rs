//! One implementation and its process: started, asked, shown.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::build::Program;
use crate::process::Process;
use crate::row::Outcome;
use crate::suite::Suite;

/// An implementation of one set: its program, and its process once it runs.
pub(crate) struct PeerSession<'a> {
    pub(crate) implementation: &'a Program,
    process: Option<Process>,
    /// Version and settings, by its own word; empty until it runs.
    pub(crate) version: String,
}

impl<'a> PeerSession<'a> {
    pub(crate) fn new(implementation: &'a Program) -> Self {
        Self { implementation, process: None, version: String::new() }
    }

    /// Starts its process unless it runs.
    pub(crate) fn start(&mut self, suite: &Suite, threads: NonZeroUsize) -> Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        // One thread stays on one processor, the same for all: a wandering thread takes cold caches along.
        let processor = if threads.get() == 1 { machine::threads::allowed_cpus().last().copied() } else { None };
        let limit = Duration::from_secs_f64(suite.limit_s);
        let mut process = Process::start(self.implementation.command(threads.get()), limit, processor)?;
        let about = process.ask(&json!({"do": "describe"}))?;
        ensure!(about["unavailable"].is_null(), "{}", text(&about, "unavailable"));
        self.version = format!("{} ({})", text(&about, "version"), text(&about, "settings"));
        self.process = Some(process);
        Ok(())
    }

    /// Asks; a process that is lost leaves its session.
    pub(crate) fn ask(&mut self, request: &Value) -> Result<Value> {
        let process = self.process.as_mut().context("it does not run")?;
        let answer = process.ask(request);
        if answer.is_err() {
            self.process = None;
        }
        answer
    }

    /// The `ok` of an answer, or why there is none.
    pub(crate) fn accepted(&mut self, request: &Value) -> Result<Value, Outcome> {
        let answer = self.ask(request).map_err(|error| Outcome::Error { why: format!("{error:#}") })?;
        match (&answer["unsupported"], &answer["error"]) {
            (Value::Null, Value::Null) => Ok(answer["ok"].clone()),
            (Value::Null, _) => Err(Outcome::Error { why: text(&answer, "error") }),
            _ => Err(Outcome::Unsupported { why: text(&answer, "unsupported") }),
        }
    }

    pub(crate) fn unload(&mut self) {
        // One that does not answer has left its session, and is started again for the next case.
        let _ = self.ask(&json!({"do": "unload"}));
    }
}

/// A member of an answer that is a string; empty if it is none.
pub(crate) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
