//! C <- alpha A B + beta C on the CPU.
//!
//! ```
//! use gemm::{MatMut, MatRef, Parallelism, gemm};
//!
//! let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // 2 x 3, row by row
//! let b = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]; // 3 x 2, row by row
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
//! **What is promised.** The meaning is that of BLAS:
//! - with beta = 0, C is not read: it may hold anything, NaN included;
//! - with alpha = 0 or k = 0, A and B are not read, and C becomes beta C: a NaN in A does not reach C then;
//! - else NaN and infinity arrive in the elements of C that depend on them, and in no others.
//!
//! The result depends on the operands, the extents and the instruction set: not on strides, on the sizes of caches, or
//! on the number of threads. Two calls give the same bits.
//!
//! Nothing that a caller passes makes these functions panic.

#![cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, unused_variables, unused_mut, reason = "only x86-64 has packed kernels so far")
)]

#[cfg(target_arch = "x86_64")]
mod ahead;
mod choice;
mod error;
mod kernel;
mod layout;
#[cfg(target_arch = "x86_64")]
mod micro;
#[cfg(target_arch = "x86_64")]
mod pack;
#[cfg(target_arch = "x86_64")]
mod packed;
mod parallel;
mod problem;
mod reference;
mod scalar;
mod view;
mod workspace;

pub use choice::{Blocking, Choice, Path};
pub use error::{GemmError, LayoutError};
pub use kernel::{Case, Kernel, Operands, Shape, kernels};
pub use parallel::Parallelism;
pub use view::{MatMut, MatRef};
pub use workspace::Workspace;

use choice::Token;
use problem::Problem;
use workspace::with_workspace;

/// C <- alpha A B + beta C with the fastest kernel of this machine, where A is m x k, B k x n and C m x n. Returns what
/// ran.
///
/// Operands are packed into memory that the calling thread keeps for its next call; [`gemm_in`] takes memory of the
/// caller's.
///
/// # Errors
/// [`GemmError::ShapeMismatch`] if the extents do not fit each other, [`GemmError::Overflow`] if 2 m n k exceeds
/// `u64::MAX`, [`GemmError::OutOfMemory`] if there is none for packing. C is then as it was.
pub fn gemm(
    parallelism: Parallelism,
    alpha: f32,
    a: MatRef<'_, f32>,
    b: MatRef<'_, f32>,
    beta: f32,
    c: MatMut<'_, f32>,
) -> Result<Choice, GemmError> {
    with_workspace(|workspace| gemm_in(workspace, parallelism, alpha, a, b, beta, c))
}

/// [`gemm`] with memory for packing that the caller keeps.
///
/// # Errors
/// As [`gemm`].
pub fn gemm_in(
    workspace: &mut Workspace,
    parallelism: Parallelism,
    alpha: f32,
    a: MatRef<'_, f32>,
    b: MatRef<'_, f32>,
    beta: f32,
    c: MatMut<'_, f32>,
) -> Result<Choice, GemmError> {
    Token::best().product(Problem::new(alpha, a, b, beta, c)?, parallelism, workspace)
}

/// What [`gemm`] runs for row-major operands of this shape, if alpha is not 0.
pub fn explain(shape: Shape, parallelism: Parallelism) -> Choice {
    Token::best().choose(shape, parallelism)
}
