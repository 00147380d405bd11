//! Copies of voxels of any type, in this machine's byte order.

use crate::{
    Datatype, Endian,
    convert::reorient::{TileBuffer, Traversal},
};

/// Copies all of `stored` to `out` in the order of `traversal`; swaps bytes where `endian` is not this machine's order.
pub(crate) fn copy(traversal: &Traversal, datatype: Datatype, endian: Endian, stored: &[u8], out: &mut [u8]) {
    let unit = if endian.is_swapped() { datatype.unit_bytes() } else { 1 };
    match datatype.bytes() {
        1 => voxels::<1>(traversal, unit, stored, out),
        2 => voxels::<2>(traversal, unit, stored, out),
        3 => voxels::<3>(traversal, unit, stored, out),
        4 => voxels::<4>(traversal, unit, stored, out),
        8 => voxels::<8>(traversal, unit, stored, out),
        16 => voxels::<16>(traversal, unit, stored, out),
        _ => voxels::<32>(traversal, unit, stored, out),
    }
}

fn voxels<const N: usize>(traversal: &Traversal, unit: usize, stored: &[u8], out: &mut [u8]) {
    let mut copy = |src: &[u8], dst: &mut [[u8; N]]| swap_copy(unit, src, dst.as_flattened_mut());
    traversal.run(stored, out.as_chunks_mut::<N>().0, &mut TileBuffer::default(), &mut copy);
}

/// Copies numbers of `unit` bytes, with the bytes of each swapped; 1 copies them as they are.
pub(crate) fn swap_copy(unit: usize, src: &[u8], dst: &mut [u8]) {
    match unit {
        2 => swap_bytes::<2>(src, dst),
        4 => swap_bytes::<4>(src, dst),
        8 => swap_bytes::<8>(src, dst),
        16 => swap_bytes::<16>(src, dst),
        _ => dst.copy_from_slice(src),
    }
}

fn swap_bytes<const N: usize>(src: &[u8], dst: &mut [u8]) {
    for (src, dst) in src.as_chunks::<N>().0.iter().zip(dst.as_chunks_mut::<N>().0) {
        let mut number = *src;
        number.reverse();
        *dst = number;
    }
}
