//! The two products of a chunk of keys: scores q . K[j], and sums of weighted rows of V.

use simd::{Element, F32Vector, Simd, prefetch_l1};

use super::CHUNK;

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// scores[n][j] = q[n] . K[j] for N rows of q, one after the other, and `count` rows of K, `k.1` elements apart. Rows
/// of scores are CHUNK apart. Meanwhile, as many rows of V are prefetched, `v.1` elements apart and `v.2` long.
///
/// Some rows of K are multiplied together: that many streams, and N times as many chains of sums, keep memory and
/// arithmetic busy. With 32 registers there are 16 chains, or 4 for a single row; with 16 registers 8.
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
    // SAFETY: as the caller promises.
    unsafe {
        match (S::LANES, N) {
            (16, 8) | (..16, 3..) => dots_by::<S, E, N, 2>(simd, q, k, v, count, scores),
            _ => dots_by::<S, E, N, 4>(simd, q, k, v, count, scores),
        }
    }
}

/// With M rows of K together.
///
/// # Safety
/// As [`dots`].
#[inline(always)]
unsafe fn dots_by<S: Simd, E: Element, const N: usize, const M: usize>(
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
        for key in j..count.min(j + M) {
            prefetch_row(v.0.wrapping_add(key * v.1), v.2);
        }
        let row = k.0.wrapping_add(j * k.1);
        // SAFETY: rows from j on exist, M of them or one.
        unsafe {
            if j + M <= count {
                dots_of::<S, E, N, M>(simd, q, depth, row, k.1, &mut scores[j..]);
                j += M;
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
        let is_whole = rest >= S::LANES;
        let mut y = [simd.splat(0.0); M];
        for m in 0..M {
            let row = rows.wrapping_add(m * stride + d);
            // SAFETY: no more than the rest of the row is read.
            y[m] = unsafe { if is_whole { E::load(simd, row) } else { E::load_partial(simd, row, rest) } };
        }
        for n in 0..N {
            let row = q.as_ptr().wrapping_add(n * depth + d);
            // SAFETY: no more than the rest of the row is read.
            let x = unsafe { if is_whole { simd.load(row) } else { simd.load_partial(row, rest) } };
            for m in 0..M {
                sums[n][m] = x.mul_add(y[m], sums[n][m]);
            }
        }
        d += S::LANES;
    }
    if N * M == 16 {
        let mut all = [simd.splat(0.0); 16];
        for n in 0..N {
            for m in 0..M {
                all[n * M + m] = sums[n][m];
            }
        }
        let sums = S::F32::reduce_sums_16(all);
        for n in 0..N {
            scores[n * CHUNK..][..M].copy_from_slice(&sums[n * M..][..M]);
        }
        return;
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
    let vectors = if S::LANES == 16 && N <= 4 { 4 } else { 2 };
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
    assert!(count <= CHUNK && weights.len() >= N * CHUNK, "a weight for each row and key");
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
        let mut x = [simd.splat(0.0); VECS];
        for i in 0..VECS {
            // SAFETY: no more than the rest of the row is read.
            x[i] = unsafe {
                let at = row.add(i * S::LANES);
                if is_whole { E::load(simd, at) } else { E::load_partial(simd, at, rest) }
            };
        }
        for n in 0..N {
            // SAFETY: there are N rows of CHUNK weights, which is checked above.
            let weight = simd.splat(unsafe { *weights.get_unchecked(n * CHUNK + j) });
            for i in 0..VECS {
                sums[n][i] = weight.mul_add(x[i], sums[n][i]);
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
