//! The part of a micro-kernel that is the same for all instruction sets.

/// The micro-kernel of an instruction set: the rows that a tile can have, from 1 to MR; those of a tile of three
/// vectors, from 1 to WIDE_ROWS; and its constants.
macro_rules! micro_kernel {
    (
        $token:ty,
        rows: [$($rows:literal)+],
        wide_rows: [$($wide:literal)+],
        kc: $kc:expr,
        thresholds: $thresholds:expr
    ) => {
        const LANES: usize = <$token as Simd>::LANES;
        const MR: usize = [$($rows),+].len();
        const NR: usize = 2 * LANES;

        impl MicroKernel for $token {
            const MR: usize = MR;
            const NR: usize = NR;
            const WIDE_ROWS: usize = [$($wide),+].len();
            const KC: usize = $kc;
            const THRESHOLDS: Thresholds = $thresholds;

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
                    with_element_type!(element, E => with_tile_size!(tile, LANES, [$($rows)+], ROWS, VECS => {
                        match prefetch_bytes {
                            Some(bytes) if VECS == 2 => {
                                self.run(PanelTile::<E, MR, ROWS, VECS, true>::new(tile, a, b, c, bytes))
                            }
                            _ => self.run(PanelTile::<E, MR, ROWS, VECS, false>::new(tile, a, b, c, 0)),
                        }
                    }));
                }
            }

            unsafe fn plain_tile(self, tile: &Tile, a: *const f32, b: *const f32, c: *mut f32) {
                // SAFETY: the caller's promises are those that the tile asks for.
                unsafe {
                    if tile.cols > NR {
                        return with_wide_tile_size!(tile, [$($wide)+], ROWS => {
                            self.run(PlainTile::<ROWS, 3>::new(tile, a, b, c))
                        });
                    }
                    with_tile_size!(tile, LANES, [$($rows)+], ROWS, VECS => {
                        self.run(PlainTile::<ROWS, VECS>::new(tile, a, b, c))
                    })
                }
            }
        }
    };
}
pub(super) use micro_kernel;
