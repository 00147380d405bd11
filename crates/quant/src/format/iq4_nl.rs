//! IQ4_NL: 32 numbers of 4 bits, which are indices of 16 unevenly spaced levels, and one scale.

use bytemuck::{Pod, Zeroable};

use super::{Block, all_finite, le::F16Le, peak};
use crate::{GgmlType, search::NEGLIGIBLE};

/// `x = d LEVELS[q]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockIQ4_NL {
    /// Scale.
    pub d: F16Le,
    /// Numbers 0..16 in the low nibbles of the bytes, 16..32 in the high nibbles.
    pub qs: [u8; 16],
}

const _: () = assert!(size_of::<BlockIQ4_NL>() == GgmlType::IQ4_NL.block_bytes());

/// The levels, denser around 0, where most weights are.
pub const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

impl Block for BlockIQ4_NL {
    const TYPE: GgmlType = GgmlType::IQ4_NL;
    type Values = [f32; 32];

    fn dequantize(&self, out: &mut [f32; 32]) {
        let d = self.d.to_f32();
        for (i, q) in self.qs.iter().enumerate() {
            out[i] = d * f32::from(LEVELS[usize::from(q & 15)]);
            out[i + 16] = d * f32::from(LEVELS[usize::from(q >> 4)]);
        }
    }

    /// The first scale maps the number of largest magnitude to the lowest level. The final scale is the best fit for
    /// the levels chosen with it, with errors weighted by the square of the number. ggml searches for a better first
    /// scale only when it quantizes with importance weights, which this function does not do.
    fn quantize(x: &[f32; 32]) -> Self {
        if !all_finite(x) {
            return Self { d: F16Le::NAN, qs: [0; 16] };
        }
        let peak = peak(x);
        if peak.abs() < NEGLIGIBLE {
            return Self { d: F16Le::from_f32(0.0), qs: [0; 16] };
        }
        let id = 1.0 / (peak / f32::from(LEVELS[0]));
        let codes = x.map(|x| nearest_level(id * x));
        let (mut sum_qx, mut sum_q2) = (0.0, 0.0);
        for (&x, &code) in x.iter().zip(&codes) {
            let (q, w) = (f32::from(LEVELS[usize::from(code)]), x * x);
            sum_qx += w * q * x;
            sum_q2 += w * q * q;
        }
        let d = if sum_q2 > 0.0 { sum_qx / sum_q2 } else { 0.0 };
        Self { d: F16Le::from_f32(d), qs: std::array::from_fn(|i| codes[i] | codes[i + 16] << 4) }
    }
}

/// Index of the level nearest to `x`, the upper one if two are equally near. The comparison of 2 `x` with the sum of
/// two levels is exact.
fn nearest_level(x: f32) -> u8 {
    let above = |pair: &&[i8]| x + x >= f32::from(i16::from(pair[0]) + i16::from(pair[1]));
    LEVELS.windows(2).filter(above).count() as u8
}
