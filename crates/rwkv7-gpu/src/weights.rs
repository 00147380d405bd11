//! Weights on the device: blocks as they are, floats as they are, anything else as f32.

use gemm_gpu::{BlockProduct, BlockVariant, Blocks, Finish, Layout, Matrix, Rows};
use gpu::{Binding, Buffer, Step, Wgpu, grid_of};
use quant::GgmlType::{self, BF16, F16, F32, Q4_0, Q4_K, Q5_K, Q6_K, Q8_0};
use rwkv7::weights;

use crate::{
    error::Rwkv7GpuError,
    kernels::{self, PROJECT_GROUP},
    stage::{Input, Rounded, Stage},
};

/// A matrix that the device has in another type than the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// Its name in the file.
    pub name: String,
    /// Its type in the file. On the device it is f32.
    pub ty: GgmlType,
}

/// Takes weights to a device, and remembers what was taken.
#[derive(Debug)]
pub(crate) struct Loader<'g> {
    pub(crate) gpu: &'g Wgpu,
    pub(crate) converted: Vec<Converted>,
    pub(crate) bytes: u64,
}

/// Where the blocks of a type lie on the device; `None` for what is not multiplied in blocks.
fn layout(ty: GgmlType) -> Option<Layout> {
    match ty {
        Q4_K | Q6_K | Q8_0 | Q4_0 => Some(Layout::Packed),
        Q5_K => Some(Layout::Gguf),
        _ => None,
    }
}

impl Loader<'_> {
    /// Vectors of floats, one after the other.
    pub(crate) fn vectors(&mut self, all: &[&[f32]]) -> Result<Buffer, Rwkv7GpuError> {
        let buffer = self.gpu.upload("vectors", bytemuck::cast_slice(&all.concat()))?;
        self.bytes += buffer.bytes();
        Ok(buffer)
    }

    /// That a kernel can be given so many bytes.
    pub(crate) fn check(&self, name: &str, bytes: usize) -> Result<(), Rwkv7GpuError> {
        let (bytes, most) = (bytes as u64, self.gpu.capabilities().binding_bytes);
        if bytes <= most { Ok(()) } else { Err(Rwkv7GpuError::Binding { name: name.to_owned(), bytes, most }) }
    }

    /// Rows of f32, f16 or bf16, padded with zeros to whole vectors.
    fn dense(&mut self, name: &str, matrix: &weights::Matrix<'_>) -> Result<Dense, Rwkv7GpuError> {
        let (ty, bytes) = matrix.stored();
        let (rows, cols) = (matrix.rows(), matrix.cols());
        let format = match ty {
            F32 => 0,
            F16 => 1,
            BF16 => 2,
            _ => {
                let mut floats = vec![0.0_f32; rows * cols];
                if quant::dequantize(ty, bytes, &mut floats).is_err() {
                    return Err(Rwkv7GpuError::Type { name: name.to_owned(), ty });
                }
                self.converted.push(Converted { name: name.to_owned(), ty });
                return Ok(Dense::new(0, bytemuck::cast_slice(&floats), rows));
            }
        };
        Ok(Dense::new(format, bytes, rows))
    }
}

/// Rows of whole vectors of 16 bytes.
struct Dense {
    format: u32,
    /// Vectors of a row.
    vectors: usize,
    rows: usize,
    bytes: Vec<u8>,
}

impl Dense {
    fn new(format: u32, bytes: &[u8], rows: usize) -> Self {
        let row_bytes = bytes.len() / rows.max(1);
        let vectors = row_bytes.div_ceil(16);
        let mut padded = vec![0; rows * vectors * 16];
        for (to, from) in padded.chunks_exact_mut(vectors.max(1) * 16).zip(bytes.chunks_exact(row_bytes.max(1))) {
            to[..row_bytes].copy_from_slice(from);
        }
        Self { format, vectors, rows, bytes: padded }
    }
}

/// What a projection applies to its sums, as `project.wgsl` numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Identity = 0,
    Tanh = 1,
    Sigmoid = 2,
    Decay = 3,
}

/// A matrix of a projection.
pub(crate) struct Part<'w> {
    pub(crate) name: String,
    pub(crate) weights: &'w weights::Matrix<'w>,
    /// Its first number of a token's x, a multiple of four.
    pub(crate) x: usize,
    /// Its first number of a token's y.
    pub(crate) y: usize,
    pub(crate) offsets: &'w [f32],
    pub(crate) function: Function,
}

/// Numbers of a buffer: those of a token follow those of the one before at a distance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokens<'b> {
    pub(crate) buffer: &'b Buffer,
    pub(crate) stride: usize,
}

/// Matrices of a projection, at most.
const PARTS: usize = 4;

impl Loader<'_> {
    /// y <- f(x W^T + offsets) for up to four dense matrices in one dispatch.
    pub(crate) fn projection(
        &mut self,
        parts: &[Part<'_>],
        from: Tokens<'_>,
        to: Tokens<'_>,
        finish: Finish,
    ) -> Result<Stage, Rwkv7GpuError> {
        debug_assert!((1..=PARTS).contains(&parts.len()) && from.stride.is_multiple_of(4));
        let (mut bytes, mut offsets, mut rows) = (Vec::new(), Vec::new(), 0);
        let mut table = vec![[0; 4]];
        let mut longest = 0;
        for part in parts {
            let dense = self.dense(&part.name, part.weights)?;
            let end = rows + dense.rows;
            let first_offset = if part.offsets.is_empty() { 0 } else { 1 + offsets.len() };
            table.push([rows, end, bytes.len() / 16, dense.vectors]);
            table.push([dense.format as usize, part.x / 4, part.y, part.function as usize]);
            table.push([first_offset, 0, 0, 0]);
            offsets.extend_from_slice(part.offsets);
            bytes.extend_from_slice(&dense.bytes);
            longest = longest.max(dense.vectors);
            rows = end;
        }
        table[0] = [rows, from.stride / 4, to.stride, 0];
        // No row belongs to what is missing.
        while table.len() < 1 + 3 * PARTS {
            table.extend([[usize::MAX; 4], [0; 4], [0; 4]]);
        }
        self.check(&parts[0].name, bytes.len())?;
        let words: Vec<u32> = table.into_iter().flatten().map(|x| u32::try_from(x).unwrap_or(u32::MAX)).collect();
        let gpu = self.gpu;
        let weights = gpu.upload("weights", &bytes)?;
        let offsets = gpu.upload("vectors", bytemuck::cast_slice::<f32, u8>(&offsets))?;
        self.bytes += weights.bytes() + offsets.bytes();
        let table = gpu.uniform("shape", &words)?;
        let lanes = kernels::lanes(longest);
        let operands = [
            Binding::read(&weights),
            Binding::read(from.buffer),
            Binding::write(to.buffer),
            Binding::read(&table),
            Binding::read(&offsets),
        ];
        let groups = rows.div_ceil(PROJECT_GROUP / lanes);
        let grid = grid_of(groups as u64, gpu.capabilities().grid_axis);
        Stage::new(gpu, kernels::project(lanes, finish), &operands, grid, Some(2))
    }

    /// c <- finish(x W^T), of the rows of a token's input that begin with number `row`.
    pub(crate) fn linear(
        &mut self,
        name: &str,
        weights: &weights::Matrix<'_>,
        (input, rows): (&mut Input, Rows),
        c: &Matrix,
        finish: Finish,
    ) -> Result<Linear, Rwkv7GpuError> {
        let (ty, bytes) = weights.stored();
        let Some(layout) = layout(ty) else {
            let stride = input.matrix.ld();
            let part = Part {
                name: name.to_owned(),
                weights,
                x: rows.first * stride,
                y: 0,
                offsets: &[],
                function: Function::Identity,
            };
            let from = Tokens { buffer: input.matrix.buffer(), stride: rows.step * stride };
            let to = Tokens { buffer: c.buffer(), stride: c.ld() };
            return Ok(Linear::Dense(self.projection(&[part], from, to, finish)?));
        };
        let blocks = Blocks::upload(self.gpu, ty, layout, bytes, weights.rows(), weights.cols())?;
        self.bytes += blocks.bytes();
        let rounded = input.rounded(self.gpu, ty)?;
        let variant = BlockVariant::ALL[0];
        let product = BlockProduct::of_rows(self.gpu, variant, (&rounded.activations, rows), &blocks, c, finish)?;
        Ok(Linear::Blocks { product, rounded })
    }
}

/// A product with a matrix of the model.
#[derive(Debug)]
pub(crate) enum Linear {
    /// Of rounded rows with blocks.
    Blocks { product: BlockProduct, rounded: Rounded },
    /// Of rows of f32.
    Dense(Stage),
}

impl Linear {
    /// Rounding and the product for so many tokens.
    pub(crate) fn alone<'s>(&'s self, tokens: usize, steps: &mut Vec<Step<'s>>) {
        Self::rounding(&[self], tokens, steps);
        Self::steps(&[self], tokens, steps);
    }

    /// The products of so many tokens with all of these, without the rounding.
    pub(crate) fn steps<'s>(all: &[&'s Self], tokens: usize, steps: &mut Vec<Step<'s>>) {
        for linear in all {
            match linear {
                Self::Blocks { product, .. } => steps.extend(product.first(tokens)),
                Self::Dense(stage) => steps.push(stage.step(tokens)),
            }
        }
    }

    /// What rounds the rows that all of these need: each set of rows once.
    pub(crate) fn rounding<'s>(all: &[&'s Self], tokens: usize, steps: &mut Vec<Step<'s>>) {
        let mut done: Vec<&Rounded> = Vec::new();
        for linear in all {
            if let Self::Blocks { rounded, .. } = linear
                && !done.iter().any(|other| other.is_same(rounded))
            {
                steps.push(rounded.step(tokens));
                done.push(rounded);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gpu::Choice;

    use super::*;

    /// Without an adapter there is nothing to test; the tests of the crate say so, or fail.
    #[test]
    fn what_no_binding_holds_is_named() {
        let Ok(gpu) = Wgpu::open(&Choice::Best) else { return };
        let loader = Loader { gpu: &gpu, converted: Vec::new(), bytes: 0 };
        let most = gpu.capabilities().binding_bytes;
        assert!(loader.check("output.weight", most as usize).is_ok());
        let error = loader.check("output.weight", most as usize + 1).unwrap_err();
        assert!(matches!(&error, Rwkv7GpuError::Binding { name, .. } if name == "output.weight"), "{error}");
    }

    #[test]
    fn rows_are_padded_to_whole_vectors() {
        let bytes: Vec<u8> = (1..=36).collect();
        let dense = Dense::new(1, &bytes, 2);
        assert_eq!((dense.vectors, dense.rows, dense.bytes.len()), (2, 2, 64));
        assert_eq!((&dense.bytes[..18], &dense.bytes[18..32]), (&bytes[..18], &[0; 14][..]));
        assert_eq!(&dense.bytes[32..50], &bytes[18..]);
        assert_eq!(Dense::new(0, &bytes[..32], 1).bytes, &bytes[..32]);
    }
}
