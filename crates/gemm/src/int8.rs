//! Products with integer weights: y = x W^T with 8-bit codes on both sides and a scale for each row of x and of W.
//!
//! The sum of an element is one integer over all of k, so nothing but products of bytes stands in the inner loop:
//!
//! ```text
//!   round the rows of A: codes q, scales dx                     once for each product
//!   for rows of A that fit a part of level 2, for every 32 columns of B:
//!     for every tile of rows:
//!       sums[i][j] = sum over p of q[i][p] code[p][j]           exact, in registers for all of k
//!       C[i][j] = dx[i] scale[j] sums[i][j]                     with alpha, beta and the epilogue
//! ```
//!
//! **Signs.** Instructions that multiply bytes take unsigned ones on one side. Where four products are added up in one
//! instruction, which are VNNI and AMX, codes of A are stored plus 128, and 128 times the sum of the column's codes is
//! subtracted at the end. The sums wrap on the way, which is no harm: the last value fits. AVX2 and AVX-512 BW add two
//! products in 16 bits, where plus 128 would not fit: they move the sign of a weight to the code of A.
//!
//! **Layout.** Rows of codes of A lie one after the other, filled up to whole tiles of AMX; rows that would begin at
//! multiples of 1 KiB are a cache line longer, so that the rows of a tile do not share sets of level 1. Weights lie in
//! panels, see [`Int8Weights`], which all kernels read.

mod codes;
mod sums;

use std::ops::Range;

use machine::cache::Caches;
use op::{Threads, Workspace};
use simd::{Simd, Vectorized};

use self::codes::Codes;
#[cfg(target_arch = "x86_64")]
pub(crate) use self::sums::Bytes;
pub(crate) use self::sums::Kernel;
use self::sums::{SumKernel, Tile};
use crate::{
    choice::Path,
    chunks::chunks,
    error::GemmError,
    grid::{Grid, for_each_part},
    matrix::MatMut,
    plan::Plan,
    problem::Problem,
    quantized::scale_and_add,
    shape::Shape,
    tile::StoreTile,
    weights::{Int8Columns, Int8Weights},
};

/// Columns of a tile: two panels.
const WIDTH: usize = 2 * Int8Weights::PANEL;

/// Calls `$body` with the code of a kernel.
macro_rules! with_kernel {
    ($kernel:expr, $token:ident => $body:expr) => {
        match $kernel {
            Kernel::Portable($token) => $body,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2($token) => $body,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512($token) => $body,
            #[cfg(target_arch = "x86_64")]
            Kernel::Vnni($token) => $body,
            #[cfg(target_arch = "x86_64")]
            Kernel::Amx($token) => $body,
        }
    };
}

/// What runs, if there is work.
pub(crate) fn plan(shape: Shape, threads: Threads) -> Plan {
    let grid = Grid::of_panels(shape, threads);
    Plan { path: Path::Int8, threads: grid.parts(), grid: [grid.rows, grid.cols], ..Plan::SCALE }
}

/// C <- act(alpha A B + beta C + bias) + residual. There is work.
pub(crate) fn product(
    kernel: Kernel,
    problem: Problem<'_, Int8Columns<'_>>,
    threads: Threads,
    workspace: &mut Workspace,
) -> Result<Plan, GemmError> {
    let plan = plan(problem.shape(), threads);
    let [rows, cols] = plan.grid;
    with_kernel!(kernel, token => floats(token, problem, Grid { rows, cols }, workspace)?);
    Ok(plan)
}

/// sums = A B for codes. There is work, and the slices have the extents.
pub(crate) fn multiply_codes(
    kernel: Kernel,
    weights: &Int8Weights,
    (a, m): (&[i8], usize),
    to: &mut [i32],
    threads: Threads,
    workspace: &mut Workspace,
) -> Result<Plan, GemmError> {
    let plan = plan(Shape { m, n: weights.cols(), k: weights.rows() }, threads);
    // AVX2 cannot change the sign of -128.
    let kernel = if kernel.takes_lowest() || !a.contains(&i8::MIN) { kernel } else { Kernel::PORTABLE };
    with_kernel!(kernel, token => integers(token, weights, (a, m), to, plan.threads, workspace)?);
    Ok(plan)
}

fn floats<K: SumKernel>(
    kernel: K,
    problem: Problem<'_, Int8Columns<'_>>,
    grid: Grid,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    let Shape { m, k, .. } = problem.shape();
    let full = GemmError::OutOfMemory { bytes: usize::MAX };
    let codes = Codes::floats::<K>(m, k).ok_or(full)?;
    let scales = m.checked_next_multiple_of(Workspace::LINE).ok_or(full)?;
    // Integers, then floats, then what C was.
    let part = 3 * K::ROWS * WIDTH;
    let total = codes.checked_add(scales).and_then(|floats| floats.checked_add(grid.parts() * part)).ok_or(full)?;
    let (codes, rest) = workspace.floats(total)?.split_at_mut(codes);
    let (scales, parts) = rest.split_at_mut(scales);
    let codes = Codes::round::<K>(kernel, problem.a, codes, scales, grid.parts());
    let scales = &*scales;
    for_each_part(problem, grid, (m.max(1), WIDTH), &mut parts[..grid.parts() * part], &|problem, memory| {
        let Problem { alpha, b, beta, mut c, epilogue, .. } = problem;
        let (sums, memory) = memory.split_at_mut(K::ROWS * WIDTH);
        let (tile, before) = memory.split_at_mut(K::ROWS * WIDTH);
        let is_plain = (alpha, beta) == (1.0, 0.0) && epilogue.is_none();
        for_each_tile(kernel, &codes, b, m, bytemuck::cast_slice_mut(sums), |rows, cols, sums| {
            let (columns, _) = b.weights.pair(b.first + cols.start);
            let scaled = Scaled { sums, rows: &scales[rows.clone()], columns };
            let mut out = c.reborrow().part(rows.clone(), cols.clone());
            match out.typed::<f32>() {
                Some(out) if is_plain && out.col_stride() == 1 => kernel.float().run(StoreScaled { scaled, out }),
                _ => {
                    kernel.float().run(FillScaled { scaled, tile });
                    scale_and_add(kernel.float(), (alpha, beta), tile, WIDTH, before, &out);
                    kernel.float().run(StoreTile { tile, stride: WIDTH, epilogue: epilogue.part(rows, cols), out });
                }
            }
        });
    });
    Ok(())
}

fn integers<K: SumKernel>(
    kernel: K,
    weights: &Int8Weights,
    (a, m): (&[i8], usize),
    to: &mut [i32],
    threads: usize,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    let (n, k) = (weights.cols(), weights.rows());
    let full = GemmError::OutOfMemory { bytes: usize::MAX };
    let codes = Codes::floats::<K>(m, k).ok_or(full)?;
    let total = codes.checked_add(threads * K::ROWS * WIDTH).ok_or(full)?;
    let (codes, parts) = workspace.floats(total)?.split_at_mut(codes);
    let codes = Codes::copy::<K>(a, m, k, codes);
    let out = Integers { origin: to.as_mut_ptr(), n };
    let panels = n.div_ceil(WIDTH);
    rayon::scope(|scope| {
        let (codes, out) = (&codes, &out);
        for (part, sums) in parts.chunks_exact_mut(K::ROWS * WIDTH).take(threads).enumerate() {
            let column = |part: usize| (panels * part / threads * WIDTH).min(n);
            let (first, end) = (column(part), column(part + 1));
            let mut work = move || {
                let b = Int8Columns { weights, first, cols: end - first };
                for_each_tile(kernel, codes, b, m, bytemuck::cast_slice_mut(sums), |rows, cols, sums| {
                    for (at, i) in rows.enumerate() {
                        // SAFETY: row i and these columns exist, and no other part has these columns.
                        unsafe { out.store(i, first + cols.start, &sums.row(at)[..cols.len()]) };
                    }
                });
            };
            // The last part is the caller's.
            if part + 1 == threads { work() } else { scope.spawn(move |_| work()) }
        }
    });
    Ok(())
}

/// m x n integers that parts write columns of.
struct Integers {
    origin: *mut i32,
    n: usize,
}

// SAFETY: parts write to columns of their own, as `store` asks for.
unsafe impl Sync for Integers {}

impl Integers {
    /// # Safety
    /// Row `i` has these columns, and nobody else accesses them.
    unsafe fn store(&self, i: usize, column: usize, sums: &[i32]) {
        // SAFETY: the caller promises the place, and the slices cannot overlap.
        unsafe { self.origin.add(i * self.n + column).copy_from_nonoverlapping(sums.as_ptr(), sums.len()) }
    }
}

/// Calls `f` with the rows and columns of each tile of C, columns counted from the first of `b`, and its sums.
fn for_each_tile<K: SumKernel>(
    kernel: K,
    codes: &Codes<'_>,
    b: Int8Columns<'_>,
    m: usize,
    sums: &mut [i32],
    mut f: impl FnMut(Range<usize>, Range<usize>, Sums<'_>),
) {
    let tile_rows = kernel.on_this_thread();
    // Rows of A that half of level 2 holds.
    let together = (Caches::detect().l2_bytes / 2 / codes.stride()).max(1).next_multiple_of(K::ROWS);
    for block in chunks(0..m, together) {
        for cols in chunks(0..b.cols, WIDTH) {
            let column = b.first + cols.start;
            let (_, column_sums) = b.weights.pair(column);
            let corrections = column_sums.map(|sum| if K::HAS_OFFSET { sum.wrapping_mul(128) } else { 0 });
            for rows in chunks(block.clone(), K::ROWS) {
                let tile = Tile {
                    a: codes.row(rows.start),
                    a_stride: codes.stride(),
                    rows: rows.len(),
                    b: [b.weights.panel(column), b.weights.panel(column + Int8Weights::PANEL)],
                    depth: b.weights.depth(),
                };
                // SAFETY: the codes have whole rows of this depth, for all rows of a tile, and so have both panels.
                unsafe { K::sums(&tile_rows, &tile, sums) };
                f(rows, cols.clone(), Sums { raw: sums.as_chunks().0, corrections: &corrections });
            }
        }
    }
}

/// The sums of a tile.
#[derive(Debug, Clone, Copy)]
struct Sums<'a> {
    raw: &'a [[i32; WIDTH]],
    /// What the offset of the codes of A has added to each column.
    corrections: &'a [i32; WIDTH],
}

impl Sums<'_> {
    #[inline(always)]
    fn row(&self, i: usize) -> [i32; WIDTH] {
        let mut sums = self.raw[i];
        for j in 0..WIDTH {
            sums[j] = sums[j].wrapping_sub(self.corrections[j]);
        }
        sums
    }
}

/// Sums with the scales of their rows and columns.
#[derive(Debug, Clone, Copy)]
struct Scaled<'a> {
    sums: Sums<'a>,
    rows: &'a [f32],
    columns: &'a [f32; WIDTH],
}

impl Scaled<'_> {
    #[inline(always)]
    fn row(&self, i: usize) -> [f32; WIDTH] {
        let (sums, scale) = (self.sums.row(i), self.rows[i]);
        let mut row = [0.0; WIDTH];
        for j in 0..WIDTH {
            row[j] = sums[j] as f32 * (scale * self.columns[j]);
        }
        row
    }
}

/// Stores them to C, whose rows are contiguous.
struct StoreScaled<'a, 'b> {
    scaled: Scaled<'a>,
    out: MatMut<'b, f32>,
}

impl Vectorized for StoreScaled<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { scaled, mut out } = self;
        let (rows, cols, stride) = (out.rows(), out.cols(), out.row_stride());
        assert!(cols <= WIDTH && out.col_stride() == 1);
        let origin = out.as_mut_ptr();
        for i in 0..rows {
            // SAFETY: row i of C has `cols` adjacent floats, which are borrowed for writing.
            let to = unsafe { std::slice::from_raw_parts_mut(origin.offset(i as isize * stride), cols) };
            let row = scaled.row(i);
            match to.first_chunk_mut() {
                Some(to) => *to = row,
                None => to.copy_from_slice(&row[..cols]),
            }
        }
    }
}

/// Stores them to a tile of floats, whose rows are as wide as a tile.
struct FillScaled<'a, 'b> {
    scaled: Scaled<'a>,
    tile: &'b mut [f32],
}

impl Vectorized for FillScaled<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { scaled, tile } = self;
        for (i, to) in tile.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate().take(scaled.rows.len()) {
            *to = scaled.row(i);
        }
    }
}
