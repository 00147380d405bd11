//! Dense products.

use std::{ops::Range, time::Duration};

use gpu::{Binding, Bindings, Kernel, Step, Wgpu, grid_of};
use op::Ran;

use crate::{
    GemmGpuError, Matrix,
    epilogue::Epilogue,
    kernels::{self, Dense},
    matrix::ElementType,
    parts::{ITEMS, ROWS, parts},
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

impl<'a> Operand<'a> {
    pub(crate) fn matrix(self) -> (&'a Matrix, bool) {
        match self {
            Self::Rows(b) => (b, false),
            Self::Columns(b) => (b, true),
        }
    }
}

/// The operands of one product, or of a batch of products of one shape, whose matrices lie one below the other.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    /// batch m x k.
    pub a: &'a Matrix,
    /// Of the type of A: batch k x n, or batch n x k.
    pub b: Operand<'a>,
    /// batch m x n of f32, which several products may share; what shares C waits for each other. `None` for a matrix of
    /// its own.
    pub c: Option<&'a Matrix>,
    /// How many products. A batch with one B is a single product of more rows.
    pub batch: usize,
    /// What becomes of the sums.
    pub epilogue: Epilogue<'a>,
}

/// C <- A B with its operands in place.
#[derive(Debug)]
pub struct Product {
    gpu: Wgpu,
    variant: Variant,
    kernel: Kernel,
    /// Parts whose operands are bound by themselves, mostly one.
    parts: Vec<(Bindings, [u32; 3])>,
    c: Matrix,
    ran: Ran,
}

/// Extents of a product, one of a batch.
#[derive(Debug, Clone, Copy)]
struct Extents {
    m: usize,
    n: usize,
    k: usize,
    batch: usize,
}

impl Product {
    /// Takes the operands and compiles the kernel. C is a matrix of its own, or `c`, which several products may share;
    /// what shares C waits for each other.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn new(
        gpu: &Wgpu,
        variant: Variant,
        a: &Matrix,
        b: Operand<'_>,
        c: Option<&Matrix>,
    ) -> Result<Self, GemmGpuError> {
        Self::of(gpu, variant, Operands { a, b, c, batch: 1, epilogue: Epilogue::NONE })
    }

    /// Takes the operands and compiles the kernel. Operands larger than a binding of the device are bound in parts.
    ///
    /// # Errors [`GemmGpuError::Shape`] where extents or types disagree, [`GemmGpuError::Variant`] where the variant
    /// cannot compute this, [`GemmGpuError::TooLarge`] for what cannot be bound even in parts: B row by row above a
    /// binding, or a few of its columns; errors of the device.
    pub fn of(gpu: &Wgpu, variant: Variant, operands: Operands<'_>) -> Result<Self, GemmGpuError> {
        let Operands { a, b, batch, epilogue, .. } = operands;
        let (b, by_columns) = b.matrix();
        let extents @ Extents { m, n, k, .. } = extents(a, b, by_columns, batch)?;
        epilogue.check((m, n), batch)?;
        let c = match operands.c {
            Some(c) if (c.rows, c.cols, c.ty) != (batch * m, n, ElementType::F32) => {
                return Err(GemmGpuError::Shape { what: "elements of C", got: c.rows * c.cols, need: batch * m * n });
            }
            Some(c) => c.clone(),
            None => Matrix::zeros(gpu, ElementType::F32, batch * m, n)?,
        };
        let reason = variant.missing(gpu.capabilities(), a.ty, m, by_columns);
        let reason = reason.or_else(|| variant.missing_for(&epilogue, batch));
        let constants = epilogue.constants().ok_or("the function is not one of this crate's");
        let (bias, activation, residual) = match (reason, constants) {
            (None, Ok(constants)) => constants,
            (Some(reason), _) | (_, Err(reason)) => {
                return Err(GemmGpuError::Variant { variant: variant.to_string(), reason });
            }
        };
        let (tile_m, tile_n, slice) = variant.tile();
        let whole = |extent: usize, tile: u32| extent.is_multiple_of(tile as usize);
        let is_gemv = matches!(variant, Variant::Gemv { .. });
        let of = Dense {
            ty: a.ty,
            by_columns,
            edges: !(whole(m, tile_m) && whole(n, tile_n) && whole(k, slice)),
            m: if is_gemv { m.clamp(1, 4) as u32 } else { 0 },
            vectors: if is_gemv { (a.ld() * a.ty.bytes() / 16) as u32 } else { 0 },
            subgroup: gpu.capabilities().fixed_subgroup().unwrap_or(0),
            bias,
            activation,
            residual,
        };
        // SAFETY: the comment on top of each kernel shows that its indices stay within matrices of these extents, which
        // were checked above, and that its loops end; the tests run each of them checked first.
        let kernel = gpu.kernel(&unsafe { kernels::dense(variant, of).trusted() })?;
        let ran = Ran {
            path: a.ty.name().to_owned(),
            tile: variant.to_string(),
            flops: 2 * (batch * m * n) as u64 * k as u64,
            bytes: (batch * ((m * k + k * n) * a.ty.bytes() + 4 * m * n)) as u64,
            ..Ran::new(variant.kernel(), gpu.identity().name.clone())
        };
        let is_empty = [m, n, k, batch].contains(&0);
        let place = Place { gpu, variant, kernel: &kernel, a, b, by_columns, c: &c, extents, epilogue };
        let parts = if is_empty { Vec::new() } else { place.parts()? };
        Ok(Self { gpu: gpu.clone(), variant, kernel, parts, c, ran })
    }

    /// The dispatches of one product: one, or one for each part of operands that a binding does not hold.
    pub fn steps(&self) -> Vec<Step<'_>> {
        self.parts.iter().map(|(bindings, grid)| Step::new(&self.kernel, bindings, *grid)).collect()
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

/// The extents of operands that agree.
fn extents(a: &Matrix, b: &Matrix, by_columns: bool, batch: usize) -> Result<Extents, GemmGpuError> {
    let rows = |matrix: &Matrix, what| {
        let is_whole = batch > 0 && matrix.rows.is_multiple_of(batch);
        let need = matrix.rows.next_multiple_of(batch.max(1));
        if is_whole { Ok(matrix.rows / batch) } else { Err(GemmGpuError::Shape { what, got: matrix.rows, need }) }
    };
    let (m, b_rows) = (rows(a, "rows of A, of a whole batch")?, rows(b, "rows of B, of a whole batch")?);
    let (n, k) = if by_columns { (b_rows, b.cols) } else { (b.cols, b_rows) };
    if k != a.cols {
        return Err(GemmGpuError::Shape { what: "terms of B", got: k, need: a.cols });
    }
    if b.ty != a.ty {
        return Err(GemmGpuError::Shape { what: "bytes of an element of B", got: b.ty.bytes(), need: a.ty.bytes() });
    }
    Ok(Extents { m, n, k, batch })
}

/// Operands on their way to a kernel.
struct Place<'a> {
    gpu: &'a Wgpu,
    variant: Variant,
    kernel: &'a Kernel,
    a: &'a Matrix,
    b: &'a Matrix,
    by_columns: bool,
    c: &'a Matrix,
    extents: Extents,
    epilogue: Epilogue<'a>,
}

impl Place<'_> {
    /// The bindings and the grid of each part: products of the batch, rows of C, columns of C.
    fn parts(&self) -> Result<Vec<(Bindings, [u32; 3])>, GemmGpuError> {
        let Extents { m, n, batch, .. } = self.extents;
        let most = self.gpu.capabilities().binding_bytes;
        let [a_row, b_row, c_row] = [self.a, self.b, self.c].map(|matrix| matrix.ld() * matrix.ty.bytes());
        let b_rows = self.b.rows / batch;
        if batch > 1 {
            // As if bindings held no more products than a grid has.
            let of_grid = most.div_ceil(u64::from(self.gpu.capabilities().grid_axis)) as usize;
            let items = parts(batch, &[m * a_row, b_rows * b_row, m * c_row, of_grid], most, ITEMS)?;
            return items.into_iter().map(|items| self.part(items, 0..m, 0..n)).collect();
        }
        // Columns of B that are stored row by row have no place of their own.
        if !self.by_columns {
            parts(1, &[b_rows * b_row], most, 1)?;
        }
        let columns = parts(n, &[if self.by_columns { b_row } else { 0 }], most, ROWS)?;
        let rows = parts(m, &[a_row, c_row], most, ROWS)?;
        let all = rows.iter().flat_map(|rows| columns.iter().map(|columns| (rows.clone(), columns.clone())));
        all.map(|(rows, columns)| self.part(0..1, rows, columns)).collect()
    }

    /// Binds the operands of some products of the batch, of some rows and columns of C.
    fn part(
        &self,
        items: Range<usize>,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Result<(Bindings, [u32; 3]), GemmGpuError> {
        let Self { gpu, variant, a, b, c, epilogue, .. } = *self;
        let Extents { m, k, batch, .. } = self.extents;
        let b_rows = b.rows / batch;
        let of_b =
            if self.by_columns && batch == 1 { columns.clone() } else { items.start * b_rows..items.end * b_rows };
        let of_c = items.start * m + rows.start..(items.end - 1) * m + rows.end;
        let [len_m, len_n] = [&rows, &columns].map(|range| range.len() as u32);
        let [lda, ldb, ldc] = [a, b, c].map(|matrix| matrix.ld() as u32);
        let (tile_m, tile_n, _) = variant.tile();
        let groups = u64::from(len_m.div_ceil(tile_m)) * u64::from(len_n.div_ceil(tile_n));
        let mut grid = grid_of(groups, gpu.capabilities().grid_axis);
        let (of_a, of_b) = (bound(a, of_c.clone(), 0, false), bound(b, of_b, 0, false));
        if let Variant::Gemv { .. } = variant {
            let shape = gpu.uniform("shape", &[len_n, len_m, ldc, columns.start as u32])?;
            let operands = [(0, of_b), (1, of_a), (2, Binding::write(&c.buffer)), (3, Binding::read(&shape))];
            grid[2] = len_m.div_ceil(4);
            return Ok((self.kernel.bind(gpu, &operands)?, grid));
        }
        grid[2] = items.len() as u32;
        // From one product of a batch to the next, in the units of the bindings.
        let (unit_ab, unit_c) = if let Variant::Coop { .. } = variant { (8, 1) } else { (4, 4) };
        let [next_a, next_b] = [m * a.ld(), b_rows * b.ld()].map(|numbers| (numbers / unit_ab) as u32);
        let next_c = (m * c.ld() / unit_c) as u32;
        let alpha = epilogue.alpha.to_bits();
        let words = [len_m, len_n, k as u32, lda, ldb, ldc, next_a, next_b, next_c, next_c, alpha, 0];
        let (shape, unused) = (gpu.uniform("shape", &words)?, gpu.zeros("shape", 16)?);
        let to_c = bound(c, of_c.clone(), columns.start, true);
        let mut operands = vec![(0, of_a), (1, of_b), (2, to_c), (3, Binding::read(&shape))];
        if let Variant::Tile { .. } = variant {
            let bias = epilogue.bias().map_or(Binding::read(&unused), |(bias, is_per_row)| {
                bound(bias, 0..1, if is_per_row { rows.start } else { columns.start }, false)
            });
            let residual = epilogue.residual;
            let residual =
                residual.map_or(Binding::read(&unused), |residual| bound(residual, of_c, columns.start, false));
            operands.extend([(4, bias), (5, residual)]);
        }
        Ok((self.kernel.bind(gpu, &operands)?, grid))
    }
}

/// Some rows of a matrix from column `column` on, to the end of its memory behind the last row.
fn bound(matrix: &Matrix, rows: Range<usize>, column: usize, is_written: bool) -> Binding<'_> {
    let row_bytes = matrix.ld() * matrix.ty.bytes();
    let offset = (rows.start * row_bytes + column * matrix.ty.bytes()) as u64;
    let end = if rows.end == matrix.rows { matrix.buffer.bytes() } else { (rows.end * row_bytes) as u64 };
    let whole = if is_written { Binding::write(&matrix.buffer) } else { Binding::read(&matrix.buffer) };
    whole.part(offset, end - offset)
}
