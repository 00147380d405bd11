//! One thread's pass over its buffer, and the loops that read.
//!
//! The widest loads of the machine, summed so that the compiler cannot drop one; no writes. Two streams at once, one
//! per half of the buffer, keep more of the prefetchers at work than one; four and more share the L1's ways with each
//! other and cost a fifth of the bandwidth of L2. Vector additions take 2 cycles on some machines and 2 loads start per
//! cycle: hence at least 4 sums.

use std::{iter, slice, sync::Arc};

use super::super::{lines::Line, thread_team::Task};
#[cfg(target_arch = "x86_64")]
use crate::isa::{Avx2, Avx512};
use crate::memory::Buffer;

/// Bytes of one piece: 10 microseconds from the fastest level, so that reading the clock costs less than 0.5 %.
const PIECE_BYTES: usize = 2 << 20;
/// Lines of one round per stream. Streams, and the parts of them that are read at once, are multiples of it.
const ROUND: usize = 2;

/// One thread's place in its buffer.
pub(in crate::ceiling) struct Walk {
    buffer: Arc<Buffer<Line>>,
    /// Line of both streams that comes next.
    next: usize,
    /// Whether the buffer is meant to lie in a cache when the clock starts.
    cached: bool,
    body: Body,
}

impl Walk {
    /// A walk that begins at `start` of the buffer, a share of it below 1.
    pub(in crate::ceiling) fn new(buffer: Arc<Buffer<Line>>, start: f64, cached: bool) -> Self {
        let mut walk = Self { buffer, next: 0, cached, body: Body::widest() };
        walk.next = (walk.stream_lines() as f64 * start) as usize / ROUND * ROUND;
        walk
    }

    /// Lines of one stream.
    fn stream_lines(&self) -> usize {
        self.buffer.len() / 2 / ROUND * ROUND
    }

    /// Reads up to `lines` lines of each stream, fewer at the end of the buffer. Returns how many lines of each were
    /// read, and the words that the sums counted in both.
    fn advance(&mut self, lines: usize) -> (usize, u64) {
        let len = self.stream_lines();
        let end = len.min(self.next.saturating_add(lines));
        let (first, second) = self.buffer[..2 * len].split_at(len);
        let words = self.body.words(&first[self.next..end], &second[self.next..end]);
        let read = end - self.next;
        self.next = if end == len { 0 } else { end };
        (read, words.into())
    }
}

impl Task for Walk {
    /// Reads the whole buffer once if it is meant to be in a cache: earlier work may have evicted it.
    fn prime(&mut self) {
        if self.cached {
            let place = self.next;
            self.next = 0;
            self.advance(usize::MAX);
            self.next = place;
        }
    }

    fn piece(&mut self) -> u64 {
        let mut lines = PIECE_BYTES / size_of::<Line>() / 2;
        let mut words = 0;
        while lines > 0 {
            let (read, counted) = self.advance(lines);
            if read == 0 {
                break;
            }
            words += counted;
            lines -= read;
        }
        words * size_of::<u32>() as u64
    }
}

/// The loop, chosen by the token that its instructions need.
#[derive(Debug, Clone, Copy)]
enum Body {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Body {
    fn widest() -> Self {
        Self::all().last().unwrap_or(Self::Portable)
    }

    /// The loops that this machine can run, the widest last.
    fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = [Avx2::new().map(Self::Avx2), Avx512::new().map(Self::Avx512)];
        #[cfg(not(target_arch = "x86_64"))]
        let wide = [None; 0];
        iter::once(Self::Portable).chain(wide.into_iter().flatten())
    }

    /// Words in both streams, counted by reading them; modulo 2^32. The streams are equally long, a multiple of
    /// [`ROUND`].
    fn words(self, first: &[Line], second: &[Line]) -> u32 {
        debug_assert!(first.len() == second.len() && first.len().is_multiple_of(ROUND));
        let rounds = first.as_chunks().0.iter().zip(second.as_chunks().0);
        match self {
            Self::Portable => portable(rounds),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Avx2` exists only where the features that `avx2` enables were detected.
            Self::Avx2(_) => unsafe { avx2(rounds) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Avx512` exists only where the features that `avx512` enables were detected.
            Self::Avx512(_) => unsafe { avx512(rounds) },
        }
    }
}

/// Pairs of the lines that one round reads, one part from each stream.
type Rounds<'a> = iter::Zip<slice::Iter<'a, [Line; ROUND]>, slice::Iter<'a, [Line; ROUND]>>;

/// Wrapping sum of all lanes.
fn total(lanes: &[u32]) -> u32 {
    lanes.iter().fold(0, |sum, &lane| sum.wrapping_add(lane))
}

/// The compiler's own vectors: SSE2 on x86-64, NEON on aarch64.
#[inline(never)]
fn portable(rounds: Rounds<'_>) -> u32 {
    let mut sums = [0u32; Line::WORDS];
    for (first, second) in rounds {
        for line in first.iter().chain(second) {
            for (sum, word) in sums.iter_mut().zip(line.0) {
                *sum = sum.wrapping_add(word);
            }
        }
    }
    total(&sums)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
#[inline(never)]
fn avx2(rounds: Rounds<'_>) -> u32 {
    use std::arch::x86_64::{_mm256_add_epi32, _mm256_load_si256, _mm256_setzero_si256};
    let mut sums = [_mm256_setzero_si256(); 8];
    for ([a, b], [c, d]) in rounds {
        for (sums, line) in sums.as_chunks_mut::<2>().0.iter_mut().zip([a, b, c, d]) {
            let start = line.0.as_ptr().cast();
            // SAFETY: a line is two vectors long and aligned to 64 bytes.
            let (low, high) = unsafe { (_mm256_load_si256(start), _mm256_load_si256(start.add(1))) };
            *sums = [_mm256_add_epi32(sums[0], low), _mm256_add_epi32(sums[1], high)];
        }
    }
    // SAFETY: a vector is eight u32 without padding.
    total(unsafe { sums.align_to::<u32>().1 })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
#[inline(never)]
fn avx512(rounds: Rounds<'_>) -> u32 {
    use std::arch::x86_64::{_mm512_add_epi32, _mm512_load_si512, _mm512_setzero_si512};
    let mut sums = [_mm512_setzero_si512(); 4];
    for ([a, b], [c, d]) in rounds {
        for (sum, line) in sums.iter_mut().zip([a, b, c, d]) {
            // SAFETY: a line is one vector long and aligned to 64 bytes.
            let words = unsafe { _mm512_load_si512(line.0.as_ptr().cast()) };
            *sum = _mm512_add_epi32(*sum, words);
        }
    }
    // SAFETY: a vector is sixteen u32 without padding.
    total(unsafe { sums.align_to::<u32>().1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceiling::lines::numbered;

    fn walk(bytes: usize, start: f64) -> Walk {
        Walk::new(Arc::new(numbered(bytes).unwrap()), start, true)
    }

    #[test]
    fn every_body_counts_the_words_it_reads() {
        let buffer = numbered(64 * 1000).unwrap();
        let (first, second) = buffer.split_at(500);
        for body in Body::all() {
            for lines in [0, 2, 4, 498, 500] {
                let words = body.words(&first[..lines], &second[..lines]);
                assert_eq!(words as usize, 2 * lines * Line::WORDS, "{body:?}");
            }
        }
    }

    #[test]
    fn a_wrong_word_changes_the_count() {
        let mut wrong: Vec<Line> = numbered(64 * 8).unwrap().to_vec();
        wrong[5].0[3] = wrong[5].0[3].wrapping_add(1);
        for body in Body::all() {
            assert_ne!(body.words(&wrong[..4], &wrong[4..]) as usize, 8 * Line::WORDS, "{body:?}");
        }
    }

    #[test]
    fn a_piece_reads_what_it_claims_however_the_buffer_divides_it() {
        for bytes in [64 * 4, 64 * 5, 64 * 1022, 1 << 20, (2 << 20) + 64 * 7, 5 << 20] {
            for start in [0.0, 0.3, 0.999] {
                let mut walk = walk(bytes, start);
                for _ in 0..3 {
                    assert_eq!(walk.piece(), PIECE_BYTES as u64, "{bytes} bytes from {start}");
                }
            }
        }
        assert_eq!(walk(64, 0.0).piece(), 0, "too small for a round, but no endless loop");
    }

    #[test]
    fn priming_keeps_the_place() {
        let mut walk = walk(1 << 20, 0.5);
        let place = walk.next;
        assert!(place > 0);
        walk.prime();
        assert_eq!(walk.next, place);
    }
}
