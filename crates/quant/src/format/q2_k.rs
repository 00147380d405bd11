//! Q2_K: 256 numbers of 2 bits in sixteen sub-blocks, each with a scale and a minimum of 4 bits.

use bytemuck::{Pod, Zeroable};

use super::{Block, all_finite, le::F16Le};
use crate::{
    GgmlType, QK_K,
    search::{Affine, Error, Fit, nearest},
};

/// `x = d scale[j] q - dmin min[j]` in sub-block j of 16 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ2_K {
    /// Of each sub-block the scale in the low nibble, the minimum in the high nibble.
    pub scales: [u8; QK_K / 16],
    /// 32 bytes for each 128 numbers: number l + 32 k of them has bits 2 k and 2 k + 1 of byte l.
    pub qs: [u8; QK_K / 4],
    /// Scale of the scales.
    pub d: F16Le,
    /// Scale of the minima.
    pub dmin: F16Le,
}

const _: () = assert!(size_of::<BlockQ2_K>() == GgmlType::Q2_K.block_bytes());

/// The search for the scale and the minimum of a sub-block.
pub(crate) const SEARCH: Affine = Affine { max_code: 3, start: -0.5, steps: 15, error: Error::Absolute };

impl BlockQ2_K {
    /// The block for finite numbers, given the best fit of each sub-block.
    #[inline]
    pub(crate) fn of_fits(x: &[f32; QK_K], fits: &[Fit; 16]) -> Self {
        let (d, scale_codes) = four_bits(fits.map(|fit| fit.scale));
        let (dmin, min_codes) = four_bits(fits.map(|fit| fit.min));
        let scales: [u8; 16] = std::array::from_fn(|j| scale_codes[j] | min_codes[j] << 4);
        let mut codes = [0; QK_K];
        for (j, (x, codes)) in x.as_chunks::<16>().0.iter().zip(codes.as_chunks_mut::<16>().0).enumerate() {
            let scale = d.to_f32() * f32::from(scales[j] & 15);
            let min = dmin.to_f32() * f32::from(scales[j] >> 4);
            // Where the scale was rounded to 0, ggml keeps the codes of the search, although they are multiplied by 0.
            *codes = match scale {
                0.0 => fits[j].rounding.codes(x, SEARCH.max_code),
                _ => x.map(|x| nearest((x + min) / scale).clamp(0, 3) as u8),
            };
        }
        Self { scales, qs: pack_two_bits(&codes), d, dmin }
    }
}

impl Block for BlockQ2_K {
    const TYPE: GgmlType = GgmlType::Q2_K;
    type Values = [f32; QK_K];

    fn dequantize(&self, out: &mut [f32; QK_K]) {
        let (d, dmin) = (self.d.to_f32(), self.dmin.to_f32());
        for (j, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let scale = d * f32::from(self.scales[j] & 15);
            let min = dmin * f32::from(self.scales[j] >> 4);
            for (out, q) in out.iter_mut().zip(two_bits(&self.qs, j)) {
                *out = scale * f32::from(q) - min;
            }
        }
    }

    fn quantize(x: &[f32; QK_K]) -> Self {
        if !all_finite(x) {
            return Self { scales: [0; QK_K / 16], qs: [0; QK_K / 4], d: F16Le::NAN, dmin: F16Le::NAN };
        }
        let (blocks, _) = x.as_chunks::<16>();
        Self::of_fits(x, &std::array::from_fn(|j| SEARCH.fit(&blocks[j], &blocks[j].map(f32::abs))))
    }
}

/// Quantizes nonnegative numbers to four bits, relative to the largest one.
fn four_bits(wanted: [f32; 16]) -> (F16Le, [u8; 16]) {
    let largest = wanted.iter().fold(0.0, |largest, &x| if x > largest { x } else { largest });
    if largest == 0.0 {
        return (F16Le::from_f32(0.0), [0; 16]);
    }
    let per = 15.0 / largest;
    (F16Le::from_f32(largest / 15.0), wanted.map(|x| nearest(per * x) as u8))
}

/// Two bits of each number of sub-block `j`, in the order of Q2_K and Q3_K: 16 consecutive bytes, all at the same
/// shift.
pub(super) fn two_bits(qs: &[u8; QK_K / 4], j: usize) -> [u8; 16] {
    let (bytes, _) = qs.as_chunks::<16>();
    bytes[j / 8 * 2 + j % 2].map(|byte| (byte >> (j % 8 / 2 * 2)) & 3)
}

/// Packs codes below 4, four to a byte, in the order of Q2_K and Q3_K.
pub(super) fn pack_two_bits(codes: &[u8; QK_K]) -> [u8; QK_K / 4] {
    std::array::from_fn(|i| {
        let at = i / 32 * 128 + i % 32;
        codes[at] | codes[at + 32] << 2 | codes[at + 64] << 4 | codes[at + 96] << 6
    })
}
