//! The results of all parts of the keys, merged to rows of the output.

use std::f32::consts::LN_2;

use simd::{Element, Simd, Vectorized, math::exp2_weight, with_element_type};

use super::{Cut, only, place};
use crate::{parts::Block, problem::Problem};

/// Writes the rows of a block.
pub(crate) struct Merge<'p, 's> {
    pub(crate) problem: &'p Problem<'p>,
    pub(crate) block: &'p Block,
    pub(crate) cut: Cut,
    /// Results of all parts. What the first holds is changed.
    pub(crate) results: &'s mut [f32],
}

impl Vectorized for Merge<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { problem, block, cut, results } = self;
        let dim = cut.value_dim;
        let (maxima, sums) = (cut.rows() * dim, cut.rows() * (dim + 1));
        for row in 0..block.queries.len() * cut.group {
            let parts = results.chunks_exact(cut.part_floats());
            let max = parts.map(|part| part[maxima + row]).fold(f32::MIN, f32::max);
            let mut sum = 0.0;
            let (first, others) = results.split_at_mut(cut.part_floats());
            let factor = |part: &[f32]| only(simd, exp2_weight(simd, simd.splat(part[maxima + row] - max)));
            let (acc, own) = (row * dim..(row + 1) * dim, factor(first));
            sum += own * first[sums + row];
            first[acc.clone()].iter_mut().for_each(|x| *x *= own);
            for part in others.chunks_exact(cut.part_floats()) {
                let factor = factor(part);
                sum += factor * part[sums + row];
                first[acc.clone()].iter_mut().zip(&part[acc.clone()]).for_each(|(x, y)| *x += factor * y);
            }
            let (query, head) = place(block, &cut, row);
            let index = [block.sequence.batch, block.sequence.queries.start + query, head];
            // SAFETY: the row of the output exists, and only this block writes it.
            unsafe {
                store(problem, index, &first[acc], sum);
                let lse = if sum == 0.0 { f32::NEG_INFINITY } else { (max + sum.log2()) * LN_2 };
                problem.set_lse(index[0], index[2], index[1], lse);
            }
        }
    }
}

/// O[row] = acc / sum, or 0 where no key has a weight.
///
/// # Safety
/// The row exists, and nobody else writes it meanwhile.
unsafe fn store(problem: &Problem<'_>, [batch, token, head]: [usize; 3], acc: &[f32], sum: f32) {
    with_element_type!(problem.out.element_type(), T => {
        let row = problem.out.row::<T>(batch, token, head);
        for (d, &x) in acc.iter().enumerate() {
            let x = if sum == 0.0 { 0.0 } else { x / sum };
            // SAFETY: the row has as many elements as `acc`, and nobody else accesses them.
            unsafe { *row.add(d) = <T as Element>::from_f32(x) };
        }
    });
}
