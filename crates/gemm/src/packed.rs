//! The macro-kernel: blocks of A and B, packed for the micro-kernel.
//!
//! The algorithm is that of BLIS (Van Zee and van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS
//! Functionality", ACM TOMS 41, 2015): five loops around a micro-kernel, each of which keeps one operand in one level
//! of the memory hierarchy.
//!
//! ```text
//!   loop 5  for each MC rows of C, A          packed A, MC x KC:  level-3 cache
//!   loop 4    for each KC of k
//!   loop 3      for each NC columns of C, B   packed B, KC x NC:  level-2 cache
//!                 pack B
//!   loop 2        for each MR rows            one panel of A, MR x KC: level-1 cache
//!                   pack A, if this is the first block of columns
//!   loop 1          for each NR columns       one panel of B streams from level 2
//!                     micro-kernel            tile of C, MR x NR: registers
//! ```
//!
//! It departs from BLIS in five points:
//!
//! 1. *A and B have changed places.* BLIS keeps the panel of B in level 1, streams A from level 2 and so walks down
//!    columns of C. Where rows of C are contiguous, consecutive tiles would lie in MR different pages each. Walking
//!    along a row, they are neighbours: the pages stay in the TLB, and the next tile's lines follow this one's. The
//!    price is that B, the wider panel, streams from level 2 (NR floats per step: 10.7 bytes per cycle; level 2 gives
//!    32 to 64). A column-major C is computed as its transpose; other strides go through a tile-sized copy.
//! 2. *A is packed panel by panel*, just before the first use, so that the panel is in level 1 when it is needed.
//! 3. *What is packed next is prefetched* meanwhile ([`Ahead`]), where operands are too large to be in level 2 anyway.
//! 4. *B is read where it lies*, if its rows are contiguous and it is small or meets few panels of A
//!    ([`Path::PackedA`]): then its columns are not copied but for those that do not fill a panel.
//! 5. *KC depends on nothing but the instruction set*, and k is cut into equal stretches. So the sum of an element of C
//!    is formed in the same order whatever the caches, the strides, the path and the number of threads.
//!
//! To change a size: a panel of A (MR * KC floats) must fit half the level-1 cache, beside the lines of B and C that
//! pass through; a block of B (KC * NC) a part of level 2, beside the lines that pass through on their way to level 1;
//! packed A (MC * KC) a part of level 3. A larger KC visits C less often; a larger NC reads packed A less often; both
//! are worth little beyond the sizes here.
//!
//! Zeros that fill up a panel meet only elements that no C has: they are never stored, so that they may become NaN
//! unseen.

use std::ops::Range;

use machine::cache::Caches;

use crate::{
    ahead::Ahead,
    choice::{Blocking, Path, Plan},
    error::GemmError,
    kernel::Shape,
    micro::{MicroKernel, Tile},
    parallel::{Grid, Parallelism, for_each_part},
    problem::Problem,
    view::{MatMut, MatRef},
    workspace::{LINE, Workspace},
};

/// Up to this many panels of A, each panel of B is used so seldom that packing it costs more than it saves.
const FEW_PANELS: usize = 4;

/// A B of up to this many floats lies in level 2 as it is: a quarter of the smallest there are.
const SMALL_B: usize = 1 << 16;

/// Largest tile of any micro-kernel, in floats.
const MAX_TILE: usize = 512;

/// How a product of `shape` is cut; `b_by_rows` where neighbours in a row of B are neighbours in memory.
pub(crate) fn plan<K: MicroKernel>(shape: Shape, parallelism: Parallelism, b_by_rows: bool) -> Plan {
    let (path, tile, grid) = cut::<K>(shape, parallelism, b_by_rows);
    Plan { path, tile: Some(tile), grid }
}

fn cut<K: MicroKernel>(shape: Shape, parallelism: Parallelism, b_by_rows: bool) -> (Path, Blocking, Grid) {
    let grid = Grid::new(shape, parallelism.threads(), K::MR, K::NR);
    let seldom = shape.m <= FEW_PANELS * K::MR || shape.k.saturating_mul(shape.n) <= SMALL_B;
    let path = if b_by_rows && seldom { Path::PackedA } else { Path::Packed };
    (path, blocking::<K>(shape, grid), grid)
}

fn blocking<K: MicroKernel>(Shape { m, n, k }: Shape, grid: Grid) -> Blocking {
    let (mr, nr) = (K::MR, K::NR);
    let caches = Caches::detect();
    let kc = equal_parts(k, K::KC, 1);
    let fit = |bytes: usize, width: usize| (bytes / size_of::<f32>() / kc / width).max(1) * width;
    let nc = equal_parts(n.div_ceil(grid.cols), fit(caches.l2_bytes / 4, nr), nr);
    let mc = equal_parts(m.div_ceil(grid.rows), fit(caches.l3_bytes / 4 / grid.parts(), mr), mr);
    Blocking { mr, nr, mc, nc, kc }
}

/// The size of the parts if `extent` is cut into as few as possible, equal but for rounding up to `unit`, of at most
/// `max`.
fn equal_parts(extent: usize, max: usize, unit: usize) -> usize {
    let extent = extent.max(1);
    extent.div_ceil(extent.div_ceil(max)).next_multiple_of(unit)
}

/// C <- alpha A B + beta C. alpha and k are not 0, and C is not empty.
pub(crate) fn product<K: MicroKernel>(
    kernel: K,
    problem: Problem<'_>,
    parallelism: Parallelism,
    workspace: &mut Workspace,
) -> Result<Plan, GemmError> {
    const { assert!(K::MR * K::NR <= MAX_TILE && K::NR.is_multiple_of(K::LANES)) }
    let (path, tile, grid) = cut::<K>(problem.shape(), parallelism, problem.b.col_stride() == 1);
    let floats = (tile.mc * tile.kc).next_multiple_of(LINE) + (tile.kc * tile.nc).next_multiple_of(LINE);
    let workspace = workspace.floats(floats * grid.parts())?;
    for_each_part(problem, grid, (K::MR, K::NR), workspace, &|part, workspace| {
        blocked(kernel, part, tile, path, workspace);
    });
    Ok(Plan { path, tile: Some(tile), grid })
}

/// One thread's part of the product: loops 5 to 3.
fn blocked<K: MicroKernel>(kernel: K, problem: Problem<'_>, tile: Blocking, path: Path, workspace: &mut [f32]) {
    let Shape { m, n, k } = problem.shape();
    let Problem { alpha, a, b, beta, mut c } = problem;
    let (packed_a, packed_b) = workspace.split_at_mut((tile.mc * tile.kc).next_multiple_of(LINE));
    // What fits half of level 2 is there already, if anywhere.
    let far_floats = Caches::detect().l2_bytes / 2 / size_of::<f32>();
    let is_far = |x: MatRef<'_, f32>| x.rows().saturating_mul(x.cols()) > far_floats;
    let (a_is_far, b_is_far) = (is_far(a), path == Path::Packed && is_far(b));
    for rows in stretches(0..m, tile.mc) {
        for steps in stretches(0..k, tile.kc) {
            let later = steps.end..k.min(steps.end + tile.kc);
            for cols in stretches(0..n, tile.nc) {
                let first = cols.start == 0;
                let next_cols = if cols.end < n { cols.end..n.min(cols.end + tile.nc) } else { 0..n.min(tile.nc) };
                let next_steps = if cols.end < n { steps.clone() } else { later.clone() };
                let mut block = Block {
                    kernel,
                    a: a.part(rows.clone(), steps.clone()),
                    b: b.part(steps.clone(), cols.clone()),
                    c: c.reborrow().part(rows.clone(), cols.clone()),
                    alpha,
                    beta: if steps.start == 0 { beta } else { 1.0 },
                    path,
                };
                block.pack_b(packed_b);
                let a_ahead = (first && a_is_far).then(|| a.part(rows.clone(), later.clone()));
                let b_ahead = b_is_far.then(|| b.part(next_steps, next_cols));
                block.multiply(packed_a, first, packed_b, a_ahead, b_ahead);
            }
        }
    }
}

/// One block of C and what it is updated with: MC x KC of A, KC x NC of B.
struct Block<'a, K> {
    kernel: K,
    a: MatRef<'a, f32>,
    b: MatRef<'a, f32>,
    c: MatMut<'a, f32>,
    alpha: f32,
    beta: f32,
    path: Path,
}

impl<K: MicroKernel> Block<'_, K> {
    /// Whether these columns of B are packed. Columns that do not fill a panel always are: the micro-kernel loads whole
    /// vectors.
    fn is_packed(&self, cols: &Range<usize>) -> bool {
        self.path == Path::Packed || cols.len() < K::NR
    }

    fn pack_b(&self, packed: &mut [f32]) {
        let depth = self.b.rows();
        for cols in stretches(0..self.b.cols(), K::NR) {
            if self.is_packed(&cols) {
                self.kernel.pack_b(self.b.part(0..depth, cols.clone()).t(), &mut packed[cols.start * depth..]);
            }
        }
    }

    /// Loops 2 and 1. `a_ahead` and `b_ahead` will be packed next, after the rest of this block's A.
    fn multiply(
        &mut self,
        packed_a: &mut [f32],
        pack_a: bool,
        packed_b: &[f32],
        a_ahead: Option<MatRef<'_, f32>>,
        b_ahead: Option<MatRef<'_, f32>>,
    ) {
        let (m, depth) = (self.a.rows(), self.a.cols());
        let n = self.c.cols();
        let tiles_across = n.div_ceil(K::NR);
        let mut b_ahead = Ahead::over(b_ahead, m.div_ceil(K::MR) * tiles_across);
        for rows in stretches(0..m, K::MR) {
            let panel = &mut packed_a[rows.start * depth..];
            if pack_a {
                self.kernel.pack_a(self.a.part(rows.clone(), 0..depth), panel);
            }
            let mut a_ahead = Ahead::over(
                a_ahead.map(|later| match rows.end < m {
                    true => self.a.part(rows.end..m.min(rows.end + K::MR), 0..depth),
                    false => later.part(0..m.min(K::MR), 0..later.cols()),
                }),
                tiles_across,
            );
            for cols in stretches(0..n, K::NR) {
                a_ahead.step();
                b_ahead.step();
                self.tile(rows.clone(), cols, panel, packed_b);
            }
        }
    }

    /// One tile: straight into C where its rows are contiguous and whole vectors wide, else by way of a copy.
    fn tile(&mut self, rows: Range<usize>, cols: Range<usize>, panel: &[f32], packed_b: &[f32]) {
        let depth = self.b.rows();
        let packed = self.is_packed(&cols);
        let b = self.b.part(0..depth, cols.clone());
        let mut c = self.c.reborrow().part(rows.clone(), cols.clone());
        let mut tile = Tile {
            rows: rows.len(),
            cols: cols.len().next_multiple_of(K::LANES),
            depth,
            b_stride: if packed { K::NR as isize } else { b.row_stride() },
            c_stride: c.row_stride(),
            alpha: self.alpha,
            beta: self.beta,
        };
        let panel = &panel[..depth * K::MR];
        let b = if packed { packed_b[cols.start * depth..][..depth * K::NR].as_ptr() } else { b.as_ptr() };
        if c.col_stride() == 1 && tile.cols == cols.len() {
            // SAFETY: 1 <= rows <= MR and 1 <= cols <= NR by the cutting. The panel holds MR floats per step. So does B
            // with NR if packed, and else these are NR columns of it and adjacent (`Path::PackedA`). C is a part of a
            // `MatMut` with contiguous rows.
            unsafe { self.kernel.tile(tile, panel.as_ptr(), b, c.as_mut_ptr()) }
            return;
        }
        let mut copy = [0.0; MAX_TILE];
        tile.c_stride = K::NR as isize;
        if self.beta != 0.0 {
            exchange(&mut c, K::NR, &mut copy, |c, copy| *copy = *c);
        }
        // SAFETY: as above, but C is the copy: rows of NR.
        unsafe { self.kernel.tile(tile, panel.as_ptr(), b, copy.as_mut_ptr()) }
        exchange(&mut c, K::NR, &mut copy, |c, copy| *c = *copy);
    }
}

/// Calls `f` on each element of C and its place in a copy whose rows are `width` apart.
fn exchange(c: &mut MatMut<'_, f32>, width: usize, copy: &mut [f32], f: impl Fn(&mut f32, &mut f32)) {
    for (i, copy) in copy.chunks_mut(width).take(c.rows()).enumerate() {
        for (j, copy) in copy.iter_mut().take(c.cols()).enumerate() {
            if let Some(c) = c.get_mut(i, j) {
                f(c, copy);
            }
        }
    }
}

/// Cuts a range into stretches of `len`; the last may be shorter.
fn stretches(range: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(len).map(move |start| start..range.end.min(start + len))
}

#[cfg(test)]
mod tests {
    use machine::isa::Avx2;

    use super::*;
    use crate::{MatMut, MatRef};

    /// C <- 0.5 A B + 2 C in blocks of these sizes.
    fn product_in(tile: Blocking, (m, n, k): (usize, usize, usize)) -> Option<Vec<f32>> {
        let kernel = Avx2::new()?;
        let elements = |len: usize, step: usize| (0..len).map(|i| ((i * step) % 31) as f32 / 16.0 - 0.9).collect();
        let (a, b, mut c): (Vec<f32>, Vec<f32>, Vec<f32>) =
            (elements(m * k, 7), elements(k * n, 11), elements(m * n, 5));
        let (a, b) = (MatRef::from_row_major(&a, m, k).unwrap(), MatRef::from_row_major(&b, k, n).unwrap());
        let problem = Problem::new(0.5, a, b, 2.0, MatMut::from_row_major(&mut c, m, n).unwrap()).unwrap();
        blocked(kernel, problem, tile, Path::Packed, &mut vec![f32::NAN; (tile.mc + tile.nc) * tile.kc + LINE]);
        Some(c)
    }

    /// Blocks so small that all five loops turn several times. The stretch of k fixes the sums, the other sizes
    /// nothing.
    #[test]
    fn block_sizes_do_not_change_a_bit() {
        let shape @ (m, n, k) = (50, 70, 23);
        let whole = Blocking { mr: 6, nr: 16, mc: 54, nc: 80, kc: 8 };
        for (mc, nc) in [(6, 16), (12, 48), (54, 32), (18, 80)] {
            assert_eq!(product_in(Blocking { mc, nc, ..whole }, shape), product_in(whole, shape), "mc {mc} nc {nc}");
        }
        let Some(c) = product_in(whole, shape) else { return };
        let other = product_in(Blocking { kc: 23, ..whole }, shape).unwrap();
        let close = |(x, y): (&f32, &f32)| (x - y).abs() <= 1e-5;
        assert!(c.iter().zip(&other).all(close) && c != other && c.len() == m * n && k > 8);
    }

    #[test]
    fn parts_are_equal_and_fit() {
        for (extent, max, unit) in
            [(1, 8, 4), (1024, 256, 1), (1000, 256, 1), (257, 256, 1), (1000, 264, 12), (5, 12, 12)]
        {
            let part = equal_parts(extent, max, unit);
            assert!(part <= max && part.is_multiple_of(unit), "{extent} {max} {unit}: {part}");
            assert_eq!(extent.div_ceil(part), extent.div_ceil(max), "{extent} {max} {unit}: {part}");
        }
        assert_eq!((equal_parts(1000, 256, 1), equal_parts(257, 256, 1), equal_parts(0, 256, 1)), (250, 129, 1));
    }
}
