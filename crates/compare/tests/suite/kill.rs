//! The log is whole after a kill at any system call that changes a file.
//!
//! The tool adds an entry (`log import`) under ptrace and is killed right before the nth such call, for every n, until it
//! gets through. After each kill the text and the data must agree once the next run has recovered, and nothing of ours
//! may count as the user's work.
#![cfg(target_arch = "x86_64")]

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use compare::log::{Log, check};
use serde_json::{Value, json};

use crate::fake::scripted;
use crate::workspace::Workspace;

/// Calls that create, change, move or remove a file.
const CHANGING: [libc::c_long; 14] = [
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_chmod,
    libc::SYS_fchmod,
];
/// Marks a stop at a system call, with `PTRACE_O_TRACESYSGOOD`.
const SYSTEM_CALL: libc::c_int = libc::SIGTRAP | 0x80;

/// Runs `command` and kills it right before the `nth` changing call of its main thread, counted from 0. Returns the call, or
/// `None` if the command ended before.
fn kill_at(mut command: Command, nth: usize) -> Option<u64> {
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
    let (mut calls, mut entering, mut signal) = (0, true, 0);
    loop {
        request(libc::PTRACE_SYSCALL, signal);
        signal = match stopped() {
            None => return None,
            Some(SYSTEM_CALL) if entering => {
                entering = false;
                // SAFETY: an all-zero register set is a valid value, and ptrace fills it for the stopped child.
                let registers = unsafe {
                    let mut registers: libc::user_regs_struct = std::mem::zeroed();
                    assert_eq!(libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut registers), 0);
                    registers
                };
                let call = registers.orig_rax;
                let creates = call == libc::SYS_openat as u64 && registers.rdx & libc::O_CREAT as u64 != 0;
                if creates || CHANGING.iter().any(|known| *known as u64 == call) {
                    if calls == nth {
                        // SAFETY: kill takes two integers; the process is our child and not waited for yet.
                        assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
                        while stopped().is_some() {}
                        return Some(call);
                    }
                    calls += 1;
                }
                0
            }
            Some(SYSTEM_CALL) => {
                entering = true;
                0
            }
            Some(other) => other.into(),
        };
    }
}

/// Text and data of a log.
fn state(workspace: &Workspace, data: &PathBuf) -> (String, String) {
    (workspace.read("BENCHMARKS.md"), fs::read_to_string(data).unwrap())
}

#[test]
fn the_log_is_whole_after_a_kill_at_any_call_that_changes_a_file() {
    let workspace = Workspace::new(&json!({"benches": [{"id": scripted("g|f")}]}));
    workspace.assay(&["compare", "--title", "T", "--change", "c", "--one-link"]).expect(0, &["logged"]);
    let log = Log::open(&workspace.root());
    let data = log.data().unwrap()[0].0.clone();
    let before = state(&workspace, &data);
    let mut entry: Value = serde_json::from_str(before.1.lines().next().unwrap()).unwrap();
    entry["id"] = json!("20260101T000000-0a1b2c");
    entry["change"] = json!("imported");
    let file = workspace.cache().join("unsaved.json");
    fs::write(&file, entry.to_string()).unwrap();
    let import = || {
        let mut command = workspace.command(&["log", "import"]);
        command.arg(&file).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command
    };

    let (mut points, mut kinds, mut both) = (0, std::collections::BTreeSet::new(), [0, 0]);
    while let Some(call) = kill_at(import(), points) {
        kinds.insert(call);
        // What is there right now is the old or the new state of each file, and the data are never behind the text.
        let found = state(&workspace, &data);
        let entries = |text: &str| text.matches("20260101T000000-0a1b2c").count();
        assert!(
            entries(&found.0) <= entries(&found.1).min(1),
            "killed at change {points}: the text is ahead of the data"
        );
        assert!(
            found.1.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
            "a torn line at change {points}"
        );
        for fault in check(&log).unwrap().2 {
            assert!(fault.reason.contains("finishes the entry"), "{fault:?} at change {points}");
        }
        log.recover().unwrap();
        let (checked, _, faults) = check(&log).unwrap();
        assert!((1..=2).contains(&checked) && faults.is_empty(), "killed at change {points}: {faults:?}");
        both[checked - 1] += 1;
        let dirt = workspace.git(&["status", "--porcelain", "--ignored"]);
        assert!(dirt.lines().all(|line| line.ends_with("BENCHMARKS.md") || line.ends_with("baselines/")), "{dirt}");
        fs::write(log.text_path(), &before.0).unwrap();
        fs::write(&data, &before.1).unwrap();
        points += 1;
    }
    // The last one got through.
    assert_eq!(check(&log).unwrap().0, 2);
    workspace.run(import()).expect(0, &[]);
    workspace.assay(&["log", "check"]).expect(0, &["2 entries agree"]);
    assert!(points >= 12 && kinds.len() >= 5, "{points} points, calls {kinds:?}");
    assert!(both.iter().all(|count| *count > 0), "kills before and after the entry: {both:?}");
}
