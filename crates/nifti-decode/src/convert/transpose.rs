//! Transposition of tiles of stored voxels. Nothing is converted here, so the loops depend on the size of a voxel
//! alone.
//!
//! Voxels of 1, 2, 4 and 8 bytes are transposed as square blocks in vector registers, as many voxels wide as fill 8 or
//! 16 bytes. Where a tile's extents are not multiples of the block's side, the last blocks overlap the ones before them
//! and write the same voxels again.

/// A cache line.
const LINE: usize = 64;
/// Distance in rows from the block that is transposed to the rows that are prefetched. Hardware prefetchers do not
/// follow rows that lie far apart.
#[cfg(target_arch = "x86_64")]
const PREFETCH_ROWS: isize = 16;

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
    /// Stride in bytes between the columns of a transposed tile: an odd number of cache lines. A power of two would map
    /// all columns to the same sets of L1.
    pub(super) fn column_bytes(rows: usize, bytes: usize) -> usize {
        ((rows * bytes).div_ceil(LINE) | 1) * LINE
    }

    /// First byte of row `r`. An offset outside the file wraps around and fails the bounds check.
    fn row(&self, r: usize) -> usize {
        self.first.wrapping_add_signed(self.step.wrapping_mul(r as isize))
    }

    /// The voxels of row `r`.
    fn voxels<'a, const N: usize>(&self, stored: &'a [u8], r: usize) -> &'a [[u8; N]] {
        stored[self.row(r)..][..self.columns * N].as_chunks().0
    }
}

/// Transposes a tile of voxels of `bytes` bytes: column `c` begins at `c` times [`Tile::column_bytes`].
///
/// # Panics
/// If a row lies outside `stored`, or `transposed` is too small. Neither happens for the tiles of a traversal.
pub(super) fn transpose(bytes: usize, stored: &[u8], tile: &Tile, transposed: &mut [u8]) {
    match bytes {
        1 => by_blocks::<1>(stored, tile, transposed),
        2 => by_blocks::<2>(stored, tile, transposed),
        3 => by_voxels::<3>(stored, tile, transposed),
        4 => by_blocks::<4>(stored, tile, transposed),
        8 => by_blocks::<8>(stored, tile, transposed),
        16 => by_voxels::<16>(stored, tile, transposed),
        _ => by_voxels::<32>(stored, tile, transposed),
    }
}

fn by_voxels<const N: usize>(stored: &[u8], tile: &Tile, transposed: &mut [u8]) {
    for r in 0..tile.rows {
        let columns = transposed.chunks_mut(Tile::column_bytes(tile.rows, N));
        for (voxel, column) in tile.voxels::<N>(stored, r).iter().zip(columns) {
            column.as_chunks_mut::<N>().0[r] = *voxel;
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn by_blocks<const N: usize>(stored: &[u8], tile: &Tile, transposed: &mut [u8]) {
    by_voxels::<N>(stored, tile, transposed);
}

#[cfg(target_arch = "x86_64")]
fn by_blocks<const N: usize>(stored: &[u8], tile: &Tile, transposed: &mut [u8]) {
    let side = if N <= 2 { 8 } else { 16 / N };
    if tile.rows < side || tile.columns < side {
        return by_voxels::<N>(stored, tile, transposed);
    }
    // All other rows lie between the first and the last one.
    for r in [0, tile.rows - 1] {
        assert!(tile.voxels::<N>(stored, r).len() == tile.columns);
    }
    let column_bytes = Tile::column_bytes(tile.rows, N);
    assert!(tile.columns * column_bytes <= transposed.len());
    for r in (0..tile.rows).step_by(side).map(|r| r.min(tile.rows - side)) {
        for c in (0..tile.columns).step_by(side).map(|c| c.min(tile.columns - side)) {
            let from = stored.as_ptr().wrapping_add(tile.row(r).wrapping_add(c * N));
            let to = transposed.as_mut_ptr().wrapping_add(c * column_bytes + r * N);
            if (c * N).is_multiple_of(LINE) {
                for i in 0..side as isize {
                    simd::prefetch_l1(from.wrapping_offset(tile.step.wrapping_mul(i + PREFETCH_ROWS)));
                }
            }
            // SAFETY: r + side <= rows and c + side <= columns, and all rows lie within `stored`, as asserted above; so
            // does the block, and its transpose within `transposed`.
            unsafe { block::<N>(from, tile.step, to, column_bytes) }
        }
    }
}

/// Transposes one square block: row `i` begins `i * step` bytes after `from`, column `j` is written `j * column_bytes`
/// bytes after `to`.
///
/// # Safety
/// Eight rows of 8 bytes if `N` is 1, else 16 / N (at most 8) rows of 16 bytes can be read, and as many columns of the
/// same size written.
#[cfg(target_arch = "x86_64")]
unsafe fn block<const N: usize>(from: *const u8, step: isize, to: *mut u8, column_bytes: usize) {
    use std::arch::x86_64::*;
    // SAFETY: the caller says that this row can be read.
    let row = |i: isize| unsafe { _mm_loadu_si128(from.wrapping_offset(i * step).cast()) };
    // SAFETY: the caller says that this row can be read.
    let half = |i: isize| unsafe { _mm_loadl_epi64(from.wrapping_offset(i * step).cast()) };
    // SAFETY: the caller says that this column can be written.
    let store = |j: usize, column| unsafe { _mm_storeu_si128(to.wrapping_add(j * column_bytes).cast(), column) };
    // SAFETY: the caller says that this column can be written.
    let store_half = |j: usize, column| unsafe { _mm_storel_epi64(to.wrapping_add(j * column_bytes).cast(), column) };
    // SAFETY: SSE2 is part of every x86-64.
    unsafe {
        match N {
            1 => {
                // Interleaves bytes of two rows, then pairs of four rows, then quads of eight: two columns per
                // register.
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
                // Interleaves two rows, then pairs of four rows, then quads of eight: one column per register.
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

    /// Every voxel of tiles of all small extents, with positive and negative steps, is where the definition puts it.
    fn check<const N: usize>() {
        for (rows, columns) in (1..=20).flat_map(|rows| (1..=20).map(move |columns| (rows, columns))) {
            let row_bytes = (columns + 3) * N + 5;
            let stored: Vec<u8> = (0..rows * row_bytes + 7).map(|i| ((i * 151) >> 3) as u8 ^ i as u8).collect();
            for is_flipped in [false, true] {
                let first = if is_flipped { 7 + (rows - 1) * row_bytes } else { 7 };
                let step = if is_flipped { -(row_bytes as isize) } else { row_bytes as isize };
                let (tile, column_bytes) = (Tile { first, step, rows, columns }, Tile::column_bytes(rows, N));
                let mut transposed = vec![0xaa; columns * column_bytes + 16];
                transpose(N, &stored, &tile, &mut transposed);
                for (r, c) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
                    let at = first.wrapping_add_signed(step * r as isize) + c * N;
                    assert_eq!(
                        transposed[c * column_bytes + r * N..][..N],
                        stored[at..][..N],
                        "{N}: {r} {c} of {rows} x {columns}"
                    );
                }
                assert!(transposed[columns * column_bytes..].iter().all(|&byte| byte == 0xaa));
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
