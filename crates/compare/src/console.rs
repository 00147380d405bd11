//! Where words and progress go: results to standard output, everything else to standard error.
//!
//! Nothing here ticks by itself: while a benchmark is timed, this process sleeps, and a bar moves only between two
//! processes.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::command::printable;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Lines of progress that nobody watches are this far apart.
const LINES: Duration = Duration::from_secs(60);

type Stream = Arc<Mutex<Box<dyn Write + Send>>>;

fn write_line(stream: &Stream, text: &str) {
    let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
    // A note is never worth failing for.
    let _ = writeln!(stream, "{}", printable(text));
}

/// The two streams of a command. Binaries make one; libraries only write to it.
pub struct Console {
    out: Mutex<Box<dyn Write + Send>>,
    err: Stream,
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
            err: Arc::new(Mutex::new(Box::new(std::io::stderr()))),
            interactive: std::io::stderr().is_terminal(),
            shown: std::io::stdout().is_terminal(),
            quiet: AtomicBool::new(false),
        }
    }

    /// Says nothing; for tests.
    pub fn silent() -> Self {
        Self {
            out: Mutex::new(Box::new(std::io::sink())),
            err: Arc::new(Mutex::new(Box::new(std::io::sink()))),
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
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        match writeln!(out, "{}", printable(text)).and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("failed to write to standard output"),
        }
    }

    /// Something worth knowing on the way, unless quiet.
    pub fn note(&self, text: &str) {
        if !self.is_quiet() {
            self.error(text);
        }
    }

    /// Something that must be said even if quiet.
    pub fn error(&self, text: &str) {
        write_line(&self.err, text);
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
        Progress { bar, lines: None }
    }

    /// Progress through `steps` steps, called `unit`, with the time left. Where no bar can be drawn, a line now and
    /// then says it.
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
        let is_shown = !self.interactive && !self.is_quiet();
        let now = Instant::now();
        let lines = is_shown.then(|| Lines {
            stream: self.err.clone(),
            what: what.to_owned(),
            unit: unit.to_owned(),
            started: now,
            said: Mutex::new(now),
            apart: LINES,
        });
        Progress { bar, lines }
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

/// Progress that is shown while work lasts; dropping removes it.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// In place of a bar.
    lines: Option<Lines>,
}

impl Progress {
    /// Shows what is being worked on.
    pub fn say(&self, what: &str) {
        self.bar.set_message(printable(what).replace(['\n', '\t'], " "));
        self.bar.tick();
    }

    /// One step further.
    pub fn step(&self) {
        self.bar.inc(1);
        if let Some(lines) = &self.lines {
            lines.step(self.bar.position(), self.bar.length().unwrap_or(0));
        }
    }

    /// More steps than were planned.
    pub fn extend(&self, steps: u64) {
        self.bar.inc_length(steps);
    }

    /// Removes it.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Progress as lines of text.
struct Lines {
    stream: Stream,
    what: String,
    unit: String,
    started: Instant,
    /// When the last line was written.
    said: Mutex<Instant>,
    apart: Duration,
}

impl Lines {
    fn step(&self, done: u64, of: u64) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() < self.apart || done == 0 {
            return;
        }
        *said = Instant::now();
        let left = self.started.elapsed().as_secs_f64() / done as f64 * of.saturating_sub(done) as f64;
        let left = (left / 60.0).ceil();
        write_line(&self.stream, &format!("{}: {done} of {of} {}, about {left} min left", self.what, self.unit));
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("what", &self.what).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_colored_and_parts_of_names_are_not() {
        let text = "| a/SLOWER | SLOWER  | x\nFASTER: SLOWERS INCONCLUSIVE";
        let expected = "| a/SLOWER | \u{1b}[31mSLOWER\u{1b}[0m  | x\n\
            \u{1b}[32mFASTER\u{1b}[0m: SLOWERS \u{1b}[33mINCONCLUSIVE\u{1b}[0m";
        assert_eq!(colored(text), expected);
    }

    /// A pipe gets no bar, and the time that is left all the same.
    #[test]
    fn progress_that_nobody_watches_is_told_in_lines() {
        let (reader, writer) = std::io::pipe().unwrap();
        let console = Console { err: Arc::new(Mutex::new(Box::new(writer))), ..Console::silent() };
        let mut progress = console.bar("measuring", 4, "cases");
        progress.step();
        progress.lines.as_mut().unwrap().apart = Duration::ZERO;
        progress.step();
        progress.step();
        drop((progress, console));
        let said = std::io::read_to_string(reader).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 3, "one at the start, none before its time, and two: {said}");
        assert_eq!(lines[0], "measuring: 4 cases …");
        assert_eq!(lines[2], "measuring: 3 of 4 cases, about 1 min left");
    }
}
