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
//!    along a row, they are neighbors: the pages stay in the TLB, and the next tile's lines follow this one's. The
//!    price is that B, the wider panel, streams from level 2 (NR floats per step: 10.7 bytes per cycle; level 2 gives
//!    32 to 64). A column-major C is computed as its transpose; other strides go through a tile-sized copy.
//! 2. *A is packed panel by panel*, just before the first use, so that the panel is in level 1 when it is needed.
//! 3. *What is packed next is prefetched* meanwhile ([`Ahead`]), where operands are too large to be in level 2 anyway.
//! 4. *B is read where it lies*, if its rows are contiguous and it meets few rows of A
//!    ([`Path::PackedA`]): then its columns are not copied but for those that do not fill a panel. If it comes from far,
//!    the micro-kernel fetches the columns of the next tile meanwhile. Weights that were packed before
//!    ([`PackedB`](crate::PackedB)) are read in the same way.
//! 5. *KC depends on nothing but the instruction set*, and k is cut into equal stretches. So the sum of an element of C
//!    is formed in the same order whatever the caches, the strides, the path and the number of threads.
//!
//! To change a size: a panel of A (MR * KC floats) must fit half the level-1 cache, beside the lines of B and C that
//! pass through; a block of B (KC * NC) a part of level 2, beside the lines that pass through on their way to level 1;
//! packed A (MC * KC) a part of level 3. A larger KC visits C less often; a larger NC reads packed A less often; both
//! are worth little beyond the sizes here.
//!
//! A C of 16-bit numbers cannot hold what is summed between two stretches of k. Then a block of floats, MC rows high,
//! stands for it until the last stretch.
//!
//! Zeros that fill up a panel meet only elements that no C has: they are never stored, so that they may become NaN
//! unseen.

use std::ops::Range;

use machine::cache::Caches;

use crate::{
    ahead::Ahead,
    choice::{Blocking, Path},
    cut::{equal_parts, stretches},
    direct::Target,
    element::Type,
    epilogue::Epilogue,
    error::GemmError,
    exchange::{Finish, Gather},
    kernel::Shape,
    micro::{MicroKernel, PanelOfB, Tile},
    operand::Input,
    parallel::{Grid, for_each_part},
    prepack::{Rhs, Source},
    problem::Problem,
    workspace::{LINE, Workspace},
};

/// Largest tile of any micro-kernel, in floats.
pub(crate) const MAX_TILE: usize = 512;

/// How far ahead weights that were packed before are fetched: the processor's own prefetchers end at each page.
const AHEAD_BYTES: usize = 2048;

/// Block sizes for a product of `shape` that is cut into the parts of `grid`.
pub(crate) fn blocking<K: MicroKernel>(Shape { m, n, k }: Shape, c: Type, grid: Grid) -> Blocking {
    let (mr, nr) = (K::MR, K::NR);
    let (m, n) = (m.div_ceil(grid.rows), n.div_ceil(grid.cols));
    let caches = Caches::detect();
    let kc = stretch_of_k::<K>(k);
    let fit = |bytes: usize, row: usize, width: usize| (bytes / size_of::<f32>() / row.max(1) / width).max(1) * width;
    let nc = equal_parts(n, fit(caches.l2_bytes / 4, kc, nr), nr);
    let packed_a = fit(caches.l3_bytes / 4 / grid.parts(), kc, mr);
    let sums = if keeps_sums(c, kc, k) { fit(caches.l3_bytes / 2 / grid.parts(), n, mr) } else { packed_a };
    let mc = equal_parts(m, packed_a.min(sums), mr);
    Blocking { mr, nr, mc, nc, kc }
}

/// Whether C cannot hold the sums between two stretches of k.
fn keeps_sums(c: Type, kc: usize, k: usize) -> bool {
    c != Type::F32 && kc < k
}

/// Steps of k that are summed before C is visited.
pub(crate) fn stretch_of_k<K: MicroKernel>(k: usize) -> usize {
    equal_parts(k, K::KC, 1)
}

/// C <- act(alpha A B + beta C + bias) + residual. alpha and k are not 0, and C is not empty.
pub(crate) fn product<K: MicroKernel>(
    kernel: K,
    problem: Problem<'_>,
    (path, tile, grid): (Path, Blocking, Grid),
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    const { assert!(K::MR * K::NR <= MAX_TILE && K::NR == 2 * K::LANES) }
    debug_assert!(matches!(problem.b.0, Source::Matrix(_)) || path == Path::PackedWeights);
    let keeps_sums = keeps_sums(problem.c.element_type(), tile.kc, problem.shape().k);
    let sums = if keeps_sums { tile.mc * problem.shape().n.div_ceil(grid.cols).next_multiple_of(K::NR) } else { 0 };
    let packed_b = if path == Path::PackedWeights { 0 } else { tile.kc * tile.nc };
    let floats = [tile.mc * tile.kc, packed_b, sums].map(|floats| floats.next_multiple_of(LINE));
    let workspace = workspace.floats(floats.iter().sum::<usize>() * grid.parts())?;
    for_each_part(problem, grid, (K::MR, K::NR), workspace, &|part, workspace| {
        let (packed_a, rest) = workspace.split_at_mut(floats[0]);
        let (packed_b, sums) = rest.split_at_mut(floats[1]);
        Blocks { kernel, tile, path, packed_a, packed_b, sums, keeps_sums }.multiply(part);
    });
    Ok(())
}

/// The blocks of one thread's part of the product.
struct Blocks<'w, K> {
    kernel: K,
    tile: Blocking,
    path: Path,
    packed_a: &'w mut [f32],
    packed_b: &'w mut [f32],
    /// C between two stretches of k, where C itself cannot hold it: MC rows as wide as C.
    sums: &'w mut [f32],
    keeps_sums: bool,
}

impl<K: MicroKernel> Blocks<'_, K> {
    /// Loops 5 to 3.
    fn multiply(&mut self, mut problem: Problem<'_>) {
        let Shape { m, n, k } = problem.shape();
        let (tile, a) = (self.tile, problem.a);
        // What fits half of level 2 is there already, if anywhere.
        let far_bytes = Caches::detect().l2_bytes / 2;
        let is_far = |rows: usize, cols: usize, element: Type| {
            rows.saturating_mul(cols).saturating_mul(element.bytes()) > far_bytes
        };
        let a_is_far = is_far(m, k, a.element_type());
        let b_is_far = is_far(k, n, problem.b.element_type());
        let b_ahead = match problem.b.0 {
            Source::Matrix(b) if b_is_far && self.path == Path::Packed => Some(b),
            _ => None,
        };
        for rows in stretches(0..m, tile.mc) {
            for steps in stretches(0..k, tile.kc) {
                let later = steps.end..k.min(steps.end + tile.kc);
                for cols in stretches(0..n, tile.nc) {
                    let pack_a = cols.start == 0;
                    let next_cols = if cols.end < n { cols.end..n.min(cols.end + tile.nc) } else { 0..n.min(tile.nc) };
                    let next_steps = if cols.end < n { steps.clone() } else { later.clone() };
                    let ahead = (
                        (pack_a && a_is_far).then(|| a.part(rows.clone(), later.clone())),
                        b_ahead.map(|b| b.part(next_steps, next_cols)),
                    );
                    let block = Block {
                        rows: rows.clone(),
                        steps: steps.clone(),
                        cols,
                        is_first: steps.start == 0,
                        is_last: steps.end == k,
                        b_is_far,
                    };
                    self.pack_b(&block, problem.b);
                    self.block(&block, problem.reborrow(), pack_a, ahead);
                }
            }
        }
    }

    /// Whether these columns of B are packed. Columns that do not fill a panel always are, unless they were before: the
    /// micro-kernel loads whole vectors.
    fn packs(path: Path, width: usize) -> bool {
        match path {
            Path::PackedWeights => false,
            Path::Packed => true,
            _ => width < K::NR,
        }
    }

    fn pack_b(&mut self, block: &Block, b: Rhs<'_>) {
        let (Source::Matrix(b), path) = (b.0, self.path) else { return };
        for cols in stretches(block.cols.clone(), K::NR).filter(|cols| Self::packs(path, cols.len())) {
            let place = (cols.start - block.cols.start) * block.steps.len();
            self.kernel.pack_b(b.part(block.steps.clone(), cols).t(), &mut self.packed_b[place..]);
        }
    }

    /// Loops 2 and 1. What is `ahead` will be packed next: of A, after the rest of this block's; and of B.
    fn block(
        &mut self,
        block: &Block,
        problem: Problem<'_>,
        pack_a: bool,
        (a_ahead, b_ahead): (Option<Input<'_>>, Option<Input<'_>>),
    ) {
        // Taken apart once: what is copied for each tile costs as much as a tenth of it.
        let Problem { alpha, a, b, beta, c, epilogue } = problem;
        let a = a.part(block.rows.clone(), block.steps.clone());
        let (m, depth, kernel) = (block.rows.len(), block.steps.len(), self.kernel);
        let tiles_across = block.cols.len().div_ceil(K::NR);
        let mut b_ahead = Ahead::over(b_ahead, m.div_ceil(K::MR) * tiles_across);
        let (full, rest) = (self.panels(block, &b, K::NR), self.panels(block, &b, block.cols.len() % K::NR));
        let mut target = Target::new(kernel, c, if block.is_last { epilogue } else { Epilogue::NONE });
        let beta = if block.is_first { beta } else { 1.0 };
        // Equal numbers of rows: a tile of one row would wait for its sums, and take longer than one of several.
        let height = equal_parts(m, K::MR, 1);
        for (number, rows) in stretches(0..m, height).enumerate() {
            let panel = &mut self.packed_a[number * K::MR * depth..][..K::MR * depth];
            if pack_a {
                kernel.pack_a(a.part(rows.clone(), 0..depth), panel);
            }
            let panel = panel.as_ptr();
            let mut a_ahead = Ahead::over(
                a_ahead.map(|later| match rows.end < m {
                    true => a.part(rows.end..m.min(rows.end + height), 0..depth),
                    false => later.part(0..m.min(K::MR), 0..later.cols()),
                }),
                tiles_across,
            );
            for cols in stretches(block.cols.clone(), K::NR) {
                a_ahead.step();
                b_ahead.step();
                let panels = if cols.len() == K::NR { &full } else { &rest };
                let b = PanelOfB {
                    origin: panels.first.wrapping_add((cols.start - block.cols.start) * panels.column_bytes),
                    element: panels.element,
                    // The first panel of A finds them where they come from, the others in level 2.
                    ahead: if rows.start == 0 { panels.ahead } else { None },
                };
                let tile = Tile {
                    rows: rows.len(),
                    cols: cols.len(),
                    depth,
                    a_row: 1,
                    a_step: K::MR as isize,
                    b_stride: panels.stride,
                    c_stride: 0,
                    alpha,
                    beta,
                };
                let compute = |tile: &Tile, c: *mut f32| {
                    // SAFETY: 1 <= rows <= MR and 1 <= cols <= NR by the cutting. The panel of A holds MR floats per
                    // step. B is a panel, or has these columns, which fill a panel then (`packs`), side by side (the
                    // choice of the path). C is what the target gives, or the sums, which are MC rows as wide as C.
                    unsafe { kernel.panel_tile(tile, panel, &b, c) }
                };
                let row = block.rows.start + rows.start;
                match self.keeps_sums {
                    false => target.tile(tile, row, cols.start, compute),
                    true => self.tile_of_sums(block, &mut target, (tile, rows.start, cols.start), compute),
                }
            }
        }
    }

    /// Where the micro-kernel reads columns of the block, `width` at a time.
    fn panels(&self, block: &Block, b: &Rhs<'_>, width: usize) -> Panels {
        let ahead = |bytes: usize| block.b_is_far.then_some(bytes);
        let (stride, depth) = (K::NR as isize, block.steps.len());
        match &b.0 {
            Source::Packed { packed, first, .. } => {
                let origin = packed.panel(block.steps.start, first + block.cols.start);
                let element = packed.element_type();
                let column_bytes = depth * element.bytes();
                Panels { first: origin, column_bytes, stride, element, ahead: ahead(AHEAD_BYTES) }
            }
            Source::Matrix(b) if !Self::packs(self.path, width) => {
                let origin = b.part(block.steps.clone(), block.cols.clone()).as_ptr();
                let (element, column_bytes) = (b.element_type(), b.element_type().bytes());
                // The same rows of the next tile.
                let ahead = ahead(K::NR * column_bytes);
                Panels { first: origin, column_bytes, stride: b.row_stride(), element, ahead }
            }
            Source::Matrix(_) => {
                debug_assert!(block.cols.len().next_multiple_of(K::NR) * depth <= self.packed_b.len());
                let (first, element) = (self.packed_b.as_ptr().cast(), Type::F32);
                Panels { first, column_bytes: depth * element.bytes(), stride, element, ahead: None }
            }
        }
    }

    /// A tile whose sums stand in floats until the last stretch of k; `row` counts from the block's first.
    fn tile_of_sums(
        &mut self,
        block: &Block,
        target: &mut Target<'_, '_, K>,
        (mut tile, row, col): (Tile, usize, usize),
        compute: impl Fn(&Tile, *mut f32),
    ) {
        let (width, kernel) = (target.c.cols(), self.kernel);
        let (rows, cols) = (block.rows.start + row..block.rows.start + row + tile.rows, col..col + tile.cols);
        let out = target.c.reborrow().part(rows.clone(), cols.clone());
        let sums = &mut self.sums[row * width + col..];
        if block.is_first && tile.beta != 0.0 {
            kernel.run(Gather { from: out.as_input(), to: sums, stride: width });
        }
        tile.c_stride = width as isize;
        compute(&tile, sums.as_mut_ptr());
        if block.is_last {
            let epilogue = target.epilogue.part(rows, cols);
            kernel.run(Finish { tile: sums, stride: width, epilogue, out });
        }
    }
}

/// Where the columns of a block lie for the micro-kernel.
#[derive(Clone, Copy)]
struct Panels {
    /// The block's first column.
    first: *const u8,
    /// From one column to the next.
    column_bytes: usize,
    /// Elements from one step to the next.
    stride: isize,
    element: Type,
    /// How far ahead they are to be fetched, if they come from far.
    ahead: Option<usize>,
}

/// A block of C, MC x NC at most, and the stretch of k that it is updated with.
struct Block {
    rows: Range<usize>,
    steps: Range<usize>,
    cols: Range<usize>,
    is_first: bool,
    is_last: bool,
    /// Whether B is too large for level 2.
    b_is_far: bool,
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
        let out = MatMut::from_row_major(&mut c, m, n).unwrap();
        let problem = Problem::new(0.5, a.into(), b.into(), 2.0, out.into(), Epilogue::NONE).unwrap();
        let (mut packed_a, mut packed_b) = (vec![f32::NAN; tile.mc * tile.kc], vec![f32::NAN; tile.nc * tile.kc]);
        let (packed_a, packed_b) = (&mut packed_a[..], &mut packed_b[..]);
        let (path, sums) = (Path::Packed, &mut []);
        Blocks { kernel, tile, path, packed_a, packed_b, sums, keeps_sums: false }.multiply(problem);
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
}
