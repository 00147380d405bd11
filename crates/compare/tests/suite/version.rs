//! `--version` of a release says which commit it was built from.

use std::fs;
use std::path::Path;
use std::process::Command;

#[path = "../../build.rs"]
#[expect(dead_code, clippy::print_stdout, reason = "only cargo calls its main function")]
mod build_script;

use build_script::revision;

fn git(directory: &Path, arguments: &[&str]) {
    let own = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"];
    let ran = Command::new("git").current_dir(directory).args(own).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn the_commit_is_told_and_so_are_changes_since() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    assert_eq!(revision(root), None, "no repository");
    git(root, &["init", "--quiet"]);
    fs::write(root.join("other"), "").unwrap();
    git(root, &["add", "other"]);
    git(root, &["commit", "--quiet", "-m", "start"]);
    fs::write(root.join("Cargo.toml"), "").unwrap();
    assert_eq!(revision(root), None, "a copy that another repository does not track");
    git(root, &["add", "Cargo.toml"]);
    git(root, &["commit", "--quiet", "-m", "the crate"]);
    let (clean, paths) = revision(root).unwrap();
    let id = clean.strip_prefix("; commit ").unwrap();
    assert!(id.len() == 10 && id.chars().all(|c| c.is_ascii_hexdigit()), "{clean}");
    for watched in ["/HEAD", "/Cargo.toml", "/other"] {
        assert!(paths.iter().any(|path| path.ends_with(watched) && Path::new(path).is_file()), "{watched}: {paths:?}");
    }
    fs::write(root.join("Cargo.toml"), "[package]").unwrap();
    assert_eq!(revision(root).unwrap().0, format!("; commit {id} with uncommitted changes"));
}
