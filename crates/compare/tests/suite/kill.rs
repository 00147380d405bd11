//! The log is whole after a kill at any system call that changes a file.
//!
//! The tool adds an entry (`log import`) under ptrace. It is killed right before and right after every such call, in
//! one run for each, until a run completes. After each kill and the recovery by the next run, the text and the data
//! must agree, and no file of ours may count as the user's work.
#![cfg(target_arch = "x86_64")]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use compare::log::{Log, check};
use serde_json::{Value, json};

use crate::fake::scripted;
use crate::workspace::Workspace;

/// Calls that create, change, move or remove a file. `openat` counts where it may create one.
const CHANGING: [(libc::c_long, &str); 15] = [
    (libc::SYS_write, "write"),
    (libc::SYS_pwrite64, "pwrite64"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_ftruncate, "ftruncate"),
    (libc::SYS_rename, "rename"),
    (libc::SYS_renameat, "renameat"),
    (libc::SYS_renameat2, "renameat2"),
    (libc::SYS_linkat, "linkat"),
    (libc::SYS_unlink, "unlink"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_mkdir, "mkdir"),
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_chmod, "chmod"),
    (libc::SYS_fchmod, "fchmod"),
];
/// Marks a stop at a system call, with `PTRACE_O_TRACESYSGOOD`.
const SYSTEM_CALL: libc::c_int = libc::SIGTRAP | 0x80;

/// How a command ended under [`kill_at`].
pub(crate) enum Ending {
    /// It was killed at this call.
    Killed(&'static str),
    /// It ended by itself, after so many stops.
    Ended(usize),
}

/// Runs `command` and kills it at the `nth` stop, counted from 0, right before and right after each changing call of
/// its main thread.
pub(crate) fn kill_at(mut command: Command, nth: usize) -> Ending {
    // SAFETY: the closure runs between fork and exec and calls only ptrace, which takes integers here and is
    // async-signal-safe.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    let pid = command.spawn().unwrap().id() as libc::pid_t;
    let stopped = || {
        let mut status = 0;
        // SAFETY: `status` is a live c_int, and the process is our child, which nobody else waits for.
        let found = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(found, pid, "{}", io::Error::last_os_error());
        libc::WIFSTOPPED(status).then(|| libc::WSTOPSIG(status))
    };
    let request = |what: libc::c_uint, data: libc::c_long| {
        // SAFETY: the traced child is stopped and is traced by this thread; these requests take integers.
        let result = unsafe { libc::ptrace(what, pid, 0, data) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
    };
    assert_eq!(stopped(), Some(libc::SIGTRAP), "it stops as it begins");
    request(libc::PTRACE_SETOPTIONS, (libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL).into());
    let (mut stops, mut entering, mut changes, mut signal) = (0, true, None, 0);
    loop {
        request(libc::PTRACE_SYSCALL, signal);
        signal = match stopped() {
            None => return Ending::Ended(stops),
            Some(SYSTEM_CALL) => {
                // SAFETY: an all-zero register set is a valid value, and ptrace fills it for the stopped child.
                let registers = unsafe {
                    let mut registers: libc::user_regs_struct = std::mem::zeroed();
                    assert_eq!(libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut registers), 0);
                    registers
                };
                let call = registers.orig_rax;
                if entering {
                    let creates = call == libc::SYS_openat as u64 && registers.rdx & libc::O_CREAT as u64 != 0;
                    let known = CHANGING.iter().find(|(known, _)| *known as u64 == call).map(|(_, name)| *name);
                    changes = if creates { Some("openat") } else { known };
                }
                entering = !entering;
                if let (Some(name), true) = (changes, stops == nth) {
                    // SAFETY: kill takes two integers; the process is our child and not waited for yet.
                    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
                    while stopped().is_some() {}
                    return Ending::Killed(name);
                }
                stops += usize::from(changes.is_some());
                0
            }
            Some(other) => other.into(),
        };
    }
}

const ID: &str = "20260101T000000-0a1b2c";

/// The content of a file, empty where there is none.
fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Adds an entry to the log of a workspace, and kills the tool at every point. Returns the number of points.
fn killed_everywhere(workspace: &Workspace, file: &Path, data: &Path) -> usize {
    let log = Log::open(&workspace.root());
    let before = (text_of(&log.text_path()), text_of(data));
    let known = check(&log).unwrap().0;
    let import = || {
        let mut command = workspace.command(&["log", "import"]);
        command.arg(file).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let (mut points, mut calls, mut outcomes) = (0, BTreeSet::new(), [0, 0]);
    while let Ending::Killed(call) = kill_at(import(), points) {
        calls.insert(call);
        // Each file is in its old or its new state, and the text is never ahead of the data.
        let now = (text_of(&log.text_path()), text_of(data));
        let entries = |text: &str| text.matches(ID).count();
        assert!(entries(&now.0) <= entries(&now.1).min(1), "killed at point {points}: the text is ahead of the data");
        assert!(now.1.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "a torn line at point {points}");
        for fault in check(&log).unwrap().2 {
            assert!(fault.reason.contains("finishes the entry"), "{fault:?} at point {points}");
        }
        log.recover().unwrap();
        let (checked, _, faults) = check(&log).unwrap();
        assert!((known..=known + 1).contains(&checked) && faults.is_empty(), "killed at point {points}: {faults:?}");
        outcomes[checked - known] += 1;
        let dirt = workspace.git(&["status", "--porcelain"]);
        assert!(dirt.lines().all(|line| line.ends_with("BENCHMARKS.md") || line.ends_with("baselines/")), "{dirt}");
        for (path, text) in [(log.text_path(), &before.0), (data.to_owned(), &before.1)] {
            if text.is_empty() { drop(fs::remove_file(path)) } else { fs::write(path, text).unwrap() }
        }
        points += 1;
    }
    // The last run completed.
    assert_eq!(check(&log).unwrap().0, known + 1);
    workspace.run(import()).expect(0, &[]);
    workspace.assay(&["log", "check"]).expect(0, &["entries agree"]);
    assert!(calls.len() >= 5, "calls {calls:?}");
    assert!(outcomes.iter().all(|count| *count > 0), "kills before and after the entry: {outcomes:?}");
    points
}

#[test]
fn the_log_is_whole_after_a_kill_at_any_call_that_changes_a_file() {
    let workspace = Workspace::new(&json!({"benches": [{"id": scripted("g|f")}]}));
    workspace.assay(&["compare", "--title", "T", "--change", "c", "--one-link"]).expect(0, &["logged"]);
    let data = Log::open(&workspace.root()).data().unwrap()[0].0.clone();
    let mut entry: Value = serde_json::from_str(text_of(&data).lines().next().unwrap()).unwrap();
    entry["id"] = json!(ID);
    entry["change"] = json!("imported");
    let file = workspace.cache().join("unsaved.json");
    fs::write(&file, entry.to_string()).unwrap();
    let second = killed_everywhere(&workspace, &file, &data);
    // The same where there is no log yet.
    fs::remove_file(workspace.root().join("BENCHMARKS.md")).unwrap();
    fs::remove_dir_all(workspace.root().join("baselines")).unwrap();
    let first = killed_everywhere(&workspace, &file, &data);
    assert!(first + second >= 40, "{first} + {second} points");
}
