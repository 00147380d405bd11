//! The portable kernel: rows of weights become floats, one after the other, and are multiplied with the rounded rows
//! of A as floats.

use op::Workspace;
use quant::{GgmlType, QK_K, format::Block};
use simd::{Portable, Simd};

use super::{Activations, format::Format, scale_and_add, with_format};
use crate::{
    error::GemmError,
    grid::{Grid, for_each_part},
    problem::Problem,
    shape::Shape,
    tile::StoreTile,
    weights::QMatRef,
};

/// C <- act(alpha A W^T + beta C + bias) + residual.
pub(crate) fn product(
    problem: Problem<'_, QMatRef<'_>>,
    grid: Grid,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    let full = GemmError::OutOfMemory { bytes: usize::MAX };
    let Shape { m, k, .. } = problem.shape();
    let padded = k.next_multiple_of(QK_K);
    let rounded = Activations::floats(m, k).ok_or(full)?;
    let floats = m.checked_add(grid.parts()).and_then(|rows| rows.checked_mul(padded)).ok_or(full)?;
    let memory = workspace.floats(rounded.checked_add(floats).ok_or(full)?)?;
    let (rounded, rest) = memory.split_at_mut(rounded);
    let (rows, parts) = rest.split_at_mut(m * padded);
    let ty = problem.b.ggml_type();
    with_format!(ty, F => {
        let x = Activations::round::<F, _>(Portable, problem.a, rounded, 1);
        x.to_floats::<F>(rows, padded);
    });
    let rows = &*rows;
    for_each_part(problem, grid, (m.max(1), 1), &mut parts[..grid.parts() * padded], &|part, row| {
        let Problem { alpha, b, beta, mut c, epilogue, .. } = part;
        for j in 0..b.rows() {
            dequantize(ty, b.row(j), &mut row[..k]);
            for i in 0..m {
                let mut sum = [dot(&rows[i * padded..][..k], &row[..k])];
                let (at, col) = (i..i + 1, j..j + 1);
                let out = c.reborrow().part(at.clone(), col.clone());
                scale_and_add(Portable, (alpha, beta), &mut sum, 1, &mut [0.0], &out);
                Portable.run(StoreTile { tile: &mut sum, stride: 1, epilogue: epilogue.part(at, col), out });
            }
        }
    });
    Ok(())
}

/// A row of blocks as floats.
fn dequantize(ty: GgmlType, bytes: &[u8], out: &mut [f32]) {
    fn each<T: Block>(bytes: &[u8], out: &mut [f32]) {
        let numbers: &mut [T::Values] = bytemuck::cast_slice_mut(out);
        for (block, out) in bytemuck::cast_slice::<u8, T>(bytes).iter().zip(numbers) {
            block.dequantize(out);
        }
    }
    use quant::format::{BlockQ4_0, BlockQ4_K, BlockQ5_K, BlockQ6_K, BlockQ8_0};
    match ty {
        GgmlType::Q4_0 => each::<BlockQ4_0>(bytes, out),
        GgmlType::Q8_0 => each::<BlockQ8_0>(bytes, out),
        GgmlType::Q4_K => each::<BlockQ4_K>(bytes, out),
        GgmlType::Q5_K => each::<BlockQ5_K>(bytes, out),
        GgmlType::Q6_K => each::<BlockQ6_K>(bytes, out),
        other => unreachable!("weights in blocks have one of the five types, not {other}"),
    }
}

/// The sum of products, in eight lanes.
fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0; 8];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    for (x, y) in x.iter().zip(y) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f32>() + rest
}

impl Activations<'_> {
    /// The rounded numbers in their own order, rows of `padded` floats.
    fn to_floats<F: Format>(self, rows: &mut [f32], padded: usize) {
        if padded == 0 {
            return;
        }
        for (i, row) in rows.chunks_exact_mut(padded).enumerate() {
            for (block, out) in self.row(i).iter().zip(row.chunks_exact_mut(QK_K)) {
                let (out, _) = out.as_chunks_mut::<16>();
                for (g, codes) in block.codes.as_chunks::<16>().0.iter().enumerate() {
                    let natural = F::ORDER[g];
                    out[natural] = codes.map(|code| f32::from(code) * block.scales[natural / 2]);
                }
            }
        }
    }
}
