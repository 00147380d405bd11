//! One kernel for each instruction set: which path it takes, and with how many threads.

use op::Threads;
use simd::InstructionSet;

use crate::{
    algorithm::rows::{self, Rows},
    choice::{Choice, Path},
    error::AttentionError,
    parts::{Blocks, for_each_index, worthwhile},
    problem::Problem,
    workspace::Workspace,
};

/// A kernel of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuKernel(InstructionSet);

impl CpuKernel {
    /// The fastest of this machine.
    pub(crate) fn best() -> Self {
        Self(InstructionSet::best())
    }

    /// All of this machine, the portable one first.
    pub(crate) fn all() -> Vec<Self> {
        InstructionSet::supported().into_iter().map(Self).collect()
    }

    /// Its name, as bench ids spell it.
    pub(crate) fn name(self) -> &'static str {
        self.0.kernel_name()
    }

    /// Computes the output. `forced` is the path if it is possible.
    pub(crate) fn attend(
        self,
        problem: &mut Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
        _forced: Option<Path>,
    ) -> Result<Choice, AttentionError> {
        let choice =
            |path, threads: Threads| Choice { kernel: self.name(), isa: self.0.isa(), path, threads: threads.get() };
        if problem.is_empty() {
            return Ok(choice(Path::Empty, Threads::SERIAL));
        }
        let problem = &*problem;
        let blocks = Blocks::new(problem, rows::QUERIES);
        let flops = problem.shape.most_flops().unwrap_or(u64::MAX);
        let threads = worthwhile(threads, blocks.count(), flops);
        let scratch = rows::scratch_floats(&problem.shape).saturating_mul(threads.get());
        let scratch = workspace.floats(scratch)?;
        for_each_index(blocks.count(), threads, scratch, &|index, scratch| {
            if let Some(block) = blocks.get(problem, index) {
                self.0.run(Rows { problem, block: &block, scratch });
            }
        });
        Ok(choice(Path::Rows, threads))
    }
}
