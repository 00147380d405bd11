//! K and V of a block as floats: in place where they are dense floats, else copied once for all strips.

use op::Workspace;
use std::ops::Range;

use simd::{Element, ElementType, F32Vector, Simd, Vectorized, with_element_type};

use super::Cut;
use crate::{parts::Block, problem::Problem, view::Input};

/// The rows of K and V of a block of keys.
pub(super) struct Stage<'s> {
    k_memory: &'s mut [f32],
    v_memory: &'s mut [f32],
    pub(super) k: Floats,
    pub(super) v: Floats,
    first_key: usize,
}

/// Rows of floats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floats {
    origin: *const f32,
    pub(super) stride: usize,
}

impl Floats {
    const NONE: Self = Self { origin: std::ptr::null(), stride: 0 };

    /// Address of row `index`.
    pub(super) fn row(&self, index: usize) -> *const f32 {
        self.origin.wrapping_add(index * self.stride)
    }
}

impl<'s> Stage<'s> {
    pub(super) fn new(memory: &'s mut [f32], cut: &Cut) -> Self {
        let (k_memory, v_memory) = memory.split_at_mut((cut.keys * cut.head_dim).next_multiple_of(Workspace::LINE));
        Self { k_memory, v_memory, k: Floats::NONE, v: Floats::NONE, first_key: 0 }
    }

    /// Makes the rows of these keys, which count from the first of the block's sequence, available.
    #[inline(always)]
    pub(super) fn load<S: Simd>(&mut self, simd: S, problem: &Problem<'_>, block: &Block, keys: Range<usize>) {
        let first = [block.sequence.batch, block.sequence.keys.start + keys.start, block.kv_head];
        self.first_key = keys.start;
        self.k = floats(simd, problem.k, first, keys.len(), self.k_memory);
        self.v = floats(simd, problem.v, first, keys.len(), self.v_memory);
    }

    /// The rows of K and V from a key on.
    pub(super) fn rows_from(&self, key: usize) -> [*const f32; 2] {
        let index = key - self.first_key;
        [self.k.row(index), self.v.row(index)]
    }
}

/// Rows from `first` (batch, token, head) on as floats.
#[inline(always)]
fn floats<S: Simd>(
    simd: S,
    tensor: Input<'_>,
    [batch, token, head]: [usize; 3],
    count: usize,
    memory: &mut [f32],
) -> Floats {
    let (dim, stride) = (tensor.extents().head_dim, tensor.strides().token);
    if tensor.element_type() == ElementType::F32 && stride == dim {
        return Floats { origin: tensor.row::<f32>(batch, token, head), stride };
    }
    assert!(memory.len() >= count * dim, "the workspace has room for a block");
    with_element_type!(tensor.element_type(), E => {
        let rows = tensor.row::<E>(batch, token, head);
        // SAFETY: `count` tokens from this one on exist, with `dim` elements each; the memory has as many.
        unsafe { widen::<S, E>(simd, rows, stride, count, dim, memory.as_mut_ptr()) };
    });
    Floats { origin: memory.as_ptr(), stride: dim }
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

/// Whether `count` rows of `dim` floats, `stride` apart, hold neither a NaN nor an infinity.
pub(super) struct IsFinite {
    pub(super) rows: *const f32,
    pub(super) stride: usize,
    pub(super) count: usize,
    pub(super) dim: usize,
}

impl Vectorized for IsFinite {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let Self { rows, stride, count, dim } = self;
        let zero = simd.splat(0.0);
        // 0 times what is not finite is a NaN, which stays in the sum. Four rows have a sum each, so that none waits
        // for another; behind the end, the last row is read again.
        let mut sums = [zero; 4];
        for j in (0..count).step_by(sums.len()) {
            let mut d = 0;
            while d < dim {
                for i in 0..sums.len() {
                    let row = rows.wrapping_add((j + i).min(count - 1) * stride);
                    // SAFETY: whoever makes an `IsFinite` promises that the rows may be read.
                    sums[i] = unsafe { simd.load_partial(row.add(d), dim - d) }.mul_add(zero, sums[i]);
                }
                d += S::LANES;
            }
        }
        ((sums[0] + sums[1]) + (sums[2] + sums[3])).reduce_sum() == 0.0
    }
}
