//! The rows of A, rounded to 8 bits.

use bytemuck::{Pod, Zeroable};
use op::Workspace;
use simd::{F32Vector, Simd, Vectorized};

use super::format::{Format, GROUPS, QK};
use crate::{
    matrix::Input,
    rounding::{largest, scale_of},
    tile::LoadTile,
};

/// 256 rounded numbers of a row of A. Numbers are stored in groups of 16, in the order in which the weights' format
/// unpacks them, [`Format::ORDER`].
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct ActBlock {
    /// -127 to 127.
    pub(super) codes: [i8; QK],
    /// The sums of 16 codes.
    pub(super) sums: [i16; GROUPS],
    /// What codes are multiplied with, for each 32 numbers in their own order, not the stored one. All are equal for
    /// formats whose activations have one scale.
    pub(super) scales: [f32; 8],
    /// For formats with minima, the sums of 32 numbers in their own order, two words each, the first in the lower half.
    /// For formats whose codes have an offset, minus the offset times the sum of each sub-block.
    pub(super) terms: [i32; GROUPS],
}

/// Floats of a block in a workspace.
const FLOATS: usize = size_of::<ActBlock>() / size_of::<f32>();

/// Whole rows of blocks; the last block of a row is filled up with zeros.
#[derive(Debug, Clone, Copy)]
pub(super) struct Activations<'a> {
    blocks: &'a [ActBlock],
    per_row: usize,
}

impl<'a> Activations<'a> {
    /// Floats of workspace for m x k numbers, in whole cache lines.
    pub(super) fn floats(m: usize, k: usize) -> Option<usize> {
        const { assert!(FLOATS.is_multiple_of(Workspace::LINE)) };
        m.checked_mul(k.div_ceil(QK))?.checked_mul(FLOATS)
    }

    /// Rounds the rows of `a`, on at most `threads` threads. `memory` begins on a cache line and has [`floats`] of
    /// them.
    ///
    /// [`floats`]: Self::floats
    pub(super) fn round<F: Format, S: Simd>(simd: S, a: Input<'_>, memory: &'a mut [f32], threads: usize) -> Self {
        let blocks: &mut [ActBlock] = bytemuck::cast_slice_mut(memory);
        let per_row = a.cols().div_ceil(QK);
        round_rows::<F, S>(simd, a, blocks, threads);
        Self { blocks, per_row }
    }

    /// The blocks of row `i`.
    #[inline(always)]
    pub(super) fn row(&self, i: usize) -> &'a [ActBlock] {
        &self.blocks[i * self.per_row..][..self.per_row]
    }

    /// Blocks of a row.
    pub(super) fn per_row(&self) -> usize {
        self.per_row
    }
}

/// A thread rounds at least so many blocks: 64 KiB of floats take about 10 us.
const MIN_BLOCKS: usize = 64;

fn round_rows<F: Format, S: Simd>(simd: S, a: Input<'_>, blocks: &mut [ActBlock], threads: usize) {
    let (m, k) = (a.rows(), a.cols());
    if threads > 1 && m > 1 && blocks.len() >= 2 * MIN_BLOCKS {
        let middle = m / 2;
        let (upper, lower) = blocks.split_at_mut(blocks.len() / m * middle);
        let half = threads / 2;
        rayon::join(
            || round_rows::<F, S>(simd, a.part(0..middle, 0..k), upper, half),
            || round_rows::<F, S>(simd, a.part(middle..m, 0..k), lower, threads - half),
        );
        return;
    }
    let per_row = k.div_ceil(QK);
    for (at, block) in blocks.iter_mut().enumerate() {
        let (i, start) = (at / per_row, at % per_row * QK);
        let len = QK.min(k - start);
        if len == QK
            && let Some(a) = a.typed::<f32>().filter(|a| a.col_stride() == 1)
        {
            let from = a.as_ptr().wrapping_offset(i as isize * a.row_stride()).wrapping_add(start);
            // SAFETY: row i has these numbers side by side, and nobody writes A meanwhile.
            let x = unsafe { &*from.cast::<[f32; QK]>() };
            simd.run(Round::<F>(x, block, std::marker::PhantomData));
            continue;
        }
        let mut x = [0.0; QK];
        simd.run(LoadTile { from: a.part(i..i + 1, start..start + len), to: &mut x, stride: QK });
        simd.run(Round::<F>(&x, block, std::marker::PhantomData));
    }
}

/// Rounds a block.
struct Round<'a, F>(&'a [f32; QK], &'a mut ActBlock, std::marker::PhantomData<F>);

impl<F: Format> Vectorized for Round<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(x, block, _) = self;
        let mut inverses = [0.0; 8];
        if F::HAS_ONE_SCALE {
            let (inverse, scale) = one_scale(x);
            (inverses, block.scales) = ([inverse; 8], [scale; 8]);
        } else {
            for (j, x) in x.as_chunks::<32>().0.iter().enumerate() {
                (inverses[j], block.scales[j]) = scale_of(largest(x));
            }
        }
        let mut totals = [simd.splat(0.0); GROUPS];
        for g in 0..GROUPS {
            let natural = F::ORDER[g];
            // Without a scale, all codes are 0.
            let is_number = !block.scales[natural / 2].is_nan();
            let inverse = simd.splat(inverses[natural / 2]);
            for at in (0..16).step_by(S::LANES) {
                // SAFETY: groups have 16 numbers and 16 codes, and vectors divide them.
                unsafe {
                    let x = simd.load(x.as_ptr().add(16 * natural + at));
                    let codes = if is_number { (x * inverse).round_ties_even() } else { simd.splat(0.0) };
                    codes.store_i8(block.codes.as_mut_ptr().add(16 * g + at));
                    totals[g] = totals[g] + codes;
                }
            }
        }
        let totals = S::F32::reduce_sums_16(totals);
        for g in 0..GROUPS {
            block.sums[g] = totals[g] as i16;
        }
        let sums = block.sums.map(i32::from);
        block.terms = [0; GROUPS];
        if F::OFFSET == 0 {
            let mut of_32 = [0; 8];
            for g in 0..GROUPS {
                of_32[F::ORDER[g] / 2] += sums[g];
            }
            for pair in 0..4 {
                block.terms[pair] = of_32[2 * pair] & 0xffff | of_32[2 * pair + 1] << 16;
            }
        } else {
            for j in 0..QK / F::SUB {
                let [first, last] = F::SUB_GROUPS[j];
                block.terms[j] = -F::OFFSET * (sums[first] + if F::SUB == 32 { sums[last] } else { 0 });
            }
        }
    }
}

/// What 256 numbers are multiplied with, and what their codes are. As in ggml's Q8_K, the number of largest magnitude,
/// the first of equals, gets the code -127.
#[inline(always)]
fn one_scale(x: &[f32; QK]) -> (f32, f32) {
    let largest = largest(x);
    if !largest.is_finite() {
        return (0.0, f32::NAN);
    }
    if largest == 0.0 {
        return (0.0, 0.0);
    }
    let has = |peak: f32| x.iter().fold(false, |found, &x| found | (x == peak));
    let peak = match (has(largest), has(-largest)) {
        (true, true) => x.iter().copied().find(|x| x.abs() == largest).unwrap_or(largest),
        (is_above, _) => {
            if is_above {
                largest
            } else {
                -largest
            }
        }
    };
    let inverse = -127.0 / peak;
    // Where the inverse overflows, the numbers are below 2^-120: they count as 0.
    if inverse.is_finite() { (inverse, 1.0 / inverse) } else { (0.0, 0.0) }
}
