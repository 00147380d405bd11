//! Names the seed of a file that makes the reader hang or panic, and ends the process.

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// Longer than any file of some kilobytes can take, however busy the machine is.
const HANGS: Duration = Duration::from_secs(5);

/// The seed in work.
static SEED: AtomicU64 = AtomicU64::new(0);
/// When it began, in milliseconds since the process did.
static BEGAN: AtomicU64 = AtomicU64::new(0);

/// Tells the watch of each seed.
pub(crate) struct Watch(Instant);

impl Watch {
    /// Starts the thread that looks. It ends with the process.
    pub(crate) fn start() -> Self {
        let start = Instant::now();
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(200));
                // The seed first: a file that ends meanwhile only makes the time shorter.
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

    /// A seed begins.
    pub(crate) fn begin(&self, seed: u64) {
        BEGAN.store(self.0.elapsed().as_millis() as u64, Relaxed);
        SEED.store(seed, Relaxed);
    }
}
