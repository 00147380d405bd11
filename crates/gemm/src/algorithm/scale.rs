//! Products that do not read A and B: alpha = 0, or sums of no terms.

use simd::Simd;

use crate::{
    chunks::chunks,
    epilogue::Epilogue,
    matrix::Output,
    tile::{LoadTile, StoreTile},
};

/// Floats that are handled together.
const STRIP: usize = 256;

/// C <- act(beta C + bias) + residual. C is not read if beta is 0.
pub(crate) fn product<S: Simd>(simd: S, beta: f32, c: Output<'_>, epilogue: Epilogue<'_>) {
    // The loop follows rows; if only the columns of C are contiguous, it follows those of the transpose.
    let is_column_major = c.col_stride() != 1 && c.row_stride() == 1;
    let (mut c, epilogue) = if is_column_major { (c.t(), epilogue.t()) } else { (c, epilogue) };
    let (rows, cols) = (c.rows(), c.cols());
    for (i, cols) in (0..rows).flat_map(|i| chunks(0..cols, STRIP).map(move |cols| (i, cols))) {
        let out = c.reborrow().part(i..i + 1, cols.clone());
        let mut strip = [0.0; STRIP];
        if beta != 0.0 {
            simd.run(LoadTile { from: out.as_input(), to: &mut strip, stride: STRIP });
            strip.iter_mut().for_each(|c| *c *= beta);
        }
        simd.run(StoreTile { tile: &mut strip, stride: STRIP, epilogue: epilogue.part(i..i + 1, cols), out });
    }
}
