//! What runs: which instruction set, which path, which tiles, how many threads.

use std::fmt;

use machine::isa::Isa;
#[cfg(target_arch = "x86_64")]
use machine::isa::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
use crate::packed;
use crate::{
    GemmError, Shape, Workspace,
    parallel::{Grid, Parallelism},
    problem::Problem,
    scalar,
};

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
}

/// Tile sizes. `mr` x `nr` elements of C are held in registers; A is packed in blocks of `mc` x `kc`, B of `kc` x `nc`.
/// Where C is column-major, they are those of the transposed product.
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
    /// Kernel, instruction set, path, tiles and threads, as [`machine::kernel::Ran`] wants them.
    pub(crate) fn words(&self) -> (&'static str, String, String, String, usize) {
        let tile = self.tile.map_or_else(String::new, |tile| tile.to_string());
        (self.kernel, self.isa.to_string(), self.path.to_string(), tile, self.threads)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Path::Definition => "definition",
            Path::Scale => "scale",
            Path::Strips => "strips",
            Path::Packed => "packed",
            Path::PackedA => "packed-a",
        })
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
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = Avx512::new().map(Token::Avx512).or_else(|| Avx2::new().map(Token::Avx2)) {
            return token;
        }
        Token::Scalar
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

    /// What this kernel runs for a product of `shape` whose B and C have contiguous rows.
    pub(crate) fn choose(self, shape: Shape, parallelism: Parallelism) -> Choice {
        self.choice(match self {
            _ if shape.flops() == Some(0) => Plan::SCALE,
            Token::Scalar => scalar::plan(shape, parallelism),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => packed::plan::<Avx2>(shape, parallelism, true),
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => packed::plan::<Avx512>(shape, parallelism, true),
        })
    }

    /// C <- alpha A B + beta C.
    pub(crate) fn product(
        self,
        problem: Problem<'_>,
        parallelism: Parallelism,
        workspace: &mut Workspace,
    ) -> Result<Choice, GemmError> {
        if problem.is_scaling() || problem.is_empty() {
            problem.scale();
            return Ok(self.choice(Plan::SCALE));
        }
        // A column-major C is the row-major C of the transposed product.
        let by_columns = problem.c.col_stride() != 1 && problem.c.row_stride() == 1;
        let problem = if by_columns { problem.t() } else { problem };
        Ok(self.choice(match self {
            Token::Scalar => scalar::product(problem, parallelism),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(kernel) => packed::product(kernel, problem, parallelism, workspace)?,
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(kernel) => packed::product(kernel, problem, parallelism, workspace)?,
        }))
    }

    fn choice(self, Plan { path, tile, grid }: Plan) -> Choice {
        Choice { kernel: self.kernel(), isa: self.isa(), path, tile, threads: grid.parts() }
    }
}

/// How a kernel cuts a product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) path: Path,
    pub(crate) tile: Option<Blocking>,
    pub(crate) grid: Grid,
}

impl Plan {
    /// C <- beta C, by the caller's thread.
    const SCALE: Plan = Plan { path: Path::Scale, tile: None, grid: Grid::ONE };
}
