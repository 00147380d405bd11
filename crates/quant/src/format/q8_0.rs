//! Q8_0: 32 numbers of 8 bits and one scale.

use bytemuck::{Pod, Zeroable};

use super::{Block, all_finite, inverse, le::F16Le, peak};
use crate::GgmlType;

/// `x = d q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ8_0 {
    /// Scale.
    pub d: F16Le,
    /// The numbers, in order.
    pub qs: [i8; 32],
}

const _: () = assert!(size_of::<BlockQ8_0>() == GgmlType::Q8_0.block_bytes());

impl Block for BlockQ8_0 {
    const TYPE: GgmlType = GgmlType::Q8_0;
    type Values = [f32; 32];

    fn dequantize(&self, out: &mut [f32; 32]) {
        let d = self.d.to_f32();
        for (out, q) in out.iter_mut().zip(self.qs) {
            *out = f32::from(q) * d;
        }
    }

    fn quantize(x: &[f32; 32]) -> Self {
        if !all_finite(x) {
            return Self { d: F16Le::NAN, qs: [0; 32] };
        }
        let (d, qs) = codes(x);
        Self { d: F16Le::from_f32(d), qs }
    }
}

/// Scale and codes: the largest magnitude gets 127 or -127; ties are rounded away from 0.
pub(super) fn codes(x: &[f32; 32]) -> (f32, [i8; 32]) {
    let d = peak(x).abs() / 127.0;
    let id = inverse(d);
    (d, x.map(|x| round(x * id)))
}

/// The nearest integer, ties away from 0, like C's `roundf` for numbers of this size. It adds the largest number below
/// one half and truncates: from a fraction of one half on, the sum rounds up to the next integer.
fn round(x: f32) -> i8 {
    ((x + BELOW_HALF.copysign(x)) as i32).clamp(-128, 127) as i8
}

/// The largest f32 below 0.5.
pub(crate) const BELOW_HALF: f32 = 0.5_f32.next_down();

#[cfg(test)]
mod tests {
    use super::*;

    /// All numbers near an integer or a half, within 9 bits of the mantissa.
    #[test]
    fn rounding_is_that_of_the_standard_library() {
        for halves in -253..=253_i16 {
            let mut x = f32::from(halves) / 2.0;
            for _ in 0..256 {
                x = x.next_down();
            }
            for _ in 0..512 {
                assert_eq!(f32::from(round(x)), x.round(), "{x}");
                x = x.next_up();
            }
        }
    }
}
