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
//! 1. *A and B are exchanged.* BLIS keeps the panel of B in level 1, streams A from level 2 and so follows columns of
//!    C. With contiguous rows of C, each tile would then touch MR pages that the tile before did not. Along a row,
//!    tiles are neighbors: the pages stay in the TLB, and the next tile's lines follow this one's. The price is that B,
//!    the wider panel, streams from level 2 (NR floats per step: 10.7 bytes per cycle; level 2 gives 32 to 64). A
//!    column-major C is computed as its transpose; for other strides a tile is formed in a buffer.
//! 2. *A is packed panel by panel*, just before the first use, so that the panel is in level 1 when it is needed.
//! 3. *What is packed next is prefetched* meanwhile ([`Prefetcher`](crate::tile::Prefetcher)), where operands are too
//!    large to be in level 2 already.
//! 4. *B is read in place*, if its rows are contiguous and A has few rows ([`Path::PackedA`](crate::Path::PackedA)):
//!    only the columns that do not fill a panel are copied. If B is too large for level 2, the micro-kernel prefetches
//!    the columns of the next tile meanwhile. Weights that were packed before ([`PackedB`](crate::PackedB)) are read in
//!    the same way.
//! 5. *KC depends on the instruction set alone*, and k is cut into equal blocks. So the sum of an element of C is
//!    formed in the same order for any caches, strides, path and number of threads.
//!
//! To change a size: a panel of A (MR * KC floats) must fit half the level-1 cache, beside the lines of B and C that
//! pass through; a block of B (KC * NC) a part of level 2, beside the lines that pass through on their way to level 1;
//! packed A (MC * KC) a part of level 3. A larger KC visits C less often; a larger NC reads packed A less often; both
//! are worth little beyond the sizes here.
//!
//! A C of 16-bit numbers cannot hold the sums between two blocks of k. A block of floats, MC rows high, holds them
//! until the last block.
//!
//! Zeros that fill up a panel contribute only to elements that C does not have. Those are never stored, so it does not
//! matter that they may become NaN.

mod blocks;
mod panels;

use machine::cache::Caches;
use op::Workspace;
use simd::ElementType;

use self::blocks::Blocks;
use crate::{
    choice::Blocking,
    chunks::equal_parts,
    error::GemmError,
    grid::{Grid, for_each_part},
    problem::Problem,
    shape::Shape,
    tile::{MAX_TILE, MicroKernel},
};

pub(crate) use self::panels::Reading;

/// Block sizes for a product of `shape` that is cut into the parts of `grid`.
pub(crate) fn blocking<K: MicroKernel>(Shape { m, n, k }: Shape, c: ElementType, grid: Grid) -> Blocking {
    let (mr, nr) = (K::MR, K::NR);
    let (m, n) = (m.div_ceil(grid.rows), n.div_ceil(grid.cols));
    let caches = Caches::detect();
    let kc = K::k_block(k);
    let fit = |bytes: usize, row: usize, width: usize| (bytes / size_of::<f32>() / row.max(1) / width).max(1) * width;
    let nc = equal_parts(n, fit(caches.l2_bytes / 4, kc, nr), nr);
    let packed_a = fit(caches.l3_bytes / 4 / grid.parts(), kc, mr);
    let sums = if keeps_sums(c, kc, k) { fit(caches.l3_bytes / 2 / grid.parts(), n, mr) } else { packed_a };
    let mc = equal_parts(m, packed_a.min(sums), mr);
    Blocking { mr, nr, mc, nc, kc }
}

/// Whether C cannot hold the sums between two blocks of k.
fn keeps_sums(c: ElementType, kc: usize, k: usize) -> bool {
    c != ElementType::F32 && kc < k
}

/// Floats of workspace for each part of the grid: packed A, packed B, sums.
fn part_floats<K: MicroKernel>(
    Shape { n, k, .. }: Shape,
    c: ElementType,
    (reading, tile): (Reading, Blocking),
    grid: Grid,
) -> [usize; 3] {
    let width = n.div_ceil(grid.cols).next_multiple_of(K::NR);
    let sums = if keeps_sums(c, tile.kc, k) { tile.mc * width } else { 0 };
    let packed_b = if reading == Reading::PackedBefore { 0 } else { tile.kc * tile.nc };
    [tile.mc * tile.kc, packed_b, sums].map(|floats| floats.next_multiple_of(Workspace::LINE))
}

/// Floats of workspace for weights that were packed before.
pub(crate) fn floats_for_packed_weights<K: MicroKernel>(
    shape: Shape,
    c: ElementType,
    tile: Blocking,
    grid: Grid,
) -> usize {
    part_floats::<K>(shape, c, (Reading::PackedBefore, tile), grid).iter().sum::<usize>() * grid.parts()
}

/// C <- act(alpha A B + beta C + bias) + residual. alpha and k are not 0, and C is not empty.
pub(crate) fn product<K: MicroKernel>(
    kernel: K,
    problem: Problem<'_>,
    (reading, tile): (Reading, Blocking),
    grid: Grid,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    const { assert!(K::MR * K::NR <= MAX_TILE && K::NR == 2 * K::LANES) }
    let (c, shape) = (problem.c.element_type(), problem.shape());
    let keeps_sums = keeps_sums(c, tile.kc, shape.k);
    let floats = part_floats::<K>(shape, c, (reading, tile), grid);
    let workspace = workspace.floats(floats.iter().sum::<usize>() * grid.parts())?;
    for_each_part(problem, grid, (K::MR, K::NR), workspace, &|part, workspace| {
        let (packed_a, rest) = workspace.split_at_mut(floats[0]);
        let (packed_b, sums) = rest.split_at_mut(floats[1]);
        Blocks { kernel, tile, reading, packed_a, packed_b, sums, keeps_sums }.multiply(part);
    });
    Ok(())
}
