//! Errors that the user must fix end with exit code 2, say how to fix them, and build nothing. A failed build ends with
//! 1.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::json;

use crate::fake::scripted;
use crate::workspace::Workspace;

fn workspace() -> Workspace {
    Workspace::new(&json!({"benches": [{"id": scripted("g|f")}]}))
}

const COMPARE: [&str; 5] = ["compare", "--title", "T", "--change", "c"];

#[test]
fn wrong_use_is_reported_before_anything_is_built() {
    let workspace = workspace();
    let with = |more: &[&'static str]| [&COMPARE, more].concat();
    let cases: [(Vec<&str>, &str); 17] = [
        (vec![], "Usage"),
        (vec!["compare"], "--base REV"),
        (vec!["compare", "--change", "c"], "--title T --change C"),
        (vec!["compare", "--title", "T"], "--change"),
        (vec!["compare", "--title", "", "--change", "c"], "--title"),
        (vec!["compare", "--title", "a\nb", "--change", "c"], "--title"),
        (vec!["compare", "--title", "T", "--change", " "], "--change"),
        (vec!["compare", "--title", "T", "--change", "a\nb"], "--change"),
        (with(&["-p", "absent"]), "no package `absent` in this workspace; it has: tiny"),
        (with(&["--bench", "absent"]), "no bench target `absent` in this workspace; it has: t"),
        (with(&["--filter", "("]), "--filter"),
        (with(&["--base", "nowhere"]), "--base REV"),
        (with(&["--head", "nowhere"]), "--head REV"),
        (with(&["--budget", "soon"]), "is not a time"),
        (with(&["--manifest-path", "elsewhere/Cargo.toml"]), "no Cargo.toml"),
        (with(&["--accept", "no reason"]), "ID=REASON"),
        (vec!["gate"], "no parent"),
    ];
    for (arguments, said) in cases {
        workspace.assay(&arguments).expect(2, &[said]);
    }
    workspace.write("assay.toml", "[removed]\nx = { reason = \"\", until = \"soon\" }\n");
    workspace.assay(&COMPARE).expect(2, &["assay.toml", "YYYY-MM-DD"]);
    assert!(!workspace.has_built());
    assert!(!workspace.root().join("BENCHMARKS.md").exists());
}

#[test]
fn without_git_or_commits_the_message_says_what_to_do() {
    let workspace = Workspace::uncommitted(&json!({}));
    for arguments in [COMPARE.to_vec(), vec!["gate"]] {
        workspace.assay(&arguments).expect(2, &["is not in a git work tree", "git init"]);
    }
    workspace.git(&["init", "--quiet"]);
    for arguments in [COMPARE.to_vec(), vec!["gate"]] {
        workspace.assay(&arguments).expect(2, &["no commit yet", "git commit"]);
    }
    fs::remove_file(workspace.root().join("Cargo.toml")).unwrap();
    workspace.assay(&COMPARE).expect(2, &["not in a Cargo workspace"]);
    assert!(!workspace.has_built());
}

/// As in `cargo assay completions bash | head`.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let workspace = Workspace::uncommitted(&json!({}));
    let mut command = workspace.command(&["completions", "bash"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

/// Drops the capability by which root may write everywhere; other users do not have it.
fn without_override(mut command: Command) -> Command {
    const CAP_DAC_OVERRIDE: libc::c_ulong = 1;
    // SAFETY: the closure runs between fork and exec and calls only prctl, which takes integers and is
    // async-signal-safe. Where the caller may not drop capabilities it fails, and there is nothing to drop either.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
            Ok(())
        });
    }
    command
}

#[test]
fn a_log_that_cannot_be_written_is_reported_before_anything_is_built() {
    let workspace = workspace();
    let permit = |mode| fs::set_permissions(workspace.root(), fs::Permissions::from_mode(mode)).unwrap();
    permit(0o555);
    let ran = workspace.run(without_override(workspace.command(&COMPARE)));
    let plan = workspace.run(without_override(workspace.command(&[&COMPARE[..], &["--dry-run"]].concat())));
    permit(0o755);
    ran.expect(2, &["cannot be written", "--no-log"]);
    plan.expect(0, &["plan:"]);
}

/// As in a checkout that belongs to another user: what is measured is kept elsewhere, and only a log needs the
/// repository itself.
#[test]
fn a_repository_that_cannot_be_written_is_compared_but_not_logged() {
    let workspace = workspace();
    let permit = |mode: &str| {
        let changed = Command::new("chmod").args(["-R", mode]).arg(workspace.root().join(".git")).status().unwrap();
        assert!(changed.success());
    };
    workspace.script(&json!({"benches": [{"id": scripted("g|f"), "times": vec![1.25e6; 10]}]}));
    let before = workspace.state();
    permit("a-w");
    let compare = ["compare", "--no-log", "--base", "HEAD", "--one-link", "--json"];
    let ran = workspace.run(without_override(workspace.command(&compare)));
    let logged = workspace.run(without_override(workspace.command(&COMPARE)));
    permit("u+w");
    let entry = ran.expect(3, &[]).json();
    assert_eq!(entry["head"]["dirty"], true, "uncommitted work is measured");
    assert!(entry["notes"].to_string().contains("kept in the cache directory instead"), "{entry}");
    logged.expect(2, &["cannot be written", "--no-log", "git clone"]);
    assert!(workspace.state() == before && workspace.git(&["worktree", "list"]).lines().count() == 1);
    // Once it can be written, the slots' worktrees belong to it: the store beside them is used no longer.
    workspace.assay(&compare).expect(3, &[]);
    assert_eq!(workspace.git(&["worktree", "list"]).lines().count(), 3, "its own, and one for each side");
}

#[test]
fn what_does_not_build_is_named_by_side_with_the_compilers_last_lines() {
    let workspace = workspace();
    let good = workspace.read("src/lib.rs");
    let broken = format!("{good}const WRONG: u32 = \"text\";\n");
    workspace.write("src/lib.rs", &broken);
    let compare = [&COMPARE[..], &["--base", "HEAD"]].concat();
    let said = ["head does not build", "mismatched types", "src/lib.rs:2"];
    workspace.assay(&compare).expect(1, &said);
    workspace.commit("broken");
    workspace.write("src/lib.rs", &good);
    let said = ["base does not build", "mismatched types", "src/lib.rs:2"];
    workspace.assay(&compare).expect(1, &said);
    workspace.assay(&["gate", "--base", "main"]).expect(1, &["base does not build"]);
    assert!(!workspace.root().join("BENCHMARKS.md").exists());
    assert_eq!(workspace.measuring_processes(), 0);
}
