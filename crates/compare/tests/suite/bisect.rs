//! `bisect` names the commit that caused a change, with few builds and processes, even if commits in between cannot be
//! judged.

use serde_json::{Value, json};

use crate::fake::{UNSTEADY, scripted};
use crate::tools::Tools;
use crate::workspace::{Ran, Workspace};

/// Two benchmarks, of which `f` takes `ns` and varies from process to process by `factors`.
fn script(ns: f64, factors: &[f64]) -> Value {
    json!({"benches": [
        {"id": scripted("g|f"), "times": vec![ns; 10], "factors": factors},
        {"id": scripted("g|other"), "times": vec![1e6; 10]},
    ]})
}

/// Commits with different code, one after the other; `f` becomes 12 % slower with the commit `culprit`. Commits in
/// `broken` do not build, and `f` is unsteady in those of `unsteady`. With a twin, a second target has the same ids.
fn history(
    length: usize,
    culprit: usize,
    broken: &[usize],
    unsteady: &[usize],
    has_twin: bool,
) -> (Workspace, Vec<String>) {
    let workspace = Workspace::new(&script(1e6, &[]));
    if has_twin {
        let twin = "\n[[bench]]\nname = \"twin\"\nharness = false\npath = \"benches/t.rs\"\n";
        workspace.write("Cargo.toml", &format!("{}{twin}", workspace.read("Cargo.toml")));
        workspace.commit("a twin");
    }
    let mut commits = vec![workspace.git(&["rev-parse", "HEAD"])];
    let bench = workspace.read("benches/t.rs");
    workspace.write(
        "benches/t.rs",
        &bench.replace("fn main() {", "fn main() {\n    assert!(std::env::args().count() < tiny::COUNT);"),
    );
    for at in 1..=length {
        let factors: &[f64] = if unsteady.contains(&at) { &UNSTEADY } else { &[] };
        let library = workspace.library(&script(if at < culprit { 1e6 } else { 1.12e6 }, factors));
        let code = if broken.contains(&at) { "no code" } else { "" };
        workspace.write("src/lib.rs", &format!("{library}pub const COUNT: usize = {};\n{code}\n", 100 + at));
        commits.push(workspace.commit(&format!("step {at}")));
    }
    (workspace, commits)
}

fn arguments<'a>(good: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["bisect", "--wait", "0s", "--good", good, "--one-link", "--filter"], more].concat()
}

fn bisect(workspace: &Workspace, good: &str, more: &[&str]) -> Ran {
    workspace.assay(&arguments(good, more))
}

/// Builds and processes grow with the logarithm of the history's length.
#[test]
fn the_commit_among_sixty_is_named_with_its_interval_and_few_builds() {
    // The first commit in the middle does not build.
    let (workspace, commits) = history(60, 41, &[30], &[], false);
    let tools = Tools::new(&workspace);
    tools.script("cc", "case \"$*\" in *deps/t-*) echo 1 >>\"$diary\" ;; esac");
    let ran = workspace.run(tools.first(workspace.command(&arguments(&commits[0], &["^g/f$", "--json"]))));
    let answer = ran.json();
    // On a busy machine the confirmation must not decide; the search is the same.
    let is_confirmed = answer["confirmed"] == true;
    let said = ["it does not build", "passed over", "at most 0 steps left"];
    ran.expect(if is_confirmed { 0 } else { 4 }, &said);
    assert!(is_confirmed || answer["notes"].to_string().contains("ran on a disturbed machine"), "{answer}");
    let suspects = answer["suspects"].as_array().unwrap();
    assert_eq!((suspects.len(), &suspects[0]["commit"]), (1, &json!(commits[41])), "{answer}");
    assert_eq!(answer["before"]["commit"], commits[40]);
    let number = |value: &Value| value.as_f64().unwrap();
    assert!((number(&answer["effect"]) - 0.12).abs() < 1e-9, "{answer}");
    assert!(answer["notes"].to_string().contains("each side was linked once"), "{answer}");
    let (low, high) = (number(&answer["ci"][0]), number(&answer["ci"][1]));
    assert!(low <= 0.12 + 1e-9 && high >= 0.12 - 1e-9 && high - low < 0.01, "{low} .. {high}");
    assert_eq!(answer["n"], 24, "the answer rests on fresh blocks");

    let steps = answer["steps"].as_array().unwrap();
    // Six steps halve sixty commits to one; one more is passed over.
    assert!((5..=7).contains(&steps.len()), "{answer}");
    let builds = answer["builds"].as_u64().unwrap() as usize;
    assert!(builds <= 2 + steps.len() + 2, "both ends, each step, and at most both ends of the answer again: {builds}");
    assert_eq!(
        tools.diary().len(),
        builds - 1,
        "what does not build is not linked; nothing else is built or built again"
    );
    let processes = answer["processes"].as_u64().unwrap() as usize;
    assert_eq!(processes, 48 * steps.len() + 96, "the ends and each step that builds; the answer");
    // Beside pilots and blocks that were disturbed, a quarter of all at most, no process is wasted.
    let most = processes + processes / 4 + 8 * (steps.len() + 2);
    assert!(workspace.measuring_processes() <= most, "{} of {most}", workspace.measuring_processes());
    assert!(!workspace.root().join("BENCHMARKS.md").exists(), "a bisection logs nothing");

    bisect(&workspace, &commits[0], &["^g/other$"]).expect(2, &["no benchmark is proven slower or faster"]);
    bisect(&workspace, &commits[0], &["^g/f$", "--bad", &commits[0]]).expect(2, &["no earlier commit"]);
}

/// A step that is undecided is measured longer, twice, before it is passed over. The id stands in two targets, of which
/// the steps build one.
#[test]
fn commits_that_cannot_be_distinguished_are_all_named() {
    let (workspace, commits) = history(6, 4, &[4], &[3], true);
    let said = [
        "after 48 blocks",
        "it does not build",
        "one of these commits",
        "step 3",
        "step 4",
        "step 5",
        "SLOWER +12.0 %",
        "note: each side was linked once",
    ];
    bisect(&workspace, &commits[0], &["^g/f$"]).expect(4, &said);
}
