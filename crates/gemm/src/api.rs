//! The public functions: [`Gemm`], which composes everything, and short forms of its most frequent uses.

mod batched;
mod shared;

pub use shared::{SharedA, Term};

use op::{Threads, Workspace};
use simd::Element;

use crate::{
    choice::{Choice, Wish},
    epilogue::Epilogue,
    error::{GemmError, Operand},
    kernel::CpuKernel,
    matrix::{Batch, BatchMut, Input, MatMut, MatRef, Output},
    plan::{ProblemLayout, Split},
    problem::Problem,
    weights::{Rhs, RhsBatch},
};

/// C <- act(alpha A B + beta C + bias) + residual, for one product or a batch.
///
/// It begins as C <- A B on the calling thread. Every method changes one thing, in any order, and [`run`](Self::run)
/// computes:
///
/// ```
/// use gemm::{Activation, Epilogue, Gemm, MatMut, MatRef, PackedB, Threads, Workspace};
///
/// // y = max(x W + b, 0)^2, with weights that are packed once.
/// let (weights, bias) = ([1.0_f32, 0.0, 0.0, -1.0], [0.5, 0.5]);
/// let weights = PackedB::new(MatRef::from_row_major(&weights, 2, 2)?)?;
/// let layer = Epilogue::new().bias_per_column(&bias).activation(Activation::SquaredRelu);
/// let mut workspace = Workspace::new();
///
/// let (x, mut y) = ([1.0_f32, 2.0], [0.0_f32; 2]);
/// Gemm::new(MatRef::from_row_major(&x, 1, 2)?, &weights)
///     .epilogue(layer)
///     .threads(Threads::new(2).unwrap_or_default())
///     .workspace(&mut workspace)
///     .run(MatMut::from_row_major(&mut y, 1, 2)?)?;
/// assert_eq!(y, [2.25, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In a batch, C is a [`BatchMut`]. A, B and the residual are each one matrix, which every product uses, or a [`Batch`]
/// of as many. Packed weights are used by every product:
///
/// ```
/// use gemm::{Batch, BatchMut, Gemm, MatRef};
///
/// let a = [1.0_f32, 2.0, 3.0, 4.0]; // two matrices of 1 x 2
/// let b = [1.0_f32, 1.0]; // one of 2 x 1, for both
/// let mut c = [0.0_f32; 2];
/// Gemm::new(Batch::from_row_major(&a, 2, 1, 2)?, MatRef::from_row_major(&b, 2, 1)?)
///     .run(BatchMut::from_row_major(&mut c, 2, 1, 1)?)?;
/// assert_eq!(c, [3.0, 7.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is computed before `run`"]
pub struct Gemm<'a> {
    alpha: f32,
    a: Batch<'a>,
    b: RhsBatch<'a>,
    beta: f32,
    epilogue: Epilogue<'a>,
    wish: Wish,
    threads: Threads,
    workspace: Option<&'a mut Workspace>,
}

impl<'a> Gemm<'a> {
    /// C <- A B with A m x k and B k x n, or a batch of such.
    ///
    /// A is a [`MatRef`] of any [`Element`], an `ndarray` view, or a [`Batch`]; B is that or a
    /// [`PackedB`](crate::PackedB), a [`QMatRef`](crate::QMatRef) or [`Int8Weights`](crate::Int8Weights).
    #[inline]
    pub fn new(a: impl Into<Batch<'a>>, b: impl Into<RhsBatch<'a>>) -> Self {
        let (a, b) = (a.into(), b.into());
        let (epilogue, wish, threads) = (Epilogue::NONE, Wish::Fastest, Threads::SERIAL);
        Self { alpha: 1.0, a, b, beta: 0.0, epilogue, wish, threads, workspace: None }
    }

    /// The factor of A B; 1 to begin with. With 0, A and B are not read.
    #[inline]
    pub fn alpha(self, alpha: f32) -> Self {
        Self { alpha, ..self }
    }

    /// The factor of C; 0 to begin with. With 0, C is not read.
    #[inline]
    pub fn beta(self, beta: f32) -> Self {
        Self { beta, ..self }
    }

    /// What is done to C before it is stored: bias, activation, residual.
    #[inline]
    pub fn epilogue(self, epilogue: Epilogue<'a>) -> Self {
        Self { epilogue, ..self }
    }

    /// Whether a row of C has the same bits alone and among others: those of a product with this row of A only. To
    /// begin with, that holds for weights in blocks, and sums of matrices take the order that is fastest for the number
    /// of rows.
    ///
    /// With this, a B with contiguous columns, weights as models store them, takes [`Path::Dot`](crate::Path::Dot) with
    /// sums over all of k, and any other B is packed.
    #[inline]
    pub fn rows_alone(self, rows_alone: bool) -> Self {
        Self { wish: if rows_alone { Wish::RowsAlone } else { Wish::Fastest }, ..self }
    }

    /// How many threads of the rayon pool that it is called from may work; the calling thread alone to begin with. A
    /// small product uses fewer.
    #[inline]
    pub fn threads(self, threads: Threads) -> Self {
        Self { threads, ..self }
    }

    /// Memory to pack operands into. To begin with, that is memory which the calling thread keeps for its next product.
    /// A batch whose matrices are computed on several threads uses the memory of those instead.
    #[inline]
    pub fn workspace(self, workspace: &'a mut Workspace) -> Self {
        Self { workspace: Some(workspace), ..self }
    }

    /// Computes C, which is m x n, and returns what ran. C is a [`MatMut`], a mutable `ndarray` view, or a
    /// [`BatchMut`].
    ///
    /// # Errors
    /// C is unchanged if this fails:
    /// - [`GemmError::ShapeMismatch`] if the extents of A, B and C do not fit each other;
    /// - [`GemmError::BatchMismatch`] if the batches differ in length;
    /// - [`GemmError::BiasLength`] and [`GemmError::ResidualShape`] if the epilogue does not fit C;
    /// - [`GemmError::Overflow`] if 2 m n k exceeds `u64::MAX`;
    /// - [`GemmError::OutOfMemory`] if there is no memory to pack operands into. In a batch, other products may have
    ///   been computed then.
    #[inline]
    pub fn run(self, c: impl Into<BatchMut<'a>>) -> Result<Choice, GemmError> {
        let c = c.into();
        let Self { alpha, a, b, beta, epilogue, wish, threads, workspace } = self;
        let counts = [(Operand::A, a.count()), (Operand::B, b.count()), (Operand::Residual, epilogue.residual_count())];
        for (operand, count) in counts {
            if let Some(got) = count.filter(|&count| count != c.count()) {
                return Err(GemmError::BatchMismatch { operand, got, need: c.count() });
            }
        }
        if c.count() == 1 {
            let problem = Problem::new(alpha, a.first, b.first(), beta, c.first, epilogue)?;
            return product(problem, wish, threads, workspace);
        }
        batched::Products { alpha, a, b, beta, epilogue, wish, threads, first: 0 }.run(c, workspace)
    }
}

/// One product, with the caller's workspace or the thread's.
#[inline(always)]
fn product(
    mut problem: Problem<'_>,
    wish: Wish,
    threads: Threads,
    workspace: Option<&mut Workspace>,
) -> Result<Choice, GemmError> {
    let kernel = CpuKernel::best_for(&problem);
    match workspace {
        Some(workspace) => kernel.product(&mut problem, threads, workspace, wish),
        None => Workspace::with_kept(|workspace| kernel.product(&mut problem, threads, workspace, wish)),
    }
}

/// C <- alpha A B + beta C with the fastest kernel of this machine, where A is m x k, B k x n and C m x n. Returns what
/// ran. [`Gemm`] does the same and more.
///
/// An operand is a [`MatRef`] or [`MatMut`] of any [`Element`], an `ndarray` view, or, as B, a
/// [`PackedB`](crate::PackedB).
///
/// # Errors
/// As [`Gemm::run`].
pub fn gemm<'a>(
    threads: Threads,
    alpha: f32,
    a: impl Into<Input<'a>>,
    b: impl Into<Rhs<'a>>,
    beta: f32,
    c: impl Into<Output<'a>>,
) -> Result<Choice, GemmError> {
    product(Problem::new(alpha, a.into(), b.into(), beta, c.into(), Epilogue::NONE)?, Wish::Fastest, threads, None)
}

/// y <- alpha A x + beta y, where A is m x k, x has k elements and y has m. For the transpose of A pass `a.t()`.
///
/// ```
/// use gemm::{MatRef, Threads, gemv};
///
/// let (a, x, mut y) = ([1.0_f32, 2.0, 3.0, 4.0], [1.0_f32, -1.0], [0.0_f32; 2]);
/// let a = MatRef::from_row_major(&a, 2, 2)?;
/// gemv(Threads::SERIAL, 1.0, a, &x, 0.0, &mut y)?;
/// assert_eq!(y, [-1.0, -1.0]);
/// gemv(Threads::SERIAL, 1.0, a.t(), &x, 0.0, &mut y)?;
/// assert_eq!(y, [-2.0, -2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`Gemm::run`].
pub fn gemv<'a, X: Element, Y: Element>(
    threads: Threads,
    alpha: f32,
    a: impl Into<Input<'a>>,
    x: &'a [X],
    beta: f32,
    y: &'a mut [Y],
) -> Result<Choice, GemmError> {
    gemm(threads, alpha, a, MatRef::column(x), beta, MatMut::column(y))
}

/// What [`gemm`] runs for matrices of this layout, if alpha is not 0; a [`Shape`](crate::Shape) stands for row-major
/// matrices of f32. For packed weights see [`PackedB::explain`](crate::PackedB::explain).
///
/// It never fails: a shape whose operations cannot be counted, which `gemm` refuses, is
/// [`Path::Scale`](crate::Path::Scale), as if there were nothing to multiply.
pub fn explain(layout: impl Into<ProblemLayout>, threads: Threads) -> Choice {
    CpuKernel::best().choose(layout.into(), threads)
}

/// How threads share what [`gemm`] runs for matrices of this layout, and what that costs; `None` where one thread
/// works, or where each thread has a part of C and shares nothing.
///
/// ```
/// use gemm::{Shape, Threads, split};
///
/// if let Some(split) = split(Shape { m: 1024, n: 1024, k: 1024 }, Threads::new(16).unwrap_or_default()) {
///     assert_eq!((split.threads(), split.figures().packed_again_bytes), (16, 0));
/// }
/// ```
pub fn split(layout: impl Into<ProblemLayout>, threads: Threads) -> Option<Split> {
    CpuKernel::best().split(layout.into(), threads)
}
