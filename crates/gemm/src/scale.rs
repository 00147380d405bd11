//! Products in which A and B have no say: alpha = 0, or sums of no terms.

use crate::{
    cut::stretches,
    exchange::{Finish, Gather},
    problem::Problem,
    vector::Simd,
};

/// Floats that are handled together.
const STRIP: usize = 256;

/// C <- act(beta C + bias) + residual, without reading A and B; without reading C if beta is 0.
pub(crate) fn product<S: Simd>(simd: S, problem: Problem<'_>) {
    // Rows are walked along; where those of C lie apart and its columns do not, the transpose is.
    let by_columns = problem.c.col_stride() != 1 && problem.c.row_stride() == 1;
    let (mut c, epilogue) = match by_columns {
        true => (problem.c.t(), problem.epilogue.t()),
        false => (problem.c, problem.epilogue),
    };
    let (rows, cols) = (c.rows(), c.cols());
    for (i, cols) in (0..rows).flat_map(|i| stretches(0..cols, STRIP).map(move |cols| (i, cols))) {
        let out = c.reborrow().part(i..i + 1, cols.clone());
        let mut strip = [0.0; STRIP];
        if problem.beta != 0.0 {
            simd.run(Gather { from: out.as_input(), to: &mut strip, stride: STRIP });
            strip.iter_mut().for_each(|c| *c *= problem.beta);
        }
        simd.run(Finish { tile: &mut strip, stride: STRIP, epilogue: epilogue.part(i..i + 1, cols), out });
    }
}
