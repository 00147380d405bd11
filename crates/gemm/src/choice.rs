//! What runs: which instruction set, which path, which tiles, how many threads.

use std::{fmt, sync::OnceLock};

use machine::isa::Isa;
#[cfg(target_arch = "x86_64")]
use machine::isa::{Avx2, Avx512};

use crate::{
    GemmError, Shape, Type, Workspace, parallel::Parallelism, plan::Plan, prepack::Source, problem::Problem,
    route::Facts, scalar, scale, vector::Portable,
};
#[cfg(target_arch = "x86_64")]
use crate::{direct, plan};

/// What a product runs, or ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// Name of the kernel: `cpu-scalar`, `cpu-avx2`, ..
    pub kernel: &'static str,
    /// Its instruction set.
    pub isa: Isa,
    /// Way through the kernel.
    pub path: Path,
    /// Whether the transposed product was computed, C^T = B^T A^T: then extents and tiles are those of that one.
    pub transposed: bool,
    /// Its tiles, where it has them.
    pub tile: Option<Blocking>,
    /// Threads that work, the caller's included; at most those allowed, fewer where the product is small.
    pub threads: usize,
}

/// Way through a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// One sum after the other.
    Definition,
    /// alpha = 0, k = 0 or an empty C: A and B are not read.
    Scale,
    /// Loops in blocks, operands read where they lie but for one strip of B.
    Strips,
    /// A and B are copied into panels.
    Packed,
    /// A is copied into panels, B is read where it lies.
    PackedA,
    /// A is copied into panels, B was before: a [`PackedB`](crate::PackedB).
    PackedWeights,
    /// A is read where it lies, and B, too, if its rows are contiguous.
    Direct,
    /// Dot products of rows of A and columns of B, which are contiguous.
    Dot,
    /// Rows of B are added up, each times an element of a row of A.
    Axpy,
}

impl Path {
    /// Those that a kernel chooses among for matrices as they lie.
    pub(crate) const CHOICES: [Path; 5] = [Path::Dot, Path::Axpy, Path::Direct, Path::PackedA, Path::Packed];

    /// The name, as bench ids spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Path::Definition => "definition",
            Path::Scale => "scale",
            Path::Strips => "strips",
            Path::Packed => "packed",
            Path::PackedA => "packed-a",
            Path::PackedWeights => "packed-weights",
            Path::Direct => "direct",
            Path::Dot => "dot",
            Path::Axpy => "axpy",
        }
    }
}

/// Tile sizes. `mr` x `nr` elements of C are held in registers; A is packed in blocks of `mc` x `kc`, B of `kc` x `nc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocking {
    /// Rows of a register tile.
    pub mr: usize,
    /// Columns of a register tile.
    pub nr: usize,
    /// Rows of a block of A.
    pub mc: usize,
    /// Columns of a block of B.
    pub nc: usize,
    /// Terms of the sums that are added up before C is visited.
    pub kc: usize,
}

impl Choice {
    /// Kernel, instruction set, path, tiles and threads, as [`op::Ran`] wants them.
    pub(crate) fn words(&self) -> (&'static str, String, String, String, usize) {
        let tile = self.tile.map_or_else(String::new, |tile| tile.to_string());
        let turned = if self.transposed { " transposed" } else { "" };
        (self.kernel, self.isa.to_string(), format!("{}{turned}", self.path), tile, self.threads)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mr, nr, mc, nc, kc } = self;
        write!(f, "mr{mr} nr{nr} mc{mc} nc{nc} kc{kc}")
    }
}

/// A kernel that this machine runs, with the proof of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Token {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Token {
    /// All kernels of this machine, slowest first.
    pub(crate) fn all() -> Vec<Token> {
        let mut all = vec![Token::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Avx2::new().map(Token::Avx2));
            all.extend(Avx512::new().map(Token::Avx512));
        }
        all
    }

    /// The fastest kernel of this machine.
    pub(crate) fn best() -> Token {
        static BEST: OnceLock<Token> = OnceLock::new();
        *BEST.get_or_init(|| {
            #[cfg(target_arch = "x86_64")]
            if let Some(token) = Avx512::new().map(Token::Avx512).or_else(|| Avx2::new().map(Token::Avx2)) {
                return token;
            }
            Token::Scalar
        })
    }

    /// Name of the kernel.
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Token::Scalar => "cpu-scalar",
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => "cpu-avx2",
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => "cpu-avx512",
        }
    }

    pub(crate) fn isa(self) -> Isa {
        match self {
            Token::Scalar => Isa::Scalar,
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => Isa::Avx2,
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => Isa::Avx512,
        }
    }

    /// Steps of a stretch of k and columns of a panel, for a B with `k` rows.
    pub(crate) fn panels_of_b(self, k: usize) -> (usize, usize) {
        match self {
            Token::Scalar => (k.max(1), scalar::NR),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => plan::panels_of_b::<Avx2>(k),
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => plan::panels_of_b::<Avx512>(k),
        }
    }

    /// What this kernel runs for a product with these operands; `forced` is the path if it is possible.
    pub(crate) fn choose(self, facts: Facts, parallelism: Parallelism, forced: Option<Path>) -> Choice {
        self.choice(match self {
            _ if !facts.shape.is_work() => Plan::SCALE,
            Token::Scalar => scalar::plan(facts.shape, parallelism),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => plan::plan::<Avx2>(facts, parallelism, forced),
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => plan::plan::<Avx512>(facts, parallelism, forced),
        })
    }

    /// What this kernel runs for a product with weights that were packed for it.
    pub(crate) fn choose_packed(self, shape: Shape, c: Type, parallelism: Parallelism) -> Choice {
        self.choice(match self {
            _ if !shape.is_work() => Plan::SCALE,
            Token::Scalar => scalar::plan(shape, parallelism),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => plan::of_packed_weights::<Avx2>(shape, c, parallelism),
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => plan::of_packed_weights::<Avx512>(shape, c, parallelism),
        })
    }

    /// C <- act(alpha A B + beta C + bias) + residual. Weights that were packed for another kernel decide for it.
    pub(crate) fn product(
        self,
        problem: &mut Problem<'_>,
        parallelism: Parallelism,
        workspace: &mut Workspace,
        forced: Option<Path>,
    ) -> Result<Choice, GemmError> {
        let is_done = match self {
            _ if forced.is_some() => false,
            Token::Scalar => false,
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(kernel) => direct::small(kernel, problem),
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(kernel) => direct::small(kernel, problem),
        };
        if is_done {
            return Ok(self.choice(Plan::SMALL));
        }
        if let Source::Packed { packed, .. } = problem.b.0
            && packed.token().isa() != self.isa()
        {
            return packed.token().product(problem, parallelism, workspace, forced);
        }
        if problem.is_scaling() || problem.is_empty() {
            // An empty C may have any number of rows, or columns: none is to be walked along.
            if !problem.is_empty() {
                self.scale(problem.reborrow());
            }
            return Ok(self.choice(Plan::SCALE));
        }
        Ok(self.choice(match self {
            Token::Scalar => scalar::product(problem.reborrow(), parallelism, workspace)?,
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(kernel) => plan::product(kernel, problem, parallelism, workspace, forced)?,
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(kernel) => plan::product(kernel, problem, parallelism, workspace, forced)?,
        }))
    }

    fn scale(self, problem: Problem<'_>) {
        match self {
            Token::Scalar => scale::product(Portable, problem),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(simd) => scale::product(simd, problem),
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(simd) => scale::product(simd, problem),
        }
    }

    fn choice(self, Plan { path, transposed, tile, grid }: Plan) -> Choice {
        Choice { kernel: self.kernel(), isa: self.isa(), path, transposed, tile, threads: grid.parts() }
    }
}
