//! The output of a strip: O[d][row] <- factor[row] O[d][row] + sum over j of V[j][d] P[j][row].

use std::ops::Range;

use simd::{F32Vector, Simd, Vectorized};

use super::weights::Before;

/// V is `count` rows of `dim` floats, `stride` apart. P is as many rows of VECS vectors, O is `dim` such rows, rounded
/// up to a multiple of [`PADDING`](super::PADDING).
pub(super) struct Values<const VECS: usize> {
    pub(super) p: *const f32,
    pub(super) v: *const f32,
    pub(super) stride: usize,
    pub(super) count: usize,
    pub(super) dim: usize,
    pub(super) o: *mut f32,
    pub(super) factor: *const f32,
    pub(super) before: Before,
    /// Whether a weight whose sign bit is set takes no part, not even where V is not finite.
    pub(super) is_careful: bool,
}

impl<const VECS: usize> Vectorized for Values<VECS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // SAFETY: whoever makes a `Values` promises that all of it may be accessed.
        unsafe {
            match (self.is_careful, S::LANES) {
                (true, _) => values::<S, 1, VECS, true>(simd, &self, 0..self.dim),
                (false, 16) => values::<S, 8, VECS, false>(simd, &self, 0..self.dim),
                (false, _) => {
                    // Sixes leave 2 or 4 of the usual 32, 64 or 128 elements.
                    let rest = self.dim % 6;
                    let whole = if rest <= 4 { self.dim - rest } else { self.dim };
                    values::<S, 6, VECS, false>(simd, &self, 0..whole);
                    values::<S, 4, VECS, false>(simd, &self, whole..self.dim);
                }
            }
        }
    }
}

/// The rows of O in a range, with DIMS x VECS sums in registers. Each step loads VECS vectors and DIMS adjacent
/// scalars. Scalars beyond the end of a row repeat its last; their sums go to the padding of O.
///
/// # Safety
/// The memory of `task` may be accessed as it says.
#[inline(always)]
unsafe fn values<S: Simd, const DIMS: usize, const VECS: usize, const CAREFUL: bool>(
    simd: S,
    task: &Values<VECS>,
    range: Range<usize>,
) {
    let &Values { p, v: rows, stride, count, dim, o, factor, before, .. } = task;
    let mut d = range.start;
    while d < range.end {
        let mut sums = [[simd.splat(0.0); VECS]; DIMS];
        if before != Before::Nothing {
            for i in 0..DIMS {
                for v in 0..VECS {
                    // SAFETY: O is padded to a multiple of DIMS rows.
                    sums[i][v] = unsafe { simd.load(o.add(((d + i) * VECS + v) * S::LANES)) };
                }
            }
        }
        if before == Before::Scaled {
            for v in 0..VECS {
                // SAFETY: there are VECS vectors of factors.
                let factor = unsafe { simd.load(factor.add(v * S::LANES)) };
                for i in 0..DIMS {
                    sums[i][v] = sums[i][v] * factor;
                }
            }
        }
        // SAFETY: d < dim, and P and V have `count` rows.
        unsafe {
            match d + DIMS <= dim {
                true => add::<S, DIMS, VECS, CAREFUL>(simd, p, rows.add(d), stride, count, DIMS - 1, &mut sums),
                false => add::<S, DIMS, VECS, CAREFUL>(simd, p, rows.add(d), stride, count, dim - d - 1, &mut sums),
            }
        }
        for i in 0..DIMS {
            for v in 0..VECS {
                // SAFETY: as above.
                unsafe { sums[i][v].store(o.add(((d + i) * VECS + v) * S::LANES)) };
            }
        }
        d += DIMS;
    }
}

/// # Safety
/// `last` + 1 floats can be read at `rows` and `count` - 1 times `stride` further, `count` times VECS vectors at `p`.
#[inline(always)]
unsafe fn add<S: Simd, const DIMS: usize, const VECS: usize, const CAREFUL: bool>(
    simd: S,
    p: *const f32,
    rows: *const f32,
    stride: usize,
    count: usize,
    last: usize,
    sums: &mut [[S::F32; VECS]; DIMS],
) {
    for j in 0..count {
        let row = rows.wrapping_add(j * stride);
        let mut weights = [simd.splat(0.0); VECS];
        for v in 0..VECS {
            // SAFETY: vector v of row j of P.
            weights[v] = unsafe { simd.load(p.add((j * VECS + v) * S::LANES)) };
        }
        for i in 0..DIMS {
            // SAFETY: at most `last` floats further.
            let x = simd.splat(unsafe { *row.add(i.min(last)) });
            for v in 0..VECS {
                let sum = x.mul_add(weights[v], sums[i][v]);
                sums[i][v] = if CAREFUL { weights[v].select_negative(sums[i][v], sum) } else { sum };
            }
        }
    }
}
