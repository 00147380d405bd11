//! 6 x 16 with AVX2: 12 of the 16 registers hold the tile.

use simd::{Avx2, Simd, with_element_type};

use crate::{
    matrix::Input,
    tile::{
        MicroKernel, PanelOfB, PanelTile, PlainTile, Thresholds, Tile, micro_kernel::micro_kernel, pack::PackPanel,
        with_tile_size, with_wide_tile_size,
    },
};

micro_kernel!(
    Avx2,
    rows: [1 2 3 4 5 6],
    wide_rows: [1 2 3],
    kc: 256,
    thresholds: Thresholds {
        long_k: 192,
        axpy_rows: [1, 16],
        unpacked_b_rows: 16,
        direct_b: 1 << 16,
        packed_columns: 96,
    }
);
