//! The loops, compiled for the target's baseline.

use half::{bf16, f16};

use super::{Map, Stored, fill};

pub(super) fn fill<S: Stored, T: fill::Filled, A: fill::Arithmetic, const SWAP: bool>(
    map: &Map,
    src: &[u8],
    dst: &mut [T],
) {
    fill::fill::<S, T, A, SWAP>(map, src, dst);
}

pub(super) fn pack_f16(block: &[f32], dst: &mut [f16]) {
    for (dst, &value) in dst.iter_mut().zip(block) {
        *dst = f16::from_f32_const(value);
    }
}

#[inline(always)]
pub(super) fn pack_bf16(block: &[f32], dst: &mut [bf16]) {
    for (dst, &value) in dst.iter_mut().zip(block) {
        // To nearest, ties to even; a NaN stays one whatever its payload.
        let bits = value.to_bits();
        let rounded = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
        let quiet = (bits >> 16) as u16 | 0x40;
        *dst = bf16::from_bits(if bits & 0x7fff_ffff > 0x7f80_0000 { quiet } else { rounded });
    }
}
