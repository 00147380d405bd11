//! `--scenario`: cells of a program `assay` are judged by the metric that they declare.

use serde_json::{Value, json};

use crate::workspace::{Workspace, verdicts};

fn metric(name: &str, value: f64, unit: &str, direction: &str) -> Value {
    json!({"name": name, "value": value, "unit": unit, "direction": direction, "n": 1, "low": null, "high": null})
}

fn proof(error: f64) -> Value {
    let failure = (error > 0.0).then_some("row 3 differs");
    json!({"method": "hash", "error": error, "tolerance": 0.0, "worst_index": null, "checked": 1,
        "input_hash": "0", "output_hash": null, "failure": failure})
}

/// A program whose cells report what a table says.
fn program_of(cells: Vec<(&str, Value)>) -> String {
    let arms: String = cells
        .into_iter()
        .map(|(cell, mut record)| {
            let fields = json!({"schema": 1, "scenario": "fake", "cell": cell});
            record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            format!("        ({cell:?}, r##\"{record}\"##),\n")
        })
        .collect();
    format!(
        "fn main() {{\n    let cells = [\n{arms}    ];\n    let words: Vec<String> = std::env::args().collect();\n    \
         assert_eq!(words[2], \"fake\");\n    match words[1].as_str() {{\n        \
         \"cells\" => cells.iter().for_each(|(cell, _)| println!(\"{{cell}}\")),\n        \
         _ => std::fs::write(&words[5], cells.iter().find(|(cell, _)| *cell == words[3]).unwrap().1).unwrap(),\n    \
         }}\n}}\n"
    )
}

/// `error` is that of the proof of the cell `proof`.
fn program(seconds: f64, per_s: f64, bytes: f64, error: f64) -> String {
    // A metric that moves the other way stands before the one that is declared.
    let decoy = metric("other_s", 1.0 / seconds, "seconds", "lower_is_better");
    let time = metric("work_s", seconds, "seconds", "lower_is_better");
    let rate = metric("work_per_s", per_s, "elements_per_second", "higher_is_better");
    let kept = metric("kept_bytes", bytes, "bytes", "lower_is_better");
    program_of(vec![
        ("what=time", json!({"primary": "work_s", "metrics": [decoy, time]})),
        ("what=rate", json!({"primary": "work_per_s", "metrics": [rate]})),
        ("what=bytes", json!({"primary": "kept_bytes", "metrics": [kept]})),
        ("what=proof", json!({"primary": "work_s", "metrics": [time], "proof": proof(error)})),
    ])
}

#[test]
fn cells_are_judged_by_the_metric_that_they_declare() {
    let workspace = Workspace::new(&json!({"benches": []}));
    workspace.write("src/bin/assay.rs", &program(0.5, 4.0, 4096.0, 0.0));
    workspace.commit("before");
    let compare = |more: &[&str]| {
        let fixed = ["compare", "--base", "HEAD", "--no-log", "--one-link", "--json", "--scenario", "fake"];
        workspace.assay(&[&fixed[..], more].concat())
    };
    workspace.write("src/bin/assay.rs", &program(0.625, 5.0, 8192.0, 0.0));
    let entry = compare(&[]).expect(3, &[]).json();
    let expected = [("time", "SLOWER"), ("rate", "FASTER"), ("bytes", "SLOWER"), ("proof", "SLOWER")];
    assert_eq!(verdicts(&entry), expected.map(|(what, verdict)| (format!("what={what}"), verdict.to_owned())).into());
    let row = |what: &str| -> &Value {
        entry["rows"].as_array().unwrap().iter().find(|row| row["id"] == format!("what={what}")).unwrap()
    };
    assert!((row("time")["effect"].as_f64().unwrap() - 0.25).abs() < 1e-9);
    assert!((row("rate")["effect"].as_f64().unwrap() + 0.2).abs() < 1e-9, "a rate counts as the time of one thing");
    assert!((row("bytes")["effect"].as_f64().unwrap() - 1.0).abs() < 1e-9);
    assert_eq!(row("proof")["proof"]["method"], "hash");

    workspace.write("src/bin/assay.rs", &program(0.25, 4.0, 4096.0, 1.0));
    let entry = compare(&["--filter", "proof"]).expect(5, &["row 3 differs"]).json();
    assert_eq!(verdicts(&entry), [("what=proof".to_owned(), "INVALID".to_owned())].into());
}

#[test]
fn outputs_that_a_matrix_promises_to_be_the_same_are_the_same() {
    let program = |seconds: f64, hashes: [&str; 3]| {
        let time = metric("work_s", seconds, "seconds", "lower_is_better");
        let cell = |(name, (hash, promise)): (&'static str, (&str, Option<&str>))| {
            let mut proof = proof(0.0);
            (proof["output_hash"], proof["same_as"]) = (json!(hash), json!(promise));
            (name, json!({"primary": "work_s", "metrics": [time], "proof": proof}))
        };
        let promises = [Some("way=slow"), Some("way=slow"), None];
        let names = ["way=slow", "way=fast", "way=other"];
        program_of(names.into_iter().zip(hashes.into_iter().zip(promises)).map(cell).collect())
    };
    let workspace = Workspace::new(&json!({"benches": []}));
    workspace.write("src/bin/assay.rs", &program(0.5, ["a", "a", "b"]));
    workspace.commit("before");
    let compare =
        || workspace.assay(&["compare", "--base", "HEAD", "--no-log", "--one-link", "--json", "--scenario", "fake"]);
    workspace.write("src/bin/assay.rs", &program(0.25, ["a", "c", "d"]));
    let entry = compare().expect(5, &["promises the same bits"]).json();
    let expected = [("slow", "INVALID"), ("fast", "INVALID"), ("other", "FASTER")];
    assert_eq!(verdicts(&entry), expected.map(|(way, verdict)| (format!("way={way}"), verdict.to_owned())).into());

    workspace.write("src/bin/assay.rs", &program(0.25, ["c", "c", "b"]));
    let entry = compare().expect(0, &[]).json();
    assert!(verdicts(&entry).values().all(|verdict| verdict == "FASTER"), "both have the same new bits");
}
