//! Q4_K: 256 numbers of 4 bits in eight sub-blocks, each with a scale and a minimum of 6 bits.

use bytemuck::{Pod, Zeroable};

use super::{Block, Scales6, all_finite, le::F16Le};
use crate::{
    GgmlType, QK_K,
    search::{Affine, Error, nearest},
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
    /// 32 bytes for each two sub-blocks: the even one in the low halves, the odd one in the high ones.
    pub qs: [u8; QK_K / 2],
}

const _: () = assert!(size_of::<BlockQ4_K>() == GgmlType::Q4_K.block_bytes());

const SEARCH: Affine = Affine { most: 15, start: -1.0, steps: 20, error: Error::Squared };

impl BlockQ4_K {
    /// `d scale[j]` and `dmin min[j]` of the eight sub-blocks.
    pub fn factors(&self) -> [(f32, f32); 8] {
        factors(self.d, self.dmin, self.scales)
    }
}

impl Block for BlockQ4_K {
    const TYPE: GgmlType = GgmlType::Q4_K;
    type Values = [f32; QK_K];

    fn dequantise(&self, out: &mut [f32; QK_K]) {
        let factors = self.factors();
        for (j, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (scale, min) = factors[j];
            let bytes = &self.qs[j / 2 * 32..][..32];
            for (out, q) in out.iter_mut().zip(bytes) {
                *out = scale * f32::from((q >> (j % 2 * 4)) & 15) - min;
            }
        }
    }

    fn quantise(x: &[f32; QK_K]) -> Self {
        if !all_finite(x) {
            let scales = Scales6::pack([(0, 0); 8]);
            return Self { d: F16Le::NAN, dmin: F16Le::NAN, scales, qs: [0; QK_K / 2] };
        }
        let Codes { d, dmin, scales, codes } = codes(x, &SEARCH);
        let qs = std::array::from_fn(|i| {
            let at = i / 32 * 64 + i % 32;
            codes[at] | codes[at + 32] << 4
        });
        Self { d, dmin, scales, qs }
    }
}

/// What Q4_K and Q5_K have in common: eight affine sub-blocks.
pub(super) struct Codes {
    pub(super) d: F16Le,
    pub(super) dmin: F16Le,
    pub(super) scales: Scales6,
    pub(super) codes: [u8; QK_K],
}

/// Searches each sub-block by itself, rounds its scale and minimum to six bits, and then chooses the codes anew for the rounded ones.
pub(super) fn codes(x: &[f32; QK_K], search: &Affine) -> Codes {
    let (blocks, _) = x.as_chunks::<32>();
    let mut codes = [0; QK_K];
    let mut wanted = [(0.0, 0.0); 8];
    for j in 0..8 {
        let fit = search.fit(&blocks[j], &weights(&blocks[j]));
        wanted[j] = (fit.scale, fit.min);
        codes[32 * j..][..32].copy_from_slice(&fit.codes);
    }
    let (d, dmin, scales) = Scales6::quantise(wanted);
    let (d, dmin) = (F16Le::from_f32(d), F16Le::from_f32(dmin));
    for (j, (scale, min)) in factors(d, dmin, scales).into_iter().enumerate() {
        // A scale that was rounded to 0 leaves the codes of the search, which then mean nothing.
        if scale == 0.0 {
            continue;
        }
        for (code, x) in codes[32 * j..].iter_mut().zip(&blocks[j]) {
            *code = nearest((x + min) / scale).clamp(0, i32::from(search.most)) as u8;
        }
    }
    Codes { d, dmin, scales, codes }
}

pub(super) fn factors(d: F16Le, dmin: F16Le, scales: Scales6) -> [(f32, f32); 8] {
    let (d, dmin) = (d.to_f32(), dmin.to_f32());
    let (scales, mins) = scales.unpack();
    std::array::from_fn(|j| (d * f32::from(scales[j]), dmin * f32::from(mins[j])))
}

/// Larger numbers count more, but even zeros count as much as the root mean square of the sub-block.
fn weights(x: &[f32; 32]) -> [f32; 32] {
    let mut sum = 0.0;
    for x in x {
        sum += x * x;
    }
    let root_mean_square = (sum / 32.0).sqrt();
    x.map(|x| root_mean_square + x.abs())
}
