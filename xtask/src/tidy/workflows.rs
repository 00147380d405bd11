//! GitHub workflows: least permissions, time limits, pinned actions, no untrusted code with a token that can write.
//!
//! `actionlint` checks more of GitHub's schema, but has to be installed; these rules hold without it.

use std::io::Write;
use std::process::{Command, Stdio};

use super::Violation;
use super::tree::{File, Tree};
use super::yaml::{self, Node, Value};

const TOP: [&str; 8] = ["name", "run-name", "on", "permissions", "concurrency", "env", "defaults", "jobs"];
const JOB: [&str; 14] = [
    "name",
    "needs",
    "if",
    "permissions",
    "runs-on",
    "environment",
    "concurrency",
    "outputs",
    "env",
    "defaults",
    "timeout-minutes",
    "strategy",
    "container",
    "steps",
];
const STEP: [&str; 11] = [
    "id",
    "if",
    "name",
    "uses",
    "run",
    "shell",
    "with",
    "env",
    "continue-on-error",
    "timeout-minutes",
    "working-directory",
];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let workflows: Vec<(&File, Result<Node, yaml::Fault>)> = tree
        .ending(&[".yml", ".yaml"])
        .filter(|file| file.path.starts_with(".github/workflows/"))
        .map(|file| (file, yaml::parse(&file.text)))
        .collect();
    let names: Vec<&str> =
        workflows.iter().filter_map(|(_, node)| Some(node.as_ref().ok()?.get("name")?.text())).collect();
    let mut violations = Vec::new();
    for (file, node) in &workflows {
        match node {
            Ok(node) => {
                workflow(node, &names, &mut |line, message| violations.push(Violation::new(&file.path, line, message)))
            }
            Err(fault) => violations.push(Violation::new(
                &file.path,
                fault.line,
                format!("not YAML of the subset used here: {}", fault.message),
            )),
        }
    }
    for file in tree.files.iter().filter(|file| file.path == "action.yml") {
        match yaml::parse(&file.text) {
            Ok(node) => {
                composite(&node, &mut |line, message| violations.push(Violation::new(&file.path, line, message)))
            }
            Err(fault) => violations.push(Violation::new(
                &file.path,
                fault.line,
                format!("not YAML as it is used here: {}", fault.message),
            )),
        }
    }
    for file in tree.files.iter().filter(|file| file.text.starts_with("#!/usr/bin/env bash")) {
        violations.extend(shell_fault(&file.text).map(|fault| Violation::new(&file.path, 1, fault)));
    }
    violations
}

/// Receives a line and what is wrong with it.
type Report<'a> = &'a mut dyn FnMut(usize, String);

fn workflow(node: &Node, names: &[&str], report: Report<'_>) {
    known_keys(node, &TOP, "a workflow", report);
    for key in ["name", "on", "permissions", "jobs"].iter().filter(|key| node.get(key).is_none()) {
        report(node.line, format!("a workflow needs `{key}`"));
    }
    rights(node, report);
    let trigger = |name: &str| {
        let on = node.get("on")?;
        let listed = on.items().iter().chain(std::iter::once(on)).find(|item| item.text() == name);
        on.get(name).or(listed)
    };
    if let Some(on) = trigger("pull_request_target") {
        report(
            on.line,
            "pull_request_target gives untrusted code a token that can write: use `pull_request`, then `workflow_run`"
                .to_owned(),
        );
    }
    let after = trigger("workflow_run");
    for awaited in after.and_then(|after| after.get("workflows")).map(Node::items).unwrap_or_default() {
        if !names.contains(&awaited.text()) {
            report(awaited.line, format!("no workflow here is called `{}`", awaited.text()));
        }
    }
    for (_, job) in node.get("jobs").map(Node::entries).unwrap_or_default() {
        known_keys(job, &JOB, "a job", report);
        for key in ["runs-on", "timeout-minutes", "steps"].iter().filter(|key| job.get(key).is_none()) {
            report(job.line, format!("a job needs `{key}`"));
        }
        rights(job, report);
        for item in job.get("steps").map(Node::items).unwrap_or_default() {
            step(item, after.is_some(), report);
        }
    }
}

/// The action that other repositories use. Its steps obey the rules of a job that runs a pull request's code.
fn composite(node: &Node, report: Report<'_>) {
    let runs = node.get("runs");
    if runs.and_then(|runs| runs.get("using")).map(Node::text) != Some("composite") {
        report(node.line, "an action here is `using: composite`".to_owned());
    }
    for item in runs.and_then(|runs| runs.get("steps")).map(Node::items).unwrap_or_default() {
        step(item, false, report);
        if item.get("run").is_some() && item.get("shell").is_none() {
            report(item.line, "a script of an action needs `shell`".to_owned());
        }
    }
}

fn known_keys(node: &Node, known: &[&str], what: &str, report: Report<'_>) {
    for (key, value) in node.entries().iter().filter(|(key, _)| !known.contains(&key.as_str())) {
        report(value.line, format!("`{key}` is no key of {what}, or one that is not used here"));
    }
}

fn rights(node: &Node, report: Report<'_>) {
    let Some(permissions) = node.get("permissions") else { return };
    if matches!(permissions.value, Value::Text(_)) {
        report(permissions.line, "name each permission, as in `contents: read`".to_owned());
    }
    for (name, right) in
        permissions.entries().iter().filter(|(_, right)| !matches!(right.text(), "read" | "write" | "none"))
    {
        report(right.line, format!("`{name}` is read, write or none, not `{}`", right.text()));
    }
}

fn step(node: &Node, is_privileged: bool, report: Report<'_>) {
    known_keys(node, &STEP, "a step", report);
    match (node.get("uses"), node.get("run")) {
        (Some(uses), None) => action(node, uses, is_privileged, report),
        (None, Some(run)) => {
            if run.text().contains("${{") {
                report(
                    run.line,
                    "an expression inside a script runs what it expands to: pass it through `env`".to_owned(),
                );
            }
            if let Some(fault) = shell_fault(run.text()) {
                report(run.line, fault);
            }
        }
        _ => report(node.line, "a step has either `uses` or `run`".to_owned()),
    }
}

fn action(node: &Node, uses: &Node, is_privileged: bool, report: Report<'_>) {
    let (name, version) = uses.text().split_once('@').unwrap_or((uses.text(), ""));
    let is_major = version.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()));
    // `./` is the action of this repository, in the revision that is checked out.
    if uses.text() != "./" && (!is_major || !name.contains('/')) {
        report(uses.line, format!("pin `{}` by its major version: owner/name@v1", uses.text()));
    }
    if name != "actions/checkout" {
        return;
    }
    if is_privileged {
        report(
            uses.line,
            "a `workflow_run` workflow holds a token that can write: it must not check out or run code".to_owned(),
        );
    }
    if node.get("with").and_then(|with| with.get("persist-credentials")).map(Node::text) != Some("false") {
        report(
            uses.line,
            "add `persist-credentials: false`: code that is built later must not find the token".to_owned(),
        );
    }
}

/// Bash's message about a script that it cannot parse; `None` without bash.
fn shell_fault(script: &str) -> Option<String> {
    let bash =
        Command::new("bash").arg("-n").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut bash = bash.ok()?;
    bash.stdin.take()?.write_all(script.as_bytes()).ok()?;
    let output = bash.wait_with_output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    (!output.status.success()).then(|| format!("not a bash script: {}", said.lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name: Gate\non:\n  pull_request:\npermissions:\n  contents: read\njobs:\n  gate:\n    runs-on: ubuntu-latest\n    \
        timeout-minutes: 5\n    steps:\n      - uses: actions/checkout@v6\n        with:\n          persist-credentials: false\n      \
        - env:\n          BASE: ${{ github.base_ref }}\n        run: echo \"$BASE\"\n";

    fn messages(text: &str) -> Vec<String> {
        check(&Tree::of(&[(".github/workflows/gate.yml", text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_careful_workflow_passes() {
        assert_eq!(messages(GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_carelessness_is_caught() {
        for (from, to, message) in [
            ("permissions:\n  contents: read\n", "", "needs `permissions`"),
            ("permissions:\n  contents: read", "permissions: write-all", ":4: name each permission"),
            ("contents: read", "contents: all", ":5: `contents` is read, write or none"),
            ("pull_request:", "pull_request_target:", ":3: pull_request_target gives"),
            ("on:\n  pull_request:", "on: [pull_request_target]", ":2: pull_request_target gives"),
            ("    timeout-minutes: 5\n", "", "needs `timeout-minutes`"),
            ("runs-on", "run-on", "`run-on` is no key of a job"),
            ("checkout@v6", "checkout@main", ":11: pin `actions/checkout@main`"),
            ("persist-credentials: false", "fetch-depth: 0", "add `persist-credentials: false`"),
            ("echo \"$BASE\"", "echo ${{ github.head_ref }}", "an expression inside a script"),
            ("echo \"$BASE\"", "if true; then", "not a bash script"),
            ("run: echo", "runs: echo", "either `uses` or `run`"),
            ("  pull_request:", "  workflow_run:\n    workflows: [Gate]", "it must not check out or run code"),
            ("  pull_request:", "  workflow_run:\n    workflows: [Other]", "no workflow here is called `Other`"),
            ("  gate:\n", "  gate: &all\n", "not YAML of the subset used here"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let found = messages(&GOOD.replace(from, to));
            assert!(found.iter().any(|found| found.contains(message)), "{message}: {found:?}");
        }
    }

    #[test]
    fn the_action_obeys_the_rules_of_a_step() {
        let good = "runs:\n  using: composite\n  steps:\n    - uses: actions/checkout@v6\n      with:\n        persist-credentials: false\n    \
            - shell: bash\n      env:\n        BASE: ${{ inputs.base }}\n      run: echo \"$BASE\"\n";
        let messages = |text: &str| -> Vec<String> {
            check(&Tree::of(&[("action.yml", text)])).iter().map(ToString::to_string).collect()
        };
        assert_eq!(messages(good), Vec::<String>::new());
        for (from, to, message) in [
            ("using: composite", "using: node20", "`using: composite`"),
            ("shell: bash\n      env", "env", "needs `shell`"),
            ("echo \"$BASE\"", "echo ${{ inputs.base }}", "an expression inside a script"),
            ("checkout@v6", "checkout@main", "pin `actions/checkout@main`"),
            ("persist-credentials: false", "fetch-depth: 0", "add `persist-credentials: false`"),
        ] {
            assert!(good.contains(from), "{from}");
            let found = messages(&good.replace(from, to));
            assert!(found.iter().any(|found| found.contains(message)), "{message}: {found:?}");
        }
    }

    #[test]
    fn scripts_of_the_tree_are_read_too() {
        let found = check(&Tree::of(&[(".ci/run", "#!/usr/bin/env bash\nfor x in; do\n")]));
        assert!(found[0].message.contains("not a bash script"), "{found:?}");
    }
}
