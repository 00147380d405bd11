//! The output of a strip: O / l in the order of its elements, and the log-sum-exp.

use std::{arch::x86_64::*, f32::consts::LN_2};

use simd::{Avx512, Element, Simd, with_element_type};

use super::{
    MOST_DIM,
    strip::Strip,
    tile::{load, store},
};
use crate::problem::Sequence;

impl Strip<'_, '_> {
    /// Writes O / l and the log-sum-exp of each row.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn store_output(&self, simd: Avx512) {
        for row in 0..self.rows.count() {
            let tiles = &self.o[row / 16 * (self.cut.columns + 1)..][..self.cut.columns + 1];
            // Where no key was seen, the memory holds nothing.
            let sum = if self.seen.is_empty() { 0.0 } else { tiles[self.cut.columns].0[row % 16][0] };
            let mut elements = [[0.0; 16]; MOST_DIM / 16];
            if sum != 0.0 {
                let inverse = _mm512_set1_ps(1.0 / sum);
                for (to, from) in elements.chunks_exact_mut(2).zip(tiles.chunks_exact(2)) {
                    let [x, y] = [0, 1].map(|i| _mm512_mul_ps(load(&from[i].0[row % 16]), inverse));
                    // Fours of x and y in turns.
                    let indices = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
                    store(&mut to[0], _mm512_permutex2var_ps(x, indices, y));
                    let indices = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
                    store(&mut to[1], _mm512_permutex2var_ps(x, indices, y));
                }
            }
            with_element_type!(self.problem.out.element_type(), T => self.store_row::<T>(simd, row, &elements));
            let Sequence { batch, ref queries, .. } = self.rows.block.sequence;
            let lse = match sum == 0.0 {
                true => f32::NEG_INFINITY,
                false => (self.max[row / 16][row % 16] + sum.log2()) * LN_2,
            };
            // SAFETY: the row exists, and nobody else writes it.
            unsafe { self.problem.set_lse(batch, self.rows.head(row), queries.start + self.rows.query(row), lse) };
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn store_row<T: Element>(&self, simd: Avx512, row: usize, elements: &[[f32; 16]]) {
        let Sequence { batch, ref queries, .. } = self.rows.block.sequence;
        let (token, head) = (queries.start + self.rows.query(row), self.rows.head(row));
        let to = self.problem.out.row::<T>(batch, token, head);
        let dim = self.problem.shape.value_dim;
        for (d, from) in (0..dim).step_by(16).zip(elements) {
            // SAFETY: `dim` - `d` elements follow in this row of the output, which nobody else writes.
            unsafe {
                let x = simd.load(from.as_ptr());
                match dim - d >= 16 {
                    true => T::store(simd, x, to.add(d)),
                    false => T::store_partial(simd, x, to.add(d), dim - d),
                }
            }
        }
    }
}
