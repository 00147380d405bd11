//! What a loader has done so far.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use std::time::{Duration, Instant};

use crate::LoaderError;

/// What a loader has done so far, its workers' unfinished batches included.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Samples made.
    pub samples: u64,
    /// Volumes loaded.
    pub loads: u64,
    /// Of them, those that replaced another in the pool.
    pub replacements: u64,
    /// Bytes of voxels that were decoded, as files store them.
    pub decoded_bytes: u64,
    /// Samples that waited for their volume.
    pub volume_waits: u64,
    /// How long, all threads together.
    pub volume_wait: Duration,
    /// Batches that the caller waited for.
    pub batch_waits: u64,
    /// How long.
    pub batch_wait: Duration,
    /// Most bytes of volumes that were held at once.
    pub peak_volume_bytes: u64,
    /// Files that could not be read, each once.
    pub skipped: Vec<Skipped>,
}

/// A file that was left out.
#[derive(Debug, Clone)]
pub struct Skipped {
    /// Its number.
    pub file: usize,
    /// What is wrong with it.
    pub error: LoaderError,
}

/// Counters that threads share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) samples: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) replacements: AtomicU64,
    pub(crate) decoded_bytes: AtomicU64,
    pub(crate) volume_waits: Waits,
    pub(crate) batch_waits: Waits,
    held_bytes: AtomicU64,
    peak_bytes: AtomicU64,
    skipped: Mutex<Vec<Skipped>>,
}

#[derive(Debug, Default)]
pub(crate) struct Waits {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl Waits {
    pub(crate) fn add(&self, since: Instant) {
        self.count.fetch_add(1, Relaxed);
        self.extend(since);
    }

    /// Adds time to a wait that has not ended.
    pub(crate) fn extend(&self, since: Instant) {
        self.nanos.fetch_add(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Shared {
    pub(crate) fn hold(&self, bytes: usize) {
        let held = self.held_bytes.fetch_add(bytes as u64, Relaxed) + bytes as u64;
        self.peak_bytes.fetch_max(held, Relaxed);
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.held_bytes.fetch_sub(bytes as u64, Relaxed);
    }

    pub(crate) fn skip(&self, file: usize, error: LoaderError) {
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        if skipped.iter().all(|known| known.file != file) {
            skipped.push(Skipped { file, error });
        }
    }

    /// Why a file was skipped before.
    pub(crate) fn fault_of(&self, file: usize) -> Option<LoaderError> {
        let skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        skipped.iter().find(|known| known.file == file).map(|known| known.error.clone())
    }

    pub(crate) fn read(&self) -> Counters {
        let wait = |waits: &Waits| (waits.count.load(Relaxed), Duration::from_nanos(waits.nanos.load(Relaxed)));
        let ((volume_waits, volume_wait), (batch_waits, batch_wait)) =
            (wait(&self.volume_waits), wait(&self.batch_waits));
        Counters {
            samples: self.samples.load(Relaxed),
            loads: self.loads.load(Relaxed),
            replacements: self.replacements.load(Relaxed),
            decoded_bytes: self.decoded_bytes.load(Relaxed),
            volume_waits,
            volume_wait,
            batch_waits,
            batch_wait,
            peak_volume_bytes: self.peak_bytes.load(Relaxed),
            skipped: self.skipped.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
