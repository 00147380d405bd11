//! Ctrl-C, requests to terminate, and a terminal that is closed, as a flag.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};

/// Becomes true once the user pressed Ctrl-C or closed the terminal, or the process was asked to terminate.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// The process was interrupted before its work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted: nothing was logged")]
pub struct Interrupted;

/// A process has one set of signal handlers, and so one flag.
static OF_PROCESS: OnceLock<Interrupt> = OnceLock::new();

impl Interrupt {
    /// Registers the handlers of SIGINT, SIGTERM and, unless it is ignored as under `nohup`, SIGHUP. A second signal
    /// ends the process at once, as users expect.
    pub fn install() -> Result<Self> {
        if let Some(installed) = OF_PROCESS.get() {
            return Ok(installed.clone());
        }
        let flag = Arc::new(AtomicBool::new(false));
        #[cfg(unix)]
        let hangup = (!ignores_hangup()).then_some(signal_hook::consts::SIGHUP);
        #[cfg(not(unix))]
        let hangup = None;
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM].into_iter().chain(hangup) {
            signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&flag))
                .context("failed to install the signal handler")?;
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("failed to install the signal handler")?;
        }
        Ok(OF_PROCESS.get_or_init(|| Self(flag)).clone())
    }

    /// The flag of the installed handlers; one that is never set where none are.
    pub(crate) fn of_process() -> Self {
        OF_PROCESS.get().cloned().unwrap_or_default()
    }

    /// [`Interrupted`] once a signal came; call it between steps.
    pub fn check(&self) -> Result<()> {
        if self.is_set() { Err(Interrupted.into()) } else { Ok(()) }
    }

    /// Behaves from now on as if a signal had come.
    #[cfg(test)]
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a signal came.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether this process was started with SIGHUP ignored, so that it outlives its terminal.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    // SAFETY: an all-zero sigaction is a valid value; without a new action, the call only writes the present one into a
    // live struct.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Whether an error is the consequence of an interrupt.
pub fn is_interrupted(error: &anyhow::Error) -> bool {
    error.is::<Interrupted>()
}
