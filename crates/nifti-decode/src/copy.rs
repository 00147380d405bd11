//! Voxels of any type, copied in this machine's byte order.

use crate::{
    Datatype, Endian,
    convert::turn::{Space, Walk},
};

/// Copies all of `stored` to `out` in the order of `walk`, numbers swapped where `endian` is not this machine's.
pub(crate) fn copy(walk: &Walk, datatype: Datatype, endian: Endian, stored: &[u8], out: &mut [u8]) {
    let unit = if endian.is_swapped() { datatype.unit_bytes() } else { 1 };
    match datatype.bytes() {
        1 => voxels::<1>(walk, unit, stored, out),
        2 => voxels::<2>(walk, unit, stored, out),
        3 => voxels::<3>(walk, unit, stored, out),
        4 => voxels::<4>(walk, unit, stored, out),
        8 => voxels::<8>(walk, unit, stored, out),
        16 => voxels::<16>(walk, unit, stored, out),
        _ => voxels::<32>(walk, unit, stored, out),
    }
}

fn voxels<const N: usize>(walk: &Walk, unit: usize, stored: &[u8], out: &mut [u8]) {
    let mut copy = |src: &[u8], dst: &mut [[u8; N]]| swap_copy(unit, src, dst.as_flattened_mut());
    walk.run(stored, out.as_chunks_mut::<N>().0, &mut Space::default(), &mut copy);
}

/// Copies numbers of `unit` bytes, the bytes of each turned around; 1 copies as it is.
pub(crate) fn swap_copy(unit: usize, src: &[u8], dst: &mut [u8]) {
    match unit {
        2 => turn_around::<2>(src, dst),
        4 => turn_around::<4>(src, dst),
        8 => turn_around::<8>(src, dst),
        16 => turn_around::<16>(src, dst),
        _ => dst.copy_from_slice(src),
    }
}

fn turn_around<const N: usize>(src: &[u8], dst: &mut [u8]) {
    for (src, dst) in src.as_chunks::<N>().0.iter().zip(dst.as_chunks_mut::<N>().0) {
        let mut number = *src;
        number.reverse();
        *dst = number;
    }
}
