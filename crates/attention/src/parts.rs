//! Work on the output in blocks, and threads that take one piece of work after the other.
//!
//! A block is a head of K and V, a sequence, and some of its queries, with all query heads that share the head of K and
//! V. Blocks are computed independently of each other and always in the same way, so neither their order nor the thread
//! that computes one matters to the result.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use op::Threads;

use crate::problem::Sequence;

/// One block.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) sequence: Sequence,
    pub(crate) kv_head: usize,
    /// Counted from the first query of the sequence.
    pub(crate) queries: Range<usize>,
}

/// Some rows of a block, those of a strip. Lanes beyond the last row repeat it.
#[derive(Debug, Clone)]
pub(crate) struct Rows<'b> {
    pub(crate) block: &'b Block,
    /// Rows of the block: query by query, each with all heads of the group.
    range: Range<usize>,
    group: usize,
}

impl<'b> Rows<'b> {
    /// Some rows of a block, at least one, where `group` heads share a head of K and V.
    pub(crate) fn new(block: &'b Block, range: Range<usize>, group: usize) -> Self {
        Self { block, range, group }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.range.len()
    }

    /// The rows behind these, as many of `all` rows of the block, if there are some.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn next(&self, all: usize) -> Option<Self> {
        let range = self.range.end..all.min(self.range.end + self.range.len());
        (!range.is_empty()).then(|| Self { range, ..self.clone() })
    }

    fn at(&self, lane: usize) -> usize {
        (self.range.start + lane).min(self.range.end - 1)
    }

    /// The query of a lane, counted from the first of the sequence.
    pub(crate) fn query(&self, lane: usize) -> usize {
        let row = self.at(lane);
        // A division takes as long as the rest of a limit.
        self.block.queries.start + if self.group == 1 { row } else { row / self.group }
    }

    /// The query head of a lane.
    pub(crate) fn head(&self, lane: usize) -> usize {
        self.block.kv_head * self.group + self.at(lane) % self.group
    }
}

/// The blocks of some sequences, head by head. `queries` is not 0; the last block of a sequence may have fewer.
///
/// Later queries come first: under a causal mask they have more work, and the small blocks at the end keep all threads
/// busy for as long as possible.
pub(crate) fn blocks(
    sequences: impl DoubleEndedIterator<Item = Sequence> + Clone,
    kv_heads: usize,
    queries: usize,
) -> impl Iterator<Item = Block> + Clone {
    (0..kv_heads).flat_map(move |kv_head| {
        sequences.clone().rev().flat_map(move |sequence| {
            let ranges = ranges(sequence.queries.len(), queries).rev();
            ranges.map(move |queries| Block { sequence: sequence.clone(), kv_head, queries })
        })
    })
}

/// `0..len` cut into ranges of `step`, the last perhaps shorter.
pub(crate) fn ranges(len: usize, step: usize) -> impl DoubleEndedIterator<Item = Range<usize>> + Clone {
    (0..len).step_by(step).map(move |start| start..len.min(start.saturating_add(step)))
}

/// A thread with fewer operations is not worth waking, which takes some 10 us.
const MIN_FLOPS: u64 = 2_000_000;

/// How many threads of those allowed are worth using for `count` pieces of work with `flops` operations.
pub(crate) fn worthwhile(threads: Threads, count: usize, flops: u64) -> Threads {
    threads.min(count).min(usize::try_from(flops / MIN_FLOPS).unwrap_or(usize::MAX))
}

/// Calls `f` with every item, on `threads` threads of the pool that this is called from. Each thread takes the next
/// item when it is done with one, and has its own share of the workspace.
pub(crate) fn for_each<T>(
    items: impl Iterator<Item = T> + Send,
    threads: Threads,
    workspace: &mut [f32],
    f: &(impl Fn(T, &mut [f32]) + Sync),
) {
    if threads.is_serial() {
        return items.for_each(|item| f(item, workspace));
    }
    on_threads(&Mutex::new(items), threads.get(), workspace, f);
}

fn on_threads<T>(
    items: &Mutex<impl Iterator<Item = T> + Send>,
    threads: usize,
    workspace: &mut [f32],
    f: &(impl Fn(T, &mut [f32]) + Sync),
) {
    if threads == 1 {
        // The lock is held only while the item is taken. `f` runs without it, so a panic there leaves the items sound.
        let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(item) = next() {
            f(item, workspace);
        }
        return;
    }
    let left = threads / 2;
    let (left_space, right_space) = workspace.split_at_mut(workspace.len() / threads * left);
    rayon::join(|| on_threads(items, left, left_space, f), || on_threads(items, threads - left, right_space, f));
}

#[cfg(test)]
mod tests {
    use std::{
        iter::repeat_n,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use super::*;

    #[test]
    fn every_item_is_taken_once_and_every_thread_has_memory_of_its_own() {
        for count in [1, 2, 3, 7] {
            let (threads, mut workspace) = (Threads::new(count).unwrap(), vec![0.0; 16 * count]);
            let taken: Vec<AtomicUsize> = repeat_n(0, 100).map(AtomicUsize::new).collect();
            for_each(0..100, threads, &mut workspace, &|item: usize, share| {
                assert_eq!(share.len(), 16);
                share[0] += 1.0;
                taken[item].fetch_add(1, Relaxed);
            });
            assert!(taken.iter().all(|taken| taken.load(Relaxed) == 1), "{count} threads");
            assert_eq!(workspace.iter().sum::<f32>(), 100.0, "{count} threads");
        }
    }

    #[test]
    fn small_work_uses_few_threads() {
        let threads = Threads::new(8).unwrap();
        let used = |items: usize, flops| worthwhile(threads, items, flops).get();
        assert_eq!((used(100, MIN_FLOPS - 1), used(100, 3 * MIN_FLOPS), used(100, u64::MAX)), (1, 3, 8));
        assert_eq!((used(0, u64::MAX), used(5, u64::MAX)), (1, 5));
    }
}
