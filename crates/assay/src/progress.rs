//! Progress with the time left, on stderr, where that is a terminal.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use nifti_decode::Watch;

const TICK: Duration = Duration::from_millis(200);

/// Progress that is removed from the terminal when the work ends.
pub(crate) struct Progress {
    bar: ProgressBar,
    watching: Option<Watching>,
}

/// The thread that moves a bar.
struct Watching {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Progress {
    /// Work of unknown size: the time that it has taken.
    pub(crate) fn elapsed(what: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{msg} {spinner} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self { bar, watching: None }
    }

    /// Work that is measured in bytes.
    pub(crate) fn bytes(what: &'static str, total: u64) -> Self {
        let bar = ProgressBar::new(total).with_message(what);
        let template = "{msg} [{bar:30}] {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self { bar, watching: None }
    }

    /// Work that `watch` counts.
    pub(crate) fn watching(what: &'static str, total: u64, watch: Arc<Watch>) -> Self {
        let mut progress = Self::bytes(what, total);
        if progress.bar.is_hidden() {
            return progress;
        }
        let (bar, is_over) = (progress.bar.clone(), Arc::new(AtomicBool::new(false)));
        let stop = is_over.clone();
        let thread = thread::spawn(move || {
            while !stop.load(Relaxed) {
                bar.set_position(watch.bytes());
                thread::park_timeout(TICK);
            }
        });
        progress.watching = Some(Watching { is_over, thread });
        progress
    }

    /// Runs `print` with the bar hidden: results and the bar may share a terminal.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// So much more is done.
    pub(crate) fn add(&self, amount: u64) {
        self.bar.inc(amount);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(Watching { is_over, thread }) = self.watching.take() {
            is_over.store(true, Relaxed);
            thread.thread().unpark();
            // It only draws, so there is nothing to report if it failed.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}
