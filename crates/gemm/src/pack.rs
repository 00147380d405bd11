//! Packing: copying a block of an operand into panels, in the order in which the micro-kernel reads it.
//!
//! A panel holds W rows of A, or W columns of B, step by step, as floats whatever the operand is stored as:
//!
//! ```text
//!   x00 x10 x20 .. | x01 x11 x21 .. | ..      W floats per step of k; rows that do not exist are 0
//! ```
//!
//! One function packs both operands: columns of B are rows of its transpose. Three layouts of the source matter: where
//! the W elements of a step are adjacent, a step is one copy; where the steps of a row are adjacent, 4 rows x 8 steps
//! are transposed in registers; any other strides go element by element.

use crate::{
    element::{Element, with_type},
    operand::Input,
    vector::{Vector, Vectorized},
    view::MatRef,
};

/// Packs the rows of `x`, at most `W`, into a panel of `W` floats per column of `x`.
pub(crate) struct PackPanel<'a, 'b, const W: usize> {
    pub(crate) x: Input<'a>,
    pub(crate) panel: &'b mut [f32],
}

impl<const W: usize> Vectorized for PackPanel<'_, '_, W> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        with_type!(self.x.element_type(), E => if let Some(x) = self.x.typed::<E>() {
            // SAFETY: the machine has V.
            unsafe { panel::<V, E, W>(x, self.panel) }
        });
    }
}

/// # Safety
/// The machine has V's instruction set.
#[inline(always)]
unsafe fn panel<V: Vector, E: Element, const W: usize>(x: MatRef<'_, E>, panel: &mut [f32]) {
    let (rows, depth) = (x.rows(), x.cols());
    let panel = &mut panel[..W * depth];
    debug_assert!(0 < rows && rows <= W);
    if rows < W {
        panel.fill(0.0);
    }
    let to = panel.as_mut_ptr();
    let (row_stride, col_stride, origin) = (x.row_stride(), x.col_stride(), x.as_ptr());
    if row_stride == 1 {
        for p in 0..depth {
            // SAFETY: the `rows` elements of a column are adjacent, and step p of the panel has room for W.
            unsafe { adjacent::<V, E, W>(origin.offset(p as isize * col_stride), to.add(p * W), rows) }
        }
        return;
    }
    let whole = if col_stride == 1 && rows >= 4 { depth - depth % 8 } else { 0 };
    // Groups of 4 rows; the last one ends with the last row and may repeat some of the group before.
    let mut group = 0;
    while group < rows {
        let i = group.min(rows.saturating_sub(4));
        for p in (0..whole).step_by(8) {
            // SAFETY: rows i..i + 4 of columns p..p + 8 exist, and columns are adjacent; so do lanes i..i + 4 of these
            // steps.
            unsafe { V::transpose_4x8(origin.offset(i as isize * row_stride).add(p), row_stride, to.add(p * W + i), W) }
        }
        group += 4;
    }
    for p in whole..depth {
        for i in 0..rows {
            let from = origin.wrapping_offset(i as isize * row_stride + p as isize * col_stride);
            // SAFETY: element (i, p) exists, and so does lane i of step p.
            unsafe { *to.add(p * W + i) = (*from).to_f32() }
        }
    }
}

/// Copies the first `rows` of W adjacent elements.
///
/// # Safety
/// The machine has V's instruction set; `rows` elements can be read, and W floats written.
#[inline(always)]
unsafe fn adjacent<V: Vector, E: Element, const W: usize>(from: *const E, to: *mut f32, rows: usize) {
    let mut i = 0;
    // SAFETY: vectors end where the elements do.
    unsafe {
        while i + V::LANES <= rows.min(W) {
            E::load::<V>(from.add(i)).store(to.add(i));
            i += V::LANES;
        }
        if i < rows {
            E::load_first::<V>(from.add(i), rows - i).store_first(to.add(i), rows - i);
        }
    }
}
