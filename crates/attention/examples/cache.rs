//! Text generation: a prompt with causal attention, then one query at a time against a KV cache; and a cache in two
//! pieces, whose results are merged.
//!
//! `cargo run --release -p attention --example cache`
#![expect(clippy::print_stdout, reason = "an example prints")]

use attention::{Attention, AttentionError, Mask, Threads, View, ViewError, ViewMut, Workspace};
use half::bf16;

const HEADS: usize = 8;
/// Four query heads share each of them.
const KV_HEADS: usize = 2;
const DIM: usize = 64;
/// Tokens that the cache has room for.
const ROOM: usize = 256;

/// Numbers that stand for the projections of tokens.
fn projection(seed: usize, len: usize) -> Vec<bf16> {
    (0..len).map(|i| bf16::from_f32(((i * 7 + seed * 13) % 23) as f32 / 11.5 - 1.0)).collect()
}

/// An element of the output, given those of two pieces of the keys with their log-sum-exps.
fn merge((first, first_lse): (f32, f32), (second, second_lse): (f32, f32)) -> f32 {
    // The difference of two infinities would be a NaN.
    if second_lse == f32::NEG_INFINITY {
        return first;
    }
    let share = 1.0 / (1.0 + (first_lse - second_lse).exp());
    (1.0 - share) * first + share * second
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (prompt, mut workspace) = (100, Workspace::new());
    let (k, v) = (projection(1, ROOM * KV_HEADS * DIM), projection(2, ROOM * KV_HEADS * DIM));
    let cache = [1, ROOM, KV_HEADS, DIM];
    let (k, v) = (View::from_bnhd(&k, cache)?, View::from_bnhd(&v, cache)?);

    // The prompt: query i sees keys 0 ..= i.
    let (q, mut out) = (projection(3, prompt * HEADS * DIM), vec![0.0_f32; prompt * HEADS * DIM]);
    let shape = [1, prompt, HEADS, DIM];
    let ran = Attention::new(View::from_bnhd(&q, shape)?, k.tokens(0..prompt)?, v.tokens(0..prompt)?)
        .mask(Mask::Causal)
        .threads(Threads::available())
        .workspace(&mut workspace)
        .run(ViewMut::from_bnhd(&mut out, shape)?)?;
    println!("prompt of {prompt} tokens: {} {}, {} threads", ran.kernel, ran.path, ran.threads);

    // One token after the other sees everything before it.
    let shape = [1, 1, HEADS, DIM];
    let mut out = vec![0.0_f32; HEADS * DIM];
    for filled in prompt + 1..=prompt + 3 {
        let q = projection(filled, HEADS * DIM);
        let ran = Attention::new(View::from_bnhd(&q, shape)?, k.tokens(0..filled)?, v.tokens(0..filled)?)
            .workspace(&mut workspace)
            .run(ViewMut::from_bnhd(&mut out, shape)?)?;
        println!("token {filled}: {} {}, out[0] = {:.4}", ran.kernel, ran.path, out[0]);
    }

    // The same keys in two pieces: each result counts by its share of the sum of exponentials.
    let q = projection(prompt + 3, HEADS * DIM);
    let mut pieces = [(vec![0.0_f32; HEADS * DIM], [0.0_f32; HEADS]), (vec![0.0; HEADS * DIM], [0.0; HEADS])];
    for ((out, lse), keys) in pieces.iter_mut().zip([0..60, 60..prompt + 3]) {
        let (k, v) = (k.tokens(keys.clone())?, v.tokens(keys)?);
        Attention::new(View::from_bnhd(&q, shape)?, k, v).lse(lse).run(ViewMut::from_bnhd(out, shape)?)?;
    }
    let [(first, first_lse), (second, second_lse)] = &pieces;
    for (i, whole) in out.iter().enumerate() {
        let merged = merge((first[i], first_lse[i / DIM]), (second[i], second_lse[i / DIM]));
        assert!((merged - whole).abs() < 1e-5, "{merged} {whole}");
    }
    // A piece of which a query sees nothing has no share, and two such pieces give a row of zeros.
    let unseen = (0.0, f32::NEG_INFINITY);
    assert_eq!([merge((3.0, 1.0), unseen), merge(unseen, (3.0, 1.0)), merge(unseen, unseen)], [3.0, 3.0, 0.0]);
    println!("two pieces of the cache give the same result");

    // Errors carry what was given and what is needed.
    let refused = k.tokens(0..ROOM + 1).unwrap_err();
    assert_eq!(refused, ViewError::OutOfView { axis: "tokens", end: ROOM + 1, extent: ROOM });
    let lengths = [ROOM + 1];
    let q = View::from_bnhd(&q, shape)?;
    let refused = Attention::new(q, k, v).key_lengths(&lengths).run(ViewMut::from_bnhd(&mut out, shape)?);
    assert_eq!(refused.unwrap_err(), AttentionError::KeyLength { batch: 0, got: ROOM + 1, most: ROOM });
    Ok(())
}
