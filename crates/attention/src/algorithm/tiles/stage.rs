//! K and V of a block as floats: in place where they are dense floats, else copied once for all strips.

use op::Workspace;
use std::ops::Range;

use simd::{Element, F32Vector, Simd, Vectorized, with_element_type};

use super::Cut;
use crate::{parts::Block, problem::Problem, view::Input};

/// Memory for the rows of K and V of a block of keys.
pub(super) struct Stage<'m> {
    k: &'m mut [f32],
    v: &'m mut [f32],
}

/// Dense rows of floats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'s> {
    floats: &'s [f32],
    dim: usize,
}

impl<'s> Rows<'s> {
    /// `count` rows from row `first` on.
    pub(super) fn some(self, first: usize, count: usize) -> &'s [f32] {
        &self.floats[first * self.dim..][..count * self.dim]
    }
}

/// The rows of K and V of a block of keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Staged<'s> {
    pub(super) k: Rows<'s>,
    pub(super) v: Rows<'s>,
    /// Of the block, counted from the first of the sequence.
    pub(super) first_key: usize,
}

impl<'m> Stage<'m> {
    pub(super) fn new(memory: &'m mut [f32], cut: &Cut) -> Self {
        let (k, v) = memory.split_at_mut((cut.keys * cut.head_dim).next_multiple_of(Workspace::LINE));
        Self { k, v }
    }

    /// Makes the rows of these keys, which count from the first of the block's sequence, available.
    #[inline(always)]
    pub(super) fn load<'s, S: Simd>(
        &'s mut self,
        simd: S,
        problem: &Problem<'s>,
        block: &Block,
        keys: Range<usize>,
    ) -> Staged<'s> {
        let first = [block.sequence.batch, block.sequence.keys.start + keys.start, block.kv_head];
        let k = floats(simd, problem.k, first, keys.len(), self.k);
        let v = floats(simd, problem.v, first, keys.len(), self.v);
        Staged { k, v, first_key: keys.start }
    }
}

/// Rows from `first` (batch, token, head) on as floats.
#[inline(always)]
fn floats<'s, S: Simd>(simd: S, tensor: Input<'s>, first: [usize; 3], count: usize, memory: &'s mut [f32]) -> Rows<'s> {
    let (dim, [batch, token, head]) = (tensor.extents().head_dim, first);
    if let Some(floats) = tensor.rows::<f32>(first, count) {
        return Rows { floats, dim };
    }
    assert!(memory.len() >= count * dim, "the workspace has room for a block");
    with_element_type!(tensor.element_type(), E => {
        let (rows, stride) = (tensor.row::<E>(batch, token, head), tensor.strides().token);
        // SAFETY: `count` tokens from this one on exist, with `dim` elements each; the memory has as many.
        unsafe { widen::<S, E>(simd, rows, stride, count, dim, memory.as_mut_ptr()) };
    });
    Rows { floats: memory, dim }
}

/// # Safety
/// `count` rows of `dim` elements, `stride` apart, can be read, and as many floats written.
#[inline(always)]
unsafe fn widen<S: Simd, E: Element>(simd: S, rows: *const E, stride: usize, count: usize, dim: usize, to: *mut f32) {
    for j in 0..count {
        let (row, to) = (rows.wrapping_add(j * stride), to.wrapping_add(j * dim));
        let mut d = 0;
        // SAFETY: vectors end where the row does.
        unsafe {
            while d + S::LANES <= dim {
                E::load(simd, row.add(d)).store(to.add(d));
                d += S::LANES;
            }
            if d < dim {
                E::load_partial(simd, row.add(d), dim - d).store_partial(to.add(d), dim - d);
            }
        }
    }
}

/// Whether floats are neither a NaN nor an infinity.
pub(super) struct IsFinite<'s>(pub(super) &'s [f32]);

impl Vectorized for IsFinite<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let zero = simd.splat(0.0);
        // 0 times what is not finite is a NaN, which stays in the sum. There are four sums, so that none waits for
        // another.
        let mut sums = [zero; 4];
        let mut chunks = self.0.chunks_exact(4 * S::LANES);
        for chunk in &mut chunks {
            for i in 0..sums.len() {
                // SAFETY: the chunk has four vectors.
                sums[i] = unsafe { simd.load(chunk.as_ptr().add(i * S::LANES)) }.mul_add(zero, sums[i]);
            }
        }
        for chunk in chunks.remainder().chunks(S::LANES) {
            // SAFETY: no more than the chunk is read.
            sums[0] = unsafe { simd.load_partial(chunk.as_ptr(), chunk.len()) }.mul_add(zero, sums[0]);
        }
        ((sums[0] + sums[1]) + (sums[2] + sums[3])).reduce_sum() == 0.0
    }
}
