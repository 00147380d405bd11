//! Products with a small B: A is read where it lies, and B, too, if its rows are contiguous.
//!
//! Where B fits the level-2 cache as it is, a row of tiles meets it there, and the rows of A that it needs are in level 1
//! after the first tile. So nothing is gained by blocks, and copying an element of A into a panel, which takes the time
//! of some sixteen multiply-adds, is saved. The loops are three, over stretches of k and tiles of C; the sums have the order, and so the bits, of the packed path. Vectors cannot be loaded from rows of
//! B that are not contiguous: then B is packed after all.

use crate::{
    choice::Path,
    cut::{equal_parts, stretches},
    element::Type,
    epilogue::Epilogue,
    error::GemmError,
    exchange::{Finish, Gather},
    kernel::Shape,
    micro::{MicroKernel, Tile},
    operand::{Input, Output},
    packed::{MAX_TILE, stretch_of_k},
    parallel::{Grid, for_each_part},
    prepack::Source,
    problem::Problem,
    workspace::Workspace,
};

/// C <- act(alpha A B + beta C + bias) + residual for an A of floats; rows are cut into the parts of `grid`. If k is
/// more than one stretch, C is of floats, too: it holds the sums between two stretches.
pub(crate) fn product<K: MicroKernel>(
    kernel: K,
    problem: &mut Problem<'_>,
    grid: Grid,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    let Source::Matrix(matrix) = problem.b.0 else { unreachable!("{} asks for a matrix", Path::Direct) };
    debug_assert!(grid.cols == 1);
    let b = match matrix.typed::<f32>().filter(|b| b.col_stride() == 1) {
        Some(b) => Rows { origin: b.as_ptr(), step: b.row_stride(), is_packed: false },
        None => {
            let panels = pack(kernel, matrix, workspace)?;
            Rows { origin: panels.as_ptr(), step: K::NR as isize, is_packed: true }
        }
    };
    if grid.parts() == 1 {
        tiles(kernel, problem, b);
    } else {
        for_each_part(problem.reborrow(), grid, (K::MR, K::NR), &mut [], &|mut part, _| tiles(kernel, &mut part, b));
    }
    Ok(())
}

/// Where a micro-kernel reads B: the matrix, or its panels, stretch after stretch of k.
#[derive(Clone, Copy)]
struct Rows {
    origin: *const f32,
    /// Floats from one row of B, or of a panel, to the next.
    step: isize,
    is_packed: bool,
}

// SAFETY: B is borrowed, or lies in a borrowed workspace, while its parts are computed, and is only read.
unsafe impl Sync for Rows {}

impl Rows {
    /// Address of column `col` of the stretch of `depth` steps from `step` on, in a B of `width` columns.
    fn at<K: MicroKernel>(self, step: usize, depth: usize, col: usize, width: usize) -> *const f32 {
        match self.is_packed {
            true => self.origin.wrapping_add(step * width.next_multiple_of(K::NR) + col * depth),
            false => self.origin.wrapping_offset(step as isize * self.step).wrapping_add(col),
        }
    }
}

fn tiles<K: MicroKernel>(kernel: K, problem: &mut Problem<'_>, b: Rows) {
    let Shape { m, n, k } = problem.shape();
    let &mut Problem { alpha, a, beta, ref mut c, epilogue, .. } = problem;
    let Some(a) = a.typed::<f32>() else { unreachable!("{} asks for floats", Path::Direct) };
    let (a_row, a_step, b_stride) = (a.row_stride(), a.col_stride(), b.step);
    // Panels are as wide as a tile; only a B as it lies has columns for three vectors side by side.
    let narrow = if b.is_packed { n } else { narrow_columns::<K>(n) };
    for steps in stretches(0..k, stretch_of_k::<K>(k)) {
        let (depth, beta) = (steps.len(), if steps.start == 0 { beta } else { 1.0 });
        let epilogue = if steps.end == k { epilogue } else { Epilogue::NONE };
        let mut target = Target::new(kernel, c.reborrow(), epilogue);
        for (strip, width, most) in [(0..narrow, K::NR, K::MR), (narrow..n, 3 * K::LANES, K::WIDE_ROWS)] {
            for rows in stretches(0..m, equal_parts(m, most, 1)) {
                let start = (rows.start as isize * a_row).wrapping_add(steps.start as isize * a_step);
                let from = a.as_ptr().wrapping_offset(start);
                for cols in stretches(strip.clone(), width) {
                    let at_b = b.at::<K>(steps.start, depth, cols.start, n);
                    let (height, width, c_stride) = (rows.len(), cols.len(), 0);
                    let tile =
                        Tile { rows: height, cols: width, depth, a_row, a_step, b_stride, c_stride, alpha, beta };
                    target.tile(tile, rows.start, cols.start, |tile, c| {
                        // SAFETY: the tile lies inside the product: A has its rows and `depth` columns, B as many rows of
                        // at least its columns, be it panels or the matrix; C is what the target gives. Of three vectors it
                        // has at most `WIDE_ROWS` rows.
                        unsafe { kernel.plain_tile(tile, from, at_b, c) }
                    });
                }
            }
        }
    }
}

/// Columns before those that are a tile of three vectors: a rest of one vector at most joins the tile before it.
fn narrow_columns<K: MicroKernel>(n: usize) -> usize {
    let rest = n % K::NR;
    if n > K::NR && rest > 0 && rest <= K::LANES { n - rest - K::NR } else { n }
}

/// Products with no larger extent are small.
const SMALL: usize = 64;

/// A small product of floats whose rows are contiguous, without asking what the choice of a path asks: all go this one, as they stand,
/// and as one part, and a product of 8 x 8 x 8 takes as long as the questions. Returns whether it was such a one.
#[inline]
pub(crate) fn small<K: MicroKernel>(kernel: K, problem: &mut Problem<'_>) -> bool {
    let Problem { alpha, ref a, ref b, beta, ref mut c, ref epilogue } = *problem;
    let Source::Matrix(b) = &b.0 else { return false };
    let (m, n, k) = (a.rows(), b.cols(), a.cols());
    let is_small = (3..=SMALL).contains(&m) && (3..=SMALL).contains(&n) && (1..=SMALL).contains(&k) && alpha != 0.0;
    let is_plain = [a.element_type(), b.element_type(), c.element_type()] == [Type::F32; 3];
    if !(is_small && is_plain && b.col_stride() == 1 && c.col_stride() == 1 && epilogue.is_none()) {
        return false;
    }
    const { assert!(SMALL < K::LONG && SMALL <= K::KC && SMALL * SMALL <= K::SMALL_B) };
    let (a_row, b_stride, c_stride) = (a.row_stride(), b.row_stride(), c.row_stride());
    let mut tile = Tile { rows: 0, cols: 0, depth: k, a_row, a_step: a.col_stride(), b_stride, c_stride, alpha, beta };
    let (a, b, c) = (a.as_ptr().cast::<f32>(), b.as_ptr().cast::<f32>(), c.as_mut_ptr().cast::<f32>());
    let narrow = narrow_columns::<K>(n);
    for (first, end, width, most) in [(0, narrow, K::NR, K::MR), (narrow, n, 3 * K::LANES, K::WIDE_ROWS)] {
        if first == end {
            continue;
        }
        for rows in stretches(0..m, equal_parts(m, most, 1)) {
            tile.rows = rows.len();
            let row = rows.start as isize;
            let (from, to) = (a.wrapping_offset(row * a_row), c.wrapping_offset(row * c_stride));
            for cols in stretches(first..end, width) {
                tile.cols = cols.len();
                // SAFETY: as in `tiles`; C is written in place, and borrowed as a whole.
                unsafe { kernel.plain_tile(&tile, from, b.wrapping_add(cols.start), to.wrapping_add(cols.start)) }
            }
        }
    }
    true
}

fn pack<'w, K: MicroKernel>(kernel: K, b: Input<'_>, workspace: &'w mut Workspace) -> Result<&'w [f32], GemmError> {
    let (k, n) = (b.rows(), b.cols());
    let panels = workspace.floats(k * n.next_multiple_of(K::NR))?;
    let mut rest = &mut panels[..];
    for steps in stretches(0..k, stretch_of_k::<K>(k)) {
        for cols in stretches(0..n, K::NR) {
            let (panel, after) = rest.split_at_mut(steps.len() * K::NR);
            kernel.pack_b(b.part(steps.clone(), cols).t(), panel);
            rest = after;
        }
    }
    Ok(panels)
}

/// C, as tiles reach it: in place where a micro-kernel can write there, else by way of a buffer.
pub(crate) struct Target<'a, 'c, K> {
    pub(crate) kernel: K,
    pub(crate) c: Output<'c>,
    pub(crate) epilogue: Epilogue<'a>,
    /// Address of C and floats from row to row, where tiles are formed in place.
    place: Option<(*mut f32, isize)>,
}

impl<'a, 'c, K: MicroKernel> Target<'a, 'c, K> {
    /// C for these tiles; the epilogue is that of the last stretch of k.
    pub(crate) fn new(kernel: K, mut c: Output<'c>, epilogue: Epilogue<'a>) -> Self {
        let in_place = c.col_stride() == 1 && epilogue.is_none();
        let place = c.typed::<f32>().filter(|_| in_place).map(|mut c| (c.as_mut_ptr(), c.row_stride()));
        Self { kernel, c, epilogue, place }
    }

    /// Has `compute` form the tile at (`row`, `col`): it adds to what the pointer leads to, in rows `c_stride` apart.
    #[inline]
    pub(crate) fn tile(&mut self, mut tile: Tile, row: usize, col: usize, compute: impl Fn(&Tile, *mut f32)) {
        if let Some((origin, stride)) = self.place {
            tile.c_stride = stride;
            let offset = (row as isize).wrapping_mul(stride).wrapping_add(col as isize);
            return compute(&tile, origin.wrapping_offset(offset));
        }
        self.tile_by_copy(tile, row, col, compute);
    }

    #[inline(never)]
    fn tile_by_copy(&mut self, mut tile: Tile, row: usize, col: usize, compute: impl Fn(&Tile, *mut f32)) {
        let (rows, cols) = (row..row + tile.rows, col..col + tile.cols);
        let mut out = self.c.reborrow().part(rows.clone(), cols.clone());
        let mut copy = [0.0; MAX_TILE];
        // A tile of three vectors has fewer rows.
        const { assert!(K::MR * K::NR <= MAX_TILE && K::WIDE_ROWS * 3 * K::LANES <= MAX_TILE) };
        let stride = if tile.cols > K::NR { 3 * K::LANES } else { K::NR };
        if tile.beta != 0.0 {
            self.kernel.run(Gather { from: out.as_input(), to: &mut copy, stride });
        }
        tile.c_stride = stride as isize;
        compute(&tile, copy.as_mut_ptr());
        let epilogue = self.epilogue.part(rows, cols);
        self.kernel.run(Finish { tile: &mut copy, stride, epilogue, out: out.reborrow() });
    }
}
