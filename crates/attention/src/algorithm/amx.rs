//! Strips of rows against blocks of keys with products of bf16 in tile registers: what long sequences of bf16 take on a
//! processor with AMX.
//!
//! The algorithm is that of `tiles.rs`, an online softmax over blocks of keys. What differs follows from the tiles:
//!
//! ```text
//!   for every block of 256 keys (128 of long heads) that some row of the block sees:
//!                                                                        K and V are packed, once for all strips
//!     for every strip of 32 rows:
//!       for every group of 32 keys:
//!         S[row][j]  = sum over d of Q[row][d] K[j][d]                   tiles: bf16 products, f32 sums
//!         S[row][j] += term, or minus infinity where masked              edit.rs: only where there is something to do
//!         m; P[row][j] = 2^(c S[row][j] - m[row]) rounded to bf16        weights.rs
//!       O[row][d] += sum of P[row][j] V[j][d];  l[row] += sum of P[row][j]    tiles, l by a column of ones
//! ```
//!
//! **Time.** On the processor that this was written on, tile products and vector instructions do not overlap, in
//! whatever order they stand: the time is the sum of both. So nothing is interleaved. What remains is to keep tile
//! operands close: scores of a group (4 KiB) and weights of a strip (16 KiB) stay in the level-1 cache, and the output
//! is loaded and stored once for as many keys as that allows. Rows of queries and of the output, which lie far apart,
//! are prefetched while the strip before is computed.
//!
//! **Orientation.** `tdpbf16ps` wants its left operand row by row and its right one in pairs along the sum. With rows
//! of Q on the left, S comes out row by row: 16 rows of 16 scores. Two such tiles become the left operand of P V by a
//! shift and a blend: a pair holds keys j and j + 16, and V is packed in the same pairs, one interleaving of two of its
//! rows. K alone is transposed, by pairs. (The transposed products, S^T = K Q^T and O^T = V^T P^T, need no packed K,
//! but the transpose of V by single numbers, of Q and of the output. The softmax costs the same either way: across
//! lanes it has one joint reduction of 16 maxima for each 16 rows and block, and l comes out of the tiles.)
//!
//! **Rounding.** Q and K are multiplied as they are stored; the scale c = scale log2(e) is applied to the sum in f32.
//! Weights are rounded to bf16, an error of up to 2^-8, and the polynomial of 2^x errs by 2^-13.7 of it. l sums the
//! rounded weights, so the weights that V is averaged with have the sum 1: with |delta_j| <= w,
//!
//! ```text
//!   O' - O = (sum of p_j delta_j (V_j - O)) / (sum of p_j (1 + delta_j)),   at most about w sum of p_j |V_j - O|,
//! ```
//!
//! and roundings that are independent leave the root of the sum of squares of that. `BF16_WEIGHT_ERROR` is w.
//!
//! **Cost** of 16 scores, counted in cycles: a maximum, a multiply-add, a reduction, three multiply-adds, a scaling and
//! one operation to round and pair are 4 on two vector ports, as measured; the products are head_dim / 32 +
//! value_dim / 32 + 1 / 16, since one of 16 x 16 x 32 takes 16 cycles and is for 256 scores. Packing a block of keys is
//! shared by up to 512 rows.

mod edit;
mod output;
mod stage;
mod strip;
mod tile;
mod weights;

use std::ops::Range;

use simd::{Amx, Avx512, amx::Tiles};

use super::tiles::blocks;
use crate::{parts::Block, problem::Problem, shape::Shape};
use stage::Stage;
use strip::{Item, Strip};
use tile::Tile;

/// Rows of a strip: two tiles.
const ROWS: usize = 32;

/// Keys whose weights are one tile of pairs.
const GROUP: usize = 32;

/// Most groups of a block of keys.
const GROUPS: usize = 8;

/// Scores of a strip and a group of keys: for each tile of rows, the two tiles of its keys.
type Scores = [[Tile; 2]; 2];

/// Weights of a strip and a block of keys: for each tile of rows, a tile for each group.
type Weights = [[Tile; GROUPS]; 2];

/// Longest heads that it takes.
const MOST_DIM: usize = 256;

/// Tiles that a thread works in, unless a group of heads is larger than a block: 512 KiB.
const MOST_TILES: usize = 512;

/// How a problem is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Queries of a block, each with all heads of a group.
    pub(crate) queries: usize,
    group: usize,
    /// Tiles of a row of Q or K.
    depth: usize,
    /// Tiles of a row of V, an even number.
    columns: usize,
    /// Groups of a block of keys.
    groups: usize,
}

impl Cut {
    /// `None` where heads are too long or have no elements.
    pub(crate) fn new(shape: &Shape) -> Option<Self> {
        let &Shape { batch, queries, head_dim, value_dim, kv_heads, .. } = shape;
        if [head_dim, value_dim].iter().any(|dim| !(1..=MOST_DIM).contains(dim)) {
            return None;
        }
        let group = shape.group().max(1);
        // A block of long heads has half as many keys, so that it shares the memory with as many rows.
        let groups = if head_dim.max(value_dim) <= 128 { GROUPS } else { GROUPS / 2 };
        let cut = Self { queries: 1, group, depth: head_dim.div_ceil(32), columns: 2 * value_dim.div_ceil(32), groups };
        // Up to 512 rows share a packed block; fewer where there would not be 16 blocks for threads to share.
        let most = ((MOST_TILES - cut.shared_tiles()) / cut.strip_tiles()).min(16);
        let share = (queries.saturating_mul(group)).saturating_mul(batch.saturating_mul(kv_heads)) / 16;
        let rows = share.clamp(4 * ROWS, most * ROWS) / ROWS * ROWS;
        Some(Self { queries: (rows / group).max(1), ..cut })
    }

    /// Scores and weights, ones, and a block of K and V.
    fn shared_tiles(&self) -> usize {
        Buffers::TILES + 1 + 2 * self.groups * self.depth + self.groups * self.columns
    }

    /// Queries, output with sums, and largest scores of a strip.
    fn strip_tiles(&self) -> usize {
        2 * self.depth + 2 * (self.columns + 1) + 1
    }

    fn strips(&self) -> usize {
        (self.queries * self.group).div_ceil(ROWS)
    }

    /// Floats of workspace that a thread needs.
    pub(crate) fn scratch_floats(&self) -> usize {
        (self.shared_tiles() + self.strips() * self.strip_tiles()) * (size_of::<Tile>() / size_of::<f32>())
    }
}

/// What strips work in.
struct Buffers<'s> {
    /// Of the group that becomes weights, and of the next one.
    scores: &'s mut [Scores; 2],
    weights: &'s mut Weights,
}

impl<'s> Buffers<'s> {
    /// Tiles of their memory.
    const TILES: usize = (2 * size_of::<Scores>() + size_of::<Weights>()) / size_of::<Tile>();

    fn new(tiles: &'s mut [Tile]) -> Self {
        let (scores, weights) = tiles.split_at_mut(2 * size_of::<Scores>() / size_of::<Tile>());
        let scores = tile::pairs(scores).first_chunk_mut().expect("the cut has room for the scores");
        let weights = tile::pairs(weights).first_mut().expect("the cut has room for the weights");
        Self { scores, weights }
    }
}

/// Computes a block.
pub(crate) struct AmxTiles<'p, 's> {
    pub(crate) problem: &'p Problem<'p>,
    pub(crate) block: &'p Block,
    pub(crate) cut: Cut,
    /// At least [`Cut::scratch_floats`], on the boundary of a cache line.
    pub(crate) scratch: &'s mut [f32],
}

impl AmxTiles<'_, '_> {
    pub(crate) fn run(self, amx: Amx) {
        let tiles = Tiles::new(amx);
        // SAFETY: an `Amx` contains an `Avx512`, which exists only where these features were detected.
        unsafe { self.compute(amx.avx512(), &tiles) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn compute(self, simd: Avx512, tiles: &Tiles) {
        let Self { problem, block, cut, scratch } = self;
        let (buffers, rest) = tile::tiles(scratch).split_at_mut(Buffers::TILES);
        let (shared, strip_memory) = rest.split_at_mut(cut.shared_tiles() - Buffers::TILES);
        let mut stage = Stage::new(shared, &cut);
        let Buffers { scores, weights } = Buffers::new(buffers);
        let rows = block.queries.len() * cut.group;
        let mut seen = Range { start: usize::MAX, end: 0 };
        for (own, memory) in strips(rows, &cut, strip_memory) {
            let strip = Strip::new(problem, block, &cut, own, memory);
            seen = seen.start.min(strip.seen.start)..seen.end.max(strip.seen.end);
        }
        for keys in blocks(seen, GROUP * cut.groups) {
            let mut is_staged = false;
            for (own, memory) in strips(rows, &cut, strip_memory) {
                let mut strip = Strip::new(problem, block, &cut, own, memory);
                let Some(mut item) = Item::new(&strip, &keys) else { continue };
                if !is_staged {
                    stage.load(problem, block, keys.clone());
                    is_staged = true;
                }
                if !item.has_sums {
                    strip.load_queries();
                    strip.prefetch_next_queries(rows);
                }
                if item.keys.end >= strip.seen.end {
                    strip.prefetch_output();
                }
                let Range { start, end } = item.groups.clone();
                strip.multiply_keys(tiles, &stage, start, &mut scores[start % 2]);
                for group in start..end {
                    if group + 1 < end {
                        strip.multiply_keys(tiles, &stage, group + 1, &mut scores[(group + 1) % 2]);
                    }
                    strip.weigh(simd, (tiles, &stage), &mut item, group, &mut scores[group % 2], weights);
                }
                strip.add_sums((tiles, &stage), &mut item, end, weights);
            }
        }
        for (own, memory) in strips(rows, &cut, strip_memory) {
            Strip::new(problem, block, &cut, own, memory).store_output(simd);
        }
    }
}

/// The rows and the memory of each strip.
fn strips<'m>(rows: usize, cut: &Cut, memory: &'m mut [Tile]) -> impl Iterator<Item = (Range<usize>, &'m mut [Tile])> {
    let ranges = (0..rows).step_by(ROWS).map(move |start| start..rows.min(start + ROWS));
    ranges.zip(memory.chunks_exact_mut(cut.strip_tiles()))
}
