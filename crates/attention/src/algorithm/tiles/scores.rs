//! Scores of a strip: P[j][row] = sum over d of K[j][d] Q[d][row].

use simd::{F32Vector, Simd, Vectorized};

/// K is `count` rows of `depth` floats, at least one. Q is `depth` rows of VECS vectors, P as many as there are keys,
/// rounded up to those of a register tile: additional rows repeat the last key.
pub(super) struct Scores<'m, const VECS: usize> {
    pub(super) q: &'m [f32],
    pub(super) k: &'m [f32],
    pub(super) depth: usize,
    pub(super) count: usize,
    pub(super) p: &'m mut [f32],
    /// VECS vectors: the largest score of each row. A NaN may be lost.
    pub(super) largest: &'m mut [f32],
}

impl<const VECS: usize> Vectorized for Scores<'_, VECS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match S::LANES {
            16 => scores::<S, 8, VECS>(simd, self),
            _ => scores::<S, 6, VECS>(simd, self),
        }
    }
}

#[inline(always)]
fn scores<S: Simd, const KEYS: usize, const VECS: usize>(simd: S, task: Scores<'_, VECS>) {
    let Scores { q, k, depth, count, p, largest } = task;
    let width = VECS * S::LANES;
    assert!(count > 0 && k.len() >= count * depth && q.len() >= depth * width, "rows of K and Q");
    assert!(p.len() >= count.next_multiple_of(KEYS) * width && largest.len() >= width, "room for scores");
    let (q, k, p) = (q.as_ptr(), k.as_ptr(), p.as_mut_ptr());
    let mut most = [simd.splat(f32::MIN); VECS];
    let mut j = 0;
    while j < count {
        let mut rows = [k; KEYS];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = k.wrapping_add((j + i).min(count - 1) * depth);
        }
        // SAFETY: all rows are rows of K; the lengths of K and Q are checked above.
        let sums = unsafe { products::<S, KEYS, VECS>(simd, q, rows, depth) };
        for i in 0..KEYS {
            for v in 0..VECS {
                most[v] = most[v].max(sums[i][v]);
                // SAFETY: P has a multiple of KEYS rows, which is checked above.
                unsafe { sums[i][v].store(p.add(((j + i) * VECS + v) * S::LANES)) };
            }
        }
        j += KEYS;
    }
    for v in 0..VECS {
        // SAFETY: `largest` has VECS vectors, which is checked above.
        unsafe { most[v].store(largest.as_mut_ptr().add(v * S::LANES)) };
    }
}

/// A register tile: KEYS x VECS sums. Each step loads VECS vectors and KEYS scalars for KEYS * VECS multiply-adds.
///
/// # Safety
/// `depth` floats can be read of every row, and as many times VECS vectors at `q`.
#[inline(always)]
unsafe fn products<S: Simd, const KEYS: usize, const VECS: usize>(
    simd: S,
    q: *const f32,
    rows: [*const f32; KEYS],
    depth: usize,
) -> [[S::F32; VECS]; KEYS] {
    let mut sums = [[simd.splat(0.0); VECS]; KEYS];
    for d in 0..depth {
        let mut x = [simd.splat(0.0); VECS];
        for v in 0..VECS {
            // SAFETY: vector v of row d of Q.
            x[v] = unsafe { simd.load(q.add((d * VECS + v) * S::LANES)) };
        }
        for i in 0..KEYS {
            // SAFETY: d < depth.
            let k = simd.splat(unsafe { *rows[i].add(d) });
            for v in 0..VECS {
                sums[i][v] = k.mul_add(x[v], sums[i][v]);
            }
        }
    }
    sums
}
