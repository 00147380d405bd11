//! 12 x 32 with AVX-512: 24 of the 32 registers hold the tile.

use simd::{Avx512, Simd, with_element_type};

use crate::{
    matrix::Input,
    tile::{
        MicroKernel, PanelOfB, PanelTile, PlainTile, Thresholds, Tile, micro_kernel::micro_kernel, pack::PackPanel,
        with_tile_size, with_wide_tile_size,
    },
};

micro_kernel!(
    Avx512,
    rows: [1 2 3 4 5 6 7 8 9 10 11 12],
    wide_rows: [1 2 3 4 5 6 7 8],
    kc: 256,
    thresholds: Thresholds {
        long_k: 256,
        axpy_rows: [1, 6],
        unpacked_b_rows: 160,
        direct_b: 1 << 19,
        packed_columns: usize::MAX,
    }
);
