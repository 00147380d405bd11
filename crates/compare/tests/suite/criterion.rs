//! End to end: a workspace with a criterion bench from the registry, through one series of changes.
//!
//! Builds take most of the time, so one workspace and one cache serve all steps, in order.

use std::process::Command;

use serde_json::Value;

use crate::tools::Tools;
use crate::workspace::{Workspace, verdicts};

const MANIFEST: &str = r#"[package]
name = "tiny"
version = "0.1.0"
edition = "2021"

[lib]
bench = false

[dev-dependencies]
criterion = { version = "=0.8.2", default-features = false, features = ["cargo_bench_support"] }

[[bench]]
name = "t"
harness = false

# Criterion and what it needs take most of the test's time to compile.
[profile.bench.package."*"]
opt-level = 0
"#;

/// One constant, in which two revisions differ, and which shows in the work and in the output.
const LIBRARY: &str = r#"pub const ROUNDS: u64 = 3;

/// Sums and mixes; the slice decides how much.
pub fn mix(data: &[u64]) -> u64 {
    data.iter().fold(ROUNDS, |sum, x| (0..ROUNDS).fold(sum ^ x, |sum, _| sum.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 3))
}
"#;

const BENCH: &str = r#"use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};

fn main() {
    println!("rounds {}", tiny::ROUNDS);
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let data: Vec<u64> = (0..4096).collect();
    let mut group = criterion.benchmark_group("mix up/äö");
    group.warm_up_time(Duration::from_millis(20)).measurement_time(Duration::from_millis(50));
    for n in [1024, 4096] {
        group.throughput(Throughput::Bytes(8 * n as u64));
        group.bench_with_input(BenchmarkId::new("mix?", n), &n, |b, n| b.iter(|| tiny::mix(black_box(&data[..*n]))));
    }
    group.finish();
    criterion.bench_function("alone", |b| b.iter(|| tiny::mix(black_box(&data[..2048]))));
}
"#;

const IDS: [&str; 3] = ["alone", "mix up/äö/mix?/1024", "mix up/äö/mix?/4096"];

fn workspace() -> Workspace {
    let workspace = Workspace::uncommitted(&serde_json::json!({}));
    // Instructions of a real benchmark are counted by the real one, where it is installed.
    Tools::stand_ins(&workspace).remove("valgrind");
    workspace.write("Cargo.toml", MANIFEST);
    workspace.write("src/lib.rs", LIBRARY);
    workspace.write("benches/t.rs", BENCH);
    workspace.write(".gitignore", "/target\n");
    // The locked versions of this workspace: cargo keeps those that are needed.
    let ours = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
    workspace.write("Cargo.lock", &ours);
    let locked =
        Command::new("cargo").args(["update", "--workspace", "--quiet"]).current_dir(workspace.root()).output();
    let locked = locked.unwrap();
    assert!(locked.status.success(), "{}", String::from_utf8_lossy(&locked.stderr));
    workspace.git(&["init", "--quiet", "--initial-branch=main"]);
    workspace.commit("start");
    workspace
}

#[test]
fn one_history_of_changes() {
    let workspace = workspace();
    first_entry(&workspace);
    a_comment_changes_nothing(&workspace);
    a_constant_is_built_on_its_own_side(&workspace);
    a_panic_shows_its_message(&workspace);
    workspace.assay(&["log", "check"]).expect(0, &["2 entries agree with their data"]);
}

fn first_entry(workspace: &Workspace) {
    let compare = ["compare", "--title", "Mix", "--change", "before", "--json"];
    let entry = workspace.assay(&compare).expect(0, &[]).json();
    assert_eq!(verdicts(&entry).into_iter().collect::<Vec<_>>(), IDS.map(|id| (id.to_owned(), "NEW".to_owned())));
    for row in entry["rows"].as_array().unwrap() {
        let after = &row["after"];
        assert!(after["time"].as_f64().unwrap() > 0.0 && after["n"] == 12 && after["unit"] == "ns", "{row}");
        assert_eq!(after["rate"].is_null(), row["id"] == "alone", "bytes per second where the bench declares bytes");
        assert!(after["peak_rss_bytes"].as_f64().unwrap() > 1e5, "{row}");
    }
}

/// Panic locations move; the code does not. `compare` gives figures for it, `gate` gives none.
fn a_comment_changes_nothing(workspace: &Workspace) {
    workspace.write("src/lib.rs", &format!("// One\n// comment.\n\n{LIBRARY}"));
    workspace.write("benches/t.rs", &BENCH.replace("fn main", "// Another.\n\nfn main"));
    let compare = ["compare", "--title", "Mix", "--change", "a comment", "--json"];
    let entry = workspace.assay(&compare).expect(0, &[]).json();
    let same = IDS.map(|id| (id.to_owned(), "SAME".to_owned()));
    assert_eq!(verdicts(&entry).into_iter().collect::<Vec<_>>(), same);
    assert!(entry["method"].is_null(), "nothing was tested by the clock");
    workspace.commit("a comment");
    let gate = workspace.assay(&["gate", "--format", "json"]).expect(0, &[]).json();
    assert_eq!(verdicts(&gate).into_iter().collect::<Vec<_>>(), same);
    assert_eq!(gate["measured_s"], 0.0);
}

/// A target directory shared by both sides would hand the first side's program to the second.
fn a_constant_is_built_on_its_own_side(workspace: &Workspace) {
    workspace.write("src/lib.rs", &LIBRARY.replace("ROUNDS: u64 = 3", "ROUNDS: u64 = 4"));
    let compare = ["compare", "--title", "Mix", "--change", "four", "--filter", "alone", "--no-log", "--json"];
    let ran = workspace.assay(&[&compare[..], &["--instructions"]].concat());
    let entry = ran.json();
    let row = &entry["rows"][0];
    assert_eq!((entry["rows"].as_array().unwrap().len(), &row["n"]), (1, &Value::from(12)), "{ran:#?}");
    assert!(row["effect"].is_f64() && row["ci"].is_array() && row["blocks"].as_array().unwrap().len() == 12, "{row}");
    let links = entry["method"]["links"].as_u64().unwrap();
    assert_eq!(row["margin"], if links > 1 { 0.03 } else { 0.05 }, "{links} links");
    let verdict = row["verdict"].as_str().unwrap();
    assert!(["SLOWER", "FASTER", "SAME", "INCONCLUSIVE"].contains(&verdict), "{verdict}");
    // Four rounds instead of three, or a remark that nothing can count them here.
    let counted = row["metrics"].as_array().unwrap().iter().find(|metric| metric["name"] == "instructions");
    match counted {
        Some(count) => assert!(count["head"].as_f64() > count["base"].as_f64(), "{count}"),
        None => assert!(entry["notes"].to_string().contains("were not counted"), "{ran:#?}"),
    }

    let mut printed: Vec<String> = ["a", "b"].map(|slot| rounds_of(workspace, slot)).into();
    printed.sort();
    assert_eq!(printed, ["rounds 3", "rounds 4"], "both slots hold the same program");
}

/// What the program that was built in a slot prints about itself.
fn rounds_of(workspace: &Workspace, slot: &str) -> String {
    let cache = workspace.cache().join("assay");
    let mut slots = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let program = slots.next().unwrap().join(slot).join("programs/000-0000");
    let output = Command::new(program).arg("--test").current_dir(workspace.root()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}

/// A backtrace is longer than the part of the output that a message repeats: the reason must not be cut off.
fn a_panic_shows_its_message(workspace: &Workspace) {
    workspace.write(
        "src/lib.rs",
        &LIBRARY.replace("    data.iter()", "    assert!(data.len() < 2, \"too much\");\n    data.iter()"),
    );
    let mut command =
        workspace.command(&["compare", "--title", "Mix", "--change", "panic", "--filter", "1024", "--no-log"]);
    command.env("RUST_BACKTRACE", "1");
    workspace.run(command).expect(5, &["INVALID", "too much"]);
}
