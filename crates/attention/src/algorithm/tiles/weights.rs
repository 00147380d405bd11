//! Weights of a strip: P[j][row] <- 2^(P[j][row] - m[row]), with the largest score m and the sum of weights so far.

use simd::{F32Vector, Simd, Vectorized, math::exp2_weight};

/// What happens to the output of the blocks before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// There is none: it is not read.
    Nothing,
    /// It is kept, since no row has a larger score than before.
    Kept,
    /// It is multiplied by the factors.
    Scaled,
}

/// P is `count` rows of VECS vectors, and perhaps more; all others are VECS vectors.
pub(super) struct Weights<'m, const VECS: usize> {
    pub(super) p: &'m mut [f32],
    pub(super) count: usize,
    /// The largest score of this block.
    pub(super) largest: &'m [f32],
    /// The largest score of all blocks, in and out.
    pub(super) max: &'m mut [f32],
    /// The sum of weights, in and out.
    pub(super) sum: &'m mut [f32],
    /// Out: what sums of the blocks before are multiplied by.
    pub(super) factor: &'m mut [f32],
    /// Whether this is the first block: `max` and `sum` are not read then.
    pub(super) is_first: bool,
}

impl<const VECS: usize> Vectorized for Weights<'_, VECS> {
    type Output = Before;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Before {
        let Self { p, count, largest, max, sum, factor, is_first } = self;
        let width = VECS * S::LANES;
        assert!(p.len() >= count * width, "a score for each key and lane");
        let shortest = largest.len().min(max.len()).min(sum.len()).min(factor.len());
        assert!(shortest >= width, "a number for each lane");
        let (p, largest) = (p.as_mut_ptr(), largest.as_ptr());
        let (max, sum, factor) = (max.as_mut_ptr(), sum.as_mut_ptr(), factor.as_mut_ptr());
        let (mut most, mut sums) = ([simd.splat(f32::MIN); VECS], [simd.splat(0.0); VECS]);
        let mut growth = simd.splat(0.0);
        for v in 0..VECS {
            // SAFETY: vector v of each; their lengths are checked above.
            unsafe {
                let own = simd.load(largest.add(v * S::LANES));
                if is_first {
                    most[v] = most[v].max(own);
                } else {
                    let before = simd.load(max.add(v * S::LANES));
                    most[v] = before.max(own);
                    growth = growth + (most[v] - before);
                    let scale = exp2_weight(simd, before - most[v]);
                    scale.store(factor.add(v * S::LANES));
                    sums[v] = simd.load(sum.add(v * S::LANES)) * scale;
                }
                most[v].store(max.add(v * S::LANES));
            }
        }
        for j in 0..count {
            for v in 0..VECS {
                // SAFETY: vector v of row j of P, whose length is checked above.
                unsafe {
                    let at = p.add((j * VECS + v) * S::LANES);
                    let weight = exp2_weight(simd, simd.load(at) - most[v]);
                    weight.store(at);
                    sums[v] = sums[v] + weight;
                }
            }
        }
        for v in 0..VECS {
            // SAFETY: as above.
            unsafe { sums[v].store(sum.add(v * S::LANES)) };
        }
        // A NaN is no 0.
        match (is_first, growth.reduce_sum() == 0.0) {
            (true, _) => Before::Nothing,
            (false, true) => Before::Kept,
            (false, false) => Before::Scaled,
        }
    }
}
