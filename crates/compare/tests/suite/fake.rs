//! Fake benchmarks, and checks that none of their processes is left running.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use compare::bench::{End, Key, Program, Protocol, RawId, Run, ScratchDir, Selection, Settings};
use compare::command::Interrupt;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Limit of processes that are meant to end by themselves: far more than they take.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Limit of processes that are meant to hang: long enough to reach that point on a busy machine.
pub(crate) const SHORT: Duration = Duration::from_secs(4);
/// Factors of one side that no number of blocks decides. Random factors would be decided now and then, as often as the
/// level of the test allows. These are exp(cos(2πk/11)/2): wherever a comparison starts in them, eleven blocks are
/// spread over the whole period, so that as many are slower as are faster, by every amount.
pub(crate) const UNSTEADY: [f64; 11] = [1.649, 1.523, 1.231, 0.931, 0.721, 0.619, 0.619, 0.721, 0.931, 1.231, 1.523];

/// The program `fake_bench` of this very build.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/fake_bench");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fake_bench.rs");
    let modified = |path: &Path| path.metadata().and_then(|meta| meta.modified());
    let is_fresh = modified(&program).is_ok_and(|built| built >= modified(&source).unwrap());
    assert!(is_fresh, "{} is missing or old; build it: cargo build -p compare --example fake_bench", program.display());
    program
}

/// A fake benchmark with a script of its own, and a scratch to run it in.
pub(crate) struct Fake {
    directory: TempDir,
    pub(crate) program: Program,
    pub(crate) scratch: ScratchDir,
}

impl Fake {
    /// `script` as `examples/fake_bench.rs` documents it.
    pub(crate) fn new(script: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut script = script.clone();
        script["diary"] = json!(directory.path().join("diary"));
        let environment: Vec<(OsString, OsString)> = vec![("FAKE_BENCH".into(), script.to_string().into())];
        let program = Program {
            processor: None,
            protocol: Protocol::Criterion,
            executable: program(),
            directory: directory.path().to_owned(),
            environment,
        };
        let scratch = ScratchDir::new(directory.path(), Interrupt::default()).unwrap();
        Self { directory, program, scratch }
    }

    pub(crate) fn list(&self, timeout: Duration) -> Run {
        self.run(&Selection::List, timeout)
    }

    pub(crate) fn measure(&self, id: &str, timeout: Duration) -> Run {
        self.run(&Selection::Measure { id, settings: Settings::STANDARD, version: None }, timeout)
    }

    /// Runs it, and checks that neither it nor any process that it started is left running.
    pub(crate) fn run(&self, selection: &Selection<'_>, timeout: Duration) -> Run {
        let run = self.scratch.run(&self.program, selection, &[], timeout).unwrap();
        assert!(self.diary().iter().any(|line| line["pid"].is_u64()), "it never ran: {run:?}");
        self.assert_no_process_is_left();
        run
    }

    /// What the program wrote about itself, in all its runs.
    pub(crate) fn diary(&self) -> Vec<Value> {
        read_diary(&self.directory.path().join("diary"))
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn assert_no_process_is_left(&self) {
        assert_no_process_is_left(&self.diary());
    }
}

/// The lines of a diary, none if there is no such file yet.
pub(crate) fn read_diary(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The last line may still be incomplete.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits until every process that a diary names is dead.
pub(crate) fn assert_no_process_is_left(diary: &[Value]) {
    for line in diary {
        for pid in [&line["pid"], &line["grandchild"]].into_iter().filter_map(Value::as_u64) {
            wait_until(&format!("process {pid} is dead: {line}"), || !is_alive(pid));
        }
    }
}

/// Whether a process exists and is no zombie.
pub(crate) fn is_alive(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may itself contain any character.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Waits for something that must happen; the limit only keeps a broken build from hanging forever.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(120), "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A benchmark's three parts, separated by bars; `-` stands for none.
pub(crate) fn raw(parts: &str) -> RawId {
    let mut parts = parts.split('|').map(|part| (part != "-").then(|| part.to_owned()));
    let mut next = || parts.next().flatten();
    RawId { group: next().unwrap_or_default(), function: next(), value: next() }
}

/// The same as a script writes it.
pub(crate) fn scripted(parts: &str) -> Value {
    let raw = raw(parts);
    json!([raw.group, raw.function, raw.value])
}

/// A benchmark of the package `p`, target `t`.
pub(crate) fn key(parts: &str, occurrence: u32) -> Key {
    Key { package: "p".into(), target: "t".into(), raw: raw(parts), occurrence }
}

/// The status of a run that failed.
pub(crate) fn failure(run: &Run) -> &str {
    match &run.end {
        End::Failed(status) => status,
        other => panic!("ended by {other:?}, not by failing"),
    }
}
