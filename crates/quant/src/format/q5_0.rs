//! Q5_0: 32 numbers of 5 bits and one scale.

use bytemuck::{Pod, Zeroable};

use super::{Block, all_finite, inverse, le::F16Le, peak};
use crate::GgmlType;

/// `x = d (q - 16)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ5_0 {
    /// Scale.
    pub d: F16Le,
    /// Bit 4 of the codes: bit i, counted from the lowest bit of the first byte, belongs to number i.
    pub qh: [u8; 4],
    /// Bits 0..4 of the codes: numbers 0..16 in the low nibbles of the bytes, 16..32 in the high nibbles.
    pub qs: [u8; 16],
}

const _: () = assert!(size_of::<BlockQ5_0>() == GgmlType::Q5_0.block_bytes());

impl Block for BlockQ5_0 {
    const TYPE: GgmlType = GgmlType::Q5_0;
    type Values = [f32; 32];

    fn dequantize(&self, out: &mut [f32; 32]) {
        let d = self.d.to_f32();
        let codes = unpack(&self.qh, &self.qs);
        for (out, q) in out.iter_mut().zip(codes) {
            *out = f32::from(q as i8 - 16) * d;
        }
    }

    fn quantize(x: &[f32; 32]) -> Self {
        if !all_finite(x) {
            return Self { d: F16Le::NAN, qh: [0; 4], qs: [0; 16] };
        }
        let d = peak(x) / -16.0;
        let id = inverse(d);
        let (qh, qs) = pack(&x.map(|x| ((x * id + 16.5) as i32).clamp(0, 31) as u8));
        Self { d: F16Le::from_f32(d), qh, qs }
    }
}

/// The 5-bit codes of a block.
pub(super) fn unpack(qh: &[u8; 4], qs: &[u8; 16]) -> [u8; 32] {
    let high = u32::from_le_bytes(*qh);
    std::array::from_fn(|i| {
        let low = if i < 16 { qs[i] & 15 } else { qs[i - 16] >> 4 };
        low | (((high >> i) & 1) << 4) as u8
    })
}

/// Splits 5-bit codes into `qh` and `qs`.
pub(super) fn pack(codes: &[u8; 32]) -> ([u8; 4], [u8; 16]) {
    let high = codes.iter().enumerate().fold(0, |high, (i, code)| high | u32::from(code >> 4) << i);
    (high.to_le_bytes(), std::array::from_fn(|i| (codes[i] & 15) | codes[i + 16] << 4))
}
