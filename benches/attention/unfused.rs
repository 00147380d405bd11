//! Attention as two matrix products with a softmax between them, head by head, on the calling thread.

use attention::{Mask, Shape, cases::Problem};
use gemm::{Gemm, GemmError, MatMut, MatRef};

/// O = softmax(Q K^T / sqrt(head_dim)) V for dense tensors in the order batch, token, head, element. `scores` has room
/// for queries x keys.
pub(super) fn attention(problem: &Problem, [q, k, v]: [&[f32]; 3], scores: &mut [f32], out: &mut [f32]) {
    let Shape { batch, heads, .. } = problem.shape;
    for (batch, head) in (0..batch).flat_map(|batch| (0..heads).map(move |head| (batch, head))) {
        attend_head(problem, [q, k, v], (batch, head), scores, out).expect("shapes that fit");
    }
}

fn attend_head(
    problem: &Problem,
    [q, k, v]: [&[f32]; 3],
    (batch, head): (usize, usize),
    scores: &mut [f32],
    out: &mut [f32],
) -> Result<(), GemmError> {
    let Shape { queries, keys, heads, kv_heads, head_dim, value_dim, .. } = problem.shape;
    let kv_head = head / (heads / kv_heads);
    let rows = |x, tokens: usize, heads: usize, head: usize, dim: usize| {
        let x: &[f32] = x;
        let x = &x[(batch * tokens * heads + head) * dim..];
        MatRef::with_strides(x, tokens, dim, (heads * dim) as isize, 1).expect("inside of the tensor")
    };
    let q = rows(q, queries, heads, head, head_dim);
    let (k, v) = (rows(k, keys, kv_heads, kv_head, head_dim), rows(v, keys, kv_heads, kv_head, value_dim));
    let product = MatMut::from_row_major(scores, queries, keys).expect("room for the scores");
    Gemm::new(q, k.t()).alpha(1.0 / (head_dim as f32).sqrt()).run(product)?;
    for (query, row) in scores.chunks_exact_mut(keys).enumerate() {
        softmax(row, query + keys - queries, problem.mask);
    }
    let weights = MatRef::from_row_major(scores, queries, keys).expect("room for the scores");
    let out = &mut out[(batch * queries * heads + head) * value_dim..];
    let out = MatMut::with_strides(out, queries, value_dim, (heads * value_dim) as isize, 1);
    Gemm::new(weights, v).run(out.expect("inside of the tensor"))?;
    Ok(())
}

/// The softmax of the scores that a query sees; 0 for the others.
fn softmax(row: &mut [f32], position: usize, mask: Mask) {
    let seen = match mask {
        Mask::None => 0..row.len(),
        Mask::Causal => 0..position + 1,
        Mask::Window { left, right } => position.saturating_sub(left)..row.len().min(position + right + 1),
    };
    row[..seen.start].fill(0.0);
    row[seen.end..].fill(0.0);
    let row = &mut row[seen];
    let max = row.iter().copied().fold(f32::MIN, f32::max);
    row.iter_mut().for_each(|x| *x = (*x - max).exp());
    let inverse = 1.0 / row.iter().sum::<f32>();
    row.iter_mut().for_each(|x| *x *= inverse);
}
