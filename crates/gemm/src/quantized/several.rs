//! Several products with one A: its rows are rounded once for each type of weights, and threads share the columns of
//! all.
//!
//! The columns of all weights count as one row of columns, and each thread has a stretch of it that reads as many bytes
//! as the others' do. So three small matrices are handed to threads once, not three times, and a matrix that is too
//! small to share still has a thread. An element is formed as in a product of its own, and has the same bits.

use op::{Threads, Workspace};
use quant::GgmlType;
use simd::ByteSimd;

use super::{Activations, dots, panels, path, with_format};
use crate::{
    choice::Path,
    error::GemmError,
    grid::Grid,
    matrix::Input,
    problem::Problem,
    shape::Shape,
    weights::{QMatRef, RightOperand},
};

/// Columns that are never cut: what both algorithms form at a time.
const UNIT: usize = 32;

/// C <- act(alpha A W^T + beta C + bias) + residual for each problem; all have the same A, and there is work in each.
/// Returns how many threads worked.
pub(crate) fn products<B: ByteSimd>(
    simd: B,
    a: Input<'_>,
    problems: &[Option<Problem<'_, QMatRef<'_>>>],
    threads: Threads,
    workspace: &mut Workspace,
) -> Result<usize, GemmError> {
    let (m, k) = (a.rows(), a.cols());
    let full = GemmError::OutOfMemory { bytes: usize::MAX };
    let has = |ty: GgmlType| problems.iter().flatten().any(|problem| problem.b.ggml_type() == ty);
    let types = QMatRef::TYPES.into_iter().filter(|&ty| has(ty)).count();
    let cost = |problem: &Problem<'_, QMatRef<'_>>| Cost::of(problem.b);
    let total: usize = problems.iter().flatten().map(|problem| cost(problem).total()).sum();
    let all = Shape { m, n: total.div_ceil(k.max(1)), k };
    let threads = match path_of_any(problems, m) {
        Path::BlockDots => Grid::of_columns(Shape { n: total, k: 1, m }, m.div_ceil(4), threads).parts(),
        _ => Grid::of_panels(all, threads).parts(),
    };
    let floats = Activations::floats(m, k).ok_or(full)?;
    let part = panels::floats::<B>(m);
    let need = floats.checked_mul(types).and_then(|floats| floats.checked_add(threads * part)).ok_or(full)?;
    let (mut rest, parts) = workspace.floats(need)?.split_at_mut(floats * types);
    // By type, in the order of `QMatRef::TYPES`.
    let mut rounded = [None; QMatRef::TYPES.len()];
    for (ty, rounded) in QMatRef::TYPES.into_iter().zip(&mut rounded).filter(|&(ty, _)| has(ty)) {
        let (memory, after) = rest.split_at_mut(floats);
        rest = after;
        *rounded = Some(with_format!(ty, F => Activations::round::<F, _>(simd.float(), a, memory, threads)));
    }
    let work = |nth: usize, memory: &mut [f32]| {
        let mut stretch = total * nth / threads..total * (nth + 1) / threads;
        for problem in problems.iter().flatten() {
            let cost = cost(problem);
            let cols = cost.columns(stretch.start)..cost.columns(stretch.end);
            // The next problem's costs begin with 0.
            stretch = stretch.start.saturating_sub(cost.total())..stretch.end.saturating_sub(cost.total());
            if cols.is_empty() {
                continue;
            }
            let ty = problem.b.ggml_type();
            let x = QMatRef::TYPES.iter().position(|&other| other == ty).and_then(|at| rounded[at]);
            let Some(x) = x else { unreachable!("A is rounded for the type of each problem") };
            // SAFETY: stretches do not overlap, so these columns of C are accessed by this thread alone.
            let problem = unsafe { problem.alias_cols(cols) };
            with_format!(ty, F => match path(ty, m) {
                Path::BlockDots => dots::product::<B, F>(simd, problem, x, Grid::ONE),
                _ => panels::product::<B, F>(simd, problem, x, Grid::ONE, memory),
            });
        }
    };
    if threads == 1 {
        work(0, parts);
    } else {
        rayon::in_place_scope(|scope| {
            let mut memory = parts.chunks_exact_mut(part).take(threads).enumerate();
            let own = memory.next();
            for (nth, memory) in memory {
                let work = &work;
                scope.spawn(move |_| work(nth, memory));
            }
            if let Some((nth, memory)) = own {
                work(nth, memory);
            }
        });
    }
    Ok(threads)
}

/// The path that most of them take decides what a thread is worth.
fn path_of_any(problems: &[Option<Problem<'_, QMatRef<'_>>>], m: usize) -> Path {
    problems.iter().flatten().next().map_or(Path::BlockDots, |problem| path(problem.b.ggml_type(), m))
}

/// What columns of weights cost: the bytes of their rows of W.
struct Cost {
    row_bytes: usize,
    cols: usize,
}

impl Cost {
    fn of(weights: QMatRef<'_>) -> Self {
        Self { row_bytes: weights.row_bytes().max(1), cols: RightOperand::cols(&weights) }
    }

    fn total(&self) -> usize {
        self.row_bytes * self.cols
    }

    /// The first column that `cost` does not reach, where a column that it reaches into counts with its whole unit.
    fn columns(&self, cost: usize) -> usize {
        (cost / self.row_bytes).next_multiple_of(UNIT).min(self.cols)
    }
}
