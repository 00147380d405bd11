//! The loops from stored voxels to blocks of numbers, once for all types and instruction sets.

use std::marker::PhantomData;

use simd::InstructionSet;

use super::{
    Fill, Map, Stored,
    compiled::{self, Loop},
    words,
};
use crate::Datatype;

/// What a block is filled with: `f32` or `f64`, rounded once; or `i64`, for stored integers that are not scaled.
pub(super) trait Filled: Copy + 'static {
    /// Whether scaled 8- and 16-bit integers take the arithmetic of f32.
    const IS_SINGLE: bool;

    /// The loop for swapped words of `datatype`, where it is not that of all types; `None` otherwise.
    fn swapped_words(_datatype: Datatype, _is_scaled: bool) -> Option<Fill<Self>> {
        None
    }

    fn unscaled<S: Stored>(value: S) -> Self;
    fn of_f32(value: f32) -> Self;
    fn of_f64(value: f64) -> Self;
}

impl Filled for f32 {
    const IS_SINGLE: bool = true;

    fn swapped_words(datatype: Datatype, is_scaled: bool) -> Option<Fill<Self>> {
        Some(match (datatype, is_scaled) {
            (Datatype::Int16, false) => words::swapped::<i16, true, false>,
            (Datatype::Int16, true) => words::swapped::<i16, true, true>,
            (Datatype::Uint16, false) => words::swapped::<u16, false, false>,
            (Datatype::Uint16, true) => words::swapped::<u16, false, true>,
            _ => return None,
        })
    }

    #[inline(always)]
    fn unscaled<S: Stored>(value: S) -> Self {
        value.to_f32()
    }

    #[inline(always)]
    fn of_f32(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn of_f64(value: f64) -> Self {
        value as f32
    }
}

impl Filled for f64 {
    const IS_SINGLE: bool = false;

    #[inline(always)]
    fn unscaled<S: Stored>(value: S) -> Self {
        value.to_f64()
    }

    #[inline(always)]
    fn of_f32(value: f32) -> Self {
        value.into()
    }

    #[inline(always)]
    fn of_f64(value: f64) -> Self {
        value
    }
}

impl Filled for i64 {
    const IS_SINGLE: bool = false;

    /// The bits of `u64` above `i64::MAX`.
    #[inline(always)]
    fn unscaled<S: Stored>(value: S) -> Self {
        value.to_i64()
    }

    #[inline(always)]
    fn of_f32(value: f32) -> Self {
        value as i64
    }

    #[inline(always)]
    fn of_f64(value: f64) -> Self {
        value as i64
    }
}

/// What happens to a stored number.
pub(super) trait Arithmetic {
    fn apply<S: Stored, T: Filled>(map: &Map, value: S) -> T;
}

/// Nothing but the conversion.
pub(super) struct Unscaled;

/// One fused multiply-add in f32.
pub(super) struct Single;

/// A product and a sum in f64.
pub(super) struct Double;

/// As [`Double`], then clip and z-score.
pub(super) struct Normalized;

impl Arithmetic for Unscaled {
    #[inline(always)]
    fn apply<S: Stored, T: Filled>(_: &Map, value: S) -> T {
        T::unscaled(value)
    }
}

impl Arithmetic for Single {
    #[inline(always)]
    fn apply<S: Stored, T: Filled>(map: &Map, value: S) -> T {
        T::of_f32(value.to_f32().mul_add(map.slope as f32, map.inter as f32))
    }
}

impl Arithmetic for Double {
    #[inline(always)]
    fn apply<S: Stored, T: Filled>(map: &Map, value: S) -> T {
        T::of_f64(value.to_f64() * map.slope + map.inter)
    }
}

impl Arithmetic for Normalized {
    /// Comparisons keep NaN as it is.
    #[inline(always)]
    fn apply<S: Stored, T: Filled>(map: &Map, value: S) -> T {
        let value = if map.is_scaled() { value.to_f64() * map.slope + map.inter } else { value.to_f64() };
        let value = if value < map.low { map.low } else { value };
        let value = if value > map.high { map.high } else { value };
        T::of_f64((value - map.shift) * map.gain)
    }
}

/// Reads stored voxels into `dst`; see [`Fill`](super::Fill).
pub(super) fn fill<S: Stored, T: Filled, A: Arithmetic, const SWAP: bool>(
    simd: InstructionSet,
    map: &Map,
    src: &[u8],
    dst: &mut [T],
) {
    compiled::run(simd, Run::<S, T, A, SWAP> { map, src, dst, of: PhantomData });
}

struct Run<'a, S, T, A, const SWAP: bool> {
    map: &'a Map,
    src: &'a [u8],
    dst: &'a mut [T],
    of: PhantomData<(S, A)>,
}

impl<S: Stored, T: Filled, A: Arithmetic, const SWAP: bool> Loop for Run<'_, S, T, A, SWAP> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // A copy: through the reference, the loop would have to assume that `dst` overlaps it.
        let map = *self.map;
        for (dst, value) in self.dst.iter_mut().zip(S::each::<SWAP>(self.src)) {
            *dst = A::apply(&map, value);
        }
    }
}
