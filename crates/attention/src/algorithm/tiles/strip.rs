//! A strip: its rows, its memory, and the steps of a block of keys.

use std::{
    f32::consts::{LN_2, LOG2_E},
    ops::Range,
};

use simd::{Element, F32Vector, Simd, with_element_type};

use super::{
    Cut,
    edit::{self, Limits, Mask},
    scores::Scores,
    stage::{IsFinite, Staged},
    values::Values,
    weights::Weights,
};
use crate::{
    parts::{Block, Rows},
    problem::{Problem, Sequence},
};

/// A strip with its memory, which holds what is known between blocks of keys.
pub(super) struct Strip<'p, 's> {
    problem: &'p Problem<'p>,
    rows: Rows<'p>,
    cut: Cut,
    /// Vectors of rows, and lanes of all of them.
    vectors: usize,
    width: usize,
    /// Keys that some row sees.
    pub(super) seen: Range<usize>,
    /// Keys that every row sees.
    seen_by_all: Range<usize>,
    /// A row of vectors for each element of a query: the queries, multiplied by scale log2(e).
    q: &'s mut [f32],
    /// A row of vectors for each element of the output, and for padding.
    o: &'s mut [f32],
    max: &'s mut [f32],
    sum: &'s mut [f32],
}

impl<'p, 's> Strip<'p, 's> {
    /// `rows` are those of the block, at least one; `memory` is that of a strip.
    pub(super) fn new(
        problem: &'p Problem<'p>,
        block: &'p Block,
        cut: &Cut,
        rows: Range<usize>,
        lanes: usize,
        memory: &'s mut [f32],
    ) -> Self {
        let rows = Rows::new(block, rows, cut.group);
        let vectors = rows.count().div_ceil(lanes);
        let width = vectors * lanes;
        let (q, rest) = memory.split_at_mut(cut.head_dim * width);
        let (o, rest) = rest.split_at_mut(cut.padded_dim() * width);
        let (max, rest) = rest.split_at_mut(width);
        let sum = &mut rest[..width];
        // Both ends of what a query sees grow with the query.
        let first = problem.visible(&block.sequence, rows.query(0));
        let last = problem.visible(&block.sequence, rows.query(width - 1));
        let (seen, seen_by_all) = (first.start..last.end, last.start..first.end);
        Self { problem, rows, cut: *cut, vectors, width, seen, seen_by_all, q, o, max, sum }
    }

    /// Transposes the queries, multiplied so that weights are powers of 2.
    #[inline(always)]
    pub(super) fn load_queries<S: Simd>(&mut self, simd: S) {
        with_element_type!(self.problem.q.element_type(), T => self.transpose_queries::<S, T>(simd));
        let factor = simd.splat(self.problem.scale * LOG2_E);
        for vector in self.q.chunks_exact_mut(S::LANES) {
            // SAFETY: the chunk has LANES floats.
            unsafe { (factor * simd.load(vector.as_ptr())).store(vector.as_mut_ptr()) };
        }
    }

    #[inline(always)]
    fn transpose_queries<S: Simd, T: Element>(&mut self, simd: S) {
        let (width, dim) = (self.width, self.cut.head_dim);
        let Sequence { batch, ref queries, .. } = self.rows.block.sequence;
        let mut lane = 0;
        while lane < width {
            let mut rows = [std::ptr::null::<T>(); 4];
            let count = rows.len().min(width - lane);
            for i in 0..count {
                let (token, head) = (queries.start + self.rows.query(lane + i), self.rows.head(lane + i));
                rows[i] = self.problem.q.row::<T>(batch, token, head);
            }
            let steps = [1, 2, 3].map(|i: usize| rows[i].addr().wrapping_sub(rows[i - 1].addr()));
            let is_even = count == 4 && steps[0] == steps[1] && steps[1] == steps[2];
            let mut d = 0;
            while is_even && d + 8 <= dim {
                let stride = steps[0].cast_signed() / size_of::<T>().cast_signed();
                // SAFETY: the four rows are at equal distances and have 8 elements from `d` on; as many rows of Q have
                // 4 floats from `lane` on.
                unsafe {
                    let to = self.q.as_mut_ptr().add(d * width + lane);
                    simd.transpose_4x8::<T>(rows[0].add(d), stride, to, width);
                }
                d += 8;
            }
            for (i, d) in (0..count).flat_map(|i| (d..dim).map(move |d| (i, d))) {
                // SAFETY: row i has `dim` elements.
                self.q[d * width + lane + i] = unsafe { *rows[i].add(d) }.to_f32();
            }
            lane += count;
        }
    }

    /// Attends to some keys of a block, which count from the first of the sequence. Memory for scores and lanes is that
    /// of [`Cut`].
    #[inline(always)]
    pub(super) fn attend<S: Simd>(
        &mut self,
        simd: S,
        staged: &Staged<'_>,
        keys: Range<usize>,
        scores: &mut [f32],
        lanes: &mut [f32],
    ) {
        match (self.vectors, S::LANES) {
            (1, _) => self.attend_with::<S, 1>(simd, staged, keys, scores, lanes),
            (3, 16) => self.attend_with::<S, 3>(simd, staged, keys, scores, lanes),
            _ => self.attend_with::<S, 2>(simd, staged, keys, scores, lanes),
        }
    }

    #[inline(always)]
    fn attend_with<S: Simd, const VECS: usize>(
        &mut self,
        simd: S,
        staged: &Staged<'_>,
        keys: Range<usize>,
        scores: &mut [f32],
        lanes: &mut [f32],
    ) {
        let (problem, rows, width) = (self.problem, &self.rows, self.width);
        let (from, rest) = lanes.split_at_mut(width);
        let (to, rest) = rest.split_at_mut(width);
        let (largest, rest) = rest.split_at_mut(width);
        let factor = &mut rest[..width];
        let has_terms = problem.options.has_terms();
        let is_partial = keys.start < self.seen_by_all.start || keys.end > self.seen_by_all.end;
        let limits = is_partial.then(|| Limits::new(problem, rows, &keys, from, to));

        let (first, count, p) = (keys.start - staged.first_key, keys.len(), scores);
        let (k, depth) = (staged.k.some(first, count), self.cut.head_dim);
        simd.run(Scores::<VECS> { q: self.q, k, depth, count, p, largest });
        if has_terms {
            edit::add_terms(problem, rows, &keys, p, width);
        }
        if is_partial || has_terms {
            let masked = f32::NEG_INFINITY;
            simd.run(Mask::<VECS> { p, count, limits: limits.as_ref(), masked, largest });
        }

        let (max, sum, is_first) = (&mut *self.max, &mut *self.sum, keys.start == self.seen.start);
        let before = simd.run(Weights::<VECS> { p, count, largest, max, sum, factor, is_first });
        let (v, dim) = (staged.v.some(first, count), self.cut.value_dim);
        // A masked weight is 0, but 0 times what is not finite is a NaN. So such weights get a sign.
        let is_careful = is_partial && !self.is_finite_where_masked(simd, staged, &keys);
        if is_careful {
            simd.run(Mask::<VECS> { p, count, limits: limits.as_ref(), masked: -0.0, largest });
        }
        simd.run(Values::<VECS> { p, v, count, dim, o: self.o, factor, before, is_careful });
    }

    /// Whether V is finite at all of these keys that some row does not see.
    #[inline(always)]
    fn is_finite_where_masked<S: Simd>(&self, simd: S, staged: &Staged<'_>, keys: &Range<usize>) -> bool {
        let before = keys.start..self.seen_by_all.start.clamp(keys.start, keys.end);
        let after = self.seen_by_all.end.clamp(before.end, keys.end)..keys.end;
        let is_finite =
            |keys: Range<usize>| simd.run(IsFinite(staged.v.some(keys.start - staged.first_key, keys.len())));
        is_finite(before) && is_finite(after)
    }

    /// Writes O / l and the log-sum-exp. `memory` is that of scores.
    #[inline(always)]
    pub(super) fn store_output<S: Simd>(&mut self, simd: S, memory: &mut [f32]) {
        let (padded, dim, count) = (self.cut.padded_dim(), self.cut.value_dim, self.rows.count());
        assert!(memory.len() >= 8 * padded, "the workspace has room for 8 rows");
        let mut lane = 0;
        while lane < count {
            let together = if lane + 8 <= self.width { 8 } else { 1 };
            let (o, rows) = (self.o.as_ptr().wrapping_add(lane), memory.as_mut_ptr());
            for d in (0..dim).step_by(if together == 8 { 4 } else { 1 }) {
                // SAFETY: rows d .. d + 4 of O have 8 floats from `lane` on, and rows in `memory` are `padded` long; or
                // row d has one.
                unsafe {
                    match together {
                        8 => simd.transpose_4x8(o.add(d * self.width), self.width.cast_signed(), rows.add(d), padded),
                        _ => *rows.add(d) = *o.add(d * self.width),
                    }
                }
            }
            for i in 0..together.min(count - lane) {
                self.store_row(simd, lane + i, &mut memory[i * padded..][..dim]);
            }
            lane += together;
        }
    }

    /// Writes a row of the output, given its weighted sums.
    #[inline(always)]
    fn store_row<S: Simd>(&self, simd: S, lane: usize, row: &mut [f32]) {
        let Sequence { batch, ref queries, .. } = self.rows.block.sequence;
        let (token, head) = (queries.start + self.rows.query(lane), self.rows.head(lane));
        // Where no key was seen, the memory holds nothing.
        let sum = if self.seen.is_empty() { 0.0 } else { self.sum[lane] };
        let lse = match sum == 0.0 {
            true => f32::NEG_INFINITY,
            false => (self.max[lane] + sum.log2()) * LN_2,
        };
        let inverse = simd.splat(1.0 / sum);
        if sum == 0.0 {
            row.fill(0.0);
        }
        with_element_type!(self.problem.out.element_type(), T => {
            let to = self.problem.out.row::<T>(batch, token, head);
            let mut d = 0;
            while d < row.len() {
                let rest = row.len() - d;
                // SAFETY: both rows have `rest` elements from `d` on, and nobody else writes this row of the output.
                unsafe {
                    let x = simd.load_partial(row.as_ptr().add(d), rest);
                    let x = if sum == 0.0 { x } else { x * inverse };
                    match rest >= S::LANES {
                        true => T::store(simd, x, to.add(d)),
                        false => T::store_partial(simd, x, to.add(d), rest),
                    }
                }
                d += S::LANES;
            }
        });
        // SAFETY: the row exists, and nobody else writes it.
        unsafe { self.problem.set_lse(batch, head, token, lse) };
    }
}
