//! What happens to scores between their product and their softmax: terms are added, and masked ones removed.

use std::{f32::consts::LOG2_E, ops::Range};

use simd::{F32Vector, Simd, Vectorized};

use crate::{parts::Rows, problem::Problem};

/// Which keys of a block each row of a strip sees: `from[row] <= j < to[row]`, as floats, which are exact for so small
/// numbers.
pub(super) struct Limits<'l> {
    from: &'l [f32],
    to: &'l [f32],
}

impl<'l> Limits<'l> {
    /// The limits of all lanes for some keys. `from` and `to` have room for them.
    pub(super) fn new(
        problem: &Problem<'_>,
        rows: &Rows<'_>,
        keys: &Range<usize>,
        from: &'l mut [f32],
        to: &'l mut [f32],
    ) -> Self {
        for (lane, (from, to)) in from.iter_mut().zip(to.iter_mut()).enumerate() {
            let seen = problem.visible(&rows.block.sequence, rows.query(lane));
            let place = |key: usize| (key.clamp(keys.start, keys.end) - keys.start) as f32;
            (*from, *to) = (place(seen.start), place(seen.end));
        }
        Self { from, to }
    }
}

/// P[j][row] += log2(e) term, for `keys.len()` rows of P.
pub(super) fn add_terms(problem: &Problem<'_>, rows: &Rows<'_>, keys: &Range<usize>, p: &mut [f32], width: usize) {
    for lane in 0..width {
        let (query, head) = (rows.query(lane), rows.head(lane));
        let scores = p[lane..].iter_mut().step_by(width);
        problem.add_terms(&rows.block.sequence, [head, query], keys.clone(), LOG2_E, scores);
    }
}

/// Replaces numbers outside of limits, and finds the largest of the others.
pub(super) struct Mask<'m, const VECS: usize> {
    /// `count` rows of VECS vectors, and perhaps more.
    pub(super) p: &'m mut [f32],
    pub(super) count: usize,
    /// `None` where every row sees every key.
    pub(super) limits: Option<&'m Limits<'m>>,
    /// What masked numbers become.
    pub(super) masked: f32,
    /// VECS vectors: the largest number of each row. A NaN may be lost.
    pub(super) largest: &'m mut [f32],
}

impl<const VECS: usize> Vectorized for Mask<'_, VECS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { p, count, limits, masked, largest } = self;
        assert!(
            p.len() >= count * VECS * S::LANES && largest.len() >= VECS * S::LANES,
            "a score for each key and lane"
        );
        let p = p.as_mut_ptr();
        let masked = simd.splat(masked);
        for v in 0..VECS {
            let mut most = simd.splat(f32::MIN);
            // Everything is inside of these.
            let (mut from, mut to) = (simd.splat(0.0), simd.splat(count as f32));
            if let Some(Limits { from: first, to: end }) = limits {
                assert!(first.len() >= (v + 1) * S::LANES && end.len() >= (v + 1) * S::LANES, "a limit for each lane");
                // SAFETY: both have these lanes.
                unsafe {
                    from = simd.load(first.as_ptr().add(v * S::LANES));
                    to = simd.load(end.as_ptr().add(v * S::LANES));
                }
            }
            let last = to - simd.splat(1.0);
            for j in 0..count {
                let key = simd.splat(j as f32);
                // Negative where the key is before the first or after the last.
                let inside = (key - from).min(last - key);
                // SAFETY: vector v of row j of P, whose length is checked above.
                unsafe {
                    let at = p.add((j * VECS + v) * S::LANES);
                    let x = inside.select_negative(masked, simd.load(at));
                    x.store(at);
                    most = most.max(x);
                }
            }
            // SAFETY: `largest` has VECS vectors, which is checked above.
            unsafe { most.store(largest.as_mut_ptr().add(v * S::LANES)) };
        }
    }
}
