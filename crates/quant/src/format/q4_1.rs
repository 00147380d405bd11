//! Q4_1: 32 numbers of 4 bits, a scale and a minimum.

use bytemuck::{Pod, Zeroable};

use super::{Block, all_finite, extremes, inverse, le::F16Le};
use crate::GgmlType;

/// `x = d q + m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ4_1 {
    /// Scale.
    pub d: F16Le,
    /// Minimum.
    pub m: F16Le,
    /// Numbers 0..16 in the low nibbles of the bytes, 16..32 in the high nibbles.
    pub qs: [u8; 16],
}

const _: () = assert!(size_of::<BlockQ4_1>() == GgmlType::Q4_1.block_bytes());

impl Block for BlockQ4_1 {
    const TYPE: GgmlType = GgmlType::Q4_1;
    type Values = [f32; 32];

    fn dequantize(&self, out: &mut [f32; 32]) {
        let (d, m) = (self.d.to_f32(), self.m.to_f32());
        for (i, q) in self.qs.iter().enumerate() {
            out[i] = f32::from(q & 15) * d + m;
            out[i + 16] = f32::from(q >> 4) * d + m;
        }
    }

    fn quantize(x: &[f32; 32]) -> Self {
        if !all_finite(x) {
            return Self { d: F16Le::NAN, m: F16Le::NAN, qs: [0; 16] };
        }
        let (min, max) = extremes(x);
        let d = (max - min) / 15.0;
        let id = inverse(d);
        let code = |x: f32| (((x - min) * id + 0.5) as i32).clamp(0, 15) as u8;
        let qs = std::array::from_fn(|i| code(x[i]) | code(x[i + 16]) << 4);
        Self { d: F16Le::from_f32(d), m: F16Le::from_f32(min), qs }
    }
}
