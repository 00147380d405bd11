//! Jobs on a real Slurm with several nodes: what is lost comes again, what is cancelled ends, classes never mix.
//!
//! Without Slurm nothing is tested, which is said.

#![cfg(target_os = "linux")]

mod cluster;
mod commands;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;

use clap::Parser as _;
use cluster::Cluster;
use compare::comparison::Invocation;
use pack::slurm;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MATRIX: &str = "title = 't'\nprimary = 'load_s'\nruns = 2\nlimit_s = 60\n[[axis]]\nname = 'a'\nvalues = \
    [1, 2, 3, 4, 5, 6]\n[smoke]\na = 1\n[full]\n";

/// `assay cell s CELL --out FILE`. Cell 5 ends its whole task the first time, and the cell that the file `always` names
/// does so each time. Each process says where it ran, and waits as long as the test wants.
const CELL: &str = r#"#!/bin/sh
cd "$(dirname "$0")/../.."
echo "$3 $SLURMD_NODENAME" >>ran
if [ "$3" = a=5 ] && mkdir lost 2>/dev/null; then kill -9 $PPID; fi
if [ "$3" = "$(cat always 2>/dev/null)" ]; then kill -9 $PPID; fi
sleep "$(cat pause)"
printf '%s' "${RECORD%%CELL*}$3${RECORD#*CELL}" > "$5"
"#;

/// `run` of the pack. Node 3 says that it is another machine, as `run` does there.
const RUN: &str = r#"#!/bin/sh
if [ "$SLURMD_NODENAME" = node3 ] && [ -e foreign ] && [ -e class ]; then
  sed 's/"arch": *"[^"]*"/"arch": "other"/' foreign >"$4/machine.json"
  echo "this machine is of another class"
  exit 2
fi
exec "$0-program" "$@"
"#;

/// Name of the child's test, and the variable by which it finds its work.
const CHILD: (&str, &str) = ("watches_a_job_in_a_process_of_its_own", "ASSAY_TEST_SLURM_JOB");

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    arguments: slurm::Arguments,
}

/// Not a test by itself: what the others start, interrupt and kill.
#[test]
#[ignore = "started by the other test"]
fn watches_a_job_in_a_process_of_its_own() {
    let Ok(work) = std::env::var(CHILD.1) else { return };
    let words: Vec<&str> = work.split('\n').collect();
    let invocation = Invocation::of_process("cargo xtask").unwrap();
    let line = Line::try_parse_from([&["x", "--slurm", "--poll", "0.2s"], &words[1..]].concat()).unwrap();
    let job = slurm::Job::open(Path::new(words[0]), "scenario-s").unwrap();
    match job.measure(&invocation, &line.arguments) {
        Ok(records) => invocation.console.error(&format!("DONE {}", records.display())),
        Err(error) => invocation.console.error(&format!("FAILED {error:#}")),
    }
}

/// A job in a folder, and the processes that watch it.
struct Stage<'a> {
    cluster: &'a Cluster,
    folder: PathBuf,
    calls: usize,
}

impl<'a> Stage<'a> {
    /// A job that measures so many cells.
    fn new(cluster: &'a Cluster, name: &str, cells: usize) -> Self {
        let stage = Self { cluster, folder: cluster.file(name), calls: 0 };
        stage.write("pause", "0.3");
        let record = record::CellRecord { metrics: vec![metric()], ..record::CellRecord::empty("s", "CELL") };
        let record = serde_json::to_string(&record).unwrap();
        stage.write("part/bin/assay", &CELL.replacen('\n', &format!("\nRECORD='{record}'\n"), 1));
        stage.write("part/benches/scenarios/s.toml", MATRIX);
        stage.write("part/run", RUN);
        fs::copy(env!("CARGO_BIN_EXE_run"), stage.folder.join("part/run-program")).unwrap();
        let matrix = scenario::Matrix::parse(MATRIX).unwrap();
        let cells: Vec<String> = (1..=cells).map(|cell| format!("a={cell}")).collect();
        let mut what = json!({
            "name": "s", "cells": cells, "runs": 2, "is_whole": true,
            "made": {"revision": "1a", "label": "revision 1a", "dirty": false, "matrix": matrix.hash, "program": "p",
                "machine": "", "processor": "", "toolchain": "rustc", "seed": 1},
        });
        let plan = serde_json::from_value::<scenarios::PackedScenario>(what.clone()).unwrap().plan().unwrap();
        what["kind"] = json!("scenario");
        let entry = |path: &&str| {
            let bytes = fs::read(stage.folder.join("part").join(path)).unwrap();
            let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"path": path, "bytes": bytes.len(), "sha256": sum})
        };
        let files: Vec<Value> = ["bin/assay", "benches/scenarios/s.toml", "run"].iter().map(entry).collect();
        let manifest = json!({
            "schema": 1, "name": "scenario-s", "created_at": "2026-11-27T00:00:00Z", "toolchain": "rustc", "flags": "",
            "revisions": [{"commit": "1a", "state": "revision 1a"}], "glibc": "2.0", "what": what, "plan": plan,
            "target": format!("{}-linux", std::env::consts::ARCH), "files": files,
        });
        stage.write("part/manifest.json", &manifest.to_string());
        let job = slurm::Job::open(&stage.folder, "scenario-s").unwrap();
        job.begin(&stage.folder.join("part")).unwrap();
        stage
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Starts a process that watches the job.
    fn watch(&mut self, words: &[&str]) -> Watching<'a> {
        self.calls += 1;
        let said = self.folder.join(format!("said-{}", self.calls));
        let (out, work) = (File::create(&said).unwrap(), [&[self.folder.to_str().unwrap()], words].concat().join("\n"));
        let mut command = self.cluster.command(std::env::current_exe().unwrap().to_str().unwrap());
        command.args(["--ignored", "--exact", CHILD.0, "--nocapture"]).env(CHILD.1, work);
        let child = command.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        Watching { cluster: self.cluster, child, said }
    }

    /// Names of the records, and the elements that ran.
    fn measured(&self) -> (usize, Vec<(String, String)>) {
        let records = fs::read_dir(self.folder.join("records/records")).map_or(0, Iterator::count);
        let ran = fs::read_to_string(self.folder.join("ran")).unwrap_or_default();
        let ran = ran.lines().filter_map(|line| line.split_once(' '));
        (records, ran.map(|(cell, node)| (cell.to_owned(), node.to_owned())).collect())
    }
}

fn metric() -> record::Metric {
    record::Metric {
        name: "load_s".into(),
        value: Some(1.0),
        unit: record::Unit::Seconds,
        direction: record::Direction::LowerIsBetter,
        n: 1,
        low: None,
        high: None,
    }
}

/// A process that watches a job.
struct Watching<'a> {
    cluster: &'a Cluster,
    child: Child,
    said: PathBuf,
}

impl Watching<'_> {
    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    fn until(&self, text: &str) {
        let is_over = || self.said().contains("DONE") || self.said().contains("FAILED");
        self.cluster.wait(&format!("{text} in {}", self.said()), || self.said().contains(text) || is_over());
        assert!(self.said().contains(text), "{}", self.said());
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        self.cluster.succeed("kill", &[signal, &id]);
    }

    /// All that it says until its end.
    fn ended(mut self) -> String {
        self.cluster.wait(&format!("the end of {}", self.said()), || self.child.try_wait().unwrap().is_some());
        self.said()
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_cluster_measures_jobs() {
    let cluster = match Cluster::start(3) {
        Ok(cluster) => cluster,
        Err(why) => {
            // Past the capture of the test harness, which hides what a test prints that passes.
            let said = format!("\nNOT TESTED: jobs of Slurm; {why}\n");
            std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes()).unwrap();
            return;
        }
    };
    refused_jobs_end(&cluster);
    lost_tasks_come_again_and_classes_never_mix(&cluster);
    nodes_that_fail_are_survived(&cluster);
    a_task_that_is_lost_again_and_again_is_given_up(&cluster);
    a_full_queue_is_waited_for(&cluster);
    a_job_is_cancelled_or_found_again(&cluster);
    commands::a_scenario_is_measured_and_kept(&cluster);
    commands::a_comparison_is_measured_and_logged(&cluster);
}

/// What the cluster never starts, or does not take, ends with the reason.
fn refused_jobs_end(cluster: &Cluster) {
    let mut stage = Stage::new(cluster, "refused", 1);
    let never = stage.watch(&["--sbatch", "--time=999"]);
    let unknown = stage.watch(&["--sbatch", "--partition=nowhere"]);
    let (never, unknown) = (never.ended(), unknown.ended());
    let both = never.clone() + &unknown;
    assert!(both.contains("another command watches"), "one command watches a job: {both}");
    let mut said = BTreeSet::from([never, unknown]);
    said.insert(stage.watch(&["--sbatch", "--partition=nowhere"]).ended());
    said.insert(stage.watch(&["--sbatch", "--time=999"]).ended());
    let says = |text: &str| assert!(said.iter().any(|said| said.contains(text)), "{text}: {said:?}");
    says("never starts the job (Partition");
    says("invalid partition specified");
    assert_eq!(cluster.out("squeue", &["-h"]), "", "what never starts is cancelled");
}

/// A node goes down while its task runs, another task is killed, and a third node is a machine of another class.
fn lost_tasks_come_again_and_classes_never_mix(cluster: &Cluster) {
    let mut stage = Stage::new(cluster, "lost", 6);
    let fingerprint = machine::Fingerprint::collect();
    stage.write("foreign", &serde_json::to_string_pretty(&fingerprint).unwrap());
    // So that the others wait until the first has said its class.
    stage.write("class", &fingerprint.class());
    stage.write("pause", "1");
    let watching = stage.watch(&[]);
    cluster.wait("a task on node1", || stage.measured().1.iter().any(|(_, node)| node == "node1"));
    cluster.succeed("scontrol", &["update", "NodeName=node1", "State=DOWN", "Reason=test"]);
    stage.write("pause", "0.1");
    watching.until("node3 is left out");
    cluster.succeed("scontrol", &["update", "NodeName=node1", "State=RESUME"]);
    let said = watching.ended();
    assert!(said.contains("DONE"), "{said}");
    assert!(said.contains("again: a=5: ") && said.contains("again: ") && !said.contains("given up"), "{said}");
    assert!(said.contains("submitted 6 tasks as job") && said.contains("a=6: 2 units on node"), "{said}");
    let (records, ran) = stage.measured();
    assert_eq!(records, 12);
    assert!(!ran.is_empty() && ran.iter().all(|(_, node)| node != "node3"), "{ran:?}");
    for file in ["plan.json", "manifest.json"] {
        assert!(stage.folder.join("records").join(file).is_file(), "import needs {file}");
    }
    let again = stage.watch(&[]).ended();
    assert!(again.contains("12 of 12 units") && again.contains("DONE") && !again.contains("submitted"), "{again}");
    assert_eq!(stage.measured().1, ran, "what is measured is not measured again");
}

/// The power of one node fails while its task runs, and Slurm starts that task again by itself. A task on another node
/// that fails is one that Slurm must not start again: it is submitted again.
fn nodes_that_fail_are_survived(cluster: &Cluster) {
    let mut stage = Stage::new(cluster, "failed", 4);
    stage.write("pause", "3");
    let watching = stage.watch(&[]);
    let of = |node: &str, ran: &[(String, String)]| ran.iter().find(|(_, on)| on == node).map(|(cell, _)| cell.clone());
    cluster
        .wait("tasks on two nodes", || ["node1", "node2"].iter().all(|node| of(node, &stage.measured().1).is_some()));
    cluster.kill_node("node2");
    let element = cluster.out("squeue", &["--noheader", "--nodelist=node1", "--format=%i"]);
    cluster.succeed("scontrol", &["update", &format!("JobId={}", element.trim()), "Requeue=0"]);
    cluster.succeed("scontrol", &["update", "NodeName=node1", "State=DOWN", "Reason=test"]);
    watching.until("NODE_FAIL (NodeDown) on node1");
    cluster.succeed("scontrol", &["update", "NodeName=node1", "State=RESUME"]);
    let said = watching.ended();
    assert!(said.contains("DONE") && said.contains("again: ") && !said.contains("given up"), "{said}");
    let (records, ran) = stage.measured();
    assert_eq!(records, 8);
    let lost = of("node2", &ran).unwrap();
    assert!(ran.iter().any(|(cell, node)| *cell == lost && node != "node2"), "{lost} ran elsewhere: {ran:?}");
    cluster.start_node("node2");
    cluster.wait("the node", || cluster.out("sinfo", &["-hN", "-o", "%t"]).matches("idle").count() == 3);
}

/// Neither submissions nor the restarts of each are without a bound.
fn a_task_that_is_lost_again_and_again_is_given_up(cluster: &Cluster) {
    let mut stage = Stage::new(cluster, "given-up", 2);
    stage.write("always", "a=2");
    let said = stage.watch(&[]).ended();
    assert!(said.contains("FAILED") && said.contains("1 of 2 tasks failed 3 times:\na=2: "), "{said}");
    assert_eq!((said.matches("again: a=2: ").count(), stage.measured().0), (2, 2), "{said}");
    assert_eq!(stage.measured().1.iter().filter(|(cell, _)| cell == "a=2").count(), 3, "{said}");
    let mut script = cluster.command("sh");
    script.arg(stage.folder.join("task.sh")).arg(&stage.folder).arg("0").env("SLURM_ARRAY_TASK_ID", "0");
    let restarted = script.env("SLURM_RESTART_COUNT", "6").output().unwrap();
    assert_eq!(restarted.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&restarted.stdout), "task 0 was started 7 times\n");
}

/// The queue has no room for all tasks at once.
fn a_full_queue_is_waited_for(cluster: &Cluster) {
    let other = ["--hold", "--array=0-8", "--job-name=other", "--output=/dev/null", "--wrap=true"];
    cluster.wait("room for other jobs", || {
        let mut sbatch = cluster.command("timeout");
        sbatch.args(["1", "sbatch"]).args(other).output().unwrap().status.success()
    });
    let mut stage = Stage::new(cluster, "full", 6);
    let watching = stage.watch(&[]);
    watching.until("waiting: ");
    assert!(watching.said().contains("temporarily unable to accept job"), "{}", watching.said());
    cluster.succeed("scancel", &["--name=other"]);
    let said = watching.ended();
    assert!(said.contains("DONE") && !said.contains("submitted 6 tasks"), "fewer at a time: {said}");
    assert_eq!(stage.measured().0, 12);
}

/// Ctrl-C cancels the job. A command that was killed leaves it, and the next one finds it.
fn a_job_is_cancelled_or_found_again(cluster: &Cluster) {
    let mut stage = Stage::new(cluster, "found", 4);
    stage.write("pause", "30");
    let watching = stage.watch(&[]);
    cluster.wait("a running task", || !stage.measured().1.is_empty());
    watching.signal("-INT");
    let said = watching.ended();
    assert!(said.contains("is cancelled; 0 of 8 units are measured") && said.contains("interrupted"), "{said}");
    cluster.wait("the end of the tasks", || cluster.out("squeue", &["-h"]).is_empty());

    stage.write("pause", "0.3");
    let killed = stage.watch(&[]);
    killed.until("submitted 4 tasks");
    cluster.wait("a running task", || stage.measured().1.len() > 2);
    drop(killed);
    let said = stage.watch(&[]).ended();
    assert!(said.contains("DONE") && !said.contains("submitted"), "{said}");
    assert_eq!(stage.measured().0, 8);
}
