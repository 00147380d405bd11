//! Q6_K: 256 numbers of 6 bits in sixteen sub-blocks, each with a scale of 8 bits.

use bytemuck::{Pod, Zeroable};

use super::{Block, all_finite, le::F16Le, peak};
use crate::{
    GgmlType, QK_K,
    search::{NEGLIGIBLE, Swept, nearest, sweep},
};

/// `x = d scale[j] (q - 32)` in sub-block j of 16 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ6_K {
    /// Bits 0..4 of the codes, 64 bytes for each 128 numbers: numbers l < 64 of them in the low nibble of byte l,
    /// numbers l + 64 in the high nibble.
    pub ql: [u8; QK_K / 2],
    /// Bits 4 and 5 of the codes, 32 bytes for each 128 numbers: those of number l + 32 k are at bit 2 k of byte l.
    pub qh: [u8; QK_K / 4],
    /// Scales of the sub-blocks.
    pub scales: [i8; QK_K / 16],
    /// Scale of the scales.
    pub d: F16Le,
}

const _: () = assert!(size_of::<BlockQ6_K>() == GgmlType::Q6_K.block_bytes());

/// The codes are -32..32.
pub(crate) const LEVELS: i8 = 32;

impl BlockQ6_K {
    const ZERO: Self = Self { ql: [0; QK_K / 2], qh: [0; QK_K / 4], scales: [0; QK_K / 16], d: F16Le::from_bits(0) };

    /// The block for finite numbers, given the best scale of each sub-block. The scales are rounded to eight bits, then
    /// the codes are chosen for the rounded scales.
    #[inline]
    pub(crate) fn of_swept(x: &[f32; QK_K], swept: &[Swept; 16]) -> Self {
        let wanted = swept.map(|swept| swept.scale);
        let peak = peak(&wanted);
        if peak.abs() < NEGLIGIBLE {
            return Self::ZERO;
        }
        let iscale = -128.0 / peak;
        let d = F16Le::from_f32(1.0 / iscale);
        let scales = wanted.map(|wanted| nearest(iscale * wanted).min(127) as i8);
        let mut codes = [0; QK_K];
        for (j, (x, codes)) in x.as_chunks::<16>().0.iter().zip(codes.as_chunks_mut::<16>().0).enumerate() {
            // Where the scale was rounded to 0, ggml keeps the codes of the search, although they are multiplied by 0.
            *codes = match d.to_f32() * f32::from(scales[j]) {
                0.0 => swept[j].codes(x, LEVELS),
                scale => x.map(|x| (nearest(x / scale).clamp(-32, 31) + 32) as u8),
            };
        }
        let code = |half: usize, l: usize| codes[128 * half + l];
        let ql = std::array::from_fn(|i| {
            let (half, l) = (i / 64, i % 64);
            (code(half, l) & 15) | code(half, l + 64) << 4
        });
        let qh = std::array::from_fn(|i| {
            let (half, l) = (i / 32, i % 32);
            (0..4).fold(0, |byte, k| byte | (code(half, l + 32 * k) >> 4) << (2 * k))
        });
        Self { ql, qh, scales, d }
    }
}

impl Block for BlockQ6_K {
    const TYPE: GgmlType = GgmlType::Q6_K;
    type Values = [f32; QK_K];

    fn dequantize(&self, out: &mut [f32; QK_K]) {
        let d = self.d.to_f32();
        for (j, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let scale = d * f32::from(self.scales[j]);
            for (out, q) in out.iter_mut().zip(codes(&self.ql, &self.qh, j)) {
                *out = scale * f32::from(q as i8 - 32);
            }
        }
    }

    fn quantize(x: &[f32; QK_K]) -> Self {
        if !all_finite(x) {
            return Self { d: F16Le::NAN, ..Self::ZERO };
        }
        let (blocks, _) = x.as_chunks::<16>();
        Self::of_swept(x, &std::array::from_fn(|j| sweep(&blocks[j], LEVELS)))
    }
}

/// The 6-bit codes of sub-block `j`. Each 128 numbers form four groups of two sub-blocks.
fn codes(ql: &[u8; QK_K / 2], qh: &[u8; QK_K / 4], j: usize) -> [u8; 16] {
    let (half, group) = (j / 8, j % 8 / 2);
    let low = ql.as_chunks::<16>().0[4 * half + group % 2 * 2 + j % 2];
    let high = qh.as_chunks::<16>().0[2 * half + j % 2];
    std::array::from_fn(|l| (low[l] >> (group / 2 * 4)) & 15 | ((high[l] >> (2 * group)) & 3) << 4)
}
