//! Q3_K: 256 numbers of 3 bits in sixteen sub-blocks, each with a scale of 6 bits.

use bytemuck::{Pod, Zeroable};

use super::{
    Block, all_finite,
    le::F16Le,
    q2_k::{pack_two_bits, two_bits},
};
use crate::{
    GgmlType, QK_K,
    search::{descend, nearest},
};

/// `x = d (scale[j] - 32) (q - 4)` in sub-block j of 16 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ3_K {
    /// Bit k of byte l is bit 2 of number l + 32 k.
    pub hmask: [u8; QK_K / 8],
    /// Bits 0 and 1, in the order of Q2_K.
    pub qs: [u8; QK_K / 4],
    /// The low four bits of scale j are in byte j % 8 (low nibble for j < 8), the upper two in byte 8 + j % 4, at bit 2
    /// (j / 4).
    pub scales: [u8; 12],
    /// Scale of the scales.
    pub d: F16Le,
}

const _: () = assert!(size_of::<BlockQ3_K>() == GgmlType::Q3_K.block_bytes());

impl Block for BlockQ3_K {
    const TYPE: GgmlType = GgmlType::Q3_K;
    type Values = [f32; QK_K];

    fn dequantize(&self, out: &mut [f32; QK_K]) {
        let d = self.d.to_f32();
        let (high, _) = self.hmask.as_chunks::<16>();
        for (j, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let scale = d * f32::from(scale(&self.scales, j));
            let (low, high) = (two_bits(&self.qs, j), high[j % 2]);
            for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                *out = scale * f32::from((low | ((high >> (j / 2)) & 1) << 2) as i8 - 4);
            }
        }
    }

    fn quantize(x: &[f32; QK_K]) -> Self {
        if !all_finite(x) {
            return Self { hmask: [0; QK_K / 8], qs: [0; QK_K / 4], scales: [0; 12], d: F16Le::NAN };
        }
        let (blocks, _) = x.as_chunks::<16>();
        let mut codes = [0; QK_K];
        let mut wanted = [0.0; 16];
        for j in 0..16 {
            let (scale, found) = descend(&blocks[j], 4);
            wanted[j] = scale;
            codes[16 * j..][..16].copy_from_slice(&found);
        }
        let (d, scales) = six_bits(wanted);
        for (j, x) in blocks.iter().enumerate() {
            let scale = d.to_f32() * f32::from(scale(&scales, j));
            if scale == 0.0 {
                continue;
            }
            for (code, x) in codes[16 * j..].iter_mut().zip(x) {
                *code = (nearest(x / scale).clamp(-4, 3) + 4) as u8;
            }
        }
        let hmask = std::array::from_fn(|l| (0..8).fold(0, |byte, k| byte | (codes[l + 32 * k] >> 2) << k));
        Self { hmask, qs: pack_two_bits(&codes.map(|code| code & 3)), scales, d }
    }
}

/// Scale j, with its offset of 32 subtracted.
fn scale(scales: &[u8; 12], j: usize) -> i8 {
    let low = (scales[j % 8] >> (j / 8 * 4)) & 15;
    let high = (scales[8 + j % 4] >> (j / 4 * 2)) & 3;
    (low | high << 4) as i8 - 32
}

/// Quantizes scales to six bits. The one of largest magnitude gets -32.
fn six_bits(wanted: [f32; 16]) -> (F16Le, [u8; 12]) {
    let peak = super::peak(&wanted);
    let mut scales = [0; 12];
    if peak == 0.0 {
        return (F16Le::from_f32(0.0), scales);
    }
    let iscale = -32.0 / peak;
    for (j, wanted) in wanted.into_iter().enumerate() {
        let code = ((nearest(iscale * wanted) as i8).clamp(-32, 31) + 32) as u8;
        scales[j % 8] |= (code & 15) << (j / 8 * 4);
        scales[8 + j % 4] |= (code >> 4) << (j / 4 * 2);
    }
    (F16Le::from_f32(1.0 / iscale), scales)
}
