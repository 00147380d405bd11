//! The kernels as tests, benches and peers see them: one list, one trait.

use op::{Loaded, Op, Ran, Threads, Workspace};
use quant::GgmlType;

use super::{
    cpu::{Codes, CpuKernel},
    reference,
};
use crate::{
    choice::{Choice, Path, Wish},
    epilogue::Epilogue,
    error::GemmError,
    matrix::{Input, Output},
    problem::Problem,
    shape::Shape,
    weights::{PackedB, Rhs},
};

/// The op: C <- act(alpha A B + beta C + bias) + residual.
#[derive(Debug)]
pub enum GemmOp {}

impl Op for GemmOp {
    type Case = Case;
    type Operands<'a> = Operands<'a>;
    type Error = GemmError;
}

/// One problem, without its data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    /// Extents.
    pub shape: Shape,
    /// The form of a B of codes; `None` for a matrix or packed weights.
    pub codes: Option<Codes>,
    /// Factor of A B.
    pub alpha: f32,
    /// Factor of C. If it is 0, C is not read.
    pub beta: f32,
    /// Threads that may work.
    pub threads: Threads,
}

impl From<Shape> for Case {
    /// C <- A B on one thread.
    fn from(shape: Shape) -> Self {
        Self { shape, codes: None, alpha: 1.0, beta: 0.0, threads: Threads::SERIAL }
    }
}

/// The data of a problem. C belongs to the caller and holds the result after each run.
#[derive(Debug)]
pub struct Operands<'a> {
    /// m x k.
    pub a: Input<'a>,
    /// k x n.
    pub b: Rhs<'a>,
    /// m x n.
    pub c: Output<'a>,
    /// What is done to C before it is stored.
    pub epilogue: Epilogue<'a>,
}

impl<'a> Operands<'a> {
    /// Without an epilogue.
    pub fn new(a: impl Into<Input<'a>>, b: impl Into<Rhs<'a>>, c: impl Into<Output<'a>>) -> Self {
        Self { a: a.into(), b: b.into(), c: c.into(), epilogue: Epilogue::NONE }
    }
}

/// One implementation of the op. After [`load`](op::Kernel::load) nothing is computed yet. Running it again with a beta
/// other than 0 reads the C of the run before; [`Loaded::reset`] restores the C that was loaded. Names are `reference`,
/// `cpu-scalar`, `cpu-avx2`, .. and `auto`.
pub trait Kernel: op::Kernel<GemmOp> {
    /// Packs weights for this kernel, for use as B.
    ///
    /// # Errors
    /// [`GemmError::OutOfMemory`] if there is no memory for the panels.
    fn pack(&self, b: Input<'_>) -> Result<PackedB, GemmError>;
}

/// All kernels that this machine runs: `reference` first, then from the slowest to the fastest, last `auto`, the public
/// function [`gemm`](crate::gemm()), which chooses among them.
pub fn kernels() -> Vec<Box<dyn Kernel>> {
    let mut list: Vec<Box<dyn Kernel>> = vec![Box::new(Implementation::Reference)];
    list.extend(
        CpuKernel::all()
            .into_iter()
            .map(|kernel| Box::new(Implementation::Cpu(kernel, Wish::Fastest)) as Box<dyn Kernel>),
    );
    list.push(Box::new(Implementation::Auto));
    list
}

/// The paths of all kernels that have several, each as a kernel of its own. It takes its path where that is possible,
/// and otherwise the path that the kernel itself would choose; [`Loaded::ran`] reports which.
pub fn paths() -> Vec<(Path, Box<dyn Kernel>)> {
    let kernels = CpuKernel::all().into_iter().filter(|kernel| kernel.has_paths() && kernel.supports(None));
    let forced = |kernel, path| (path, Box::new(Implementation::Cpu(kernel, Wish::Path(path))) as Box<dyn Kernel>);
    kernels.flat_map(|kernel| Path::CHOICES.map(|path| forced(kernel, path))).collect()
}

/// As [`paths`], for weights in blocks.
pub fn block_paths() -> Vec<(Path, Box<dyn Kernel>)> {
    let is_for_blocks = |kernel: &CpuKernel| kernel.supports(Some(Codes::Blocks(GgmlType::Q4_K)));
    let kernels = CpuKernel::all().into_iter().filter(|kernel| kernel.has_paths() && is_for_blocks(kernel));
    let forced = |kernel, path| (path, Box::new(Implementation::Cpu(kernel, Wish::Path(path))) as Box<dyn Kernel>);
    kernels.flat_map(|kernel| Path::BLOCK_CHOICES.map(|path| forced(kernel, path))).collect()
}

/// All kernels but the reference, each computing rows as [`Gemm::rows_alone`](crate::Gemm::rows_alone) asks.
pub fn rows_alone() -> Vec<Box<dyn Kernel>> {
    let alone = |kernel| Box::new(Implementation::Cpu(kernel, Wish::RowsAlone)) as Box<dyn Kernel>;
    CpuKernel::all().into_iter().filter(|kernel| kernel.supports(None)).map(alone).collect()
}

#[derive(Debug, Clone, Copy)]
enum Implementation {
    Reference,
    /// A kernel, and how it chooses the path.
    Cpu(CpuKernel, Wish),
    Auto,
}

impl op::Kernel<GemmOp> for Implementation {
    fn name(&self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Cpu(kernel, _) => kernel.name(),
            Self::Auto => "auto",
        }
    }

    fn supports(&self, case: &Case) -> bool {
        let fits = !matches!(self, Self::Cpu(kernel, _) if !kernel.supports(case.codes));
        case.shape.flops().is_some() && fits
    }

    /// # Errors
    /// As [`gemm`](crate::gemm()); also [`GemmError::ShapeMismatch`] if the operands are not of the case's shape.
    fn load<'a>(&'a self, case: &Case, operands: Operands<'a>) -> Result<Box<dyn Loaded + 'a>, GemmError> {
        let Operands { a, b, c, epilogue } = operands;
        let problem = Problem::new(case.alpha, a, b, case.beta, c, epilogue)?;
        if problem.shape() != case.shape {
            let Shape { m, n, k } = case.shape;
            return Err(GemmError::ShapeMismatch { a: (m, k), b: (k, n), c: (problem.c.rows(), problem.c.cols()) });
        }
        let before = if case.beta == 0.0 { Vec::new() } else { elements(&problem.c) };
        Ok(Box::new(LoadedProduct { implementation: *self, threads: case.threads, problem, before, outcome: None }))
    }
}

impl Kernel for Implementation {
    fn pack(&self, b: Input<'_>) -> Result<PackedB, GemmError> {
        match self {
            Self::Cpu(kernel, _) => kernel.pack(b),
            Self::Reference | Self::Auto => PackedB::new(b),
        }
    }
}

struct LoadedProduct<'a> {
    implementation: Implementation,
    threads: Threads,
    problem: Problem<'a>,
    /// C as it was loaded, row by row; empty if nothing reads it.
    before: Vec<f32>,
    /// Of the last run.
    outcome: Option<Result<Choice, GemmError>>,
}

impl Loaded for LoadedProduct<'_> {
    fn run(&mut self) {
        let (threads, mut problem) = (self.threads, self.problem.reborrow());
        self.outcome = Some(match self.implementation {
            Implementation::Reference => Ok(reference::product(problem)),
            Implementation::Cpu(kernel, path) => {
                Workspace::with_kept(|workspace| kernel.product(&mut problem, threads, workspace, path))
            }
            Implementation::Auto => {
                let Problem { alpha, a, b, beta, c, epilogue } = problem;
                crate::Gemm::new(a, b).alpha(alpha).beta(beta).epilogue(epilogue).threads(threads).run(c)
            }
        });
    }

    fn reset(&mut self) {
        let c = &mut self.problem.c;
        let n = c.cols().max(1);
        for (at, &before) in self.before.iter().enumerate() {
            c.set(at / n, at % n, before);
        }
    }

    /// A run that failed left C as it was; the path is the error then.
    fn ran(&self) -> Ran {
        let Problem { a, b, ref c, epilogue, .. } = self.problem;
        let passes_over_c = if self.problem.beta == 0.0 { 1 } else { 2 };
        // Saturating: inputs that repeat elements may have more of them than memory has.
        let bytes = |matrix: Input<'_>| {
            (matrix.rows() as u64)
                .saturating_mul(matrix.cols() as u64)
                .saturating_mul(matrix.element_type().bytes() as u64)
        };
        let moved = bytes(a)
            .saturating_add(b.bytes())
            .saturating_add(bytes(c.as_input()).saturating_mul(passes_over_c))
            .saturating_add(epilogue.residual_matrix().map_or(0, bytes));
        let none = |path: String| Ran { path, threads: 0, ..Ran::new("none", "") };
        let ran = match self.outcome {
            Some(Ok(choice)) => choice.ran(),
            Some(Err(error)) => none(error.to_string()),
            None => none("not run".to_owned()),
        };
        Ran { flops: self.problem.shape().flops().unwrap_or(u64::MAX), bytes: moved, ..ran }
    }
}

/// Row by row.
fn elements(c: &Output<'_>) -> Vec<f32> {
    let c = c.as_input();
    let rows = if c.cols() == 0 { 0 } else { c.rows() };
    (0..rows).flat_map(|i| (0..c.cols()).filter_map(move |j| c.get(i, j))).collect()
}
