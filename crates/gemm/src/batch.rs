//! Many products of one shape: matrices at equal distances in one slice.

use crate::{
    GemmError, LayoutError, Parallelism,
    choice::Token,
    element::Element,
    epilogue::Epilogue,
    kernel::Shape,
    layout::Layout,
    operand::{Input, Output},
    parallel::worthwhile,
    problem::Problem,
    view::{MatMut, MatRef},
    workspace::with_workspace,
};

/// Matrices to read: equal extents and strides, at equal distances. A distance of 0 repeats one matrix.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    first: Input<'a>,
    count: usize,
    /// Elements from one matrix to the next.
    stride: isize,
}

/// Matrices to write: equal extents and strides, at equal distances. No two elements share an address.
#[derive(Debug)]
pub struct BatchMut<'a> {
    first: Output<'a>,
    count: usize,
    stride: isize,
}

impl<'a> Batch<'a> {
    /// `count` matrices of `rows` x `cols`, one after the other, each row by row.
    ///
    /// # Errors
    /// [`LayoutError`] if the slice cannot hold them.
    pub fn from_row_major<T: Element>(
        data: &'a [T],
        count: usize,
        rows: usize,
        cols: usize,
    ) -> Result<Self, LayoutError> {
        let (row_stride, stride) = dense(count, rows, cols)?;
        Self::with_strides(data, count, rows, cols, stride, row_stride, 1)
    }

    /// `count` matrices of `rows` x `cols`, `stride` elements apart. `data[0]` is the element of the lowest address.
    ///
    /// # Errors
    /// [`LayoutError`] if the slice cannot hold them.
    pub fn with_strides<T: Element>(
        data: &'a [T],
        count: usize,
        rows: usize,
        cols: usize,
        stride: isize,
        row_stride: isize,
        col_stride: isize,
    ) -> Result<Self, LayoutError> {
        let layout = Layout { rows, cols, row_stride, col_stride };
        let origin = origin(&layout, count, stride, data.len())?;
        // SAFETY: every element of every matrix lies in the slice, and it is borrowed for 'a.
        let first: MatRef<'a, T> = unsafe { MatRef::from_raw(data.as_ptr().add(origin), layout) };
        Ok(Self { first: first.into(), count, stride })
    }

    /// The same matrix `count` times.
    pub fn repeat(matrix: impl Into<Input<'a>>, count: usize) -> Self {
        Self { first: matrix.into(), count, stride: 0 }
    }

    /// Matrices at this distance from the first.
    ///
    /// # Safety
    /// They exist.
    pub(crate) unsafe fn from_first(first: Input<'a>, count: usize, stride: isize) -> Self {
        Self { first, count, stride }
    }

    /// How many matrices.
    pub fn count(&self) -> usize {
        self.count
    }

    fn get(&self, index: usize) -> Input<'a> {
        debug_assert!(index < self.count);
        self.first.shifted((index as isize).wrapping_mul(self.stride))
    }
}

impl<'a> BatchMut<'a> {
    /// `count` matrices of `rows` x `cols`, one after the other, each row by row.
    ///
    /// # Errors
    /// [`LayoutError`] if the slice cannot hold them.
    pub fn from_row_major<T: Element>(
        data: &'a mut [T],
        count: usize,
        rows: usize,
        cols: usize,
    ) -> Result<Self, LayoutError> {
        let (row_stride, stride) = dense(count, rows, cols)?;
        Self::with_strides(data, count, rows, cols, stride, row_stride, 1)
    }

    /// `count` matrices of `rows` x `cols`, `stride` elements apart. `data[0]` is the element of the lowest address.
    ///
    /// # Errors
    /// [`LayoutError`] if the slice cannot hold them, or where elements may share an address: of rows, columns and
    /// matrices, each must step over everything that lies closer together.
    pub fn with_strides<T: Element>(
        data: &'a mut [T],
        count: usize,
        rows: usize,
        cols: usize,
        stride: isize,
        row_stride: isize,
        col_stride: isize,
    ) -> Result<Self, LayoutError> {
        let layout = Layout { rows, cols, row_stride, col_stride };
        let origin = origin(&layout, count, stride, data.len())?;
        if overlaps([(count, stride), (rows, row_stride), (cols, col_stride)]) {
            return Err(LayoutError::BatchOverlap { count, stride });
        }
        // SAFETY: every element of every matrix lies in the slice, no two share an address, and it is borrowed for 'a.
        let first: MatMut<'a, T> = unsafe { MatMut::from_raw(data.as_mut_ptr().add(origin), layout) };
        Ok(Self { first: first.into(), count, stride })
    }

    /// Matrices at this distance from the first.
    ///
    /// # Safety
    /// They exist, are borrowed for 'a, and no two elements share an address.
    pub(crate) unsafe fn from_first(first: Output<'a>, count: usize, stride: isize) -> Self {
        Self { first, count, stride }
    }

    /// How many matrices.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first matrix, and the others.
    fn split_first(self) -> (Output<'a>, Self) {
        let (first, rest) = self.first.twins(self.stride);
        (first, Self { first: rest, count: self.count - 1, stride: self.stride })
    }

    /// The first `index` matrices, and the others.
    fn split_at(self, index: usize) -> (Self, Self) {
        let (left, right) = self.first.twins((index as isize).wrapping_mul(self.stride));
        let part = |first, count| Self { first, count, stride: self.stride };
        (part(left, index), part(right, self.count - index))
    }
}

/// Strides of rows and matrices that follow each other.
fn dense(count: usize, rows: usize, cols: usize) -> Result<(isize, isize), LayoutError> {
    let stride = rows.checked_mul(cols).and_then(|elements| isize::try_from(elements).ok());
    // An overflow matters only if there are elements; a batch without any fits everywhere.
    let stride =
        stride.or((count == 0).then_some(0)).ok_or(LayoutError::BatchOverflow { count, stride: isize::MAX })?;
    Ok((isize::try_from(cols).unwrap_or(isize::MAX), stride))
}

/// Where element (0, 0) of the first matrix lies in a slice that begins with the element of the lowest address.
fn origin(layout: &Layout, count: usize, stride: isize, len: usize) -> Result<usize, LayoutError> {
    if count == 0 || layout.is_empty() {
        return Ok(0);
    }
    let overflow = LayoutError::BatchOverflow { count, stride };
    let reach = (count - 1).checked_mul(stride.unsigned_abs()).ok_or(overflow)?;
    let need = layout.span()?.checked_add(reach).filter(|&need| need < isize::MAX as usize).ok_or(overflow)?;
    if need > len {
        return Err(LayoutError::OutOfBounds { need, len });
    }
    Ok(layout.lowest() + if stride < 0 { reach } else { 0 })
}

/// Whether two elements may share an address: the axes are taken from the shortest stride to the longest, and each must
/// step over all that the shorter ones reach.
fn overlaps(mut axes: [(usize, isize); 3]) -> bool {
    if axes.iter().any(|&(extent, _)| extent == 0) {
        return false;
    }
    axes.sort_by_key(|&(_, stride)| stride.unsigned_abs());
    let mut reach = 0_usize;
    for (extent, stride) in axes.into_iter().filter(|&(extent, _)| extent > 1) {
        if stride.unsigned_abs() <= reach {
            return true;
        }
        reach = reach.saturating_add((extent - 1).saturating_mul(stride.unsigned_abs()));
    }
    false
}

/// C_i <- alpha A_i B_i + beta C_i for each matrix of a batch. Threads take whole matrices where there are enough of
/// them, else parts of one after the other; the bits are those of single products either way.
///
/// ```
/// use gemm::{Batch, BatchMut, Parallelism, gemm_batched};
///
/// let a = [1.0_f32, 2.0, 3.0, 4.0]; // two matrices of 1 x 2
/// let b = [1.0_f32, 1.0]; // one of 2 x 1, for both
/// let mut c = [0.0_f32; 2];
/// let (a, b) = (Batch::from_row_major(&a, 2, 1, 2)?, Batch::with_strides(&b, 2, 2, 1, 0, 1, 1)?);
/// gemm_batched(Parallelism::Serial, 1.0, a, b, 0.0, BatchMut::from_row_major(&mut c, 2, 1, 1)?)?;
/// assert_eq!(c, [3.0, 7.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`GemmError::BatchMismatch`] if the batches differ in length, and those of [`gemm`](crate::gemm).
pub fn gemm_batched<'a>(
    parallelism: Parallelism,
    alpha: f32,
    a: impl Into<Batch<'a>>,
    b: impl Into<Batch<'a>>,
    beta: f32,
    c: impl Into<BatchMut<'a>>,
) -> Result<(), GemmError> {
    let (a, b, c) = (a.into(), b.into(), c.into());
    if a.count != b.count || b.count != c.count {
        return Err(GemmError::BatchMismatch { a: a.count, b: b.count, c: c.count });
    }
    let shape = Shape { m: a.first.rows(), n: b.first.cols(), k: a.first.cols() };
    if c.count == 0 || c.first.rows() == 0 || c.first.cols() == 0 {
        // Nothing is to be written, however often; but the shapes have to fit.
        return Problem::new(alpha, a.first, b.first.into(), beta, c.first, Epilogue::NONE).map(drop);
    }
    let flops = shape.flops().map_or(f64::INFINITY, |flops| flops as f64) * a.count as f64;
    let threads = worthwhile(flops, parallelism.threads());
    let products = Products { alpha, a, b, beta, parallelism, first: 0 };
    if threads > 1 && a.count >= threads {
        return Products { parallelism: Parallelism::Serial, ..products }.split(c, threads);
    }
    products.each(c)
}

/// The products from `first` on.
#[derive(Clone, Copy)]
struct Products<'a> {
    alpha: f32,
    a: Batch<'a>,
    b: Batch<'a>,
    beta: f32,
    parallelism: Parallelism,
    first: usize,
}

impl Products<'_> {
    fn split(self, c: BatchMut<'_>, threads: usize) -> Result<(), GemmError> {
        if threads == 1 {
            return self.each(c);
        }
        let half = threads / 2;
        let middle = c.count * half / threads;
        let (left, right) = c.split_at(middle);
        let later = Self { first: self.first + middle, ..self };
        let (left, right) = rayon::join(|| self.split(left, half), || later.split(right, threads - half));
        left.and(right)
    }

    fn each(self, mut c: BatchMut<'_>) -> Result<(), GemmError> {
        let Self { alpha, a, b, beta, parallelism, .. } = self;
        for index in self.first..self.first + c.count {
            let (first, rest) = c.split_first();
            c = rest;
            let mut problem = Problem::new(alpha, a.get(index), b.get(index).into(), beta, first, Epilogue::NONE)?;
            with_workspace(|workspace| Token::best().product(&mut problem, parallelism, workspace, None))?;
        }
        Ok(())
    }
}
