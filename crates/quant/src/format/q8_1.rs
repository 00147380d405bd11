//! Q8_1: Q8_0 with the sum of its numbers. The format of activations for products with Q4_1 and Q5_1, which have a
//! minimum.

use bytemuck::{Pod, Zeroable};

use super::{Block, all_finite, le::F16Le, q8_0};
use crate::GgmlType;

/// `x = d q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ8_1 {
    /// Scale.
    pub d: F16Le,
    /// d times the sum of all `qs`.
    pub s: F16Le,
    /// The numbers, in order.
    pub qs: [i8; 32],
}

const _: () = assert!(size_of::<BlockQ8_1>() == GgmlType::Q8_1.block_bytes());

impl Block for BlockQ8_1 {
    const TYPE: GgmlType = GgmlType::Q8_1;
    type Values = [f32; 32];

    fn dequantize(&self, out: &mut [f32; 32]) {
        let d = self.d.to_f32();
        for (out, q) in out.iter_mut().zip(self.qs) {
            *out = f32::from(q) * d;
        }
    }

    /// The sum is multiplied by the scale before it is rounded to f16.
    fn quantize(x: &[f32; 32]) -> Self {
        if !all_finite(x) {
            return Self { d: F16Le::NAN, s: F16Le::NAN, qs: [0; 32] };
        }
        let (d, qs) = q8_0::codes(x);
        let sum: i16 = qs.iter().map(|&q| i16::from(q)).sum();
        Self { d: F16Le::from_f32(d), s: F16Le::from_f32(f32::from(sum) * d), qs }
    }
}
