//! The code of an instruction set, behind one trait.

use std::fmt::Debug;

use op::{Threads, Workspace};
use quant::GgmlType;
#[cfg(target_arch = "x86_64")]
use simd::{Avx2, Avx512};
use simd::{Dispatch, ElementType, Portable};

use crate::{
    algorithm::{scale, strips},
    choice::{Path, Wish},
    error::GemmError,
    grid::Grid,
    matrix::Input,
    plan::{self, Plan, ProblemLayout, Split},
    problem::Problem,
    quantized,
    shape::Shape,
    tile::MicroKernel,
    weights::{PanelShape, QMatRef, Source},
};

/// What the code of an instruction set can do.
pub(super) trait Code: Debug + Send + Sync {
    /// The panels of a B with `k` rows.
    fn panel_shape(&self, k: usize) -> PanelShape;

    /// What it runs for matrices, if there is work.
    fn plan(&self, layout: ProblemLayout, threads: Threads, wish: Wish) -> Plan;

    /// How threads share a product of matrices, if they do so in blocks and there is work.
    fn split(&self, layout: ProblemLayout, threads: Threads) -> Option<Split>;

    /// What it runs for packed weights and a C of type `c`, if there is work.
    fn plan_packed(&self, shape: Shape, c: ElementType, threads: Threads) -> Plan;

    /// What it runs for weights in blocks of a type, if there is work.
    fn plan_blocks(&self, shape: Shape, ty: GgmlType, threads: Threads, wish: Wish) -> Plan {
        quantized::plan(shape, ty, threads, wish)
    }

    /// C <- act(alpha A W^T + beta C + bias) + residual for several weights in blocks and one A. There is work in each.
    /// Returns how many threads worked.
    fn blocks_of_one_a(
        &self,
        a: Input<'_>,
        problems: &mut [Option<Problem<'_, QMatRef<'_>>>],
        threads: Threads,
        workspace: &mut Workspace,
    ) -> Result<usize, GemmError>;

    /// Floats of workspace that it takes for packed weights and a C of type `c`, if there is work.
    fn floats_packed(&self, shape: Shape, c: ElementType, threads: Threads) -> usize;

    /// C <- act(alpha A B + beta C + bias) + residual.
    fn product(
        &self,
        problem: &mut Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
        wish: Wish,
    ) -> Result<Plan, GemmError>;
}

impl<K: MicroKernel> Code for K {
    fn panel_shape(&self, k: usize) -> PanelShape {
        K::panel_shape(k)
    }

    fn plan(&self, layout: ProblemLayout, threads: Threads, wish: Wish) -> Plan {
        plan::for_matrices::<K>(layout, threads, wish)
    }

    fn split(&self, layout: ProblemLayout, threads: Threads) -> Option<Split> {
        plan::split_of_matrices::<K>(layout, threads)
    }

    fn plan_packed(&self, shape: Shape, c: ElementType, threads: Threads) -> Plan {
        plan::for_packed_weights::<K>(shape, c, threads)
    }

    fn blocks_of_one_a(
        &self,
        a: Input<'_>,
        problems: &mut [Option<Problem<'_, QMatRef<'_>>>],
        threads: Threads,
        workspace: &mut Workspace,
    ) -> Result<usize, GemmError> {
        quantized::products(*self, a, problems, threads, workspace)
    }

    fn floats_packed(&self, shape: Shape, c: ElementType, threads: Threads) -> usize {
        plan::floats_for_packed_weights::<K>(shape, c, threads)
    }

    fn product(
        &self,
        problem: &mut Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
        wish: Wish,
    ) -> Result<Plan, GemmError> {
        plan::product(*self, problem, threads, workspace, wish)
    }
}

/// The portable kernel has one path.
impl Code for Portable {
    fn panel_shape(&self, k: usize) -> PanelShape {
        PanelShape { kc: k.max(1), nr: strips::NR }
    }

    fn plan(&self, layout: ProblemLayout, threads: Threads, _: Wish) -> Plan {
        Plan::strips(Grid::new(layout.shape, threads, strips::MR, strips::NR))
    }

    fn split(&self, _: ProblemLayout, _: Threads) -> Option<Split> {
        None
    }

    fn plan_blocks(&self, shape: Shape, ty: GgmlType, threads: Threads, _: Wish) -> Plan {
        quantized::plan(shape, ty, threads, Wish::Path(Path::BlockDots))
    }

    fn plan_packed(&self, shape: Shape, _: ElementType, threads: Threads) -> Plan {
        Plan::strips(Grid::new(shape, threads, strips::MR, strips::NR))
    }

    fn blocks_of_one_a(
        &self,
        _: Input<'_>,
        problems: &mut [Option<Problem<'_, QMatRef<'_>>>],
        threads: Threads,
        workspace: &mut Workspace,
    ) -> Result<usize, GemmError> {
        let mut most = 1;
        for problem in problems.iter_mut().flatten() {
            let [rows, cols] = self.plan_blocks(problem.shape(), problem.b.ggml_type(), threads, Wish::Fastest).grid;
            quantized::portable_product(problem.reborrow(), Grid { rows, cols }, workspace)?;
            most = most.max(rows * cols);
        }
        Ok(most)
    }

    fn floats_packed(&self, shape: Shape, _: ElementType, threads: Threads) -> usize {
        strips::floats(shape.k, Grid::new(shape, threads, strips::MR, strips::NR)).unwrap_or(usize::MAX)
    }

    fn product(
        &self,
        problem: &mut Problem<'_>,
        threads: Threads,
        workspace: &mut Workspace,
        _: Wish,
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
            let plan = self.plan_blocks(problem.shape(), b.ggml_type(), threads, Wish::Fastest);
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
pub(super) struct CodeFor;

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
