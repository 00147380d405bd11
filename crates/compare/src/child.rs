//! A child process that is never left behind.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Child, Command, ExitStatus};

use anyhow::{Context, Result};

use crate::command;

/// How much of a failed process's output is kept for the message.
const TAIL_BYTES: u64 = 16 << 10;

/// A child process and everything it starts.
#[derive(Debug)]
pub struct Group(Child);

impl Group {
    /// Starts `command` as the leader of a group of its own.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let child = command::unless_busy(|| command.spawn())
            .with_context(|| format!("failed to start `{}`", command::shown(command)))?;
        Ok(Self(child))
    }

    /// Process id of the leader, and id of the group.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Kills the group now; it is still to be waited for.
    pub(crate) fn kill_group(id: u32) {
        #[cfg(unix)]
        // SAFETY: killpg takes two integers; the caller's child of this id is not reaped yet, so the id is still its
        // group.
        unsafe {
            libc::killpg(id as libc::pid_t, libc::SIGKILL);
        }
        #[cfg(not(unix))]
        let _ = id;
    }

    /// Stops all threads of the group, spinning ones too, until [`resume`](Self::resume). Where the system cannot, they
    /// go on.
    pub fn stop(&self) {
        #[cfg(unix)]
        self.signal(libc::SIGSTOP);
    }

    /// Lets a stopped group go on.
    pub fn resume(&self) {
        #[cfg(unix)]
        self.signal(libc::SIGCONT);
    }

    #[cfg(unix)]
    fn signal(&self, signal: libc::c_int) {
        // SAFETY: killpg takes two integers; the leader is reaped only by `status` or `drop`, and a group whose leader
        // was just reaped by `status` is at worst gone, which killpg reports and which is harmless.
        unsafe {
            libc::killpg(self.0.id() as libc::pid_t, signal);
        }
    }

    /// The process itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// How it ended; `None` while it runs.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        self.0.try_wait().context("failed to wait for the benchmark")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        // SAFETY: killpg takes two integers. The group exists as long as its leader is not reaped by the wait below;
        // after that the id could only be ours again if the system had wrapped its process ids in between, and the
        // leader of a finished run is reaped at the earliest in `status`, microseconds ago.
        unsafe {
            libc::killpg(self.0.id() as libc::pid_t, libc::SIGKILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks the kernel to kill the child when this process dies, even by SIGKILL.
pub fn die_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    // SAFETY: the closure runs between fork and exec and calls only prctl, which is async-signal-safe; it allocates
    // nothing and takes no lock.
    unsafe {
        use std::os::unix::process::CommandExt;
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// Keeps the child on one processor. A processor that is not there changes nothing.
pub fn pin(command: &mut Command, processor: usize) {
    #[cfg(target_os = "linux")]
    // SAFETY: an all-zero cpu_set_t is a valid empty set, CPU_SET is given an index inside of it, and the closure that
    // runs between fork and exec calls only sched_setaffinity, which is async-signal-safe, on a set that it owns.
    unsafe {
        use std::os::unix::process::CommandExt;
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if processor < libc::CPU_SETSIZE as usize {
            libc::CPU_SET(processor, &mut set);
            command.pre_exec(move || {
                libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (command, processor);
}

/// How many threads a running process has, where the system tells.
pub(crate) fn threads(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok())
}

pub(crate) fn describe(status: ExitStatus) -> String {
    status.to_string()
}

pub(crate) fn last_lines(file: &mut File) -> Result<String> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(command::tail(&bytes))
}
