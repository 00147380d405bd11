//! Little-endian numbers with alignment 1, as files store them.

use bytemuck::{Pod, Zeroable};

/// An IEEE half-precision number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct F16Le([u8; 2]);

impl F16Le {
    /// A quiet NaN, the scale of a block that is not finite.
    pub const NAN: Self = Self(0x7e00_u16.to_le_bytes());

    /// The nearest half, ties to even; infinite from 65520 on.
    pub fn from_f32(x: f32) -> Self {
        Self::from_bits(half::f16::from_f32_const(x).to_bits())
    }

    /// The number, converted exactly.
    pub fn to_f32(self) -> f32 {
        half::f16::from_bits(self.to_bits()).to_f32_const()
    }

    /// The half with these bits.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits.to_le_bytes())
    }

    /// The bits.
    pub const fn to_bits(self) -> u16 {
        u16::from_le_bytes(self.0)
    }

    /// Whether the number is neither NaN nor infinite.
    pub const fn is_finite(self) -> bool {
        self.to_bits() & 0x7c00 != 0x7c00
    }
}

/// An IEEE single-precision number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct F32Le([u8; 4]);

impl F32Le {
    /// The bytes of a number.
    pub const fn from_f32(x: f32) -> Self {
        Self(x.to_bits().to_le_bytes())
    }

    /// The number.
    pub const fn to_f32(self) -> f32 {
        f32::from_bits(u32::from_le_bytes(self.0))
    }
}

/// A 16-bit integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct I16Le([u8; 2]);

impl I16Le {
    /// The bytes of an integer.
    pub const fn new(x: i16) -> Self {
        Self(x.to_le_bytes())
    }

    /// The integer.
    pub const fn get(self) -> i16 {
        i16::from_le_bytes(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All 65536 bit patterns; the conversion back gives the same bits unless the number is NaN.
    #[test]
    fn every_half_round_trips() {
        for bits in 0..=u16::MAX {
            let half = F16Le::from_bits(bits);
            let x = half.to_f32();
            assert_eq!(half.is_finite(), x.is_finite());
            if x.is_nan() {
                assert!(F16Le::from_f32(x).to_f32().is_nan());
            } else {
                assert_eq!(F16Le::from_f32(x), half, "{bits:#06x}");
            }
        }
    }

    #[test]
    fn halves_round_to_nearest_even() {
        for (x, bits) in [
            (1.0 + 1.0 / 2048.0, 0x3c00),
            (1.0 + 3.0 / 2048.0, 0x3c02),
            (65519.0, 0x7bff),
            (65520.0, 0x7c00),
            (2.0_f32.powi(-25), 0x0000),
            (1.5 * 2.0_f32.powi(-25), 0x0001),
            (-f32::MAX, 0xfc00),
        ] {
            assert_eq!(F16Le::from_f32(x).to_bits(), bits, "{x}");
        }
    }
}
