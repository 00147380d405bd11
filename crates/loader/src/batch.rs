//! A batch, whose memory goes back to its loader.

use std::sync::{Arc, Mutex, PoisonError};

/// Some samples in order: pixels side by side, and a label each. Dropping it gives its memory back to the loader.
#[derive(Debug)]
pub struct Batch<T, L> {
    first: u64,
    shape: Vec<usize>,
    buffers: Buffers<T, L>,
    recycler: Arc<Recycler<T, L>>,
}

impl<T, L> Batch<T, L> {
    /// Number of the first sample, counted from 0.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.buffers.labels.len()
    }

    /// Whether there is no sample; never true for a batch of a loader.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Extents of [`pixels`](Self::pixels), the slowest axis first: the samples, then the axes of the sampler.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// All pixels, contiguous.
    pub fn pixels(&self) -> &[T] {
        &self.buffers.pixels
    }

    /// All pixels, to be changed in place, or lent to code that knows no lifetimes as long as the batch lives.
    pub fn pixels_mut(&mut self) -> &mut [T] {
        &mut self.buffers.pixels
    }

    /// What the sampler says of each sample.
    pub fn labels(&self) -> &[L] {
        &self.buffers.labels
    }

    /// The file of each sample.
    pub fn files(&self) -> &[usize] {
        &self.buffers.files
    }
}

impl<T, L> Drop for Batch<T, L> {
    fn drop(&mut self) {
        self.recycler.keep(std::mem::take(&mut self.buffers));
    }
}

/// The memory of a batch.
#[derive(Debug)]
pub(crate) struct Buffers<T, L> {
    pub(crate) pixels: Vec<T>,
    pub(crate) labels: Vec<L>,
    pub(crate) files: Vec<usize>,
}

impl<T, L> Default for Buffers<T, L> {
    fn default() -> Self {
        Self { pixels: Vec::new(), labels: Vec::new(), files: Vec::new() }
    }
}

impl<T: Copy + Default, L: Default + Clone> Buffers<T, L> {
    /// With room for so many samples of so many pixels.
    pub(crate) fn resize(&mut self, samples: usize, pixels: usize) {
        self.pixels.resize(samples * pixels, T::default());
        self.labels.resize(samples, L::default());
        self.files.resize(samples, 0);
    }
}

/// Memory of batches that were dropped.
#[derive(Debug)]
pub(crate) struct Recycler<T, L> {
    free: Mutex<Vec<Buffers<T, L>>>,
    most: usize,
}

impl<T, L> Recycler<T, L> {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), most })
    }

    pub(crate) fn take(&self) -> Buffers<T, L> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(crate) fn keep(&self, buffers: Buffers<T, L>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.most {
            free.push(buffers);
        }
    }

    pub(crate) fn batch(self: &Arc<Self>, first: u64, sample: &[usize], buffers: Buffers<T, L>) -> Batch<T, L> {
        let shape = [&[buffers.labels.len()], sample].concat();
        Batch { first, shape, buffers, recycler: Arc::clone(self) }
    }
}
