//! Pieces: runs of tokens of one frame that a thread works on at a time.
//!
//! Where pieces begin depends on the input alone, not on the number of threads: so neither do results. Threads take the
//! next piece whenever they are free.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use crate::{
    config::{SPECIAL, Shape},
    error::RunError,
};

/// Most tokens of a piece: three strips of queries in attention, each of three AVX-512 vectors. The hidden layer of a
/// piece, 4C channels, stays in the level-2 cache for small C.
const MAX_TOKENS: usize = 144;

/// A run of tokens of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Frame in its sequence.
    pub(crate) frame: usize,
    /// Tokens of the frame.
    pub(crate) tokens: Range<usize>,
}

impl Piece {
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }
}

/// Tokens of the largest piece.
pub(crate) fn largest(shape: &Shape) -> usize {
    let tokens = shape.tokens();
    // As equal as possible: a last piece of a few tokens would take as long as a larger one.
    tokens.div_ceil(tokens.div_ceil(MAX_TOKENS))
}

/// Tokens and patches of a frame's first piece, of its second and of its last: all others are like the second.
pub(crate) fn sizes(shape: &Shape) -> impl Iterator<Item = [usize; 2]> + use<> {
    let (tokens, len) = (shape.tokens(), largest(shape));
    let starts = [0, len, (tokens - 1) / len * len].into_iter().filter(move |start| *start < tokens);
    starts.map(move |start| {
        let end = tokens.min(start + len);
        [end - start, end.max(SPECIAL) - start.max(SPECIAL)]
    })
}

/// The pieces of one frame.
pub(crate) fn of_frame(shape: &Shape, frame: usize) -> impl Iterator<Item = Piece> + use<> {
    let (tokens, len) = (shape.tokens(), largest(shape));
    (0..tokens).step_by(len).map(move |start| Piece { frame, tokens: start..tokens.min(start + len) })
}

/// The pieces of all frames of a sequence, in order.
pub(crate) fn of_sequence(shape: &Shape) -> impl Iterator<Item = Piece> + use<> {
    let shape = *shape;
    (0..shape.frames).flat_map(move |frame| of_frame(&shape, frame))
}

/// The first `len` elements of what is left of a slice.
pub(crate) fn take<'a, T>(rest: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (first, after) = std::mem::take(rest).split_at_mut(len);
    *rest = after;
    first
}

/// Calls `work` on every part, on as many threads as there are scratches. After an error no further part is begun.
pub(crate) fn for_each<P, S: Send>(
    parts: impl Iterator<Item = P> + Send,
    scratches: &mut [S],
    work: impl Fn(P, &mut S) -> Result<(), RunError> + Sync,
) -> Result<(), RunError> {
    let parts = Mutex::new(parts);
    // The iterators cannot panic while they are locked.
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    on_threads(scratches, &|scratch| {
        while let Some(part) = next() {
            work(part, scratch).inspect_err(|_| while next().is_some() {})?;
        }
        Ok(())
    })
}

fn on_threads<S: Send>(
    scratches: &mut [S],
    work: &(impl Fn(&mut S) -> Result<(), RunError> + Sync),
) -> Result<(), RunError> {
    match scratches {
        [] => Ok(()),
        [only] => work(only),
        several => {
            let (left, right) = several.split_at_mut(several.len() / 2);
            let (left, right) = rayon::join(|| on_threads(left, work), || on_threads(right, work));
            left.and(right)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::patches_of;

    #[test]
    fn pieces_cover_every_token_once() {
        for (frames, height, width) in [(1, 14, 14), (3, 112, 112), (2, 518, 518), (2, 14, 14 * 124)] {
            let shape = Shape { batch: 1, frames, height, width };
            let mut next = (0, 0);
            for piece in of_sequence(&shape) {
                if next.1 == shape.tokens() {
                    next = (next.0 + 1, 0);
                }
                assert_eq!((piece.frame, piece.tokens.start), next);
                assert!(piece.len() <= largest(&shape) && largest(&shape) <= MAX_TOKENS && piece.len() > 0);
                next.1 = piece.tokens.end;
            }
            assert_eq!(next, (frames - 1, shape.tokens()));
            let sizes: Vec<_> = sizes(&shape).collect();
            for piece in of_sequence(&shape) {
                assert!(sizes.contains(&[piece.len(), patches_of(&piece).len()]), "{piece:?} {sizes:?}");
            }
        }
    }

    #[test]
    fn every_part_is_worked_on_and_errors_end_the_work() {
        for threads in 1..=4 {
            let mut sums = vec![0; threads];
            for_each(0..100, &mut sums, |part, sum| {
                *sum += part;
                Ok(())
            })
            .unwrap();
            assert_eq!(sums.iter().sum::<i32>(), 4950);
            let result = for_each(0..100, &mut sums, |part, _| match part {
                50 => Err(RunError::OtherModel),
                _ => Ok(()),
            });
            assert_eq!(result, Err(RunError::OtherModel));
        }
    }
}
