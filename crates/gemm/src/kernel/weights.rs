//! Weights that are packed for a kernel of this machine.

use op::{Threads, Workspace};
use simd::ElementType;

use super::cpu::CpuKernel;
use crate::{
    choice::Choice,
    error::GemmError,
    matrix::Input,
    plan::Plan,
    shape::Shape,
    weights::{PackedB, PanelShape},
};

impl PackedB {
    /// Packs a matrix for the fastest kernel of this machine.
    ///
    /// # Errors
    /// [`GemmError::OutOfMemory`] if there is no memory for the panels.
    pub fn new<'a>(b: impl Into<Input<'a>>) -> Result<Self, GemmError> {
        CpuKernel::best().pack(b.into())
    }

    /// Bytes that a matrix of `k` x `n` elements of a type takes, packed by [`new`](Self::new); saturates.
    pub fn bytes_of(k: usize, n: usize, element: ElementType) -> usize {
        let PanelShape { nr, .. } = CpuKernel::best().code.panel_shape(k);
        let bytes = n.checked_next_multiple_of(nr).and_then(|width| width.checked_mul(k)?.checked_mul(element.bytes()));
        let line = Workspace::LINE * size_of::<f32>();
        bytes.and_then(|bytes| bytes.checked_next_multiple_of(line)).unwrap_or(usize::MAX)
    }

    /// Bytes of a [workspace](crate::Gemm::workspace) that a product with weights of `shape.k` x `shape.n`, packed by
    /// [`new`](Self::new), takes for an A of `shape.m` rows and a C of type `c`: what a workspace grows to. As
    /// [`explain`](Self::explain), but without the weights.
    ///
    /// ```
    /// use gemm::{ElementType, Gemm, MatMut, MatRef, PackedB, Shape, Threads, Workspace};
    ///
    /// let (x, mut y) = ([1.0_f32; 30 * 40], [0.0_f32; 30 * 30]);
    /// let weights = PackedB::new(MatRef::from_row_major(&x, 40, 30)?)?;
    /// assert_eq!(weights.bytes(), PackedB::bytes_of(40, 30, ElementType::F32));
    ///
    /// let mut workspace = Workspace::new();
    /// let a = MatRef::from_row_major(&x, 30, 40)?;
    /// Gemm::new(a, &weights).workspace(&mut workspace).run(MatMut::from_row_major(&mut y, 30, 30)?)?;
    /// let shape = Shape { m: 30, n: 30, k: 40 };
    /// assert_eq!(workspace.bytes(), PackedB::workspace_bytes(shape, ElementType::F32, Threads::SERIAL));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn workspace_bytes(shape: Shape, c: ElementType, threads: Threads) -> usize {
        let floats = if shape.has_work() { CpuKernel::best().code.floats_packed(shape, c, threads) } else { 0 };
        floats.saturating_mul(size_of::<f32>())
    }

    /// What a product with these weights runs for an A of `m` rows and a C of type `c`, if alpha is not 0.
    pub fn explain(&self, m: usize, c: ElementType, threads: Threads) -> Choice {
        let (kernel, shape) = (CpuKernel::new(self.instruction_set()), Shape { m, n: self.cols(), k: self.rows() });
        kernel.choice(match shape.has_work() {
            true => kernel.code.plan_packed(shape, c, threads),
            false => Plan::SCALE,
        })
    }
}
