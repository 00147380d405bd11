//! Weights of a strip: P[row][j] = 2^(c S[row][j] - m[row]), rounded to bf16 and paired for the product with V.
//!
//! m is not always the largest score so far. It stays until one exceeds it by 8, and then becomes that one. So weights
//! are at most 2^8, which costs no accuracy since they are rounded relative to themselves, and sums seldom rescaled.

use std::{arch::x86_64::*, f32::consts::LOG2_E};

use simd::{Avx512, F32Vector, Simd, math::exp2_weight};

use super::{
    Scores, edit,
    strip::{Item, Strip},
    tile::{Row, Tile, load, store, store_bits},
};

/// By how much a score may exceed m.
const SLACK: f32 = 8.0;

/// Up to this magnitude of m, the rounding of c S - m as one operation is below 2^-4. Beyond, S is scaled first, so
/// that the difference of the largest score from m is exact.
const MOST_AT_ONCE: f32 = 1_048_576.0;

/// 2^f on 0 <= f <= 1: a minimax polynomial of degree 3, relative error below 7.5e-5. Its constant has 2^-8 more, which
/// is half of the last place of a bf16 in 1..2: cutting the lower 16 bits off rounds to nearest then.
const EXP2: [f32; 4] = [0.999_925_2 + 0.003_906_25, 0.695_833_56, 0.226_067_16, 0.078_024_52];

impl Strip<'_, '_> {
    /// Makes weights of scores, and rescales the sums of the blocks before where m moves.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn weigh(&mut self, simd: Avx512, item: &Item, scores: &mut Scores) {
        let mut factor = self.problem.scale * LOG2_E;
        // The largest product is the largest score only if the scale is positive.
        let mut is_scaled = self.problem.options.has_terms() || factor <= 0.0 || factor.is_nan();
        if is_scaled || item.is_partial {
            edit::edit(self, item, is_scaled, scores);
        }
        if is_scaled {
            factor = 1.0;
        }
        let mut largest = scores.each_ref().map(|tiles| largest_of(item, tiles, factor));
        if !is_scaled && largest.iter().flatten().any(|x| x.abs() > MOST_AT_ONCE && *x > f32::NEG_INFINITY) {
            edit::scale(item, factor, scores);
            is_scaled = true;
        }
        let factor = if is_scaled { 1.0 } else { factor };
        for (half, largest) in largest.iter_mut().enumerate() {
            if item.is_first {
                largest.iter_mut().zip(&mut self.max[half]).for_each(|(own, max)| *max = own.max(f32::MIN));
            } else {
                self.move_max(simd, half, largest);
            }
        }
        for (half, tiles) in scores.iter_mut().enumerate() {
            for row in 0..16 {
                weigh_row(item, factor, self.max[half][row], row, tiles);
            }
        }
    }

    /// Moves m of 16 rows where the largest score exceeds it by too much.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn move_max(&mut self, simd: Avx512, half: usize, largest: &Row) {
        let max = load(&self.max[half]);
        let own = load(largest);
        let moved = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(own, _mm512_add_ps(max, _mm512_set1_ps(SLACK)));
        if moved == 0 {
            return;
        }
        let mut factors = [0.0; 16];
        store(&mut factors, _mm512_mask_sub_ps(_mm512_setzero_ps(), moved, max, own));
        store(&mut self.max[half], _mm512_mask_blend_ps(moved, max, own));
        // SAFETY: there are 16 floats to read and write.
        unsafe { exp2_weight(simd, simd.load(factors.as_ptr())).store(factors.as_mut_ptr()) };
        let columns = self.cut.columns + 1;
        for row in (0..16).filter(|row| moved >> row & 1 == 1) {
            let factor = _mm512_set1_ps(factors[row]);
            for tile in &mut self.o[half * columns..(half + 1) * columns] {
                let scaled = _mm512_mul_ps(load(&tile.0[row]), factor);
                store(&mut tile.0[row], scaled);
            }
        }
    }
}

/// The largest score of each of 16 rows, times `factor`. A NaN may be lost.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn largest_of(item: &Item, tiles: &[Tile], factor: f32) -> Row {
    let mut most = [_mm512_set1_ps(f32::NEG_INFINITY); 16];
    for tile in &tiles[2 * item.groups.start..2 * item.groups.end] {
        for row in 0..16 {
            most[row] = _mm512_max_ps(most[row], load(&tile.0[row]));
        }
    }
    let mut largest = [0.0; 16];
    store(&mut largest, _mm512_mul_ps(reduce_rows(most), _mm512_set1_ps(factor)));
    largest
}

/// The largest lane of each of 16 vectors: halves of two are put together until each lane is of another vector.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn reduce_rows(x: [__m512; 16]) -> __m512 {
    let mut fours = [_mm512_setzero_ps(); 4];
    for i in 0..4 {
        let pair = |a: __m512, b: __m512| _mm512_max_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let (a, b) = (pair(x[4 * i], x[4 * i + 1]), pair(x[4 * i + 2], x[4 * i + 3]));
        let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
        let (low, high) = (_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
        fours[i] = _mm512_max_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    }
    let pair = |a: __m512, b: __m512| {
        _mm512_max_ps(_mm512_shuffle_f32x4::<0b10_00_10_00>(a, b), _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b))
    };
    pair(pair(fours[0], fours[1]), pair(fours[2], fours[3]))
}

/// The weights of a row: lane j of the first tile of each group becomes the pair of keys j and j + 16.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn weigh_row(item: &Item, factor: f32, max: f32, row: usize, tiles: &mut [Tile; 2 * super::GROUPS]) {
    let (factor, max) = (_mm512_set1_ps(factor), _mm512_set1_ps(max));
    let upper = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
    for group in item.groups.clone() {
        let low = weight(load(&tiles[2 * group].0[row]), factor, max);
        let high = weight(load(&tiles[2 * group + 1].0[row]), factor, max);
        // (high & upper) | low >> 16
        let pair = _mm512_ternarylogic_epi32::<0xea>(high, upper, _mm512_srli_epi32::<16>(low));
        store_bits(&mut tiles[2 * group].0[row], pair);
    }
}

/// 2^(factor s - max), its upper 16 bits rounded. A NaN stays one: it is quiet, which is a bit of the upper half.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn weight(s: __m512, factor: __m512, max: __m512) -> __m512i {
    const FLOOR: i32 = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
    let x = _mm512_fmsub_ps(s, factor, max);
    let f = _mm512_reduce_ps::<FLOOR>(x);
    // Not by a closure for `map`, which has no vectors to inline one into.
    let (c0, c1) = (_mm512_set1_ps(EXP2[0]), _mm512_set1_ps(EXP2[1]));
    let (c2, c3) = (_mm512_set1_ps(EXP2[2]), _mm512_set1_ps(EXP2[3]));
    let power = _mm512_fmadd_ps(_mm512_fmadd_ps(_mm512_fmadd_ps(c3, f, c2), f, c1), f, c0);
    _mm512_castps_si512(_mm512_scalef_ps(power, x))
}
