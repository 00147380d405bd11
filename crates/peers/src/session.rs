//! One session: an implementation's process, started when it is first needed.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::build::Program;
use crate::process::Process;
use crate::row::Outcome;
use crate::select::TableCase;
use crate::suite::Suite;

/// One implementation during one set.
pub(crate) struct PeerSession<'a> {
    pub(crate) program: &'a Program,
    process: Option<Process>,
    /// Version and settings as the process reports them; empty until it runs.
    pub(crate) version: String,
}

impl<'a> PeerSession<'a> {
    pub(crate) fn new(program: &'a Program) -> Self {
        Self { program, process: None, version: String::new() }
    }

    /// Starts the process unless it runs.
    pub(crate) fn start(&mut self, suite: &Suite, threads: NonZeroUsize) -> Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        // A single thread is pinned, to the same processor for all: one that migrates finds cold caches.
        let processor = if threads.get() == 1 { machine::threads::allowed_cpus().last().copied() } else { None };
        let limit = Duration::from_secs_f64(suite.limit_s);
        let mut process = Process::start(self.program.command(threads.get()), limit, processor)?;
        let about = process.ask(&json!({"do": "describe"}))?;
        ensure!(about["unavailable"].is_null(), "{}", text(&about, "unavailable"));
        self.version = format!("{} ({})", text(&about, "version"), text(&about, "settings"));
        self.process = Some(process);
        Ok(())
    }

    /// One request and its answer. After an error the process is gone and is started again for the next case.
    pub(crate) fn ask(&mut self, request: &Value) -> Result<Value> {
        let process = self.process.as_mut().context("the process does not run")?;
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

    /// Our own table of cases.
    pub(crate) fn cases(&mut self) -> Result<Vec<TableCase>> {
        let answer = self.accepted(&json!({"do": "cases"}));
        let cases = answer.map_err(|outcome| anyhow!("our side reports no cases: {}", outcome.why()))?["cases"].take();
        serde_json::from_value(cases).context("our side reports cases in another form")
    }

    pub(crate) fn unload(&mut self) {
        // After an error there is nothing to unload.
        let _ = self.ask(&json!({"do": "unload"}));
    }
}

/// A string member of an answer; empty if absent.
pub(crate) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
