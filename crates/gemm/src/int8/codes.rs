//! The rows of A as 8-bit codes.

use bytemuck::cast_slice_mut;
use op::Workspace;
use simd::{Simd, Vectorized};

use super::sums::SumKernel;
use crate::{
    matrix::Input,
    rounding::{largest, round, scale_of},
    tile::LoadTile,
    weights::Int8Weights,
};

/// Rows of codes, filled up with zeros to whole tiles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Codes<'a> {
    bytes: &'a [u8],
    stride: usize,
}

/// Numbers that are rounded together.
const CHUNK: usize = 256;

/// A thread rounds at least so many numbers.
const MIN_NUMBERS: usize = 1 << 14;

/// Bytes from one row to the next.
fn stride(k: usize) -> usize {
    let depth = k.next_multiple_of(Int8Weights::DEPTH);
    if depth.is_multiple_of(1024) { depth + 64 } else { depth }
}

impl<'a> Codes<'a> {
    /// Floats of workspace for m rows of k, in whole cache lines.
    pub(super) fn floats<K: SumKernel>(m: usize, k: usize) -> Option<usize> {
        const { assert!(Int8Weights::DEPTH.is_multiple_of(Workspace::LINE * size_of::<f32>())) };
        Some(m.checked_next_multiple_of(K::ROWS)?.checked_mul(stride(k))? / size_of::<f32>())
    }

    /// Rounds the rows of `a`, on at most `threads` threads. `memory` has [`floats`](Self::floats) of them, `scales`
    /// one for each row, and gets what the codes of a row are multiplied with.
    pub(super) fn round<K: SumKernel>(
        kernel: K,
        a: Input<'_>,
        memory: &'a mut [f32],
        scales: &mut [f32],
        threads: usize,
    ) -> Self {
        let (m, k) = (a.rows(), a.cols());
        let (bytes, stride) = (cast_slice_mut::<f32, u8>(memory), stride(k));
        let (rows, rest) = bytes.split_at_mut(m * stride);
        round_rows::<K>(kernel, a, rows, &mut scales[..m], threads);
        rest.fill(0);
        Self { bytes, stride }
    }

    /// Copies m rows of k codes.
    pub(super) fn copy<K: SumKernel>(a: &[i8], m: usize, k: usize, memory: &'a mut [f32]) -> Self {
        let (bytes, stride) = (cast_slice_mut::<f32, u8>(memory), stride(k));
        for (from, to) in a.chunks_exact(k).zip(bytes.chunks_exact_mut(stride)) {
            let (codes, rest) = to.split_at_mut(k);
            for (to, &from) in codes.iter_mut().zip(from) {
                *to = from.cast_unsigned() ^ K::OFFSET;
            }
            rest.fill(0);
        }
        bytes[m * stride..].fill(0);
        Self { bytes, stride }
    }

    /// Address of row `i`.
    pub(super) fn row(&self, i: usize) -> *const u8 {
        self.bytes[i * self.stride..].as_ptr()
    }

    /// Bytes from one row to the next.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }
}

fn round_rows<K: SumKernel>(kernel: K, a: Input<'_>, bytes: &mut [u8], scales: &mut [f32], threads: usize) {
    let (m, k) = (a.rows(), a.cols());
    if threads > 1 && m > 1 && m * k >= 2 * MIN_NUMBERS {
        let middle = m / 2;
        let (upper, lower) = bytes.split_at_mut(bytes.len() / m * middle);
        let (upper_scales, lower_scales) = scales.split_at_mut(middle);
        let half = threads / 2;
        rayon::join(
            || round_rows(kernel, a.part(0..middle, 0..k), upper, upper_scales, half),
            || round_rows(kernel, a.part(middle..m, 0..k), lower, lower_scales, threads - half),
        );
        return;
    }
    let row_bytes = stride(k);
    for (i, (to, scale)) in bytes.chunks_exact_mut(row_bytes).zip(scales).enumerate() {
        let row = a.part(i..i + 1, 0..k);
        *scale = kernel.float().run(Round { row, to, offset: K::OFFSET });
    }
}

/// Rounds a row; returns what its codes are multiplied with.
struct Round<'a, 'b> {
    row: Input<'a>,
    to: &'b mut [u8],
    offset: u8,
}

impl Vectorized for Round<'_, '_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let Self { row, to, offset } = self;
        let k = row.cols();
        let mut most = 0.0_f32.to_bits();
        let mut x = [0.0; CHUNK];
        for start in (0..k).step_by(CHUNK) {
            let end = k.min(start + CHUNK);
            LoadTile { from: row.part(0..1, start..end), to: &mut x, stride: CHUNK }.run(simd);
            // As bits, so that a NaN is the largest.
            most = most.max(largest(&x[..end - start]).to_bits());
        }
        let (inverse, scale) = scale_of(f32::from_bits(most));
        for start in (0..k).step_by(CHUNK) {
            let end = k.min(start + CHUNK);
            if k > CHUNK {
                LoadTile { from: row.part(0..1, start..end), to: &mut x, stride: CHUNK }.run(simd);
            }
            let codes = round(&x, inverse).map(|code| code.cast_unsigned() ^ offset);
            to[start..end].copy_from_slice(&codes[..end - start]);
        }
        to[k..].fill(0);
        scale
    }
}
