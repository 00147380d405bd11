//! Q4_K: 256 numbers of 4 bits in eight sub-blocks, each with a scale and a minimum of 6 bits.

use bytemuck::{Pod, Zeroable};

use super::{Block, Scales6, all_finite, le::F16Le};
use crate::{
    GgmlType, QK_K,
    search::{Affine, Error, Fit, nearest},
};

/// `x = d scale[j] q - dmin min[j]` in sub-block j of 32 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ4_K {
    /// Scale of the scales.
    pub d: F16Le,
    /// Scale of the minima.
    pub dmin: F16Le,
    /// Scales and minima of the sub-blocks.
    pub scales: Scales6,
    /// 32 bytes for each pair of sub-blocks: the even one in the low nibbles, the odd one in the high nibbles.
    pub qs: [u8; QK_K / 2],
}

const _: () = assert!(size_of::<BlockQ4_K>() == GgmlType::Q4_K.block_bytes());

/// The search for the scale and the minimum of a sub-block.
pub(crate) const SEARCH: Affine = Affine { max_code: 15, start: -1.0, steps: 20, error: Error::Squared };

impl BlockQ4_K {
    /// `d scale[j]` and `dmin min[j]` of the eight sub-blocks.
    pub fn factors(&self) -> [(f32, f32); 8] {
        factors(self.d, self.dmin, self.scales)
    }

    /// The block for finite numbers, given the best fit of each sub-block.
    #[inline]
    pub(crate) fn of_fits(x: &[f32; QK_K], fits: &[Fit; 8]) -> Self {
        let Codes { d, dmin, scales, codes } = codes(x, fits, SEARCH.max_code);
        let qs = std::array::from_fn(|i| {
            let at = i / 32 * 64 + i % 32;
            codes[at] | codes[at + 32] << 4
        });
        Self { d, dmin, scales, qs }
    }
}

impl Block for BlockQ4_K {
    const TYPE: GgmlType = GgmlType::Q4_K;
    type Values = [f32; QK_K];

    fn dequantize(&self, out: &mut [f32; QK_K]) {
        let factors = self.factors();
        for (j, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (scale, min) = factors[j];
            let bytes = &self.qs[j / 2 * 32..][..32];
            for (out, q) in out.iter_mut().zip(bytes) {
                *out = scale * f32::from((q >> (j % 2 * 4)) & 15) - min;
            }
        }
    }

    fn quantize(x: &[f32; QK_K]) -> Self {
        if !all_finite(x) {
            let scales = Scales6::pack([(0, 0); 8]);
            return Self { d: F16Le::NAN, dmin: F16Le::NAN, scales, qs: [0; QK_K / 2] };
        }
        Self::of_fits(x, &fits(x, &SEARCH))
    }
}

/// What Q4_K and Q5_K share: eight affine sub-blocks.
pub(super) struct Codes {
    pub(super) d: F16Le,
    pub(super) dmin: F16Le,
    pub(super) scales: Scales6,
    pub(super) codes: [u8; QK_K],
}

/// Fits each sub-block independently.
pub(super) fn fits(x: &[f32; QK_K], search: &Affine) -> [Fit; 8] {
    let (blocks, _) = x.as_chunks::<32>();
    std::array::from_fn(|j| search.fit(&blocks[j], &weights(&blocks[j])))
}

/// Rounds the scale and the minimum of each sub-block to six bits, then chooses the codes for the rounded values.
#[inline]
pub(super) fn codes(x: &[f32; QK_K], fits: &[Fit; 8], max_code: u8) -> Codes {
    let (d, dmin, scales) = Scales6::quantize(fits.map(|fit| (fit.scale, fit.min)));
    let (d, dmin) = (F16Le::from_f32(d), F16Le::from_f32(dmin));
    let mut codes = [0; QK_K];
    let sub_blocks = x.as_chunks::<32>().0.iter().zip(codes.as_chunks_mut::<32>().0).zip(fits);
    for (((x, codes), fit), (scale, min)) in sub_blocks.zip(factors(d, dmin, scales)) {
        // Where the scale was rounded to 0, ggml keeps the codes of the search, although they are multiplied by 0.
        *codes = match scale {
            0.0 => fit.rounding.codes(x, max_code),
            _ => x.map(|x| nearest((x + min) / scale).clamp(0, i32::from(max_code)) as u8),
        };
    }
    Codes { d, dmin, scales, codes }
}

pub(super) fn factors(d: F16Le, dmin: F16Le, scales: Scales6) -> [(f32, f32); 8] {
    let (d, dmin) = (d.to_f32(), dmin.to_f32());
    let (scales, mins) = scales.unpack();
    std::array::from_fn(|j| (d * f32::from(scales[j]), dmin * f32::from(mins[j])))
}

/// |x| plus the root mean square of the sub-block: larger numbers weigh more, and no weight is 0.
fn weights(x: &[f32; 32]) -> [f32; 32] {
    let mut sum = 0.0;
    for x in x {
        sum += x * x;
    }
    let root_mean_square = (sum / 32.0).sqrt();
    x.map(|x| root_mean_square + x.abs())
}
