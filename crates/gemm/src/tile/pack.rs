//! Packing: copying a block of an operand into panels, in the order in which the micro-kernel reads it.
//!
//! A panel holds W rows of A, or W columns of B, step by step, as floats whatever the operand is stored as:
//!
//! ```text
//!   x00 x10 x20 .. | x01 x11 x21 .. | ..      W floats per step of k; rows that do not exist are 0
//! ```
//!
//! One function packs both operands: columns of B are rows of its transpose. It distinguishes three layouts of the
//! source. Where the W elements of a step are adjacent, a step is one copy. Where the steps of a row are adjacent, 4
//! rows x 8 steps are transposed in registers. With any other strides, elements are copied one by one.

use simd::{Element, F32Vector, Simd, Vectorized, with_element_type};

use crate::matrix::{Input, MatRef};

/// Packs the rows of `x`, 1 to `W`, into a panel of `W` floats per column of `x`.
pub(crate) struct PackPanel<'a, 'b, const W: usize> {
    pub(crate) x: Input<'a>,
    pub(crate) panel: &'b mut [f32],
}

impl<const W: usize> Vectorized for PackPanel<'_, '_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        with_element_type!(self.x.element_type(), E => if let Some(x) = self.x.typed::<E>() {
            pack::<S, E, W>(simd, x, self.panel);
        });
    }
}

#[inline(always)]
fn pack<S: Simd, E: Element, const W: usize>(simd: S, x: MatRef<'_, E>, panel: &mut [f32]) {
    let (rows, depth) = (x.rows(), x.cols());
    let panel = &mut panel[..W * depth];
    assert!(rows <= W, "a panel of {W} rows");
    if rows < W {
        panel.fill(0.0);
    }
    let to = panel.as_mut_ptr();
    let (row_stride, col_stride, origin) = (x.row_stride(), x.col_stride(), x.as_ptr());
    if row_stride == 1 {
        for p in 0..depth {
            // SAFETY: the `rows` elements of a column are adjacent, and step p of the panel has room for W.
            unsafe {
                let (from, to) = (origin.offset(p as isize * col_stride), to.add(p * W));
                // A constant number of elements needs no loop.
                match rows == W {
                    true => copy(simd, from, to, W),
                    false => copy(simd, from, to, rows),
                }
            }
        }
        return;
    }
    let whole = if col_stride == 1 && rows >= 4 { depth - depth % 8 } else { 0 };
    // Groups of 4 rows. The last group ends with the last row and may repeat some of the group before.
    let mut group = 0;
    while group < rows {
        let i = group.min(rows.saturating_sub(4));
        let mut p = 0;
        while p < whole {
            // SAFETY: rows i..i + 4 of columns p..p + 8 exist, and columns are adjacent; lanes i..i + 4 of these steps
            // exist in the panel.
            unsafe {
                let from = origin.offset(i as isize * row_stride).add(p);
                simd.transpose_4x8(from, row_stride, to.add(p * W + i), W);
            }
            p += 8;
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

/// Copies `len` adjacent elements.
///
/// # Safety
/// `len` elements can be read, and as many floats written.
#[inline(always)]
unsafe fn copy<S: Simd, E: Element>(simd: S, from: *const E, to: *mut f32, len: usize) {
    let mut i = 0;
    // SAFETY: vectors end where the elements do, and the last one is partial.
    unsafe {
        while i + S::LANES <= len {
            E::load(simd, from.add(i)).store(to.add(i));
            i += S::LANES;
        }
        if i < len {
            E::load_partial(simd, from.add(i), len - i).store_partial(to.add(i), len - i);
        }
    }
}
