//! `bisect` names the commit that caused a change, even if commits in between cannot be judged.

use serde_json::{Value, json};

use crate::fake::scripted;
use crate::workspace::Workspace;

/// Two benchmarks, of which `f` takes `ns`.
fn script(ns: f64) -> Value {
    json!({"benches": [{"id": scripted("g|f"), "times": vec![ns; 10]}, {"id": scripted("g|other"), "times": vec![1e6; 10]}]})
}

/// Sixteen commits with different code; `f` becomes slower with the tenth. Commits in `broken` do not build.
fn history(broken: &[usize]) -> (Workspace, Vec<String>) {
    let workspace = Workspace::new(&script(1e6));
    let mut commits = vec![workspace.git(&["rev-parse", "HEAD"])];
    let bench = workspace.read("benches/t.rs");
    workspace.write(
        "benches/t.rs",
        &bench.replace("fn main() {", "fn main() {\n    assert!(std::env::args().count() < tiny::COUNT);"),
    );
    for at in 1..=16 {
        let script = script(if at < 10 { 1e6 } else { 1.25e6 });
        let code = if broken.contains(&at) { "no code" } else { "" };
        let library = workspace.library(&script);
        workspace.write("src/lib.rs", &format!("{library}pub const COUNT: usize = {};\n{code}\n", 100 + at));
        commits.push(workspace.commit(&format!("step {at}")));
    }
    (workspace, commits)
}

fn bisect(workspace: &Workspace, good: &str, more: &[&str]) -> crate::workspace::Ran {
    workspace.assay(&[&["bisect", "--wait", "0s", "--good", good, "--one-link", "--filter"], more].concat())
}

#[test]
fn the_commit_is_named_with_its_interval_though_others_do_not_build() {
    // The first commit in the middle does not build.
    let (workspace, commits) = history(&[8]);
    let ran = bisect(&workspace, &commits[0], &["^g/f$"]);
    let ran = ran.expect(0, &["the commit is:", "step 10", "SLOWER +25.0 %", "it does not build", "24 fresh blocks"]);
    assert!(!ran.stdout.contains("step 9\ng/f"), "{}", ran.stdout);
    assert!(!workspace.root().join("BENCHMARKS.md").exists(), "a bisection logs nothing");
    bisect(&workspace, &commits[0], &["^g/other$"]).expect(2, &["no benchmark is proven slower or faster"]);
    bisect(&workspace, &commits[0], &["^g/f$", "--bad", &commits[0]]).expect(2, &["no earlier commit"]);
}

#[test]
fn commits_that_cannot_be_distinguished_are_all_named() {
    let (workspace, commits) = history(&[9, 10]);
    let said = ["one of these commits", "step 9", "step 10", "step 11", "SLOWER +25.0 %"];
    bisect(&workspace, &commits[6], &["^g/f$", "--bad", &commits[12]]).expect(4, &said);
}
