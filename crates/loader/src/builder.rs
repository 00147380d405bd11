//! The settings of a loader.

use std::sync::Arc;

use crate::{Loader, LoaderError, Pixel, Sampler, Source};

/// Whether volumes are kept for several samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// A pool of volumes that are replaced in the background.
    Pool {
        /// Volumes in memory; no more than there are files.
        slots: usize,
        /// Samples that are taken from a volume before it is replaced.
        visits: usize,
    },
    /// Every sample decodes its file.
    Cold,
}

/// What a file that cannot be read means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// It is reported, and the next file takes its place.
    #[default]
    Skip,
    /// The batch that needs it is an error, and the last one.
    Stop,
}

/// The settings of a loader, to be changed one by one.
pub struct Builder {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) cache: Cache,
    pub(crate) workers: usize,
    pub(crate) decoders: usize,
    pub(crate) batch: usize,
    pub(crate) ahead: Option<usize>,
    pub(crate) seed: u64,
    pub(crate) is_shuffled: bool,
    pub(crate) samples: Option<u64>,
    pub(crate) on_failure: OnFailure,
}

impl Builder {
    /// A pool of 16 volumes of 64 visits, one worker, one decoder, batches of one sample, seed 0, shuffled, without
    /// end, failing files skipped.
    pub(crate) fn new(source: impl Source) -> Self {
        Self {
            source: Arc::new(source),
            cache: Cache::Pool { slots: 16, visits: 64 },
            workers: 1,
            decoders: 1,
            batch: 1,
            ahead: None,
            seed: 0,
            is_shuffled: true,
            samples: None,
            on_failure: OnFailure::default(),
        }
    }

    /// A pool of `slots` volumes, each replaced after `visits` samples.
    #[must_use]
    pub fn pool(self, slots: usize, visits: usize) -> Self {
        self.cache(Cache::Pool { slots, visits })
    }

    /// Whether volumes are kept.
    #[must_use]
    pub fn cache(self, cache: Cache) -> Self {
        Self { cache, ..self }
    }

    /// Threads that make samples; with 0, whoever asks for a batch makes it.
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Threads that decode volumes for the pool.
    #[must_use]
    pub fn decoders(self, decoders: usize) -> Self {
        Self { decoders, ..self }
    }

    /// Samples of a batch.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// Batches that workers fill ahead; two for each worker if this is not called.
    #[must_use]
    pub fn ahead(self, batches: usize) -> Self {
        Self { ahead: Some(batches), ..self }
    }

    /// The seed of all that is random.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Whether files are permuted, anew for each epoch.
    #[must_use]
    pub fn shuffled(self, is_shuffled: bool) -> Self {
        Self { is_shuffled, ..self }
    }

    /// Ends after so many samples; the last batch may be smaller.
    #[must_use]
    pub fn samples(self, samples: u64) -> Self {
        Self { samples: Some(samples), ..self }
    }

    /// What a file that cannot be read means.
    #[must_use]
    pub fn on_failure(self, on_failure: OnFailure) -> Self {
        Self { on_failure, ..self }
    }

    /// Refuses a 0 where it makes no sense; `pixels` are those of a sample.
    pub(crate) fn check(&self, pixels: usize) -> Result<(), LoaderError> {
        let (slots, visits) = match self.cache {
            Cache::Pool { slots, visits } => (slots, visits),
            Cache::Cold => (1, 1),
        };
        let settings = [
            ("files", self.source.len()),
            ("batch", self.batch),
            ("slots", slots),
            ("visits", visits),
            ("decoders", self.decoders),
            ("batches ahead", self.ahead.unwrap_or(1)),
            ("pixels of a sample", pixels),
        ];
        match settings.into_iter().find(|(_, value)| *value == 0) {
            Some((setting, got)) => Err(LoaderError::Setting { setting, got, need: 1 }),
            None => Ok(()),
        }
    }

    /// Starts the threads. Nothing was read yet when this returns.
    ///
    /// # Errors
    /// [`LoaderError::Setting`] for a number that must not be 0, [`LoaderError::Thread`].
    pub fn build<T: Pixel, S: Sampler>(self, sampler: S) -> Result<Loader<S, T>, LoaderError> {
        Loader::start(self, sampler)
    }
}
