//! The micro-kernel: the only code that differs between instruction sets.
//!
//! It holds a tile of C in registers, at most MR x NR, while it walks down k. Each step loads one row of a panel of B
//! (NR floats), broadcasts one element of a panel of A for each row of the tile, and multiplies that row into it:
//!
//! ```text
//!   panel of A: MR floats per step       panel of B: NR floats per step
//!   a0 a1 .. | a0 a1 .. | ..             b0 b1 b2 .. | b0 b1 b2 .. | ..
//!
//!   for p in 0..depth:  for i in 0..rows:  tile[i][..] += a[p][i] * b[p][..]
//! ```
//!
//! With V = NR / LANES vectors to a row, MR * V sums, V vectors of B and a broadcast or two must fit the register file.
//! On AVX2 that is 12, 2 and 2 of 16 registers, on AVX-512 24, 2 and 1 of 32. A step costs MR + V loads for MR * V
//! multiply-adds: 8 for 12, 14 for 24. Cores do at least two loads and at most two multiply-adds in a cycle, and a
//! multiply-add takes at most five, so with ten or more sums in flight the multiply-adds are the bound.
//!
//! To change a tile, change MR and NR in the file of the instruction set and its table of tiles, and look at the
//! assembly: a single `zmm` or `ymm` spilled inside the loop costs more than a better shape gains.

use crate::view::MatRef;

pub(crate) mod avx2;
pub(crate) mod avx512;

/// Extents and factors of one tile: C <- alpha A B + beta C; with beta = 0, C is not read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tile {
    pub(crate) rows: usize,
    /// Rounded up to whole vectors.
    pub(crate) cols: usize,
    /// Steps of k.
    pub(crate) depth: usize,
    /// Floats from one step of B to the next.
    pub(crate) b_stride: isize,
    /// Floats from one row of C to the next.
    pub(crate) c_stride: isize,
    pub(crate) alpha: f32,
    pub(crate) beta: f32,
}

/// A micro-kernel for one number of rows and vectors; see [`MicroKernel::tile`].
pub(crate) type TileFn = unsafe fn(Tile, *const f32, *const f32, *mut f32);

/// A micro-kernel. A value of an implementing type is the proof that the machine has its instruction set.
pub(crate) trait MicroKernel: Copy + Send + Sync {
    /// Rows of the tile: the width of a panel of A.
    const MR: usize;
    /// Columns of the tile: the width of a panel of B.
    const NR: usize;
    /// Floats of a vector; NR is a multiple of it.
    const LANES: usize;

    /// Longest stretch of k that is summed before C is visited. It fixes the order of summation, so it is a constant of
    /// the instruction set, not of the machine's caches.
    const KC: usize;

    /// Copies up to MR rows of A into a panel of MR floats per step.
    fn pack_a(self, a: MatRef<'_, f32>, panel: &mut [f32]);

    /// Copies up to NR columns of B, given as the rows of its transpose, into a panel of NR floats per step.
    fn pack_b(self, b: MatRef<'_, f32>, panel: &mut [f32]);

    /// Computes one tile.
    ///
    /// # Safety
    /// - 1 <= rows <= MR and 1 <= cols <= NR, cols a multiple of LANES;
    /// - `a` can be read as a panel: `rows` floats at every multiple of MR below depth * MR;
    /// - `b` can be read for `cols` floats at every multiple of `b_stride`, `depth` times;
    /// - `c` can be written, and if beta is not 0 read, for `cols` floats at every multiple of `c_stride`, `rows`
    ///   times; nobody else accesses them meanwhile.
    unsafe fn tile(self, tile: Tile, a: *const f32, b: *const f32, c: *mut f32);
}
