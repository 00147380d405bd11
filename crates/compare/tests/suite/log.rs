//! The log and the work tree: entries are added and checked, and nothing else is touched.

use std::fs;

use serde_json::{Value, json};

use crate::fake::scripted;
use crate::workspace::{Ran, Workspace, verdicts};

fn script() -> Value {
    json!({"benches": [{"id": scripted("g|f"), "times": [3.25e6]}]})
}

fn compare(workspace: &Workspace, title: &str, more: &[&str]) -> Ran {
    workspace.assay(&[&["compare", "--title", title, "--change", "a change", "--one-link"], more].concat())
}

/// A log as people write it: history without ids, in two groups, one a prefix of the other, and no final line end.
const HISTORY: &str = "# Our log\n\n```\n## Not a title\n```\n\n## Cache\n\n### 2020-01-01 00:00:00 - by hand\n\n\
    | Metric | Value |\n\n## Cache size\n\n### 2020-01-02 00:00:00 - by hand too\n\ntext";

/// The text that `new` has and `old` lacks, as one piece; `before` is the text before it, if that is known.
fn addition<'a>(old: &str, new: &'a str, before: Option<&str>) -> &'a str {
    let cuts = before.map_or((0..=old.len()).collect(), |before| vec![before.len()]);
    let parts = cuts.into_iter().filter_map(|at| old.get(..at).zip(old.get(at..)));
    let mut parts = parts.filter(|(before, after)| new.starts_with(before) && new.ends_with(after));
    let (before, after) = parts.next().unwrap_or_else(|| panic!("some bytes of the log changed:\n{new}"));
    &new[before.len()..new.len() - after.len()]
}

#[test]
fn entries_are_added_and_checked_and_no_other_byte_changes() {
    let workspace = Workspace::new(&script());
    workspace.write("BENCHMARKS.md", HISTORY);
    workspace.commit("history");
    compare(&workspace, "Cache", &[]).expect(0, &["no earlier measured entry", "logged under \"Cache\""]);
    let first = workspace.read("BENCHMARKS.md");
    let added = addition(HISTORY, &first, HISTORY.split("## Cache size").next());
    assert!(added.starts_with("### ") && added.contains("<!-- assay:") && added.contains("3.25"), "{added}");

    // The second entry is compared with the first: the code is the same, and files that the tool wrote do not make the
    // tree dirty.
    let second = compare(&workspace, "Cache", &["--json"]).expect(0, &[]).json();
    assert_eq!(verdicts(&second)["g/f"], "SAME");
    assert_eq!((&second["head"]["dirty"], &second["base"]["commit"]), (&json!(false), &second["head"]["commit"]));
    let two = workspace.read("BENCHMARKS.md");
    addition(&first, &two, None);
    compare(&workspace, "Cache siz", &[]).expect(0, &["no earlier measured entry"]);
    let third = workspace.read("BENCHMARKS.md");
    addition(&two, &third, None);
    assert!(third.contains("text\n\n## Cache siz\n\n### "), "a new title goes to the end of the file:\n{third}");

    let check = |code, said: &[&str]| drop(workspace.assay(&["log", "check"]).expect(code, said));
    check(0, &["3 entries agree with their data, 2 are history"]);
    let shown = workspace.assay(&["log", "show", "Cache"]).expect(0, &["by hand", "a change"]);
    assert!(!shown.stdout.contains("by hand too"));
    workspace.assay(&["log", "show", "Cach"]).expect(2, &["Cache size"]);

    let id = second["id"].as_str().unwrap();
    workspace.write("BENCHMARKS.md", &third.replacen("3.25", "3.15", 1));
    check(1, &["3.15", "but the data say", "1 faults"]);
    let at = third.find(&format!("<!-- assay:{id}")).unwrap();
    let (before, after) = third.split_at(at);
    workspace.write("BENCHMARKS.md", &format!("{before}{}", after.replacen("3.25", "3.26", 1)));
    check(1, &[id]);
    workspace.write("BENCHMARKS.md", &third);
    check(0, &[]);
    fs::remove_dir_all(workspace.root().join("baselines")).unwrap();
    check(1, &["3 faults"]);
}

/// Uncommitted work of every kind is measured, and stays as it is.
#[test]
fn a_dirty_tree_is_measured_and_left_alone() {
    let workspace = Workspace::new(&script());
    compare(&workspace, "T", &["--no-log"]).expect(0, &[]);
    let other = json!({"benches": [{"id": scripted("untracked|f")}, {"id": scripted("untracked|h")}]});
    workspace.write("src/extra.rs", &workspace.library(&other));
    workspace.write("src/lib.rs", "mod extra;\npub use extra::SCRIPT;\n");
    workspace.write("staged.txt", "staged\n");
    workspace.git(&["add", "staged.txt"]);
    workspace.write("staged.txt", "and edited again\n");
    workspace.write("data/untracked.bin", "x");
    workspace.write(".gitignore", "*.log\n");
    workspace.write("ignored.log", "x");
    let before = workspace.state();
    let entry = compare(&workspace, "T", &["--json"]).expect(0, &[]).json();
    assert_eq!(entry["head"]["dirty"], true);
    let ids: Vec<String> = verdicts(&entry).into_keys().collect();
    assert_eq!(ids, ["untracked/f", "untracked/h"], "the untracked file was not built");

    let mut after = workspace.state();
    let is_log = |path: &std::path::Path| path.ends_with("BENCHMARKS.md") || path.ends_with("log.jsonl");
    after.retain(|path, _| !is_log(path));
    let commit = entry["head"]["commit"].as_str().unwrap();
    let kept = workspace.git(&["for-each-ref", "--format=%(objectname)", "refs/assay"]);
    assert_eq!(kept, commit, "the measured state outlives garbage collection");
    for (what, bytes) in
        before.iter().filter(|(what, _)| !["refs", "status --porcelain"].iter().any(|name| what.ends_with(name)))
    {
        assert_eq!(after.get(what), Some(bytes), "{} changed", what.display());
    }
    assert_eq!(workspace.git(&["show", &format!("{commit}:staged.txt")]), "and edited again");
    let names = workspace.git(&["ls-tree", "-r", "--name-only", commit]);
    assert!(names.contains("data/untracked.bin") && !names.contains("ignored.log"), "{names}");
    // The next comparison under the title finds the state again, although no branch contains it.
    workspace.script(&script());
    fs::remove_file(workspace.root().join("src/extra.rs")).unwrap();
    let entry = compare(&workspace, "T", &["--json"]).expect(5, &[]).json();
    assert_eq!((entry["base"]["commit"].as_str(), verdicts(&entry).len()), (Some(commit), 3));
}

#[test]
fn a_dry_run_plans_and_writes_nothing() {
    let workspace = Workspace::new(&script());
    let before = workspace.state();
    compare(&workspace, "T", &["--dry-run"]).expect(0, &["plan: first entry"]);
    assert_eq!(workspace.state(), before);
    compare(&workspace, "T", &[]).expect(0, &[]);
    workspace.script(&json!({"benches": [{"id": scripted("g|f"), "times": [4e6]}]}));
    let before = workspace.state();
    compare(&workspace, "T", &["--dry-run"]).expect(0, &["plan: 1 benchmark, 12 blocks of 4 processes each"]);
    workspace.assay(&["gate", "--base", "HEAD", "--dry-run"]).expect(0, &["plan:"]);
    assert!(workspace.state() == before, "a dry run changed the work tree, the index or the refs");
    // Called as a git hook is: these variables override the directory in which git runs.
    let mut hook = workspace.command(&["gate", "--base", "HEAD", "--dry-run"]);
    let git = workspace.root().join(".git");
    hook.env("GIT_DIR", &git).env("GIT_INDEX_FILE", git.join("index")).env("GIT_WORK_TREE", workspace.root());
    workspace.run(hook).expect(0, &["plan:"]);
    assert!(workspace.state() == before, "under a hook's variables it changed the user's own repository");
}

/// A file next to the text is kept while the data are put in place; after a kill, the next run that may write recovers.
#[test]
fn the_next_logging_run_recovers_from_a_kill_between_text_and_data() {
    let workspace = Workspace::new(&script());
    compare(&workspace, "T", &[]).expect(0, &[]);
    let whole = workspace.read("BENCHMARKS.md");
    fs::rename(workspace.root().join("BENCHMARKS.md"), workspace.root().join(".BENCHMARKS.md.pending")).unwrap();
    let before = workspace.state();
    for not_logging in ["--dry-run", "--no-log"] {
        compare(&workspace, "T", &[not_logging]).expect(0, &[]);
        assert!(workspace.state() == before, "{not_logging} settled it");
    }
    compare(&workspace, "T", &[]).expect(0, &["finished writing entry"]);
    // The index above the entries is written again; every entry stays as it was.
    let entries = |text: &str| text[text.find("\n## ").unwrap()..].to_owned();
    addition(&entries(&whole), &entries(&workspace.read("BENCHMARKS.md")), None);
    assert!(!workspace.root().join(".BENCHMARKS.md.pending").exists());
    workspace.assay(&["log", "check"]).expect(0, &["2 entries agree"]);
}
