//! The pool: volumes by load, decoded ahead of their first use.
//!
//! Loads are decoded in the order of their numbers, which is the order of their first use ([`Schedule`]). A load leaves
//! the pool when the last of its samples has taken it. The next one is begun while at most `slots` are there, so one
//! volume more than the pool has slots is held, if any is ever replaced. This cannot block: the earliest sample that
//! waits needs a load before which at most `slots` - 1 others are still in use.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use std::time::Instant;

use nifti_decode::Decoder;

use crate::{LoaderError, OnFailure, Schedule, Source, Volume, counters::Shared, memory::Recycler};

/// A volume that is held, counted while it is.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) volume: Volume,
    pub(crate) file: usize,
    bytes: usize,
    counters: Arc<Shared>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counters.release(self.bytes);
    }
}

/// How volumes are loaded: the files that are tried for a load, and what a failure means.
pub(crate) struct Loading {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) schedule: Schedule,
    pub(crate) on_failure: OnFailure,
    pub(crate) counters: Arc<Shared>,
    pub(crate) recycler: Arc<Recycler>,
}

impl Loading {
    /// Load `k`: its file or, where failing files are skipped, the next number that can be read.
    pub(crate) fn load(&self, k: u64, decoder: &mut Decoder) -> Result<Held, LoaderError> {
        let (files, first) = (self.source.len(), self.schedule.file_of(k));
        let mut last = None;
        for attempt in 0..files {
            let file = (first + attempt) % files;
            let outcome = match self.counters.fault_of(file) {
                Some(error) => Err(error),
                None => self.source.load(file, self.recycler.memory(), decoder),
            };
            match (outcome, self.on_failure) {
                (Ok(volume), _) => return Ok(self.held(volume, file)),
                (Err(error), OnFailure::Stop) => return Err(error),
                (Err(error), OnFailure::Skip) => {
                    self.counters.skip(file, error.clone());
                    last = Some(error);
                }
            }
        }
        let last = last.unwrap_or(LoaderError::Setting { setting: "files", got: files, need: 1 });
        Err(LoaderError::NoFile { files, last: Box::new(last) })
    }

    fn held(&self, volume: Volume, file: usize) -> Held {
        let counters = Arc::clone(&self.counters);
        let bytes = volume.bytes();
        counters.loads.fetch_add(1, Relaxed);
        counters.decoded_bytes.fetch_add(volume.stored_bytes() as u64, Relaxed);
        counters.hold(bytes);
        Held { volume, file, bytes, counters }
    }
}

/// Volumes that several samples are taken from.
pub(crate) struct Pool {
    loading: Loading,
    state: Mutex<State>,
    /// A load is there, or the pool stopped.
    ready: Condvar,
    /// A load may be begun, or the pool stopped.
    room: Condvar,
    is_stopped: AtomicBool,
}

#[derive(Default)]
struct State {
    /// The load that is begun next.
    next: u64,
    /// Loads that are begun and still needed.
    live: BTreeMap<u64, Entry>,
}

struct Entry {
    /// Samples that still take it.
    uses: u64,
    /// `None` while it is decoded.
    outcome: Option<Result<Arc<Held>, LoaderError>>,
}

impl Pool {
    pub(crate) fn new(loading: Loading) -> Self {
        Self {
            loading,
            state: Mutex::default(),
            ready: Condvar::new(),
            room: Condvar::new(),
            is_stopped: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decodes loads until the pool stops: the whole life of a thread.
    pub(crate) fn decode(&self) {
        let mut decoder = Decoder::new();
        let slots = self.loading.schedule.slots();
        loop {
            let mut state = self.lock();
            // A pool that is full and never replaced needs no other volume.
            let most = if self.loading.schedule.is_replaced() { slots } else { slots - 1 };
            while state.live.len() > most && !self.is_stopped.load(Relaxed) {
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if self.is_stopped.load(Relaxed) {
                return;
            }
            let k = state.next;
            state.next += 1;
            state.live.insert(k, Entry { uses: self.loading.schedule.uses_of(k), outcome: None });
            drop(state);
            let loaded = guarded(|| self.loading.load(k, &mut decoder));
            if loaded.is_ok() && k >= slots as u64 {
                self.loading.counters.replacements.fetch_add(1, Relaxed);
            }
            if let Some(entry) = self.lock().live.get_mut(&k) {
                entry.outcome = Some(loaded.map(Arc::new));
            }
            self.ready.notify_all();
        }
    }

    /// The volume of sample `i`; waits until it is there. Every sample takes its volume once. `None` if the pool
    /// stopped.
    pub(crate) fn take(&self, i: u64) -> Option<Result<Arc<Held>, LoaderError>> {
        let k = self.loading.schedule.load_of(i);
        let mut waits_since = None;
        let mut state = self.lock();
        let outcome = loop {
            if self.is_stopped.load(Relaxed) {
                return None;
            }
            if let Some(entry) = state.live.get_mut(&k)
                && let Some(outcome) = entry.outcome.clone()
            {
                entry.uses -= 1;
                if entry.uses == 0 {
                    state.live.remove(&k);
                    self.room.notify_all();
                }
                break outcome;
            }
            waits_since.get_or_insert_with(Instant::now);
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        if let Some(since) = waits_since {
            self.loading.counters.volume_waits.add(since);
        }
        Some(outcome)
    }

    /// Ends all waiting.
    pub(crate) fn stop(&self) {
        let state = self.lock();
        self.is_stopped.store(true, Relaxed);
        drop(state);
        self.ready.notify_all();
        self.room.notify_all();
    }
}

/// Runs code that is not ours; a panic becomes an error.
pub(crate) fn guarded<T>(code: impl FnOnce() -> Result<T, LoaderError>) -> Result<T, LoaderError> {
    // What a panic leaves behind is overwritten or dropped.
    catch_unwind(AssertUnwindSafe(code)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let reason = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_owned();
        Err(LoaderError::Panicked { reason })
    })
}
