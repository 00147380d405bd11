//! A program under `peers/` as a child process, asked by the protocol of `crates/peer`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// The metric of [`Program::pss_bytes`].
pub(super) const CHILDREN_PSS: &str = "children_pss_bytes";

/// A running program. It ends when its requests do, with this value.
pub(super) struct Program {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Program {
    /// Starts `words` in `directory` below the current one, which is the root of the workspace.
    pub(super) fn start(directory: &str, words: &[&str], how: &str) -> Result<Self> {
        let directory = Path::new(directory);
        let directory = directory.canonicalize().with_context(|| format!("{} is not here", directory.display()))?;
        let path = directory.join(words[0]);
        ensure!(path.exists(), "{} is not built; {how}", path.display());
        let mut command = Command::new(&path);
        command.args(&words[1..]).current_dir(&directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env("OMP_NUM_THREADS", "1").env("OPENBLAS_NUM_THREADS", "1");
        let mut child = command.spawn().with_context(|| format!("failed to start {}", path.display()))?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("it has no output")?);
        Ok(Self { child, requests, answers })
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        let requests = self.requests.as_mut().context("it has no input")?;
        writeln!(requests, "{request}").context("the program is gone")?;
        requests.flush().context("the program is gone")?;
        let mut line = String::new();
        ensure!(self.answers.read_line(&mut line)? > 0, "the program ended; its last lines are above");
        Ok(serde_json::from_str(&line)?)
    }

    /// What an accepted request gives.
    pub(super) fn accepted(&mut self, request: &Value) -> Result<Value> {
        let mut answer = self.ask(request)?;
        match (&answer["unsupported"], &answer["error"], &answer["unavailable"]) {
            (Value::Null, Value::Null, Value::Null) => Ok(answer["ok"].take()),
            (why, Value::Null, Value::Null) | (Value::Null, why, Value::Null) | (.., why) => bail!("{why}"),
        }
    }

    /// Name, version and settings.
    pub(super) fn describe(&mut self) -> Result<String> {
        let about = self.ask(&json!({ "do": "describe" }))?;
        ensure!(about["unavailable"].is_null(), "{}", about["unavailable"]);
        let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
        Ok(format!("{} {} ({})", text("name"), text("version"), text("settings")))
    }

    /// Iterations in at least `seconds`, and how long they took.
    pub(super) fn time(&mut self, seconds: f64) -> Result<(u64, f64)> {
        let times = self.accepted(&json!({ "do": "time", "seconds": seconds }))?;
        let iterations = times["iterations"].as_u64().context("no iterations")?;
        Ok((iterations, times["elapsed_s"].as_f64().context("no time")?))
    }

    /// Bytes of memory that are its own and its children's, and their shares of what they share; `None` where the
    /// system does not say.
    pub(super) fn pss_bytes(&self) -> Option<u64> {
        pss_of_tree(self.child.id())
    }
}

fn pss_of_tree(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let own = line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10;
    // Each thread lists the children that it started.
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten();
    let lists: Vec<String> =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok()).collect();
    let children = lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|child| child.parse().ok());
    // A child that ended has no memory.
    Some(own + children.filter_map(pss_of_tree).sum::<u64>())
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.requests.take());
        let _ = self.child.wait();
    }
}
