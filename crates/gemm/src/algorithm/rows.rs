//! A few rows of A as contiguous floats, for algorithms that read them again and again.

use op::Workspace;
use simd::{ElementType, Simd};

use crate::{
    error::GemmError,
    matrix::{Input, MatRef},
    tile::LoadTile,
};

/// With up to so many rows, rows that share a set of the level-1 cache do not evict each other.
pub(super) const FEW: usize = 4;

/// The matrix itself, if it has up to [`FEW`] rows of contiguous floats, otherwise a copy. Many rows that are a power
/// of two apart would share one set of the level-1 cache; those of the copy are a cache line more apart.
pub(super) fn contiguous_rows<'a, S: Simd>(
    simd: S,
    a: Input<'a>,
    workspace: &'a mut Workspace,
) -> Result<MatRef<'a, f32>, GemmError> {
    let memory = workspace.floats(floats(a, a.rows()))?;
    Ok(contiguous_rows_in(simd, a, memory))
}

/// Floats that [`contiguous_rows_in`] needs for `rows` rows of a matrix.
pub(super) fn floats(a: Input<'_>, rows: usize) -> usize {
    if serves(a) { 0 } else { rows * stride(a.cols()) }
}

/// As [`contiguous_rows`], with memory for the copy, whose old contents do not matter.
pub(super) fn contiguous_rows_in<'a, S: Simd>(simd: S, a: Input<'a>, memory: &'a mut [f32]) -> MatRef<'a, f32> {
    if serves(a)
        && let Some(a) = a.typed::<f32>()
    {
        return a;
    }
    let (m, k, stride) = (a.rows(), a.cols(), stride(a.cols()));
    simd.run(LoadTile { from: a, to: memory, stride });
    let copy = MatRef::with_strides(memory, m, k, stride as isize, 1);
    copy.unwrap_or_else(|error| unreachable!("there is room for {m} rows of {stride} floats: {error}"))
}

/// Whether the matrix is read as it lies.
fn serves(a: Input<'_>) -> bool {
    a.element_type() == ElementType::F32 && a.col_stride() == 1 && a.rows() <= FEW
}

/// Floats from one row of a copy to the next.
fn stride(k: usize) -> usize {
    k.next_multiple_of(Workspace::LINE) + Workspace::LINE
}
