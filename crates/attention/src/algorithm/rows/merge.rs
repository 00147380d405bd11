//! The results of the parts of the keys, merged one after the other and written to rows of the output.

use std::f32::consts::LN_2;

use simd::{Element, Simd, Vectorized, math::exp2_weight, with_element_type};

use super::{Cut, Part, only, waves::Task};
use crate::problem::Problem;

/// Merges the result of a task for a head into the state of the head, and writes its rows after the last part.
pub(super) struct Merge<'p, 's> {
    pub(super) problem: &'p Problem<'p>,
    pub(super) task: &'p Task,
    pub(super) kv_head: usize,
    pub(super) cut: Cut,
    pub(super) result: &'s [f32],
    /// What the parts before amount to, as a result. Not read if there are none.
    pub(super) state: &'s mut [f32],
}

impl Vectorized for Merge<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { problem, task, kv_head, cut, result, state } = self;
        let Task { sequence, queries, is_first, is_last, .. } = task;
        let (dim, [maxima, sums]) = (cut.value_dim, cut.max_and_sum());
        let state = Part::new(&cut, state);
        for row in 0..queries.len() * cut.group {
            let own = row * dim..(row + 1) * dim;
            let (acc, part) = (&mut state.acc[own.clone()], &result[own]);
            let (max, sum) = (&mut state.max[row], &mut state.sum[row]);
            let (part_max, part_sum) = (result[maxima + row], result[sums + row]);
            if *is_first {
                acc.copy_from_slice(part);
                (*max, *sum) = (part_max, part_sum);
            } else {
                let largest = max.max(part_max);
                // Not a closure: it would be compiled for no instruction set.
                let kept = only(simd, exp2_weight(simd, simd.splat(*max - largest)));
                let added = only(simd, exp2_weight(simd, simd.splat(part_max - largest)));
                acc.iter_mut().zip(part).for_each(|(x, y)| *x = kept * *x + added * y);
                (*max, *sum) = (largest, kept * *sum + added * part_sum);
            }
            if *is_last {
                let (query, head) = task.place(&cut, kv_head, row);
                let index = [sequence.batch, sequence.queries.start + query, head];
                let lse = if *sum == 0.0 { f32::NEG_INFINITY } else { (*max + sum.log2()) * LN_2 };
                // SAFETY: the row of the output exists, and only the last part of its head writes it.
                unsafe {
                    store(problem, index, acc, *sum);
                    problem.set_lse(index[0], index[2], index[1], lse);
                }
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
