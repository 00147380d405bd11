//! MXFP4: 32 floating-point numbers of 4 bits and one exponent, by the OCP microscaling specification.

use bytemuck::{Pod, Zeroable};

use super::{Block, all_finite, peak};
use crate::GgmlType;

/// `x = 2^(e - 128) DOUBLED[q]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockMXFP4 {
    /// Exponent with bias 127. 255 is reserved for blocks that are not finite.
    pub e: u8,
    /// Numbers 0..16 in the low nibbles of the bytes, 16..32 in the high nibbles.
    pub qs: [u8; 16],
}

const _: () = assert!(size_of::<BlockMXFP4>() == GgmlType::MXFP4.block_bytes());

/// Twice the value of each code (sign, two exponent bits, one mantissa bit), which makes all of them integers.
pub const DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// The exponent of a block that is not finite. ggml treats it as one more power of two, with which the code 7
/// overflows.
pub const RESERVED: u8 = 255;

impl Block for BlockMXFP4 {
    const TYPE: GgmlType = GgmlType::MXFP4;
    type Values = [f32; 32];

    fn dequantize(&self, out: &mut [f32; 32]) {
        let d = half_of_power(self.e);
        for (i, q) in self.qs.iter().enumerate() {
            out[i] = f32::from(DOUBLED[usize::from(q & 15)]) * d;
            out[i + 16] = f32::from(DOUBLED[usize::from(q >> 4)]) * d;
        }
    }

    fn quantize(x: &[f32; 32]) -> Self {
        if !all_finite(x) {
            return Self { e: RESERVED, qs: [0x77; 16] };
        }
        let e = exponent(peak(x).abs());
        let d = half_of_power(e);
        let numbers = DOUBLED.map(|doubled| f32::from(doubled) * d);
        let codes = x.map(|x| nearest_code(x, &numbers));
        Self { e, qs: std::array::from_fn(|i| codes[i] | codes[i + 16] << 4) }
    }
}

/// The exponent of a block: that of its largest magnitude, less 2, the exponent of the largest code. As in ggml, the
/// logarithm is that of the C library, which may round up just below a power of two.
pub(crate) fn exponent(largest: f32) -> u8 {
    if largest > 0.0 { (largest.log2().floor() + 125.0) as u8 } else { 0 }
}

/// 2^(e - 128): half the block's scale, because the codes are doubled.
pub(crate) fn half_of_power(e: u8) -> f32 {
    f32::from_bits(match e {
        0 => 0x0020_0000,
        1 => 0x0040_0000,
        _ => (u32::from(e) - 1) << 23,
    })
}

/// The code whose value is nearest to `x`; the first of equals.
fn nearest_code(x: f32, numbers: &[f32; 16]) -> u8 {
    let (mut nearest, mut least) = (0, f32::INFINITY);
    for (code, number) in (0..).zip(numbers) {
        let error = (number - x).abs();
        (nearest, least) = if error < least { (code, error) } else { (nearest, least) };
    }
    nearest
}
