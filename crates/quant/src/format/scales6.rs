//! Eight 6-bit scales and eight 6-bit minima in 12 bytes, as in Q4_K and Q5_K.

use bytemuck::{Pod, Zeroable};

/// Packed scales and minima of eight sub-blocks.
///
/// For sub-block j < 4, the scale is in the low six bits of byte j and the minimum in those of byte j + 4. For
/// sub-block j >= 4, the low four bits are in byte j + 4 (scale in the low nibble, minimum in the high nibble), and the
/// upper two bits are in the top two bits of bytes j - 4 (scale) and j (minimum).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Scales6([u8; 12]);

impl Scales6 {
    /// Packs eight (scale, minimum) pairs, each below 64.
    pub fn pack(pairs: [(u8, u8); 8]) -> Self {
        let mut bytes = [0; 12];
        for j in 0..4 {
            let ((scale, min), (late_scale, late_min)) = (pairs[j], pairs[j + 4]);
            bytes[j] = (scale & 63) | late_scale >> 4 << 6;
            bytes[j + 4] = (min & 63) | late_min >> 4 << 6;
            bytes[j + 8] = (late_scale & 15) | late_min << 4;
        }
        Self(bytes)
    }

    /// The eight scales and the eight minima, each below 64. It unpacks four sub-blocks at a time, as the bytes of one
    /// word.
    #[inline]
    pub fn unpack(self) -> ([u8; 8], [u8; 8]) {
        const LOW_2: u32 = 0x0303_0303;
        const LOW_4: u32 = 0x0f0f_0f0f;
        const LOW_6: u32 = 0x3f3f_3f3f;
        let word = |at: usize| u32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]]);
        let (early_scales, early_mins, late) = (word(0), word(4), word(8));
        let both = |early: u32, late: u32| {
            let upper = ((early >> 6) & LOW_2) << 4;
            (u64::from(late & LOW_4 | upper) << 32 | u64::from(early & LOW_6)).to_le_bytes()
        };
        (both(early_scales, late), both(early_mins, late >> 4))
    }

    /// Quantizes the best scale and minimum of each sub-block to six bits, relative to the largest ones. Returns d and
    /// dmin, not yet rounded to f16, and the codes.
    pub(super) fn quantize(wanted: [(f32, f32); 8]) -> (f32, f32, Self) {
        let (mut largest_scale, mut largest_min) = (0.0_f32, 0.0_f32);
        for (scale, min) in wanted {
            largest_scale = if scale > largest_scale { scale } else { largest_scale };
            largest_min = if min > largest_min { min } else { largest_min };
        }
        let per = |largest: f32| if largest > 0.0 { 63.0 / largest } else { 0.0 };
        let (per_scale, per_min) = (per(largest_scale), per(largest_min));
        let code = |x: f32| (crate::search::nearest(x) as u8).min(63);
        let pairs = wanted.map(|(scale, min)| (code(per_scale * scale), code(per_min * min)));
        (largest_scale / 63.0, largest_min / 63.0, Self::pack(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_loses_nothing() {
        let check = |pairs: [(u8, u8); 8]| {
            assert_eq!(Scales6::pack(pairs).unpack(), (pairs.map(|pair| pair.0), pairs.map(|pair| pair.1)));
        };
        check(std::array::from_fn(|j| ((7 * j + 9) as u8 & 63, (61 - 5 * j) as u8 & 63)));
        check([(63, 63); 8]);
        for (j, bit) in (0..8).flat_map(|j| (0..6).map(move |bit| (j, bit))) {
            let mut pairs = [(0, 0); 8];
            pairs[j] = (1 << bit, 63 ^ (1 << bit));
            check(pairs);
        }
    }

    /// The layout that ggml documents.
    #[test]
    fn the_layout_is_the_documented_one() {
        let mut pairs = [(0, 0); 8];
        pairs[1] = (0b10_1101, 0b01_0010);
        pairs[5] = (0b11_0110, 0b10_1001);
        let b = Scales6::pack(pairs).0;
        assert_eq!((b[1], b[5], b[9]), (0b1110_1101, 0b1001_0010, 0b1001_0110));
    }
}
