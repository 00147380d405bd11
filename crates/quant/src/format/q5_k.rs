//! Q5_K: Q4_K with a fifth bit.

use bytemuck::{Pod, Zeroable};

use super::{Block, Scales6, all_finite, le::F16Le, q4_k};
use crate::{
    GgmlType, QK_K,
    search::{Affine, Error, Fit},
};

/// `x = d scale[j] q - dmin min[j]` in sub-block j of 32 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ5_K {
    /// Scale of the scales.
    pub d: F16Le,
    /// Scale of the minima.
    pub dmin: F16Le,
    /// Scales and minima of the sub-blocks.
    pub scales: Scales6,
    /// Bit j of byte l is bit 4 of number l of sub-block j.
    pub qh: [u8; QK_K / 8],
    /// 32 bytes for each pair of sub-blocks: the even one in the low nibbles, the odd one in the high nibbles.
    pub qs: [u8; QK_K / 2],
}

const _: () = assert!(size_of::<BlockQ5_K>() == GgmlType::Q5_K.block_bytes());

/// The search for the scale and the minimum of a sub-block.
pub(crate) const SEARCH: Affine = Affine { max_code: 31, start: -0.5, steps: 15, error: Error::Squared };

impl BlockQ5_K {
    /// `d scale[j]` and `dmin min[j]` of the eight sub-blocks.
    pub fn factors(&self) -> [(f32, f32); 8] {
        q4_k::factors(self.d, self.dmin, self.scales)
    }

    /// The block for finite numbers, given the best fit of each sub-block.
    #[inline]
    pub(crate) fn of_fits(x: &[f32; QK_K], fits: &[Fit; 8]) -> Self {
        let q4_k::Codes { d, dmin, scales, codes } = q4_k::codes(x, fits, SEARCH.max_code);
        let qh = std::array::from_fn(|l| (0..8).fold(0, |byte, j| byte | (codes[32 * j + l] >> 4) << j));
        let qs = std::array::from_fn(|i| {
            let at = i / 32 * 64 + i % 32;
            (codes[at] & 15) | codes[at + 32] << 4
        });
        Self { d, dmin, scales, qh, qs }
    }
}

impl Block for BlockQ5_K {
    const TYPE: GgmlType = GgmlType::Q5_K;
    type Values = [f32; QK_K];

    fn dequantize(&self, out: &mut [f32; QK_K]) {
        let factors = self.factors();
        for (j, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (scale, min) = factors[j];
            let low = &self.qs[j / 2 * 32..][..32];
            for ((out, low), high) in out.iter_mut().zip(low).zip(&self.qh) {
                let q = ((low >> (j % 2 * 4)) & 15) | ((high >> j) & 1) << 4;
                *out = scale * f32::from(q) - min;
            }
        }
    }

    fn quantize(x: &[f32; QK_K]) -> Self {
        if !all_finite(x) {
            let scales = Scales6::pack([(0, 0); 8]);
            return Self { d: F16Le::NAN, dmin: F16Le::NAN, scales, qh: [0; QK_K / 8], qs: [0; QK_K / 2] };
        }
        Self::of_fits(x, &q4_k::fits(x, &SEARCH))
    }
}
