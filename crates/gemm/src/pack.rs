//! Packing: copying a block of an operand into panels, in the order in which the micro-kernel reads it.
//!
//! A panel holds W rows of A, or W columns of B, step by step:
//!
//! ```text
//!   x00 x10 x20 .. | x01 x11 x21 .. | ..      W floats per step of k; rows that do not exist are 0
//! ```
//!
//! One function packs both operands: columns of B are rows of its transpose. Three layouts of the source matter: where
//! the W elements of a step are adjacent, a step is one copy; where the steps of a row are adjacent, 4 rows x 8 steps
//! are transposed in registers; any other strides go element by element.

use std::arch::x86_64::*;

use crate::view::MatRef;

/// Transposes 4 rows x 8 steps: from 4 x 8 adjacent floats, `rows` apart, to 8 x 4 adjacent floats, `steps` apart.
pub(crate) type Transpose = unsafe fn(from: *const f32, rows: isize, to: *mut f32, steps: usize);

/// Packs the rows of `x`, at most `W`, into a panel of `W` floats per column of `x`.
///
/// It is inlined into a function of the instruction set, and compiled for it.
#[inline(always)]
pub(crate) fn panel<const W: usize>(x: MatRef<'_, f32>, panel: &mut [f32], transpose: Transpose) {
    let (rows, depth) = (x.rows(), x.cols());
    let panel = &mut panel[..W * depth];
    debug_assert!(0 < rows && rows <= W);
    if rows < W {
        panel.fill(0.0);
    }
    let to = panel.as_mut_ptr();
    let from =
        |i: usize, p: usize| x.as_ptr().wrapping_offset(i as isize * x.row_stride() + p as isize * x.col_stride());
    if x.row_stride() == 1 {
        for p in 0..depth {
            // SAFETY: the `rows` elements of a column are adjacent, and step p of the panel has room for W.
            unsafe {
                match rows == W {
                    // A constant length is a few vector moves, not a call.
                    true => from(0, p).copy_to_nonoverlapping(to.add(p * W), W),
                    false => from(0, p).copy_to_nonoverlapping(to.add(p * W), rows),
                }
            }
        }
        return;
    }
    let whole = if x.col_stride() == 1 && rows >= 4 { depth - depth % 8 } else { 0 };
    // Groups of 4 rows; the last one ends with the last row and may repeat some of the group before.
    for i in (0..rows).step_by(4).map(|i| i.min(rows.saturating_sub(4))) {
        for p in (0..whole).step_by(8) {
            // SAFETY: rows i..i + 4 of columns p..p + 8 exist, and columns are adjacent; so do lanes i..i + 4 of these
            // steps.
            unsafe { transpose(from(i, p), x.row_stride(), to.add(p * W + i), W) }
        }
    }
    for p in whole..depth {
        for i in 0..rows {
            // SAFETY: element (i, p) exists, and so does lane i of step p.
            unsafe { *to.add(p * W + i) = *from(i, p) }
        }
    }
}

/// A [`Transpose`] by 256-bit vectors: each half of a vector is transposed as 4 x 4.
///
/// ```text
///   r0: a0 a1 a2 a3 | a4 ..      unpack r0,r1 and r2,r3: a0 b0 a1 b1 | a4 ..   c0 d0 c1 d1 | c4 ..
///   r1: b0 b1 b2 b3 | b4 ..      and their low and high pairs:       a0 b0 c0 d0 | a4 b4 c4 d4  = steps 0 and 4
///   r2: c0 ..   r3: d0 ..
/// ```
///
/// # Safety
/// `from` can be read for 8 floats at 0, 1, 2 and 3 `rows`; `to` can be written for 4 floats at 0, 1, .. 7 `steps`.
#[target_feature(enable = "avx")]
#[inline]
pub(crate) unsafe fn transpose_4x8(from: *const f32, rows: isize, to: *mut f32, steps: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        let [r0, r1, r2, r3] = [0, 1, 2, 3].map(|i| _mm256_loadu_ps(from.offset(i * rows)));
        let (low01, low23) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpacklo_ps(r2, r3));
        let (high01, high23) = (_mm256_unpackhi_ps(r0, r1), _mm256_unpackhi_ps(r2, r3));
        let pairs = [
            _mm256_shuffle_ps::<0b01_00_01_00>(low01, low23),
            _mm256_shuffle_ps::<0b11_10_11_10>(low01, low23),
            _mm256_shuffle_ps::<0b01_00_01_00>(high01, high23),
            _mm256_shuffle_ps::<0b11_10_11_10>(high01, high23),
        ];
        for (p, pair) in pairs.into_iter().enumerate() {
            _mm_storeu_ps(to.add(p * steps), _mm256_castps256_ps128(pair));
            _mm_storeu_ps(to.add((p + 4) * steps), _mm256_extractf128_ps::<1>(pair));
        }
    }
}
