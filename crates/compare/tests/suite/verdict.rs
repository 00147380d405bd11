//! Verdicts, exit codes and reports of the built tool, over benchmarks with scripted times.

use std::fs;

use serde_json::{Value, json};

use crate::fake::scripted;
use crate::workspace::{Ran, Workspace, verdicts};

fn bench(name: &str, fields: Value) -> Value {
    let mut bench = json!({"id": scripted(&format!("g|{name}"))});
    bench.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    bench
}

fn times(ns: f64) -> Value {
    json!({"times": vec![ns; 10]})
}

/// A workspace whose parent commit and work tree differ in every way that a benchmark can.
fn changed() -> Workspace {
    let plain = |name: &str| bench(name, times(1e6));
    let names = ["slower", "faster", "same", "panics", "zero", "hangs", "unit", "gone"];
    let mut before: Vec<Value> = names.iter().map(|name| plain(name)).collect();
    before.push(bench("mended", json!({"mishap": "panic"})));
    let workspace = Workspace::new(&json!({"benches": before}));
    workspace.script(&json!({"benches": [
        bench("slower", times(1.25e6)),
        bench("faster", times(0.8e6)),
        bench("same", times(1.01e6)),
        bench("panics", json!({"mishap": "panic"})),
        bench("zero", times(0.0)),
        bench("hangs", json!({"mishap": "hang"})),
        bench("unit", json!({"unit": "cycles"})),
        bench("mended", times(1e6)),
        bench("new", times(1e6)),
    ]}));
    workspace
}

/// Compares with the parent commit, without logging.
fn compare(workspace: &Workspace, filter: &str, more: &[&str]) -> Ran {
    let filter = format!("^g/({filter})$");
    let fixed = ["compare", "--title", "T", "--change", "c", "--base", "HEAD", "--no-log", "--one-link", "--json"];
    workspace.assay(&[&fixed[..], &["--timeout", "3s", "--filter", &filter], more].concat())
}

#[test]
fn every_verdict_has_its_exit_code_and_the_most_severe_wins() {
    let workspace = changed();
    let timed = compare(&workspace, "slower|faster|same|mended|new", &[]).expect(3, &[]).json();
    let expected =
        [("faster", "FASTER"), ("mended", "INVALID"), ("new", "NEW"), ("same", "SAME"), ("slower", "SLOWER")];
    let expected = expected.map(|(name, verdict)| (format!("g/{name}"), verdict.to_owned()));
    assert_eq!(verdicts(&timed), expected.into());
    has_the_promised_keys(&timed);
    let slower = timed["rows"].as_array().unwrap().iter().find(|row| row["id"] == "g/slower").unwrap();
    assert!((slower["effect"].as_f64().unwrap() - 0.25).abs() < 1e-9, "{slower}");
    assert_eq!(
        (&slower["n"], &slower["base"]["time"], &slower["after"]["time"]),
        (&json!(12), &json!(1e6), &json!(1.25e6))
    );

    compare(&workspace, "slower", &["--accept", "g/slower=known"]).expect(0, &["known"]);
    for (filter, verdict, why) in [
        ("panics", "INVALID", "panicked on purpose"),
        ("zero", "INVALID", "took no time"),
        ("hangs", "TIMEOUT", "no result within 3 s"),
        ("unit", "INVALID", "the base measures in ns and the head in cycles"),
        ("gone", "GONE", "no longer has it"),
    ] {
        let entry = compare(&workspace, filter, &[]).expect(5, &[why]).json();
        assert_eq!(verdicts(&entry), [(format!("g/{filter}"), verdict.to_owned())].into());
        assert!(entry["rows"][0]["effect"].is_null(), "not measured is null");
    }
    compare(&workspace, "slower|panics", &[]).expect(5, &["SLOWER", "INVALID"]);
    compare(&workspace, "mended|new", &[]).expect(0, &[]);
    compare(&workspace, "panics", &["--accept", "g/panics=hush"]).expect(5, &[]);
    assert_eq!(workspace.scratch(), [] as [std::path::PathBuf; 0]);
}

fn has_the_promised_keys(entry: &Value) {
    for key in ["schema", "base", "head", "rows", "exit"] {
        assert!(!entry[key].is_null(), "{key} in {entry}");
    }
    for row in entry["rows"].as_array().unwrap() {
        for key in ["package", "target", "id", "verdict", "effect", "ci", "n", "margin", "proof", "metrics"] {
            assert!(row.get(key).is_some(), "{key} in {row}");
        }
        assert_eq!((&row["package"], &row["target"], &row["proof"]), (&json!("tiny"), &json!("t"), &Value::Null));
    }
}

#[test]
fn a_benchmark_may_be_removed_while_the_policy_allows_it() {
    let workspace = changed();
    let policy = |until: &str| {
        let decision = format!("{{ reason = \"replaced\", until = \"{until}\" }}");
        workspace.write("assay.toml", &format!("[removed]\n\"g/gone\" = {decision}\n\"g/panics\" = {decision}\n"));
    };
    // First, while no run knows what the base has: the exit code is the same as later.
    policy("2020-01-01");
    compare(&workspace, "gone", &[]).expect(5, &["GONE", "ran out on 2020-01-01"]);
    policy("9999-01-01");
    compare(&workspace, "gone", &[]).expect(0, &["replaced"]);
    compare(&workspace, "panics", &[]).expect(5, &[]);
}

#[test]
fn a_bench_target_that_is_gone_or_no_longer_starts_counts_as_missing() {
    let workspace = Workspace::new(&json!({"benches": [bench("f", times(1e6))]}));
    workspace.script(&json!({"benches": [bench("f", times(1e6))], "mishaps": [["start", "panic"]]}));
    compare(&workspace, "f", &[]).expect(5, &["(tiny/t)", "INVALID", "panicked on purpose"]);
    let manifest = workspace.read("Cargo.toml");
    workspace.write("Cargo.toml", manifest.split("[[bench]]").next().unwrap());
    fs::remove_dir_all(workspace.root().join("benches")).unwrap();
    compare(&workspace, "f", &[]).expect(5, &["GONE"]);
}

#[test]
fn a_package_that_the_base_lacks_is_new() {
    let workspace = Workspace::new(&json!({"benches": [bench("f", times(1e6))]}));
    let manifest = workspace.read("Cargo.toml");
    workspace.write("extra/Cargo.toml", &manifest.replace("\"tiny\"", "\"extra\""));
    workspace.write("extra/benches/t.rs", &workspace.read("benches/t.rs").replace("tiny::", "extra::"));
    workspace.write("extra/src/lib.rs", &workspace.library(&json!({"benches": [bench("h", times(1e6))]})));
    workspace.write("Cargo.toml", &format!("{manifest}\n[workspace]\nmembers = [\"extra\"]\n"));
    workspace.write(
        "Cargo.lock",
        &format!("{}\n[[package]]\nname = \"extra\"\nversion = \"0.1.0\"\n", workspace.read("Cargo.lock")),
    );
    let entry = compare(&workspace, ".*", &["-p", "extra"]).expect(0, &[]).json();
    assert_eq!(verdicts(&entry), [("g/h".to_owned(), "NEW".to_owned())].into());
}

#[test]
fn wrong_output_is_invalid_however_fast_it_is() {
    let workspace = Workspace::new(&json!({"benches": [bench("f", times(1e6))]}));
    let row = json!({"schema": 1, "state": "failed", "group": "g", "function": "f", "value": null, "tier": 1,
        "source": {"file": "benches/t.rs", "line": 3}, "ran": {}, "work": {}, "ceiling": null, "rate_per_s": null,
        "allocations": null, "peak_rss_bytes": null,
        "proof": {"method": "norm", "error": 1.0, "tolerance": 0.1, "worst_index": 3, "checked": 1, "input_hash": "0",
            "output_hash": null, "failure": "element 3 is 1.5"}});
    workspace.script(&json!({"benches": [bench("f", times(1e3))], "rows": [row.to_string()]}));
    compare(&workspace, "f", &[]).expect(5, &["wrong output: element 3 is 1.5"]);
}

/// Equal code is proven equal, not timed: an empty commit, and one that moves lines by a comment.
#[test]
fn a_gate_times_nothing_that_is_the_same_code() {
    let workspace = Workspace::new(&json!({"benches": [bench("f", times(1e6)), bench("h", times(2e6))]}));
    workspace.git(&["checkout", "--quiet", "-b", "work"]);
    for step in ["nothing", "comment"] {
        if step == "comment" {
            for path in ["src/lib.rs", "benches/t.rs"] {
                workspace.write(path, &format!("// A comment.\n\n{}", workspace.read(path)));
            }
        }
        workspace.commit(step);
        let entry = workspace.assay(&["gate", "--base", "main", "--format", "json"]).expect(0, &[]).json();
        let both = ["g/f", "g/h"].map(|id| (id.to_owned(), "SAME".to_owned()));
        assert_eq!(verdicts(&entry), both.into(), "{step}");
        assert!(entry["rows"][0]["why"].as_str().unwrap().contains("identical machine code"));
        assert_eq!(workspace.measuring_processes(), 0, "{step}: nothing may be timed");
    }
    assert!(!workspace.root().join("BENCHMARKS.md").exists(), "a gate writes no log");
}

#[test]
fn a_gate_reports_where_reviewers_look() {
    let workspace = changed();
    workspace.git(&["checkout", "--quiet", "-b", "work"]);
    workspace.commit("work");
    let file = |name: &str| workspace.cache().join(name);
    let (data, comment, summary) = (file("gate.json"), file("gate.md"), file("summary.md"));
    fs::create_dir_all(workspace.cache()).unwrap();
    let mut command =
        workspace.command(&["gate", "--format", "github", "--filter", "^g/(panics|gone)$", "--json-file"]);
    command.arg(&data).arg("--comment-file").arg(&comment).env("GITHUB_STEP_SUMMARY", &summary);
    workspace
        .run(command)
        .expect(5, &["::error title=INVALID%3A g/panics::", "::error title=GONE%3A g/gone::", "exit 5"]);
    let entry: Value = serde_json::from_str(&fs::read_to_string(data).unwrap()).unwrap();
    assert_eq!((entry["exit"].clone(), verdicts(&entry).len()), (json!(5), 2));
    assert!(fs::read_to_string(comment).unwrap().starts_with("<!-- assay-gate:v1 -->\n"));
    assert!(fs::read_to_string(summary).unwrap().contains("g/panics"));
    // With null controls, a disturbed machine may suppress the exit code, but never the verdict.
    let ran = workspace.assay(&["gate", "--format", "json", "--filter", "slower", "--one-link"]);
    let entry = ran.json();
    assert_eq!(verdicts(&entry)["g/slower"], "SLOWER");
    assert_eq!(ran.code, Some(if entry["contaminated"].is_null() { 3 } else { 4 }), "{ran:#?}");
}
