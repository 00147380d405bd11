//! The steps of one token that a team of threads shares.
//!
//! A product is shared by rows of the matrix, and the heads of a layer by their number. r, k, v and the low-rank
//! products need the six mixes of a token and nothing of each other, so they are one step: by themselves, most
//! low-rank products are too small to be shared. Each
//! low-rank product goes as a whole to the thread that reads least so far, the largest first, and rows of the three
//! matrices fill threads up to the same number of bytes. An element is formed as in a product of its own, so the bits
//! do not depend on the threads.

use std::mem;

use gemm::{Activation, Epilogue, Gemm, MatMut, MatRef};
use simd::InstructionSet;

use crate::{
    error::RunError,
    heads::{self, Heads},
    matrix::Matrix,
    mix::Sigmoid,
    model::TimeMix,
    state::padded,
    team::Team,
};

/// Most parts of a step.
const MOST: usize = 16;
/// Bytes that a part reads at least: they take longer than to hand it over.
const LEAST_BYTES: usize = 16 << 10;
/// Rows that are never cut: what a product forms together.
const UNIT: usize = 32;

/// What is done to the middle of a low-rank product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Middle {
    Plain,
    Tanh,
    Sigmoid,
}

/// y <- f(x D) U for one token.
pub(super) struct Chain<'a> {
    x: &'a [f32],
    down: &'a Matrix<'a>,
    middle: Middle,
    up: &'a Matrix<'a>,
    /// As many floats as the rank.
    low: &'a mut [f32],
    y: &'a mut [f32],
}

impl<'a> Chain<'a> {
    /// With memory for the middle, at least as many floats as the rank, and for the result.
    pub(super) fn new(
        x: &'a [f32],
        down: &'a Matrix<'a>,
        middle: Middle,
        up: &'a Matrix<'a>,
        (low, y): (&'a mut [f32], &'a mut [f32]),
    ) -> Self {
        Self { x, down, middle, up, low: &mut low[..down.rows], y }
    }

    fn bytes(&self) -> usize {
        self.down.bytes() + self.up.bytes()
    }

    fn run(self) -> Result<(), RunError> {
        let Self { x, down, middle, up, low, y } = self;
        let activation = if middle == Middle::Tanh { Activation::Tanh } else { Activation::Identity };
        Piece { x, matrix: down, first: 0, y: low }.run(Epilogue::new().activation(activation), 0.0)?;
        if middle == Middle::Sigmoid {
            InstructionSet::best().run(Sigmoid(low));
        }
        Piece { x: low, matrix: up, first: 0, y }.run(Epilogue::NONE, 0.0)
    }
}

/// y <- W x for one token.
pub(super) struct Whole<'a> {
    pub(super) x: &'a [f32],
    pub(super) matrix: &'a Matrix<'a>,
    pub(super) y: &'a mut [f32],
}

impl TimeMix<'_> {
    /// Bytes that the projections of a token read.
    fn projection_bytes(&self) -> usize {
        let low = [Some(&self.decay), Some(&self.rate), self.value_mix.as_ref()];
        let gate = self.gate.iter().flatten().map(Matrix::bytes).sum::<usize>();
        self.receptance.bytes()
            + self.key.bytes()
            + self.value.bytes()
            + gate
            + low.into_iter().flatten().map(|low| low.down.bytes() + low.up.bytes()).sum::<usize>()
    }
}

/// Some rows of a matrix.
struct Piece<'a> {
    x: &'a [f32],
    matrix: &'a Matrix<'a>,
    first: usize,
    y: &'a mut [f32],
}

impl Piece<'_> {
    /// y <- epilogue(W x + beta y), on this thread.
    fn run(self, epilogue: Epilogue<'_>, beta: f32) -> Result<(), RunError> {
        let Self { x, matrix, first, y } = self;
        let rows = first..first + y.len();
        let (x, y) = (MatRef::from_row_major(x, 1, matrix.cols)?, MatMut::from_row_major(y, 1, rows.len())?);
        Gemm::new(x, matrix.rhs_of(rows)?).beta(beta).epilogue(epilogue).rows_alone(true).run(y)?;
        Ok(())
    }
}

/// What a thread does.
struct Task<'a> {
    chains: [Option<Chain<'a>>; 4],
    pieces: [Option<Piece<'a>>; 3],
    bytes: usize,
    result: Result<(), RunError>,
}

impl Default for Task<'_> {
    fn default() -> Self {
        Self { chains: Default::default(), pieces: Default::default(), bytes: 0, result: Ok(()) }
    }
}

impl Task<'_> {
    fn run(&mut self) -> Result<(), RunError> {
        let (chains, pieces) = (mem::take(&mut self.chains), mem::take(&mut self.pieces));
        chains.into_iter().flatten().try_for_each(Chain::run)?;
        pieces.into_iter().flatten().try_for_each(|piece| piece.run(Epilogue::NONE, 0.0))
    }
}

/// Computes all projections of a token, in one step.
pub(super) fn project<'a>(
    team: &mut Team<'_>,
    weights: &TimeMix<'_>,
    wholes: [Whole<'a>; 3],
    chains: [Option<Chain<'a>>; 4],
) -> Result<(), RunError> {
    let bytes = weights.projection_bytes();
    let parts = parts(team, bytes);
    let mut tasks: [Task<'a>; MOST] = Default::default();
    share(wholes, chains, &mut tasks[..parts], bytes.div_ceil(parts));
    team.share(&mut tasks[..parts], |task| task.result = task.run());
    tasks.into_iter().try_for_each(|task| task.result)
}

/// y <- epilogue(W x + beta y), in one step.
pub(super) fn product(
    team: &mut Team<'_>,
    (x, matrix, y): (&[f32], &Matrix<'_>, &mut [f32]),
    epilogue: Epilogue<'_>,
    beta: f32,
) -> Result<(), RunError> {
    let each = matrix.rows.div_ceil(parts(team, matrix.bytes())).next_multiple_of(UNIT);
    let mut pieces: [(Option<Piece<'_>>, Result<(), RunError>); MOST] = [const { (None, Ok(())) }; MOST];
    let count = matrix.rows.div_ceil(each);
    for (nth, (y, (piece, _))) in y.chunks_mut(each).zip(&mut pieces).enumerate() {
        *piece = Some(Piece { x, matrix, first: nth * each, y });
    }
    team.share(&mut pieces[..count], |(piece, result)| {
        *result = piece.take().map_or(Ok(()), |piece| piece.run(epilogue, beta));
    });
    pieces.into_iter().try_for_each(|(_, result)| result)
}

/// All heads of a layer, in one step.
pub(super) fn heads(team: &mut Team<'_>, all: Heads<'_>) {
    let Heads { weights, head_size, rows, inputs, states, outputs, scratch, .. } = all;
    let padded = padded(head_size);
    let heads = states.len() / (head_size * padded);
    let each = heads.div_ceil(parts(team, size_of_val::<[f32]>(states)));
    let mut parts: [Option<Heads<'_>>; MOST] = [const { None }; MOST];
    let count = heads.div_ceil(each);
    let states = states.chunks_mut(each * head_size * padded);
    let memory = outputs.chunks_mut(each * rows * padded).zip(scratch.chunks_mut(heads::scratch(rows, head_size)));
    for (nth, ((states, (outputs, scratch)), part)) in states.zip(memory).zip(&mut parts).enumerate() {
        *part = Some(Heads { weights, head_size, first: nth * each, rows, inputs, states, outputs, scratch });
    }
    team.share(&mut parts[..count], |part| {
        if let Some(part) = part.take() {
            InstructionSet::best().run(part);
        }
    });
}

/// Parts of a step that reads so many bytes.
fn parts(team: &Team<'_>, bytes: usize) -> usize {
    team.threads().min(MOST).min(bytes / LEAST_BYTES).get()
}

/// Gives every task about `most` bytes.
fn share<'a>(wholes: [Whole<'a>; 3], chains: [Option<Chain<'a>>; 4], tasks: &mut [Task<'a>], most: usize) {
    let mut order: [(usize, Option<Chain<'a>>); 4] =
        chains.map(|chain| (chain.as_ref().map_or(0, Chain::bytes), chain));
    // A thread alone reads them as they lie in the file: what is prefetched behind one is the next.
    if tasks.len() > 1 {
        order.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    }
    for (nth, (bytes, chain)) in order.into_iter().enumerate() {
        if let Some(task) = tasks.iter_mut().min_by_key(|task| task.bytes) {
            task.chains[nth] = chain;
            task.bytes += bytes;
        }
    }
    let mut tasks = tasks.iter_mut().peekable();
    let mut task = tasks.next();
    for (nth, Whole { x, matrix, mut y }) in wholes.into_iter().enumerate() {
        let row_bytes = (matrix.bytes() / matrix.rows.max(1)).max(1);
        let mut first = 0;
        while !y.is_empty()
            && let Some(own) = task.as_deref_mut()
        {
            let room = (most.saturating_sub(own.bytes) / row_bytes).next_multiple_of(UNIT);
            // The last one takes what is left.
            let rows = if tasks.peek().is_none() { y.len() } else { room.min(y.len()) };
            if rows == 0 {
                task = tasks.next();
                continue;
            }
            let (piece, rest) = y.split_at_mut(rows);
            own.pieces[nth] = Some(Piece { x, matrix, first, y: piece });
            own.bytes += rows * row_bytes;
            (y, first) = (rest, first + rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of each task, and the rows of each matrix that it has, of three matrices and chains of so many bytes.
    fn shared(rows: usize, chains: [usize; 4], parts: usize) -> (Vec<usize>, Vec<[std::ops::Range<usize>; 3]>) {
        let matrix = |rows| Matrix::converted(vec![0.0; rows * 32], rows, 32);
        let (large, down) = (matrix(rows), matrix(0));
        let ups = chains.map(|bytes| matrix(bytes / 128));
        let mut y = vec![0.0; 3 * rows];
        let mut outputs = y.chunks_mut(rows);
        let wholes = [(); 3].map(|()| Whole { x: &[], matrix: &large, y: outputs.next().unwrap() });
        let chains = ups.each_ref().map(|up| {
            let (low, y): (&mut [f32], &mut [f32]) = Default::default();
            (up.rows > 0).then_some(Chain { x: &[], down: &down, middle: Middle::Plain, up, low, y })
        });
        let bytes = 3 * large.bytes() + ups.iter().map(Matrix::bytes).sum::<usize>();
        let mut tasks: Vec<Task<'_>> = (0..parts).map(|_| Task::default()).collect();
        share(wholes, chains, &mut tasks, bytes.div_ceil(parts));
        let of =
            |piece: &Option<Piece<'_>>| piece.as_ref().map_or(0..0, |piece| piece.first..piece.first + piece.y.len());
        let found = tasks.iter().map(|task| task.chains.iter().flatten().count()).sum::<usize>();
        assert_eq!(found, ups.iter().filter(|up| up.rows > 0).count(), "every chain has a thread");
        (
            tasks.iter().map(|task| task.bytes).collect(),
            tasks.iter().map(|task| task.pieces.each_ref().map(of)).collect(),
        )
    }

    #[test]
    fn every_row_has_one_thread_and_threads_read_alike() {
        for rows in [32, 96, 768, 1000, 2048] {
            for chains in [[0; 4], [1 << 18, 1 << 17, 1 << 16, 1 << 18], [1 << 20, 0, 0, 128]] {
                for parts in [1, 2, 3, 8, 16] {
                    let (bytes, pieces) = shared(rows, chains, parts);
                    for nth in 0..3 {
                        let mut next = 0;
                        for range in pieces.iter().map(|pieces| &pieces[nth]).filter(|range| !range.is_empty()) {
                            assert_eq!(range.start, next);
                            assert!(range.end == rows || range.end % UNIT == 0, "a cut between units: {range:?}");
                            next = range.end;
                        }
                        assert_eq!(next, rows, "{rows} {chains:?} {parts}");
                    }
                    // Only low-rank products, which are not cut, take a thread beyond its share.
                    let most = bytes.iter().sum::<usize>().div_ceil(parts) + UNIT * 128;
                    let has_rows = |pieces: &[std::ops::Range<usize>; 3]| pieces.iter().any(|range| !range.is_empty());
                    let mut sharing = bytes.iter().zip(&pieces).filter(|(_, pieces)| has_rows(pieces));
                    assert!(parts == 1 || sharing.all(|(&bytes, _)| bytes <= most), "{bytes:?}, at most {most}");
                }
            }
        }
    }
}
