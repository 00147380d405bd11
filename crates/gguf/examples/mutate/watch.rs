//! Ends the process with the seed of a file that makes the reader hang or panic.

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// Longer than any file of a few kilobytes can take, even on a busy machine.
const HANGS: Duration = Duration::from_secs(5);

/// The current seed.
static SEED: AtomicU64 = AtomicU64::new(0);
/// When it began, in milliseconds since the start of the process.
static BEGAN: AtomicU64 = AtomicU64::new(0);

/// Records the current seed.
pub(crate) struct Watch(Instant);

impl Watch {
    /// Starts the watching thread, which ends with the process.
    pub(crate) fn start() -> Self {
        let start = Instant::now();
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(200));
                // The seed is read first: if the file ends in between, the elapsed time is only shorter.
                let (seed, began) = (SEED.load(Relaxed), Duration::from_millis(BEGAN.load(Relaxed)));
                if start.elapsed().saturating_sub(began) > HANGS {
                    eprintln!("seed {seed}: more than {HANGS:?}");
                    process::exit(1);
                }
            }
        });
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            eprintln!("seed {}:", SEED.load(Relaxed));
            hook(info);
        }));
        Self(start)
    }

    /// Begins a seed.
    pub(crate) fn begin(&self, seed: u64) {
        BEGAN.store(self.0.elapsed().as_millis() as u64, Relaxed);
        SEED.store(seed, Relaxed);
    }
}
