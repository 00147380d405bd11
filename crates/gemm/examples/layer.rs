//! A layer of a model: y = gelu(x W^T + b) + x, with weights that are packed once and used for every batch of tokens.
//!
//! `cargo run --release -p gemm --example layer`
#![expect(clippy::print_stdout, reason = "an example prints")]

use gemm::{Activation, Epilogue, Gemm, GemmError, LayoutError, MatMut, MatRef, PackedB, Threads, Workspace};
use half::bf16;

/// A square linear layer with bias, GELU and a residual connection.
struct Layer {
    weights: PackedB,
    bias: Vec<f32>,
}

impl Layer {
    /// `weights` has one row for each output, as models store them: out x in, row by row.
    fn new(weights: &[bf16], bias: Vec<f32>, width: usize) -> Result<Self, Box<dyn std::error::Error>> {
        // x W^T: B is the transpose of the stored matrix. No element moves before packing.
        let weights = PackedB::new(MatRef::from_row_major(weights, width, width)?.t())?;
        Ok(Self { weights, bias })
    }

    /// One row of `x` and `y` for each token.
    fn forward(&self, x: &[f32], y: &mut [f32], workspace: &mut Workspace) -> Result<(), Box<dyn std::error::Error>> {
        let width = self.weights.cols();
        let tokens = x.len() / width;
        let x = MatRef::from_row_major(x, tokens, width)?;
        let epilogue = Epilogue::new().bias_per_column(&self.bias).activation(Activation::Gelu).residual(x);
        let ran = Gemm::new(x, &self.weights)
            .epilogue(epilogue)
            .threads(Threads::available())
            .workspace(workspace)
            .run(MatMut::from_row_major(y, tokens, width)?)?;
        println!("{tokens:>4} tokens: {} {} on {} threads", ran.kernel, ran.path, ran.threads);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let width = 384;
    let weights: Vec<bf16> = (0..width * width).map(|i| bf16::from_f32((i % 17) as f32 / 170.0 - 0.05)).collect();
    let layer = Layer::new(&weights, vec![0.1; width], width)?;
    // After the first call of a size, nothing is allocated.
    let mut workspace = Workspace::new();
    for tokens in [1, 16, 1374] {
        let (x, mut y) = (vec![0.5; tokens * width], vec![0.0; tokens * width]);
        layer.forward(&x, &mut y, &mut workspace)?;
        println!("     y[0][0] = {}", y[0]);
    }

    // Errors carry what was given and what is needed.
    let short = MatRef::from_row_major(&[0.0_f32; 10], 3, 4).unwrap_err();
    assert_eq!(short, LayoutError::OutOfBounds { need: 12, len: 10 });
    let bias = [0.0; 2];
    let mut y = [0.0; 3];
    let (x, w) = (MatRef::from_row_major(&[1.0_f32], 1, 1)?, MatRef::from_row_major(&[1.0_f32; 3], 1, 3)?);
    let refused = Gemm::new(x, w).epilogue(Epilogue::new().bias_per_column(&bias));
    let refused = refused.run(MatMut::from_row_major(&mut y, 1, 3)?).unwrap_err();
    assert_eq!(refused, GemmError::BiasLength { got: 2, need: 3 });
    println!("refused: {refused}");
    Ok(())
}
