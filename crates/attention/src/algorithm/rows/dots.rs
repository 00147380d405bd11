//! The two products of a chunk of keys: scores q . K[j], and sums of weighted rows of V.

use simd::{Element, F32Vector, Simd, prefetch_l1};

use super::CHUNK;

/// Rows of K that are multiplied together: that many streams, and chains of sums, keep memory and arithmetic busy.
const KEYS: usize = 4;

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// scores[n][j] = q[n] . K[j] for N rows of q, one after the other, and `count` rows of K, `k.1` elements apart. Rows
/// of scores are CHUNK apart. Meanwhile, as many rows of V are prefetched, `v.1` elements apart and `v.2` long.
///
/// # Safety
/// Rows of K are as long as those of q.
#[inline(always)]
pub(super) unsafe fn dots<S: Simd, E: Element, const N: usize>(
    simd: S,
    q: &[f32],
    k: (*const E, usize),
    v: (*const E, usize, usize),
    count: usize,
    scores: &mut [f32],
) {
    let depth = q.len() / N;
    let mut j = 0;
    while j < count {
        for key in j..count.min(j + KEYS) {
            prefetch_row(v.0.wrapping_add(key * v.1), v.2);
        }
        let row = k.0.wrapping_add(j * k.1);
        // SAFETY: rows from j on exist, KEYS of them or one.
        unsafe {
            if j + KEYS <= count {
                dots_of::<S, E, N, KEYS>(simd, q, depth, row, k.1, &mut scores[j..]);
                j += KEYS;
            } else {
                dots_of::<S, E, N, 1>(simd, q, depth, row, k.1, &mut scores[j..]);
                j += 1;
            }
        }
    }
}

/// Prefetches a row of `len` elements, wherever it may be.
#[inline(always)]
fn prefetch_row<E>(row: *const E, len: usize) {
    let (row, bytes) = (row.cast::<u8>(), len * size_of::<E>());
    let mut offset = 0;
    while offset < bytes {
        prefetch_l1(row.wrapping_add(offset));
        offset += LINE_BYTES;
    }
}

/// # Safety
/// There are M rows, `stride` elements apart, of `depth` elements each.
#[inline(always)]
unsafe fn dots_of<S: Simd, E: Element, const N: usize, const M: usize>(
    simd: S,
    q: &[f32],
    depth: usize,
    rows: *const E,
    stride: usize,
    scores: &mut [f32],
) {
    let mut sums = [[simd.splat(0.0); M]; N];
    let mut d = 0;
    while d < depth {
        let rest = depth - d;
        // SAFETY: no more than the rest of each row of Q and K is read.
        unsafe {
            let mut x = [simd.splat(0.0); N];
            for n in 0..N {
                x[n] = simd.load_partial(q.as_ptr().add(n * depth + d), rest);
            }
            for m in 0..M {
                let row = rows.wrapping_add(m * stride + d);
                let y = if rest >= S::LANES { E::load(simd, row) } else { E::load_partial(simd, row, rest) };
                for n in 0..N {
                    sums[n][m] = x[n].mul_add(y, sums[n][m]);
                }
            }
        }
        d += S::LANES;
    }
    for n in 0..N {
        let scores = &mut scores[n * CHUNK..][..M];
        if let &[a, b, c, d] = &sums[n][..] {
            scores.copy_from_slice(&S::F32::reduce_sums([a, b, c, d]));
        } else {
            for m in 0..M {
                scores[m] = sums[n][m].reduce_sum();
            }
        }
    }
}

/// acc[n] += sum over j of weights[n][j] V[j] for N rows of `acc`, one after the other, and `count` rows of V, `v.1`
/// elements apart. Rows of weights are CHUNK apart. Meanwhile, as many rows from `next` on are prefetched.
///
/// # Safety
/// Rows of V are as long as those of `acc`.
#[inline(always)]
pub(super) unsafe fn add_rows<S: Simd, E: Element, const N: usize>(
    simd: S,
    weights: &[f32],
    count: usize,
    v: (*const E, usize),
    next: (*const E, usize),
    acc: &mut [f32],
) {
    let dim = acc.len() / N;
    // As many sums as registers allow.
    let vectors = if S::LANES == 16 { 4 } else { 2 };
    let mut d = 0;
    while d < dim {
        let rest = dim - d;
        // SAFETY: no more than the rest of each row of V and `acc` is accessed.
        unsafe {
            match (vectors, rest >= vectors * S::LANES) {
                (4, true) => add::<S, E, N, 4>(simd, weights, count, v, next, d, dim, acc),
                (_, true) => add::<S, E, N, 2>(simd, weights, count, v, next, d, dim, acc),
                (_, false) => add::<S, E, N, 1>(simd, weights, count, v, next, d, dim, acc),
            }
        }
        d += if rest >= vectors * S::LANES { vectors * S::LANES } else { S::LANES };
    }
}

/// Elements from `d` on, VECS vectors of them; or, with one vector, as many as are left.
///
/// # Safety
/// As [`add_rows`].
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the inner step of the function above, which has them all")]
unsafe fn add<S: Simd, E: Element, const N: usize, const VECS: usize>(
    simd: S,
    weights: &[f32],
    count: usize,
    v: (*const E, usize),
    next: (*const E, usize),
    d: usize,
    dim: usize,
    acc: &mut [f32],
) {
    let rest = dim - d;
    let is_whole = rest >= VECS * S::LANES;
    let mut sums = [[simd.splat(0.0); VECS]; N];
    for n in 0..N {
        for i in 0..VECS {
            // SAFETY: no more than the rest of the row is read.
            sums[n][i] = unsafe { simd.load_partial(acc.as_ptr().add(n * dim + d + i * S::LANES), rest) };
        }
    }
    for j in 0..count {
        let row = v.0.wrapping_add(j * v.1 + d);
        prefetch_row(next.0.wrapping_add(j * next.1 + d), VECS * S::LANES);
        for i in 0..VECS {
            // SAFETY: no more than the rest of the row is read.
            let x = unsafe {
                let at = row.add(i * S::LANES);
                if is_whole { E::load(simd, at) } else { E::load_partial(simd, at, rest) }
            };
            for n in 0..N {
                sums[n][i] = simd.splat(weights[n * CHUNK + j]).mul_add(x, sums[n][i]);
            }
        }
    }
    for n in 0..N {
        for i in 0..VECS {
            // SAFETY: no more than the rest of the row is written.
            unsafe { sums[n][i].store_partial(acc.as_mut_ptr().add(n * dim + d + i * S::LANES), rest) };
        }
    }
}
