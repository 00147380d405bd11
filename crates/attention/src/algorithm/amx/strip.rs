//! A strip: its rows, its memory, and its two products with a block of keys.

use std::ops::Range;

use simd::{
    amx::{Product, TILE_BYTES, Tiles},
    bf16, prefetch_l2, with_element_type,
};

use super::{Cut, GROUP, ROWS, Scores, Weights, stage::Stage, tile::Row, tile::Tile};
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
    /// The first group whose weights are not yet in the sums.
    pub(super) next: usize,
    /// Whether the strip's memory holds sums: of blocks before, or of groups before `next`.
    pub(super) has_sums: bool,
}

impl Item {
    /// `None` if no row sees any of the keys.
    pub(super) fn new(strip: &Strip<'_, '_>, keys: &Range<usize>) -> Option<Self> {
        let own = keys.start.max(strip.seen.start)..keys.end.min(strip.seen.end);
        if own.is_empty() {
            return None;
        }
        let groups = (own.start - keys.start) / GROUP..(own.end - keys.start).div_ceil(GROUP);
        let next = groups.start;
        Some(Self { keys: keys.clone(), groups, next, has_sums: own.start != strip.seen.start })
    }

    /// Whether a group of the strip's is its first of all.
    pub(super) fn is_first(&self, group: usize) -> bool {
        !self.has_sums && group == self.groups.start
    }

    /// Whether some row does not see some key of a group. The last group of a block may be longer than what is left.
    pub(super) fn is_partial(&self, strip: &Strip<'_, '_>, group: usize) -> bool {
        let start = self.keys.start + group * GROUP;
        start < strip.seen_by_all.start || start + GROUP > strip.seen_by_all.end.min(self.keys.end)
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

    /// Prefetches the queries of the strip behind this one, if there is one in a block of `rows` rows.
    pub(super) fn prefetch_next_queries(&self, rows: usize) {
        if let Some(next) = self.rows.next(rows) {
            let (q, dim) = (self.problem.q, self.problem.shape.head_dim);
            prefetch_rows(&next, |[batch, token, head]| (q.row::<bf16>(batch, token, head), dim));
        }
    }

    /// Prefetches the rows of the output, which are written when the block is done.
    pub(super) fn prefetch_output(&self) {
        let (out, dim) = (&self.problem.out, self.problem.shape.value_dim);
        with_element_type!(out.element_type(), T => {
            prefetch_rows(&self.rows, |[batch, token, head]| (out.row::<T>(batch, token, head).cast_const(), dim));
        });
    }

    /// S = Q K^T for a group of keys.
    pub(super) fn multiply_keys(&self, tiles: &Tiles, stage: &Stage<'_>, group: usize, scores: &mut Scores) {
        let tile = |rows: usize| self.q[rows * self.cut.depth..].as_ptr().cast();
        let product = Product {
            a: [tile(0), tile(1)],
            a_step: TILE_BYTES,
            b: stage.keys(group),
            b_step: TILE_BYTES,
            steps: self.cut.depth,
            c: scores.each_mut().map(|tiles| tiles.as_mut_ptr().cast()),
            is_added: false,
        };
        // SAFETY: the stage has `depth` tiles of 32 keys, the strip as many of 32 queries, and scores are two adjacent
        // tiles for each 16 of them.
        unsafe { tiles.multiply::<2>(&product) };
    }

    /// O += P V for some groups and two tiles of columns, or l += P 1 where `column` is behind them, with one.
    fn multiply_column(
        &mut self,
        (tiles, stage): (&Tiles, &Stage<'_>),
        item: &Item,
        groups: &Range<usize>,
        column: usize,
        weights: &Weights,
    ) {
        let is_sum = column == self.cut.columns;
        let (upper, lower) = self.o.split_at_mut(self.cut.columns + 1);
        let tile = |rows: usize| weights[rows][groups.start..].as_ptr().cast();
        let product = Product {
            a: [tile(0), tile(1)],
            a_step: TILE_BYTES,
            b: if is_sum { [stage.ones(); 2] } else { stage.values(column, groups.start) },
            b_step: if is_sum { 0 } else { TILE_BYTES },
            steps: groups.len(),
            c: [upper, lower].map(|tiles| tiles[column..].as_mut_ptr().cast()),
            is_added: item.has_sums,
        };
        // SAFETY: weights are a tile for each group; the stage has a tile of each column for each group, and one of
        // ones; the output has two adjacent tiles for each 16 rows, and the sums have one.
        unsafe {
            match is_sum {
                true => tiles.multiply::<1>(&product),
                false => tiles.multiply::<2>(&product),
            }
        }
    }

    /// Adds the weights of the groups from `item.next` up to `end` to the sums: at the end, or before m moves.
    pub(super) fn add_sums(&mut self, (tiles, stage): (&Tiles, &Stage<'_>), item: &mut Item, end: usize, p: &Weights) {
        let groups = item.next..end;
        if groups.is_empty() {
            return;
        }
        for column in (0..=self.cut.columns).step_by(2) {
            self.multiply_column((tiles, stage), item, &groups, column, p);
        }
        self.add_apart(stage, item, &groups, p);
        (item.next, item.has_sums) = (end, true);
    }

    /// Adds the rows of V that were packed as 0 because they are not finite, for those rows that see them: a weight
    /// of 0 times NaN is a NaN.
    fn add_apart(&mut self, stage: &Stage<'_>, item: &Item, groups: &Range<usize>, weights: &Weights) {
        let Sequence { batch, ref keys, .. } = self.rows.block.sequence;
        let of_group =
            |group| (0..GROUP).filter(move |key| stage.apart(group) >> key & 1 == 1).map(move |key| (group, key));
        for (group, key) in groups.clone().filter(|&group| stage.apart(group) != 0).flat_map(of_group) {
            let position = item.keys.start + group * GROUP + key;
            for row in 0..self.rows.count() {
                if !self.problem.visible(&self.rows.block.sequence, self.rows.query(row)).contains(&position) {
                    continue;
                }
                let pair = weights[row / 16][group].0[row % 16][key % 16].to_bits();
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

/// Prefetches rows of a tensor: their first elements and how many there are, by batch, token and head.
fn prefetch_rows<T>(rows: &Rows<'_>, row: impl Fn([usize; 3]) -> (*const T, usize)) {
    let Sequence { batch, ref queries, .. } = rows.block.sequence;
    for lane in 0..rows.count() {
        let (first, len) = row([batch, queries.start + rows.query(lane), rows.head(lane)]);
        for d in (0..len).step_by(CACHE_LINE_BYTES / size_of::<T>()) {
            prefetch_l2(first.wrapping_add(d));
        }
    }
}

/// Bytes of a cache line.
const CACHE_LINE_BYTES: usize = 64;

/// The tile of columns and the lane of an element of the output: of each eight, the first four are in one tile, the
/// others in the next, as `stage.rs` packs V.
pub(super) fn column_of(d: usize) -> (usize, usize) {
    (d / 32 * 2 + d / 4 % 2, d % 32 / 8 * 4 + d % 4)
}
