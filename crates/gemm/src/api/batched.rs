//! Batches: whole products on each thread if there are enough of them, otherwise one product after the other on all
//! threads. The bits are those of single products either way.

use op::{Threads, Workspace};

use super::product;
use crate::{
    choice::{Choice, Wish},
    epilogue::Epilogue,
    error::GemmError,
    grid::worthwhile,
    kernel::CpuKernel,
    matrix::{Batch, BatchMut},
    plan::Plan,
    problem::Problem,
    shape::Shape,
    weights::RhsBatch,
};

/// The products from `first` on.
#[derive(Clone, Copy)]
pub(super) struct Products<'a> {
    pub(super) alpha: f32,
    pub(super) a: Batch<'a>,
    pub(super) b: RhsBatch<'a>,
    pub(super) beta: f32,
    pub(super) epilogue: Epilogue<'a>,
    pub(super) wish: Wish,
    pub(super) threads: Threads,
    pub(super) first: usize,
}

impl Products<'_> {
    /// Computes all of them.
    #[inline(never)]
    pub(super) fn run(self, c: BatchMut<'_>, workspace: Option<&mut Workspace>) -> Result<Choice, GemmError> {
        let Self { alpha, a, b, beta, epilogue, .. } = self;
        let count = c.count();
        if count == 0 || c.first.rows() == 0 || c.first.cols() == 0 {
            // Nothing is written, however many there are; but the shapes have to fit.
            Problem::new(alpha, a.first, b.first(), beta, c.first, epilogue)?;
            return Ok(CpuKernel::best().choice(Plan::SCALE));
        }
        let shape = Shape { m: a.first.rows(), n: b.first().cols(), k: a.first.cols() };
        let flops = shape.flops().map_or(f64::INFINITY, |flops| flops as f64) * count as f64;
        let threads = worthwhile(flops, self.threads);
        if threads > 1 && count >= threads {
            let choice = Self { threads: Threads::SERIAL, ..self }.split(c, threads)?;
            return Ok(Choice { threads, ..choice });
        }
        self.each(c, workspace)
    }

    /// On `threads` threads, 1 to the number of products.
    fn split(self, c: BatchMut<'_>, threads: usize) -> Result<Choice, GemmError> {
        if threads == 1 {
            return self.each(c, None);
        }
        let half = threads / 2;
        let middle = c.count() * half / threads;
        let (left, right) = c.split_at(middle);
        let later = Self { first: self.first + middle, ..self };
        let (left, right) = rayon::join(|| self.split(left, half), || later.split(right, threads - half));
        left.and(right)
    }

    /// One after the other.
    fn each(self, mut c: BatchMut<'_>, mut workspace: Option<&mut Workspace>) -> Result<Choice, GemmError> {
        let Self { alpha, a, b, beta, epilogue, wish, threads, first } = self;
        let mut choice = CpuKernel::best().choice(Plan::SCALE);
        for index in first..first + c.count() {
            let (matrix, rest) = c.split_first();
            c = rest;
            let problem = Problem::new(alpha, a.get(index), b.get(index), beta, matrix, epilogue.get(index))?;
            choice = product(problem, wish, threads, workspace.as_deref_mut())?;
        }
        Ok(choice)
    }
}
