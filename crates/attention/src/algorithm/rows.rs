//! One row of the output after the other, with vectors along the elements of a head.
//!
//! The softmax is formed online (Milakov and Gimelshein, arXiv 1805.02867): a row keeps the largest score m so far, the
//! sum l of the weights 2^(s - m), and the sum of weighted rows of V. When m grows, both sums are multiplied by
//! 2^(m before - m).
//!
//! ```text
//!   q = scale log2(e) Q[row]                  so that weights are powers of 2
//!   for every KEYS keys that the row sees:    no others are read
//!     s[j] = q . K[j] + log2(e) term[j]
//!     m, l, acc *= 2^(m before - m)
//!     p[j] = 2^(s[j] - m),  l += p[j]
//!     acc += p[j] V[j]
//!   O[row] = acc / l
//! ```

use std::f32::consts::{LN_2, LOG2_E};

use simd::{Element, F32Vector, Simd, Vectorized, math::exp2_weight, with_element_type};

use crate::{parts::Block, problem::Problem, shape::Shape, view::Input, workspace::LINE};

/// Queries of a block.
pub(crate) const QUERIES: usize = 16;

/// Keys that are weighted together.
const KEYS: usize = 64;

/// Vectors of sums that are held in registers.
const VECTORS: usize = 4;

/// Floats of workspace that a thread needs.
pub(crate) fn scratch_floats(shape: &Shape) -> usize {
    shape.head_dim.next_multiple_of(LINE) + shape.value_dim.next_multiple_of(LINE) + KEYS
}

/// Computes a block.
pub(crate) struct Rows<'p, 's> {
    pub(crate) problem: &'p Problem<'p>,
    pub(crate) block: &'p Block,
    /// At least [`scratch_floats`].
    pub(crate) scratch: &'s mut [f32],
}

impl Vectorized for Rows<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { problem, block, scratch } = self;
        let Shape { head_dim, value_dim, .. } = problem.shape;
        let (q, rest) = scratch.split_at_mut(head_dim.next_multiple_of(LINE));
        let (acc, rest) = rest.split_at_mut(value_dim.next_multiple_of(LINE));
        let (q, acc) = (&mut q[..head_dim], &mut acc[..value_dim]);
        let Some(scores) = rest.first_chunk_mut::<KEYS>() else { unreachable!("the workspace has room for scores") };
        let group = problem.shape.group();
        for query in block.queries.clone() {
            for head in block.kv_head * group..(block.kv_head + 1) * group {
                let row = Row { query, head, q, acc, scores };
                with_element_type!(problem.k.element_type(), E => weigh::<S, E>(simd, problem, block, row));
            }
        }
    }
}

/// One row and the memory to compute it in.
struct Row<'s> {
    query: usize,
    head: usize,
    q: &'s mut [f32],
    acc: &'s mut [f32],
    scores: &'s mut [f32; KEYS],
}

#[inline(always)]
fn weigh<S: Simd, E: Element>(simd: S, problem: &Problem<'_>, block: &Block, row: Row<'_>) {
    let Row { query, head, q, acc, scores } = row;
    let sequence = &block.sequence;
    let token = sequence.queries.start + query;
    copy_row(problem.q, [sequence.batch, token, head], problem.scale * LOG2_E, q);
    acc.fill(0.0);
    // The lowest float instead of minus infinity: scores of minus infinity have weight 0 under it.
    let (mut max, mut sum) = (f32::MIN, 0.0_f32);
    let visible = problem.visible(sequence, query);
    let mut key = visible.start;
    while key < visible.end {
        let count = KEYS.min(visible.end - key);
        let first = [sequence.batch, sequence.keys.start + key, block.kv_head];
        let (k_rows, k_stride) = (problem.k.row::<E>(first[0], first[1], first[2]), problem.k.strides().token);
        let (v_rows, v_stride) = (problem.v.row::<E>(first[0], first[1], first[2]), problem.v.strides().token);
        // SAFETY: the keys from `key` on are `count` rows of K and V.
        unsafe { dots(simd, q, k_rows, k_stride, &mut scores[..count]) };
        if problem.options.has_terms() {
            for (j, score) in scores[..count].iter_mut().enumerate() {
                *score += LOG2_E * problem.term(sequence, head, query, key + j);
            }
        }
        let largest = scores[..count].iter().fold(max, |max, &score| if score > max { score } else { max });
        if largest > max {
            let factor = only(simd, exp2_weight(simd, simd.splat(max - largest)));
            sum *= factor;
            acc.iter_mut().for_each(|x| *x *= factor);
            max = largest;
        }
        scores[count..].fill(f32::NEG_INFINITY);
        sum += weights(simd, scores, max);
        // SAFETY: as above.
        unsafe { add_rows(simd, &scores[..count], v_rows, v_stride, acc) };
        key += count;
    }
    // SAFETY: the row of the output exists, and only this block writes it.
    unsafe {
        finish(problem, [sequence.batch, token, head], acc, sum);
        let lse = if sum == 0.0 { f32::NEG_INFINITY } else { (max + sum.log2()) * LN_2 };
        problem.set_lse(sequence.batch, head, token, lse);
    }
}

/// The first lane of a vector whose lanes are equal.
#[inline(always)]
fn only<S: Simd>(_: S, vector: S::F32) -> f32 {
    let mut first = 0.0;
    // SAFETY: one float is written.
    unsafe { vector.store_partial(&raw mut first, 1) };
    first
}

/// scores[j] = q . K[j].
///
/// # Safety
/// There are as many rows of K as scores, `stride` elements apart, each as long as q.
#[inline(always)]
unsafe fn dots<S: Simd, E: Element>(simd: S, q: &[f32], rows: *const E, stride: usize, scores: &mut [f32]) {
    const TOGETHER: usize = 4;
    let mut j = 0;
    while j + TOGETHER <= scores.len() {
        // SAFETY: rows j .. j + 4 exist.
        let four = unsafe { dots_of::<S, E, TOGETHER>(simd, q, rows.wrapping_add(j * stride), stride) };
        scores[j..j + TOGETHER].copy_from_slice(&four);
        j += TOGETHER;
    }
    while j < scores.len() {
        // SAFETY: row j exists.
        [scores[j]] = unsafe { dots_of::<S, E, 1>(simd, q, rows.wrapping_add(j * stride), stride) };
        j += 1;
    }
}

/// # Safety
/// There are N rows, `stride` elements apart, each as long as q.
#[inline(always)]
unsafe fn dots_of<S: Simd, E: Element, const N: usize>(simd: S, q: &[f32], rows: *const E, stride: usize) -> [f32; N] {
    let mut sums = [simd.splat(0.0); N];
    let mut d = 0;
    while d < q.len() {
        let rest = q.len() - d;
        // SAFETY: no more than the rest of q and of each row is read.
        unsafe {
            let x = simd.load_partial(q.as_ptr().add(d), rest);
            for j in 0..N {
                let row = rows.wrapping_add(j * stride + d);
                let y = if rest >= S::LANES { E::load(simd, row) } else { E::load_partial(simd, row, rest) };
                sums[j] = x.mul_add(y, sums[j]);
            }
        }
        d += S::LANES;
    }
    let mut dots = [0.0; N];
    for j in 0..N {
        dots[j] = sums[j].reduce_sum();
    }
    dots
}

/// scores[j] <- 2^(scores[j] - max); returns their sum.
#[inline(always)]
fn weights<S: Simd>(simd: S, scores: &mut [f32; KEYS], max: f32) -> f32 {
    let (max, mut sum) = (simd.splat(max), simd.splat(0.0));
    let mut j = 0;
    while j < KEYS {
        // SAFETY: KEYS is a multiple of the lanes.
        unsafe {
            let at = scores.as_mut_ptr().add(j);
            let weight = exp2_weight(simd, simd.load(at) - max);
            weight.store(at);
            sum = sum + weight;
        }
        j += S::LANES;
    }
    sum.reduce_sum()
}

/// acc += sum of weights[j] V[j].
///
/// # Safety
/// There are as many rows of V as weights, `stride` elements apart, each as long as `acc`.
#[inline(always)]
unsafe fn add_rows<S: Simd, E: Element>(simd: S, weights: &[f32], rows: *const E, stride: usize, acc: &mut [f32]) {
    let mut d = 0;
    while d + VECTORS * S::LANES <= acc.len() {
        let mut sums = [simd.splat(0.0); VECTORS];
        // SAFETY: VECTORS vectors from `d` on are inside `acc` and each row.
        unsafe {
            for v in 0..VECTORS {
                sums[v] = simd.load(acc.as_ptr().add(d + v * S::LANES));
            }
            for (j, &weight) in weights.iter().enumerate() {
                let weight = simd.splat(weight);
                for v in 0..VECTORS {
                    let row = E::load(simd, rows.wrapping_add(j * stride + d + v * S::LANES));
                    sums[v] = weight.mul_add(row, sums[v]);
                }
            }
            for v in 0..VECTORS {
                sums[v].store(acc.as_mut_ptr().add(d + v * S::LANES));
            }
        }
        d += VECTORS * S::LANES;
    }
    while d < acc.len() {
        let rest = acc.len() - d;
        // SAFETY: no more than the rest of `acc` and of each row is accessed.
        unsafe {
            let mut sum = simd.load_partial(acc.as_ptr().add(d), rest);
            for (j, &weight) in weights.iter().enumerate() {
                let row = rows.wrapping_add(j * stride + d);
                let row = if rest >= S::LANES { E::load(simd, row) } else { E::load_partial(simd, row, rest) };
                sum = simd.splat(weight).mul_add(row, sum);
            }
            sum.store_partial(acc.as_mut_ptr().add(d), rest);
        }
        d += S::LANES;
    }
}

/// O[row] = acc / sum, or 0 where no key has a weight.
///
/// # Safety
/// The row exists, and nobody else writes it meanwhile.
unsafe fn finish(problem: &Problem<'_>, [batch, token, head]: [usize; 3], acc: &[f32], sum: f32) {
    with_element_type!(problem.out.element_type(), T => {
        let row = problem.out.row::<T>(batch, token, head);
        for (d, &x) in acc.iter().enumerate() {
            let x = if sum == 0.0 { 0.0 } else { x / sum };
            // SAFETY: the row has as many elements as `acc`, and nobody else accesses them.
            unsafe { *row.add(d) = <T as Element>::from_f32(x) };
        }
    });
}

/// Widens a row of a tensor and multiplies it.
fn copy_row(from: Input<'_>, [batch, token, head]: [usize; 3], factor: f32, to: &mut [f32]) {
    debug_assert!(to.len() <= from.extents().head_dim);
    with_element_type!(from.element_type(), T => {
        let row = from.row::<T>(batch, token, head);
        for (d, x) in to.iter_mut().enumerate() {
            // SAFETY: callers name a row of the tensor, and no more elements of it than it has.
            *x = factor * unsafe { *row.add(d) }.to_f32();
        }
    });
}
