//! A comparison that is built in one place and measured in another.

use std::fs;
use std::path::Path;

use clap::Parser;
use compare::cli;
use compare::command::Interrupt;
use compare::commands::{import_entry, packed_comparison};
use compare::comparison::{Invocation, PackedComparison, PackedRun};
use compare::console::Console;
use compare::exit::Exit;
use compare::report::Entry;
use serde_json::{Value, json};

use crate::fake::scripted;
use crate::workspace::{Workspace, verdicts};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    compare: cli::Compare,
}

fn script(ns: f64) -> Value {
    let bench = |name: &str, ns: f64| json!({"id": scripted(&format!("g|{name}")), "times": vec![ns; 10]});
    json!({"benches": [bench("changed", ns), bench("same", 1e6)]})
}

fn invocation(workspace: &Workspace) -> Invocation {
    let mut variables: Vec<_> = std::env::vars_os().filter(|(key, _)| key != "XDG_CACHE_HOME").collect();
    variables.push(("XDG_CACHE_HOME".into(), workspace.cache().into()));
    Invocation {
        variables,
        directory: workspace.root(),
        called: "cargo xtask".to_owned(),
        console: Console::silent(),
        interrupt: Interrupt::default(),
    }
}

/// Packs a comparison with the parent commit into `folder`.
fn packed(workspace: &Workspace, folder: &Path, room: u64, more: &[&str]) -> anyhow::Result<PackedComparison> {
    let fixed = ["compare", "--base", "HEAD~1", "--title", "T", "--change", "c", "--wait", "0s"];
    let line = Line::try_parse_from([&fixed[..], more].concat()).unwrap();
    let mut put = |from: &Path, to: &str| -> anyhow::Result<u64> {
        let to = folder.join(to);
        fs::create_dir_all(to.parent().unwrap())?;
        Ok(fs::copy(from, to)?)
    };
    let packed = packed_comparison(&invocation(workspace), &line.compare, (&mut put, room))?;
    // A manifest is JSON.
    Ok(serde_json::from_str(&serde_json::to_string(&packed)?)?)
}

/// A workspace with two commits; the second makes a benchmark slower.
fn slowed() -> Workspace {
    let workspace = Workspace::new(&script(1e6));
    workspace.script(&script(1.2e6));
    workspace.commit("slower");
    workspace
}

fn open(folder: &Path, packed: &PackedComparison) -> PackedRun {
    PackedRun::open(folder, packed, &[], (folder, Interrupt::default())).unwrap()
}

fn row<'a>(entry: &'a Value, id: &str) -> &'a Value {
    entry["rows"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap()
}

#[test]
fn a_pack_finds_what_home_finds_and_goes_on_where_it_was_cut() {
    let workspace = slowed();
    let folder = tempfile::tempdir().unwrap();
    let packed = packed(&workspace, folder.path(), 1 << 30, &[]).unwrap();
    // What is measured elsewhere needs neither the slots nor the sources.
    fs::remove_dir_all(workspace.cache()).unwrap();
    let plan = packed.plan();
    assert_eq!(plan.len(), 2 + 2 * 12);
    assert!(plan[..2].iter().all(|unit| unit.starts_with("pilot ")), "{plan:?}");

    let mut first = open(folder.path(), &packed);
    assert_eq!(first.plan(), plan);
    let half: Vec<Value> = (0..10).map(|place| first.unit(place).unwrap()).collect();
    let cut = first.entry(1.0);
    assert!(cut.notes.iter().any(|note| note.starts_with("16 of 24 planned blocks are missing")), "{:?}", cut.notes);
    assert_eq!(cut.exit(), Exit::Fine, "four blocks prove nothing");
    drop(first);

    let mut second = open(folder.path(), &packed);
    for (place, given) in half.iter().enumerate() {
        second.remember(place, &serde_json::from_str(&given.to_string()).unwrap()).unwrap();
    }
    (10..plan.len()).for_each(|place| drop(second.unit(place).unwrap()));
    let entry = second.entry(2.0);
    assert_eq!(entry.exit(), Exit::Regression);
    let method = entry.method.as_ref().unwrap();
    assert_eq!((method.blocks, method.links), (12, 12));
    let there = compare::report::json(&entry);

    let fixed = ["compare", "--base", "HEAD~1", "--no-log", "--json"];
    let home = workspace.assay(&fixed).expect(3, &[]).json();
    assert_eq!(verdicts(&there), verdicts(&home));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&there), keys(&home));
    for id in ["g/changed", "g/same"] {
        let (there, home) = (row(&there, id), row(&home, id));
        let difference = there["effect"].as_f64().unwrap() - home["effect"].as_f64().unwrap();
        assert!(difference.abs() < 1e-9, "{there} {home}");
        assert_eq!(there["n"], home["n"]);
    }

    let import = || import_entry(&invocation(&workspace), &workspace.root(), &entry, false).unwrap();
    assert_eq!(import(), Exit::Regression);
    let log = workspace.read("BENCHMARKS.md");
    assert!(log.contains("## T") && log.contains("measured from a pack"), "{log}");
    assert_eq!(import(), Exit::Regression);
    assert_eq!(workspace.read("BENCHMARKS.md"), log, "importing twice changes nothing");
    assert_eq!(workspace.assay(&["log", "check"]).code, Some(0));
    let unlogged = Entry { title: String::new(), ..entry.clone() };
    assert_eq!(import_entry(&invocation(&workspace), &workspace.root(), &unlogged, false).unwrap(), Exit::Regression);
    assert_eq!(workspace.read("BENCHMARKS.md"), log);
}

#[test]
fn a_pack_with_little_room_has_fewer_layouts_and_says_so() {
    let workspace = slowed();
    let folder = tempfile::tempdir().unwrap();
    let whole = packed(&workspace, folder.path(), 1 << 30, &["--one-link"]).unwrap();
    let plain: u64 = ["base/000-0000", "head/001-0000"]
        .iter()
        .map(|path| fs::metadata(folder.path().join(path)).unwrap().len())
        .sum();
    let error = packed(&workspace, folder.path(), plain - 1, &[]).unwrap_err().to_string();
    assert!(error.contains("do not fit into a pack") && error.contains("-p and --bench"), "{error}");
    let few = packed(&workspace, folder.path(), 4 * plain, &[]).unwrap();
    for (packed, links) in [(whole, 1), (few, 2)] {
        let mut run = open(folder.path(), &packed);
        (0..packed.plan().len()).for_each(|place| drop(run.unit(place).unwrap()));
        let entry = run.entry(1.0);
        let said = format!("in {links} of 12 layouts, so the margin is at least 5 %");
        assert!(entry.notes.iter().any(|note| note.contains(&said)), "{:?}", entry.notes);
        assert_eq!(entry.exit(), Exit::Regression);
        assert_eq!(row(&compare::report::json(&entry), "g/changed")["margin"], 0.05);
    }
}

#[test]
fn a_benchmark_that_fails_its_pilot_has_no_blocks_and_a_row() {
    let workspace = Workspace::new(&script(1e6));
    let mut broken = script(1e6);
    broken["benches"][0]["mishap"] = json!("panic");
    workspace.script(&broken);
    workspace.commit("broken");
    let folder = tempfile::tempdir().unwrap();
    let packed = packed(&workspace, folder.path(), 1 << 30, &["--one-link", "--filter", "changed"]).unwrap();
    let mut run = open(folder.path(), &packed);
    let given: Vec<Value> = (0..packed.plan().len()).map(|place| run.unit(place).unwrap()).collect();
    assert!(given[1..].iter().all(|given| given == "nothing"), "{given:?}");
    assert!(run.in_words(0).starts_with("INVALID"), "{}", run.in_words(0));
    assert_eq!(run.entry(1.0).exit(), Exit::Invalid);
    assert!(packed_error(&workspace, &["--list"]).contains("not for a pack"));
    assert!(packed_error(&workspace, &["--base", "HEAD", "--no-log"]).contains("compares two revisions"));
}

fn packed_error(workspace: &Workspace, more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    packed(workspace, folder.path(), 1 << 30, more).unwrap_err().to_string()
}
