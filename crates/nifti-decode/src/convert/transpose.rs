//! Tiles in another order of axes.

use bytemuck::Pod;

use super::kernel::Path;

/// Rows of a tile: a run of the output.
pub(super) const ROWS: usize = 128;
/// Columns of a tile: a run of the input.
pub(super) const COLUMNS: usize = 64;

/// How tiles are transposed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transpose(pub(super) Path);

impl Transpose {
    /// For voxels that are only copied.
    pub(crate) fn scalar() -> Self {
        Self(Path::Scalar)
    }

    /// `dst[c * dst_row + r] = tile[r * COLUMNS + c]` for `rows` and `columns`.
    pub(super) fn run<D: Pod>(self, tile: &[D], rows: usize, columns: usize, dst: &mut [D], dst_row: usize) {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "only x86-64 has vectors"))]
        let (mut r0, mut c0) = (0, 0);
        #[cfg(target_arch = "x86_64")]
        if let (Path::Avx2(token), 4) = (self.0, size_of::<D>())
            && let (Ok(tile), Ok(dst)) =
                (bytemuck::try_cast_slice::<D, f32>(tile), bytemuck::try_cast_slice_mut::<D, f32>(dst))
        {
            (r0, c0) = (rows / 8 * 8, columns / 8 * 8);
            for c in (0..c0).step_by(8) {
                for r in (0..r0).step_by(8) {
                    let from = &tile[r * COLUMNS + c..];
                    super::avx2::transpose_8x8(token, from, COLUMNS, &mut dst[c * dst_row + r..], dst_row);
                }
            }
        }
        let mut copy = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
            for c in columns {
                let row = &mut dst[c * dst_row..];
                for r in rows.clone() {
                    row[r] = tile[r * COLUMNS + c];
                }
            }
        };
        // What vectors left over: all of it where they did nothing.
        copy(r0..rows, 0..c0);
        copy(0..rows, c0..columns);
    }
}
