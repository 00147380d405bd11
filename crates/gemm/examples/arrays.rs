//! Products of `ndarray` arrays: views are operands, whatever their strides, and three axes are a batch.
//!
//! `cargo run --release -p gemm --example arrays`
#![expect(clippy::print_stdout, reason = "an example prints")]

use gemm::{Gemm, GemmError, Threads, gemm};
use ndarray::{Array2, Array3, s};

fn main() -> Result<(), GemmError> {
    // C <- 2 A B for every second row of A, into a part of a larger array.
    let a = Array2::from_shape_fn((6, 3), |(i, p)| (i + p) as f32);
    let b = Array2::from_shape_fn((3, 4), |(p, j)| (p * j) as f32);
    let mut c = Array2::<f32>::zeros((5, 8));
    gemm(Threads::SERIAL, 2.0, a.slice(s![..;2, ..]), b.view(), 0.0, c.slice_mut(s![1..4, 2..6]))?;
    println!("{c}\n");
    assert_eq!(c.slice(s![1..4, 2..6]), 2.0 * a.slice(s![..;2, ..]).dot(&b));

    // Attention scores of all heads: Q K^T, with [token, head, dim] arrays and [head, token, token] scores.
    let (tokens, heads, dim) = (4, 2, 8);
    let q = Array3::from_shape_fn((tokens, heads, dim), |(t, h, d)| ((t + 2 * h + d) % 5) as f32);
    let k = Array3::from_shape_fn((tokens, heads, dim), |(t, h, d)| ((2 * t + h + d) % 3) as f32);
    let mut scores = Array3::<f32>::zeros((heads, tokens, tokens));
    let (queries, keys) = (q.view().permuted_axes([1, 0, 2]), k.view().permuted_axes([1, 2, 0]));
    Gemm::new(queries, keys).alpha(1.0 / (dim as f32).sqrt()).threads(Threads::available()).run(scores.view_mut())?;
    println!("{scores:.3}");
    Ok(())
}
