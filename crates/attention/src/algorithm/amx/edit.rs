//! What happens to scores between their product and their softmax, where something does.

use std::{arch::x86_64::*, f32::consts::LOG2_E};

use super::{
    GROUP, Scores,
    strip::{Item, Strip},
    tile::{lanes, load, store},
};

/// S <- scale log2(e) S + log2(e) term where `is_scaled`, and minus infinity for keys that a row does not see.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn edit(strip: &Strip<'_, '_>, item: &Item, group: usize, is_scaled: bool, scores: &mut Scores) {
    let (problem, sequence) = (strip.problem, &strip.rows.block.sequence);
    let factor = _mm512_set1_ps(problem.scale * LOG2_E);
    let masked = _mm512_set1_ps(f32::NEG_INFINITY);
    let has_terms = is_scaled && problem.options.has_terms();
    for row in 0..strip.rows.count() {
        let (query, head) = (strip.rows.query(row), strip.rows.head(row));
        let seen = problem.visible(sequence, query);
        let end = seen.end.min(item.keys.end);
        for number in 0..2 {
            let key = item.keys.start + group * GROUP + number * GROUP / 2;
            let within = lanes(seen.start.saturating_sub(key), end.saturating_sub(key));
            let place = &mut scores[row / 16][number].0[row % 16];
            let mut x = load(place);
            if is_scaled {
                x = _mm512_mul_ps(x, factor);
            }
            store(place, x);
            // Beyond the last key of the sequence there is no term.
            let known = key..sequence.keys.len().min(key + 16);
            if has_terms && !known.is_empty() {
                problem.add_terms(sequence, [head, query], known, LOG2_E, place.iter_mut());
            }
            let x = load(place);
            store(place, _mm512_mask_blend_ps(within, masked, x));
        }
    }
}

/// S <- factor S.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn scale(factor: f32, scores: &mut Scores) {
    let factor = _mm512_set1_ps(factor);
    for row in scores.iter_mut().flatten().flat_map(|tile| &mut tile.0) {
        store(row, _mm512_mul_ps(load(row), factor));
    }
}
