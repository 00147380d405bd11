//! The micro-kernel: a tile of C in registers.
//!
//! It holds a tile of C in registers, at most MR x NR, while it walks along k. Each step loads one row of a panel of B
//! (NR numbers), broadcasts one element of a panel of A for each row of the tile, and multiplies and adds:
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
//! It is written once, over [`Simd`], in two forms. [`PanelTile`] reads A from a panel and B from a panel or in place,
//! and widens B as it is loaded. [`PlainTile`] reads both in place, for products too small to be worth packing: it
//! addresses the rows of A through three pointers and multiples of the stride, because a pointer for each row would not
//! fit the registers.
//!
//! A tile has at most 12 rows (three pointers to four rows each), two vectors to a row (NR = 2 LANES), and [`MAX_TILE`]
//! floats. [`PlainTile`] also has a wide form of fewer rows and three vectors, for a C whose last columns would
//! otherwise be a tile of one vector: there each broadcast serves a single multiply-add, and a core cannot broadcast as
//! often as it multiplies.
//!
//! To change a tile, change MR and NR in the file of the instruction set and its list of rows, and look at the
//! assembly: a single `zmm` or `ymm` spilled inside the loop costs more than a better shape gains.

use std::marker::PhantomData;

use simd::{ByteSimd, Element, ElementType, F32Vector, Simd, Vectorized, prefetch_l1};

use crate::{chunks::equal_parts, matrix::Input, weights::PanelShape};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod micro_kernel;
mod pack;
mod prefetcher;
mod staging;
mod target;

pub(crate) use prefetcher::Prefetcher;
pub(crate) use staging::{LoadTile, StoreTile};
pub(crate) use target::Target;

/// Largest tile of any micro-kernel, in floats.
pub(crate) const MAX_TILE: usize = 512;

/// Extents and factors of one tile: C <- alpha A B + beta C. With beta = 0, C is not read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tile {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// Steps of k.
    pub(crate) depth: usize,
    /// Floats from one row of A to the next, and from one step to the next. In a panel they are 1 and MR.
    pub(crate) a_row: isize,
    pub(crate) a_step: isize,
    /// Elements from one step of B to the next.
    pub(crate) b_stride: isize,
    /// Floats from one row of C to the next.
    pub(crate) c_stride: isize,
    pub(crate) alpha: f32,
    pub(crate) beta: f32,
}

/// Where the route changes from one path to another; measured, see `plan/route.rs`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thresholds {
    /// From this k on, adding up the lanes of dot products takes no noticeable time.
    pub(crate) long_k: usize,
    /// Up to so many rows of A, adding up rows of B is fastest: for any B that is not tiny, and for one that comes from
    /// memory.
    pub(crate) axpy_rows: [usize; 2],
    /// Up to so many rows of A, each panel of B is used so seldom that packing it costs more than it saves.
    pub(crate) unpacked_b_rows: usize,
    /// A B of up to so many floats is read in place, and so is A: the level-2 cache holds what is needed of B at a
    /// time.
    pub(crate) direct_b: usize,
    /// From so many columns on, each panel of A is used so often that packing pays from half of `direct_b` on, and from
    /// an eighth where B has to be packed.
    pub(crate) packed_columns: usize,
}

/// A micro-kernel. The implementing types are tokens, so a value proves that the machine has the instruction set.
pub(crate) trait MicroKernel: Simd + ByteSimd {
    /// Rows of the tile: the width of a panel of A.
    const MR: usize;
    /// Columns of the tile: the width of a panel of B. Two vectors.
    const NR: usize;
    /// Rows of a tile of three vectors, which only [`plain_tile`](Self::plain_tile) computes.
    const WIDE_ROWS: usize;
    /// Longest block of k that is summed before C is updated. It fixes the order of summation, so it is a constant of
    /// the instruction set, not of the machine's caches.
    const KC: usize;
    /// For the choice among paths.
    const THRESHOLDS: Thresholds;

    /// Copies up to MR rows of A into a panel of MR floats per step.
    fn pack_a(self, a: Input<'_>, panel: &mut [f32]);

    /// Copies up to NR columns of B, given as the rows of its transpose, into a panel of NR floats per step.
    fn pack_b(self, b: Input<'_>, panel: &mut [f32]);

    /// Computes one tile from a panel of A and a panel of B, or a B in place.
    ///
    /// # Safety
    /// - 1 <= rows <= MR and 1 <= cols <= NR;
    /// - `a` can be read as a panel: `rows` floats at every multiple of MR below depth * MR;
    /// - `b` can be read for `cols`, rounded up to whole vectors, elements of its type at every multiple of `b_stride`,
    ///   `depth` times;
    /// - `c` can be written, and if beta is not 0 read, for `cols` floats at every multiple of `c_stride`, `rows`
    ///   times; nobody else accesses them meanwhile.
    unsafe fn panel_tile(self, tile: &Tile, a: *const f32, b: &PanelOfB, c: *mut f32);

    /// Computes one tile from operands in place.
    ///
    /// # Safety
    /// As [`panel_tile`](Self::panel_tile), but `cols` may be up to 3 LANES where `rows` <= WIDE_ROWS, `a` can be read
    /// at every multiple of `a_row` below `rows` plus every multiple of `a_step` below `depth`, and `b` for exactly
    /// `cols` floats a step.
    unsafe fn plain_tile(self, tile: &Tile, a: *const f32, b: *const f32, c: *mut f32);

    /// Steps of k that are summed before C is updated: k is cut into equal blocks.
    fn k_block(k: usize) -> usize {
        equal_parts(k, Self::KC, 1)
    }

    /// The panels of a B with `k` rows.
    fn panel_shape(k: usize) -> PanelShape {
        PanelShape { kc: Self::k_block(k), nr: Self::NR }
    }
}

/// Where a micro-kernel reads B.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PanelOfB {
    pub(crate) origin: *const u8,
    pub(crate) element: ElementType,
    /// How many bytes ahead B is prefetched into the level-1 cache, if it is too large for the level-2 cache.
    pub(crate) prefetch_bytes: Option<usize>,
}

/// Evaluates `$call` with constant extents: one function per number of rows and vectors, so that a tile at the edge
/// of C computes no row that does not exist, and all sums stay in registers.
#[cfg(target_arch = "x86_64")]
macro_rules! with_tile_size {
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
#[cfg(target_arch = "x86_64")]
use with_tile_size;

/// The same for tiles of three vectors.
#[cfg(target_arch = "x86_64")]
macro_rules! with_wide_tile_size {
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
#[cfg(target_arch = "x86_64")]
use with_wide_tile_size;

/// The tile of `ROWS` x `VECS` vectors from a panel of A with `MR` floats per step and a B of `E`.
struct PanelTile<'a, E, const MR: usize, const ROWS: usize, const VECS: usize, const PREFETCHES: bool> {
    tile: &'a Tile,
    a: *const f32,
    b: *const u8,
    c: *mut f32,
    /// How many bytes ahead of the load, if it prefetches.
    prefetch_bytes: usize,
    element: PhantomData<E>,
}

impl<'a, E: Element, const MR: usize, const ROWS: usize, const VECS: usize, const PREFETCHES: bool>
    PanelTile<'a, E, MR, ROWS, VECS, PREFETCHES>
{
    /// # Safety
    /// When it runs, the pointers allow what [`MicroKernel::panel_tile`] asks for.
    #[inline(always)]
    unsafe fn new(tile: &'a Tile, a: *const f32, b: *const u8, c: *mut f32, prefetch_bytes: usize) -> Self {
        Self { tile, a, b, c, prefetch_bytes, element: PhantomData }
    }
}

impl<E: Element, const MR: usize, const ROWS: usize, const VECS: usize, const PREFETCHES: bool> Vectorized
    for PanelTile<'_, E, MR, ROWS, VECS, PREFETCHES>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { tile, mut a, c, prefetch_bytes, .. } = self;
        let mut b = self.b.cast::<E>();
        prefetch_tile::<S, ROWS, VECS>(tile, c);
        let mut sums = [[simd.splat(0.0); VECS]; ROWS];
        for _ in 0..tile.depth {
            let mut row = [simd.splat(0.0); VECS];
            for v in 0..VECS {
                // SAFETY: each step has VECS vectors of `b`, as `new` was promised.
                unsafe {
                    let at = b.add(v * S::LANES);
                    row[v] = E::load(simd, at);
                    if PREFETCHES {
                        prefetch_l1(at.cast::<u8>().wrapping_add(prefetch_bytes));
                    }
                }
            }
            for i in 0..ROWS {
                // SAFETY: each step has ROWS floats of `a`, as `new` was promised.
                let a = simd.splat(unsafe { *a.add(i) });
                for v in 0..VECS {
                    sums[i][v] = a.mul_add(row[v], sums[i][v]);
                }
            }
            a = a.wrapping_add(MR);
            b = b.wrapping_offset(tile.b_stride);
        }
        // SAFETY: `new` was promised that C has ROWS rows of `cols` floats.
        unsafe { update(simd, tile, sums, c) }
    }
}

/// The tile of `ROWS` x `VECS` vectors from operands in place.
struct PlainTile<'a, const ROWS: usize, const VECS: usize> {
    tile: &'a Tile,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
}

impl<'a, const ROWS: usize, const VECS: usize> PlainTile<'a, ROWS, VECS> {
    /// # Safety
    /// When it runs, the pointers allow what [`MicroKernel::plain_tile`] asks for.
    #[inline(always)]
    unsafe fn new(tile: &'a Tile, a: *const f32, b: *const f32, c: *mut f32) -> Self {
        Self { tile, a, b, c }
    }
}

impl<const ROWS: usize, const VECS: usize> Vectorized for PlainTile<'_, ROWS, VECS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        const { assert!(ROWS <= 12, "three pointers lead to four rows each") };
        let Self { tile, a, mut b, c } = self;
        let last = tile.cols - (VECS - 1) * S::LANES;
        let (one, two, three) = (tile.a_row, 2 * tile.a_row, 3 * tile.a_row);
        let mut fours = [a, a.wrapping_offset(4 * one), a.wrapping_offset(8 * one)];
        let mut sums = [[simd.splat(0.0); VECS]; ROWS];
        for _ in 0..tile.depth {
            let mut row = [simd.splat(0.0); VECS];
            // SAFETY: each step has `cols` floats of `b`, as `new` was promised.
            unsafe {
                for v in 0..VECS - 1 {
                    row[v] = simd.load(b.add(v * S::LANES));
                }
                row[VECS - 1] = simd.load_partial(b.add((VECS - 1) * S::LANES), last);
            }
            for i in 0..ROWS {
                let from = fours[i / 4];
                // SAFETY: each step has ROWS rows of `a`, as `new` was promised.
                let a = simd.splat(unsafe {
                    match i % 4 {
                        0 => *from,
                        1 => *from.offset(one),
                        2 => *from.offset(two),
                        _ => *from.offset(three),
                    }
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
        // SAFETY: `new` was promised that C has ROWS rows of `cols` floats.
        unsafe { update(simd, tile, sums, c) }
    }
}

/// Prefetches a tile of C into the level-1 cache: it arrives while the sums are formed.
#[inline(always)]
fn prefetch_tile<S: Simd, const ROWS: usize, const VECS: usize>(tile: &Tile, c: *mut f32) {
    for i in 0..ROWS as isize {
        for v in 0..VECS {
            prefetch_l1(c.wrapping_offset(i * tile.c_stride).wrapping_add(v * S::LANES));
        }
    }
}

/// C <- alpha sums + beta C.
///
/// # Safety
/// `c` can be accessed for ROWS rows of `cols` floats, `c_stride` apart.
#[inline(always)]
unsafe fn update<S: Simd, const ROWS: usize, const VECS: usize>(
    simd: S,
    tile: &Tile,
    sums: [[S::F32; VECS]; ROWS],
    c: *mut f32,
) {
    let last = tile.cols - (VECS - 1) * S::LANES;
    let (alpha, beta) = (simd.splat(tile.alpha), simd.splat(tile.beta));
    for i in 0..ROWS {
        for v in 0..VECS {
            let is_whole = v + 1 < VECS || last == S::LANES;
            // SAFETY: all vectors of a row but the last are whole, the last has `last` floats, and C is read only if
            // beta is not 0.
            unsafe {
                let c = c.offset(i as isize * tile.c_stride).add(v * S::LANES);
                let before = match (tile.beta == 0.0, is_whole) {
                    (true, _) => None,
                    (false, true) => Some(beta * simd.load(c)),
                    (false, false) => Some(beta * simd.load_partial(c, last)),
                };
                let after = match before {
                    None => alpha * sums[i][v],
                    Some(before) => alpha.mul_add(sums[i][v], before),
                };
                match is_whole {
                    true => after.store(c),
                    false => after.store_partial(c, last),
                }
            }
        }
    }
}
