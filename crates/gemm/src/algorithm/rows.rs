//! A few rows of A as contiguous floats, for algorithms that read them again and again.

use op::Workspace;
use simd::Simd;

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
    let (m, k) = (a.rows(), a.cols());
    if let Some(a) = a.typed::<f32>().filter(|a| a.col_stride() == 1 && m <= FEW) {
        return Ok(a);
    }
    let stride = k.next_multiple_of(Workspace::LINE) + Workspace::LINE;
    let copy = workspace.floats(m * stride)?;
    simd.run(LoadTile { from: a, to: copy, stride });
    let copy = MatRef::with_strides(copy, m, k, stride as isize, 1);
    Ok(copy.unwrap_or_else(|error| unreachable!("the workspace has {m} rows of {stride} floats: {error}")))
}
