//! The output of a strip: O[d][row] <- factor[row] O[d][row] + sum over j of V[j][d] P[j][row].

use std::ops::Range;

use simd::{F32Vector, Simd, Vectorized};

use super::weights::Before;

/// V is `count` rows of `dim` floats. P is as many rows of VECS vectors, O is `dim` such rows, rounded up to a multiple
/// of [`PADDING`](super::PADDING), and `factor` one.
pub(super) struct Values<'m, const VECS: usize> {
    pub(super) p: &'m [f32],
    pub(super) v: &'m [f32],
    pub(super) count: usize,
    pub(super) dim: usize,
    pub(super) o: &'m mut [f32],
    pub(super) factor: &'m [f32],
    pub(super) before: Before,
    /// Whether a weight whose sign bit is set takes no part, not even where V is not finite.
    pub(super) is_careful: bool,
}

impl<const VECS: usize> Vectorized for Values<'_, VECS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (dim, task) = (self.dim, &mut self);
        match (task.is_careful, S::LANES) {
            (true, _) => values::<S, 1, VECS, true>(simd, task, 0..dim),
            (false, 16) => values::<S, 8, VECS, false>(simd, task, 0..dim),
            (false, _) => {
                // Sixes leave 2 or 4 of the usual 32, 64 or 128 elements.
                let rest = dim % 6;
                let whole = if rest <= 4 { dim - rest } else { dim };
                values::<S, 6, VECS, false>(simd, task, 0..whole);
                values::<S, 4, VECS, false>(simd, task, whole..dim);
            }
        }
    }
}

/// The rows of O in a range, with DIMS x VECS sums in registers. Each step loads VECS vectors and DIMS adjacent
/// scalars. Scalars beyond the end of a row repeat its last; their sums go to the padding of O.
#[inline(always)]
fn values<S: Simd, const DIMS: usize, const VECS: usize, const CAREFUL: bool>(
    simd: S,
    task: &mut Values<'_, VECS>,
    range: Range<usize>,
) {
    let Values { p, v: rows, count, dim, ref mut o, factor, before, .. } = *task;
    let (width, tiles) = (VECS * S::LANES, range.len().next_multiple_of(DIMS));
    assert!(range.end <= dim && o.len() >= (range.start + tiles) * width, "rows of O for whole tiles");
    assert!(rows.len() >= count * dim && p.len() >= count * width, "a row of V and of P for each key");
    assert!(factor.len() >= width, "a factor for each lane");
    let (p, rows, o, factor) = (p.as_ptr(), rows.as_ptr(), o.as_mut_ptr(), factor.as_ptr());
    let mut d = range.start;
    while d < range.end {
        let mut sums = [[simd.splat(0.0); VECS]; DIMS];
        if before != Before::Nothing {
            for i in 0..DIMS {
                for v in 0..VECS {
                    // SAFETY: O has rows for whole tiles, which is checked above.
                    sums[i][v] = unsafe { simd.load(o.add(((d + i) * VECS + v) * S::LANES)) };
                }
            }
        }
        if before == Before::Scaled {
            for v in 0..VECS {
                // SAFETY: there are VECS vectors of factors, which is checked above.
                let factor = unsafe { simd.load(factor.add(v * S::LANES)) };
                for i in 0..DIMS {
                    sums[i][v] = sums[i][v] * factor;
                }
            }
        }
        // SAFETY: d < dim, and P and V have `count` rows, which is checked above.
        unsafe {
            match d + DIMS <= dim {
                true => add::<S, DIMS, VECS, CAREFUL>(simd, p, rows.add(d), dim, count, DIMS - 1, &mut sums),
                false => add::<S, DIMS, VECS, CAREFUL>(simd, p, rows.add(d), dim, count, dim - d - 1, &mut sums),
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
