//! Where words and progress go: results to standard output, everything else to standard error.
//!
//! Nothing here ticks by itself: while a benchmark is timed, this process sleeps, and a bar moves only between two
//! processes.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::command::printable;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The two streams of a command. Binaries make one; libraries only write to it.
pub struct Console {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    /// Whether standard error is a terminal.
    interactive: bool,
    /// Whether standard output is one.
    shown: bool,
    quiet: AtomicBool,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("interactive", &self.interactive).finish_non_exhaustive()
    }
}

impl Console {
    /// Standard output and standard error; bars are drawn if the latter is a terminal.
    pub fn standard() -> Self {
        Self {
            out: Mutex::new(Box::new(std::io::stdout())),
            err: Mutex::new(Box::new(std::io::stderr())),
            interactive: std::io::stderr().is_terminal(),
            shown: std::io::stdout().is_terminal(),
            quiet: AtomicBool::new(false),
        }
    }

    /// Says nothing; for tests.
    pub fn silent() -> Self {
        Self {
            out: Mutex::new(Box::new(std::io::sink())),
            err: Mutex::new(Box::new(std::io::sink())),
            interactive: false,
            shown: false,
            quiet: AtomicBool::new(false),
        }
    }

    /// Leaves only results and errors: no notes, no progress.
    pub fn set_quiet(&self, quiet: bool) {
        self.quiet.store(quiet, Ordering::Relaxed);
    }

    /// Whether progress is drawn.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed)
    }

    /// A report: verdicts in color if standard output is a terminal and `may_color`.
    pub fn report(&self, text: &str, may_color: bool) -> Result<()> {
        if self.shown && may_color { self.print(&colored(text)) } else { self.print(text) }
    }

    /// A result. A reader that went away (`| head`) is no error.
    pub fn print(&self, text: &str) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match writeln!(out, "{}", printable(text)).and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("failed to write to standard output"),
        }
    }

    /// Something worth knowing on the way, unless quiet. It is never worth failing for.
    pub fn note(&self, text: &str) {
        if !self.is_quiet() {
            self.error(text);
        }
    }

    /// Something that must be said even if quiet.
    pub fn error(&self, text: &str) {
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
        if self.interactive && !self.is_quiet() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
    }
}

/// `text` with its verdicts in color: red for what fails, green for what improved, yellow for what is undecided. Tables
/// keep their widths, since only whole words are framed.
fn colored(text: &str) -> String {
    const COLORS: [(&str, &[&str]); 3] = [
        ("31", &["SLOWER", "INVALID", "TIMEOUT", "GONE", "WORSE", "NO VERDICT"]),
        ("32", &["FASTER"]),
        ("33", &["INCONCLUSIVE"]),
    ];
    let words = COLORS.iter().flat_map(|(color, words)| words.iter().map(move |word| (*color, *word)));
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '/' | '-'));
    words.fold(text.to_owned(), |text, (color, word)| {
        let mut painted = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(word) {
            let (before, found) = rest.split_at(at);
            let (found, after) = found.split_at(word.len());
            painted.push_str(before);
            let inside = is_part(painted.chars().next_back()) || is_part(after.chars().next());
            painted.push_str(&if inside { found.to_owned() } else { format!("\u{1b}[{color}m{found}\u{1b}[0m") });
            rest = after;
        }
        painted + rest
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_colored_and_parts_of_names_are_not() {
        let text = "| a/SLOWER | SLOWER  | x\nFASTER: SLOWERS INCONCLUSIVE";
        let expected = "| a/SLOWER | \u{1b}[31mSLOWER\u{1b}[0m  | x\n\u{1b}[32mFASTER\u{1b}[0m: SLOWERS \u{1b}[33mINCONCLUSIVE\u{1b}[0m";
        assert_eq!(colored(text), expected);
    }
}
