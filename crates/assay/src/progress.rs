//! Progress with the time left, on stderr, where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that disappears when the work is done.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Work that is measured in bytes.
    pub(crate) fn bytes(what: &'static str, total: u64) -> Self {
        let bar = ProgressBar::new(total).with_message(what);
        let template = "{msg} [{bar:30}] {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// So much more is done.
    pub(crate) fn add(&self, amount: u64) {
        self.0.inc(amount);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
