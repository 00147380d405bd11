//! Which benchmarks there are and which are meant: `--list`, filters that match nothing, and `[settings]`.

use std::fs;

use serde_json::{Value, json};

use crate::fake::scripted;
use crate::workspace::{Workspace, verdicts};

fn script(ns: f64) -> Value {
    let bench = |name: &str, ns: f64| json!({"id": scripted(&format!("g|{name}")), "times": vec![ns; 10]});
    json!({"benches": [bench("slower", ns), bench("other", 1e6)]})
}

/// A workspace whose work tree is 25 % slower in one of two benchmarks.
fn workspace() -> Workspace {
    let workspace = Workspace::new(&script(1e6));
    workspace.script(&script(1.25e6));
    workspace
}

const COMPARE: [&str; 5] = ["compare", "--base", "HEAD", "--no-log", "--one-link"];

/// Target directories of slots.
fn builds(workspace: &Workspace) -> usize {
    let slots = fs::read_dir(workspace.cache().join("assay")).unwrap().map(|entry| entry.unwrap().path());
    let root = slots.into_iter().find(|path| path.is_dir()).unwrap();
    ["a", "b", "c"].iter().filter(|slot| root.join(slot).join("target").exists()).count()
}

#[test]
fn a_list_builds_one_side_measures_unknown_costs_once_and_logs_nothing() {
    let workspace = workspace();
    let before = workspace.state();
    let list = workspace.assay(&["compare", "--list", "--json"]).expect(0, &[]).json();
    let benchmarks = list["benchmarks"].as_array().unwrap();
    let ids: Vec<&Value> = benchmarks.iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, ["g/slower", "g/other"]);
    for item in benchmarks {
        assert_eq!((&item["tier"], &item["measured_by"]), (&json!(1), &json!("one process now")), "{item}");
        assert!(item["process_s"].as_f64().unwrap() > 0.0, "{item}");
    }
    assert_eq!((workspace.measuring_processes(), builds(&workspace)), (2, 1), "one process each, of one side");
    assert!(workspace.state() == before, "a list changes neither files nor refs");
    workspace.assay(&["compare", "--list"]).expect(0, &["g/slower", "by an earlier run", "2 benchmarks"]);
    let gate = workspace.assay(&["gate", "--list", "--format", "json", "--filter", "other"]).expect(0, &[]).json();
    assert_eq!((gate["benchmarks"].as_array().unwrap().len(), workspace.measuring_processes()), (1, 2));
    workspace.assay(&["compare", "--list", "--filter", "g/slwer"]).expect(2, &["did you mean:\n  g/slower"]);
    workspace.assay(&["doctor"]).expect(0, &["0.8.2 (reported)", "own main", "with all defaults: plan: 2 benchmarks"]);
}

#[test]
fn a_filter_that_matches_nothing_is_told_once_both_sides_are_known_and_later_before_any_build() {
    let workspace = workspace();
    let mistyped = [&COMPARE[..], &["--filter", "^g/slwer$"]].concat();
    let said = ["no id matches the filter `^g/slwer$`; did you mean:\n  g/slower", "--list shows all"];
    workspace.assay(&mistyped).expect(2, &said);
    // The base may have had what is meant, and then it is GONE.
    assert_eq!((builds(&workspace), workspace.diary().len()), (2, 2), "both sides were built and listed");
    workspace.assay(&mistyped).expect(2, &["did you mean:\n  g/slower", "ids of the last build of this state"]);
    workspace.assay(&[&COMPARE[..], &["--exclude", "^g/"]].concat()).expect(2, &["--exclude leaves out all 2"]);
    workspace.assay(&[&COMPARE[..], &["--tier", "0"]].concat()).expect(2, &["none is of tier 0", "g/slower (tier 1)"]);
    workspace.assay(&[&COMPARE[..], &["-p", "tinny"]].concat()).expect(2, &["did you mean `tiny`?"]);
    assert_eq!(workspace.diary().len(), 2, "nothing was built or listed again");
    // Another state is not answered for by that list.
    workspace.script(&json!({"benches": [{"id": scripted("g|slwer")}]}));
    workspace.assay(&mistyped).expect(0, &["NEW"]);
}

#[test]
fn settings_hold_until_the_command_line_replaces_them_and_the_entry_names_them() {
    let workspace = workspace();
    workspace.write(
        "assay.toml",
        "[settings]\nmargin = { ratio = 0.4, reason = \"a shared host\" }\n\
         exclude = [{ filter = \"other\", reason = \"needs a server\" }]\nbudget = \"2m\"\n",
    );
    let json = [&COMPARE[..], &["--json"]].concat();
    let entry = workspace.assay(&json).expect(0, &[]).json();
    let expected = [("g/other", "SKIPPED"), ("g/slower", "SAME")];
    assert_eq!(verdicts(&entry), expected.map(|(id, verdict)| (id.to_owned(), verdict.to_owned())).into());
    let plan = [&json[..], &["--dry-run"]].concat();
    let plan = workspace.assay(&plan).expect(0, &[]).json();
    let list = workspace.assay(&["compare", "--list", "--json"]).expect(0, &[]).json();
    for said in ["margin to 40.0 % (a shared host)", "`other` (needs a server)", "budget = \\\"2m\\\""] {
        for settings in [&entry["notes"], &plan["settings"], &list["settings"]] {
            assert!(settings.to_string().contains(said), "no {said:?} in {settings}");
        }
    }
    let said = ["margin to 40.0 % (a shared host)", "`other` (needs a server)"];
    workspace.assay(&[&COMPARE[..], &["--dry-run"]].concat()).expect(0, &said);
    workspace.assay(&["compare", "--list"]).expect(0, &said);
    workspace.write("assay.toml", "[settings]\nfilter = \"other\"\n");
    let entry = workspace.assay(&[&json[..], &["--filter", "slower"]].concat()).expect(3, &[]).json();
    assert_eq!(verdicts(&entry).into_keys().collect::<Vec<_>>(), ["g/slower"]);
    let processes = workspace.diary().len();
    for (text, said) in [
        ("[settings]\nmargn = 0.1\n", &["assay.toml", "line 2", "unknown field `margn`"]),
        ("[settings]\nbudget = \"2m\"\nmargin = 0.1\n", &["assay.toml", "line 3: a margin above", "reason"]),
    ] {
        workspace.write("assay.toml", text);
        workspace.assay(&json).expect(2, said);
    }
    assert_eq!(workspace.diary().len(), processes);
}
