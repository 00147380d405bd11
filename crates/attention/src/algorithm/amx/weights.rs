//! Weights of a strip: P[row][j] = 2^(c S[row][j] - m[row]), rounded to bf16 and paired for the product with V.
//!
//! m is not always the largest score so far. It stays until one exceeds it by 8, and then becomes that one. So weights
//! are at most 2^8, which costs no accuracy since they are rounded relative to themselves, and sums seldom rescaled.
//! Whether a score exceeds it is known after the weights are computed; if one does, they are computed again. Only the
//! first group of a row needs its largest score before.

use std::{arch::x86_64::*, f32::consts::LOG2_E};

use simd::{Avx512, F32Vector, Simd, amx::Tiles, math::exp2_weight};

use super::{
    Scores, Weights, edit,
    stage::Stage,
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
    /// Makes weights of the scores of a group. Where m moves, the groups before are added to the sums first, which are
    /// then rescaled.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn weigh(
        &mut self,
        simd: Avx512,
        products: (&Tiles, &Stage<'_>),
        item: &mut Item,
        group: usize,
        scores: &mut Scores,
        weights: &mut Weights,
    ) {
        let mut factor = self.problem.scale * LOG2_E;
        // The largest product is the largest score only if the scale is positive.
        let is_scaled = self.problem.options.has_terms() || factor <= 0.0 || factor.is_nan();
        if is_scaled || item.is_partial(self, group) {
            edit::edit(self, item, group, is_scaled, scores);
        }
        if is_scaled {
            factor = 1.0;
        }
        let is_first = item.is_first(group);
        if !is_first && !self.is_max_large() && weigh(factor, self.max, group, scores, weights) {
            return;
        }
        let mut largest = scores.each_ref().map(|tiles| largest_of(tiles, factor));
        let is_large = |x: &f32| x.abs() > MOST_AT_ONCE && *x > f32::NEG_INFINITY;
        if factor != 1.0 && (self.is_max_large() && !is_first || largest.iter().flatten().any(is_large)) {
            edit::scale(factor, scores);
            factor = 1.0;
            largest = scores.each_ref().map(|tiles| largest_of(tiles, factor));
        }
        if is_first {
            for (max, own) in self.max.iter_mut().flatten().zip(largest.as_flattened()) {
                *max = own.max(f32::MIN);
            }
        } else {
            self.move_max(simd, products, item, group, &largest, weights);
        }
        // A score that exceeds m by 8 and a rounding is no reason to move it again.
        weigh(factor, self.max, group, scores, weights);
    }

    /// Whether some m is so large that scores are scaled first. That of a row without a key is.
    #[target_feature(enable = "avx512f")]
    fn is_max_large(&self) -> bool {
        let most = _mm512_set1_ps(MOST_AT_ONCE);
        let larger = _mm512_max_ps(_mm512_abs_ps(load(&self.max[0])), _mm512_abs_ps(load(&self.max[1])));
        _mm512_cmp_ps_mask::<_CMP_GT_OQ>(larger, most) != 0
    }

    /// Moves m of the rows whose largest score exceeds it by too much.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn move_max(
        &mut self,
        simd: Avx512,
        products: (&Tiles, &Stage<'_>),
        item: &mut Item,
        group: usize,
        largest: &[Row; 2],
        weights: &Weights,
    ) {
        for half in 0..2 {
            let max = load(&self.max[half]);
            let own = load(&largest[half]);
            let moved = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(own, _mm512_add_ps(max, _mm512_set1_ps(SLACK)));
            if moved == 0 {
                continue;
            }
            self.add_sums(products, item, group, weights);
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
}

/// The largest score of each of 16 rows, times `factor`. A NaN may be lost.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn largest_of(tiles: &[Tile; 2], factor: f32) -> Row {
    let mut most = [_mm512_setzero_ps(); 16];
    for row in 0..16 {
        most[row] = _mm512_max_ps(load(&tiles[0].0[row]), load(&tiles[1].0[row]));
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

/// The weights of a group: lane j of a row becomes the pair of keys j and j + 16. Returns whether no score exceeds m by
/// more than the slack.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn weigh(factor: f32, max: &[Row; 2], group: usize, scores: &Scores, weights: &mut Weights) -> bool {
    let factor = _mm512_set1_ps(factor);
    let upper = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
    let slack = _mm512_set1_ps(SLACK);
    // Of each of the two tiles: one chain would take as long as all the rest.
    let mut most = [slack; 2];
    for half in 0..2 {
        let [first, second] = &scores[half];
        for row in 0..16 {
            let max = _mm512_set1_ps(max[half][row]);
            let x = _mm512_fmsub_ps(load(&first.0[row]), factor, max);
            let y = _mm512_fmsub_ps(load(&second.0[row]), factor, max);
            // The second operand where one is a NaN.
            most = [_mm512_max_ps(x, most[0]), _mm512_max_ps(y, most[1])];
            // (y & upper) | x >> 16
            let pair = _mm512_ternarylogic_epi32::<0xea>(weight(y), upper, _mm512_srli_epi32::<16>(weight(x)));
            store_bits(&mut weights[half][group].0[row], pair);
        }
    }
    _mm512_cmp_ps_mask::<_CMP_GT_OQ>(_mm512_max_ps(most[0], most[1]), slack) == 0
}

/// 2^x, its upper 16 bits rounded. A NaN stays one: it is quiet, which is a bit of the upper half.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn weight(x: __m512) -> __m512i {
    const FLOOR: i32 = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
    let f = _mm512_reduce_ps::<FLOOR>(x);
    // Not by a closure for `map`, which has no vectors to inline one into.
    let (c0, c1) = (_mm512_set1_ps(EXP2[0]), _mm512_set1_ps(EXP2[1]));
    let (c2, c3) = (_mm512_set1_ps(EXP2[2]), _mm512_set1_ps(EXP2[3]));
    let power = _mm512_fmadd_ps(_mm512_fmadd_ps(_mm512_fmadd_ps(c3, f, c2), f, c1), f, c0);
    _mm512_castps_si512(_mm512_scalef_ps(power, x))
}
