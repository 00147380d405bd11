//! Q8_K: 256 numbers of 8 bits with an f32 scale and the sums of each 16. The format of activations for products with
//! K-quants.

use bytemuck::{Pod, Zeroable};

use super::{
    Block, all_finite,
    le::{F32Le, I16Le},
    peak,
};
use crate::{GgmlType, QK_K, search::nearest};

/// `x = d q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BlockQ8_K {
    /// Scale. Negative where the number of largest magnitude is positive.
    pub d: F32Le,
    /// The numbers, in order.
    pub qs: [i8; QK_K],
    /// Sums of 16 numbers each.
    pub bsums: [I16Le; QK_K / 16],
}

const _: () = assert!(size_of::<BlockQ8_K>() == GgmlType::Q8_K.block_bytes());

impl BlockQ8_K {
    /// The block for numbers of which one is NaN or infinite.
    pub const NOT_FINITE: Self = Self::flat(f32::NAN);
    /// The block for zeros.
    pub const ZERO: Self = Self::flat(0.0);

    const fn flat(d: f32) -> Self {
        Self { d: F32Le::from_f32(d), qs: [0; QK_K], bsums: [I16Le::new(0); QK_K / 16] }
    }
}

impl Block for BlockQ8_K {
    const TYPE: GgmlType = GgmlType::Q8_K;
    type Values = [f32; QK_K];

    fn dequantize(&self, out: &mut [f32; QK_K]) {
        let d = self.d.to_f32();
        for (out, q) in out.iter_mut().zip(self.qs) {
            *out = d * f32::from(q);
        }
    }

    /// The number of largest magnitude gets -127. ggml leaves the sums of an all-zero block unwritten; here they are 0.
    fn quantize(x: &[f32; QK_K]) -> Self {
        if !all_finite(x) {
            return Self::NOT_FINITE;
        }
        let peak = peak(x);
        if peak == 0.0 {
            return Self::ZERO;
        }
        let iscale = -127.0 / peak;
        // Only the low byte is kept: where the inverse scale overflows it is 0.
        let qs = x.map(|x| nearest(iscale * x).min(127) as i8);
        let (sixteens, _) = qs.as_chunks::<16>();
        let bsums = std::array::from_fn(|i| I16Le::new(sixteens[i].iter().map(|&q| i16::from(q)).sum()));
        Self { d: F32Le::from_f32(1.0 / iscale), qs, bsums }
    }
}
