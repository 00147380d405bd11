//! Q5_1: 32 numbers of 5 bits, a scale and a minimum.

use bytemuck::{Pod, Zeroable};

use super::{Block, all_finite, extremes, inverse, le::F16Le, q5_0};
use crate::GgmlType;

/// `x = d q + m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ5_1 {
    /// Scale.
    pub d: F16Le,
    /// Minimum.
    pub m: F16Le,
    /// Bit 4 of the codes: bit i, counted from the lowest bit of the first byte, belongs to number i.
    pub qh: [u8; 4],
    /// Bits 0..4 of the codes: numbers 0..16 in the low nibbles of the bytes, 16..32 in the high nibbles.
    pub qs: [u8; 16],
}

const _: () = assert!(size_of::<BlockQ5_1>() == GgmlType::Q5_1.block_bytes());

impl Block for BlockQ5_1 {
    const TYPE: GgmlType = GgmlType::Q5_1;
    type Values = [f32; 32];

    fn dequantize(&self, out: &mut [f32; 32]) {
        let (d, m) = (self.d.to_f32(), self.m.to_f32());
        let codes = q5_0::unpack(&self.qh, &self.qs);
        for (out, q) in out.iter_mut().zip(codes) {
            *out = f32::from(q) * d + m;
        }
    }

    fn quantize(x: &[f32; 32]) -> Self {
        if !all_finite(x) {
            return Self { d: F16Le::NAN, m: F16Le::NAN, qh: [0; 4], qs: [0; 16] };
        }
        let (min, max) = extremes(x);
        let d = (max - min) / 31.0;
        let id = inverse(d);
        let (qh, qs) = q5_0::pack(&x.map(|x| (((x - min) * id + 0.5) as i32).clamp(0, 31) as u8));
        Self { d: F16Le::from_f32(d), m: F16Le::from_f32(min), qh, qs }
    }
}
