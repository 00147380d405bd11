//! From the way of a product to its parts: tiles, threads, and the call that computes them.

use crate::{
    axpy,
    choice::{Blocking, Path},
    direct, dot,
    element::Type,
    error::GemmError,
    kernel::Shape,
    micro::MicroKernel,
    packed,
    parallel::{Grid, Parallelism},
    prepack::Source,
    problem::Problem,
    route::{Facts, Route, Stored, route},
    workspace::Workspace,
};

/// How a kernel cuts a product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) path: Path,
    /// Whether extents and tiles are those of the transposed product.
    pub(crate) transposed: bool,
    pub(crate) tile: Option<Blocking>,
    pub(crate) grid: Grid,
}

impl Plan {
    /// C <- beta C, by the caller's thread.
    pub(crate) const SCALE: Plan = Plan { path: Path::Scale, transposed: false, tile: None, grid: Grid::ONE };

    /// As it stands, by the caller's thread.
    pub(crate) const SMALL: Plan = Plan { path: Path::Direct, ..Plan::SCALE };
}

/// Steps of a stretch of k and columns of a panel, for a B with `k` rows.
pub(crate) fn panels_of_b<K: MicroKernel>(k: usize) -> (usize, usize) {
    (packed::stretch_of_k::<K>(k), K::NR)
}

/// How a product with unpacked operands is cut.
pub(crate) fn plan<K: MicroKernel>(facts: Facts, parallelism: Parallelism, forced: Option<Path>) -> Plan {
    let Route { path, transposed } = route::<K>(&facts, forced);
    let facts = if transposed { facts.t() } else { facts };
    let (shape, threads) = (facts.shape, parallelism.threads());
    let (tile, grid) = match path {
        Path::Direct => (None, Grid::of_rows(shape, threads, K::MR)),
        Path::Dot | Path::Axpy => (None, Grid::of_columns(shape, facts.b.element, threads)),
        _ => {
            let grid = Grid::new(shape, threads, K::MR, K::NR);
            (Some(packed::blocking::<K>(shape, facts.c.element, grid)), grid)
        }
    };
    Plan { path, transposed, tile, grid }
}

/// How a product with weights that were packed before is cut.
pub(crate) fn of_packed_weights<K: MicroKernel>(shape: Shape, c: Type, parallelism: Parallelism) -> Plan {
    let grid = Grid::new(shape, parallelism.threads(), K::MR, K::NR);
    let tile = Some(packed::blocking::<K>(shape, c, grid));
    Plan { path: Path::PackedWeights, transposed: false, tile, grid }
}

/// C <- act(alpha A B + beta C + bias) + residual. alpha and k are not 0, and C is not empty.
pub(crate) fn product<K: MicroKernel>(
    kernel: K,
    problem: &mut Problem<'_>,
    parallelism: Parallelism,
    workspace: &mut Workspace,
    forced: Option<Path>,
) -> Result<Plan, GemmError> {
    let plan = match &problem.b.0 {
        Source::Packed { .. } => of_packed_weights::<K>(problem.shape(), problem.c.element_type(), parallelism),
        Source::Matrix(b) => {
            let (a, b, c) = (Stored::from(&problem.a), Stored::from(b), Stored::from(&problem.c));
            plan::<K>(Facts::new(problem.shape(), [a, b, c]), parallelism, forced)
        }
    };
    match plan.transposed {
        true => compute(kernel, &mut problem.reborrow().t(), &plan, workspace)?,
        false => compute(kernel, problem, &plan, workspace)?,
    }
    Ok(plan)
}

fn compute<K: MicroKernel>(
    kernel: K,
    problem: &mut Problem<'_>,
    plan: &Plan,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    match (plan.path, plan.tile) {
        (Path::Direct, _) => direct::product(kernel, problem, plan.grid, workspace),
        (Path::Dot, _) => dot::product(kernel, problem.reborrow(), plan.grid, workspace),
        (Path::Axpy, _) => axpy::product(kernel, problem.reborrow(), plan.grid, workspace),
        (path, Some(tile)) => packed::product(kernel, problem.reborrow(), (path, tile, plan.grid), workspace),
        (path, None) => unreachable!("{path} has tiles"),
    }
}
