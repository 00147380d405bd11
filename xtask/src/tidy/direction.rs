//! Allowed dependencies: op crates do not know the tools that measure them, and tools link nothing that computes.

use std::collections::BTreeSet;

use super::Violation;
use super::tree::{Manifest, Tree};

/// The members, and the members that each may depend on. Their dependencies are allowed too.
const ARROWS: &[(&str, &[&str])] = &[
    ("chart", &[]),
    ("whole-file", &[]),
    ("record", &["whole-file"]),
    ("machine", &[]),
    ("op", &["machine"]),
    ("peer", &["op"]),
    ("pipeline-cache", &["whole-file"]),
    ("proof", &["op", "record", "machine", "simd"]),
    ("compare", &["chart", "record", "machine"]),
    ("simd", &["machine"]),
    ("attention", &["op", "simd"]),
    ("gemm", &["op", "quant", "simd"]),
    ("gpu", &["op", "pipeline-cache"]),
    ("attention-gpu", &["attention", "gpu", "op"]),
    ("gemm-gpu", &["gemm", "gpu", "op", "quant"]),
    ("quant", &["op", "simd"]),
    ("gguf", &["op", "quant", "whole-file"]),
    ("nifti-decode", &["op", "simd", "whole-file"]),
    ("loader", &["nifti-decode"]),
    ("loader-python", &["loader"]),
    ("multiview", &["attention", "gemm"]),
    ("rwkv7", &["gemm", "gguf"]),
    ("rwkv7-gpu", &["gemm-gpu", "rwkv7"]),
    ("scenario", &["op", "record"]),
    ("assay", &["chart", "gemm", "gguf", "loader", "multiview", "nifti-decode", "peer", "rwkv7-gpu", "scenario"]),
    ("peers", &["chart", "compare"]),
    ("scenarios", &["peers", "scenario"]),
    ("pack", &["compare", "peers", "scenarios", "whole-file"]),
    ("xtask", &["compare", "pack", "peers", "scenarios"]),
];

/// Members that run programs and read files. Nothing that is measured may depend on them.
const TOOLS: [&str; 6] = ["assay", "compare", "pack", "peers", "scenarios", "xtask"];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let members = tree.members();
    let names: BTreeSet<&str> = members.iter().map(Manifest::name).collect();
    let mut violations = Vec::new();
    for member in &members {
        violations.extend(arrows(member, &names));
        violations.extend(registry_namesake(tree, member));
    }
    violations
}

/// Everything that `name` may depend on; `None` for a member without a row.
fn reach(name: &str) -> Option<BTreeSet<&'static str>> {
    let (_, direct) = ARROWS.iter().find(|(member, _)| *member == name)?;
    let mut all: BTreeSet<&str> = direct.iter().copied().collect();
    for below in *direct {
        all.extend(reach(below).unwrap_or_default());
    }
    Some(all)
}

fn arrows(member: &Manifest<'_>, names: &BTreeSet<&str>) -> Vec<Violation> {
    let (file, name) = (member.file, member.name());
    let Some(allowed) = reach(name) else {
        let fix = "has no row in ARROWS (xtask/src/tidy/direction.rs): add one that lists what it may depend on";
        return vec![Violation::new(&file.path, file.line_of("name ="), format!("crate `{name}` {fix}"))];
    };
    let mut violations = Vec::new();
    for (kind, key, _) in member.dependencies() {
        let mut violation = |message: String| {
            let line = file.text.lines().position(|line| is_entry(line, key)).map_or(1, |at| at + 1);
            violations.push(Violation::new(&file.path, line, message));
        };
        if kind == "dependencies" && key == "criterion" && name != "proof" {
            violation("criterion belongs to [dev-dependencies], through `proof`: the crate must stay light".to_owned());
        }
        if !names.contains(key) {
            continue;
        }
        if TOOLS.contains(&key) && !TOOLS.contains(&name) {
            violation(format!(
                "`{name}` is measured by `{key}` and must not depend on it: move what both need into a crate below both"
            ));
        } else if kind != "dev-dependencies" && !allowed.contains(key) {
            violation(format!(
                "`{name}` must not depend on `{key}`: it may use {}; see ARCHITECTURE.md, or change ARROWS in xtask/src/tidy/direction.rs",
                if allowed.is_empty() {
                    "no other member".to_owned()
                } else {
                    Vec::from_iter(allowed.iter().copied()).join(", ")
                }
            ));
        }
    }
    violations
}

fn is_entry(line: &str, key: &str) -> bool {
    line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['.', '=']))
}

/// `cargo bench -p NAME` is ambiguous if another package of that name is anywhere below NAME, dev-dependencies
/// included. The lock file lists both kinds, for all platforms.
fn registry_namesake(tree: &Tree, member: &Manifest<'_>) -> Option<Violation> {
    let lock: toml::Table = tree.file("Cargo.lock")?.text.parse().ok()?;
    let packages = lock.get("package")?.as_array()?;
    let named = |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let of = |spec: &str| {
        // "name", or "name version" where there are several.
        let mut parts = spec.split(' ');
        let (name, version) = (parts.next(), parts.next());
        packages.iter().position(|package| {
            named(package, "name").as_deref() == name
                && version.is_none_or(|v| named(package, "version").as_deref() == Some(v))
        })
    };
    let is_ours = |at: usize| packages[at].get("source").is_none();
    let start = (0..packages.len())
        .find(|&at| is_ours(at) && named(&packages[at], "name").as_deref() == Some(member.name()))?;
    let (mut open, mut seen) = (vec![start], BTreeSet::from([start]));
    while let Some(at) = open.pop() {
        if !is_ours(at) && named(&packages[at], "name").as_deref() == Some(member.name()) {
            let name = member.name();
            let message = format!(
                "a registry crate called `{name}` is below our `{name}`, so `cargo bench -p {name}` is ambiguous: move what pulls it in to a workspace under peers/"
            );
            return Some(Violation::new(&member.file.path, 1, message));
        }
        let below = packages[at].get("dependencies").and_then(toml::Value::as_array);
        let below = below.into_iter().flatten().filter_map(toml::Value::as_str).filter_map(of);
        open.extend(below.filter(|next| seen.insert(*next)));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).iter().map(ToString::to_string).collect()
    }

    const COMPARE: (&str, &str) = ("crates/compare/Cargo.toml", "[package]\nname = \"compare\"\n");

    #[test]
    fn an_arrow_against_the_direction_is_caught() {
        let record = "[package]\nname = \"record\"\n[dependencies]\nserde = \"1\"\nmachine.workspace = true\n";
        let machine = ("crates/machine/Cargo.toml", "[package]\nname = \"machine\"\n");
        let found = messages(&[("crates/record/Cargo.toml", record), machine]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/record/Cargo.toml:5: `record` must not depend on `machine`"), "{found:?}");
    }

    #[test]
    fn what_is_measured_does_not_know_its_tools_even_in_tests() {
        let gemm = "[package]\nname = \"gemm\"\n[dev-dependencies]\ncompare.workspace = true\n";
        let found = messages(&[("crates/gemm/Cargo.toml", gemm), COMPARE]);
        assert!(found[0].contains(":4: `gemm` is measured by `compare`"), "{found:?}");
    }

    #[test]
    fn the_dispatcher_links_nothing_that_computes() {
        let xtask = "[package]\nname = \"xtask\"\n[dependencies]\ncompare.workspace = true\nrecord.workspace = true\ngemm.workspace = true\n";
        let gemm = ("crates/gemm/Cargo.toml", "[package]\nname = \"gemm\"\n");
        let record = ("crates/record/Cargo.toml", "[package]\nname = \"record\"\n");
        let found = messages(&[("xtask/Cargo.toml", xtask), gemm, record, COMPARE]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains(
                ":6: `xtask` must not depend on `gemm`: it may use chart, compare, machine, op, pack, peers, record"
            ),
            "{found:?}"
        );
    }

    #[test]
    fn criterion_stays_out_of_what_is_measured_and_new_crates_need_a_row() {
        let gemm = "[package]\nname = \"gemm\"\n[dependencies]\ncriterion.workspace = true\n";
        assert!(messages(&[("crates/gemm/Cargo.toml", gemm)])[0].contains(":4: criterion belongs to"));
        let unknown = "[package]\nname = \"sparse\"\n";
        assert!(messages(&[("crates/sparse/Cargo.toml", unknown)])[0].contains(":2: crate `sparse` has no row"));
    }

    #[test]
    fn a_namesake_from_the_registry_is_caught_through_others() {
        let lock = |middle: &str| {
            let source = "source = \"registry\"";
            format!(
                "[[package]]\nname = \"gemm\"\nversion = \"0.0.0\"\ndependencies = [\"faer\"]\n\
                 [[package]]\nname = \"faer\"\nversion = \"0.2.0\"\n{source}\ndependencies = [\"{middle}\"]\n\
                 [[package]]\nname = \"gemm\"\nversion = \"0.18.0\"\n{source}\n\
                 [[package]]\nname = \"half\"\nversion = \"2.0.0\"\n{source}\n"
            )
        };
        let gemm = ("crates/gemm/Cargo.toml", "[package]\nname = \"gemm\"\n");
        assert!(messages(&[gemm, ("Cargo.lock", &lock("gemm 0.18.0"))])[0].contains("ambiguous"));
        assert!(messages(&[gemm, ("Cargo.lock", &lock("half"))]).is_empty());
    }
}
