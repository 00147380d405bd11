//! One kernel for each instruction set: the only place in this crate that tells them apart.

use std::sync::OnceLock;

use op::{Threads, Workspace};
use quant::GgmlType;
use simd::{Amx, Avx512Vnni, InstructionSet, Isa, Portable};

use super::code::{Code, CodeFor};
use crate::{
    choice::{Choice, Wish},
    error::GemmError,
    int8,
    matrix::Input,
    plan::{Plan, ProblemLayout, Split},
    problem::Problem,
    shape::Shape,
    weights::{Int8Weights, PackedB, Source},
};
#[cfg(target_arch = "x86_64")]
use crate::{plan, quantized};

/// From so many rows of A on, tiles of 32 rows pay, though some of their rows are not used.
const TILE_ROWS: usize = 7;

/// The form of weights of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codes {
    /// In blocks of a GGML type: a [`QMatRef`](crate::QMatRef).
    Blocks(GgmlType),
    /// Integers with a scale for each column: [`Int8Weights`].
    Int8,
}

/// A kernel of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuKernel {
    set: InstructionSet,
    /// What it has for weights of codes; everything else is the instruction set's.
    extension: Option<Extension>,
    pub(super) code: &'static dyn Code,
}

/// Instructions for weights of codes, beside those of AVX-512.
#[derive(Debug, Clone, Copy)]
enum Extension {
    /// Sums of products of bytes in one instruction.
    Vnni(Avx512Vnni),
    /// Products of tiles of bytes, for integer weights alone.
    Amx(Amx),
}

impl CpuKernel {
    /// The kernel for an instruction set.
    pub(crate) fn new(set: InstructionSet) -> Self {
        Self { set, extension: None, code: set.dispatch(CodeFor) }
    }

    /// The kernel with an extension of AVX-512, if this machine has both.
    fn extended(extension: Option<Extension>) -> Option<Self> {
        Some(Self { extension: Some(extension?), ..Self::new(InstructionSet::new(Isa::Avx512)?) })
    }

    fn vnni() -> Option<Self> {
        Self::extended(Avx512Vnni::new().map(Extension::Vnni))
    }

    fn amx() -> Option<Self> {
        Self::extended(Amx::new().map(Extension::Amx))
    }

    /// All kernels of this machine, the portable one first, the fastest last.
    pub(crate) fn all() -> Vec<Self> {
        InstructionSet::supported().into_iter().map(Self::new).chain(Self::vnni()).chain(Self::amx()).collect()
    }

    /// The fastest kernel of this machine for matrices and packed weights.
    pub(crate) fn best() -> Self {
        Self::new(InstructionSet::best())
    }

    /// The fastest kernel of this machine for weights in blocks.
    pub(crate) fn best_for_blocks() -> Self {
        static BEST: OnceLock<CpuKernel> = OnceLock::new();
        *BEST.get_or_init(|| Self::vnni().unwrap_or_else(Self::best))
    }

    /// The fastest kernel of this machine for integer weights and an A of `m` rows.
    pub(crate) fn best_for_int8(m: usize) -> Self {
        static TILES: OnceLock<Option<CpuKernel>> = OnceLock::new();
        match TILES.get_or_init(Self::amx) {
            &Some(tiles) if m >= TILE_ROWS => tiles,
            _ => Self::best_for_blocks(),
        }
    }

    /// Its name, as bench ids spell it.
    pub(crate) fn name(self) -> &'static str {
        match self.extension {
            None => self.set.kernel_name(),
            Some(Extension::Vnni(_)) => "cpu-avx512-vnni",
            Some(Extension::Amx(_)) => "cpu-amx",
        }
    }

    /// Which weights it is there for.
    pub(crate) fn supports(self, codes: Option<Codes>) -> bool {
        match self.extension {
            None => true,
            Some(Extension::Vnni(_)) => codes.is_some(),
            Some(Extension::Amx(_)) => codes == Some(Codes::Int8),
        }
    }

    /// Whether it chooses among several paths.
    pub(crate) fn has_paths(self) -> bool {
        !matches!(self.set, InstructionSet::Portable(_))
    }

    /// What it runs for matrices.
    pub(crate) fn choose(self, layout: ProblemLayout, threads: Threads) -> Choice {
        self.choice(match layout.shape.has_work() {
            true => self.code.plan(layout, threads, Wish::Fastest),
            false => Plan::SCALE,
        })
    }

    /// How threads share a product of matrices.
    pub(crate) fn split(self, layout: ProblemLayout, threads: Threads) -> Option<Split> {
        if layout.shape.has_work() { self.code.split(layout, threads) } else { None }
    }

    /// What it runs for integer weights.
    pub(crate) fn choose_for_int8(self, shape: Shape, threads: Threads) -> Choice {
        self.choice(if shape.has_work() { int8::plan(shape, threads) } else { Plan::SCALE })
    }

    /// C <- act(alpha A B + beta C + bias) + residual for each, all with the A `a`. Returns how many threads worked at
    /// most.
    pub(crate) fn products<const N: usize>(
        a: Input<'_>,
        problems: [Problem<'_>; N],
        threads: Threads,
        workspace: &mut Workspace,
    ) -> Result<usize, GemmError> {
        let (mut blocks, mut most) = ([const { None }; N], 1);
        for (problem, blocks) in problems.into_iter().zip(&mut blocks) {
            let has_work = problem.shape().has_work() && !problem.is_scaling();
            match problem.b.0 {
                Source::Blocks(b) if has_work => *blocks = Some(problem.into_form(b)),
                _ => {
                    let kernel = Self::best_for(&problem);
                    let mut problem = problem;
                    most = most.max(kernel.product(&mut problem, threads, workspace, Wish::Fastest)?.threads);
                }
            }
        }
        if blocks.iter().all(Option::is_none) {
            return Ok(most);
        }
        let kernel = Self::best_for_blocks();
        let threads = match kernel.extension {
            #[cfg(target_arch = "x86_64")]
            Some(Extension::Vnni(token)) => quantized::products(token, a, &blocks, threads, workspace)?,
            _ => kernel.code.blocks_of_one_a(a, &mut blocks, threads, workspace)?,
        };
        Ok(most.max(threads))
    }

    /// The fastest kernel for a product.
    #[inline]
    pub(crate) fn best_for(problem: &Problem<'_>) -> Self {
        match problem.b.0 {
            Source::Blocks(_) => Self::best_for_blocks(),
            Source::Int8(_) => Self::best_for_int8(problem.a.rows()),
            _ => Self::best(),
        }
    }

    /// sums = A B for codes. The slices have the extents of `weights` and `m` rows.
    pub(crate) fn multiply_codes(
        self,
        weights: &Int8Weights,
        a: (&[i8], usize),
        sums: &mut [i32],
        threads: Threads,
    ) -> Result<Choice, GemmError> {
        let shape = Shape { m: a.1, n: weights.cols(), k: weights.rows() };
        if !shape.has_work() {
            sums.fill(0);
            return Ok(self.choice(Plan::SCALE));
        }
        Workspace::with_kept(|workspace| {
            let plan = int8::multiply_codes(self.int8(), weights, a, sums, threads, workspace)?;
            Ok(self.choice(plan))
        })
    }

    /// The code for integer weights.
    fn int8(self) -> int8::Kernel {
        match (self.extension, self.set) {
            #[cfg(target_arch = "x86_64")]
            (Some(Extension::Vnni(token)), _) => int8::Kernel::Vnni(int8::Bytes(token)),
            #[cfg(target_arch = "x86_64")]
            (Some(Extension::Amx(token)), _) => int8::Kernel::Amx(token),
            #[cfg(target_arch = "x86_64")]
            (None, InstructionSet::Avx512(token)) => int8::Kernel::Avx512(int8::Bytes(token)),
            #[cfg(target_arch = "x86_64")]
            (None, InstructionSet::Avx2(token)) => int8::Kernel::Avx2(int8::Bytes(token)),
            _ => int8::Kernel::Portable(Portable),
        }
    }

    /// What it runs for weights in blocks.
    pub(crate) fn choose_for_blocks(self, shape: Shape, ty: GgmlType, threads: Threads) -> Choice {
        self.choice(match shape.has_work() {
            true => self.code.plan_blocks(shape, ty, threads, Wish::Fastest),
            false => Plan::SCALE,
        })
    }

    /// C <- act(alpha A B + beta C + bias) + residual. Weights that were packed for another kernel are left to that
    /// one.
    #[inline]
    pub(crate) fn product(
        self,
        problem: &mut Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
        wish: Wish,
    ) -> Result<Choice, GemmError> {
        let kernel = match problem.b.0 {
            Source::Matrix(_) => self,
            Source::Packed(b) => Self::new(b.packed.instruction_set()),
            Source::Blocks(_) | Source::Int8(_) => self,
        };
        if problem.b.is_of_codes() && problem.shape().has_work() && !problem.is_scaling() {
            match (problem.b.0, kernel.extension) {
                (Source::Int8(b), _) => {
                    let plan = int8::product(kernel.int8(), problem.with(b), threads, workspace)?;
                    return Ok(kernel.choice(plan));
                }
                #[cfg(target_arch = "x86_64")]
                (Source::Blocks(b), Some(Extension::Vnni(token))) => {
                    return Ok(kernel.choice(plan::of_blocks(token, problem.with(b), threads, workspace, wish)?));
                }
                _ => {}
            }
        }
        let plan = kernel.code.product(problem, threads, workspace, wish)?;
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
