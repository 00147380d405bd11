//! A full disk is named as what it is, with what to do, and never taken for a fault of the code.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::fake::scripted;
use crate::tools::Tools;
use crate::workspace::{Ran, Workspace};

const COMPARE: [&str; 5] = ["compare", "--title", "T", "--change", "c"];

fn workspace() -> Workspace {
    Workspace::new(&json!({"benches": [{"id": scripted("g|f")}]}))
}

/// Checks the message for a full disk: short, with the whole log, and nothing else happened. Its advice depends on how
/// much room the machine really has.
fn assert_is_explained(workspace: &Workspace, ran: Ran) -> Ran {
    let ran = ran.expect(1, &["error: disk full: ", " free at "]);
    let longest = ran.stderr.lines().map(str::len).max().unwrap();
    assert!(longest < 600, "a line of {longest} bytes:\n{}", ran.stderr);
    assert!(ran.stderr.lines().count() < 60, "{}", ran.stderr);
    assert!(!workspace.root().join("BENCHMARKS.md").exists());
    assert_eq!(workspace.git(&["status", "--porcelain", "--ignored"]), "");
    ran
}

/// The file that a message names as the whole log.
fn log_of(ran: &Ran) -> String {
    let path: PathBuf = ran.stderr.lines().find_map(|line| line.strip_prefix("all of it: ")).unwrap().into();
    fs::read_to_string(path).unwrap()
}

/// A linker that dies as LLD does when its output does not fit, after rustc called it with a page of words.
fn dying_linker(tools: &Tools, pattern: &str, last_words: &str) {
    tools.script(
        "cc",
        &format!(
            "case \"$*\" in {pattern})\n    echo \"called as $* $* $* $* $* $* $* $*\" >&2\n    \
             echo '{last_words}' >&2\n    exit 1\nesac"
        ),
    );
}

#[test]
fn a_linker_that_finds_no_room_is_explained_in_few_lines() {
    let workspace = workspace();
    let tools = Tools::new(&workspace);
    dying_linker(&tools, "*deps/t-*", "rust-lld: error: failed to write the output: No space left on device");
    let ran = workspace.run(tools.first(workspace.command(&COMPARE)));
    let ran = assert_is_explained(&workspace, ran);
    assert!(
        ran.stderr.contains("head does not build") && ran.stderr.contains("failed to write the output"),
        "{ran:#?}"
    );
    let log = log_of(&ran);
    assert!(log.contains("failed to write the output") && log.lines().any(|line| line.len() > 1000), "{log}");

    // The same where the program is linked again in another layout: it is no linker without that option.
    workspace.commit("nothing");
    workspace.write("src/lib.rs", &format!("{}pub const OTHER: u32 = 1;\n", workspace.read("src/lib.rs")));
    let bench = workspace.read("benches/t.rs");
    workspace.write(
        "benches/t.rs",
        &bench.replace(
            "fn main() {",
            "fn main() {\n    assert!(tiny::OTHER == std::env::args().count() as u32 / 99 + 1);",
        ),
    );
    workspace.commit("other code");
    dying_linker(&tools, "*--randomize-section-padding*", "fatal error: No space left on device");
    let compare = [&COMPARE[..], &["--base", "HEAD~1"]].concat();
    let ran = workspace.run(tools.first(workspace.command(&compare)));
    let ran = assert_is_explained(&workspace, ran);
    let log = log_of(&ran);
    assert!(log.contains("--randomize-section-padding=") && log.contains("No space left on device"), "{log}");
}

/// A fault of the code is no full disk, even where its messages are as long.
#[test]
fn a_linker_that_fails_otherwise_is_shown_with_its_last_lines() {
    let workspace = workspace();
    let tools = Tools::new(&workspace);
    dying_linker(&tools, "*deps/t-*", "ld.lld: error: undefined symbol: missing");
    let ran = workspace.run(tools.first(workspace.command(&COMPARE)));
    let ran = ran.expect(1, &["head does not build", "undefined symbol: missing", "all of it: "]);
    assert!(!ran.stderr.contains("disk full"), "{}", ran.stderr);
    let longest = ran.stderr.lines().map(str::len).max().unwrap();
    assert!(longest < 600, "a line of {longest} bytes:\n{}", ran.stderr);
}

/// A real file system of a few MiB, where this user may make one.
#[test]
fn a_cache_on_a_small_file_system_is_reported_as_full() {
    let isolated = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "--"]).args(arguments);
        command
    };
    let mount = isolated(&["mount", "-t", "tmpfs", "-o", "size=300k", "none", "/mnt"]).output();
    if let Some(refused) = match &mount {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    } {
        // Containers and some distributions allow no namespaces of one's own: the scripted linker has to do there. Past
        // the capture of the test harness, which hides what a test prints that passes.
        let said = format!("\nNOT TESTED: a real full disk, because none can be mounted here ({refused})\n");
        std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes()).unwrap();
        return;
    }
    let workspace = workspace();
    fs::create_dir_all(workspace.cache()).unwrap();
    // The linker maps its output and gets a bus error; the program is linked, but its copy does not fit.
    for size in ["300k", "700k"] {
        let plain = workspace.command(&COMPARE);
        let script = "mount -t tmpfs -o size=\"$1\" none \"$2\" && shift 2 && exec \"$@\"";
        let mut command = isolated(&["sh", "-c", script, "sh", size]);
        command.arg(workspace.cache()).arg(plain.get_program()).args(plain.get_args());
        command.current_dir(workspace.root());
        command.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let ran = assert_is_explained(&workspace, workspace.run(command));
        assert!(ran.stderr.contains("; free "), "{}", ran.stderr);
        assert!(ran.stderr.contains(&workspace.cache().join("assay").display().to_string()), "{}", ran.stderr);
    }
}
