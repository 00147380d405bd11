//! A child process that is never left behind.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::command;

/// How much of a failed process's output is kept for the message.
const TAIL_BYTES: u64 = 16 << 10;

/// How long a program that is asked to end may take before it is killed.
const GRACE: Duration = Duration::from_millis(500);

/// A child process and everything it starts.
#[derive(Debug)]
pub struct Group {
    leader: Child,
    /// Whether what the leader left running may go on.
    is_released: bool,
}

impl Group {
    /// Starts `command` as the leader of a group of its own.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        Self::start(command)
    }

    /// Starts `command` as the leader of a session, and so of a group, of its own. It has no terminal: a program that
    /// would read a passphrase there fails, while in a mere group of its own it would be stopped forever. When this
    /// process dies, the leader is asked to end.
    pub(crate) fn in_session(command: &mut Command) -> Result<Self> {
        #[cfg(unix)]
        // SAFETY: the closure runs between fork and exec and calls only setsid and prctl, which are async-signal-safe;
        // it allocates nothing and takes no lock.
        unsafe {
            use std::os::unix::process::CommandExt;
            command.pre_exec(|| {
                libc::setsid();
                #[cfg(target_os = "linux")]
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            });
        }
        Self::start(command)
    }

    fn start(command: &mut Command) -> Result<Self> {
        let leader = command::unless_busy(|| command.spawn())
            .with_context(|| format!("failed to start `{}`", command::shown(command)))?;
        Ok(Self { leader, is_released: false })
    }

    /// Asks all of the group to end, and kills what does not within half a second. Git removes its lock files when it
    /// is asked, but not when it is killed.
    pub(crate) fn end(mut self) {
        #[cfg(unix)]
        self.signal(libc::SIGTERM);
        let deadline = Instant::now() + GRACE;
        while matches!(self.status(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets what the leader left running go on, such as git's maintenance in the background.
    pub(crate) fn release(mut self) {
        self.is_released = true;
    }

    /// Process id of the leader, and id of the group.
    pub fn id(&self) -> u32 {
        self.leader.id()
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
            libc::killpg(self.leader.id() as libc::pid_t, signal);
        }
    }

    /// The process itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.leader
    }

    /// How it ended; `None` while it runs.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        self.leader.try_wait().context("failed to wait for a program")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.is_released {
            return;
        }
        #[cfg(unix)]
        // SAFETY: killpg takes two integers. The group exists as long as its leader is not reaped by the wait below;
        // after that the id could only be ours again if the system had wrapped its process ids in between, and the
        // leader of a finished run is reaped at the earliest in `status`, microseconds ago.
        unsafe {
            libc::killpg(self.leader.id() as libc::pid_t, libc::SIGKILL);
        }
        let _ = self.leader.kill();
        let _ = self.leader.wait();
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
