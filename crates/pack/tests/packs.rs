//! Packs from end to end, with scripted implementations: checked, measured under an empty environment, cut short,
//! continued and imported. What is damaged or foreign is refused with the reason.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser as _;
use compare::command::Interrupt;
use compare::comparison::Invocation;
use compare::console::Console;
use compare::exit::Exit;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// An implementation of an op whose results are always the same byte.
const SCRIPT: &str = r#"#!/bin/sh
while read -r line; do
  case "$line" in
    *'"do":"describe"'*) echo '{"name":"scripted","version":"1","settings":"none"}' ;;
    *'"do":"cases"'*) echo '{"ok":{"cases":[]}}' ;;
    *'"do":"load"'*)
      output=${line#*'"output":"'}
      printf x > "${output%%'"'*}"
      echo '{"ok":{"ran":"script","flops":8,"bytes":8}}' ;;
    *'"do":"time"'*) echo '{"ok":{"iterations":10,"elapsed_s":0.001}}' ;;
    *) echo '{"ok":{}}' ;;
  esac
done
"#;

const SUITE: &str = "title = 'Sums'\nthreads = [1, 2]\nburst_s = 0.001\n\
    [[peer]]\nname = 'other'\ndir = 'other'\ncommand = ['./other']\n\
    [[peer]]\nname = 'snake'\ndir = 'python'\nrequirements = 'requirements-x.txt'\n\
    command = ['.venv/x/bin/python', 'sum.py']\n\
    [[case]]\nid = 'a'\nparams = {}\n";

/// A repository, a pack that measures its revision, and a directory for records.
struct Stage {
    directory: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { directory: tempfile::tempdir().unwrap() };
        stage.write("repository/peers/sum.toml", SUITE);
        fs::create_dir_all(stage.path("repository/baselines")).unwrap();
        stage.git(&["init", "-q"]);
        stage.git(&["add", "."]);
        stage.git(&["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "first"]);
        let commit = stage.git(&["rev-parse", "HEAD"]);
        stage.write("pack/peers/sum.toml", SUITE);
        stage.write("pack/bin/assay", SCRIPT);
        stage.write("pack/peers/other/other", SCRIPT);
        fs::copy(env!("CARGO_BIN_EXE_run"), stage.path("pack/run")).unwrap();
        let program = |name: &str, directory: &str, command: &[&str]| json!({"name": name, "directory": directory, "command": command, "env": [], "unavailable": null});
        let what = json!({
            "kind": "peers",
            "op": "sum",
            "choice": {"filter": null, "peer": [], "threads": []},
            "state": "revision 1a2b3c4d5e",
            "ours": program("assay", "", &["bin/assay", "peer", "sum"]),
            "peers": [
                program("other", "peers/other", &["./other"]),
                program("snake", "peers/python", &["{python}", "sum.py"]),
            ],
        });
        let paths = ["bin/assay", "peers/other/other", "peers/sum.toml"];
        stage.manifest("peers-sum", &commit, &what, &["a t1".to_owned(), "a t2".to_owned()], &paths);
        stage
    }

    /// Writes the manifest of the pack.
    fn manifest(&self, name: &str, commit: &str, what: &Value, plan: &[String], paths: &[&str]) {
        let entry = |path: &&str| {
            let bytes = fs::read(self.path("pack").join(path)).unwrap();
            json!({"path": path, "bytes": bytes.len(), "sha256": sum(&bytes)})
        };
        let manifest = json!({
            "schema": 1,
            "name": name,
            "created_at": "2026-11-27T00:00:00Z",
            "revisions": [{"commit": commit, "state": "revision 1a2b3c4d5e"}],
            "toolchain": "rustc",
            "flags": "",
            "target": format!("{}-linux", std::env::consts::ARCH),
            "glibc": "2.0",
            "what": what,
            "plan": plan,
            "files": paths.iter().map(entry).collect::<Vec<_>>(),
        });
        self.write("pack/manifest.json", &manifest.to_string());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn git(&self, words: &[&str]) -> String {
        let mut git = compare::command::git_in(&self.path("repository"));
        compare::command::stdout_of(git.args(words)).unwrap().trim().to_owned()
    }

    /// The program `run` of the pack, under an empty environment.
    fn run(&self, words: &[&str]) -> Output {
        let mut run = Command::new(self.path("pack/run"));
        run.args(words).args(["--out", "records"]).env_clear().env("ASSAY_PYTHON", "/no/python");
        compare::command::unless_busy(|| run.current_dir(self.directory.path()).output()).unwrap()
    }

    fn import(&self) -> Result<Exit, String> {
        self.import_into("repository")
    }

    fn import_into(&self, repository: &str) -> Result<Exit, String> {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            arguments: pack::import::Arguments,
        }
        let invocation = Invocation {
            variables: std::env::vars_os().collect(),
            directory: self.directory.path().to_owned(),
            called: "cargo xtask".to_owned(),
            console: Console::silent(),
            interrupt: Interrupt::default(),
        };
        let line = Line::try_parse_from(["import", "records"]).unwrap();
        pack::import::import(&invocation, &self.path(repository), &line.arguments).map_err(|error| format!("{error:#}"))
    }

    /// The files below `baselines/`, with their contents.
    fn baselines(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for class in fs::read_dir(self.path("repository/baselines")).unwrap() {
            for file in fs::read_dir(class.unwrap().path()).unwrap() {
                let file = file.unwrap();
                files.push((file.file_name().into_string().unwrap(), fs::read_to_string(file.path()).unwrap()));
            }
        }
        files.sort();
        files
    }

    fn record(&self, name: &str) -> PathBuf {
        self.path("records/records").join(name)
    }
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Changes a record so that its checksum is right.
fn forge(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().next().unwrap().replace(from, to);
    fs::write(path, format!("{line}\nsha256 {}\n", sum(line.as_bytes()))).unwrap();
}

#[test]
fn a_pack_is_cut_short_continued_and_imported_as_what_it_is() {
    let stage = Stage::new();
    let cut = stage.run(&["--limit", "0.2s"]);
    assert!(cut.status.success(), "{}", said(&cut));
    assert!(said(&cut).contains("0 of 2 units are measured"), "{}", said(&cut));
    assert!(stage.import().unwrap_err().contains("has no record"), "nothing is there to import");

    let one = stage.run(&["--only", "t1$"]);
    assert!(said(&one).contains("all 1 units are measured"), "{}", said(&one));
    assert!(said(&one).contains("Machine class") && said(&one).contains("GPU:"), "{}", said(&one));
    assert_eq!(stage.import(), Ok(Exit::Fine));
    let part = stage.baselines();
    let names: Vec<&str> = part.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["peers-sum-part.jsonl", "peers-sum-part.md"], "a part takes the place of nothing");
    assert!(part[1].1.contains("from a pack: 1 of 2 units; cut by the limit"), "{}", part[1].1);
    assert!(part[1].1.contains("1.00 (1.00 .. 1.00)"), "{}", part[1].1);

    let all = stage.run(&[]);
    assert!(said(&all).contains("1 of 2 units are finished") && said(&all).contains("all 2 units"), "{}", said(&all));
    assert_eq!(stage.import(), Ok(Exit::Fine));
    let whole = stage.baselines();
    assert_eq!(whole.len(), 4);
    assert_eq!(whole[..2], part, "the part stays as it is");
    let rows: Vec<Value> = whole[2].1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 4, "two peers with one and with two threads");
    let snake = &rows[1];
    assert_eq!((&snake["peer"], &snake["outcome"]["outcome"]), (&json!("snake"), &json!("unavailable")));
    assert!(snake["outcome"]["why"].as_str().unwrap().contains("/no/python"), "{snake}");
    assert!(snake["made"].as_str().unwrap().ends_with("from a pack"), "{snake}");

    assert_eq!(stage.import(), Ok(Exit::Fine));
    assert_eq!(stage.baselines(), whole, "importing twice changes nothing");
}

#[test]
fn what_is_damaged_or_foreign_is_refused_with_the_reason() {
    let stage = Stage::new();
    assert!(stage.run(&[]).status.success());
    let first = stage.record("0000-a_t1.json");
    let kept = fs::read_to_string(&first).unwrap();

    fs::write(&first, kept.replace("\"ratio\":1.0", "\"ratio\":2.0")).unwrap();
    assert!(stage.import().unwrap_err().contains("is damaged"), "{:?}", stage.import());
    fs::write(&first, &kept).unwrap();

    let class = serde_json::from_str::<Value>(kept.lines().next().unwrap()).unwrap()["class"].clone();
    forge(&first, class.as_str().unwrap(), "other-machine-00000000");
    assert!(stage.import().unwrap_err().contains("classes are never mixed"), "{:?}", stage.import());
    let again = stage.run(&[]);
    assert!(said(&again).contains("use another --out") && !again.status.success(), "{}", said(&again));
    forge(&first, "other-machine-00000000", "../outside");
    assert!(stage.import().unwrap_err().contains("is no machine class"), "{:?}", stage.import());
    fs::write(&first, &kept).unwrap();

    forge(&first, "\"unit\":\"a t1\"", "\"unit\":\"a t2\"");
    assert!(stage.import().unwrap_err().contains("not of a t1"), "{:?}", stage.import());
    fs::write(&first, &kept).unwrap();

    fs::create_dir(stage.path("foreign")).unwrap();
    let mut git = compare::command::git_in(&stage.path("foreign"));
    compare::command::run(git.args(["init", "-q"])).unwrap();
    assert!(stage.import_into("foreign").unwrap_err().contains("does not have: fetch it first"));

    let manifest = fs::read_to_string(stage.path("records/manifest.json")).unwrap();
    stage.write("records/manifest.json", &manifest.replace("rustc", "rustc 2"));
    assert!(stage.import().unwrap_err().contains("another pack"), "{:?}", stage.import());
    stage.write("records/manifest.json", &manifest.replace("\"schema\":1", "\"schema\":2"));
    assert!(stage.import().unwrap_err().contains("has schema 2"), "{:?}", stage.import());
    stage.write("records/manifest.json", &manifest);
    assert_eq!(stage.import(), Ok(Exit::Fine));
}

#[test]
fn a_pack_that_is_damaged_or_for_another_machine_does_not_start() {
    let stage = Stage::new();
    let manifest = fs::read_to_string(stage.path("pack/manifest.json")).unwrap();
    for (from, to, why) in [
        ("\"glibc\":\"2.0\"", "\"glibc\":\"2.999\"", "needs glibc 2.999"),
        ("-linux\"", "-plan9\"", "the pack is for"),
        ("peers/sum.toml\"", "../sum.toml\"", "is no path below the pack"),
        ("[\"a t1\",\"a t2\"]", "[]", "its plan is empty"),
        ("[\"a t1\",\"a t2\"]", "[\"b t1\"]", "other cases than its plan"),
    ] {
        assert!(manifest.contains(from), "{from}");
        stage.write("pack/manifest.json", &manifest.replace(from, to));
        let output = stage.run(&[]);
        assert!(!output.status.success() && said(&output).contains(why), "{why}: {}", said(&output));
    }
    stage.write("pack/manifest.json", &manifest);
    assert!(said(&stage.run(&["--only", "("])).contains("--only"));
    assert!(said(&stage.run(&["--dry-run"])).contains("a t1\na t2"));
    stage.write("pack/peers/other/other", &SCRIPT.replace("10", "11"));
    assert!(said(&stage.run(&[])).contains("differs from its checksum"), "{}", said(&stage.run(&[])));
    fs::remove_file(stage.path("pack/bin/assay")).unwrap();
    assert!(said(&stage.run(&[])).contains("the pack lacks bin/assay"));
    assert!(!stage.path("records/records").exists(), "nothing was measured");
}

const MATRIX: &str = "title = 't'\nprimary = 'load_s'\nruns = 2\nlimit_s = 60\n[[axis]]\nname = 'a'\nvalues = [1, 2]\n\
    [smoke]\na = 1\n[full]\n";

/// `assay cell s CELL --out FILE`, whose first cell fails. All need what the pack carries for them: the user's file,
/// and the loader of drivers.
const CELLS: &str = r#"#!/bin/sh
if [ "$(cat "$ASSAY_OWN_PATH")" != mine ]; then echo "no file of the user" >&2; exit 4; fi
case $LD_LIBRARY_PATH in */pack/lib) ;; *) echo "no loader" >&2; exit 4 ;; esac
if [ "$3" = a=1 ]; then echo "no such model" >&2; exit 3; fi
printf '%s' "${RECORD%%CELL*}$3${RECORD#*CELL}" > "$5"
"#;

#[test]
fn cells_of_a_scenario_are_rows_and_their_report_is_made_at_home() {
    let stage = Stage::new();
    let metric = record::Metric {
        name: "load_s".into(),
        value: Some(1.0),
        unit: record::Unit::Seconds,
        direction: record::Direction::LowerIsBetter,
        n: 1,
        low: None,
        high: None,
    };
    let made = record::CellRecord { metrics: vec![metric], ..record::CellRecord::empty("s", "CELL") };
    let record = serde_json::to_string(&made).unwrap();
    let script = CELLS.replacen('\n', &format!("\nRECORD='{record}'\n"), 1);
    stage.write("pack/bin/assay", &script);
    stage.write("pack/benches/scenarios/s.toml", MATRIX);
    stage.write("repository/benches/scenarios/s.toml", MATRIX);
    // What renders the report at home.
    stage.write(
        "repository/Cargo.toml",
        "[package]\nname = \"assay\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n",
    );
    let main = "fn main() { let words: Vec<String> = std::env::args().collect(); println!(\"report of {}\", words[2]); \
                if let Some(out) = words.get(6) { std::fs::write(format!(\"{out}/scenario-s.md\"), \"report\").unwrap(); } }";
    stage.write("repository/src/main.rs", main);
    stage.git(&["add", "."]);
    stage.git(&["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "scenario"]);
    let commit = stage.git(&["rev-parse", "HEAD"]);
    let matrix = scenario::Matrix::parse(MATRIX).unwrap();
    let packed = json!({
        "name": "s", "cells": ["a=1", "a=2"], "runs": 2, "is_whole": true, "own": "own/m.gguf", "has_loader": true,
        "made": {"revision": commit, "label": "revision 1a, from a pack", "dirty": false, "matrix": matrix.hash, "program": "p",
            "machine": "", "processor": "", "toolchain": "rustc", "seed": 1},
    });
    stage.write("pack/own/m.gguf", "mine");
    let plan = serde_json::from_value::<scenarios::PackedScenario>(packed.clone()).unwrap().plan().unwrap();
    assert_eq!(plan.len(), 4);
    let mut what = packed;
    what["kind"] = json!("scenario");
    stage.manifest("scenario-s", &commit, &what, &plan, &["bin/assay", "benches/scenarios/s.toml", "own/m.gguf"]);

    let part = stage.run(&["--only", "a=2 process 1"]);
    assert!(part.status.success() && said(&part).contains("all 1 units"), "{}", said(&part));
    assert_eq!(stage.import(), Ok(Exit::Fine));
    assert!(stage.baselines().is_empty(), "the report of a part is only shown");

    let all = stage.run(&[]);
    assert_eq!(all.status.code(), Some(1), "a cell failed: {}", said(&all));
    assert!(said(&all).contains("no such model"), "{}", said(&all));
    assert_eq!(stage.import(), Ok(Exit::Failure));
    let kept = stage.baselines();
    let names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["scenario-s.jsonl", "scenario-s.md"]);
    assert_eq!(kept[0].1.lines().count(), 4);
    assert!(kept[0].1.contains("\"label\":\"revision 1a, from a pack\""), "{}", kept[0].1);
    assert_eq!(stage.import(), Ok(Exit::Failure));
    assert_eq!(stage.baselines(), kept, "importing twice changes nothing");

    stage.write("repository/benches/scenarios/s.toml", &MATRIX.replace("runs = 2", "runs = 3"));
    assert!(stage.import().unwrap_err().contains("has changed since the pack was made"));
}
