//! The operation as it is defined, in f64: what every other kernel is checked against.

use op::Threads;
use simd::Isa;

use crate::{
    choice::{Choice, Path},
    problem::{Problem, Sequence},
};

/// O = softmax(scale Q K^T + bias) V and its log-sum-exp, each element summed in f64 in the order of the keys and
/// rounded once, or twice where O is stored as 16 bits.
pub(crate) fn attend(problem: &mut Problem<'_>) -> Choice {
    if !problem.is_empty() {
        for sequence in problem.sequences().collect::<Vec<_>>() {
            let heads = problem.shape.heads;
            for row in (0..sequence.queries.len()).flat_map(|query| (0..heads).map(move |head| (query, head))) {
                attend_row(problem, &sequence, row);
            }
        }
    }
    Choice { kernel: "reference", isa: Isa::Scalar, path: Path::Definition, threads: Threads::SERIAL.get() }
}

fn attend_row(problem: &mut Problem<'_>, sequence: &Sequence, (query, head): (usize, usize)) {
    let Sequence { batch, ref queries, ref keys, .. } = *sequence;
    let (token, kv_head) = (queries.start + query, head / problem.shape.group());
    let visible = problem.visible(sequence, query);
    let Problem { q, k, v, scale, .. } = *problem;
    let score = |key: usize| {
        let product = |d| {
            let (q, k) = (q.get(batch, token, head, d)?, k.get(batch, keys.start + key, kv_head, d)?);
            Some(f64::from(q) * f64::from(k))
        };
        let dot: f64 = (0..problem.shape.head_dim).filter_map(product).sum();
        f64::from(scale) * dot + f64::from(problem.term(sequence, head, query, key))
    };
    let scores: Vec<f64> = visible.clone().map(score).collect();
    let max = scores.iter().copied().fold(f64::MIN, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - max).exp()).collect();
    let sum: f64 = weights.iter().sum();
    for d in 0..problem.shape.value_dim {
        let value =
            |(key, weight): (usize, &f64)| Some(weight * f64::from(v.get(batch, keys.start + key, kv_head, d)?));
        let weighted: f64 = visible.clone().zip(&weights).filter_map(value).sum();
        let x = if sum == 0.0 { 0.0 } else { weighted / sum };
        problem.out.set(batch, token, head, d, x as f32);
    }
    let lse = if sum == 0.0 { f64::NEG_INFINITY } else { max + sum.ln() };
    // SAFETY: the row exists, and this is the only borrow of the problem.
    unsafe { problem.set_lse(batch, head, token, lse as f32) };
}
