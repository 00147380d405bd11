//! The definition, in f64 and in plain loops: what everything else is tested against. It shares nothing with the rest
//! but the names and lengths of tensors: its constants stand here once more, so that a wrong one is seen. The one
//! function from elsewhere is the f64 GELU of the crate `simd`, which no kernel calls.

use std::collections::HashMap;

use crate::{
    config::{CAPTURES, Config, Shape},
    error::WeightsError,
    source::{TensorSource, read, tensors},
};

/// Pixels of a patch, along both axes (DINOv2 ViT-L/14).
const PATCH: usize = 14;
/// Learned tokens beside the camera token.
const REGISTERS: usize = 4;
/// Tokens before the patches of a frame.
const SPECIAL: usize = 5;
/// Of every norm (PyTorch's default).
const EPSILON: f64 = 1e-5;
/// Base of the rotary frequencies.
const ROPE_BASE: f64 = 100.0;

/// Rows of numbers.
pub type Matrix = Vec<Vec<f64>>;

/// A model with its tensors by name.
#[derive(Debug)]
pub struct Model {
    config: Config,
    tensors: HashMap<String, Vec<f64>>,
}

/// What the heads read, of a sequence.
#[derive(Debug)]
pub struct HeadInputs {
    /// For each captured layer, S x patches rows of its channels.
    pub projected: [Matrix; CAPTURES],
    /// S rows of 2C.
    pub camera: Matrix,
}

impl Model {
    /// Reads all tensors.
    ///
    /// # Errors
    /// As the source, and [`WeightsError::Length`] if it gives another number of elements.
    pub fn new(config: &Config, source: &impl TensorSource) -> Result<Self, WeightsError> {
        let wide = |tensor: crate::TensorSpec| -> Result<(String, Vec<f64>), WeightsError> {
            let numbers = read(source, &tensor)?.into_iter().map(f64::from).collect();
            Ok((tensor.name, numbers))
        };
        Ok(Self { config: *config, tensors: tensors(config)?.into_iter().map(wide).collect::<Result<_, _>>()? })
    }

    fn tensor(&self, name: &str) -> &[f64] {
        &self.tensors[name]
    }

    /// The outputs of all layers for one sequence: S P rows of 2C each. `images` are its S images.
    pub fn outputs(&self, shape: &Shape, images: &[Vec<f32>]) -> Vec<Matrix> {
        let frames = images.iter().enumerate();
        let mut x: Vec<Matrix> = frames.map(|(frame, image)| self.tokens(shape, frame, image)).collect();
        let mut outputs = Vec::new();
        for layer in 0..self.config.depth {
            for tokens in &mut x {
                self.block(&format!("aggregator.frame_blocks.{layer}"), shape, tokens);
            }
            let of_frames = x.concat();
            let mut of_sequence = of_frames.clone();
            self.block(&format!("aggregator.global_blocks.{layer}"), shape, &mut of_sequence);
            outputs.push(
                of_frames.iter().zip(&of_sequence).map(|(frame, global)| [&frame[..], global].concat()).collect(),
            );
            x = of_sequence.chunks(tokens_of(shape)).map(<[_]>::to_vec).collect();
        }
        outputs
    }

    /// What the heads make of the outputs first.
    pub fn head_inputs(&self, shape: &Shape, outputs: &[Matrix]) -> HeadInputs {
        let is_patch = |row: &usize| row % tokens_of(shape) >= SPECIAL;
        let projected = |index: usize| {
            let output = &outputs[self.config.captured[index]];
            let rows = (0..output.len()).filter(is_patch);
            let normed = rows.map(|row| self.norm("depth_head.norm", &output[row]));
            normed.map(|row| self.linear(&format!("depth_head.projects.{index}"), &row)).collect()
        };
        let last = &outputs[self.config.depth - 1];
        let camera = last.iter().step_by(tokens_of(shape)).cloned().collect();
        HeadInputs { projected: [0, 1, 2, 3].map(projected), camera }
    }

    /// Camera token, registers and patches of an image.
    fn tokens(&self, shape: &Shape, frame: usize, image: &[f32]) -> Matrix {
        let c = self.config.embed_dim;
        let variant = usize::from(frame > 0);
        let camera = &self.tensor("aggregator.camera_token")[variant * c..][..c];
        let registers = &self.tensor("aggregator.register_token")[variant * REGISTERS * c..][..REGISTERS * c];
        let mut tokens = vec![camera.to_vec()];
        tokens.extend(registers.chunks(c).map(<[f64]>::to_vec));
        let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        for (top, left) in (0..shape.height / PATCH).flat_map(|y| (0..shape.width / PATCH).map(move |x| (y, x))) {
            let mut patch = Vec::new();
            for channel in 0..3 {
                for (y, x) in (0..PATCH).flat_map(|y| (0..PATCH).map(move |x| (y, x))) {
                    let line = channel * shape.height + top * PATCH + y;
                    let value = f64::from(image[line * shape.width + left * PATCH + x]);
                    patch.push((value - mean[channel]) / deviation[channel]);
                }
            }
            tokens.push(self.linear("aggregator.patch_embed.proj", &patch));
        }
        tokens
    }

    fn block(&self, name: &str, shape: &Shape, x: &mut Matrix) {
        let c = self.config.embed_dim;
        let normed: Matrix = x.iter().map(|row| self.norm(&format!("{name}.norm1"), row)).collect();
        let branch = self.attention(name, shape, &normed);
        let factors = self.tensor(&format!("{name}.ls1.gamma"));
        for (x, branch) in x.iter_mut().zip(&branch) {
            (0..c).for_each(|i| x[i] += factors[i] * branch[i]);
        }
        let factors = self.tensor(&format!("{name}.ls2.gamma"));
        for x in x {
            let mut hidden = self.linear(&format!("{name}.mlp.fc1"), &self.norm(&format!("{name}.norm2"), x));
            hidden.iter_mut().for_each(|h| *h = simd::math::reference::gelu(*h));
            let branch = self.linear(&format!("{name}.mlp.fc2"), &hidden);
            (0..c).for_each(|i| x[i] += factors[i] * branch[i]);
        }
    }

    /// Softmax attention of all rows over all rows.
    fn attention(&self, name: &str, shape: &Shape, x: &Matrix) -> Matrix {
        let (c, channels) = (self.config.embed_dim, self.config.embed_dim / self.config.heads);
        let qkv: Matrix = x.iter().map(|row| self.linear(&format!("{name}.attn.qkv"), row)).collect();
        let mut out = vec![vec![0.0; c]; x.len()];
        for head in 0..self.config.heads {
            let part = |kind: usize, row: &[f64]| row[kind * c + head * channels..][..channels].to_vec();
            let rotated = |kind: usize, norm: &str| -> Matrix {
                let norm = format!("{name}.attn.{norm}");
                let rows = qkv.iter().enumerate();
                rows.map(|(row, x)| rotated(shape, row % tokens_of(shape), &self.norm(&norm, &part(kind, x)))).collect()
            };
            let (queries, keys) = (rotated(0, "q_norm"), rotated(1, "k_norm"));
            let values: Matrix = qkv.iter().map(|row| part(2, row)).collect();
            for (query, out) in queries.iter().zip(&mut out) {
                let scores: Vec<f64> = keys.iter().map(|key| dot(query, key) / (channels as f64).sqrt()).collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
                let sum: f64 = weights.iter().sum();
                for (weight, value) in weights.iter().zip(&values) {
                    (0..channels).for_each(|i| out[head * channels + i] += weight / sum * value[i]);
                }
            }
        }
        out.iter().map(|row| self.linear(&format!("{name}.attn.proj"), row)).collect()
    }

    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let weights = self.tensor(&format!("{name}.weight")).chunks(x.len());
        weights.zip(self.tensor(&format!("{name}.bias"))).map(|(row, bias)| dot(row, x) + bias).collect()
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let affine = self.tensor(&format!("{name}.weight")).iter().zip(self.tensor(&format!("{name}.bias")));
        x.iter()
            .zip(affine)
            .map(|(x, (factor, offset))| (x - mean) / (variance + EPSILON).sqrt() * factor + offset)
            .collect()
    }
}

/// Tokens of a frame.
fn tokens_of(shape: &Shape) -> usize {
    (shape.height / PATCH) * (shape.width / PATCH) + SPECIAL
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// The rotary embedding of one head of token number `token` of a frame: y rotates the first half, x the second.
fn rotated(shape: &Shape, token: usize, head: &[f64]) -> Vec<f64> {
    let cols = shape.width / PATCH;
    let position = match token < SPECIAL {
        true => [0, 0],
        false => [(token - SPECIAL) / cols + 1, (token - SPECIAL) % cols + 1],
    };
    let half = head.len() / 2;
    let mut out = Vec::new();
    for (values, position) in head.chunks(half).zip(position) {
        for i in 0..half {
            let angle = position as f64 * ROPE_BASE.powf(-2.0 * (i % (half / 2)) as f64 / half as f64);
            let turned = if i < half / 2 { -values[i + half / 2] } else { values[i - half / 2] };
            out.push(values[i] * angle.cos() + turned * angle.sin());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head of eight channels at patch (0, 1), so at position (1, 2): angles of 1 and 100^(-1/2) for y, of twice that
    /// for x. The cosines and sines are from a table.
    #[test]
    fn the_rotary_embedding_has_the_published_angles() {
        let shape = Shape { batch: 1, frames: 1, height: 14, width: 28 };
        let head = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        let expected = [
            0.540_302_305_868_139_8,
            0.995_004_165_278_025_8,
            0.841_470_984_807_896_5,
            0.099_833_416_646_828_15,
            -0.416_146_836_547_142_4,
            0.980_066_577_841_241_6,
            0.909_297_426_825_681_7,
            0.198_669_330_795_061_22,
        ];
        let got = rotated(&shape, 6, &head);
        assert!(got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-15), "{got:?}");
        assert_eq!(rotated(&shape, 4, &head), head, "tokens before the patches are not rotated");
        assert_eq!(tokens_of(&Shape::square(1, 518)), 1374, "37 x 37 patches, a camera token and four registers");
    }
}
