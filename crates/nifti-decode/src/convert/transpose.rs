//! Tiles of stored voxels, transposed: rows become columns. Nothing is converted here, so that what moves is as small as what is
//! stored, and every type takes the loops of its size.
//!
//! Voxels of 1, 2, 4 and 8 bytes go through square blocks in vector registers, as many voxels wide as fill 8 or 16 bytes.
//! A tile whose extents are no multiples of the block's side ends with blocks that overlap the ones before: what is written twice is
//! written with the same voxels.

/// A cache line.
const LINE: usize = 64;
/// Rows from those that are transposed to those that are fetched meanwhile: where rows lie far apart, no hardware prefetcher finds
/// them.
const AHEAD: isize = 16;

/// Where the rows of a tile lie in the stored bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    /// First byte of the first row.
    pub(super) first: usize,
    /// Bytes from one row to the next; below 0 where an axis is flipped.
    pub(super) step: isize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Tile {
    /// Bytes from one row of a transposed tile to the next: an odd number of cache lines. Rows that lay a power of two apart would
    /// fall on each other in the first-level cache.
    pub(super) fn turned_row(rows: usize, bytes: usize) -> usize {
        ((rows * bytes).div_ceil(LINE) | 1) * LINE
    }

    /// First byte of row `r`. An address that is not in the file wraps around.
    fn row(&self, r: usize) -> usize {
        self.first.wrapping_add_signed(self.step.wrapping_mul(r as isize))
    }

    /// The voxels of row `r`.
    fn voxels<'a, const N: usize>(&self, stored: &'a [u8], r: usize) -> &'a [[u8; N]] {
        stored[self.row(r)..][..self.columns * N].as_chunks().0
    }
}

/// Transposes a tile of voxels of `bytes` bytes: column `c` becomes the voxels from `c` times [`Tile::turned_row`] on.
///
/// # Panics
/// If a row lies outside `stored`, or `turned` is too small; neither can be with a tile of a walk.
pub(super) fn transpose(bytes: usize, stored: &[u8], tile: &Tile, turned: &mut [u8]) {
    match bytes {
        1 => by_blocks::<1>(stored, tile, turned),
        2 => by_blocks::<2>(stored, tile, turned),
        3 => by_voxels::<3>(stored, tile, turned),
        4 => by_blocks::<4>(stored, tile, turned),
        8 => by_blocks::<8>(stored, tile, turned),
        16 => by_voxels::<16>(stored, tile, turned),
        _ => by_voxels::<32>(stored, tile, turned),
    }
}

fn by_voxels<const N: usize>(stored: &[u8], tile: &Tile, turned: &mut [u8]) {
    for r in 0..tile.rows {
        let columns = turned.chunks_mut(Tile::turned_row(tile.rows, N));
        for (voxel, column) in tile.voxels::<N>(stored, r).iter().zip(columns) {
            column.as_chunks_mut::<N>().0[r] = *voxel;
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn by_blocks<const N: usize>(stored: &[u8], tile: &Tile, turned: &mut [u8]) {
    by_voxels::<N>(stored, tile, turned);
}

#[cfg(target_arch = "x86_64")]
fn by_blocks<const N: usize>(stored: &[u8], tile: &Tile, turned: &mut [u8]) {
    let side = if N <= 2 { 8 } else { 16 / N };
    if tile.rows < side || tile.columns < side {
        return by_voxels::<N>(stored, tile, turned);
    }
    // The rows between these two lie between them.
    for r in [0, tile.rows - 1] {
        assert!(tile.voxels::<N>(stored, r).len() == tile.columns);
    }
    let turned_row = Tile::turned_row(tile.rows, N);
    assert!(tile.columns * turned_row <= turned.len());
    for r in (0..tile.rows).step_by(side).map(|r| r.min(tile.rows - side)) {
        for c in (0..tile.columns).step_by(side).map(|c| c.min(tile.columns - side)) {
            let from = stored.as_ptr().wrapping_add(tile.row(r).wrapping_add(c * N));
            let to = turned.as_mut_ptr().wrapping_add(c * turned_row + r * N);
            if (c * N).is_multiple_of(LINE) {
                for i in 0..side as isize {
                    prefetch(from.wrapping_offset(tile.step.wrapping_mul(i + AHEAD)));
                }
            }
            // SAFETY: r + side <= rows and c + side <= columns, and all rows lie within `stored`, as asserted above; so
            // does the block, and its transpose within `turned`.
            unsafe { block::<N>(from, tile.step, to, turned_row) }
        }
    }
}

/// Has a cache line brought into the first-level cache.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing that the program could see, and does not fault, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
}

/// Transposes one square block: row `i` begins `i * step` bytes behind `from`, column `j` goes to `j * turned_row` bytes behind `to`.
///
/// # Safety
/// Eight rows of 8 bytes if `N` is 1, else 16 / N (at most 8) rows of 16 bytes can be read, and as many columns of the same size
/// written.
#[cfg(target_arch = "x86_64")]
unsafe fn block<const N: usize>(from: *const u8, step: isize, to: *mut u8, turned_row: usize) {
    use std::arch::x86_64::*;
    // SAFETY: the caller says that this row can be read.
    let row = |i: isize| unsafe { _mm_loadu_si128(from.wrapping_offset(i * step).cast()) };
    // SAFETY: the caller says that this row can be read.
    let half = |i: isize| unsafe { _mm_loadl_epi64(from.wrapping_offset(i * step).cast()) };
    // SAFETY: the caller says that this column can be written.
    let store = |j: usize, column| unsafe { _mm_storeu_si128(to.wrapping_add(j * turned_row).cast(), column) };
    // SAFETY: the caller says that this column can be written.
    let store_half = |j: usize, column| unsafe { _mm_storel_epi64(to.wrapping_add(j * turned_row).cast(), column) };
    // SAFETY: SSE2 is part of every x86-64.
    unsafe {
        match N {
            1 => {
                // Bytes of two rows in turns, then pairs of four rows, then quads of eight: two columns in each register.
                let pair = |i| _mm_unpacklo_epi8(half(i), half(i + 1));
                let (p0, p1, p2, p3) = (pair(0), pair(2), pair(4), pair(6));
                let (q0, q1) = (_mm_unpacklo_epi16(p0, p1), _mm_unpackhi_epi16(p0, p1));
                let (q2, q3) = (_mm_unpacklo_epi16(p2, p3), _mm_unpackhi_epi16(p2, p3));
                for (j, (a, b)) in [(q0, q2), (q1, q3)].into_iter().enumerate() {
                    for (k, two) in [_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b)].into_iter().enumerate() {
                        store_half(4 * j + 2 * k, two);
                        store_half(4 * j + 2 * k + 1, _mm_unpackhi_epi64(two, two));
                    }
                }
            }
            2 => {
                // Pairs of two rows, quads of four, then whole columns.
                let (r0, r1, r2, r3) = (row(0), row(1), row(2), row(3));
                let (r4, r5, r6, r7) = (row(4), row(5), row(6), row(7));
                let (p0, p1) = (_mm_unpacklo_epi16(r0, r1), _mm_unpackhi_epi16(r0, r1));
                let (p2, p3) = (_mm_unpacklo_epi16(r2, r3), _mm_unpackhi_epi16(r2, r3));
                let (p4, p5) = (_mm_unpacklo_epi16(r4, r5), _mm_unpackhi_epi16(r4, r5));
                let (p6, p7) = (_mm_unpacklo_epi16(r6, r7), _mm_unpackhi_epi16(r6, r7));
                for (j, (a, b, c, d)) in [(p0, p2, p4, p6), (p1, p3, p5, p7)].into_iter().enumerate() {
                    let (low, high) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
                    store(4 * j, _mm_unpacklo_epi64(low, high));
                    store(4 * j + 1, _mm_unpackhi_epi64(low, high));
                    let (low, high) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
                    store(4 * j + 2, _mm_unpacklo_epi64(low, high));
                    store(4 * j + 3, _mm_unpackhi_epi64(low, high));
                }
            }
            4 => {
                let (r0, r1, r2, r3) = (row(0), row(1), row(2), row(3));
                let (low, high) = (_mm_unpacklo_epi32(r0, r1), _mm_unpacklo_epi32(r2, r3));
                store(0, _mm_unpacklo_epi64(low, high));
                store(1, _mm_unpackhi_epi64(low, high));
                let (low, high) = (_mm_unpackhi_epi32(r0, r1), _mm_unpackhi_epi32(r2, r3));
                store(2, _mm_unpacklo_epi64(low, high));
                store(3, _mm_unpackhi_epi64(low, high));
            }
            _ => {
                const { assert!(matches!(N, 1 | 2 | 4 | 8)) }
                store(0, _mm_unpacklo_epi64(row(0), row(1)));
                store(1, _mm_unpackhi_epi64(row(0), row(1)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every voxel of tiles of all small extents, with rows in both directions, against its place by definition.
    fn check<const N: usize>() {
        for (rows, columns) in (1..=20).flat_map(|rows| (1..=20).map(move |columns| (rows, columns))) {
            let row_bytes = (columns + 3) * N + 5;
            let stored: Vec<u8> = (0..rows * row_bytes + 7).map(|i| ((i * 151) >> 3) as u8 ^ i as u8).collect();
            for is_flipped in [false, true] {
                let first = if is_flipped { 7 + (rows - 1) * row_bytes } else { 7 };
                let step = if is_flipped { -(row_bytes as isize) } else { row_bytes as isize };
                let (tile, turned_row) = (Tile { first, step, rows, columns }, Tile::turned_row(rows, N));
                let mut turned = vec![0xaa; columns * turned_row + 16];
                transpose(N, &stored, &tile, &mut turned);
                for (r, c) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
                    let at = first.wrapping_add_signed(step * r as isize) + c * N;
                    assert_eq!(
                        turned[c * turned_row + r * N..][..N],
                        stored[at..][..N],
                        "{N}: {r} {c} of {rows} x {columns}"
                    );
                }
                assert!(turned[columns * turned_row..].iter().all(|&byte| byte == 0xaa));
            }
        }
    }

    #[test]
    fn tiles_of_every_size_of_voxels() {
        check::<1>();
        check::<2>();
        check::<3>();
        check::<4>();
        check::<8>();
        check::<16>();
        check::<32>();
    }

    #[test]
    #[should_panic(expected = "range")]
    fn a_row_outside_is_refused() {
        let tile = Tile { first: 0, step: 16, rows: 8, columns: 8 };
        transpose(2, &[0; 127], &tile, &mut [0; 512]);
    }
}
