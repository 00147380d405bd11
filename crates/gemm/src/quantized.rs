//! Products with weights in blocks: y = x W^T with W as a model file stores it.
//!
//! A block of weights is a few scales and 32 or 256 small integers. Converted to floats it takes seven times the memory
//! and the multiply-adds of f32. So the rows of x are rounded to integers, too, once for each product, and integers are
//! multiplied: four products of a code and a rounded number are one lane of one instruction.
//!
//! ```text
//!   x[p] ~ dx q[p]              -127 <= q <= 127, dx for 256 numbers (K types) or 32 (Q4_0, Q8_0)
//!   w[p] = s[j] c[p] - m[j]     c >= 0, s and m for a sub-block of 16 or 32 numbers
//!
//!   sum of x[p] w[p] over a block = dx (sum over sub-blocks j of  s[j] sum(c q) - m[j] sum(q))
//! ```
//!
//! `sum(c q)` is an exact integer, and `sum(q)` is formed when x is rounded. The scales and minima of K types are
//! integers times a float, so that a block is two integers times floats. The error is that of rounding x, at most half
//! of dx for each number.
//!
//! Two algorithms, by the number of rows of x:
//!
//! - [`dots`], for few rows: dot products of a row of weights and the rows of x, as the blocks lie in memory. The bound
//!   is reading the weights.
//! - [`panels`], for many rows: the codes of a few columns of B are unpacked into a panel that stays in the level-1
//!   cache, and multiplied with all rows. The bound is the rate of products of bytes.
//!
//! Columns are cut for threads. Every element of C is the sum of its blocks one after the other, each of them rounded
//! once (K types) or once for 32 numbers, in both algorithms and wherever C is cut. So a row of C has the same bits
//! alone and among others.

mod activations;
mod dots;
mod format;
mod panels;
mod portable;
mod several;

use op::{Threads, Workspace};
use quant::GgmlType;
use simd::{ByteSimd, Simd};

use self::activations::Activations;
pub(crate) use self::{portable::product as portable_product, several::products};
use crate::{
    choice::{Path, Wish},
    error::GemmError,
    grid::Grid,
    matrix::Output,
    plan::Plan,
    problem::Problem,
    shape::Shape,
    tile::LoadTile,
    weights::QMatRef,
};

/// What is compiled for each type: `F` is its [`Format`](format::Format).
macro_rules! with_format {
    ($ty:expr, $F:ident => $body:expr) => {
        match $ty {
            GgmlType::Q4_0 => {
                type $F = $crate::quantized::format::Q4_0;
                $body
            }
            GgmlType::Q8_0 => {
                type $F = $crate::quantized::format::Q8_0;
                $body
            }
            GgmlType::Q4_K => {
                type $F = $crate::quantized::format::Q4_K;
                $body
            }
            GgmlType::Q5_K => {
                type $F = $crate::quantized::format::Q5_K;
                $body
            }
            GgmlType::Q6_K => {
                type $F = $crate::quantized::format::Q6_K;
                $body
            }
            other => unreachable!("weights in blocks have one of the five types, not {other}"),
        }
    };
}
use with_format;

/// The path that a product of `m` rows takes. Unpacking a panel costs as much as the dot products of four or five rows;
/// the codes of Q4_K and Q5_K cost the least to unpack for each row.
fn path(ty: GgmlType, m: usize) -> Path {
    let most = if matches!(ty, GgmlType::Q4_K | GgmlType::Q5_K) { 5 } else { 4 };
    if m <= most { Path::BlockDots } else { Path::BlockPanels }
}

/// What runs for weights in blocks, if there is work. Rows are alone on both paths.
pub(crate) fn plan(shape: Shape, ty: GgmlType, threads: Threads, wish: Wish) -> Plan {
    let path = match wish {
        Wish::Path(path @ (Path::BlockDots | Path::BlockPanels)) => path,
        _ => path(ty, shape.m),
    };
    let row_bytes = ty.row_bytes(shape.k).unwrap_or(usize::MAX);
    let grid = match path {
        Path::BlockDots => Grid::of_columns(Shape { k: row_bytes, ..shape }, shape.m.div_ceil(4), threads),
        _ => Grid::of_panels(shape, threads),
    };
    Plan { path, threads: grid.parts(), grid: [grid.rows, grid.cols], ..Plan::SCALE }
}

/// C <- act(alpha A W^T + beta C + bias) + residual.
pub(crate) fn product<B: ByteSimd>(
    simd: B,
    problem: Problem<'_, QMatRef<'_>>,
    plan: Plan,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    let [rows, cols] = plan.grid;
    let grid = Grid { rows, cols };
    let shape = problem.shape();
    let ty = problem.b.ggml_type();
    let activations = Activations::floats(shape.m, shape.k).ok_or(GemmError::OutOfMemory { bytes: usize::MAX })?;
    let parts = match plan.path {
        Path::BlockDots => 0,
        _ => grid.parts() * panels::floats::<B>(shape.m),
    };
    let floats = activations.checked_add(parts).ok_or(GemmError::OutOfMemory { bytes: usize::MAX })?;
    let (rounded, parts) = workspace.floats(floats)?.split_at_mut(activations);
    let x = with_format!(ty, F => Activations::round::<F, _>(simd.float(), problem.a, rounded, grid.parts()));
    with_format!(ty, F => match plan.path {
        Path::BlockDots => dots::product::<B, F>(simd, problem, x, grid),
        _ => panels::product::<B, F>(simd, problem, x, grid, parts),
    });
    Ok(())
}

/// alpha sums + beta C, in place; rows of the sums are `stride` apart. `before` has room for as many.
pub(crate) fn scale_and_add<S: Simd>(
    simd: S,
    (alpha, beta): (f32, f32),
    sums: &mut [f32],
    stride: usize,
    before: &mut [f32],
    c: &Output<'_>,
) {
    let len = c.rows() * stride;
    if beta == 0.0 {
        if alpha != 1.0 {
            sums[..len].iter_mut().for_each(|sum| *sum *= alpha);
        }
        return;
    }
    simd.run(LoadTile { from: c.as_input(), to: before, stride });
    for (sum, before) in sums[..len].iter_mut().zip(before.iter()) {
        *sum = alpha * *sum + beta * *before;
    }
}
