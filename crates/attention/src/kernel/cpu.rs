//! One kernel for each instruction set: which path each sequence takes, and with how many threads.

use op::{Threads, Workspace};
use simd::{InstructionSet, Simd, Vectorized};

use crate::{
    algorithm::{
        rows::{self, Waves},
        tiles::{Cut, Tiles},
    },
    choice::{Choice, Path},
    error::AttentionError,
    parts::{blocks, for_each, worthwhile},
    problem::{Problem, Sequence},
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

    /// Computes the output. `forced` is the path of all sequences if it is possible.
    pub(crate) fn attend(
        self,
        problem: &mut Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
        forced: Option<Path>,
    ) -> Result<Choice, AttentionError> {
        let problem = &*problem;
        let choice = |path, threads: Threads| {
            Ok(Choice { kernel: self.name(), isa: self.0.isa(), path, threads: threads.get() })
        };
        if problem.is_empty() {
            return choice(Path::Empty, Threads::SERIAL);
        }
        let taking = |path| {
            let path_of = move |queries: usize| forced.unwrap_or_else(|| path_for(queries, &problem.shape));
            problem.sequences().filter(move |Sequence { queries, .. }| path_of(queries.len()) == path)
        };
        let few = self.rows(problem, taking(Path::Rows), threads);
        let many = self.tiles(problem, taking(Path::Tiles), threads);
        // All memory first: the output is unchanged where there is none.
        let needs = [few.as_ref().map(|work| work.floats), many.as_ref().map(|work| work.floats)];
        let memory = workspace.floats(needs.into_iter().flatten().max().unwrap_or(0))?;
        let few = few.map(|work| work.run(memory));
        let many = many.map(|work| work.run(memory));
        let path = match (few, many) {
            (None, None) => Path::Empty,
            (Some(_), None) => Path::Rows,
            (None, Some(_)) => Path::Tiles,
            (Some(_), Some(_)) => Path::Mixed,
        };
        choice(path, few.max(many).unwrap_or_default())
    }

    /// Bytes of workspace that [`attend`](Self::attend) takes for a problem of `shape`, if no sequences are packed, no
    /// keys are padding and there is no mask.
    pub(crate) fn workspace_bytes(self, shape: &Shape, threads: Threads) -> usize {
        let &Shape { batch, queries, keys, heads, .. } = shape;
        if [batch, heads, queries].contains(&0) {
            return 0;
        }
        let flops = shape.most_flops().unwrap_or(u64::MAX);
        let floats = match path_for(queries, shape) {
            Path::Tiles => {
                let cut = Cut::new(shape, self.0.run(Lanes));
                let per_head = batch.saturating_mul(queries.div_ceil(cut.queries));
                let threads = worthwhile(threads, per_head.saturating_mul(shape.kv_heads), flops);
                cut.scratch_floats().saturating_mul(threads.get())
            }
            _ => {
                let cut = rows::Cut::of(shape, queries);
                cut.floats(worthwhile(threads, cut.most_tasks(batch, queries, keys), flops))
            }
        };
        floats.saturating_mul(size_of::<f32>())
    }

    fn rows<'p>(
        self,
        problem: &'p Problem<'_>,
        sequences: impl Iterator<Item = Sequence> + Clone + Send + Sync + 'p,
        threads: Threads,
    ) -> Option<Work<impl FnOnce(&mut [f32]) + 'p>> {
        let cut = rows::Cut::new(problem, sequences.clone());
        let tasks = rows::tasks(problem, cut, sequences.clone());
        let threads = worth_using(threads, &tasks, problem.flops_of(sequences))?;
        let waves = Waves { kernel: self.0, problem, cut, threads };
        let compute = move |memory: &mut [f32]| waves.compute(tasks, memory);
        Some(Work { threads, floats: cut.floats(threads), compute })
    }

    fn tiles<'p>(
        self,
        problem: &'p Problem<'_>,
        sequences: impl DoubleEndedIterator<Item = Sequence> + Clone + Send + Sync + 'p,
        threads: Threads,
    ) -> Option<Work<impl FnOnce(&mut [f32]) + 'p>> {
        let cut = Cut::new(&problem.shape, self.0.run(Lanes));
        let blocks = blocks(sequences.clone(), problem.shape.kv_heads, cut.queries);
        let threads = worth_using(threads, &blocks, problem.flops_of(sequences))?;
        let floats = cut.scratch_floats().saturating_mul(threads.get());
        let compute = move |memory: &mut [f32]| {
            for_each(blocks, threads, &mut memory[..floats], &|block, scratch| {
                self.0.run(Tiles { problem, block: &block, cut, scratch });
            });
        };
        Some(Work { threads, floats, compute })
    }
}

/// How many threads are worth using for this work, if there is some.
fn worth_using(threads: Threads, work: &(impl Iterator + Clone), flops: u64) -> Option<Threads> {
    let count = work.clone().take(threads.get()).count();
    (count > 0).then(|| worthwhile(threads, count, flops))
}

/// What a path does, if some sequence takes it.
struct Work<F> {
    threads: Threads,
    /// Floats of memory that `compute` needs.
    floats: usize,
    compute: F,
}

impl<F: FnOnce(&mut [f32])> Work<F> {
    /// Does it, and returns with how many threads.
    fn run(self, memory: &mut [f32]) -> Threads {
        (self.compute)(memory);
        self.threads
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

/// The path that is expected to be the fastest for sequences of so many queries. It does not depend on threads: the
/// order of sums depends on it.
fn path_for(queries: usize, shape: &Shape) -> Path {
    if queries.saturating_mul(shape.group()) <= FEW_ROWS { Path::Rows } else { Path::Tiles }
}
