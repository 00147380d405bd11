//! Ctrl-C and requests to terminate, as a flag.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};

/// Becomes true once the user pressed Ctrl-C or the process was asked to terminate.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// The process was interrupted before its work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted: nothing was logged")]
pub struct Interrupted;

/// A process has one set of signal handlers, and so one flag.
static OF_PROCESS: OnceLock<Interrupt> = OnceLock::new();

impl Interrupt {
    /// Registers the handlers of SIGINT and SIGTERM. A second signal ends the process at once, as users expect.
    pub fn install() -> Result<Self> {
        if let Some(installed) = OF_PROCESS.get() {
            return Ok(installed.clone());
        }
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
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

/// Whether an error is the consequence of an interrupt.
pub fn is_interrupted(error: &anyhow::Error) -> bool {
    error.is::<Interrupted>()
}
