//! Which path a product takes: a function of shape, element types and storage, and of nothing else.
//!
//! The paths, and when each is taken. The first match decides:
//!
//! | path | A and B | when |
//! |---|---|---|
//! | [`Path::Direct`] | in place | no extent exceeds 64, all are of floats, rows of B and C are contiguous, no epilogue |
//! | [`Path::Scale`] | not read | C is empty, alpha = 0 or k = 0 |
//! | [`Path::PackedWeights`] | A into panels, B was packed before | B is a [`PackedB`](crate::PackedB) |
//! | [`Path::Dot`] | in place | columns of B are contiguous, and A has one row, or up to 16 and k is long |
//! | [`Path::Axpy`] | in place | rows of B are contiguous, and A has one row, unless B is tiny, or a few more and B is huge |
//! | [`Path::Direct`] | in place | B is small; smaller if it has many columns, and smaller still if those are contiguous |
//! | [`Path::PackedA`] | A into panels, B in place | rows of B are contiguous, and A has few rows |
//! | [`Path::Packed`] | both into panels | else |
//!
//! Weights in blocks are no matrices: `quantized.rs` says which of their two paths is taken.
//!
//! The first row is what the fifth to eighth would decide for such products, only sooner: the questions below take as
//! long as a product of 8 x 8 x 8. A product that may take Dot or Axpy transposed, as C^T = B^T A^T, is transposed.
//! Otherwise a product with a column-major C is transposed, because micro-kernels write rows.
//!
//! Threads have a say in one case: where several would share a direct product, and the estimates of `direct::time`
//! and of the split say that panels which they share are faster, it takes [`Path::Packed`]. The sums of both have one
//! order, and so the same bits.
//!
//! The thresholds were measured: `cargo run --release -p gemm --example crossover` times every path on both sides of
//! each, and `crossover.txt` in this crate's folder is its output, with the machine it ran on.

use simd::ElementType;

use super::layout::ProblemLayout;
use crate::{
    algorithm::{axpy, direct::SMALL, dot},
    choice::{Path, Wish},
    matrix::Input,
    problem::Problem,
    shape::Shape,
    tile::{MicroKernel, Thresholds},
};

/// A path, and whether it computes the transposed product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) path: Path,
    pub(super) transposed: bool,
}

/// A B of up to this many floats is read so fast that the sums of [`Path::Axpy`] should stay in registers.
const TINY_B: usize = 1 << 16;

/// A B of this many elements comes from memory, and should be read in place.
const HUGE_B: usize = 1 << 22;

/// Whether a problem with the matrix `b` as B is in the first row of the table. A single row or column is not: it may
/// take Dot or Axpy.
#[inline]
pub(super) fn is_small<K: MicroKernel>(problem: &Problem<'_>, b: &Input<'_>) -> bool {
    // So that the other rows would decide the same.
    const {
        let Thresholds { long_k, direct_b, .. } = K::THRESHOLDS;
        assert!(SMALL < long_k && SMALL <= K::KC && SMALL * SMALL <= direct_b);
    };
    let Problem { alpha, ref a, ref c, ref epilogue, .. } = *problem;
    let (m, n, k) = (a.rows(), b.cols(), a.cols());
    (3..=SMALL).contains(&m)
        && (3..=SMALL).contains(&n)
        && (1..=SMALL).contains(&k)
        && alpha != 0.0
        && [a.element_type(), b.element_type(), c.element_type()] == [ElementType::F32; 3]
        && b.col_stride() == 1
        && c.col_stride() == 1
        && epilogue.is_none()
}

/// The route of a product of two matrices.
pub(super) fn route<K: MicroKernel>(layout: &ProblemLayout, wish: Wish) -> Route {
    match wish {
        // As many rows as there may be, and the order of a sum is that of k.
        Wish::RowsAlone if layout.b.col_major => return Route { path: Path::Dot, transposed: false },
        Wish::RowsAlone => return Route { path: Path::Packed, transposed: layout.is_col_major() },
        Wish::Path(path) => {
            if let Some(route) = oriented(layout, path, is_possible::<K>) {
                return route;
            }
        }
        Wish::Fastest => {}
    }
    let may_have_few_rows = may_have_few_rows::<K>(layout);
    for path in [Path::Dot, Path::Axpy, Path::Direct, Path::PackedA] {
        let is_candidate = may_have_few_rows || !needs_few_rows(path);
        if let Some(route) = is_candidate.then(|| oriented(layout, path, is_preferred::<K>)).flatten() {
            return route;
        }
    }
    Route { path: Path::Packed, transposed: layout.is_col_major() }
}

/// Whether this path can compute the product as it is, not transposed.
fn is_possible<K: MicroKernel>(layout: &ProblemLayout, path: Path) -> bool {
    let ProblemLayout { shape: Shape { m, k, .. }, a, b, c } = *layout;
    match path {
        Path::Dot => m <= dot::MAX_ROWS && b.col_major,
        Path::Axpy => m <= axpy::MAX_ROWS && b.row_major,
        Path::Direct => a.element == ElementType::F32 && (k <= K::KC || c.element == ElementType::F32),
        Path::PackedA => b.row_major,
        Path::Packed => true,
        _ => false,
    }
}

/// Whether the product takes this path, if no path before it in the table is taken.
fn is_preferred<K: MicroKernel>(layout: &ProblemLayout, path: Path) -> bool {
    let ProblemLayout { shape: Shape { m, n, k }, b, .. } = *layout;
    let Thresholds { long_k, axpy_rows, unpacked_b_rows, direct_b, packed_columns } = K::THRESHOLDS;
    let elements_of_b = k.saturating_mul(n);
    is_possible::<K>(layout, path)
        && match path {
            Path::Dot => m == 1 || k >= long_k,
            Path::Axpy if m <= axpy_rows[0] => {
                let is_tiny = elements_of_b <= TINY_B && b.element == ElementType::F32;
                !(is_tiny && is_possible::<K>(layout, Path::Direct))
            }
            Path::Axpy => m <= axpy_rows[1] && elements_of_b >= HUGE_B,
            // Counted as floats, because that is what is read.
            Path::Direct if n < packed_columns => elements_of_b <= direct_b,
            Path::Direct if b.row_major => elements_of_b <= direct_b / 2,
            Path::Direct => elements_of_b <= direct_b / 8,
            Path::PackedA => m <= unpacked_b_rows,
            _ => true,
        }
}

/// Whether a path is for few rows: then the shorter side of C decides about transposing, not the storage of C.
fn needs_few_rows(path: Path) -> bool {
    matches!(path, Path::Dot | Path::Axpy)
}

/// Whether the product, as it is or transposed, may [prefer](is_preferred) a path for few rows. No other product can,
/// and asking takes as long as a small product.
fn may_have_few_rows<K: MicroKernel>(layout: &ProblemLayout) -> bool {
    let Shape { m, n, k } = layout.shape;
    let few = m.min(n);
    few <= 2 || few <= dot::MAX_ROWS && (k >= K::THRESHOLDS.long_k || k.saturating_mul(m.max(n)) >= HUGE_B)
}

/// The path with the orientation, as it is or transposed, for which it is `wanted`.
#[inline(always)]
fn oriented(layout: &ProblemLayout, path: Path, wanted: impl Fn(&ProblemLayout, Path) -> bool) -> Option<Route> {
    let is_wanted = |transposed: bool| wanted(&if transposed { layout.t() } else { *layout }, path);
    let first = if needs_few_rows(path) { layout.shape.m > layout.shape.n } else { layout.is_col_major() };
    let transposed = match is_wanted(first) {
        true => first,
        false if needs_few_rows(path) && is_wanted(!first) => !first,
        false => return None,
    };
    Some(Route { path, transposed })
}
