//! Packing: copying an operand into panels, in the order in which the micro-kernel reads it.
//!
//! A panel holds W rows of A, or W columns of B, step by step:
//!
//! ```text
//!   x00 x10 x20 .. | x01 x11 x21 .. | ..      W floats per step of k; rows that do not exist are 0
//! ```
//!
//! One function packs both operands: columns of B are rows of its transpose.

use crate::view::MatRef;

/// Packs the rows of `x`, at most `W`, into a panel of `W` floats per column of `x`.
///
/// It is inlined into a function of the instruction set, and compiled for it.
#[inline(always)]
pub(crate) fn panel<const W: usize>(x: MatRef<'_, f32>, panel: &mut [f32]) {
    let (rows, depth) = (x.rows(), x.cols());
    debug_assert!(0 < rows && rows <= W);
    for (p, step) in panel.as_chunks_mut::<W>().0[..depth].iter_mut().enumerate() {
        // SAFETY: the lane is below the number of rows, and p below the number of columns.
        *step = std::array::from_fn(|i| if i < rows { unsafe { *x.get_unchecked(i, p) } } else { 0.0 });
    }
}
