//! The loader: an iterator of batches, and the threads behind it.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nifti_decode::Decoder;

use crate::{
    Batch, Builder, Cache, Counters, LoaderError, OnFailure, Pixel, Sampler, Schedule, Source, batch, counters, memory,
    pool::{Loading, Pool},
    workers::{Filler, Ring, Volumes},
};

/// An iterator of batches. Dropping it stops its threads and waits for them; a volume that is being decoded is decoded
/// to its end first.
pub struct Loader<S: Sampler, T: Pixel> {
    filler: Arc<Filler<S, T>>,
    counters: Arc<counters::Shared>,
    schedule: Schedule,
    /// `None` without workers.
    ring: Option<Arc<Ring<T, S::Label>>>,
    /// The next batch, for a caller that fills its own.
    next: u64,
    decoder: Decoder,
    is_over: bool,
    ends_on_failure: bool,
    threads: Vec<JoinHandle<()>>,
}

impl<S: Sampler, T: Pixel> Loader<S, T> {
    pub(crate) fn start(builder: Builder, sampler: S) -> Result<Self, LoaderError> {
        let shape = sampler.shape();
        builder.check(shape.iter().product())?;
        let (slots, visits) = match builder.cache {
            Cache::Pool { slots, visits } => (slots, visits),
            Cache::Cold => (1, 1),
        };
        let schedule = Schedule::new(slots, visits, builder.source.len(), builder.seed, builder.is_shuffled);
        let counters = Arc::<counters::Shared>::default();
        // Without a pool, one volume is in use by each worker.
        let spare = if builder.cache == Cache::Cold { builder.workers.max(1) } else { 1 };
        let loading = Loading {
            source: Arc::clone(&builder.source),
            schedule,
            on_failure: builder.on_failure,
            counters: Arc::clone(&counters),
            recycler: memory::Recycler::new(spare),
        };
        let volumes = match builder.cache {
            Cache::Pool { .. } => Volumes::Pool(Pool::new(loading)),
            Cache::Cold => Volumes::Cold(loading),
        };
        let depth = builder.ahead.unwrap_or(2 * builder.workers);
        let filler = Arc::new(Filler {
            volumes,
            sampler,
            shape,
            seed: builder.seed,
            batch: builder.batch,
            samples: builder.samples,
            counters: Arc::clone(&counters),
            recycler: batch::Recycler::new(depth + builder.workers + 1),
        });
        let ring = (builder.workers > 0).then(|| Arc::new(Ring::new(depth, filler.batches(), Arc::clone(&counters))));
        let mut loader = Self {
            filler,
            counters,
            schedule,
            ring,
            next: 0,
            decoder: Decoder::new(),
            is_over: false,
            ends_on_failure: builder.on_failure == OnFailure::Stop,
            threads: Vec::new(),
        };
        // If one does not start, those that did end when `loader` is dropped.
        loader.start_threads(builder.decoders, builder.workers)?;
        Ok(loader)
    }

    fn start_threads(&mut self, decoders: usize, workers: usize) -> Result<(), LoaderError> {
        if matches!(self.filler.volumes, Volumes::Pool(_)) {
            for number in 0..decoders.min(self.schedule.slots()) {
                let filler = Arc::clone(&self.filler);
                self.spawn(format!("decoder {number}"), move || {
                    if let Volumes::Pool(pool) = &filler.volumes {
                        pool.decode();
                    }
                })?;
            }
        }
        if let Some(ring) = self.ring.clone() {
            for number in 0..workers {
                let (ring, filler) = (Arc::clone(&ring), Arc::clone(&self.filler));
                self.spawn(format!("sampler {number}"), move || ring.work(&filler))?;
            }
        }
        Ok(())
    }

    fn spawn(&mut self, name: String, code: impl FnOnce() + Send + 'static) -> Result<(), LoaderError> {
        let thread = thread::Builder::new().name(name).spawn(code);
        self.threads.push(thread.map_err(|error| LoaderError::Thread { reason: error.to_string() })?);
        Ok(())
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.counters.read()
    }

    /// Which file every sample comes from, as long as all can be read.
    pub fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// Whether [`next`](Iterator::next) returns without waiting for a worker, now or within `at_most`: for callers that
    /// have other things to look after. Without workers, `next` does the work itself, so this is `true` at once.
    pub fn wait(&self, at_most: Duration) -> bool {
        self.is_over || self.ring.as_ref().is_none_or(|ring| ring.wait(at_most))
    }

    /// Batches that are filled already: what a measurement must take before its clock starts.
    pub fn ready(&self) -> usize {
        self.ring.as_ref().map_or(0, |ring| ring.ready())
    }
}

impl Loader<crate::CenterCrop, f32> {
    /// Settings for a loader of volumes of `source`.
    pub fn builder(source: impl Source) -> Builder {
        Builder::new(source)
    }
}

impl<S: Sampler, T: Pixel> Iterator for Loader<S, T> {
    type Item = Result<Batch<T, S::Label>, LoaderError>;

    /// The next batch in order. With [`OnFailure::Stop`], an error is the last item; else a later batch may be right
    /// again.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let batch = match &self.ring {
            Some(ring) => ring.next(),
            None if self.next < self.filler.batches() => {
                self.next += 1;
                self.filler.fill(self.next - 1, &mut self.decoder)
            }
            None => None,
        };
        let ends = match &batch {
            None => true,
            // Where no file is left, no other batch can be right.
            Some(Err(error)) => self.ends_on_failure || matches!(error, LoaderError::NoFile { .. }),
            Some(Ok(_)) => false,
        };
        self.is_over |= ends;
        batch
    }
}

impl<S: Sampler, T: Pixel> Drop for Loader<S, T> {
    fn drop(&mut self) {
        if let Some(ring) = &self.ring {
            ring.stop();
        }
        if let Volumes::Pool(pool) = &self.filler.volumes {
            pool.stop();
        }
        for thread in self.threads.drain(..) {
            // Panics of samplers and sources were errors already.
            let _ = thread.join();
        }
    }
}
