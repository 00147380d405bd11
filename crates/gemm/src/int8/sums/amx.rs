//! Sums in the tile registers of AMX: 32 rows of A by 32 columns.

use simd::{
    Amx, Avx512,
    amx::{ByteProduct, Tiles},
};

use super::{SumKernel, Tile};
use crate::{int8::WIDTH, weights::Int8Weights};

impl SumKernel for Amx {
    const ROWS: usize = 32;
    const HAS_OFFSET: bool = true;
    type Float = Avx512;
    type OnThread = Tiles;

    fn float(self) -> Avx512 {
        self.avx512()
    }

    fn on_this_thread(self) -> Tiles {
        Tiles::new(self)
    }

    unsafe fn sums(tiles: &Tiles, tile: &Tile, sums: &mut [i32]) {
        const { assert!(WIDTH == 32 && Int8Weights::STEP == 64 && Int8Weights::DEPTH == 64) };
        assert!(sums.len() >= Self::ROWS * WIDTH && tile.depth > 0);
        let product =
            ByteProduct { a: tile.a, a_stride: tile.a_stride, b: tile.b, steps: tile.depth / 64, c: sums.as_mut_ptr() };
        // SAFETY: the caller promises 32 rows of codes and both panels; there is room for 32 rows of 32 sums.
        unsafe { tiles.multiply_bytes(&product) }
    }
}
