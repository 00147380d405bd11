//! A tiny Cargo workspace in a git repository, and the built `cargo-assay` run in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake;
use crate::tools::Tools;

/// Far longer than any command here takes on a busy machine.
const WATCHDOG: Duration = Duration::from_secs(600);
/// Most commands at a time. Each has a cache and a repository of its own, does not wait for a quiet machine, and spends
/// about half of its time waiting: for processes that hang on purpose, for git, for the next poll.
const MOST_TURNS: usize = 4;
/// Commands that run now.
static TURNS: Mutex<usize> = Mutex::new(0);
/// Notified when one has ended.
static ENDED: Condvar = Condvar::new();

const MANIFEST: &str = r#"[package]
name = "tiny"
version = "0.1.0"
edition = "2021"

[lib]
bench = false

[[bench]]
name = "t"
harness = false

# The bench starts another program, and is built hundreds of times.
[profile.bench]
opt-level = 0
"#;

/// The bench becomes the fake benchmark, with the script that the library holds.
const BENCH: &str = r#"use std::os::unix::process::CommandExt;

fn main() {
    // The name by which the tool knows a criterion program.
    let _ = std::hint::black_box("CARGO_CRITERION_PORT");
    let mut fake = std::process::Command::new(PROGRAM);
    // The name by which the tool started it tells the layout.
    fake.arg0(std::env::args_os().next().unwrap());
    let error = fake.args(std::env::args_os().skip(1)).env("FAKE_BENCH", tiny::SCRIPT).exec();
    panic!("{error}");
}
"#;

/// The workspace, the tool's cache and the benchmarks' diary, in one temporary directory.
pub(crate) struct Workspace {
    directory: TempDir,
    name: String,
}

impl Workspace {
    /// A package `tiny` with a bench `t` that follows `script`, in one commit on the branch `main`.
    pub(crate) fn new(script: &Value) -> Self {
        let workspace = Self::uncommitted(script);
        workspace.git(&["init", "--quiet", "--initial-branch=main"]);
        workspace.commit("start");
        workspace
    }

    /// The same files in no repository.
    pub(crate) fn uncommitted(script: &Value) -> Self {
        let workspace = Self { directory: tempfile::tempdir().unwrap(), name: "tiny".to_owned() };
        // A scripted benchmark executes the same instructions whatever its script says, and counting them with the real
        // valgrind takes eight seconds a row.
        let counts = "[ \"$1\" = --version ] || echo '==1== Collected : 1000000' >&2";
        Tools::stand_ins(&workspace).file("valgrind", counts);
        workspace.write("Cargo.toml", MANIFEST);
        workspace.write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\n");
        workspace.write("benches/t.rs", &BENCH.replace("PROGRAM", &format!("{:?}", fake::program())));
        workspace.script(script);
        workspace
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// Renames the workspace's directory.
    pub(crate) fn rename(&mut self, name: &str) {
        let old = self.root();
        name.clone_into(&mut self.name);
        fs::rename(old, self.root()).unwrap();
    }

    /// Where the tool keeps its slots, its lock and its scratch directories.
    pub(crate) fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    /// Makes the bench follow another script.
    pub(crate) fn script(&self, script: &Value) {
        self.write("src/lib.rs", &self.library(script));
    }

    /// The text of a library that holds a script.
    pub(crate) fn library(&self, script: &Value) -> String {
        let mut script = script.clone();
        script["diary"] = json!(self.directory.path().join("diary"));
        format!("pub const SCRIPT: &str = r##\"{script}\"##;\n")
    }

    /// What the benchmarks wrote about themselves.
    pub(crate) fn diary(&self) -> Vec<Value> {
        fake::read_diary(&self.directory.path().join("diary"))
    }

    /// Processes that measured, rather than listed.
    pub(crate) fn measuring_processes(&self) -> usize {
        let measures = |line: &&Value| line["arguments"].to_string().contains("--sample-size");
        self.diary().iter().filter(measures).count()
    }

    /// Runs git in the workspace; it must succeed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = self.isolated("git").args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Commits everything; returns the commit.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A command in the workspace with this machine's toolchain and without the user's git configuration.
    fn isolated(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root()).stdin(Stdio::null());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        command.env("GIT_OPTIONAL_LOCKS", "0").env("RUST_BACKTRACE", "0");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.invalid");
        }
        command
    }

    /// `cargo assay` with these arguments. A shared target directory is set in the environment: the tool must not use
    /// it, or it would measure one side twice. The tool does not wait for a quiet machine, because the tests themselves
    /// make the noise.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.isolated(env!("CARGO_BIN_EXE_cargo-assay"));
        let (what, others) = arguments.split_at(usize::from(!arguments.is_empty()));
        let at_once: &[&str] = if matches!(what, ["compare" | "gate"]) { &["--wait", "0s"] } else { &[] };
        command.arg("assay").args(what).args(at_once).args(others).env("XDG_CACHE_HOME", self.cache());
        command.env_remove("GIT_OPTIONAL_LOCKS");
        command.env("CARGO_TARGET_DIR", self.directory.path().join("trap")).env_remove("GITHUB_STEP_SUMMARY");
        // SAFETY: the closure runs between fork and exec and calls only signal, which takes integers and is
        // async-signal-safe. Tests that run under `nohup` ignore SIGHUP, and the tool would inherit that.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGHUP, libc::SIG_DFL);
                Ok(())
            });
        }
        Tools::stand_ins(self).first(command)
    }

    /// Runs it to its end.
    pub(crate) fn assay(&self, arguments: &[&str]) -> Ran {
        self.run(self.command(arguments))
    }

    /// Runs a command made by [`Workspace::command`] to its end.
    pub(crate) fn run(&self, command: Command) -> Ran {
        let _turn = turn();
        let ran = Started::new(command).finish();
        assert!(!self.directory.path().join("trap").exists(), "it built in a shared target directory");
        ran
    }

    /// Every file of the work tree with its bytes, and git's view of it.
    pub(crate) fn state(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut state = BTreeMap::new();
        collect(&self.root(), &mut state);
        for arguments in [["rev-parse", "HEAD"], ["symbolic-ref", "HEAD"], ["stash", "list"], ["status", "--porcelain"]]
        {
            state.insert(arguments.join(" ").into(), self.git(&arguments).into_bytes());
        }
        state.insert("refs".into(), self.git(&["for-each-ref"]).into_bytes());
        state.insert("index".into(), fs::read(self.root().join(".git/index")).unwrap_or_default());
        state
    }

    /// Scratch directories of the tool that are still there.
    pub(crate) fn scratch(&self) -> Vec<PathBuf> {
        let slots = fs::read_dir(self.cache().join("assay"))
            .unwrap()
            .filter_map(|entry| fs::read_dir(entry.unwrap().path()).ok());
        let paths = slots.flatten().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("run-")).collect()
    }

    /// Whether anything was built.
    pub(crate) fn has_built(&self) -> bool {
        let Ok(slots) = fs::read_dir(self.cache().join("assay")) else { return false };
        slots
            .map(|entry| entry.unwrap().path())
            .any(|slot| slot.join("a/target").exists() || slot.join("b/target").exists())
    }
}

/// A branch `work` whose code differs from `main`, both with this script.
pub(crate) fn branched(script: &Value) -> Workspace {
    let workspace = Workspace::new(script);
    workspace.git(&["checkout", "--quiet", "-b", "work"]);
    workspace.write("src/lib.rs", &format!("{}pub const OTHER: u32 = 1;\n", workspace.library(script)));
    let bench = workspace.read("benches/t.rs");
    workspace.write(
        "benches/t.rs",
        &bench.replace("fn main() {", "fn main() {\n    assert!(tiny::OTHER == 1 && std::env::args().count() < 99);"),
    );
    workspace.commit("work");
    workspace
}

/// The right to run a command, until it is dropped.
#[must_use = "the right ends where this is dropped"]
pub(crate) struct Turn(());

/// Waits until fewer than [`MOST_TURNS`] commands run.
pub(crate) fn turn() -> Turn {
    let turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut turns = ENDED.wait_while(turns, |turns| *turns >= MOST_TURNS).unwrap_or_else(PoisonError::into_inner);
    *turns += 1;
    Turn(())
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TURNS.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

fn collect(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().unwrap() != ".git" {
                collect(&path, files);
            }
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

/// A running `cargo assay`.
pub(crate) struct Started {
    child: Child,
    streams: TempDir,
}

impl Started {
    pub(crate) fn new(mut command: Command) -> Self {
        let streams = tempfile::tempdir().unwrap();
        command.stdout(File::create(streams.path().join("out")).unwrap());
        command.stderr(File::create(streams.path().join("err")).unwrap());
        Self { child: command.spawn().unwrap(), streams }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn stream(&self, name: &str) -> String {
        fs::read_to_string(self.streams.path().join(name)).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stream("err")
    }

    pub(crate) fn finish(mut self) -> Ran {
        let start = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            if start.elapsed() > WATCHDOG {
                let _ = self.child.kill();
                panic!("it does not end: {}", self.stderr());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        Ran { code, stdout: self.stream("out"), stderr: self.stream("err") }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Checks that it ended with this code, and that each text is on one of the streams.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, said: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        for text in said {
            assert!(self.stdout.contains(text) || self.stderr.contains(text), "no {text:?} in: {self:#?}");
        }
        self
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Verdicts by id.
pub(crate) fn verdicts(entry: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entry["rows"].as_array().unwrap().iter().map(|row| (text(&row["id"]), text(&row["verdict"]))).collect()
}
