//! One kernel for each instruction set: which path each sequence takes, and with how many threads.

use op::{Threads, Workspace};
use simd::{Amx, ElementType, InstructionSet, Simd, Vectorized};

#[cfg(target_arch = "x86_64")]
use crate::algorithm::amx::{self, AmxTiles};
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
    view::Input,
};

/// A kernel of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuKernel {
    set: InstructionSet,
    /// For products of bf16; what they cannot compute, the instruction set does.
    amx: Option<Amx>,
}

impl CpuKernel {
    /// The fastest of this machine.
    pub(crate) fn best() -> Self {
        Self { set: InstructionSet::best(), amx: Amx::new() }
    }

    /// All of this machine, the portable one first, that with tile registers last.
    pub(crate) fn all() -> Vec<Self> {
        let plain = InstructionSet::supported().into_iter().map(|set| Self { set, amx: None });
        plain.chain(Amx::new().map(|_| Self::best())).collect()
    }

    /// Its name, as bench ids spell it.
    pub(crate) fn name(self) -> &'static str {
        if self.amx.is_some() { "cpu-amx" } else { self.set.kernel_name() }
    }

    /// The paths that it chooses among.
    pub(crate) fn paths(self) -> impl Iterator<Item = Path> {
        Path::CHOICES.into_iter().filter(move |&path| path != Path::Amx || self.amx.is_some())
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
        let (kernel, isa) = (self.set.kernel_name(), self.set.isa());
        if problem.is_empty() {
            return Ok(Choice { kernel, isa, path: Path::Empty, threads: 1 });
        }
        let has_products = self.amx_cut(problem).is_some();
        let taking = |path| {
            let path_of = move |queries: usize| match (forced, path_for(queries, &problem.shape)) {
                (Some(Path::Amx), _) | (None, Path::Tiles) if has_products => Path::Amx,
                (Some(path @ (Path::Rows | Path::Tiles)), _) | (_, path) => path,
            };
            problem.sequences().filter(move |Sequence { queries, .. }| path_of(queries.len()) == path)
        };
        let few = self.rows(problem, taking(Path::Rows), threads);
        let many = self.tiles(problem, taking(Path::Tiles), threads);
        let products = self.amx_tiles(problem, taking(Path::Amx), threads);
        // All memory first: the output is unchanged where there is none.
        let needs = [
            few.as_ref().map(|work| work.floats),
            many.as_ref().map(|work| work.floats),
            products.as_ref().map(|work| work.floats),
        ];
        let memory = workspace.floats(needs.into_iter().flatten().max().unwrap_or(0))?;
        let few = few.map(|work| work.run(memory));
        let many = many.map(|work| work.run(memory));
        let products = products.map(|work| work.run(memory));
        let path = match (few, many, products) {
            (None, None, None) => Path::Empty,
            (Some(_), None, None) => Path::Rows,
            (None, Some(_), None) => Path::Tiles,
            (None, None, Some(_)) => Path::Amx,
            _ => Path::Mixed,
        };
        let kernel = if products.is_some() { self.name() } else { kernel };
        let threads = few.max(many).max(products).unwrap_or_default();
        Ok(Choice { kernel, isa, path, threads: threads.get() })
    }

    /// Bytes of workspace that [`attend`](Self::attend) takes for a problem of `shape` with Q, K and V of one type, if
    /// no sequences are packed, no keys are padding and there is no mask; no more with padding or a mask.
    pub(crate) fn workspace_bytes(self, shape: &Shape, element: ElementType, threads: Threads) -> usize {
        let &Shape { batch, queries, .. } = shape;
        if shape.has_no_rows() {
            return 0;
        }
        let path = match path_for(queries, shape) {
            Path::Tiles if self.amx_strips(shape, element).is_some() => Path::Amx,
            path => path,
        };
        self.bytes_of(path, shape, element, (batch, queries), threads)
    }

    /// The same for any packed sequences of which `shape` has the sums of queries and keys: the most of all paths.
    pub(crate) fn packed_workspace_bytes(self, shape: &Shape, element: ElementType, threads: Threads) -> usize {
        if shape.has_no_rows() {
            return 0;
        }
        // Sequences are no fewer pieces of work than threads at most, whatever their lengths.
        let pieces = |queries| (threads.get(), queries);
        let few = (1..=shape.queries.min(FEW_ROWS))
            .map(|queries| self.bytes_of(Path::Rows, shape, element, pieces(queries), threads));
        let many =
            [Path::Tiles, Path::Amx].map(|path| self.bytes_of(path, shape, element, pieces(shape.queries), threads));
        few.chain(many).max().unwrap_or(0)
    }

    /// Bytes that a path takes for `count` sequences of `queries` queries each, 0 if it cannot compute them.
    fn bytes_of(
        self,
        path: Path,
        shape: &Shape,
        element: ElementType,
        (count, queries): (usize, usize),
        threads: Threads,
    ) -> usize {
        let flops = shape.most_flops().unwrap_or(u64::MAX);
        // Floats of a thread, and queries of a block.
        let of_strips = |(floats, block): (usize, usize)| {
            let blocks = count.saturating_mul(queries.div_ceil(block)).saturating_mul(shape.kv_heads);
            floats.saturating_mul(worthwhile(threads, blocks, flops).get())
        };
        let floats = match path {
            Path::Tiles => {
                let cut = Cut::new(shape, self.set.run(Lanes));
                of_strips((cut.scratch_floats(), cut.queries))
            }
            Path::Amx => self.amx_strips(shape, element).map_or(0, of_strips),
            _ => {
                let cut = rows::Cut::of(shape, queries);
                cut.floats(worthwhile(threads, cut.most_tasks(count, queries, shape.keys), flops))
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
        // By the work of single heads: teams depend on the number of threads.
        let single = rows::tasks(problem, cut, 1, sequences.clone());
        let threads = worth_using(threads, &single, problem.flops_of(sequences.clone()))?;
        let team = cut.team(problem, sequences.clone(), threads);
        let tasks = rows::tasks(problem, cut, team, sequences);
        let waves = Waves { kernel: self.set, problem, cut, team, threads };
        let compute = move |memory: &mut [f32]| waves.compute(tasks, memory);
        Some(Work { threads, floats: cut.floats(threads), compute })
    }

    fn tiles<'p>(
        self,
        problem: &'p Problem<'_>,
        sequences: impl DoubleEndedIterator<Item = Sequence> + Clone + Send + Sync + 'p,
        threads: Threads,
    ) -> Option<Work<impl FnOnce(&mut [f32]) + 'p>> {
        let cut = Cut::new(&problem.shape, self.set.run(Lanes));
        let blocks = blocks(sequences.clone(), problem.shape.kv_heads, cut.queries);
        let threads = worth_using(threads, &blocks, problem.flops_of(sequences))?;
        let floats = cut.scratch_floats().saturating_mul(threads.get());
        let compute = move |memory: &mut [f32]| {
            for_each(blocks, threads, &mut memory[..floats], &|block, scratch| {
                self.set.run(Tiles { problem, block: &block, cut, scratch });
            });
        };
        Some(Work { threads, floats, compute })
    }
}

impl CpuKernel {
    /// Tile registers, if there are some and they have products for these types.
    fn amx_for(self, problem: &Problem<'_>) -> Option<Amx> {
        let is_bf16 = |tensor: &Input<'_>| tensor.element_type() == ElementType::Bf16;
        self.amx.filter(|_| [problem.q, problem.k, problem.v].iter().all(is_bf16))
    }

    /// Floats of a thread and queries of a block of [`Path::Amx`], if it can compute Q, K and V of this type.
    #[cfg(target_arch = "x86_64")]
    fn amx_strips(self, shape: &Shape, element: ElementType) -> Option<(usize, usize)> {
        self.amx.filter(|_| element == ElementType::Bf16)?;
        amx::Cut::new(shape).map(|cut| (cut.scratch_floats(), cut.queries))
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn amx_strips(self, _: &Shape, _: ElementType) -> Option<(usize, usize)> {
        None
    }

    /// How they would cut a problem, if they can compute it.
    #[cfg(target_arch = "x86_64")]
    fn amx_cut(self, problem: &Problem<'_>) -> Option<(Amx, amx::Cut)> {
        let amx = self.amx_for(problem)?;
        amx::Cut::new(&problem.shape).map(|cut| (amx, cut))
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn amx_cut(self, problem: &Problem<'_>) -> Option<Amx> {
        self.amx_for(problem)
    }

    #[cfg(target_arch = "x86_64")]
    fn amx_tiles<'p>(
        self,
        problem: &'p Problem<'_>,
        sequences: impl DoubleEndedIterator<Item = Sequence> + Clone + Send + Sync + 'p,
        threads: Threads,
    ) -> Option<Work<impl FnOnce(&mut [f32]) + 'p>> {
        let (amx, cut) = self.amx_cut(problem)?;
        let blocks = blocks(sequences.clone(), problem.shape.kv_heads, cut.queries);
        let threads = worth_using(threads, &blocks, problem.flops_of(sequences))?;
        let floats = cut.scratch_floats().saturating_mul(threads.get());
        let compute = move |memory: &mut [f32]| {
            for_each(blocks, threads, &mut memory[..floats], &|block, scratch| {
                AmxTiles { problem, block: &block, cut, scratch }.run(amx);
            });
        };
        Some(Work { threads, floats, compute })
    }

    /// There are none: an `Amx` does not exist here.
    #[cfg(not(target_arch = "x86_64"))]
    fn amx_tiles(self, _: &Problem<'_>, _: impl Iterator<Item = Sequence>, _: Threads) -> Option<Work<fn(&mut [f32])>> {
        None
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
