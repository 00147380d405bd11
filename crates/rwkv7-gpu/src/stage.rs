//! A dispatch whose grid grows with the rows of a chunk, and rows that products with blocks round once.

use std::sync::Arc;

use gemm_gpu::{Activations, ElementType, Matrix};
use gpu::{Binding, Bindings, Kernel, Source, Step, Wgpu};
use quant::{GgmlType, QK_K};

use crate::{error::Rwkv7GpuError, kernels};

/// A kernel with its operands.
#[derive(Debug)]
pub(crate) struct Stage {
    kernel: Kernel,
    bindings: Bindings,
    grid: [u32; 3],
    /// The axis along which rows lie; none where a workgroup takes all rows.
    axis: Option<usize>,
}

impl Stage {
    /// Compiles a kernel and binds its operands, in the order of their numbers.
    pub(crate) fn new(
        gpu: &Wgpu,
        source: Source,
        operands: &[Binding<'_>],
        grid: [u32; 3],
        axis: Option<usize>,
    ) -> Result<Self, Rwkv7GpuError> {
        let kernel = kernels::compile(gpu, source)?;
        let operands: Vec<_> = (0..).zip(operands.iter().copied()).collect();
        let bindings = kernel.bind(gpu, &operands)?;
        Ok(Self { kernel, bindings, grid, axis })
    }

    /// The dispatch for so many rows.
    pub(crate) fn step(&self, rows: usize) -> Step<'_> {
        let mut grid = self.grid;
        if let Some(axis) = self.axis {
            grid[axis] = rows as u32;
        }
        Step::new(&self.kernel, &self.bindings, grid)
    }
}

/// Rows of f32 that matrices are multiplied with: `per_token` rows for each token of a chunk.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) matrix: Matrix,
    per_token: usize,
    /// Rounded as K types and as the others need it, where a matrix does.
    rounded: [Option<Arc<Activations>>; 2],
}

impl Input {
    /// For so many tokens.
    pub(crate) fn new(gpu: &Wgpu, tokens: usize, per_token: usize, cols: usize) -> Result<Self, Rwkv7GpuError> {
        let matrix = Matrix::zeros(gpu, ElementType::F32, tokens.saturating_mul(per_token), cols)?;
        Ok(Self { matrix, per_token, rounded: [None, None] })
    }

    /// The rows, rounded for weights of this type.
    pub(crate) fn rounded(&mut self, gpu: &Wgpu, ty: GgmlType) -> Result<Rounded, Rwkv7GpuError> {
        let place = &mut self.rounded[usize::from(ty.block_len() == QK_K)];
        let activations = match place {
            Some(activations) => activations.clone(),
            None => place.insert(Arc::new(Activations::new(gpu, ty, &self.matrix)?)).clone(),
        };
        Ok(Rounded { activations, per_token: self.per_token })
    }
}

/// Rounded rows that a product needs.
#[derive(Debug, Clone)]
pub(crate) struct Rounded {
    pub(crate) activations: Arc<Activations>,
    per_token: usize,
}

impl Rounded {
    /// The dispatch that rounds the rows of so many tokens.
    pub(crate) fn step(&self, tokens: usize) -> Step<'_> {
        self.activations.first(tokens * self.per_token)
    }

    /// Whether one dispatch rounds both.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.activations, &other.activations)
    }
}
