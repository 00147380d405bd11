//! Scale of a sub-block without a minimum: x = scale · q with q in -levels..levels. Errors are weighted by x².

use super::{NEGLIGIBLE, nearest};
use crate::format::peak;

/// Result of [`sweep`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Swept {
    pub(crate) scale: f32,
    /// The codes are `iscale x`, rounded; 0 for a sub-block that counts as zero.
    pub(crate) iscale: f32,
}

impl Swept {
    /// The codes plus `levels`; all 0 for a sub-block that counts as zero.
    pub(crate) fn codes<const N: usize>(self, x: &[f32; N], levels: i8) -> [u8; N] {
        if self.iscale == 0.0 { [0; N] } else { offset(rounded(x, self.iscale, levels), levels) }
    }
}

/// The trials of [`sweep`] around its first scale, in tenths of a code.
pub(crate) fn steps() -> impl Iterator<Item = f32> {
    (-9..=9_i8).filter(|&step| step != 0).map(f32::from)
}

/// Tries 19 scales around the one that maps the number of largest magnitude to -levels. Each trial rounds to codes,
/// then takes the scale that fits those codes best.
pub(crate) fn sweep<const N: usize>(x: &[f32; N], levels: i8) -> Swept {
    let peak = peak(x);
    if peak.abs() < NEGLIGIBLE {
        return Swept { scale: 0.0, iscale: 0.0 };
    }
    let max = f32::from(levels);
    let mut iscale = -max / peak;
    let (sum_lx, sum_l2) = sums(x, &rounded(x, iscale, levels));
    let mut scale = if sum_l2 != 0.0 { sum_lx / sum_l2 } else { 0.0 };
    // With the best scale for given codes, the error is smallest where sum_lx² / sum_l2 is largest.
    let mut best = scale * sum_lx;
    for step in steps() {
        let trial = -(max + 0.1 * step) / peak;
        let (sum_lx, sum_l2) = sums(x, &rounded(x, trial, levels));
        if sum_l2 > 0.0 && sum_lx * sum_lx > best * sum_l2 {
            iscale = trial;
            scale = sum_lx / sum_l2;
            best = scale * sum_lx;
        }
    }
    Swept { scale, iscale }
}

/// Begins with the scale that maps the number of largest magnitude to -levels, then changes one code at a time while
/// that reduces the error, in at most five passes. Returns the scale and the codes plus `levels`.
pub(crate) fn descend<const N: usize>(x: &[f32; N], levels: i8) -> (f32, [u8; N]) {
    let peak = peak(x);
    if peak.abs() < NEGLIGIBLE {
        return (0.0, [0; N]);
    }
    let mut codes = rounded(x, -f32::from(levels) / peak, levels);
    let (mut sum_lx, mut sum_l2) = sums(x, &codes);
    for _ in 0..5 {
        let mut is_changed = false;
        for (&x, code) in x.iter().zip(&mut codes) {
            let (w, l) = (x * x, f32::from(*code));
            // The sums without this number, and its best code given the other codes.
            let mut others_lx = sum_lx - w * x * l;
            if others_lx.is_nan() || others_lx <= 0.0 {
                continue;
            }
            let mut others_l2 = sum_l2 - w * l * l;
            let moved = clamped(nearest(x * others_l2 / others_lx), levels);
            if moved == *code {
                continue;
            }
            let l = f32::from(moved);
            others_lx += w * x * l;
            others_l2 += w * l * l;
            if others_l2 > 0.0 && others_lx * others_lx * sum_l2 > sum_lx * sum_lx * others_l2 {
                (*code, sum_lx, sum_l2, is_changed) = (moved, others_lx, others_l2, true);
            }
        }
        if !is_changed {
            break;
        }
    }
    let scale = if sum_l2 > 0.0 { sum_lx / sum_l2 } else { 0.0 };
    (scale, offset(codes, levels))
}

fn rounded<const N: usize>(x: &[f32; N], iscale: f32, levels: i8) -> [i8; N] {
    x.map(|x| clamped(nearest(iscale * x), levels))
}

fn clamped(code: i32, levels: i8) -> i8 {
    code.clamp(i32::from(-levels), i32::from(levels) - 1) as i8
}

fn offset<const N: usize>(codes: [i8; N], levels: i8) -> [u8; N] {
    codes.map(|code| (code + levels) as u8)
}

fn sums<const N: usize>(x: &[f32; N], codes: &[i8; N]) -> (f32, f32) {
    let (mut sum_lx, mut sum_l2) = (0.0, 0.0);
    for (&x, &code) in x.iter().zip(codes) {
        let (w, l) = (x * x, f32::from(code));
        sum_lx += w * x * l;
        sum_l2 += w * l * l;
    }
    (sum_lx, sum_l2)
}
