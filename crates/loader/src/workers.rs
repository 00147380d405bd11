//! Who fills batches: threads that put them into a ring, or the caller.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed};
use std::time::{Duration, Instant};

use nifti_decode::Decoder;

use crate::{
    Batch, LoaderError, Pixel, Sampler,
    batch::{Buffers, Recycler},
    counters::Shared,
    pool::{Held, Loading, Pool, guarded},
    sample::random,
};

/// Where the volume of a sample comes from.
pub(crate) enum Volumes {
    /// A pool that threads of its own fill.
    Pool(Pool),
    /// A file for every sample, decoded by whoever makes the sample.
    Cold(Loading),
}

impl Volumes {
    fn take(&self, i: u64, decoder: &mut Decoder) -> Option<Result<Arc<Held>, LoaderError>> {
        match self {
            Self::Pool(pool) => pool.take(i),
            Self::Cold(loading) => Some(loading.load(loading.schedule.load_of(i), decoder).map(Arc::new)),
        }
    }

    /// Sample `i` is not made; `None` if the pool stopped.
    fn pass(&self, i: u64) -> Option<()> {
        match self {
            Self::Pool(pool) => pool.take(i).map(drop),
            Self::Cold(_) => Some(()),
        }
    }
}

/// What makes a batch, shared by all that do.
pub(crate) struct Filler<S: Sampler, T> {
    pub(crate) volumes: Volumes,
    pub(crate) sampler: S,
    pub(crate) shape: Vec<usize>,
    pub(crate) seed: u64,
    pub(crate) batch: usize,
    /// Samples in all; `None` for no end.
    pub(crate) samples: Option<u64>,
    pub(crate) counters: Arc<Shared>,
    pub(crate) recycler: Arc<Recycler<T, S::Label>>,
}

/// A batch, or why there is none.
pub(crate) type Filled<T, L> = Result<Batch<T, L>, LoaderError>;

impl<S: Sampler, T: Pixel> Filler<S, T> {
    /// Batches in all.
    pub(crate) fn batches(&self) -> u64 {
        self.samples.map_or(u64::MAX, |samples| samples.div_ceil(self.batch as u64))
    }

    /// Batch `number`; `None` if the loader stopped.
    pub(crate) fn fill(&self, number: u64, decoder: &mut Decoder) -> Option<Filled<T, S::Label>> {
        let first = number * self.batch as u64;
        let count = self.samples.map_or(self.batch as u64, |samples| (samples - first).min(self.batch as u64));
        let pixels: usize = self.shape.iter().product();
        let mut buffers = self.recycler.take();
        buffers.resize(count as usize, pixels);
        let Buffers { pixels: out, labels, files } = &mut buffers;
        for (at, (label, file)) in labels.iter_mut().zip(files).enumerate() {
            let i = first + at as u64;
            let outcome = guarded(|| match self.volumes.take(i, decoder) {
                None => Ok(None),
                Some(held) => {
                    let held = held?;
                    let out = &mut out[pixels * at..][..pixels];
                    self.sampler.sample(&held.volume, &mut random(self.seed, i), out, label)?;
                    Ok(Some(held.file))
                }
            });
            match outcome {
                Ok(None) => return None,
                Ok(Some(number)) => *file = number,
                Err(error) => {
                    self.recycler.keep(buffers);
                    // The pool waits until every sample has taken its volume.
                    for i in i + 1..first + count {
                        self.volumes.pass(i)?;
                    }
                    return Some(Err(error));
                }
            }
            self.counters.samples.fetch_add(1, Relaxed);
        }
        Some(Ok(self.recycler.batch(first, &self.shape, buffers)))
    }
}

/// Batches that are filled ahead, in order.
pub(crate) struct Ring<T, L> {
    state: Mutex<Slots<T, L>>,
    /// A batch is there.
    filled: Condvar,
    /// A batch may be begun.
    room: Condvar,
    depth: usize,
    counters: Arc<Shared>,
}

struct Slots<T, L> {
    /// The batch at the front.
    first: u64,
    /// The batch that is begun next.
    next: u64,
    end: u64,
    /// Batches from `first` on; `None` while they are filled.
    filled: VecDeque<Option<Filled<T, L>>>,
    is_stopped: bool,
}

impl<T, L> Ring<T, L> {
    /// Room for `depth` batches of `end`.
    pub(crate) fn new(depth: usize, end: u64, counters: Arc<Shared>) -> Self {
        let state = Slots { first: 0, next: 0, end, filled: VecDeque::with_capacity(depth), is_stopped: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), room: Condvar::new(), depth, counters }
    }

    fn lock(&self) -> MutexGuard<'_, Slots<T, L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills batches until there are no more: the whole life of a worker.
    pub(crate) fn work<S: Sampler<Label = L>>(&self, filler: &Filler<S, T>)
    where
        T: Pixel,
    {
        let mut decoder = Decoder::new();
        loop {
            let mut slots = self.lock();
            while slots.filled.len() >= self.depth && !slots.is_stopped {
                slots = self.room.wait(slots).unwrap_or_else(PoisonError::into_inner);
            }
            if slots.is_stopped || slots.next >= slots.end {
                return;
            }
            let number = slots.next;
            slots.next += 1;
            slots.filled.push_back(None);
            drop(slots);
            let Some(batch) = filler.fill(number, &mut decoder) else { return };
            let mut slots = self.lock();
            let place = (number - slots.first) as usize;
            if let Some(slot) = slots.filled.get_mut(place) {
                *slot = Some(batch);
            }
            drop(slots);
            self.filled.notify_all();
        }
    }

    /// The next batch in order; `None` at the end.
    pub(crate) fn next(&self) -> Option<Filled<T, L>> {
        let mut waits_since = None;
        let mut slots = self.lock();
        let batch = loop {
            if slots.is_stopped || slots.first >= slots.end {
                return None;
            }
            if let Some(batch) = slots.filled.front_mut().and_then(Option::take) {
                slots.filled.pop_front();
                slots.first += 1;
                break batch;
            }
            waits_since.get_or_insert_with(Instant::now);
            slots = self.filled.wait(slots).unwrap_or_else(PoisonError::into_inner);
        };
        drop(slots);
        self.room.notify_one();
        if let Some(since) = waits_since {
            self.counters.batch_waits.add(since);
        }
        Some(batch)
    }

    /// Whether [`next`](Self::next) would return at once, now or within `at_most`.
    pub(crate) fn wait(&self, at_most: Duration) -> bool {
        let since = Instant::now();
        let is_ready = |slots: &Slots<T, L>| {
            slots.is_stopped || slots.first >= slots.end || matches!(slots.filled.front(), Some(Some(_)))
        };
        let mut slots = self.lock();
        if is_ready(&slots) {
            return true;
        }
        while let Some(left) = at_most.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) {
            slots = self.filled.wait_timeout(slots, left).unwrap_or_else(PoisonError::into_inner).0;
            if is_ready(&slots) {
                break;
            }
        }
        let is_ready = is_ready(&slots);
        drop(slots);
        // A wait in several parts is one wait.
        if is_ready {
            self.counters.batch_waits.add(since);
        } else {
            self.counters.batch_waits.extend(since);
        }
        is_ready
    }

    /// Batches that are filled and wait to be taken, up to the first that is not.
    pub(crate) fn ready(&self) -> usize {
        self.lock().filled.iter().take_while(|batch| batch.is_some()).count()
    }

    /// Ends all waiting.
    pub(crate) fn stop(&self) {
        self.lock().is_stopped = true;
        self.filled.notify_all();
        self.room.notify_all();
    }
}
