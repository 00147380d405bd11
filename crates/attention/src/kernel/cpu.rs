//! One kernel for each instruction set: which path it takes, and with how many threads.

use op::{Threads, Workspace};
use simd::{InstructionSet, Simd, Vectorized};

use crate::{
    algorithm::{
        rows::{self, Merge, RowsOfPart},
        tiles::{Cut, Tiles},
    },
    choice::{Choice, Path},
    error::AttentionError,
    parts::{Block, Blocks},
    problem::Problem,
    shape::Shape,
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
        forced: Option<Path>,
    ) -> Result<Choice, AttentionError> {
        let (path, threads) = match problem.is_empty() {
            true => (Path::Empty, Threads::SERIAL),
            false => match forced.unwrap_or_else(|| path(problem)) {
                Path::Tiles => (Path::Tiles, self.tiles(problem, threads, workspace)?),
                _ => (Path::Rows, self.rows(problem, threads, workspace)?),
            },
        };
        Ok(Choice { kernel: self.name(), isa: self.0.isa(), path, threads: threads.get() })
    }

    /// Bytes of workspace that [`attend`](Self::attend) takes for a problem of `shape`, if no sequences are packed and
    /// no keys are padding.
    pub(crate) fn workspace_bytes(self, shape: &Shape, threads: Threads) -> usize {
        let floats = match path_for(shape.queries, shape) {
            _ if [shape.batch, shape.heads, shape.queries].contains(&0) => 0,
            Path::Tiles => {
                let cut = Cut::new(shape, self.0.run(Lanes));
                Blocks::of_batches(shape, cut.queries).workspace_floats(shape, threads, cut.scratch_floats())
            }
            _ => {
                let cut = rows::Cut::of(shape, shape.keys);
                Blocks::of_batches(shape, cut.queries).workspace_floats_of_parts(shape, threads, &cut.parts())
            }
        };
        floats.saturating_mul(size_of::<f32>())
    }

    fn rows(
        self,
        problem: &Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
    ) -> Result<Threads, AttentionError> {
        let cut = rows::Cut::new(problem);
        let blocks = Blocks::new(problem, cut.queries);
        let compute = |block: &Block, part: usize, result: &mut [f32], scratch: &mut [f32]| {
            self.0.run(RowsOfPart { problem, block, cut, part, result, scratch });
        };
        let merge = |block: &Block, results: &mut [f32]| self.0.run(Merge { problem, block, cut, results });
        blocks.compute_parts(problem, threads, workspace, &cut.parts(), &compute, merge)
    }

    fn tiles(
        self,
        problem: &Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
    ) -> Result<Threads, AttentionError> {
        let cut = Cut::new(&problem.shape, self.0.run(Lanes));
        let blocks = Blocks::new(problem, cut.queries);
        blocks.compute(problem, threads, workspace, cut.scratch_floats(), &|block, scratch| {
            self.0.run(Tiles { problem, block, cut, scratch });
        })
    }
}

/// Lanes of a vector.
struct Lanes;

impl Vectorized for Lanes {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        S::LANES
    }
}

/// Up to so many rows that share a head of K and V, too many lanes of a strip would be idle.
const FEW_ROWS: usize = 12;

/// The path that is expected to be the fastest. It does not depend on threads, because the order of sums depends on it.
fn path(problem: &Problem<'_>) -> Path {
    let queries = problem.shape.queries * problem.shape.batch / problem.sequences().max(1);
    path_for(queries, &problem.shape)
}

/// The path for sequences of so many queries each.
fn path_for(queries: usize, shape: &Shape) -> Path {
    if queries.saturating_mul(shape.group()) <= FEW_ROWS { Path::Rows } else { Path::Tiles }
}
