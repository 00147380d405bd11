//! Q4_0: 32 numbers of 4 bits and one scale.

use bytemuck::{Pod, Zeroable};

use super::{Block, all_finite, inverse, le::F16Le, peak};
use crate::GgmlType;

/// `x = d (q - 8)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ4_0 {
    /// Scale.
    pub d: F16Le,
    /// Numbers 0..16 in the low nibbles of the bytes, 16..32 in the high nibbles.
    pub qs: [u8; 16],
}

const _: () = assert!(size_of::<BlockQ4_0>() == GgmlType::Q4_0.block_bytes());

impl Block for BlockQ4_0 {
    const TYPE: GgmlType = GgmlType::Q4_0;
    type Values = [f32; 32];

    fn dequantize(&self, out: &mut [f32; 32]) {
        let d = self.d.to_f32();
        for (i, q) in self.qs.iter().enumerate() {
            out[i] = f32::from((q & 15) as i8 - 8) * d;
            out[i + 16] = f32::from((q >> 4) as i8 - 8) * d;
        }
    }

    /// The number of largest magnitude gets the code for -8, so its sign decides which end of the range has the extra
    /// level.
    fn quantize(x: &[f32; 32]) -> Self {
        if !all_finite(x) {
            return Self { d: F16Le::NAN, qs: [0; 16] };
        }
        let d = peak(x) / -8.0;
        let id = inverse(d);
        let code = |x: f32| ((x * id + 8.5) as i32).clamp(0, 15) as u8;
        Self { d: F16Le::from_f32(d), qs: std::array::from_fn(|i| code(x[i]) | code(x[i + 16]) << 4) }
    }
}
