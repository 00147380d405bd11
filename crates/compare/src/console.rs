//! Where words and progress go: results to standard output, everything else to standard error.
//!
//! Nothing here ticks by itself: while a benchmark is timed, this process sleeps, and a bar moves only between two
//! processes.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;

use crate::command::printable;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The two streams of a command. Binaries make one; libraries only write to it.
pub struct Console {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    interactive: bool,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("interactive", &self.interactive).finish_non_exhaustive()
    }
}

impl Console {
    /// Standard output and standard error; bars are drawn if the latter is a terminal.
    pub fn standard() -> Self {
        let interactive = std::io::stderr().is_terminal();
        Self { out: Mutex::new(Box::new(std::io::stdout())), err: Mutex::new(Box::new(std::io::stderr())), interactive }
    }

    /// Says nothing; for tests.
    pub fn silent() -> Self {
        Self {
            out: Mutex::new(Box::new(std::io::sink())),
            err: Mutex::new(Box::new(std::io::sink())),
            interactive: false,
        }
    }

    /// A result. A reader that went away (`| head`) is no error.
    pub fn print(&self, text: &str) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match writeln!(out, "{}", printable(text)).and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("failed to write to standard output"),
        }
    }

    /// Something worth knowing on the way. It is never worth failing for.
    pub fn note(&self, text: &str) {
        let mut err = self.err.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = writeln!(err, "{}", printable(text));
    }

    /// Progress of unknown length.
    pub fn spinner(&self, what: &str) -> Progress {
        if !self.interactive {
            self.note(&format!("{what} …"));
        }
        let bar = ProgressBar::with_draw_target(None, self.target());
        bar.set_style(
            ProgressStyle::with_template("{spinner} {prefix} ({elapsed}) {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.set_prefix(what.to_owned());
        bar.tick();
        Progress(bar)
    }

    /// Progress through `steps` steps, called `unit`, with the time left.
    pub fn bar(&self, what: &str, steps: u64, unit: &str) -> Progress {
        if !self.interactive {
            self.note(&format!("{what}: {steps} {unit} …"));
        }
        let bar = ProgressBar::with_draw_target(Some(steps), self.target());
        let template = "{prefix} [{bar:30}] {pos}/{len}, {eta} left  {wide_msg}";
        bar.set_style(
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> "),
        );
        bar.set_prefix(what.to_owned());
        bar.tick();
        Progress(bar)
    }

    fn target(&self) -> ProgressDrawTarget {
        if self.interactive { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
    }
}

/// A bar or spinner; it disappears when finished or dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Shows what is being worked on.
    pub fn say(&self, what: &str) {
        self.0.set_message(printable(what).replace(['\n', '\t'], " "));
        self.0.tick();
    }

    /// One step further.
    pub fn step(&self) {
        self.0.inc(1);
    }

    /// More steps than were planned.
    pub fn extend(&self, steps: u64) {
        self.0.inc_length(steps);
    }

    /// Removes it.
    pub fn finish(self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
