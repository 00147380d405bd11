//! Work on the output in blocks, and threads that take one block after the other.
//!
//! A block is a head of K and V, a sequence, and some of its queries, with all query heads that share the head of K and
//! V. Blocks are computed independently of each other and always in the same way, so neither their order nor the thread
//! that computes one matters to the result.

use std::{
    marker::PhantomData,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use op::{Threads, Workspace};

use crate::{
    error::AttentionError,
    problem::{Problem, Sequence},
    shape::Shape,
};

/// All blocks of a problem.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocks {
    /// Queries of a block; the last block of a sequence may have fewer.
    queries: usize,
    /// Blocks of one head of K and V, some of them empty.
    per_head: usize,
    kv_heads: usize,
}

/// One block.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) sequence: Sequence,
    pub(crate) kv_head: usize,
    /// Counted from the first query of the sequence.
    pub(crate) queries: Range<usize>,
}

impl Blocks {
    /// Cuts each sequence into blocks of `queries`, which is not 0.
    ///
    /// With packed sequences, numbers follow from the bounds b: those of sequence s begin at b[s] / `queries` + s.
    /// So each sequence has at most one empty block, and the sequence of a block is found by bisection.
    pub(crate) fn new(problem: &Problem<'_>, queries: usize) -> Self {
        let shape = problem.shape;
        let per_head = match problem.options.sequences {
            Some([bounds, _]) => shape.queries / queries + bounds.len() - 1,
            None => return Self::of_batches(&shape, queries),
        };
        Self { queries, per_head, kv_heads: shape.kv_heads }
    }

    /// Those of a problem without packed sequences.
    pub(crate) fn of_batches(shape: &Shape, queries: usize) -> Self {
        let per_head = shape.batch.saturating_mul(shape.queries.div_ceil(queries));
        Self { queries, per_head, kv_heads: shape.kv_heads }
    }

    /// How many blocks there are, empty ones included.
    pub(crate) fn count(&self) -> usize {
        self.per_head.saturating_mul(self.kv_heads)
    }

    /// How many threads work on `count` units, and the floats of workspace for one of them, which needs `floats`.
    fn shares(count: usize, shape: &Shape, threads: Threads, floats: usize) -> (Threads, usize) {
        let threads = worthwhile(threads, count, shape.most_flops().unwrap_or(u64::MAX));
        (threads, floats.next_multiple_of(Workspace::LINE))
    }

    /// Floats of workspace that [`compute`](Self::compute) takes.
    pub(crate) fn workspace_floats(&self, shape: &Shape, threads: Threads, floats: usize) -> usize {
        let (threads, floats) = Self::shares(self.count(), shape, threads, floats);
        floats.saturating_mul(threads.get())
    }

    /// Floats of workspace that [`compute_parts`](Self::compute_parts) takes.
    pub(crate) fn workspace_floats_of_parts(&self, shape: &Shape, threads: Threads, parts: &Parts) -> usize {
        let count = self.count().saturating_mul(parts.count);
        let (threads, scratch) = Self::shares(count, shape, threads, parts.scratch_floats);
        parts.result_floats.saturating_mul(count).saturating_add(scratch.saturating_mul(threads.get()))
    }

    /// Block `index`, if it is not empty.
    ///
    /// Later queries come first: under a causal mask they have more work, and the small blocks at the end keep all
    /// threads busy for as long as possible.
    pub(crate) fn get(&self, problem: &Problem<'_>, index: usize) -> Option<Block> {
        let (kv_head, number) = (index / self.per_head, self.per_head - 1 - index % self.per_head);
        let (sequence, within) = match problem.options.sequences {
            Some([bounds, _]) => {
                let first = |sequence: usize| bounds[sequence] / self.queries + sequence;
                let (mut low, mut high) = (0, bounds.len() - 1);
                while high - low > 1 {
                    let middle = low.midpoint(high);
                    if first(middle) <= number { low = middle } else { high = middle }
                }
                (low, number - first(low))
            }
            None => {
                let per_sequence = self.per_head / problem.shape.batch;
                (number / per_sequence, number % per_sequence)
            }
        };
        let sequence = problem.sequence(sequence);
        let start = within * self.queries;
        let end = sequence.queries.len().min(start + self.queries);
        (start < end).then_some(Block { sequence, kv_head, queries: start..end })
    }
}

impl Blocks {
    /// Calls `f` with every block and `floats` floats of workspace. Returns how many threads worked.
    pub(crate) fn compute(
        &self,
        problem: &Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
        floats: usize,
        f: &(impl Fn(&Block, &mut [f32]) + Sync),
    ) -> Result<Threads, AttentionError> {
        let (threads, floats) = Self::shares(self.count(), &problem.shape, threads, floats);
        let scratch = workspace.floats(floats.saturating_mul(threads.get()))?;
        for_each_index(self.count(), threads, &mut scratch[..floats * threads.get()], &|index, scratch| {
            if let Some(block) = self.get(problem, index) {
                f(&block, scratch);
            }
        });
        Ok(threads)
    }
}

/// A block and part of its keys, computed by several threads and merged by one.
pub(crate) struct Parts {
    /// Parts of each block, at least one.
    pub(crate) count: usize,
    /// Floats of the result of a part.
    pub(crate) result_floats: usize,
    /// Floats that a thread works in.
    pub(crate) scratch_floats: usize,
}

impl Blocks {
    /// Calls `compute` with every part of every block, memory for its result, and workspace; then `merge` with every
    /// block and the results of its parts. Returns how many threads worked.
    pub(crate) fn compute_parts(
        &self,
        problem: &Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
        parts: &Parts,
        compute: &(impl Fn(&Block, usize, &mut [f32], &mut [f32]) + Sync),
        merge: impl Fn(&Block, &mut [f32]),
    ) -> Result<Threads, AttentionError> {
        let count = self.count().saturating_mul(parts.count);
        let (threads, scratch_floats) = Self::shares(count, &problem.shape, threads, parts.scratch_floats);
        let results_floats = parts.result_floats.saturating_mul(count);
        let scratch = scratch_floats.saturating_mul(threads.get());
        let memory = workspace.floats(results_floats.saturating_add(scratch))?;
        let (results, rest) = memory.split_at_mut(results_floats);
        let shares = Shares { origin: results.as_mut_ptr(), floats: parts.result_floats, data: PhantomData };
        for_each_index(count, threads, &mut rest[..scratch], &|index, scratch| {
            // One part of all blocks, then the next: heads that lie side by side share pages.
            let (part, number) = (index / self.count(), index % self.count());
            if let Some(block) = self.get(problem, number) {
                // SAFETY: there is memory for `count` results, and each index is computed once.
                compute(&block, part, unsafe { shares.get(number * parts.count + part) }, scratch);
            }
        });
        for (index, results) in results.chunks_exact_mut(parts.result_floats * parts.count).enumerate() {
            if let Some(block) = self.get(problem, index) {
                merge(&block, results);
            }
        }
        Ok(threads)
    }
}

/// Memory that is cut into shares of equal size.
struct Shares<'m> {
    origin: *mut f32,
    floats: usize,
    data: PhantomData<&'m mut [f32]>,
}

// SAFETY: it is the only borrow of floats, and they are only accessed through `get`, whose callers promise to be the
// only ones for a share.
unsafe impl Sync for Shares<'_> {}

impl Shares<'_> {
    /// Share `index`.
    ///
    /// # Safety
    /// There is one, and nobody else holds it.
    #[expect(clippy::mut_from_ref, reason = "each share is held once")]
    unsafe fn get(&self, index: usize) -> &mut [f32] {
        // SAFETY: the share is inside of the memory, and held once.
        unsafe { std::slice::from_raw_parts_mut(self.origin.add(index * self.floats), self.floats) }
    }
}

/// Calls `f` with every index below `count`, on `threads` threads of the pool that this is called from. Each thread has
/// its own share of the workspace.
fn for_each_index(count: usize, threads: Threads, workspace: &mut [f32], f: &(impl Fn(usize, &mut [f32]) + Sync)) {
    if threads.is_serial() {
        return (0..count).for_each(|index| f(index, workspace));
    }
    on_threads(&AtomicUsize::new(0), count, threads.get(), workspace, f);
}

fn on_threads(
    next: &AtomicUsize,
    count: usize,
    threads: usize,
    workspace: &mut [f32],
    f: &(impl Fn(usize, &mut [f32]) + Sync),
) {
    if threads == 1 {
        loop {
            // Relaxed: the counter only hands out numbers; the pool's own joining orders everything else.
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            f(index, workspace);
        }
    }
    let left = threads / 2;
    let (left_space, right_space) = workspace.split_at_mut(workspace.len() / threads * left);
    rayon::join(
        || on_threads(next, count, left, left_space, f),
        || on_threads(next, count, threads - left, right_space, f),
    );
}

/// A thread with fewer operations is not worth waking, which takes some 10 us.
const MIN_FLOPS: u64 = 2_000_000;

/// How many threads of those allowed are worth using for `blocks` blocks with `flops` operations.
fn worthwhile(threads: Threads, blocks: usize, flops: u64) -> Threads {
    threads.min(blocks).min(usize::try_from(flops / MIN_FLOPS).unwrap_or(usize::MAX))
}
