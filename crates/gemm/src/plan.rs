//! From a problem to what computes it: the path, the block sizes and the parts.

mod layout;
mod route;
mod split;

pub use layout::{ProblemLayout, Storage};
pub use split::{Figures, Split};
pub(crate) use split::{Request as SplitRequest, Stage, SumsIn, Unit};

use op::{Threads, Workspace};
use simd::{ByteSimd, ElementType};

use self::route::{Route, is_small, route};
use crate::{
    algorithm::{
        axpy, direct, dot,
        packed::{self, Reading, Schedule},
        scale,
    },
    choice::{Blocking, Path, Wish},
    error::GemmError,
    grid::Grid,
    matrix::Input,
    problem::Problem,
    quantized,
    shape::Shape,
    tile::MicroKernel,
    weights::{QMatRef, Source},
};

/// What a kernel does with a product: a report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) path: Path,
    /// Whether it computes the transposed product. Extents and block sizes are those of that one.
    pub(crate) transposed: bool,
    /// Block sizes, where the path works in blocks.
    pub(crate) tile: Option<Blocking>,
    /// Threads that work.
    pub(crate) threads: usize,
    /// Blocks of rows and of columns that C is cut into for them.
    pub(crate) grid: [usize; 2],
}

impl Plan {
    /// C <- beta C, on the caller's thread.
    pub(crate) const SCALE: Plan = Plan { path: Path::Scale, transposed: false, tile: None, threads: 1, grid: [1, 1] };

    /// A small product, on the caller's thread.
    const SMALL: Plan = Plan { path: Path::Direct, ..Plan::SCALE };

    /// The portable kernel's.
    pub(crate) const fn strips(grid: Grid) -> Self {
        Plan { path: Path::Strips, threads: grid.parts(), grid: [grid.rows, grid.cols], ..Plan::SCALE }
    }
}

/// How the product of two matrices is computed.
#[derive(Debug, Clone, Copy)]
struct Decision {
    method: Method,
    transposed: bool,
}

/// An algorithm, and how threads share it.
#[derive(Debug, Clone, Copy)]
enum Method {
    Direct(Grid),
    /// And whether sums go over all of k at once, so that their order does not depend on the rows.
    Dot(Grid, bool),
    Axpy(Grid),
    Blocks(Reading, Schedule),
}

impl Decision {
    fn plan<K: MicroKernel>(&self) -> Plan {
        let of_grid = |path: Path, grid: Grid| Plan { path, transposed: self.transposed, ..Plan::strips(grid) };
        match &self.method {
            &Method::Direct(grid) => of_grid(Path::Direct, grid),
            &Method::Dot(grid, _) => of_grid(Path::Dot, grid),
            &Method::Axpy(grid) => of_grid(Path::Axpy, grid),
            Method::Blocks(reading, schedule) => {
                let path = match reading {
                    Reading::Packed => Path::Packed,
                    Reading::InPlace => Path::PackedA,
                    Reading::PackedBefore => Path::PackedWeights,
                };
                let (tile, threads, grid) = (schedule.blocking::<K>(), schedule.threads(), schedule.grid());
                Plan { path, transposed: self.transposed, tile: Some(tile), threads, grid }
            }
        }
    }
}

/// Decides for two matrices.
fn decide<K: MicroKernel>(layout: ProblemLayout, threads: Threads, wish: Wish) -> Decision {
    let Route { path, transposed } = route::<K>(&layout, wish);
    let layout = if transposed { layout.t() } else { layout };
    let shape = layout.shape;
    let blocks = |reading| Method::Blocks(reading, Schedule::new::<K>(shape, layout.c.element, reading, threads));
    let columns = || Grid::of_columns(shape, layout.b.element.bytes(), threads);
    let method = match path {
        Path::Direct => {
            let grid = Grid::of_rows(shape, threads, K::MR);
            let packed = (grid.parts() > 1 && wish == Wish::Fastest).then(|| blocks(Reading::Packed));
            match packed {
                Some(packed @ Method::Blocks(_, Schedule::Team(split)))
                    if split.time() < direct::time::<K>(shape, layout.b.row_major, grid) =>
                {
                    packed
                }
                _ => Method::Direct(grid),
            }
        }
        Path::Dot => Method::Dot(dot::grid(shape, layout.b.element.bytes(), threads), wish == Wish::RowsAlone),
        Path::Axpy => Method::Axpy(columns()),
        Path::PackedA => blocks(Reading::InPlace),
        _ => blocks(Reading::Packed),
    };
    Decision { method, transposed }
}

/// The plan for two matrices.
pub(crate) fn for_matrices<K: MicroKernel>(layout: ProblemLayout, threads: Threads, wish: Wish) -> Plan {
    decide::<K>(layout, threads, wish).plan::<K>()
}

/// How threads share the product of two matrices, if they do so in blocks.
pub(crate) fn split_of_matrices<K: MicroKernel>(layout: ProblemLayout, threads: Threads) -> Option<Split> {
    match decide::<K>(layout, threads, Wish::Fastest).method {
        Method::Blocks(_, Schedule::Team(split)) => Some(split),
        _ => None,
    }
}

/// The plan for weights that were packed before, and a C of type `c`.
pub(crate) fn for_packed_weights<K: MicroKernel>(shape: Shape, c: ElementType, threads: Threads) -> Plan {
    packed_weights(Schedule::new::<K>(shape, c, Reading::PackedBefore, threads)).plan::<K>()
}

/// Floats of workspace for weights that were packed before, and a C of type `c`, if there is work.
pub(crate) fn floats_for_packed_weights<K: MicroKernel>(shape: Shape, c: ElementType, threads: Threads) -> usize {
    let schedule = Schedule::new::<K>(shape, c, Reading::PackedBefore, threads);
    packed::floats_for_packed_weights::<K>(shape, c, &schedule)
}

fn packed_weights(schedule: Schedule) -> Decision {
    Decision { method: Method::Blocks(Reading::PackedBefore, schedule), transposed: false }
}

/// C <- act(alpha A B + beta C + bias) + residual.
#[inline]
pub(crate) fn product<K: MicroKernel>(
    kernel: K,
    problem: &mut Problem<'_>,
    threads: Threads,
    workspace: &mut Workspace,
    wish: Wish,
) -> Result<Plan, GemmError> {
    match problem.b.0 {
        Source::Matrix(b) if wish == Wish::Fastest && is_small::<K>(problem, &b) => {
            direct::small(kernel, problem, &b);
            Ok(Plan::SMALL)
        }
        // An empty C may have any number of rows or columns: no loop may follow them.
        _ if problem.is_empty() => Ok(Plan::SCALE),
        _ if problem.is_scaling() => {
            scale::product(kernel, problem.beta, problem.c.reborrow(), problem.epilogue);
            Ok(Plan::SCALE)
        }
        Source::Matrix(b) => of_matrices(kernel, problem.with(b), threads, workspace, wish),
        Source::Packed(_) => {
            let (reading, c) = (Reading::PackedBefore, problem.c.element_type());
            let schedule = Schedule::new::<K>(problem.shape(), c, reading, threads);
            packed::product(kernel, problem.reborrow(), reading, &schedule, workspace)?;
            Ok(packed_weights(schedule).plan::<K>())
        }
        Source::Blocks(b) => of_blocks(kernel, problem.with(b), threads, workspace, wish),
        Source::Int8(_) => unreachable!("a kernel's part for integer weights is called before"),
    }
}

/// C <- act(alpha A W^T + beta C + bias) + residual for weights in blocks.
pub(crate) fn of_blocks<B: ByteSimd>(
    kernel: B,
    problem: Problem<'_, QMatRef<'_>>,
    threads: Threads,
    workspace: &mut Workspace,
    wish: Wish,
) -> Result<Plan, GemmError> {
    let plan = quantized::plan(problem.shape(), problem.b.ggml_type(), threads, wish);
    quantized::product(kernel, problem, plan, workspace)?;
    Ok(plan)
}

fn of_matrices<K: MicroKernel>(
    kernel: K,
    problem: Problem<'_, Input<'_>>,
    threads: Threads,
    workspace: &mut Workspace,
    wish: Wish,
) -> Result<Plan, GemmError> {
    let decision = decide::<K>(ProblemLayout::of(&problem), threads, wish);
    let problem = if decision.transposed { problem.t() } else { problem };
    match &decision.method {
        &Method::Direct(grid) => direct::product(kernel, problem, grid, workspace)?,
        &Method::Dot(grid, whole) => dot::product(kernel, problem, grid, whole, workspace)?,
        &Method::Axpy(grid) => axpy::product(kernel, problem, grid, workspace)?,
        Method::Blocks(reading, schedule) => {
            packed::product(kernel, problem.into_general(), *reading, schedule, workspace)?;
        }
    }
    Ok(decision.plan::<K>())
}
