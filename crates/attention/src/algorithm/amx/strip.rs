//! A strip: its rows, its memory, and its two products with a block of keys.

use std::ops::Range;

use simd::{
    amx::{Product, TILE_BYTES, Tiles},
    bf16,
};

use super::{Cut, GROUP, GROUPS, ROWS, Scores, stage::Stage, tile::Row, tile::Tile};
use crate::{
    parts::{Block, Rows},
    problem::{Problem, Sequence},
};

/// A strip with its memory, which holds what is known between blocks of keys.
pub(super) struct Strip<'p, 's> {
    pub(super) problem: &'p Problem<'p>,
    pub(super) rows: Rows<'p>,
    pub(super) cut: Cut,
    /// Keys that some row sees.
    pub(super) seen: Range<usize>,
    /// Keys that every row sees.
    pub(super) seen_by_all: Range<usize>,
    /// For each 16 rows, `depth` tiles of their queries, 0 behind the last row and element.
    pub(super) q: &'s mut [Tile],
    /// For each 16 rows, the tiles of columns of the output and a tile whose columns are all the sum of weights.
    pub(super) o: &'s mut [Tile],
    /// For each 16 rows, what is subtracted from their scores.
    pub(super) max: &'s mut [Row; 2],
}

/// What a strip has to do with a block of keys.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The keys of the block.
    pub(super) keys: Range<usize>,
    /// Groups of the block with a key that some row sees.
    pub(super) groups: Range<usize>,
    /// Whether some row does not see some key of the groups.
    pub(super) is_partial: bool,
    /// Whether it is the strip's first: its memory holds no sums then.
    pub(super) is_first: bool,
}

impl Item {
    /// `None` if no row sees any of the keys.
    pub(super) fn new(strip: &Strip<'_, '_>, keys: &Range<usize>) -> Option<Self> {
        let own = keys.start.max(strip.seen.start)..keys.end.min(strip.seen.end);
        if own.is_empty() {
            return None;
        }
        let groups = (own.start - keys.start) / GROUP..(own.end - keys.start).div_ceil(GROUP);
        let ends = [groups.start, groups.end].map(|group| keys.start + group * GROUP);
        // The last group of a block may be longer than what is left of it.
        let is_partial = ends[0] < strip.seen_by_all.start || ends[1] > strip.seen_by_all.end.min(keys.end);
        Some(Self { keys: keys.clone(), groups, is_partial, is_first: own.start == strip.seen.start })
    }
}

impl<'p, 's> Strip<'p, 's> {
    /// `rows` are those of the block, at least one; `memory` is that of a strip.
    pub(super) fn new(
        problem: &'p Problem<'p>,
        block: &'p Block,
        cut: &Cut,
        rows: Range<usize>,
        memory: &'s mut [Tile],
    ) -> Self {
        let rows = Rows::new(block, rows, cut.group);
        let (q, rest) = memory.split_at_mut(2 * cut.depth);
        let (o, rest) = rest.split_at_mut(2 * (cut.columns + 1));
        let max = rest[0].0.first_chunk_mut().expect("a tile has 16 rows");
        // Both ends of what a query sees grow with the query.
        let first = problem.visible(&block.sequence, rows.query(0));
        let last = problem.visible(&block.sequence, rows.query(rows.count() - 1));
        let (seen, seen_by_all) = (first.start..last.end, last.start..first.end);
        Self { problem, rows, cut: *cut, seen, seen_by_all, q, o, max }
    }

    /// Copies the queries into tiles: whatever their strides, their lines are adjacent then.
    pub(super) fn load_queries(&mut self) {
        let Sequence { batch, ref queries, .. } = self.rows.block.sequence;
        let (dim, depth) = (self.problem.shape.head_dim, self.cut.depth);
        if dim % 32 != 0 || self.rows.count() < ROWS {
            self.q.fill(Tile([[0.0; 16]; 16]));
        }
        for row in 0..self.rows.count() {
            let (token, head) = (queries.start + self.rows.query(row), self.rows.head(row));
            let from = self.problem.q.row::<bf16>(batch, token, head);
            for (step, d) in (0..dim).step_by(32).enumerate() {
                let to = &mut self.q[row / 16 * depth + step].0[row % 16];
                // SAFETY: the row has `dim` elements, and as many as are left, 32 at most, fill a row of a tile.
                unsafe { from.add(d).copy_to_nonoverlapping(to.as_mut_ptr().cast(), (dim - d).min(32)) };
            }
        }
    }

    /// S = Q K^T for a group of keys.
    pub(super) fn score_product(&self, stage: &Stage<'_>, group: usize, scores: &mut Scores) -> Product {
        let tile = |rows: usize| self.q[rows * self.cut.depth..].as_ptr().cast();
        Product {
            a: [tile(0), tile(1)],
            a_step: TILE_BYTES,
            b: stage.keys(group),
            b_step: TILE_BYTES,
            steps: self.cut.depth,
            c: scores.each_mut().map(|tiles| tiles[2 * group..].as_mut_ptr().cast()),
            is_added: false,
        }
    }

    /// O += P V for two tiles of columns, or l += P 1 where `column` is behind them, with one.
    pub(super) fn value_product(&mut self, stage: &Stage<'_>, item: &Item, column: usize, scores: &Scores) -> Product {
        let Item { ref groups, is_first, .. } = *item;
        let is_sum = column == self.cut.columns;
        let (upper, lower) = self.o.split_at_mut(self.cut.columns + 1);
        let tile = |rows: usize| scores[rows][2 * groups.start..].as_ptr().cast();
        Product {
            a: [tile(0), tile(1)],
            a_step: 2 * TILE_BYTES,
            b: if is_sum { [stage.ones(); 2] } else { stage.values(column, groups.start) },
            b_step: if is_sum { 0 } else { TILE_BYTES },
            steps: groups.len(),
            c: [upper, lower].map(|tiles| tiles[column..].as_mut_ptr().cast()),
            is_added: !is_first,
        }
    }

    pub(super) fn multiply_keys(&self, tiles: &Tiles, stage: &Stage<'_>, item: &Item, scores: &mut Scores) {
        for group in item.groups.clone() {
            let product = self.score_product(stage, group, scores);
            // SAFETY: the stage has `depth` tiles of 32 keys, the strip as many of 32 queries, and a group of scores
            // two adjacent tiles for each 16 of them.
            unsafe { tiles.multiply::<2>(&product) };
        }
    }

    pub(super) fn multiply_values(&mut self, tiles: &Tiles, stage: &Stage<'_>, item: &Item, scores: &Scores) {
        for column in (0..self.cut.columns).step_by(2) {
            let product = self.value_product(stage, item, column, scores);
            // SAFETY: every second tile of the scores holds the weights of a group; the stage has a tile of each
            // column for each group; the output has two adjacent tiles for each 16 rows.
            unsafe { tiles.multiply::<2>(&product) };
        }
        let product = self.value_product(stage, item, self.cut.columns, scores);
        // SAFETY: as above, with the tile of ones and the tiles of sums.
        unsafe { tiles.multiply::<1>(&product) };
        for group in item.groups.clone() {
            if stage.apart(group) != 0 {
                self.add_apart(item, group, stage.apart(group), scores);
            }
        }
    }

    /// Adds the rows of V that were packed as 0 because they are not finite, for those rows that see them: a weight
    /// of 0 times NaN is a NaN.
    fn add_apart(&mut self, item: &Item, group: usize, apart: u32, scores: &Scores) {
        let Sequence { batch, ref keys, .. } = self.rows.block.sequence;
        for key in (0..GROUP).filter(|key| apart >> key & 1 == 1) {
            let position = item.keys.start + group * GROUP + key;
            for row in 0..self.rows.count() {
                if !self.problem.visible(&self.rows.block.sequence, self.rows.query(row)).contains(&position) {
                    continue;
                }
                let pair = scores[row / 16][2 * group].0[row % 16][key % 16].to_bits();
                let weight = bf16::from_bits((pair >> (key / 16 * 16)) as u16).to_f32();
                for d in 0..self.problem.shape.value_dim {
                    let (token, head) = (keys.start + position, self.rows.block.kv_head);
                    let value = self.problem.v.get(batch, token, head, d).expect("the key exists");
                    let (column, lane) = column_of(d);
                    let o = &mut self.o[row / 16 * (self.cut.columns + 1) + column].0[row % 16][lane];
                    *o += weight * value;
                }
            }
        }
    }
}

/// The tile of columns and the lane of an element of the output: of each eight, the first four are in one tile, the
/// others in the next, as `stage.rs` packs V.
pub(super) fn column_of(d: usize) -> (usize, usize) {
    (d / 32 * 2 + d / 4 % 2, d % 32 / 8 * 4 + d % 4)
}

const _: () = assert!(GROUPS * GROUP == super::KEYS);
