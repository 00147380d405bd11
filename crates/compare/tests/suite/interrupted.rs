//! A comparison that is killed or interrupted leaves no process and no half-written file, and does not block the next
//! one.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::fake::{assert_no_process_is_left, read_diary, scripted, wait_until};
use crate::tools::Tools;
use crate::workspace::{Started, Workspace, turn};

const COMPARE: [&str; 7] = ["compare", "--title", "T", "--change", "c", "--one-link", "--timeout"];

/// A benchmark that hangs while it is measured.
fn hanging() -> Value {
    json!({"benches": [{"id": scripted("g|f"), "mishap": "hang"}]})
}

fn good() -> Value {
    json!({"benches": [{"id": scripted("g|f")}]})
}

/// Starts a comparison and waits until its benchmark hangs.
fn started(workspace: &Workspace) -> Started {
    until_it_hangs(workspace, workspace.command(&[&COMPARE[..], &["1h"]].concat()))
}

/// Starts a command and waits until one more benchmark hangs than before.
fn until_it_hangs(workspace: &Workspace, command: Command) -> Started {
    let hanging = || workspace.diary().iter().filter(|line| line["reached"].is_u64()).count();
    let before = hanging();
    let started = Started::new(command);
    wait_until("a benchmark hangs", || hanging() > before);
    started
}

fn assert_nothing_is_written(workspace: &Workspace) {
    assert_eq!(workspace.git(&["status", "--porcelain", "--ignored"]), "");
    assert_eq!(workspace.git(&["for-each-ref", "refs/assay"]), "");
}

fn assert_the_next_run_works(workspace: &Workspace) {
    workspace.script(&good());
    workspace.commit("mended");
    workspace.run(workspace.command(&[&COMPARE[..], &["60s"]].concat())).expect(0, &["logged"]);
    workspace.assay(&["log", "check"]).expect(0, &["1 entries agree"]);
}

#[test]
fn after_sigkill_no_benchmark_is_left_and_the_next_run_works() {
    let workspace = Workspace::new(&hanging());
    {
        let _turn = turn();
        let started = started(&workspace);
        started.signal("-KILL");
        assert_eq!(started.finish().code, None);
    }
    assert_no_process_is_left(&workspace.diary());
    assert_nothing_is_written(&workspace);
    assert_the_next_run_works(&workspace);
    assert_eq!(workspace.scratch(), [] as [PathBuf; 0], "the killed run's scratch is swept up");
}

#[test]
fn an_interrupt_ends_cleanly_and_writes_nothing() {
    let workspace = Workspace::new(&hanging());
    for signal in ["-INT", "-TERM", "-HUP"] {
        {
            let _turn = turn();
            let started = started(&workspace);
            started.signal(signal);
            started.finish().expect(1, &["interrupted: nothing was logged"]);
        }
        assert_no_process_is_left(&workspace.diary());
        assert_nothing_is_written(&workspace);
        assert_eq!(workspace.scratch(), [] as [PathBuf; 0]);
    }
    // Under `nohup`, a terminal that is closed ends nothing.
    {
        let _turn = turn();
        let plain = workspace.command(&[&COMPARE[..], &["1h"]].concat());
        let mut ignoring = Command::new("sh");
        ignoring.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(plain.get_program()).args(plain.get_args());
        ignoring.current_dir(workspace.root()).envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let started = until_it_hangs(&workspace, ignoring);
        let status = std::fs::read_to_string(format!("/proc/{}/status", started.id())).unwrap();
        let hangup = |set: &str| {
            let mask = status.lines().find_map(|line| line.strip_prefix(set)).unwrap().trim();
            u64::from_str_radix(mask, 16).unwrap() & 1
        };
        assert_eq!((hangup("SigIgn:"), hangup("SigCgt:")), (1, 0), "{status}");
        started.signal("-INT");
        started.finish().expect(1, &["interrupted"]);
    }
    assert_the_next_run_works(&workspace);
}

/// It measures ceilings and watches the machine for seconds.
#[test]
fn an_interrupt_ends_the_doctor() {
    let workspace = Workspace::uncommitted(&good());
    let _turn = turn();
    let started = Started::new(workspace.command(&["doctor"]));
    wait_until("it measures ceilings", || started.stderr().contains("measuring ceilings"));
    started.signal("-INT");
    let ran = started.finish().expect(1, &["interrupted"]);
    assert!(!ran.stdout.contains("Features"), "{}", ran.stdout);
}

/// A build script hangs, and cargo with it: the tool waits for neither, and leaves neither running.
#[test]
fn an_interrupt_ends_a_build() {
    let workspace = Workspace::new(&good());
    let diary = workspace.cache().join("diary");
    std::fs::create_dir_all(workspace.cache()).unwrap();
    let script = "fn main() {\n\
        std::fs::write(DIARY, format!(\"{{\\\"pid\\\": {}}}\\n\", std::process::id())).unwrap();\n\
        std::thread::sleep(std::time::Duration::from_secs(100_000)); }\n";
    workspace.write("build.rs", &script.replace("DIARY", &format!("{diary:?}")));
    workspace.commit("a build that hangs");
    {
        let _turn = turn();
        let started = Started::new(workspace.command(&[&COMPARE[..], &["60s"]].concat()));
        wait_until("the build script runs", || !read_diary(&diary).is_empty());
        started.signal("-INT");
        started.finish().expect(1, &["interrupted: nothing was logged"]);
    }
    assert_no_process_is_left(&read_diary(&diary));
    assert_nothing_is_written(&workspace);
    std::fs::remove_file(workspace.root().join("build.rs")).unwrap();
    assert_the_next_run_works(&workspace);
}

#[test]
fn one_comparison_runs_at_a_time_and_the_second_says_that_it_waits() {
    let workspace = Workspace::new(&hanging());
    let _turn = turn();
    let first = started(&workspace);
    let second = Started::new(workspace.command(&[&COMPARE[..], &["1s"]].concat()));
    wait_until("the second waits", || second.stderr().contains("another comparison is running on this machine"));
    let processes = workspace.diary().len();
    first.signal("-INT");
    first.finish().expect(1, &["interrupted"]);
    // The second comparison now runs: the benchmark still hangs, but there is a limit.
    second.finish().expect(5, &["TIMEOUT"]);
    assert!(workspace.diary().len() > processes);
    assert_no_process_is_left(&workspace.diary());
}

/// Two commits with different code, so that a comparison builds, runs and links again.
fn two_commits() -> Workspace {
    let workspace = Workspace::new(&good());
    let bench = workspace.read("benches/t.rs");
    workspace.write("benches/t.rs", &bench.replace("fn main() {", "fn main() {\n    let _ = std::hint::black_box(1);"));
    workspace.commit("other code");
    workspace
}

/// Whichever program the tool waits for: it ends, and so does what it started.
#[test]
fn an_interrupt_ends_git_cargo_rustc_and_the_linker() {
    let workspace = two_commits();
    let tools = Tools::new(&workspace);
    let compare = ["compare", "--title", "T", "--change", "c", "--base", "HEAD~1"];
    let calls = [
        ("cargo", "*\\ metadata\\ *"),
        ("git", "*\\ --show-toplevel\\ *"),
        ("git", "*\\ status\\ *"),
        ("git", "*\\ worktree\\ add\\ *"),
        ("git", "*\\ checkout\\ *"),
        ("rustc", "\\ --version\\ *"),
        ("cc", "*--randomize-section-padding=*"),
    ];
    for (at, (program, pattern)) in calls.into_iter().enumerate() {
        tools.hang(program, pattern);
        {
            let _turn = turn();
            let started = Started::new(tools.first(workspace.command(&compare)));
            wait_until(&format!("{program} {pattern} hangs"), || !tools.diary().is_empty());
            started.signal(["-INT", "-TERM"][at % 2]);
            started.finish().expect(1, &["interrupted: nothing was logged"]);
        }
        assert_no_process_is_left(&tools.diary());
        assert_nothing_is_written(&workspace);
        assert_eq!(workspace.git(&["worktree", "prune", "--dry-run"]), "", "after {program} {pattern}");
        tools.forget();
        tools.remove(program);
    }
    // An entry that is measured already is not lost.
    tools.hang("git", "*\\ update-ref\\ *");
    let measured = {
        let _turn = turn();
        let started = Started::new(tools.first(workspace.command(&compare)));
        wait_until("git hangs as it keeps the revision", || !tools.diary().is_empty());
        started.signal("-INT");
        started.finish().expect(1, &["the entry could not be logged", "log import"])
    };
    assert_no_process_is_left(&tools.diary());
    assert_nothing_is_written(&workspace);
    let saved = measured.stderr.split("log import ").nth(1).unwrap().split([':', '\n']).next().unwrap().to_owned();
    workspace.assay(&["log", "import", &saved]).expect(0, &[]);
    workspace.assay(&["log", "check"]).expect(0, &["1 entries agree"]);
}
