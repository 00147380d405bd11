//! One kernel for each instruction set, behind one trait: the only place in this crate that tells them apart.

use std::{fmt::Debug, sync::OnceLock};

use op::{Threads, Workspace};
use quant::GgmlType;
#[cfg(target_arch = "x86_64")]
use simd::{Avx2, Avx512};
use simd::{Avx512Vnni, Dispatch, ElementType, InstructionSet, Isa, Portable};

use crate::{
    algorithm::{scale, strips},
    choice::{Choice, Path},
    error::GemmError,
    grid::Grid,
    matrix::Input,
    plan::{self, Plan, ProblemLayout, Split},
    problem::Problem,
    quantized,
    shape::Shape,
    tile::MicroKernel,
    weights::{PackedB, PanelShape, Source},
};

/// A kernel of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuKernel {
    set: InstructionSet,
    /// For weights in blocks, sums of products of bytes in one instruction; everything else is the instruction set's.
    dot_products: Option<Avx512Vnni>,
    code: &'static dyn Code,
}

/// What the code of an instruction set can do. `forced` is the path if it is possible.
trait Code: Debug + Send + Sync {
    /// The panels of a B with `k` rows.
    fn panel_shape(&self, k: usize) -> PanelShape;

    /// What it runs for matrices, if there is work.
    fn plan(&self, layout: ProblemLayout, threads: Threads, forced: Option<Path>) -> Plan;

    /// How threads share a product of matrices, if they do so in blocks and there is work.
    fn split(&self, layout: ProblemLayout, threads: Threads) -> Option<Split>;

    /// What it runs for packed weights and a C of type `c`, if there is work.
    fn plan_packed(&self, shape: Shape, c: ElementType, threads: Threads) -> Plan;

    /// What it runs for weights in blocks of a type, if there is work.
    fn plan_blocks(&self, shape: Shape, ty: GgmlType, threads: Threads, forced: Option<Path>) -> Plan {
        quantized::plan(shape, ty, threads, forced)
    }

    /// Floats of workspace that it takes for packed weights and a C of type `c`, if there is work.
    fn floats_packed(&self, shape: Shape, c: ElementType, threads: Threads) -> usize;

    /// C <- act(alpha A B + beta C + bias) + residual.
    fn product(
        &self,
        problem: &mut Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
        forced: Option<Path>,
    ) -> Result<Plan, GemmError>;
}

impl<K: MicroKernel> Code for K {
    fn panel_shape(&self, k: usize) -> PanelShape {
        K::panel_shape(k)
    }

    fn plan(&self, layout: ProblemLayout, threads: Threads, forced: Option<Path>) -> Plan {
        plan::for_matrices::<K>(layout, threads, forced)
    }

    fn split(&self, layout: ProblemLayout, threads: Threads) -> Option<Split> {
        plan::split_of_matrices::<K>(layout, threads)
    }

    fn plan_packed(&self, shape: Shape, c: ElementType, threads: Threads) -> Plan {
        plan::for_packed_weights::<K>(shape, c, threads)
    }

    fn floats_packed(&self, shape: Shape, c: ElementType, threads: Threads) -> usize {
        plan::floats_for_packed_weights::<K>(shape, c, threads)
    }

    fn product(
        &self,
        problem: &mut Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
        forced: Option<Path>,
    ) -> Result<Plan, GemmError> {
        plan::product(*self, problem, threads, workspace, forced)
    }
}

/// The portable kernel has one path.
impl Code for Portable {
    fn panel_shape(&self, k: usize) -> PanelShape {
        PanelShape { kc: k.max(1), nr: strips::NR }
    }

    fn plan(&self, layout: ProblemLayout, threads: Threads, _: Option<Path>) -> Plan {
        Plan::strips(Grid::new(layout.shape, threads, strips::MR, strips::NR))
    }

    fn split(&self, _: ProblemLayout, _: Threads) -> Option<Split> {
        None
    }

    fn plan_blocks(&self, shape: Shape, ty: GgmlType, threads: Threads, _: Option<Path>) -> Plan {
        quantized::plan(shape, ty, threads, Some(Path::BlockDots))
    }

    fn plan_packed(&self, shape: Shape, _: ElementType, threads: Threads) -> Plan {
        Plan::strips(Grid::new(shape, threads, strips::MR, strips::NR))
    }

    fn floats_packed(&self, shape: Shape, _: ElementType, threads: Threads) -> usize {
        strips::floats(shape.k, Grid::new(shape, threads, strips::MR, strips::NR)).unwrap_or(usize::MAX)
    }

    fn product(
        &self,
        problem: &mut Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
        _: Option<Path>,
    ) -> Result<Plan, GemmError> {
        // An empty C may have any number of rows or columns: no loop may follow them.
        if problem.is_empty() {
            return Ok(Plan::SCALE);
        }
        if problem.is_scaling() {
            scale::product(*self, problem.beta, problem.c.reborrow(), problem.epilogue);
            return Ok(Plan::SCALE);
        }
        if let Source::Blocks(b) = problem.b.0 {
            let plan = self.plan_blocks(problem.shape(), b.ggml_type(), threads, None);
            let [rows, cols] = plan.grid;
            quantized::portable_product(problem.with(b), Grid { rows, cols }, workspace)?;
            return Ok(plan);
        }
        let grid = Grid::new(problem.shape(), threads, strips::MR, strips::NR);
        strips::product(problem.reborrow(), grid, workspace)?;
        Ok(Plan::strips(grid))
    }
}

/// The code for an instruction set.
struct CodeFor;

impl Dispatch for CodeFor {
    type Output = &'static dyn Code;

    fn portable(self, simd: Portable) -> &'static dyn Code {
        forever(simd)
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2(self, simd: Avx2) -> &'static dyn Code {
        forever(simd)
    }

    #[cfg(target_arch = "x86_64")]
    fn avx512(self, simd: Avx512) -> &'static dyn Code {
        forever(simd)
    }
}

/// A token for the life of the program. A box of a type without size is no memory, so nothing leaks.
fn forever<T: Code + 'static>(token: T) -> &'static dyn Code {
    const { assert!(size_of::<T>() == 0) };
    Box::leak(Box::new(token))
}

impl CpuKernel {
    /// The kernel for an instruction set.
    pub(crate) fn new(set: InstructionSet) -> Self {
        Self { set, dot_products: None, code: set.dispatch(CodeFor) }
    }

    /// The kernel with sums of products of bytes, for weights in blocks, if this machine has them.
    fn with_dot_products() -> Option<Self> {
        let dot_products = Some(Avx512Vnni::new()?);
        Some(Self { dot_products, ..Self::new(InstructionSet::new(Isa::Avx512)?) })
    }

    /// All kernels of this machine, the portable one first, the fastest last.
    pub(crate) fn all() -> Vec<Self> {
        InstructionSet::supported().into_iter().map(Self::new).chain(Self::with_dot_products()).collect()
    }

    /// The fastest kernel of this machine for matrices and packed weights.
    pub(crate) fn best() -> Self {
        Self::new(InstructionSet::best())
    }

    /// The fastest kernel of this machine for weights in blocks.
    pub(crate) fn best_for_blocks() -> Self {
        static BEST: OnceLock<CpuKernel> = OnceLock::new();
        *BEST.get_or_init(|| Self::with_dot_products().unwrap_or_else(Self::best))
    }

    /// Its name, as bench ids spell it.
    pub(crate) fn name(self) -> &'static str {
        if self.is_for_blocks() { "cpu-avx512-vnni" } else { self.set.kernel_name() }
    }

    /// Whether it is there for weights in blocks alone.
    pub(crate) fn is_for_blocks(self) -> bool {
        self.dot_products.is_some()
    }

    /// Whether it chooses among several paths.
    pub(crate) fn has_paths(self) -> bool {
        !matches!(self.set, InstructionSet::Portable(_))
    }

    /// What it runs for matrices.
    pub(crate) fn choose(self, layout: ProblemLayout, threads: Threads) -> Choice {
        self.choice(match layout.shape.has_work() {
            true => self.code.plan(layout, threads, None),
            false => Plan::SCALE,
        })
    }

    /// How threads share a product of matrices.
    pub(crate) fn split(self, layout: ProblemLayout, threads: Threads) -> Option<Split> {
        if layout.shape.has_work() { self.code.split(layout, threads) } else { None }
    }

    /// What it runs for weights in blocks.
    pub(crate) fn choose_for_blocks(self, shape: Shape, ty: GgmlType, threads: Threads) -> Choice {
        self.choice(match shape.has_work() {
            true => self.code.plan_blocks(shape, ty, threads, None),
            false => Plan::SCALE,
        })
    }

    /// C <- act(alpha A B + beta C + bias) + residual. Weights that were packed for another kernel are left to that
    /// one. `forced` is the path if it is possible.
    #[inline]
    pub(crate) fn product(
        self,
        problem: &mut Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
        forced: Option<Path>,
    ) -> Result<Choice, GemmError> {
        let kernel = match problem.b.0 {
            Source::Matrix(_) => self,
            Source::Packed(b) => Self::new(b.packed.instruction_set()),
            Source::Blocks(_) => self,
        };
        #[cfg(target_arch = "x86_64")]
        if let (Some(token), Source::Blocks(b)) = (kernel.dot_products, problem.b.0)
            && problem.shape().has_work()
            && !problem.is_scaling()
        {
            return Ok(kernel.choice(plan::of_blocks(token, problem.with(b), threads, workspace, forced)?));
        }
        let plan = kernel.code.product(problem, threads, workspace, forced)?;
        Ok(kernel.choice(plan))
    }

    /// Packs weights for this kernel.
    pub(crate) fn pack(self, b: Input<'_>) -> Result<PackedB, GemmError> {
        PackedB::pack(self.set, self.code.panel_shape(b.rows()), b)
    }

    /// What it reports for a plan.
    pub(crate) fn choice(self, Plan { path, transposed, tile, threads, grid }: Plan) -> Choice {
        Choice { kernel: self.name(), isa: self.set.isa(), path, transposed, tile, threads, grid }
    }
}

impl PackedB {
    /// Packs a matrix for the fastest kernel of this machine.
    ///
    /// # Errors
    /// [`GemmError::OutOfMemory`] if there is no memory for the panels.
    pub fn new<'a>(b: impl Into<Input<'a>>) -> Result<Self, GemmError> {
        CpuKernel::best().pack(b.into())
    }

    /// Bytes that a matrix of `k` x `n` elements of a type takes, packed by [`new`](Self::new); saturates.
    pub fn bytes_of(k: usize, n: usize, element: ElementType) -> usize {
        let PanelShape { nr, .. } = CpuKernel::best().code.panel_shape(k);
        let bytes = n.checked_next_multiple_of(nr).and_then(|width| width.checked_mul(k)?.checked_mul(element.bytes()));
        let line = Workspace::LINE * size_of::<f32>();
        bytes.and_then(|bytes| bytes.checked_next_multiple_of(line)).unwrap_or(usize::MAX)
    }

    /// Bytes of a [workspace](crate::Gemm::workspace) that a product with weights of `shape.k` x `shape.n`, packed by
    /// [`new`](Self::new), takes for an A of `shape.m` rows and a C of type `c`: what a workspace grows to. As
    /// [`explain`](Self::explain), but without the weights.
    ///
    /// ```
    /// use gemm::{ElementType, Gemm, MatMut, MatRef, PackedB, Shape, Threads, Workspace};
    ///
    /// let (x, mut y) = ([1.0_f32; 30 * 40], [0.0_f32; 30 * 30]);
    /// let weights = PackedB::new(MatRef::from_row_major(&x, 40, 30)?)?;
    /// assert_eq!(weights.bytes(), PackedB::bytes_of(40, 30, ElementType::F32));
    ///
    /// let mut workspace = Workspace::new();
    /// let a = MatRef::from_row_major(&x, 30, 40)?;
    /// Gemm::new(a, &weights).workspace(&mut workspace).run(MatMut::from_row_major(&mut y, 30, 30)?)?;
    /// let shape = Shape { m: 30, n: 30, k: 40 };
    /// assert_eq!(workspace.bytes(), PackedB::workspace_bytes(shape, ElementType::F32, Threads::SERIAL));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn workspace_bytes(shape: Shape, c: ElementType, threads: Threads) -> usize {
        let floats = if shape.has_work() { CpuKernel::best().code.floats_packed(shape, c, threads) } else { 0 };
        floats.saturating_mul(size_of::<f32>())
    }

    /// What a product with these weights runs for an A of `m` rows and a C of type `c`, if alpha is not 0.
    pub fn explain(&self, m: usize, c: ElementType, threads: Threads) -> Choice {
        let (kernel, shape) = (CpuKernel::new(self.instruction_set()), Shape { m, n: self.cols(), k: self.rows() });
        kernel.choice(match shape.has_work() {
            true => kernel.code.plan_packed(shape, c, threads),
            false => Plan::SCALE,
        })
    }
}
