//! 12 x 32 with AVX-512: 24 of the 32 registers hold the tile.

use std::arch::x86_64::*;

use machine::isa::Avx512;

use crate::{
    micro::{MicroKernel, Tile, TileFn},
    pack,
    view::MatRef,
};

const MR: usize = 12;
const LANES: usize = 16;
const NR: usize = 2 * LANES;

/// One function per number of rows and vectors, so that a tile at the edge of C computes no row that is not there, and
/// the sums of each stay in registers.
static TILES: [[TileFn; 2]; MR] = [
    [tile::<1, 1>, tile::<1, 2>],
    [tile::<2, 1>, tile::<2, 2>],
    [tile::<3, 1>, tile::<3, 2>],
    [tile::<4, 1>, tile::<4, 2>],
    [tile::<5, 1>, tile::<5, 2>],
    [tile::<6, 1>, tile::<6, 2>],
    [tile::<7, 1>, tile::<7, 2>],
    [tile::<8, 1>, tile::<8, 2>],
    [tile::<9, 1>, tile::<9, 2>],
    [tile::<10, 1>, tile::<10, 2>],
    [tile::<11, 1>, tile::<11, 2>],
    [tile::<12, 1>, tile::<12, 2>],
];

impl MicroKernel for Avx512 {
    const MR: usize = MR;
    const NR: usize = NR;
    const LANES: usize = LANES;
    const KC: usize = 256;

    fn pack_a(self, a: MatRef<'_, f32>, panel: &mut [f32]) {
        // SAFETY: a token exists only where its features were detected.
        unsafe { pack_panel::<MR>(a, panel) }
    }

    fn pack_b(self, b: MatRef<'_, f32>, panel: &mut [f32]) {
        // SAFETY: as above.
        unsafe { pack_panel::<NR>(b, panel) }
    }

    unsafe fn tile(self, tile: Tile, a: *const f32, b: *const f32, c: *mut f32) {
        // SAFETY: features as above, extents and pointers as the caller promises.
        unsafe { TILES[tile.rows - 1][tile.cols / LANES - 1](tile, a, b, c) }
    }
}

#[target_feature(enable = "avx512f,avx2,fma")]
fn pack_panel<const W: usize>(x: MatRef<'_, f32>, panel: &mut [f32]) {
    pack::panel::<W>(x, panel, pack::transpose_4x8);
}

/// The tile of `ROWS` x `VECS` vectors.
///
/// # Safety
/// As [`MicroKernel::tile`], with rows = ROWS and cols = VECS * LANES.
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn tile<const ROWS: usize, const VECS: usize>(tile: Tile, mut a: *const f32, mut b: *const f32, c: *mut f32) {
    // C arrives while the sums are formed. A prefetch may name any address.
    for i in 0..ROWS as isize {
        for v in 0..VECS {
            _mm_prefetch::<_MM_HINT_T0>(c.wrapping_offset(i * tile.c_stride).wrapping_add(v * LANES).cast());
        }
    }
    let mut sums = [[_mm512_setzero_ps(); VECS]; ROWS];
    for _ in 0..tile.depth {
        // SAFETY: `b` can be read for VECS vectors in each step, `a` for ROWS floats.
        unsafe {
            let b: [_; VECS] = std::array::from_fn(|v| _mm512_loadu_ps(b.add(v * LANES)));
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = _mm512_set1_ps(*a.add(i));
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = _mm512_fmadd_ps(a, b, *sum);
                }
            }
        }
        a = a.wrapping_add(MR);
        b = b.wrapping_offset(tile.b_stride);
    }
    let (alpha, beta) = (_mm512_set1_ps(tile.alpha), _mm512_set1_ps(tile.beta));
    for (i, sums) in sums.into_iter().enumerate() {
        for (v, sum) in sums.into_iter().enumerate() {
            // SAFETY: `c` can be accessed for ROWS rows of VECS vectors; it is read only if beta is not 0.
            unsafe {
                let c = c.offset(i as isize * tile.c_stride).add(v * LANES);
                let before = if tile.beta == 0.0 { None } else { Some(_mm512_mul_ps(beta, _mm512_loadu_ps(c))) };
                let after = before.map_or(_mm512_mul_ps(alpha, sum), |before| _mm512_fmadd_ps(alpha, sum, before));
                _mm512_storeu_ps(c, after);
            }
        }
    }
}
