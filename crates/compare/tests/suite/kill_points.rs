//! Hundreds of kills of a whole comparison: anywhere in it, while it checks out, builds, measures or logs.
//!
//! Too long for every run. This one command does it, and appends the counts to `baselines/<machine class>/kills.jsonl`:
//!
//! ```bash
//! KILL_POINTS=200 cargo test -p compare --test suite -- --ignored --nocapture kill_points
//! ```
#![cfg(target_arch = "x86_64")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use compare::log::{Log, check};
use machine::Fingerprint;
use record::jsonl;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fake::{scripted, wait_until};
use crate::kill::{Ending, kill_at};
use crate::workspace::Workspace;

const SCHEMA: u32 = 1;

/// The counts of one run.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kills {
    schema: u32,
    /// UTC.
    at: String,
    /// Revision of the tool.
    revision: String,
    /// Kills in all.
    points: usize,
    /// Of these, before or after a system call that changes a file, by the call's name.
    by_call: BTreeMap<String, usize>,
    /// The others, at times spread evenly over a comparison.
    by_time: usize,
    /// Kills of a comparison that began with an empty cache, and so checked out and built both sides.
    with_builds: usize,
    /// Kills after which the entry was in the log. After the others it was not; none left a part of it.
    logged: usize,
    /// Comparisons after a kill that ran to their end. None was hindered.
    next_runs: usize,
}

impl Kills {
    /// The sentence of docs/method.md.
    fn sentence(&self) -> String {
        let calls: usize = self.by_call.values().sum();
        format!(
            "{} kills, {calls} of them at {} different system calls and {} at times in between, {} with both builds; \
             {} left the whole entry and {} none of it",
            self.points,
            self.by_call.len(),
            self.by_time,
            self.with_builds,
            self.logged,
            self.points - self.logged
        )
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The page about the method says what the newest record says.
#[test]
fn the_documented_counts_are_those_of_the_newest_record() {
    let classes =
        fs::read_dir(root().join("baselines")).unwrap().map(|class| class.unwrap().path().join("kills.jsonl"));
    let mut records: Vec<Kills> = classes
        .filter(|path| path.exists())
        .flat_map(|path| jsonl::read::<Kills>(&path, SCHEMA).unwrap().rows)
        .collect();
    records.sort_by(|a, b| a.at.cmp(&b.at));
    let newest = records.last().expect("a record").sentence();
    let page = fs::read_to_string(root().join("docs/method.md")).unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&page).contains(&words(&newest)), "docs/method.md does not say: {newest}");
}

fn compare(workspace: &Workspace) -> Command {
    let arguments = ["compare", "--title", "T", "--change", "c", "--base", "HEAD~1", "--one-link"];
    let mut command = workspace.command(&arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Kills a comparison after `delay`. Whether it still ran.
fn kill_after(mut command: Command, delay: Duration) -> bool {
    let mut child = command.spawn().unwrap();
    std::thread::sleep(delay);
    let runs = child.try_wait().unwrap().is_none();
    let _ = child.kill();
    child.wait().unwrap();
    runs
}

/// Processes that run a program in `directory`, work there, or name it in their arguments.
fn processes_of(directory: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let name = directory.to_string_lossy().into_owned();
    let concerns = |process: &PathBuf| {
        let link = |what: &str| fs::read_link(process.join(what)).is_ok_and(|path| path.starts_with(directory));
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        link("cwd") || link("exe") || String::from_utf8_lossy(&words).contains(&name)
    };
    let own = PathBuf::from(format!("/proc/{}", std::process::id()));
    processes.filter(|process| process.join("cmdline").exists() && *process != own).filter(concerns).collect()
}

/// Files by which git keeps processes apart, which hinder everybody if they stay. Those of a slot are the tool's own.
fn locks(directory: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.ends_with("worktrees") {
            locks(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "lock") && !path.ends_with("assay.lock") {
            found.push(path);
        }
    }
}

/// Checks everything that a kill may not leave. Returns how many entries the log has.
fn assert_is_whole(workspace: &Workspace, untouched: &[String], point: usize) -> usize {
    let directory = workspace.cache().parent().unwrap().canonicalize().unwrap();
    wait_until(&format!("no process is left after kill {point}"), || processes_of(&directory).is_empty());
    let mut found = Vec::new();
    locks(&workspace.root().join(".git"), &mut found);
    assert_eq!(found, [] as [PathBuf; 0], "locks after kill {point}");
    assert_eq!(state(workspace), untouched, "after kill {point}");
    let dirt = workspace.git(&["status", "--porcelain"]);
    let is_ours = |line: &str| ["BENCHMARKS.md", "baselines/", " .assay-"].iter().any(|name| line.contains(name));
    assert!(dirt.lines().all(is_ours), "after kill {point}: {dirt}");
    let log = Log::open(&workspace.root());
    log.recover().unwrap();
    let (entries, _, faults) = check(&log).unwrap();
    assert!(faults.is_empty(), "after kill {point}: {faults:?}");
    entries
}

/// What belongs to the user: head, branches, index and the tracked files.
fn state(workspace: &Workspace) -> Vec<String> {
    let git = |arguments: &[&str]| workspace.git(arguments);
    vec![
        git(&["rev-parse", "HEAD"]),
        git(&["symbolic-ref", "HEAD"]),
        git(&["for-each-ref", "refs/heads", "refs/tags"]),
        git(&["diff", "HEAD"]),
        git(&["ls-files", "--stage"]),
    ]
}

/// A comparison that is killed again and again.
struct Torture {
    workspace: Workspace,
    untouched: Vec<String>,
    /// How long it takes from an empty cache, and with both builds.
    takes: [Duration; 2],
    /// Stops at system calls that change files.
    stops: usize,
    kills: Kills,
    /// Entries in the log.
    entries: usize,
}

impl Torture {
    fn new() -> Self {
        let workspace = Workspace::new(&json!({"benches": [{"id": scripted("g|f")}]}));
        let bench = workspace.read("benches/t.rs");
        let other = bench.replace("fn main() {", "fn main() {\n    let _ = std::hint::black_box(1);");
        workspace.write("benches/t.rs", &other);
        workspace.commit("other code");
        let untouched = state(&workspace);
        let takes = [(); 2].map(|()| {
            let start = Instant::now();
            assert!(compare(&workspace).status().unwrap().success());
            start.elapsed()
        });
        let Ending::Ended(stops) = kill_at(compare(&workspace), usize::MAX) else { unreachable!() };
        let (at, by_call) = (jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string(), BTreeMap::new());
        let [points, by_time, with_builds, logged, next_runs] = [0; 5];
        let kills = Kills {
            schema: SCHEMA,
            at,
            revision: revision(),
            points,
            by_call,
            by_time,
            with_builds,
            logged,
            next_runs,
        };
        let entries = assert_is_whole(&workspace, &untouched, 0);
        Self { workspace, untouched, takes, stops, kills, entries }
    }

    /// Kills a comparison at this share of its system calls.
    fn at_call(&mut self, share: f64) {
        let ending = kill_at(compare(&self.workspace), (share * self.stops as f64) as usize);
        let Ending::Killed(call) = ending else { return self.count(false) };
        *self.kills.by_call.entry(call.to_owned()).or_default() += 1;
        self.count(true);
    }

    /// Kills a comparison at this share of its time, with or without an empty cache before it.
    fn at_time(&mut self, share: f64, is_cold: bool) {
        if is_cold {
            fs::remove_dir_all(self.workspace.cache()).unwrap();
        }
        let ran = kill_after(compare(&self.workspace), self.takes[usize::from(!is_cold)].mul_f64(share));
        self.kills.by_time += usize::from(ran);
        self.kills.with_builds += usize::from(ran && is_cold);
        self.count(ran);
    }

    fn count(&mut self, was_killed: bool) {
        let point = self.kills.points;
        let now = assert_is_whole(&self.workspace, &self.untouched, point);
        let known = self.entries;
        assert!((known..=known + 1).contains(&now), "after kill {point}: {known} entries, then {now}");
        self.kills.points += usize::from(was_killed);
        self.kills.logged += usize::from(was_killed) * (now - known);
        self.entries = now;
    }

    fn next_run_works(&mut self) {
        let point = self.kills.points;
        assert!(compare(&self.workspace).status().unwrap().success(), "the comparison after kill {point}");
        self.entries = assert_is_whole(&self.workspace, &self.untouched, point);
        self.kills.next_runs += 1;
    }
}

/// Of ten kills five are at system calls, three at times of a comparison that has its builds, two at times of one that
/// has not. Each kind is spread evenly over its comparison.
#[test]
#[ignore = "minutes; see the top of the file"]
#[expect(clippy::print_stdout, reason = "progress of a run that takes minutes")]
fn kill_points_anywhere_in_a_comparison() {
    let points: usize = std::env::var("KILL_POINTS").map_or(200, |text| text.parse().expect("a number of kills"));
    let mut torture = Torture::new();
    let mut done = [0; 3];
    for point in 0..points {
        let (kind, of_ten) =
            [(0, 5), (1, 3), (0, 5), (2, 2), (0, 5), (1, 3), (0, 5), (2, 2), (0, 5), (1, 3)][point % 10];
        let share = (f64::from(done[kind]) + 0.5) * 10.0 / (f64::from(of_ten) * points as f64);
        done[kind] += 1;
        if kind == 0 {
            torture.at_call(share)
        } else {
            torture.at_time(share, kind == 2)
        }
        // After every kill during builds, and now and then after the others.
        if kind == 2 || point % 10 == 9 {
            torture.next_run_works();
        }
        if point % 20 == 19 {
            println!("{} kills", torture.kills.points);
        }
    }
    let kills = torture.kills;
    assert!(kills.by_call.len() >= 5 && kills.logged > 0, "{kills:?}");
    println!("{}", kills.sentence());
    let path = root().join("baselines").join(Fingerprint::collect().class()).join("kills.jsonl");
    jsonl::append(&path, &kills).unwrap();
    let kept: Vec<Kills> = jsonl::read(&path, SCHEMA).unwrap().rows;
    assert_eq!(kept.last(), Some(&kills), "the record cannot be read back");
}

/// The revision that the tool was built from, with a mark if the work tree differs from it.
fn revision() -> String {
    let output =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"]).current_dir(root()).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}
