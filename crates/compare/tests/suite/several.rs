//! One head against several bases.

use serde_json::{Value, json};

use crate::fake::scripted;
use crate::workspace::{Workspace, verdicts};

fn script(ns: f64) -> Value {
    json!({"benches": [{"id": scripted("g|f"), "times": vec![ns; 10]}]})
}

#[test]
fn every_base_is_measured_now_in_one_family_and_the_first_decides() {
    let workspace = Workspace::new(&script(1e6));
    workspace.git(&["tag", "first"]);
    workspace.script(&script(1.25e6));
    workspace.commit("slower");
    workspace.git(&["tag", "second"]);
    workspace.script(&script(1.26e6));
    let page = workspace.cache().with_file_name("page.html");
    let compare = |bases: &[&str], more: &[&str]| {
        let bases: Vec<&str> = bases.iter().flat_map(|base| ["--base", base]).collect();
        let fixed = ["compare", "--one-link", "--html", page.to_str().unwrap()];
        workspace.assay(&[&fixed[..], &bases, more].concat())
    };
    let entry = compare(&["first", "second"], &["--json"]).expect(3, &[]).json();
    let of = |entry: &Value| verdicts(entry)["g/f"].clone();
    assert_eq!((of(&entry), of(&entry["others"][0])), ("SLOWER".to_owned(), "SAME".to_owned()));
    assert!((entry["rows"][0]["effect"].as_f64().unwrap() - 0.26).abs() < 1e-9, "{entry}");
    assert!((entry["others"][0]["rows"][0]["effect"].as_f64().unwrap() - 0.008).abs() < 1e-9, "{entry}");
    assert_eq!((&entry["method"]["family"], &entry["exit"]), (&json!(2), &json!(3)));
    let written = std::fs::read_to_string(&page).unwrap();
    assert!(written.contains("<th>against first</th><th>against second</th>"), "{written}");
    assert!(entry["command"].as_str().unwrap().matches("--base").count() == 2, "{}", entry["command"]);

    let said =
        ["| against second", "SLOWER +26.0 %", "against first (", "a benchmark counts once for each of the 2 bases"];
    compare(&["second", "first"], &[]).expect(0, &said);
    assert!(!workspace.root().join("BENCHMARKS.md").exists());
    compare(&["HEAD"; 5], &[]).expect(2, &["--base is given 5 times; at most 4 bases"]);
    compare(&["first", "second"], &["--title", "T", "--change", "c"])
        .expect(2, &["compares with one revision", "--no-log"]);
}
