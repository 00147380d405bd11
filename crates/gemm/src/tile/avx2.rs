//! 6 x 16 with AVX2: 12 of the 16 registers hold the tile.

use simd::{Avx2, Simd, with_element_type};

use crate::{
    matrix::Input,
    tile::{
        MicroKernel, PanelOfB, PanelTile, PlainTile, Thresholds, Tile, pack::PackPanel, with_tile_size,
        with_wide_tile_size,
    },
};

const MR: usize = 6;
const LANES: usize = <Avx2 as Simd>::LANES;
const NR: usize = 2 * LANES;

impl MicroKernel for Avx2 {
    const MR: usize = MR;
    const NR: usize = NR;
    const WIDE_ROWS: usize = 3;
    const KC: usize = 256;
    const THRESHOLDS: Thresholds =
        Thresholds { long_k: 192, axpy_rows: [1, 16], unpacked_b_rows: 16, direct_b: 1 << 16, packed_columns: 96 };

    fn pack_a(self, a: Input<'_>, panel: &mut [f32]) {
        self.run(PackPanel::<MR> { x: a, panel });
    }

    fn pack_b(self, b: Input<'_>, panel: &mut [f32]) {
        self.run(PackPanel::<NR> { x: b, panel });
    }

    unsafe fn panel_tile(self, tile: &Tile, a: *const f32, b: &PanelOfB, c: *mut f32) {
        let &PanelOfB { origin: b, element, prefetch_bytes } = b;
        // SAFETY: the caller's promises are those that the two forms of the tile ask for.
        unsafe {
            with_element_type!(element, E => with_tile_size!(tile, LANES, [1 2 3 4 5 6], ROWS, VECS => match prefetch_bytes {
                Some(bytes) if VECS == 2 => self.run(PanelTile::<E, MR, ROWS, VECS, true>::new(tile, a, b, c, bytes)),
                _ => self.run(PanelTile::<E, MR, ROWS, VECS, false>::new(tile, a, b, c, 0)),
            }));
        }
    }

    unsafe fn plain_tile(self, tile: &Tile, a: *const f32, b: *const f32, c: *mut f32) {
        // SAFETY: the caller's promises are those that the tile asks for.
        unsafe {
            if tile.cols > NR {
                return with_wide_tile_size!(tile, [1 2 3], ROWS => self.run(PlainTile::<ROWS, 3>::new(tile, a, b, c)));
            }
            with_tile_size!(tile, LANES, [1 2 3 4 5 6], ROWS, VECS => {
                self.run(PlainTile::<ROWS, VECS>::new(tile, a, b, c));
            })
        }
    }
}
