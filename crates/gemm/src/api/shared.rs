//! Several products with one A.

use op::{Threads, Workspace};

use crate::{
    epilogue::Epilogue,
    error::GemmError,
    kernel::CpuKernel,
    matrix::{Input, Output},
    problem::Problem,
    weights::Rhs,
};

/// Several products with one A, as the projections of a layer are: C <- act(alpha A B + beta C + bias) + residual for
/// each B and its C.
///
/// With weights in [blocks](crate::QMatRef), A is rounded once for each type, and threads share the columns of all
/// weights, so that small ones cost no hand-over of their own. Other forms of B are multiplied one after the other. C
/// has the bits that [`Gemm`](crate::Gemm) gives it.
///
/// ```
/// use gemm::{MatMut, MatRef, QMatRef, SharedA, Term, Threads};
/// use quant::{GgmlType, quantize};
///
/// let weights: Vec<f32> = (0..64 * 64).map(|i| (i % 7) as f32 - 3.0).collect();
/// let mut bytes = vec![0; 64 * GgmlType::Q8_0.row_bytes(64)?];
/// quantize(GgmlType::Q8_0, &weights, &mut bytes)?;
/// let (keys, values) = (QMatRef::from_bytes(GgmlType::Q8_0, &bytes, 64, 64)?, MatRef::from_col_major(&weights, 64, 32)?);
///
/// let (x, mut k, mut v) = ([1.0_f32; 64], [0.0_f32; 64], [0.0_f32; 32]);
/// SharedA::new(MatRef::from_row_major(&x, 1, 64)?).threads(Threads::new(2).unwrap_or_default()).run([
///     Term::new(keys, MatMut::from_row_major(&mut k, 1, 64)?),
///     Term::new(values, MatMut::from_row_major(&mut v, 1, 32)?),
/// ])?;
/// assert!(k.iter().zip(&v).all(|(k, v)| (k - v).abs() < 0.5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is computed before `run`"]
pub struct SharedA<'a> {
    a: Input<'a>,
    threads: Threads,
    workspace: Option<&'a mut Workspace>,
}

/// A product of [`SharedA`]: B, C and what is done to C.
#[derive(Debug)]
pub struct Term<'a> {
    alpha: f32,
    b: Rhs<'a>,
    beta: f32,
    c: Output<'a>,
    epilogue: Epilogue<'a>,
}

impl<'a> Term<'a> {
    /// C <- A B.
    pub fn new(b: impl Into<Rhs<'a>>, c: impl Into<Output<'a>>) -> Self {
        Self { alpha: 1.0, b: b.into(), beta: 0.0, c: c.into(), epilogue: Epilogue::NONE }
    }

    /// The factor of A B; 1 to begin with.
    #[must_use]
    pub fn alpha(self, alpha: f32) -> Self {
        Self { alpha, ..self }
    }

    /// The factor of C; 0 to begin with.
    #[must_use]
    pub fn beta(self, beta: f32) -> Self {
        Self { beta, ..self }
    }

    /// What is done to C before it is stored.
    #[must_use]
    pub fn epilogue(self, epilogue: Epilogue<'a>) -> Self {
        Self { epilogue, ..self }
    }
}

impl<'a> SharedA<'a> {
    /// With A m x k, on the calling thread.
    pub fn new(a: impl Into<Input<'a>>) -> Self {
        Self { a: a.into(), threads: Threads::SERIAL, workspace: None }
    }

    /// How many threads of the rayon pool that it is called from may work.
    pub fn threads(self, threads: Threads) -> Self {
        Self { threads, ..self }
    }

    /// Memory to keep between calls; that of the calling thread to begin with.
    pub fn workspace(self, workspace: &'a mut Workspace) -> Self {
        Self { workspace: Some(workspace), ..self }
    }

    /// Computes each C. Returns how many threads worked at most.
    ///
    /// # Errors
    /// As [`Gemm::run`](crate::Gemm::run), for the first term that has one. No C is changed unless memory is refused.
    pub fn run<const N: usize>(self, terms: [Term<'a>; N]) -> Result<usize, GemmError> {
        let Self { a, threads, workspace } = self;
        let mut problems = [const { None }; N];
        for (term, problem) in terms.into_iter().zip(&mut problems) {
            let Term { alpha, b, beta, c, epilogue } = term;
            *problem = Some(Problem::new(alpha, a, b, beta, c, epilogue)?);
        }
        let problems = problems.map(|problem| match problem {
            Some(problem) => problem,
            None => unreachable!("each term has become a problem"),
        });
        match workspace {
            Some(workspace) => CpuKernel::products(a, problems, threads, workspace),
            None => Workspace::with_kept(|workspace| CpuKernel::products(a, problems, threads, workspace)),
        }
    }
}
