//! The kernels as tests, benches and peers see them: one list, one trait.

use op::{Loaded, Op, Ran, Threads, Workspace};

use super::{cpu::CpuKernel, reference};
use crate::{
    choice::{Choice, Path},
    error::AttentionError,
    options::Options,
    problem::Problem,
    shape::Shape,
    view::{Input, Output},
};

/// The op: O = softmax(scale Q K^T + bias) V.
#[derive(Debug)]
pub enum AttentionOp {}

impl Op for AttentionOp {
    type Case = Case;
    type Operands<'a> = Operands<'a>;
    type Error = AttentionError;
}

/// One problem, without its data and options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Extents.
    pub shape: Shape,
    /// Threads that may work.
    pub threads: Threads,
}

impl From<Shape> for Case {
    /// On one thread.
    fn from(shape: Shape) -> Self {
        Self { shape, threads: Threads::SERIAL }
    }
}

/// The data of a problem. The output belongs to the caller and holds the result after each run.
#[derive(Debug)]
pub struct Operands<'a> {
    /// batch x queries x heads x head_dim.
    pub q: Input<'a>,
    /// batch x keys x kv_heads x head_dim.
    pub k: Input<'a>,
    /// batch x keys x kv_heads x value_dim.
    pub v: Input<'a>,
    /// batch x queries x heads x value_dim.
    pub out: Output<'a>,
    /// Where the log-sum-exp of each row goes: batch x heads x queries.
    pub lse: Option<&'a mut [f32]>,
    /// Scale, mask, bias and lengths.
    pub options: Options<'a>,
}

impl<'a> Operands<'a> {
    /// Without options and without the log-sum-exp.
    pub fn new(
        q: impl Into<Input<'a>>,
        k: impl Into<Input<'a>>,
        v: impl Into<Input<'a>>,
        out: impl Into<Output<'a>>,
    ) -> Self {
        Self { q: q.into(), k: k.into(), v: v.into(), out: out.into(), lse: None, options: Options::NONE }
    }
}

/// One implementation of the op. After [`load`](op::Kernel::load) nothing is computed yet. Names are `reference`,
/// `cpu-scalar`, `cpu-avx2`, .., `cpu-amx` and `auto`.
pub trait Kernel: op::Kernel<AttentionOp> {}

impl<K: op::Kernel<AttentionOp>> Kernel for K {}

/// All kernels that this machine runs: `reference` first, then from the slowest to the fastest, last `auto`, the public
/// type [`Attention`](crate::Attention), which chooses among them.
pub fn kernels() -> Vec<Box<dyn Kernel>> {
    let mut list: Vec<Box<dyn Kernel>> = vec![Box::new(Implementation::Reference)];
    list.extend(CpuKernel::all().into_iter().map(|kernel| boxed(Implementation::Cpu(kernel, None))));
    list.push(Box::new(Implementation::Auto));
    list
}

/// The paths of all kernels, each as a kernel of its own. It takes its path where that is possible, and otherwise the
/// path that the kernel itself would choose; [`Loaded::ran`] reports which.
pub fn paths() -> Vec<(Path, Box<dyn Kernel>)> {
    let forced = |kernel, path| (path, boxed(Implementation::Cpu(kernel, Some(path))));
    CpuKernel::all().into_iter().flat_map(|kernel| kernel.paths().map(move |path| forced(kernel, path))).collect()
}

fn boxed(implementation: Implementation) -> Box<dyn Kernel> {
    Box::new(implementation)
}

#[derive(Debug, Clone, Copy)]
enum Implementation {
    Reference,
    /// A kernel, and the path that it takes where that is possible.
    Cpu(CpuKernel, Option<Path>),
    Auto,
}

impl op::Kernel<AttentionOp> for Implementation {
    fn name(&self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Cpu(kernel, _) => kernel.name(),
            Self::Auto => "auto",
        }
    }

    fn supports(&self, case: &Case) -> bool {
        case.shape.most_flops().is_some()
    }

    /// # Errors
    /// Those of [`Attention::run`](crate::Attention::run) that concern operands and options;
    /// [`AttentionError::TypeMismatch`] if K and V are stored as different types; [`AttentionError::CaseMismatch`] if
    /// the operands are not of the case's shape. Memory is taken in a run: where there is none, [`Loaded::ran`] reports
    /// [`AttentionError::OutOfMemory`] as the path.
    fn load<'a>(&'a self, case: &Case, operands: Operands<'a>) -> Result<Box<dyn Loaded + 'a>, AttentionError> {
        let Operands { q, k, v, out, lse, options } = operands;
        let problem = Problem::new([q, k, v], out, lse, options)?;
        if problem.shape != case.shape {
            return Err(AttentionError::CaseMismatch { got: problem.shape, need: case.shape });
        }
        Ok(Box::new(LoadedProblem { implementation: *self, threads: case.threads, problem, outcome: None }))
    }
}

struct LoadedProblem<'a> {
    implementation: Implementation,
    threads: Threads,
    problem: Problem<'a>,
    /// Of the last run.
    outcome: Option<Result<Choice, AttentionError>>,
}

impl Loaded for LoadedProblem<'_> {
    fn run(&mut self) {
        let Self { threads, ref mut problem, .. } = *self;
        let attend = |kernel: CpuKernel, problem: &mut Problem<'_>, path: Option<Path>| {
            Workspace::with_kept(|workspace: &mut Workspace| kernel.attend(problem, threads, workspace, path))
        };
        self.outcome = Some(match self.implementation {
            Implementation::Reference => Ok(reference::attend(problem)),
            Implementation::Cpu(kernel, path) => attend(kernel, problem, path),
            // What `Attention::run` does once its operands are checked.
            Implementation::Auto => attend(CpuKernel::best(), problem, None),
        });
    }

    /// The path of a run that failed is the error.
    fn ran(&self) -> Ran {
        let none = |path: String| Ran { path, threads: 0, ..Ran::new("none", "") };
        let ran = match &self.outcome {
            Some(Ok(choice)) => choice.ran(),
            Some(Err(error)) => none(error.to_string()),
            None => none("not run".to_owned()),
        };
        Ran { flops: self.problem.flops(), bytes: self.problem.bytes(), ..ran }
    }
}
