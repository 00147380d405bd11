//! C as tiles are written to it: in place where the micro-kernel can, otherwise through a buffer.

use crate::{
    epilogue::Epilogue,
    matrix::Output,
    tile::{LoadTile, MAX_TILE, MicroKernel, StoreTile, Tile},
};

/// C, its epilogue, and how tiles reach it.
pub(crate) struct Target<'a, 'c, K> {
    pub(crate) kernel: K,
    pub(crate) c: Output<'c>,
    pub(crate) epilogue: Epilogue<'a>,
    /// Address of C and floats from row to row, if tiles are formed in place.
    in_place: Option<(*mut f32, isize)>,
}

impl<'a, 'c, K: MicroKernel> Target<'a, 'c, K> {
    /// C for the tiles of one block of k. Only the last block has an epilogue.
    pub(crate) fn new(kernel: K, mut c: Output<'c>, epilogue: Epilogue<'a>) -> Self {
        let is_plain = c.col_stride() == 1 && epilogue.is_none();
        let in_place = c.typed::<f32>().filter(|_| is_plain).map(|mut c| (c.as_mut_ptr(), c.row_stride()));
        Self { kernel, c, epilogue, in_place }
    }

    /// Has `compute` form the tile at (`row`, `col`): it adds to the floats at the pointer, in rows `c_stride` apart.
    #[inline]
    pub(crate) fn tile(&mut self, mut tile: Tile, row: usize, col: usize, compute: impl Fn(&Tile, *mut f32)) {
        if let Some((origin, stride)) = self.in_place {
            tile.c_stride = stride;
            let offset = (row as isize).wrapping_mul(stride).wrapping_add(col as isize);
            return compute(&tile, origin.wrapping_offset(offset));
        }
        self.tile_in_buffer(tile, row, col, compute);
    }

    #[inline(never)]
    fn tile_in_buffer(&mut self, mut tile: Tile, row: usize, col: usize, compute: impl Fn(&Tile, *mut f32)) {
        let (rows, cols) = (row..row + tile.rows, col..col + tile.cols);
        let mut out = self.c.reborrow().part(rows.clone(), cols.clone());
        let mut buffer = [0.0; MAX_TILE];
        // A tile of three vectors has fewer rows.
        const { assert!(K::MR * K::NR <= MAX_TILE && K::WIDE_ROWS * 3 * K::LANES <= MAX_TILE) };
        let stride = if tile.cols > K::NR { 3 * K::LANES } else { K::NR };
        if tile.beta != 0.0 {
            self.kernel.run(LoadTile { from: out.as_input(), to: &mut buffer, stride });
        }
        tile.c_stride = stride as isize;
        compute(&tile, buffer.as_mut_ptr());
        let epilogue = self.epilogue.part(rows, cols);
        self.kernel.run(StoreTile { tile: &mut buffer, stride, epilogue, out: out.reborrow() });
    }
}
