//! The kernels of this op, as tests and benches see them: one list, one trait.

use op::{Loaded, Ran};

use crate::{
    GemmError,
    choice::{Choice, Path, Token},
    element::Type,
    epilogue::Epilogue,
    operand::{Input, Output},
    parallel::Parallelism,
    prepack::{PackedB, Rhs},
    problem::Problem,
    reference,
    workspace::with_workspace,
};

/// Extents of a product: A is m x k, B is k x n, C is m x n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B: terms of each sum.
    pub k: usize,
}

impl Shape {
    /// 2 m n k, or `None` if that exceeds `u64::MAX`.
    pub fn flops(self) -> Option<u64> {
        if [self.m, self.n, self.k].contains(&0) {
            return Some(0);
        }
        [self.m, self.n, self.k].iter().try_fold(2u64, |x, &y| x.checked_mul(u64::try_from(y).ok()?))
    }

    /// Whether there are operations, and so few that they can be counted: what a product is cut for.
    pub(crate) fn is_work(self) -> bool {
        self.flops().is_some_and(|flops| flops > 0)
    }
}

/// One problem, without its data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    /// Extents.
    pub shape: Shape,
    /// Factor of A B.
    pub alpha: f32,
    /// Factor of C; at 0 C is not read.
    pub beta: f32,
    /// Threads that may work.
    pub parallelism: Parallelism,
}

/// The data of a problem. C belongs to the caller and holds the result after each run.
#[derive(Debug)]
pub struct Operands<'a> {
    /// m x k.
    pub a: Input<'a>,
    /// k x n.
    pub b: Rhs<'a>,
    /// m x n.
    pub c: Output<'a>,
    /// What is done to C before it is stored.
    pub epilogue: Epilogue<'a>,
}

impl<'a> Operands<'a> {
    /// Without an epilogue.
    pub fn new(a: impl Into<Input<'a>>, b: impl Into<Rhs<'a>>, c: impl Into<Output<'a>>) -> Self {
        Self { a: a.into(), b: b.into(), c: c.into(), epilogue: Epilogue::NONE }
    }
}

/// One implementation of C <- alpha A B + beta C.
pub trait Kernel: Send + Sync {
    /// Its name, as bench ids spell it: `reference`, `cpu-scalar`, `cpu-avx2`, .. or `auto`.
    fn name(&self) -> &'static str;

    /// Whether it computes this case.
    fn supports(&self, case: &Case) -> bool;

    /// Takes the operands; nothing is computed yet. Running it again with beta other than 0 takes the C of the last
    /// run; [`Loaded::reset`] puts back what C held here.
    ///
    /// # Errors
    /// As [`gemm`](crate::gemm); also [`GemmError::ShapeMismatch`] if the operands are not of the case's shape.
    fn load<'a>(&'a self, case: &Case, operands: Operands<'a>) -> Result<Box<dyn Loaded + 'a>, GemmError>;

    /// Packs weights for this kernel, for use as B.
    ///
    /// # Errors
    /// [`GemmError::OutOfMemory`] if there is none for the panels.
    fn pack(&self, b: Input<'_>) -> Result<PackedB, GemmError>;
}

/// All kernels that this machine runs: `reference` first, then from slowest to fastest, last `auto`, the public
/// function [`gemm`](crate::gemm), which chooses among them.
pub fn kernels() -> Vec<Box<dyn Kernel>> {
    let mut list: Vec<Box<dyn Kernel>> = vec![Box::new(Product(Method::Reference))];
    list.extend(Token::all().into_iter().map(|token| Box::new(Product(Method::Of(token, None))) as Box<dyn Kernel>));
    list.push(Box::new(Product(Method::Auto)));
    list
}

/// The paths of all kernels that have several, each as a kernel of its own: it goes its path where that is possible
/// ([`Loaded::ran`] tells), and else the way that the kernel itself would choose.
pub fn paths() -> Vec<(Path, Box<dyn Kernel>)> {
    let kernels = Token::all().into_iter().filter(|&token| !matches!(token, Token::Scalar));
    let forced = |token, path| (path, Box::new(Product(Method::Of(token, Some(path)))) as Box<dyn Kernel>);
    kernels.flat_map(|token| Path::CHOICES.map(|path| forced(token, path))).collect()
}

struct Product(Method);

#[derive(Clone, Copy)]
enum Method {
    Reference,
    /// A kernel, and the path that it goes where that is possible.
    Of(Token, Option<Path>),
    Auto,
}

impl Kernel for Product {
    fn name(&self) -> &'static str {
        match self.0 {
            Method::Reference => "reference",
            Method::Of(token, _) => token.kernel(),
            Method::Auto => "auto",
        }
    }

    fn supports(&self, case: &Case) -> bool {
        case.shape.flops().is_some()
    }

    fn load<'a>(&'a self, case: &Case, operands: Operands<'a>) -> Result<Box<dyn Loaded + 'a>, GemmError> {
        let Operands { a, b, c, epilogue } = operands;
        let problem = Problem::new(case.alpha, a, b, case.beta, c, epilogue)?;
        if problem.shape() != case.shape {
            let Shape { m, n, k } = case.shape;
            return Err(GemmError::ShapeMismatch { a: (m, k), b: (k, n), c: (problem.c.rows(), problem.c.cols()) });
        }
        let before = if case.beta == 0.0 { Vec::new() } else { elements(&problem.c) };
        let (method, parallelism) = (self.0, case.parallelism);
        Ok(Box::new(LoadedProduct { method, parallelism, problem, before, outcome: None }))
    }

    fn pack(&self, b: Input<'_>) -> Result<PackedB, GemmError> {
        match self.0 {
            Method::Of(token, _) => PackedB::with_token(token, b),
            Method::Reference | Method::Auto => PackedB::new(b),
        }
    }
}

struct LoadedProduct<'a> {
    method: Method,
    parallelism: Parallelism,
    problem: Problem<'a>,
    /// C as it was loaded, row by row; empty if nothing reads it.
    before: Vec<f32>,
    /// Of the last run.
    outcome: Option<Result<Choice, GemmError>>,
}

impl Loaded for LoadedProduct<'_> {
    fn run(&mut self) {
        let (parallelism, mut problem) = (self.parallelism, self.problem.reborrow());
        self.outcome = Some(match self.method {
            Method::Reference => Ok(reference::product(problem)),
            Method::Of(token, path) => {
                with_workspace(|workspace| token.product(&mut problem, parallelism, workspace, path))
            }
            Method::Auto => {
                let Problem { alpha, a, b, beta, c, epilogue } = problem;
                crate::gemm_fused(parallelism, alpha, a, b, beta, c, &epilogue)
            }
        });
    }

    fn reset(&mut self) {
        let c = &mut self.problem.c;
        let n = c.cols().max(1);
        for (at, &before) in self.before.iter().enumerate() {
            c.set(at / n, at % n, before);
        }
    }

    fn read(&mut self, _: &mut [f32]) {}

    /// A run that failed left C as it was, and its path says why.
    fn ran(&self) -> Ran {
        let Shape { m, n, k } = self.problem.shape();
        let Problem { a, b, ref c, epilogue, .. } = self.problem;
        let passes_over_c = if self.problem.beta == 0.0 { 1 } else { 2 };
        // Saturating: inputs that repeat themselves may have more elements than memory has.
        let bytes = |rows: usize, cols: usize, element: Type| {
            (rows as u64).saturating_mul(cols as u64).saturating_mul(element.bytes() as u64)
        };
        let residual = epilogue.residual.map_or(0, |residual| bytes(m, n, residual.element_type()));
        let moved = bytes(m, k, a.element_type())
            .saturating_add(bytes(k, n, b.element_type()))
            .saturating_add(bytes(m, n, c.element_type()).saturating_mul(passes_over_c))
            .saturating_add(residual);
        let (kernel, isa, path, tile, threads) = match self.outcome {
            Some(Ok(choice)) => choice.words(),
            Some(Err(error)) => ("none", String::new(), error.to_string(), String::new(), 0),
            None => ("none", String::new(), "not run".to_owned(), String::new(), 0),
        };
        let flops = self.problem.shape().flops().unwrap_or(u64::MAX);
        Ran { kernel, isa, path, tile, threads, flops, bytes: moved }
    }
}

/// Row by row.
fn elements(c: &Output<'_>) -> Vec<f32> {
    let c = c.as_input();
    let rows = if c.cols() == 0 { 0 } else { c.rows() };
    (0..rows).flat_map(|i| (0..c.cols()).filter_map(move |j| c.get(i, j))).collect()
}
