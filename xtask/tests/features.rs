//! What `cargo xtask` is built from is built once: the workspace's tests use the same artifacts.

use std::collections::BTreeSet;
use std::process::Command;

/// Packages with their features, as a build of `selected` has them.
fn packages(selected: &[&str]) -> BTreeSet<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["tree", "--offline", "--prefix", "none", "--format", "{p} with {f}"]).args(selected);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    // A package that was shown before is marked, and so is a procedural macro.
    text.lines().map(|line| line.replace(" (*)", "").replace(" (proc-macro)", "")).collect()
}

/// Cargo builds a package once for each set of its features, and then everything above it. A package that differs here
/// needs a feature in the root manifest, or an entry in xtask/Cargo.toml beside those that are there for this.
#[test]
fn the_tools_and_the_tests_share_their_dependencies() {
    let tools = packages(&["--package", "xtask", "--edges", "normal,build"]);
    let tests = packages(&["--workspace", "--edges", "normal,build,dev"]);
    assert!(tools.len() > 20 && tests.len() > tools.len(), "{} and {}", tools.len(), tests.len());
    let differing: Vec<&String> = tools.difference(&tests).collect();
    assert!(differing.is_empty(), "built once more for `cargo xtask`: {differing:#?}");
}

/// The same for the decoder below the Python package, which takes a minute to build. What is below NumPy's arrays alone
/// takes seconds and may differ.
#[test]
fn the_wheel_and_the_tests_share_the_decoder() {
    let names = |packages: &BTreeSet<String>| -> BTreeSet<String> {
        packages.iter().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
    };
    let wheel = packages(&["--package", "loader-python", "--edges", "normal,build"]);
    let decoder = names(&packages(&["--package", "loader", "--edges", "normal,build"]));
    let tests = packages(&["--workspace", "--edges", "normal,build,dev"]);
    let differing: BTreeSet<String> = wheel.difference(&tests).cloned().collect();
    let twice: Vec<String> = names(&differing).intersection(&decoder).cloned().collect();
    assert!(decoder.len() > 10 && twice.is_empty(), "built once more for the wheel: {twice:?} of {differing:#?}");
}
