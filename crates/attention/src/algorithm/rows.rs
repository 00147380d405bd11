//! A few rows against many keys, with vectors along the elements of a head: the decoding of a token.
//!
//! Such work is bound by the reading of K and V. So a row of K or V is read once for all rows of the output that share
//! it, the queries of a sequence times the heads of a group; each chunk of K is prefetched while V of the chunk before
//! is added up, and V while K is multiplied. The keys of a sequence are cut into parts of PART, which threads share.
//! Where the cuts are depends on nothing else, so results are the same for any number of threads.
//!
//! Where the heads of a token lie side by side, a row of one head is followed in memory by that of the next head. Then
//! all heads of a team take a chunk of keys before the next chunk, so that K and V are read from front to back: reading
//! one head after the other took 1.8 times as long for 8 heads of 512 bytes. Meanwhile each head fetches its share of
//! the next chunk of all heads into the level-2 cache, front to back: rows that are pages apart are no stream that a
//! processor finds by itself (10 to 27 % of the time on a Zen 4).
//!
//! The softmax is formed online (Milakov and Gimelshein, arXiv 1805.02867): a row keeps the largest score m so far, the
//! sum l of the weights 2^(s - m), and the sum of weighted rows of V. When m grows, both sums are multiplied by
//! 2^(m before - m). Parts are merged by the same rule, in their order, which is exact. `waves.rs` says which thread
//! computes what and where results wait until they are merged.
//!
//! ```text
//!   for every part, every CHUNK of its keys, every head of the team, every 8, 4 or fewer rows:
//!     s[row][j] = scale log2(e) Q[row] . K[j] + log2(e) term[row][j]
//!     m, l, acc *= 2^(m before - m)
//!     p[row][j] = 2^(s[row][j] - m),  l += p[row][j]
//!     acc[row] += p[row][j] V[j]
//!   for every row:  m, l, acc of its first part; the others merged into it;  O[row] = acc / l
//! ```

mod dots;
mod merge;
mod waves;

use std::{f32::consts::LOG2_E, ops::Range};

use simd::{Element, F32Vector, Simd, Vectorized, math::exp2_weight, prefetch_l2, with_element_type};

use super::lines;
use crate::{
    problem::{Problem, Sequence},
    shape::Shape,
    view::Input,
};
use dots::{add_rows, dots};
use merge::Merge;
use waves::Task;
pub(crate) use waves::{Waves, tasks};

/// Keys that are weighted together: K and V of 32 keys of 128 floats are 32 KiB.
const CHUNK: usize = 32;

/// Keys of a part: so few that the pages of all heads of a part are found again where heads lie side by side.
const PART: usize = 512;

/// Most rows that use a row of K or V while it is in a register: 8 with 32 registers, else 4. Then a row of 16-bit
/// numbers is widened once for all heads of the usual groups.
const TOGETHER: usize = 8;

/// Rows of a block, if a group has no more heads.
const ROWS: usize = 12;

/// How a problem is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// Queries of a block, each with all heads of a group.
    queries: usize,
    kv_heads: usize,
    group: usize,
    head_dim: usize,
    value_dim: usize,
}

impl Cut {
    /// For these sequences of a problem.
    pub(crate) fn new(problem: &Problem<'_>, sequences: impl Iterator<Item = Sequence>) -> Self {
        let longest = sequences.map(|sequence| sequence.queries.len()).max().unwrap_or(0);
        Self::of(&problem.shape, longest)
    }

    /// For sequences of at most `longest` queries.
    pub(crate) fn of(shape: &Shape, longest: usize) -> Self {
        let (group, &Shape { kv_heads, head_dim, value_dim, .. }) = (shape.group().max(1), shape);
        Self { queries: (ROWS / group).min(longest).max(1), kv_heads, group, head_dim, value_dim }
    }

    fn rows(&self) -> usize {
        self.queries * self.group
    }

    /// Where largest scores and sums of weights begin in the result of a part, behind the weighted sums.
    fn max_and_sum(&self) -> [usize; 2] {
        let max = self.rows().saturating_mul(self.value_dim);
        [max, max.saturating_add(self.rows())]
    }

    /// Floats of the result of a part: weighted sums, largest scores, sums of weights.
    fn part_floats(&self) -> usize {
        let [_, sum] = self.max_and_sum();
        lines(sum.saturating_add(self.rows()))
    }

    /// Floats of the queries of a block.
    fn query_floats(&self) -> usize {
        lines(self.rows().saturating_mul(self.head_dim))
    }

    /// Floats that a thread works in: queries of a team, and scores of a few rows.
    fn scratch_floats(&self) -> usize {
        self.heads().saturating_mul(self.query_floats()).saturating_add(TOGETHER * CHUNK)
    }
}

/// The result of a part of the keys for all rows of a block.
struct Part<'m> {
    /// A row of V's length for each row.
    acc: &'m mut [f32],
    max: &'m mut [f32],
    sum: &'m mut [f32],
}

impl<'m> Part<'m> {
    fn new(cut: &Cut, memory: &'m mut [f32]) -> Self {
        let [max, sum] = cut.max_and_sum();
        let (acc, rest) = memory.split_at_mut(max);
        let (max, rest) = rest.split_at_mut(sum - max);
        Self { acc, max, sum: &mut rest[..cut.rows()] }
    }
}

/// Computes a task.
struct RowsOfPart<'p, 's> {
    problem: &'p Problem<'p>,
    task: &'p Task,
    cut: Cut,
    /// Memory for the results of all heads, one after the other.
    results: &'s mut [f32],
    /// Memory of a thread.
    scratch: &'s mut [f32],
}

impl<'p> RowsOfPart<'p, '_> {
    /// The rows of a head of the team.
    #[inline(always)]
    fn of_head(&mut self, at: usize) -> Rows<'p, '_> {
        let Self { problem, task, cut, .. } = *self;
        let (queries, len) = (cut.query_floats(), cut.part_floats());
        let (q, scores) = self.scratch.split_at_mut(task.heads.len() * queries);
        let part = Part::new(&cut, &mut self.results[at * len..][..len]);
        Rows { problem, task, kv_head: task.heads.start + at, cut, q: &mut q[at * queries..][..queries], scores, part }
    }
}

impl Vectorized for RowsOfPart<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Self { problem, task, cut, .. } = self;
        let Task { sequence, queries, heads, part, .. } = task;
        let (team, count) = (heads.len(), queries.len() * cut.group);
        for at in 0..team {
            let mut rows = self.of_head(at);
            rows.part.acc.fill(0.0);
            // The lowest float instead of minus infinity: scores of minus infinity have weight 0 under it.
            rows.part.max.fill(f32::MIN);
            rows.part.sum.fill(0.0);
            (0..count).for_each(|row| rows.load_query(row));
        }
        // Both ends of what a query sees grow with the query.
        let seen = |query| problem.visible(sequence, query);
        let part = part * PART;
        let end = seen(queries.end - 1).end.min(part.saturating_add(PART));
        let mut key = seen(queries.start).start.max(part);
        while key < end {
            let keys = key..end.min(key + CHUNK);
            for at in 0..team {
                // Each head of the team fetches its share of the next chunk.
                let of_next = |share: usize| end.min(keys.end + share * CHUNK / team);
                fetch_keys(problem, task, of_next(at)..of_next(at + 1));
                let mut rows = self.of_head(at);
                let mut first = 0;
                while first < count {
                    let end = first + together(S::LANES, count - first);
                    with_element_type!(problem.k.element_type(), E => rows.attend::<S, E>(simd, first..end, &keys));
                    first = end;
                }
            }
            key = keys.end;
        }
    }
}

/// The rows of a task that share a head of K and V, and the memory to compute them in.
struct Rows<'p, 's> {
    problem: &'p Problem<'p>,
    task: &'p Task,
    kv_head: usize,
    cut: Cut,
    q: &'s mut [f32],
    /// TOGETHER rows of CHUNK.
    scores: &'s mut [f32],
    part: Part<'s>,
}

impl Rows<'_, '_> {
    /// The query of a row, counted from the first of the sequence, and its head.
    fn place(&self, row: usize) -> (usize, usize) {
        self.task.place(&self.cut, self.kv_head, row)
    }

    /// The keys that a row sees.
    fn seen(&self, row: usize) -> Range<usize> {
        self.problem.visible(&self.task.sequence, self.place(row).0)
    }

    fn load_query(&mut self, row: usize) {
        let (query, head) = self.place(row);
        let (dim, sequence) = (self.cut.head_dim, &self.task.sequence);
        let index = [sequence.batch, sequence.queries.start + query, head];
        copy_row(self.problem.q, index, self.problem.scale * LOG2_E, &mut self.q[row * dim..(row + 1) * dim]);
    }

    /// Attends to some keys. Rows that see the same of them are computed together.
    #[inline(always)]
    fn attend<S: Simd, E: Element>(&mut self, simd: S, rows: Range<usize>, keys: &Range<usize>) {
        let own = |seen: Range<usize>| seen.start.max(keys.start)..seen.end.min(keys.end);
        let first = own(self.seen(rows.start));
        match (first == own(self.seen(rows.end - 1)), rows.len()) {
            (true, 1) => self.attend_together::<S, E, 1>(simd, rows.start, first),
            (true, 2) => self.attend_together::<S, E, 2>(simd, rows.start, first),
            (true, 3) => self.attend_together::<S, E, 3>(simd, rows.start, first),
            (true, 4) => self.attend_together::<S, E, 4>(simd, rows.start, first),
            (true, _) => self.attend_together::<S, E, TOGETHER>(simd, rows.start, first),
            (false, _) => {
                for row in rows {
                    let own = own(self.seen(row));
                    self.attend_together::<S, E, 1>(simd, row, own);
                }
            }
        }
    }

    #[inline(always)]
    fn attend_together<S: Simd, E: Element, const N: usize>(&mut self, simd: S, first_row: usize, keys: Range<usize>) {
        if keys.start >= keys.end {
            return;
        }
        let (problem, count) = (self.problem, keys.len());
        let Cut { head_dim, value_dim, .. } = self.cut;
        let sequence = &self.task.sequence;
        let at = [sequence.batch, sequence.keys.start + keys.start, self.kv_head];
        let k = (problem.k.row::<E>(at[0], at[1], at[2]), problem.k.strides().token);
        let v = (problem.v.row::<E>(at[0], at[1], at[2]), problem.v.strides().token);
        let q = &self.q[first_row * head_dim..(first_row + N) * head_dim];
        // SAFETY: there are `count` keys from `at` on, with as many elements as Q and the output have.
        unsafe { dots::<S, E, N>(simd, q, k, (v.0, v.1, value_dim), count, self.scores) };
        for n in 0..N {
            let (row, scores) = (first_row + n, &mut self.scores[n * CHUNK..(n + 1) * CHUNK]);
            if problem.options.has_terms() {
                let (query, head) = self.task.place(&self.cut, self.kv_head, row);
                problem.add_terms(sequence, [head, query], keys.clone(), LOG2_E, scores[..count].iter_mut());
            }
            scores[count..].fill(f32::NEG_INFINITY);
            let max = self.part.max[row];
            if has_above(simd, scores, max) {
                let largest = scores.iter().fold(max, |max, &score| if score > max { score } else { max });
                let factor = only(simd, exp2_weight(simd, simd.splat(max - largest)));
                self.part.sum[row] *= factor;
                self.part.acc[row * value_dim..(row + 1) * value_dim].iter_mut().for_each(|x| *x *= factor);
                self.part.max[row] = largest;
            }
            self.part.sum[row] += weights(simd, scores, self.part.max[row]);
        }
        let acc = &mut self.part.acc[first_row * value_dim..(first_row + N) * value_dim];
        // The keys that are multiplied next: of the next head, or of the next chunk.
        let heads = &self.task.heads;
        let next = match self.kv_head + 1 < heads.end {
            true => k.0.wrapping_add(problem.k.strides().head),
            false => {
                let back = problem.k.strides().head.wrapping_mul(self.kv_head - heads.start);
                k.0.wrapping_add(k.1.wrapping_mul(CHUNK)).wrapping_sub(back)
            }
        };
        // SAFETY: as above.
        unsafe { add_rows::<S, E, N>(simd, self.scores, count, v, (next, k.1), acc) };
    }
}

/// Fetches K and V of some keys, for all heads of a team, into the level-2 cache: front to back where the heads of a
/// token lie side by side, as memory gives most.
#[inline(always)]
fn fetch_keys(problem: &Problem<'_>, task: &Task, keys: Range<usize>) {
    let Task { sequence, heads, .. } = task;
    for tensor in [problem.k, problem.v] {
        let bytes = tensor.extents().head_dim * tensor.element_type().bytes();
        for key in keys.clone() {
            // Head by head: those of V may lie elsewhere than those of K.
            for head in heads.clone() {
                let row = with_element_type!(tensor.element_type(), E => {
                    tensor.row::<E>(sequence.batch, sequence.keys.start + key, head).cast::<u8>()
                });
                for line in (0..bytes).step_by(64) {
                    prefetch_l2(row.wrapping_add(line));
                }
            }
        }
    }
}

/// Widens a row of a tensor and multiplies it.
fn copy_row(from: Input<'_>, [batch, token, head]: [usize; 3], factor: f32, to: &mut [f32]) {
    debug_assert!(to.len() <= from.extents().head_dim);
    with_element_type!(from.element_type(), T => {
        let row = from.row::<T>(batch, token, head);
        for (d, x) in to.iter_mut().enumerate() {
            // SAFETY: callers name a row of the tensor, and no more elements of it than it has.
            *x = factor * unsafe { *row.add(d) }.to_f32();
        }
    });
}

/// The first lane of a vector whose lanes are equal.
#[inline(always)]
fn only<S: Simd>(_: S, vector: S::F32) -> f32 {
    let mut first = 0.0;
    // SAFETY: one float is written.
    unsafe { vector.store_partial(&raw mut first, 1) };
    first
}

/// How many of `rest` rows are computed together.
fn together(lanes: usize, rest: usize) -> usize {
    if lanes == 16 && rest >= TOGETHER { TOGETHER } else { rest.min(4) }
}

/// Whether one of CHUNK scores exceeds `max` or is a NaN. Few chunks have one, and this takes fewer instructions than
/// the largest score does.
#[inline(always)]
fn has_above<S: Simd>(simd: S, scores: &[f32], max: f32) -> bool {
    let (max, mut excess) = (simd.splat(max), simd.splat(0.0));
    for scores in scores.chunks_exact(S::LANES) {
        // SAFETY: the chunk has LANES floats.
        excess = excess + (unsafe { simd.load(scores.as_ptr()) }.max(max) - max);
    }
    // Nothing is subtracted, and the difference of two floats is 0 only if they are equal. A NaN is no 0.
    excess.reduce_sum() != 0.0
}

/// scores[j] <- 2^(scores[j] - max) for CHUNK scores; returns their sum.
#[inline(always)]
fn weights<S: Simd>(simd: S, scores: &mut [f32], max: f32) -> f32 {
    let (max, mut sum) = (simd.splat(max), simd.splat(0.0));
    for scores in scores.chunks_exact_mut(S::LANES) {
        // SAFETY: the chunk has LANES floats.
        unsafe {
            let weight = exp2_weight(simd, simd.load(scores.as_ptr()) - max);
            weight.store(scores.as_mut_ptr());
            sum = sum + weight;
        }
    }
    sum.reduce_sum()
}

#[cfg(test)]
mod tests {
    use op::Threads;

    use super::*;

    /// Whatever the lengths and the number of sequences.
    #[test]
    fn a_thread_needs_at_most_512_kib() {
        for (head_dim, heads) in [8, 32, 64, 128, 256].into_iter().flat_map(|dim| [1, 8, 32].map(|heads| (dim, heads)))
        {
            for kv_heads in [1, heads] {
                let shape = Shape { batch: 1, queries: 0, keys: 0, heads, kv_heads, head_dim, value_dim: head_dim };
                for count in [1, 2, 7] {
                    let bytes = Cut::of(&shape, 100).floats(Threads::new(count).unwrap()) * size_of::<f32>();
                    assert!(bytes <= count * (512 << 10), "{shape}, {count} threads: {bytes}");
                }
            }
        }
    }
}
