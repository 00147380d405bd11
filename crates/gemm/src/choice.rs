//! What runs: which kernel, which path, how many threads.

use std::fmt;

use machine::isa::Isa;

use crate::{kernel::Shape, parallel::Parallelism, problem::Problem, scalar};

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
}

impl Choice {
    /// Kernel, instruction set, path, tiles and threads, as [`machine::kernel::Ran`] wants them.
    pub(crate) fn words(&self) -> (&'static str, String, String, String, usize) {
        (self.kernel, self.isa.to_string(), self.path.to_string(), String::new(), self.threads)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Path::Definition => "definition",
            Path::Scale => "scale",
            Path::Strips => "strips",
        })
    }
}

/// A kernel that this machine runs, with the proof of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Token {
    Scalar,
}

impl Token {
    /// All kernels of this machine, slowest first.
    pub(crate) fn all() -> Vec<Token> {
        vec![Token::Scalar]
    }

    /// The fastest kernel of this machine.
    pub(crate) fn best() -> Token {
        Token::Scalar
    }

    /// Name of the kernel.
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Token::Scalar => "cpu-scalar",
        }
    }

    pub(crate) fn isa(self) -> Isa {
        match self {
            Token::Scalar => Isa::Scalar,
        }
    }

    /// What this kernel runs for a product of `shape`.
    pub(crate) fn choose(self, shape: Shape, _: Parallelism) -> Choice {
        let path = match self {
            _ if shape.flops() == Some(0) => Path::Scale,
            Token::Scalar => Path::Strips,
        };
        Choice { kernel: self.kernel(), isa: self.isa(), path, threads: 1 }
    }

    /// C <- alpha A B + beta C.
    pub(crate) fn product(self, problem: Problem<'_>, _: Parallelism) -> Choice {
        let path = if problem.is_scaling() || problem.is_empty() {
            problem.scale();
            Path::Scale
        } else {
            match self {
                Token::Scalar => scalar::product(problem),
            }
        };
        Choice { kernel: self.kernel(), isa: self.isa(), path, threads: 1 }
    }
}
