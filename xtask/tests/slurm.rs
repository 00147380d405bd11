//! What cannot be packed, and where Slurm is not installed or knows no cluster: the commands say what to do before
//! anything is built.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const LINES: [&[&str]; 2] = [&["run", "fake", "--slurm"], &["compare", "--base", "HEAD", "--slurm"]];

/// Calls `cargo xtask` in an empty directory, with a PATH that has these programs alone. Gives its exit code and what
/// it says.
fn call(words: &[&str], directory: &Path, programs: &Path) -> (Option<i32>, String) {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(words).current_dir(directory).env("CARGO_MANIFEST_DIR", directory.join("xtask"));
    let output = xtask.env("PATH", programs).env_remove("SLURM_CONF").output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_missing_slurm_or_cluster_is_a_usage_error_that_says_what_to_do() {
    let (directory, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for words in LINES {
        let (code, said) = call(words, directory.path(), programs.path());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("has no `sbatch`, `squeue`, `scancel`, `sinfo`"), "{said}");
        assert!(said.contains("apt install slurm-client"), "{said}");
    }
    for (name, script) in [
        ("sbatch", "exit 0"),
        ("squeue", "exit 0"),
        ("scancel", "exit 0"),
        ("sinfo", "echo 'sinfo: fatal: Could not establish a configuration source' >&2; exit 1"),
        ("timeout", "shift; exec \"$@\""),
    ] {
        let path = programs.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for words in LINES {
        let (code, said) = call(words, directory.path(), programs.path());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("know no cluster") && said.contains("SLURM_CONF"), "{said}");
        assert!(said.contains("Could not establish a configuration source"), "{said}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn what_cannot_be_packed_is_said_before_anything_is_built() {
    let directory = tempfile::tempdir().unwrap();
    let git = |words: &[&str]| {
        let mut git = compare::command::git_in(directory.path());
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(words);
        compare::command::run(&mut git).unwrap();
    };
    fs::create_dir_all(directory.path().join("benches/scenarios")).unwrap();
    fs::write(directory.path().join("benches/scenarios/known.toml"), "").unwrap();
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "state"]);
    let path = std::env::var_os("PATH").unwrap();
    // Neither a workspace nor a package `pack` is here: a build would fail otherwise.
    for (words, why) in [
        (&["pack", "scenario", "unknown"][..], "there is no benches/scenarios/unknown.toml; there are known"),
        (&["pack", "bench", "x", "--filter", "("], "--filter: "),
        (&["pack", "compare", "--base", "HEAD", "--json"], "`import --json` prints it"),
        (&["pack", "compare", "--base", "HEAD", "--scenario", "known"], "not for a pack or Slurm"),
    ] {
        let (code, said) = call(words, directory.path(), Path::new(&path));
        assert_eq!(code, Some(2), "{words:?}: {said}");
        assert!(said.contains(why), "{words:?}: {said}");
    }
}
