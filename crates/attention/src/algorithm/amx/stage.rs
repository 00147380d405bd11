//! K and V of a block of keys in the layout of tiles, packed once for all strips.

use std::{arch::x86_64::*, ops::Range};

use simd::bf16;

use super::{
    Cut, GROUP, GROUPS,
    tile::{Row, Tile, store_bits},
};
use crate::{parts::Block, problem::Problem, view::Input};

/// A packed block. Keys count from its first; behind its last, everything is 0.
pub(super) struct Stage<'s> {
    /// For each 16 keys, `depth` tiles: in row p the elements 2p and 2p + 1 of each key.
    k: &'s mut [Tile],
    /// For each tile of columns, a tile for each group: in row i the numbers of keys i and i + 16 of the group.
    v: &'s mut [Tile],
    /// Pairs of ones: V for the sum of weights.
    ones: &'s mut Tile,
    /// For each group, a bit for each key at which V holds a NaN or an infinity. Those keys are packed as 0.
    apart: [u32; GROUPS],
    depth: usize,
    columns: usize,
    groups: usize,
}

impl<'s> Stage<'s> {
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn new(memory: &'s mut [Tile], cut: &Cut) -> Self {
        let (ones, rest) = memory.split_first_mut().expect("the cut has a tile of ones");
        let (k, v) = rest.split_at_mut(2 * cut.groups * cut.depth);
        let pair = _mm512_set1_epi16(bf16::ONE.to_bits().cast_signed());
        ones.0.iter_mut().for_each(|row| store_bits(row, pair));
        Self { k, v, ones, apart: [0; GROUPS], depth: cut.depth, columns: cut.columns, groups: cut.groups }
    }

    /// Packs these keys, which count from the first of the block's sequence.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn load(&mut self, problem: &Problem<'_>, block: &Block, keys: Range<usize>) {
        let rows = |tensor: Input<'_>, key: usize, count: usize| {
            let (batch, token) = (block.sequence.batch, block.sequence.keys.start + keys.start + key);
            let (first, stride) = (tensor.row::<bf16>(batch, token, block.kv_head), tensor.strides().token);
            Rows { first, stride, count, dim: tensor.extents().head_dim }
        };
        let groups = keys.len().div_ceil(GROUP);
        for (number, tiles) in self.k.chunks_exact_mut(self.depth).enumerate().take(2 * groups) {
            let (key, count) = (16 * number, keys.len().saturating_sub(16 * number).min(16));
            match count {
                0 => tiles.fill(Tile([[0.0; 16]; 16])),
                _ => pack_k(&rows(problem.k, key, count), tiles),
            }
        }
        for group in 0..groups {
            let (key, count) = (GROUP * group, (keys.len() - GROUP * group).min(GROUP));
            self.pack_v(&rows(problem.v, key, count), group);
        }
    }

    /// Packs a group of V.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn pack_v(&mut self, rows: &Rows, group: usize) {
        self.apart[group] = 0;
        if interleave(rows, 0, (group, self.groups), self.v) {
            return;
        }
        // Rare: which keys they are.
        for key in 0..rows.count {
            let is_finite = (0..rows.dim).all(|d| rows.get(key, d).is_finite());
            self.apart[group] |= u32::from(!is_finite) << key;
        }
        interleave(rows, self.apart[group], (group, self.groups), self.v);
    }

    /// Tile of step 0 of K for each of the two tiles of keys of a group, to be multiplied by a strip's queries.
    pub(super) fn keys(&self, group: usize) -> [*const u8; 2] {
        [2 * group, 2 * group + 1].map(|number| self.k[number * self.depth..].as_ptr().cast())
    }

    /// Tile of a group of V, in two tiles of columns.
    pub(super) fn values(&self, column: usize, group: usize) -> [*const u8; 2] {
        debug_assert!(column + 2 <= self.columns);
        [column, column + 1].map(|column| self.v[column * self.groups + group..].as_ptr().cast())
    }

    pub(super) fn ones(&self) -> *const u8 {
        (&raw const *self.ones).cast()
    }

    /// The keys of a group at which V is not finite.
    pub(super) fn apart(&self, group: usize) -> u32 {
        self.apart[group]
    }
}

/// Rows of K or V at equal distances.
struct Rows {
    first: *const bf16,
    /// In elements.
    stride: usize,
    count: usize,
    dim: usize,
}

impl Rows {
    fn get(&self, row: usize, d: usize) -> bf16 {
        assert!(row < self.count && d < self.dim);
        // SAFETY: there are `count` rows of `dim` elements.
        unsafe { *self.first.add(row * self.stride + d) }
    }

    /// 32 elements of a row from `d` on; 0 behind the last row and the last element.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(&self, row: usize, d: usize) -> __m512i {
        let rest = self.dim.saturating_sub(d).min(32);
        let mask = if row < self.count { ((1_u64 << rest) - 1) as u32 } else { 0 };
        // SAFETY: an element that is not in the mask is not read; the others exist.
        unsafe { _mm512_maskz_loadu_epi16(mask, self.first.wrapping_add(row * self.stride + d).cast()) }
    }
}

/// 16 keys at most: the transpose of their pairs, a tile for each 32 elements.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn pack_k(rows: &Rows, tiles: &mut [Tile]) {
    for (step, tile) in tiles.iter_mut().enumerate() {
        let d = 32 * step;
        if rows.count == 16 && d + 32 <= rows.dim {
            // SAFETY: 16 rows have 32 elements from `d` on.
            unsafe { transpose(rows.first.add(d).cast(), rows.stride * size_of::<bf16>(), tile) };
        } else {
            let mut whole = Tile([[0.0; 16]; 16]);
            for (row, to) in whole.0.iter_mut().enumerate() {
                store_bits(to, rows.load(row, d));
            }
            // SAFETY: a tile is 16 adjacent rows of 64 bytes.
            unsafe { transpose((&raw const whole).cast(), size_of::<Row>(), tile) };
        }
    }
}

/// The transpose of 16 rows of 16 pairs, `stride` bytes apart.
///
/// Quarters of rows are placed as they are loaded, so that lane l of a vector i belongs to row 4l + i. What remains are
/// transposes of 4 x 4 pairs within lanes.
///
/// # Safety
/// 64 bytes can be read of each row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn transpose(from: *const u8, stride: usize, to: &mut Tile) {
    for quarter in 0..4 {
        let mut x = [_mm512_setzero_si512(); 4];
        for i in 0..4 {
            // SAFETY: the quarter is inside of its row.
            let part = |row: usize| unsafe { _mm_loadu_si128(from.add(row * stride + 16 * quarter).cast()) };
            x[i] = _mm512_castsi128_si512(part(i));
            x[i] = _mm512_inserti32x4::<1>(x[i], part(4 + i));
            x[i] = _mm512_inserti32x4::<2>(x[i], part(8 + i));
            x[i] = _mm512_inserti32x4::<3>(x[i], part(12 + i));
        }
        let (low, high) = (_mm512_unpacklo_epi32(x[0], x[1]), _mm512_unpackhi_epi32(x[0], x[1]));
        let (low_2, high_2) = (_mm512_unpacklo_epi32(x[2], x[3]), _mm512_unpackhi_epi32(x[2], x[3]));
        store_bits(&mut to.0[4 * quarter], _mm512_unpacklo_epi64(low, low_2));
        store_bits(&mut to.0[4 * quarter + 1], _mm512_unpackhi_epi64(low, low_2));
        store_bits(&mut to.0[4 * quarter + 2], _mm512_unpacklo_epi64(high, high_2));
        store_bits(&mut to.0[4 * quarter + 3], _mm512_unpackhi_epi64(high, high_2));
    }
}

/// A group of `groups`: 32 keys at most, those of `without` as 0, in pairs of keys i and i + 16. Returns whether all
/// numbers are finite.
///
/// Columns come in the order of the interleaving: of 32 elements, a tile has the first four of each eight and the next
/// tile has the others. `output.rs` undoes that.
#[target_feature(enable = "avx512f,avx512bw")]
fn interleave(rows: &Rows, without: u32, (group, groups): (usize, usize), v: &mut [Tile]) -> bool {
    let exponent = _mm512_set1_epi16(0x7f80);
    let mut is_finite = true;
    for (number, columns) in v.chunks_exact_mut(2 * groups).enumerate() {
        let (first, second) = columns.split_at_mut(groups);
        let (first, second) = (&mut first[group], &mut second[group]);
        let mut largest = _mm512_setzero_si512();
        for i in 0..16 {
            let load = |key: usize| match without >> key & 1 {
                0 => rows.load(key, 32 * number),
                _ => _mm512_setzero_si512(),
            };
            let (x, y) = (load(i), load(i + 16));
            for bits in [x, y] {
                largest = _mm512_max_epu16(largest, _mm512_and_si512(bits, exponent));
            }
            store_bits(&mut first.0[i], _mm512_unpacklo_epi16(x, y));
            store_bits(&mut second.0[i], _mm512_unpackhi_epi16(x, y));
        }
        is_finite &= _mm512_cmpeq_epi16_mask(largest, exponent) == 0;
    }
    is_finite
}
