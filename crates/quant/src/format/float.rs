//! F32, F16 and BF16: plain numbers, which are blocks of length 1.

use bytemuck::{Pod, Zeroable};

use super::{
    Block,
    le::{F16Le, F32Le},
};
use crate::GgmlType;

/// One number of type F32.
pub type F32 = F32Le;

/// One number of type F16.
pub type F16 = F16Le;

/// One number of type BF16: the upper 16 bits of an f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct BF16([u8; 2]);

impl BF16 {
    /// The nearest bf16, ties to even; a NaN becomes a quiet NaN.
    pub const fn from_f32(x: f32) -> Self {
        let bits = x.to_bits();
        let upper = if x.is_nan() {
            (bits >> 16) | 0x40
        } else {
            // Round to nearest, ties to even: add half a unit in the last place, less 1 if the kept bits are even.
            (bits + 0x7fff + ((bits >> 16) & 1)) >> 16
        };
        Self((upper as u16).to_le_bytes())
    }

    /// The number, converted exactly.
    pub const fn to_f32(self) -> f32 {
        f32::from_bits((u16::from_le_bytes(self.0) as u32) << 16)
    }
}

impl Block for F32 {
    const TYPE: GgmlType = GgmlType::F32;
    type Values = [f32; 1];

    fn dequantize(&self, out: &mut [f32; 1]) {
        *out = [self.to_f32()];
    }

    fn quantize(x: &[f32; 1]) -> Self {
        Self::from_f32(x[0])
    }
}

impl Block for F16 {
    const TYPE: GgmlType = GgmlType::F16;
    type Values = [f32; 1];

    fn dequantize(&self, out: &mut [f32; 1]) {
        *out = [self.to_f32()];
    }

    fn quantize(x: &[f32; 1]) -> Self {
        Self::from_f32(x[0])
    }
}

impl Block for BF16 {
    const TYPE: GgmlType = GgmlType::BF16;
    type Values = [f32; 1];

    fn dequantize(&self, out: &mut [f32; 1]) {
        *out = [self.to_f32()];
    }

    fn quantize(x: &[f32; 1]) -> Self {
        Self::from_f32(x[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_nearest_even_and_keeps_nan() {
        for (x, upper) in [
            (1.0, 0x3f80),
            (f32::from_bits(0x3f80_8000), 0x3f80),
            (f32::from_bits(0x3f81_8000), 0x3f82),
            (f32::from_bits(0x3f80_8001), 0x3f81),
            (f32::MAX, 0x7f80),
            (f32::NEG_INFINITY, 0xff80),
            (f32::from_bits(0x7f80_0001), 0x7fc0),
        ] {
            assert_eq!(BF16::from_f32(x).0, u16::to_le_bytes(upper), "{x}");
        }
        for upper in 0..=u16::MAX {
            let number = BF16(upper.to_le_bytes());
            assert!(BF16::from_f32(number.to_f32()) == number || number.to_f32().is_nan());
        }
    }
}
