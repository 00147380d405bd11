//! Rows of A as products with blocks take them: rounded to 8 bits.

use gpu::{Binding, Bindings, Buffer, Kernel, Step, Wgpu, grid_of};
use quant::{GgmlType, QK_K};

use crate::{GemmGpuError, Matrix, kernels, matrix::ElementType};

/// Which rows of the activations a product multiplies: as many as C has, from `first` on, `step` rows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// The first one.
    pub first: usize,
    /// Rows from one to the next.
    pub step: usize,
}

impl Rows {
    /// All, one after the other.
    pub const ALL: Self = Self { first: 0, step: 1 };

    /// As the kernels take it, for `m` rows of activations that have `of`.
    pub(crate) fn word(self, m: usize, of: usize) -> Result<u32, GemmGpuError> {
        let end = m.saturating_sub(1).saturating_mul(self.step).saturating_add(self.first.saturating_add(m.min(1)));
        if end > of {
            return Err(GemmGpuError::Shape { what: "rows of A", got: of, need: end });
        }
        match (u16::try_from(self.first), u16::try_from(self.step)) {
            (Ok(first), Ok(step)) => Ok(u32::from(first) | u32::from(step) << 16),
            _ => {
                let (got, most) = (self.first.max(self.step), usize::from(u16::MAX));
                Err(GemmGpuError::TooLarge { what: "the distance of rows of A", got, most })
            }
        }
    }
}

/// Rows of A, rounded to 8 bits on the device when [`steps`](Self::steps) run. Several products may use them.
#[derive(Debug)]
pub struct Activations {
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) codes: Buffer,
    pub(crate) terms: Buffer,
    kernel: Kernel,
    bindings: Bindings,
    grid: [u32; 3],
    /// Workgroups along an axis, at most.
    axis: u32,
}

impl Activations {
    /// For the rows of `a`, of f32, against weights of type `ty`.
    ///
    /// # Errors
    /// [`GemmGpuError::Shape`], errors of the device.
    pub fn new(gpu: &Wgpu, ty: GgmlType, a: &Matrix) -> Result<Self, GemmGpuError> {
        if a.ty != ElementType::F32 {
            return Err(GemmGpuError::Shape { what: "bytes of an element of A", got: a.ty.bytes(), need: 4 });
        }
        let (m, k) = (a.rows, a.cols);
        let blocks = k.div_ceil(QK_K);
        let source = kernels::round(if ty.block_len() == QK_K { 256 } else { 32 });
        // SAFETY: as the comment on top of the kernel shows, for buffers of whole blocks, which these are.
        let kernel = gpu.kernel(&unsafe { source.trusted() })?;
        let codes = gpu.zeros("activations", (m * blocks * QK_K) as u64)?;
        let terms = gpu.zeros("activations", (m * blocks * 64) as u64)?;
        let shape = gpu.uniform("shape", &[blocks as u32, (a.ld() / 4) as u32, m as u32, 0])?;
        let bindings = kernel.bind(
            gpu,
            &[
                (0, Binding::read(&a.buffer)),
                (1, Binding::write(&codes)),
                (2, Binding::write(&terms)),
                (3, Binding::read(&shape)),
            ],
        )?;
        let axis = gpu.capabilities().grid_axis;
        let grid = grid_of((m * blocks) as u64, axis);
        Ok(Self { m, k, codes, terms, kernel, bindings, grid, axis })
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.m
    }

    /// The dispatch that rounds them.
    pub fn steps(&self) -> Vec<Step<'_>> {
        vec![Step::new(&self.kernel, &self.bindings, self.grid)]
    }

    /// The dispatch that rounds the first `rows` of them, or all that there are.
    pub fn first(&self, rows: usize) -> Step<'_> {
        let groups = rows.min(self.m) * self.k.div_ceil(QK_K);
        Step::new(&self.kernel, &self.bindings, grid_of(groups as u64, self.axis))
    }

    /// Fetches the numbers that the products multiply, row by row without gaps: codes times scales.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn read(&self, gpu: &Wgpu) -> Result<Vec<f32>, GemmGpuError> {
        let blocks = self.k.div_ceil(QK_K);
        let codes: Vec<i8> = gpu.read_as(&self.codes, 0, (self.m * blocks * QK_K) as u64)?;
        let terms: Vec<[u32; 2]> = gpu.read_as(&self.terms, 0, (self.m * blocks * 8) as u64)?;
        let scaled = codes.iter().enumerate().map(|(at, code)| f32::from(*code) * f32::from_bits(terms[at / 32][0]));
        let all: Vec<f32> = scaled.collect();
        let width = (blocks * QK_K).max(1);
        Ok(all.chunks_exact(width).flat_map(|row| &row[..self.k]).copied().collect())
    }
}
