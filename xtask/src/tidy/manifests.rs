//! Manifests: each dependency is declared once with its purpose; benches are declared so that `cargo bench` runs
//! criterion only.

use std::collections::BTreeMap;

use toml::Value;

use super::Violation;
use super::tree::{Manifest, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let members = tree.members();
    let mut violations = Vec::new();
    if let Some(workspace) = tree.workspace() {
        violations.extend(comments(&workspace));
    }
    for member in &members {
        violations.extend(inheritance(member));
        violations.extend(libtest_benches(tree, member));
    }
    violations.extend(bench_wiring(tree, &members));
    violations
}

/// Versions are declared once, in the workspace's manifest.
fn inheritance(member: &Manifest<'_>) -> Vec<Violation> {
    let inherits = |value: &Value| value.get("workspace").and_then(Value::as_bool) == Some(true);
    let line = |key: &str| member.file.line_of(&format!("{key} ="));
    let dependencies = member.dependencies().into_iter().filter(|(_, _, value)| !inherits(value)).map(|(_, key, _)| {
        let message = format!(
            "`{key}` does not inherit: write `{key}.workspace = true`, and its version once in the root Cargo.toml"
        );
        Violation::new(&member.file.path, line(key), message)
    });
    let lints = member.table.get("lints").is_none_or(|lints| !inherits(lints)).then(|| {
        Violation::new(
            &member.file.path,
            1,
            "the workspace's lints do not apply: add `[lints]` with `workspace = true`",
        )
    });
    dependencies.chain(lints).collect()
}

/// Each dependency of the workspace has a comment with its purpose, on its line or on the line above. Members need
/// none.
fn comments(workspace: &Manifest<'_>) -> Vec<Violation> {
    let entries = workspace.table.get("workspace").and_then(|w| w.get("dependencies")).and_then(Value::as_table);
    let lines: Vec<&str> = workspace.file.text.lines().collect();
    let start = lines.iter().position(|line| line.trim() == "[workspace.dependencies]").unwrap_or(0);
    let mut violations = Vec::new();
    for (key, _) in entries.into_iter().flatten().filter(|(_, value)| value.get("path").is_none()) {
        let is_entry =
            |line: &&str| line.strip_prefix(key.as_str()).is_some_and(|rest| rest.trim_start().starts_with(['=', '.']));
        let Some(at) = lines.iter().skip(start).position(is_entry).map(|at| at + start) else { continue };
        let own = lines[at].rsplit_once("# ").is_some_and(|(_, comment)| !comment.trim().is_empty());
        // A sentence is a purpose; a heading over several entries is not.
        let above = lines[at - 1].strip_prefix("# ").is_some_and(|comment| comment.ends_with('.'));
        if !own && !above {
            let message = format!("`{key}` lacks a comment that says what it is for");
            violations.push(Violation::new(&workspace.file.path, at + 1, message));
        }
    }
    violations
}

/// In a library or binary without `bench = false`, libtest refuses `cargo bench -- --save-baseline x`.
fn libtest_benches(tree: &Tree, member: &Manifest<'_>) -> Vec<Violation> {
    let off = |target: &Value| target.get("bench").and_then(Value::as_bool) == Some(false);
    let path = |target: &str| format!("{}/src/{target}", member.directory());
    let mut violations = Vec::new();
    let mut violation = |message: String| violations.push(Violation::new(&member.file.path, 1, message));
    if tree.file(&path("lib.rs")).is_some() && !member.table.get("lib").is_some_and(off) {
        violation(
            "add `[lib]` with `bench = false`: else libtest refuses `cargo bench -- --save-baseline x`".to_owned(),
        );
    }
    let declared: Vec<&Value> = member.table.get("bin").and_then(Value::as_array).into_iter().flatten().collect();
    let binaries = path("bin/");
    for file in &tree.files {
        let below = file.path.strip_prefix(&binaries);
        let is_root =
            file.path == path("main.rs") || below.is_some_and(|rest| rest.ends_with(".rs") && !rest.contains('/'));
        let relative = file.path.strip_prefix(&format!("{}/", member.directory())).unwrap_or_default();
        let entry = |target: &&&Value| target.get("path").and_then(Value::as_str) == Some(relative);
        if is_root && !declared.iter().find(entry).is_some_and(|target| off(target)) {
            violation(format!(
                "add `[[bin]]` with `path = \"{relative}\"` and `bench = false`: else `cargo bench` runs libtest in it"
            ));
        }
    }
    violations
}

/// Bench programs are in the top-level `benches/`, each declared by one member, without libtest.
fn bench_wiring(tree: &Tree, members: &[Manifest<'_>]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wired: BTreeMap<String, &str> = BTreeMap::new();
    for member in members {
        for bench in member.table.get("bench").and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| bench.get(key).and_then(Value::as_str).unwrap_or_default();
            let (name, path) = (text("name"), text("path"));
            let line = member.file.line_of(&format!("name = \"{name}\"")).max(member.file.line_of("[[bench]]"));
            let mut violation = |message: String| violations.push(Violation::new(&member.file.path, line, message));
            if bench.get("harness").and_then(Value::as_bool) != Some(false) {
                violation(format!("bench `{name}` needs `harness = false`: libtest does not run criterion"));
            }
            match path.strip_prefix("../../").filter(|rest| rest.starts_with("benches/")) {
                None => violation(format!(
                    "bench `{name}` belongs in the top-level benches/: `path = \"../../benches/{name}.rs\"`"
                )),
                Some(file) if tree.file(file).is_none() => {
                    violation(format!("bench `{name}` names {file}, which does not exist"))
                }
                Some(file) => {
                    if let Some(other) = wired.insert(file.to_owned(), member.name()) {
                        violation(format!("{file} is declared by `{other}` already: a bench belongs to one crate"));
                    }
                }
            }
        }
    }
    for file in tree.ending(&[".rs"]) {
        let Some(rest) = file.path.strip_prefix("benches/") else { continue };
        let is_root = !rest.contains('/') || rest.ends_with("/main.rs");
        if is_root && !wired.contains_key(&file.path) {
            violations.push(Violation::new(
                &file.path,
                1,
                "no manifest declares this: add a `[[bench]]` to that of its op",
            ));
        }
    }
    let inside = |path: &str| path.strip_prefix("crates/").and_then(|rest| rest.split('/').nth(1)) == Some("benches");
    for file in tree.files.iter().filter(|file| inside(&file.path)) {
        violations.push(Violation::new(
            &file.path,
            1,
            "benches belong in the top-level benches/: move it there and declare it by path",
        ));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"a\"\n[lib]\nbench = false\n[[bench]]\nname = \"a\"\npath = \"../../benches/a.rs\"\nharness = false\n\
        [lints]\nworkspace = true\n[dependencies]\nx.workspace = true\n";

    fn messages(manifest: &str, more: &[(&str, &str)]) -> Vec<String> {
        let mut files = vec![("crates/a/Cargo.toml", manifest), ("crates/a/src/lib.rs", ""), ("benches/a.rs", "")];
        files.extend(more);
        check(&Tree::of(&files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_well_wired_crate_passes() {
        assert_eq!(messages(GOOD, &[("benches/a/cases.rs", "")]), Vec::<String>::new());
    }

    #[test]
    fn each_missing_piece_is_named() {
        for (from, to, message) in [
            ("x.workspace = true", "x = \"1\"", ":12: `x` does not inherit"),
            ("[lints]\nworkspace = true", "", "lints do not apply"),
            ("[lib]\nbench = false", "", "add `[lib]` with `bench = false`"),
            ("harness = false", "", "needs `harness = false`"),
            ("../../benches/a.rs", "benches/a.rs", "belongs in the top-level benches"),
            ("../../benches/a.rs", "../../benches/b.rs", "names benches/b.rs, which does not exist"),
            (
                "[[bench]]\nname = \"a\"\npath = \"../../benches/a.rs\"\nharness = false",
                "",
                "benches/a.rs:1: no manifest declares this",
            ),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let found = messages(&GOOD.replace(from, to), &[]);
            assert!(found.iter().any(|found| found.contains(message)), "{message}: {found:?}");
        }
    }

    #[test]
    fn binaries_and_benches_in_crates_are_caught() {
        assert!(messages(GOOD, &[("crates/a/src/main.rs", "")])[0].contains("`path = \"src/main.rs\"`"));
        assert!(messages(GOOD, &[("crates/a/src/bin/tool.rs", "")])[0].contains("`path = \"src/bin/tool.rs\"`"));
        let with = format!("{GOOD}[[bin]]\nname = \"t\"\npath = \"src/main.rs\"\nbench = false\n");
        assert_eq!(messages(&with, &[("crates/a/src/main.rs", "")]), Vec::<String>::new());
        assert!(messages(GOOD, &[("crates/a/benches/x.rs", "")])[0].contains("benches belong in the top-level"));
    }

    #[test]
    fn a_bench_belongs_to_one_crate() {
        let other = GOOD.replace("name = \"a\"\n[lib]", "name = \"b\"\n[lib]");
        let found = messages(GOOD, &[("crates/b/Cargo.toml", &other), ("crates/b/src/lib.rs", "")]);
        assert!(found[0].contains("benches/a.rs is declared by `a` already"), "{found:?}");
    }

    #[test]
    fn a_dependency_without_a_reason_is_caught() {
        let root = "[workspace.dependencies]\nours = { path = \"crates/ours\" }\n# Pinned: its files are private.\na = \"=1\"\n\n# Numerics\nb = \"1\" # tables\n# Others\nc = \"1\"\n";
        let found = check(&Tree::of(&[("Cargo.toml", root)]));
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["Cargo.toml:9: `c` lacks a comment that says what it is for"]
        );
    }
}
