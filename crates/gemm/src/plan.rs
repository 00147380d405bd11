//! From a problem to what computes it: the path, the block sizes and the parts.

mod layout;
mod route;

pub use layout::{ProblemLayout, Storage};

use op::{Threads, Workspace};
use simd::ElementType;

use self::route::{Route, is_small, route};
use crate::{
    algorithm::{
        axpy, direct, dot,
        packed::{self, Reading},
        scale,
    },
    choice::{Blocking, Path},
    error::GemmError,
    grid::Grid,
    matrix::Input,
    problem::Problem,
    shape::Shape,
    tile::MicroKernel,
    weights::Source,
};

/// What a kernel does with a product: a report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) path: Path,
    /// Whether it computes the transposed product. Extents and block sizes are those of that one.
    pub(crate) transposed: bool,
    /// Block sizes, where the path works in blocks.
    pub(crate) tile: Option<Blocking>,
    pub(crate) grid: Grid,
}

impl Plan {
    /// C <- beta C, on the caller's thread.
    pub(crate) const SCALE: Plan = Plan { path: Path::Scale, transposed: false, tile: None, grid: Grid::ONE };

    /// A small product, on the caller's thread.
    const SMALL: Plan = Plan { path: Path::Direct, ..Plan::SCALE };

    /// The portable kernel's.
    pub(crate) const fn strips(grid: Grid) -> Self {
        Plan { path: Path::Strips, grid, ..Plan::SCALE }
    }
}

/// How the product of two matrices is computed.
#[derive(Debug, Clone, Copy)]
struct Decision {
    method: Method,
    transposed: bool,
    grid: Grid,
}

/// An algorithm, with its block sizes.
#[derive(Debug, Clone, Copy)]
enum Method {
    Direct,
    Dot,
    Axpy,
    Blocks(Reading, Blocking),
}

impl From<Decision> for Plan {
    fn from(Decision { method, transposed, grid }: Decision) -> Self {
        let (path, tile) = match method {
            Method::Direct => (Path::Direct, None),
            Method::Dot => (Path::Dot, None),
            Method::Axpy => (Path::Axpy, None),
            Method::Blocks(Reading::Packed, tile) => (Path::Packed, Some(tile)),
            Method::Blocks(Reading::InPlace, tile) => (Path::PackedA, Some(tile)),
            Method::Blocks(Reading::PackedBefore, tile) => (Path::PackedWeights, Some(tile)),
        };
        Self { path, transposed, tile, grid }
    }
}

/// Decides for two matrices; `forced` is the path if it is possible.
fn decide<K: MicroKernel>(layout: ProblemLayout, threads: Threads, forced: Option<Path>) -> Decision {
    let Route { path, transposed } = route::<K>(&layout, forced);
    let layout = if transposed { layout.t() } else { layout };
    let shape = layout.shape;
    let blocks = |reading| {
        let grid = Grid::new(shape, threads, K::MR, K::NR);
        (Method::Blocks(reading, packed::blocking::<K>(shape, layout.c.element, grid)), grid)
    };
    let columns = || Grid::of_columns(shape, layout.b.element.bytes(), threads);
    let (method, grid) = match path {
        Path::Direct => (Method::Direct, Grid::of_rows(shape, threads, K::MR)),
        Path::Dot => (Method::Dot, columns()),
        Path::Axpy => (Method::Axpy, columns()),
        Path::PackedA => blocks(Reading::InPlace),
        _ => blocks(Reading::Packed),
    };
    Decision { method, transposed, grid }
}

/// The plan for two matrices; `forced` is the path if it is possible.
pub(crate) fn for_matrices<K: MicroKernel>(layout: ProblemLayout, threads: Threads, forced: Option<Path>) -> Plan {
    decide::<K>(layout, threads, forced).into()
}

/// The plan for weights that were packed before, and a C of type `c`.
pub(crate) fn for_packed_weights<K: MicroKernel>(shape: Shape, c: ElementType, threads: Threads) -> Plan {
    packed_weights::<K>(shape, c, threads).0
}

/// Floats of workspace for weights that were packed before, and a C of type `c`, if there is work.
pub(crate) fn floats_for_packed_weights<K: MicroKernel>(shape: Shape, c: ElementType, threads: Threads) -> usize {
    let (plan, tile) = packed_weights::<K>(shape, c, threads);
    packed::floats_for_packed_weights::<K>(shape, c, tile, plan.grid)
}

fn packed_weights<K: MicroKernel>(shape: Shape, c: ElementType, threads: Threads) -> (Plan, Blocking) {
    let grid = Grid::new(shape, threads, K::MR, K::NR);
    let tile = packed::blocking::<K>(shape, c, grid);
    let method = Method::Blocks(Reading::PackedBefore, tile);
    (Decision { method, transposed: false, grid }.into(), tile)
}

/// C <- act(alpha A B + beta C + bias) + residual.
#[inline]
pub(crate) fn product<K: MicroKernel>(
    kernel: K,
    problem: &mut Problem<'_>,
    threads: Threads,
    workspace: &mut Workspace,
    forced: Option<Path>,
) -> Result<Plan, GemmError> {
    match problem.b.0 {
        Source::Matrix(b) if forced.is_none() && is_small::<K>(problem, &b) => {
            direct::small(kernel, problem, &b);
            Ok(Plan::SMALL)
        }
        // An empty C may have any number of rows or columns: no loop may follow them.
        _ if problem.is_empty() => Ok(Plan::SCALE),
        _ if problem.is_scaling() => {
            scale::product(kernel, problem.beta, problem.c.reborrow(), problem.epilogue);
            Ok(Plan::SCALE)
        }
        Source::Matrix(b) => of_matrices(kernel, problem.with_matrix(b), threads, workspace, forced),
        Source::Packed(_) => {
            let (plan, tile) = packed_weights::<K>(problem.shape(), problem.c.element_type(), threads);
            packed::product(kernel, problem.reborrow(), (Reading::PackedBefore, tile), plan.grid, workspace)?;
            Ok(plan)
        }
    }
}

fn of_matrices<K: MicroKernel>(
    kernel: K,
    problem: Problem<'_, Input<'_>>,
    threads: Threads,
    workspace: &mut Workspace,
    forced: Option<Path>,
) -> Result<Plan, GemmError> {
    let decision = decide::<K>(ProblemLayout::of(&problem), threads, forced);
    let Decision { method, transposed, grid } = decision;
    let problem = if transposed { problem.t() } else { problem };
    match method {
        Method::Direct => direct::product(kernel, problem, grid, workspace)?,
        Method::Dot => dot::product(kernel, problem, grid, workspace)?,
        Method::Axpy => axpy::product(kernel, problem, grid, workspace)?,
        Method::Blocks(reading, tile) => {
            packed::product(kernel, problem.into_general(), (reading, tile), grid, workspace)?;
        }
    }
    Ok(decision.into())
}
