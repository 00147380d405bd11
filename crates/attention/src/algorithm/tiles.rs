//! Strips of rows against blocks of keys: what long sequences take.
//!
//! The lanes of all vectors are rows of the output (a query of one of the heads that share a head of K and V), so the
//! softmax has no sum or maximum across lanes. A strip is up to three vectors of rows. Its queries are transposed
//! once, its output is transposed at the end.
//!
//! ```text
//!   for every block of keys that some row of the block sees:       K and V are made dense floats, once for all strips
//!     for every strip:
//!       P[j][row]  = sum over d of K[j][d] Q[d][row]               scores.rs: 8 keys x 3 vectors in registers
//!       P[j][row] += term, or minus infinity where masked          edit.rs: only where there is something to do
//!       m, l; P[j][row] = 2^(P[j][row] - m[row])                   weights.rs
//!       O[d][row]  = factor[row] O[d][row] + sum of V[j][d] P[j][row]   values.rs: 8 elements x 3 vectors
//! ```
//!
//! P stays in the level-1 cache, everything of a block in the level-2 cache. Blocks of keys begin at multiples of their
//! size, so the order of a sum depends on the keys that a row sees and on nothing else.

mod edit;
mod scores;
mod stage;
mod strip;
mod values;
mod weights;

use std::ops::Range;

use simd::{Simd, Vectorized};

use super::lines;
use crate::{parts::Block, problem::Problem, shape::Shape};
use stage::Stage;
use strip::Strip;

/// Vectors of rows in a whole strip: 3 of AVX-512, whose 32 registers hold 8 x 3 sums, and 2 of AVX2, whose 16 hold
/// 6 x 2. (4 x 3 would be 16 with their operands, and the compiler needs one more.)
const fn most_vectors(lanes: usize) -> usize {
    if lanes == 16 { 3 } else { 2 }
}

/// Keys of a block of long heads, twice as many of others. A multiple of the keys of register tiles, 8 and 6.
const KEYS: usize = 72;

/// Rows of O are padded to a multiple of this, which 8, 6 and 4 divide.
const PADDING: usize = 24;

/// Strips of a block: at least so many where they fit, or all rows.
const FEWEST_STRIPS: usize = 4;

/// And at most, for short heads.
const MOST_STRIPS: usize = 8;

/// Floats that a thread works in, unless a group of heads is larger than a block: 480 KiB.
const MOST_FLOATS: usize = 120 << 10;

/// How a problem is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Queries of a block, each with all heads of a group.
    pub(crate) queries: usize,
    /// Keys of a block.
    keys: usize,
    /// Rows of a whole strip.
    strip_rows: usize,
    group: usize,
    head_dim: usize,
    value_dim: usize,
}

impl Cut {
    /// For vectors of `lanes` floats.
    ///
    /// K and V are made dense once for each block of queries, so a block has as many strips as its memory and the cache
    /// allow. Blocks are as even as strips are, and there are 32 where the problem is large enough: threads share them.
    pub(crate) fn new(shape: &Shape, lanes: usize) -> Self {
        let &Shape { batch, queries, kv_heads, head_dim, value_dim, .. } = shape;
        let (group, strip_rows) = (shape.group().max(1), most_vectors(lanes) * lanes);
        // A block of long heads has half as many keys.
        let keys = if head_dim.max(value_dim) <= 128 { 2 * KEYS } else { KEYS };
        let cut = Self { queries: 1, keys, strip_rows, group, head_dim, value_dim };
        let most = MOST_FLOATS.saturating_sub(cut.shared_floats()) / cut.strip_floats().max(1);
        let rows = queries.saturating_mul(group);
        let share = rows.saturating_mul(batch).saturating_mul(kv_heads).div_ceil(32 * strip_rows);
        let most = share.clamp(FEWEST_STRIPS, MOST_STRIPS).min(most).max(1);
        let count = rows.div_ceil(most * strip_rows).max(1);
        let strips = rows.div_ceil(count).div_ceil(strip_rows).clamp(1, most);
        Self { queries: (strips * strip_rows / group).max(1), ..cut }
    }

    /// Rows of O, with padding.
    fn padded_dim(&self) -> usize {
        self.value_dim.next_multiple_of(PADDING)
    }

    /// Floats of a strip: queries, output, largest scores, sums.
    fn strip_floats(&self) -> usize {
        lines(self.head_dim.saturating_add(self.padded_dim() + 2).saturating_mul(self.strip_rows))
    }

    /// Floats of scores, and of rows of the output while they are transposed.
    fn score_floats(&self) -> usize {
        lines((self.keys * self.strip_rows).max(self.padded_dim().saturating_mul(8)))
    }

    /// Floats of limits, largest scores and factors: four for each row of a strip.
    fn lane_floats(&self) -> usize {
        lines(4 * self.strip_rows)
    }

    fn strips(&self) -> usize {
        (self.queries * self.group).div_ceil(self.strip_rows)
    }

    /// Floats of scores and limits, and of a block of K and V.
    fn shared_floats(&self) -> usize {
        let [k, v] = [self.head_dim, self.value_dim].map(|dim| lines(self.keys.saturating_mul(dim)));
        [self.score_floats(), self.lane_floats(), k, v].into_iter().fold(0, usize::saturating_add)
    }

    /// Floats of workspace that a thread needs.
    pub(crate) fn scratch_floats(&self) -> usize {
        self.strips().saturating_mul(self.strip_floats()).saturating_add(self.shared_floats())
    }
}

/// Computes a block.
pub(crate) struct Tiles<'p, 's> {
    pub(crate) problem: &'p Problem<'p>,
    pub(crate) block: &'p Block,
    pub(crate) cut: Cut,
    /// At least [`Cut::scratch_floats`].
    pub(crate) scratch: &'s mut [f32],
}

impl Vectorized for Tiles<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { problem, block, cut, scratch } = self;
        debug_assert_eq!(cut.strip_rows, most_vectors(S::LANES) * S::LANES);
        let rows = block.queries.len() * cut.group;
        let (strip_memory, rest) = scratch.split_at_mut(cut.strips() * cut.strip_floats());
        let (scores, rest) = rest.split_at_mut(cut.score_floats());
        let (lanes, rest) = rest.split_at_mut(cut.lane_floats());
        let mut stage = Stage::new(rest, &cut);
        let mut seen = Range { start: usize::MAX, end: 0 };
        for (own, memory) in strips(rows, &cut, strip_memory) {
            let mut strip = Strip::new(problem, block, &cut, own, S::LANES, memory);
            strip.load_queries(simd);
            seen = seen.start.min(strip.seen.start)..seen.end.max(strip.seen.end);
        }
        for keys in blocks(seen, cut.keys) {
            // What two rows in turn see overlaps or adjoins, so some strip sees some of these keys.
            let staged = stage.load(simd, problem, block, keys.clone());
            for (own, memory) in strips(rows, &cut, strip_memory) {
                let mut strip = Strip::new(problem, block, &cut, own, S::LANES, memory);
                let own = keys.start.max(strip.seen.start)..keys.end.min(strip.seen.end);
                if own.start < own.end {
                    strip.attend(simd, &staged, own, scores, lanes);
                }
            }
        }
        for (own, memory) in strips(rows, &cut, strip_memory) {
            Strip::new(problem, block, &cut, own, S::LANES, memory).store_output(simd, scores);
        }
    }
}

/// The rows and the memory of each strip.
fn strips<'m>(rows: usize, cut: &Cut, memory: &'m mut [f32]) -> impl Iterator<Item = (Range<usize>, &'m mut [f32])> {
    let ranges = (0..rows).step_by(cut.strip_rows).map({
        let strip_rows = cut.strip_rows;
        move |start| start..rows.min(start + strip_rows)
    });
    ranges.zip(memory.chunks_exact_mut(cut.strip_floats()))
}

/// A range cut at multiples of `len`.
pub(super) fn blocks(range: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    let Range { mut start, end } = range;
    std::iter::from_fn(move || {
        let block = (start < end).then(|| start..end.min((start / len + 1) * len));
        start = block.as_ref().map_or(end, |block| block.end);
        block
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_at_multiples() {
        assert_eq!(blocks(5..20, 8).collect::<Vec<_>>(), [5..8, 8..16, 16..20]);
        assert_eq!((blocks(8..16, 8).count(), blocks(8..16, 8).next()), (1, Some(8..16)));
        assert_eq!(blocks(Range { start: usize::MAX, end: 0 }, 8).count(), 0);
        assert_eq!(blocks(3..3, 8).count(), 0);
    }

    /// Whatever the length of the sequence.
    #[test]
    fn a_thread_needs_at_most_512_kib() {
        for (head_dim, heads) in [8, 32, 64, 128, 256].into_iter().flat_map(|dim| [1, 8, 32].map(|heads| (dim, heads)))
        {
            for queries in [0, 1, 100, 1000, 1 << 20] {
                let shape = Shape { batch: 1, queries, keys: 0, heads, kv_heads: 1, head_dim, value_dim: head_dim };
                let bytes = Cut::new(&shape, 16).scratch_floats() * size_of::<f32>();
                assert!(bytes <= 512 << 10, "{shape}: {bytes}");
            }
        }
    }

    /// As even as strips are, as many as threads can share, and no more memory than rows need.
    #[test]
    fn blocks_of_queries_are_large_and_even() {
        let queries = |queries: usize, heads: usize, head_dim: usize| {
            let shape = Shape { batch: 1, queries, keys: 1, heads, kv_heads: heads, head_dim, value_dim: head_dim };
            Cut::new(&shape, 16).queries
        };
        // Blocks of 8, 8 and 6 strips; of 6, 6, 6 and 4; seven of 3 and one of 1.
        assert_eq!([queries(1024, 12, 64), queries(1024, 16, 128), queries(1024, 64, 256)], [384, 288, 144]);
        // Two heads have too few rows for large blocks; a short sequence is one block.
        assert_eq!([queries(1024, 2, 64), queries(90, 12, 64)], [192, 96]);
    }
}
