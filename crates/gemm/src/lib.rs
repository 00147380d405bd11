//! C <- alpha A B + beta C on the CPU, for matrices of `f32`, `f16` and `bf16` in any mixture; sums are formed in f32.
//!
//! ```
//! use gemm::{MatMut, MatRef, Parallelism, gemm};
//!
//! let a = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]; // 2 x 3, row by row
//! let b = [1.0_f32, 0.0, 0.0, 1.0, 1.0, 1.0]; // 3 x 2, row by row
//! let mut c = [f32::NAN; 4]; // 2 x 2; beta = 0, so it is not read
//! gemm(
//!     Parallelism::Serial,
//!     1.0,
//!     MatRef::from_row_major(&a, 2, 3)?,
//!     MatRef::from_row_major(&b, 3, 2)?,
//!     0.0,
//!     MatMut::from_row_major(&mut c, 2, 2)?,
//! )?;
//! assert_eq!(c, [4.0, 5.0, 10.0, 11.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to do | call |
//! |---|---|
//! | a product | [`gemm`]; [`gemm_in`] with memory of your own |
//! | a matrix times a vector | [`gemv`] |
//! | a layer of a model: bias, activation, residual | [`gemm_fused`] with an [`Epilogue`] |
//! | the same weights again and again | pack them once, [`PackedB`], and pass them as B |
//! | many products of one shape | [`gemm_batched`] |
//! | `ndarray` arrays | pass `array.view()` and `array.view_mut()` as operands |
//! | to know what will run | [`explain`] |
//!
//! **What is promised.** The meaning is that of BLAS:
//! - with beta = 0, C is not read: it may hold anything, NaN included;
//! - with alpha = 0 or k = 0, A and B are not read, and C becomes beta C: a NaN in A does not reach C then;
//! - else NaN and infinity arrive in the elements of C that depend on them, and in no others.
//!
//! The result depends on the operands, the extents and the instruction set, not on the sizes of caches or the number of
//! threads: two calls give the same bits. Strides matter to the bits in one case: where a product is formed by dot
//! products or by adding up rows ([`Path::Dot`], [`Path::Axpy`]), which is chosen for few rows or columns and depends on
//! which axis is contiguous.
//!
//! Nothing that a caller passes makes these functions panic. That C shares no memory with A and B is the borrow checker's promise:
//! there is no error for it because there is no call that compiles with it.

#![expect(
    clippy::needless_range_loop,
    reason = "a tile is indexed by rows, vectors and steps at once; closures would not inherit the instruction set"
)]
#![cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only x86-64 has kernels in blocks so far"))]

mod ahead;
mod axpy;
mod batch;
mod choice;
mod cut;
mod direct;
mod dot;
mod element;
mod epilogue;
mod error;
mod exchange;
mod from_ndarray;
mod kernel;
mod layout;
mod math;
mod micro;
mod operand;
mod pack;
mod packed;
mod parallel;
mod plan;
mod prepack;
mod problem;
mod reference;
mod route;
mod scalar;
mod scale;
mod vector;
mod view;
mod workspace;

pub use batch::{Batch, BatchMut, gemm_batched};
pub use choice::{Blocking, Choice, Path};
pub use element::{Element, Type};
pub use epilogue::{Activation, Epilogue};
pub use error::{GemmError, LayoutError};
pub use kernel::{Case, Kernel, Operands, Shape, kernels, paths};
pub use operand::{Input, Output};
pub use parallel::Parallelism;
pub use prepack::{PackedB, Rhs};
pub use route::Stored;
pub use view::{MatMut, MatRef};
pub use workspace::Workspace;

use choice::Token;
use problem::Problem;
use route::Facts;
use workspace::with_workspace;

/// C <- alpha A B + beta C with the fastest kernel of this machine, where A is m x k, B k x n and C m x n. Returns what
/// ran.
///
/// An operand is a [`MatRef`] or [`MatMut`] of any [`Element`], an `ndarray` view, or, as B, a [`PackedB`]. Operands are
/// packed into memory that the calling thread keeps for its next call; [`gemm_in`] takes memory of the caller's.
///
/// # Errors
/// [`GemmError::ShapeMismatch`] if the extents do not fit each other, [`GemmError::Overflow`] if 2 m n k exceeds
/// `u64::MAX`, [`GemmError::OutOfMemory`] if there is none for packing. C is then as it was.
pub fn gemm<'a>(
    parallelism: Parallelism,
    alpha: f32,
    a: impl Into<Input<'a>>,
    b: impl Into<Rhs<'a>>,
    beta: f32,
    c: impl Into<Output<'a>>,
) -> Result<Choice, GemmError> {
    gemm_fused(parallelism, alpha, a, b, beta, c, &Epilogue::NONE)
}

/// [`gemm`] with memory for packing that the caller keeps.
///
/// # Errors
/// As [`gemm`].
pub fn gemm_in<'a>(
    workspace: &mut Workspace,
    parallelism: Parallelism,
    alpha: f32,
    a: impl Into<Input<'a>>,
    b: impl Into<Rhs<'a>>,
    beta: f32,
    c: impl Into<Output<'a>>,
) -> Result<Choice, GemmError> {
    let mut problem = Problem::new(alpha, a.into(), b.into(), beta, c.into(), Epilogue::NONE)?;
    Token::best().product(&mut problem, parallelism, workspace, None)
}

/// C <- act(alpha A B + beta C + bias) + residual: [`gemm`], and what a layer does to its output, while that is in the
/// nearest cache.
///
/// ```
/// use gemm::{Activation, Epilogue, MatMut, MatRef, Parallelism, gemm_fused};
///
/// let (x, weights, bias) = ([1.0_f32, 2.0], [1.0_f32, 0.0, 0.0, -1.0], [0.5, 0.5]);
/// let mut y = [0.0_f32; 2];
/// gemm_fused(
///     Parallelism::Serial,
///     1.0,
///     MatRef::from_row_major(&x, 1, 2)?,
///     MatRef::from_row_major(&weights, 2, 2)?,
///     0.0,
///     MatMut::from_row_major(&mut y, 1, 2)?,
///     &Epilogue::new().bias_per_column(&bias).activation(Activation::SquaredRelu),
/// )?;
/// assert_eq!(y, [2.25, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`gemm`]; also [`GemmError::BiasLength`] and [`GemmError::ResidualShape`].
pub fn gemm_fused<'a>(
    parallelism: Parallelism,
    alpha: f32,
    a: impl Into<Input<'a>>,
    b: impl Into<Rhs<'a>>,
    beta: f32,
    c: impl Into<Output<'a>>,
    epilogue: &Epilogue<'a>,
) -> Result<Choice, GemmError> {
    let mut problem = Problem::new(alpha, a.into(), b.into(), beta, c.into(), *epilogue)?;
    with_workspace(|workspace| Token::best().product(&mut problem, parallelism, workspace, None))
}

/// y <- alpha A x + beta y, where A is m x k, x has k elements and y m. For the transpose of A pass `a.t()`.
///
/// ```
/// use gemm::{MatRef, Parallelism, gemv};
///
/// let (a, x, mut y) = ([1.0_f32, 2.0, 3.0, 4.0], [1.0_f32, -1.0], [0.0_f32; 2]);
/// let a = MatRef::from_row_major(&a, 2, 2)?;
/// gemv(Parallelism::Serial, 1.0, a, &x, 0.0, &mut y)?;
/// assert_eq!(y, [-1.0, -1.0]);
/// gemv(Parallelism::Serial, 1.0, a.t(), &x, 0.0, &mut y)?;
/// assert_eq!(y, [-2.0, -2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`gemm`].
pub fn gemv<'a, X: Element, Y: Element>(
    parallelism: Parallelism,
    alpha: f32,
    a: impl Into<Input<'a>>,
    x: &'a [X],
    beta: f32,
    y: &'a mut [Y],
) -> Result<Choice, GemmError> {
    gemm(parallelism, alpha, a, MatRef::column(x), beta, MatMut::column(y))
}

/// What [`gemm`] runs for row-major matrices of f32 of this shape, if alpha is not 0. Of a shape that it refuses, because its
/// operations cannot be counted, that is nothing: [`Path::Scale`].
pub fn explain(shape: Shape, parallelism: Parallelism) -> Choice {
    explain_stored(shape, [Stored::rows(Type::F32); 3], parallelism)
}

/// What [`gemm`] runs for A, B and C that are stored so, without gaps, if alpha is not 0.
pub fn explain_stored(shape: Shape, [a, b, c]: [Stored; 3], parallelism: Parallelism) -> Choice {
    Token::best().choose(Facts::dense(shape, [a, b, c]), parallelism, None)
}

/// What [`gemm`] runs for a C of m rows of this type and these weights, if alpha is not 0.
pub fn explain_packed(m: usize, weights: &PackedB, c: Type, parallelism: Parallelism) -> Choice {
    weights.token().choose_packed(Shape { m, n: weights.cols(), k: weights.rows() }, c, parallelism)
}
