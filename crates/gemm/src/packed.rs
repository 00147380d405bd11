//! The macro-kernel: A and B, packed for the micro-kernel.
//!
//! Both operands are copied into panels first. Then every panel of A (MR rows, all of k) meets every panel of B (NR columns, all of k):
//!
//! ```text
//!   pack A, pack B
//!   for each NR columns of C, B        one panel of B
//!     for each MR rows of C, A         one panel of A
//!       micro-kernel                   tile of C, MR x NR: registers
//! ```
//!
//! Where C's rows are not contiguous, or a tile hangs over its edge, the micro-kernel works on a tile-sized copy. Zeros that fill
//! up a panel meet only elements that no C has: they are never stored, so that they may become NaN unseen.

use std::ops::Range;

use crate::{
    choice::{Blocking, Path, Plan},
    error::GemmError,
    kernel::Shape,
    micro::{MicroKernel, Tile},
    problem::Problem,
    view::MatMut,
    workspace::{LINE, Workspace},
};

/// Largest tile of any micro-kernel, in floats.
const MAX_TILE: usize = 512;

/// How a product of `shape` is cut: not at all but into tiles.
pub(crate) fn plan<K: MicroKernel>(Shape { m, n, k }: Shape) -> Plan {
    let (mr, nr) = (K::MR, K::NR);
    Plan { path: Path::Packed, tile: Some(Blocking { mr, nr, mc: m, nc: n, kc: k }) }
}

/// C <- alpha A B + beta C. alpha and k are not 0, and C is not empty.
pub(crate) fn product<K: MicroKernel>(
    kernel: K,
    problem: Problem<'_>,
    workspace: &mut Workspace,
) -> Result<Plan, GemmError> {
    const { assert!(K::MR * K::NR <= MAX_TILE && K::NR.is_multiple_of(K::LANES)) }
    let Shape { m, n, k } = problem.shape();
    let Problem { alpha, a, b, beta, mut c } = problem;
    let floats = |extent: usize, width: usize| extent.checked_next_multiple_of(width)?.checked_mul(k);
    let (a_floats, b_floats) = (floats(m, K::MR), floats(n, K::NR));
    let a_floats = a_floats.and_then(|floats| floats.checked_next_multiple_of(LINE)).unwrap_or(usize::MAX);
    let workspace = workspace.floats(a_floats.saturating_add(b_floats.unwrap_or(usize::MAX)))?;
    let (packed_a, packed_b) = workspace.split_at_mut(a_floats);
    for rows in stretches(0..m, K::MR) {
        kernel.pack_a(a.part(rows.clone(), 0..k), &mut packed_a[rows.start * k..]);
    }
    for cols in stretches(0..n, K::NR) {
        kernel.pack_b(b.part(0..k, cols.clone()).t(), &mut packed_b[cols.start * k..]);
    }
    for cols in stretches(0..n, K::NR) {
        let b_panel = &packed_b[cols.start * k..][..K::NR * k];
        for rows in stretches(0..m, K::MR) {
            let a_panel = &packed_a[rows.start * k..][..K::MR * k];
            let c = c.reborrow().part(rows, cols.clone());
            tile(kernel, a_panel, b_panel, c, alpha, beta);
        }
    }
    Ok(plan::<K>(Shape { m, n, k }))
}

/// One tile: straight into C where its rows are contiguous and whole vectors wide, else by way of a copy.
fn tile<K: MicroKernel>(kernel: K, a: &[f32], b: &[f32], mut c: MatMut<'_, f32>, alpha: f32, beta: f32) {
    let mut tile = Tile {
        rows: c.rows(),
        cols: c.cols().next_multiple_of(K::LANES),
        depth: a.len() / K::MR,
        b_stride: K::NR as isize,
        c_stride: c.row_stride(),
        alpha,
        beta,
    };
    debug_assert!(b.len() == tile.depth * K::NR);
    if c.col_stride() == 1 && tile.cols == c.cols() {
        // SAFETY: 1 <= rows <= MR and 1 <= cols <= NR by the cutting, and both panels hold `depth` steps. C is a part of a
        // `MatMut` with contiguous rows.
        unsafe { kernel.tile(tile, a.as_ptr(), b.as_ptr(), c.as_mut_ptr()) }
        return;
    }
    let mut copy = [0.0; MAX_TILE];
    tile.c_stride = K::NR as isize;
    if beta != 0.0 {
        exchange(&mut c, K::NR, &mut copy, |c, copy| *copy = *c);
    }
    // SAFETY: as above, but C is the copy: rows of NR.
    unsafe { kernel.tile(tile, a.as_ptr(), b.as_ptr(), copy.as_mut_ptr()) }
    exchange(&mut c, K::NR, &mut copy, |c, copy| *c = *copy);
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
