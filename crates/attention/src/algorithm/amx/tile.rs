//! A tile in memory, and its rows as vectors.

use std::arch::x86_64::*;

/// 16 rows of 64 bytes: floats, or pairs of bf16 in the bits of floats.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Tile(pub(super) [Row; 16]);

/// A row of a tile, or a column of largest scores.
pub(super) type Row = [f32; 16];

/// Workspace as tiles.
pub(super) fn tiles(floats: &mut [f32]) -> &mut [Tile] {
    // SAFETY: a tile is 256 floats, and any floats are a tile.
    let (before, tiles, _) = unsafe { floats.align_to_mut::<Tile>() };
    assert!(before.is_empty(), "a workspace begins on the boundary of a cache line");
    tiles
}

/// Tiles as two rows of COLUMNS tiles, as often as they suffice.
pub(super) fn pairs<const COLUMNS: usize>(tiles: &mut [Tile]) -> &mut [[[Tile; COLUMNS]; 2]] {
    let (rows, _) = tiles.as_chunks_mut::<COLUMNS>();
    rows.as_chunks_mut::<2>().0
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load(row: &Row) -> __m512 {
    // SAFETY: a row is 16 floats, and the load has no alignment.
    unsafe { _mm512_loadu_ps(row.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store(row: &mut Row, x: __m512) {
    // SAFETY: a row is 16 floats, and the store has no alignment.
    unsafe { _mm512_storeu_ps(row.as_mut_ptr(), x) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_bits(row: &mut Row, x: __m512i) {
    store(row, _mm512_castsi512_ps(x));
}

/// Bits for the lanes `from..to` of those that exist.
pub(super) fn lanes(from: usize, to: usize) -> u16 {
    let below = |lane: usize| ((1_u32 << lane.min(16)) - 1) as u16;
    below(to) & !below(from)
}
