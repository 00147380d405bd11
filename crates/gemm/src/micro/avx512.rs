//! 12 x 32 with AVX-512: 24 of the 32 registers hold the tile.

use std::marker::PhantomData;

use machine::isa::Avx512;

use crate::{
    element::with_type,
    micro::{MicroKernel, PanelOfB, PanelTile, PlainTile, Tile, with_extents, with_rows},
    operand::Input,
    pack::PackPanel,
    vector::Simd,
};

const MR: usize = 12;
const LANES: usize = 16;

impl MicroKernel for Avx512 {
    const MR: usize = MR;
    const NR: usize = 2 * LANES;
    const LANES: usize = LANES;
    const WIDE_ROWS: usize = 8;
    const KC: usize = 256;
    const LONG: usize = 256;
    const SUMMED_ROWS: [usize; 2] = [1, 6];
    const FEW_ROWS: usize = 160;
    const SMALL_B: usize = 1 << 19;
    const PACKED_COLUMNS: usize = usize::MAX;

    fn pack_a(self, a: Input<'_>, panel: &mut [f32]) {
        self.run(PackPanel::<MR> { x: a, panel });
    }

    fn pack_b(self, b: Input<'_>, panel: &mut [f32]) {
        self.run(PackPanel::<{ 2 * LANES }> { x: b, panel });
    }

    unsafe fn panel_tile(self, tile: &Tile, a: *const f32, b: &PanelOfB, c: *mut f32) {
        let &PanelOfB { origin: b, element: kind, ahead } = b;
        with_type!(kind, E => with_extents!(tile, LANES, [1 2 3 4 5 6 7 8 9 10 11 12], ROWS, VECS => match ahead {
            Some(ahead) if VECS == 2 => {
                self.run(PanelTile::<E, MR, ROWS, VECS, true> { tile, a, b, c, ahead, element: PhantomData });
            }
            _ => {
                self.run(PanelTile::<E, MR, ROWS, VECS, false> { tile, a, b, c, ahead: 0, element: PhantomData });
            }
        }));
    }

    unsafe fn plain_tile(self, tile: &Tile, a: *const f32, b: *const f32, c: *mut f32) {
        if tile.cols > 2 * LANES {
            return with_rows!(tile, [1 2 3 4 5 6 7 8], ROWS => self.run(PlainTile::<ROWS, 3> { tile, a, b, c }));
        }
        with_extents!(tile, LANES, [1 2 3 4 5 6 7 8 9 10 11 12], ROWS, VECS => self.run(PlainTile::<ROWS, VECS> { tile, a, b, c }))
    }
}
