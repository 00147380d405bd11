//! The loops from stored voxels to f32, once for all types and instruction sets.

use super::{Map, Stored};

/// What happens to a stored number.
pub(super) trait Arithmetic {
    fn apply<S: Stored>(map: &Map, value: S) -> f32;
}

/// Rounds to f32.
pub(super) struct Unscaled;

/// One fused multiply-add in f32.
pub(super) struct Single;

/// A product and a sum in f64.
pub(super) struct Double;

/// As [`Double`], then clip and z-score.
pub(super) struct Normalized;

impl Arithmetic for Unscaled {
    #[inline(always)]
    fn apply<S: Stored>(_: &Map, value: S) -> f32 {
        value.to_f32()
    }
}

impl Arithmetic for Single {
    #[inline(always)]
    fn apply<S: Stored>(map: &Map, value: S) -> f32 {
        value.to_f32().mul_add(map.slope as f32, map.inter as f32)
    }
}

impl Arithmetic for Double {
    #[inline(always)]
    fn apply<S: Stored>(map: &Map, value: S) -> f32 {
        (value.to_f64() * map.slope + map.inter) as f32
    }
}

impl Arithmetic for Normalized {
    /// Comparisons keep NaN as it is.
    #[inline(always)]
    fn apply<S: Stored>(map: &Map, value: S) -> f32 {
        let value = if map.is_scaled() { value.to_f64() * map.slope + map.inter } else { value.to_f64() };
        let value = if value < map.low { map.low } else { value };
        let value = if value > map.high { map.high } else { value };
        ((value - map.shift) * map.gain) as f32
    }
}

#[inline(always)]
pub(super) fn fill<S: Stored, A: Arithmetic, const SWAP: bool>(map: &Map, src: &[u8], dst: &mut [f32]) {
    // A copy: through the reference, the loop would have to assume that `dst` overlaps it.
    let map = *map;
    for (dst, value) in dst.iter_mut().zip(S::each::<SWAP>(src)) {
        *dst = A::apply(&map, value);
    }
}
