//! The micro-kernel: a tile of C in registers.
//!
//! It holds a tile of C in registers, at most MR x NR, while it walks down k. Each step loads one row of a panel of B
//! (NR numbers), broadcasts one element of a panel of A for each row of the tile, and multiplies that row into it:
//!
//! ```text
//!   panel of A: MR floats per step       panel of B: NR numbers per step
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
//! It is written once, over [`Vector`], in two forms. [`PanelTile`] reads A from a panel and B from a panel or where it
//! lies, widening it as it is loaded. [`PlainTile`] reads both where they lie, for products too small to be worth
//! packing: it addresses the rows of A through three pointers and multiples of the stride, because a pointer for each
//! row would leave the registers.
//!
//! A tile has at most 12 rows (the three pointers), two vectors to a row (NR = 2 LANES), and 512 floats (`packed::MAX_TILE`).
//! [`PlainTile`] has a third form, of fewer rows and three vectors, for a C whose last columns would else be a tile of one vector:
//! there each broadcast serves a single multiply-add, and a core does not broadcast as often as it multiplies. To change one, change MR and NR in the file of the instruction set and its list of rows, and look at the assembly:
//! a single `zmm` or `ymm` spilled inside the loop costs more than a better shape gains.

use std::marker::PhantomData;

use crate::{
    element::{Element, Type},
    operand::Input,
    vector::{Simd, Vector, Vectorized},
};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

/// Extents and factors of one tile: C <- alpha A B + beta C; with beta = 0, C is not read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tile {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// Steps of k.
    pub(crate) depth: usize,
    /// Floats from one row of A to the next, and from one step to the next. Of a panel they are 1 and MR.
    pub(crate) a_row: isize,
    pub(crate) a_step: isize,
    /// Elements from one step of B to the next.
    pub(crate) b_stride: isize,
    /// Floats from one row of C to the next.
    pub(crate) c_stride: isize,
    pub(crate) alpha: f32,
    pub(crate) beta: f32,
}

/// A micro-kernel. A value of an implementing type is the proof that the machine has its instruction set.
pub(crate) trait MicroKernel: Simd {
    /// Rows of the tile: the width of a panel of A.
    const MR: usize;
    /// Columns of the tile: the width of a panel of B.
    const NR: usize;
    /// Floats of a vector; NR is twice that.
    const LANES: usize;
    /// Rows of a tile of three vectors, which only [`plain_tile`](Self::plain_tile) computes.
    const WIDE_ROWS: usize;
    /// Longest stretch of k that is summed before C is visited. It fixes the order of summation, so it is a constant of
    /// the instruction set, not of the machine's caches.
    const KC: usize;
    /// From this length of the sums on, adding up the lanes of dot products does not matter.
    const LONG: usize;
    /// Up to so many rows of A, adding up the rows of B is fastest: of any B that is not tiny, and of one that comes from far.
    const SUMMED_ROWS: [usize; 2];
    /// Up to so many rows of A, each panel of B is used so seldom that packing it costs more than it saves.
    const FEW_ROWS: usize;
    /// A B of up to so many floats is read where it lies, and A, too: level 2 has room for what is needed of it at a time.
    const SMALL_B: usize;
    /// From so many columns on, each panel of A is used so often that packing pays for a half of such a B, and where B has to
    /// be packed for an eighth.
    const PACKED_COLUMNS: usize;

    /// Copies up to MR rows of A into a panel of MR floats per step.
    fn pack_a(self, a: Input<'_>, panel: &mut [f32]);

    /// Copies up to NR columns of B, given as the rows of its transpose, into a panel of NR floats per step.
    fn pack_b(self, b: Input<'_>, panel: &mut [f32]);

    /// Computes one tile from a panel of A and a panel of B, or a B that lies somewhere else.
    ///
    /// # Safety
    /// - 1 <= rows <= MR and 1 <= cols <= NR;
    /// - `a` can be read as a panel: `rows` floats at every multiple of MR below depth * MR;
    /// - `b` can be read for `cols`, rounded up to whole vectors, elements of its type at every multiple of `b_stride`,
    ///   `depth` times;
    /// - `c` can be written, and if beta is not 0 read, for `cols` floats at every multiple of `c_stride`, `rows`
    ///   times; nobody else accesses them meanwhile.
    unsafe fn panel_tile(self, tile: &Tile, a: *const f32, b: &PanelOfB, c: *mut f32);

    /// Computes one tile from operands that lie anywhere.
    ///
    /// # Safety
    /// As [`panel_tile`](Self::panel_tile), but cols may be up to 3 LANES where rows <= `WIDE_ROWS`, `a` can be read at every multiple of `a_row` below `rows` plus every
    /// multiple of `a_step` below `depth`, and `b` for `cols` floats, not more.
    unsafe fn plain_tile(self, tile: &Tile, a: *const f32, b: *const f32, c: *mut f32);
}

/// Where a micro-kernel reads B.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PanelOfB {
    pub(crate) origin: *const u8,
    pub(crate) element: Type,
    /// How many bytes ahead the nearest cache is filled meanwhile, where B comes from far.
    pub(crate) ahead: Option<usize>,
}

/// Calls a micro-kernel for constant extents: one function per number of rows and vectors, so that a tile at the edge
/// of C computes no row that is not there, and the sums of each stay in registers.
macro_rules! with_extents {
    ($tile:expr, $lanes:expr, [$($rows:literal)*], $ROWS:ident, $VECS:ident => $call:expr) => {
        match ($tile.rows, $tile.cols > $lanes) {
            $(
                ($rows, false) => {
                    const $ROWS: usize = $rows;
                    const $VECS: usize = 1;
                    $call
                }
                ($rows, true) => {
                    const $ROWS: usize = $rows;
                    const $VECS: usize = 2;
                    $call
                }
            )*
            _ => unreachable!("a tile has 1 to MR rows"),
        }
    };
}
use with_extents;

/// The same for tiles of three vectors.
macro_rules! with_rows {
    ($tile:expr, [$($rows:literal)*], $ROWS:ident => $call:expr) => {
        match $tile.rows {
            $($rows => {
                const $ROWS: usize = $rows;
                $call
            })*
            _ => unreachable!("a wide tile has 1 to WIDE_ROWS rows"),
        }
    };
}
use with_rows;

/// The tile of `ROWS` x `VECS` vectors from a panel of A with `MR` floats per step and a B of `E`. See
/// [`MicroKernel::panel_tile`] for what the pointers must allow.
struct PanelTile<'a, E, const MR: usize, const ROWS: usize, const VECS: usize, const STREAMS: bool> {
    tile: &'a Tile,
    a: *const f32,
    b: *const u8,
    c: *mut f32,
    /// How many bytes of B ahead of the load, if it streams.
    ahead: usize,
    element: PhantomData<E>,
}

impl<E: Element, const MR: usize, const ROWS: usize, const VECS: usize, const STREAMS: bool> Vectorized
    for PanelTile<'_, E, MR, ROWS, VECS, STREAMS>
{
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { tile, mut a, c, ahead, .. } = self;
        let mut b = self.b.cast::<E>();
        // SAFETY: the machine has V. Each step reads VECS vectors of `b` and ROWS floats of `a`.
        unsafe {
            expect::<V, ROWS, VECS>(tile, c);
            let mut sums = [[V::splat(0.0); VECS]; ROWS];
            for _ in 0..tile.depth {
                let mut row = [V::splat(0.0); VECS];
                for v in 0..VECS {
                    let at = b.add(v * V::LANES);
                    row[v] = E::load(at);
                    if STREAMS {
                        V::fetch(at.cast::<u8>().wrapping_add(ahead));
                    }
                }
                for i in 0..ROWS {
                    let a = V::splat(*a.add(i));
                    for v in 0..VECS {
                        sums[i][v] = a.mul_add(row[v], sums[i][v]);
                    }
                }
                a = a.wrapping_add(MR);
                b = b.wrapping_offset(tile.b_stride);
            }
            update(tile, sums, c);
        }
    }
}

/// The tile of `ROWS` x `VECS` vectors from operands that lie anywhere. See [`MicroKernel::plain_tile`] for what the
/// pointers must allow.
struct PlainTile<'a, const ROWS: usize, const VECS: usize> {
    tile: &'a Tile,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
}

impl<const ROWS: usize, const VECS: usize> Vectorized for PlainTile<'_, ROWS, VECS> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        const { assert!(ROWS <= 12, "three pointers lead to four rows each") };
        let Self { tile, a, mut b, c } = self;
        let last = tile.cols - (VECS - 1) * V::LANES;
        let (one, two, three) = (tile.a_row, 2 * tile.a_row, 3 * tile.a_row);
        let mut fours = [a, a.wrapping_offset(4 * one), a.wrapping_offset(8 * one)];
        // SAFETY: the machine has V. Each step reads `cols` floats of `b` and the ROWS rows of `a`.
        unsafe {
            let mut sums = [[V::splat(0.0); VECS]; ROWS];
            for _ in 0..tile.depth {
                let mut row = [V::splat(0.0); VECS];
                for v in 0..VECS - 1 {
                    row[v] = V::load(b.add(v * V::LANES));
                }
                row[VECS - 1] = V::load_first(b.add((VECS - 1) * V::LANES), last);
                for i in 0..ROWS {
                    let from = fours[i / 4];
                    let a = V::splat(match i % 4 {
                        0 => *from,
                        1 => *from.offset(one),
                        2 => *from.offset(two),
                        _ => *from.offset(three),
                    });
                    for v in 0..VECS {
                        sums[i][v] = a.mul_add(row[v], sums[i][v]);
                    }
                }
                for four in 0..ROWS.div_ceil(4) {
                    fours[four] = fours[four].wrapping_offset(tile.a_step);
                }
                b = b.wrapping_offset(tile.b_stride);
            }
            update(tile, sums, c);
        }
    }
}

/// Fetches a tile of C into the nearest cache: it arrives while the sums are formed.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn expect<V: Vector, const ROWS: usize, const VECS: usize>(tile: &Tile, c: *mut f32) {
    for i in 0..ROWS as isize {
        for v in 0..VECS {
            let at = c.wrapping_offset(i * tile.c_stride).wrapping_add(v * V::LANES);
            // SAFETY: as the caller promises.
            unsafe { V::fetch(at) };
        }
    }
}

/// C <- alpha sums + beta C.
///
/// # Safety
/// As [`Vector`]; `c` can be accessed for ROWS rows of `cols` floats.
#[inline(always)]
unsafe fn update<V: Vector, const ROWS: usize, const VECS: usize>(tile: &Tile, sums: [[V; VECS]; ROWS], c: *mut f32) {
    let last = tile.cols - (VECS - 1) * V::LANES;
    // SAFETY: all vectors but the last of a row are whole, and C is read only if beta is not 0.
    unsafe {
        let (alpha, beta) = (V::splat(tile.alpha), V::splat(tile.beta));
        for i in 0..ROWS {
            for v in 0..VECS {
                let c = c.offset(i as isize * tile.c_stride).add(v * V::LANES);
                let is_whole = v + 1 < VECS || last == V::LANES;
                let before = match (tile.beta == 0.0, is_whole) {
                    (true, _) => None,
                    (false, true) => Some(beta.mul(V::load(c))),
                    (false, false) => Some(beta.mul(V::load_first(c, last))),
                };
                let after = match before {
                    None => alpha.mul(sums[i][v]),
                    Some(before) => alpha.mul_add(sums[i][v], before),
                };
                match is_whole {
                    true => after.store(c),
                    false => after.store_first(c, last),
                }
            }
        }
    }
}
