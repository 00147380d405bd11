//! Dense products.

use std::time::Duration;

use gpu::{Binding, Bindings, Kernel, Step, Wgpu, grid_of};
use op::Ran;

use crate::{
    GemmGpuError, Matrix,
    kernels::{self, Dense},
    matrix::ElementType,
    variant::Variant,
};

/// B of a product.
#[derive(Debug, Clone, Copy)]
pub enum Operand<'a> {
    /// k x n, stored row by row.
    Rows(&'a Matrix),
    /// n x k: the columns of B, as models store weights.
    Columns(&'a Matrix),
}

/// C <- A B with its operands in place.
#[derive(Debug)]
pub struct Product {
    gpu: Wgpu,
    variant: Variant,
    kernel: Kernel,
    bindings: Bindings,
    grid: [u32; 3],
    c: Matrix,
    is_empty: bool,
    ran: Ran,
}

impl Product {
    /// Takes the operands and compiles the kernel. C is a matrix of its own, or `c`, which several products may share;
    /// what shares C waits for each other.
    ///
    /// # Errors
    /// [`GemmGpuError::Shape`] where extents or types disagree, [`GemmGpuError::Variant`] where the variant cannot
    /// compute this, errors of the device.
    pub fn new(
        gpu: &Wgpu,
        variant: Variant,
        a: &Matrix,
        b: Operand<'_>,
        c: Option<&Matrix>,
    ) -> Result<Self, GemmGpuError> {
        let (b, by_columns) = match b {
            Operand::Rows(b) => (b, false),
            Operand::Columns(b) => (b, true),
        };
        let (m, n, k) = shape(a, b, by_columns)?;
        let c = match c {
            Some(c) if (c.rows, c.cols, c.ty) != (m, n, ElementType::F32) => {
                return Err(GemmGpuError::Shape { what: "elements of C", got: c.rows * c.cols, need: m * n });
            }
            Some(c) => c.clone(),
            None => Matrix::zeros(gpu, ElementType::F32, m, n)?,
        };
        let ty = a.ty;
        if let Some(reason) = variant.missing(gpu.capabilities(), ty, m, by_columns) {
            return Err(GemmGpuError::Variant { variant: variant.to_string(), reason });
        }
        let (tile_m, tile_n, slice) = variant.tile();
        let whole = |extent: usize, tile: u32| extent.is_multiple_of(tile as usize);
        let is_gemv = matches!(variant, Variant::Gemv { .. });
        let of = Dense {
            ty,
            by_columns,
            edges: !(whole(m, tile_m) && whole(n, tile_n) && whole(k, slice)),
            m: if is_gemv { m.clamp(1, 4) as u32 } else { 0 },
            vectors: if is_gemv { (a.ld() * ty.bytes() / 16) as u32 } else { 0 },
            subgroup: gpu.capabilities().fixed_subgroup().unwrap_or(0),
            bias: 0,
            activation: 0,
            residual: false,
        };
        // SAFETY: the comment on top of each kernel shows that its indices stay within matrices of these extents, which
        // were checked above, and that its loops end; the tests run each of them checked first.
        let kernel = gpu.kernel(&unsafe { kernels::dense(variant, of).trusted() })?;
        let bindings = bind(gpu, &kernel, variant, a, (b, n), &c)?;
        let groups = (m as u64).div_ceil(u64::from(tile_m)) * (n as u64).div_ceil(u64::from(tile_n));
        let ran = Ran {
            path: ty.name().to_owned(),
            tile: variant.to_string(),
            flops: 2 * m as u64 * n as u64 * k as u64,
            bytes: ((m * k + k * n) * ty.bytes() + 4 * m * n) as u64,
            ..Ran::new(variant.kernel(), gpu.identity().name.clone())
        };
        let is_empty = m == 0 || n == 0 || k == 0;
        let mut grid = grid_of(groups, gpu.capabilities().grid_axis);
        if is_gemv {
            grid[2] = m.div_ceil(4) as u32;
        }
        Ok(Self { gpu: gpu.clone(), variant, kernel, bindings, grid, c, is_empty, ran })
    }

    /// The dispatches of one product.
    pub fn steps(&self) -> Vec<Step<'_>> {
        if self.is_empty { Vec::new() } else { vec![Step::new(&self.kernel, &self.bindings, self.grid)] }
    }

    /// Submits the product.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn run(&self) -> Result<(), GemmGpuError> {
        Ok(self.gpu.run(&self.steps())?)
    }

    /// The time of `iters` products, one after the other.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn time(&self, iters: u64) -> Result<Duration, GemmGpuError> {
        Ok(self.gpu.time(&self.steps(), iters)?)
    }

    /// C.
    pub fn c(&self) -> &Matrix {
        &self.c
    }

    /// The variant.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// What runs.
    pub fn ran(&self) -> &Ran {
        &self.ran
    }
}

/// m, n and k of operands that agree.
fn shape(a: &Matrix, b: &Matrix, by_columns: bool) -> Result<(usize, usize, usize), GemmGpuError> {
    let (n, k) = if by_columns { (b.rows, b.cols) } else { (b.cols, b.rows) };
    if k != a.cols {
        return Err(GemmGpuError::Shape { what: "terms of B", got: k, need: a.cols });
    }
    if b.ty != a.ty {
        return Err(GemmGpuError::Shape { what: "bytes of an element of B", got: b.ty.bytes(), need: a.ty.bytes() });
    }
    Ok((a.rows, n, k))
}

/// The operands as the kernel of `variant` numbers them; n columns of B.
fn bind(
    gpu: &Wgpu,
    kernel: &Kernel,
    variant: Variant,
    a: &Matrix,
    (b, n): (&Matrix, usize),
    c: &Matrix,
) -> Result<Bindings, GemmGpuError> {
    if let Variant::Gemv { .. } = variant {
        let shape = gpu.uniform("shape", &[n as u32, a.rows as u32, c.ld() as u32, 0])?;
        let operands = [
            (0, Binding::read(&b.buffer)),
            (1, Binding::read(&a.buffer)),
            (2, Binding::write(&c.buffer)),
            (3, Binding::read(&shape)),
        ];
        return Ok(kernel.bind(gpu, &operands)?);
    }
    let [m, n, k] = [a.rows, n, a.cols].map(|extent| extent as u32);
    let [lda, ldb, ldc] = [a, b, c].map(|matrix| matrix.ld() as u32);
    let shape = gpu.uniform("shape", &[m, n, k, lda, ldb, ldc, 0, 0, 0, 0, 1.0_f32.to_bits(), 0])?;
    let mut operands = vec![
        (0, Binding::read(&a.buffer)),
        (1, Binding::read(&b.buffer)),
        (2, Binding::write(&c.buffer)),
        (3, Binding::read(&shape)),
    ];
    let unused = gpu.zeros("shape", 16)?;
    if let Variant::Tile { .. } = variant {
        operands.extend([(4, Binding::read(&unused)), (5, Binding::read(&unused))]);
    }
    Ok(kernel.bind(gpu, &operands)?)
}
