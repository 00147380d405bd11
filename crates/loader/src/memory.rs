//! Memory of voxels, which is used again.

use std::sync::{Arc, Mutex, PoisonError};

use machine::memory::advise_huge_pages;

/// Memory of voxels, to be used again for the next volume. Its content is unspecified.
#[derive(Debug, Default)]
pub struct Memory {
    words: Vec<u64>,
    recycler: Option<Arc<Recycler>>,
}

impl Memory {
    /// What was asked for last.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// So many bytes of it.
    pub(crate) fn get(&mut self, bytes: usize) -> &mut [u8] {
        let need = bytes.div_ceil(8);
        if self.words.capacity() < need {
            // Not grown in place: that would copy what is not needed.
            self.words = Vec::new();
            self.words = vec![0; need];
            if bytes >= 8 << 20 {
                advise_huge_pages(&mut self.words);
            }
        }
        self.words.resize(need, 0);
        &mut bytemuck::cast_slice_mut(&mut self.words)[..bytes]
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(recycler) = self.recycler.take() {
            recycler.keep(std::mem::take(&mut self.words));
        }
    }
}

/// Memory of volumes that were dropped: the page faults of fresh memory would take a third of a decode.
#[derive(Debug)]
pub(crate) struct Recycler {
    free: Mutex<Vec<Vec<u64>>>,
    most: usize,
}

impl Recycler {
    /// Keeps the memory of up to `most` volumes.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), most })
    }

    pub(crate) fn memory(self: &Arc<Self>) -> Memory {
        let words = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Memory { words, recycler: Some(Arc::clone(self)) }
    }

    fn keep(&self, words: Vec<u64>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.most && !words.is_empty() {
            free.push(words);
        }
    }
}
