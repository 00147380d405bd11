//! The macro-kernel: blocks of A and B, packed for the micro-kernel.
//!
//! The algorithm is that of BLIS (Van Zee and van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS
//! Functionality", ACM TOMS 41, 2015): five loops around a micro-kernel, each of which keeps one operand in one level
//! of the memory hierarchy.
//!
//! ```text
//!   loop 5  for each MC rows of C, A          packed A, MC x KC:  level-3 cache
//!   loop 4    for each KC of k
//!   loop 3      for each NC columns of C, B   packed B, KC x NC:  level-2 cache
//!                 pack B
//!   loop 2        for each MR rows            one panel of A, MR x KC: level-1 cache
//!                   pack A, if this is the first block of columns
//!   loop 1          for each NR columns       one panel of B streams from level 2
//!                     micro-kernel            tile of C, MR x NR: registers
//! ```
//!
//! It departs from BLIS in five points:
//!
//! 1. *A and B are exchanged.* BLIS keeps the panel of B in level 1, streams A from level 2 and so follows columns of
//!    C. With contiguous rows of C, each tile would then touch MR pages that the tile before did not. Along a row,
//!    tiles are neighbors: the pages stay in the TLB, and the next tile's lines follow this one's. The price is that B,
//!    the wider panel, streams from level 2 (NR floats per step: 10.7 bytes per cycle; level 2 gives 32 to 64). A
//!    column-major C is computed as its transpose; for other strides a tile is formed in a buffer.
//! 2. *A is packed panel by panel*, just before the first use, so that the panel is in level 1 when it is needed.
//! 3. *What is packed next is prefetched* meanwhile ([`Prefetcher`](crate::tile::Prefetcher)), where operands are too
//!    large to be in level 2 already.
//! 4. *B is read in place*, if its rows are contiguous and A has few rows ([`Path::PackedA`](crate::Path::PackedA)):
//!    only the columns that do not fill a panel are copied. If B is too large for level 2, the micro-kernel prefetches
//!    the columns of the next tile meanwhile. Weights that were packed before ([`PackedB`](crate::PackedB)) are read in
//!    the same way.
//! 5. *KC depends on the instruction set alone*, and k is cut into equal blocks. So the sum of an element of C is
//!    formed in the same order for any caches, strides, path and number of threads.
//!
//! To change a size: a panel of A (MR * KC floats) must fit half the level-1 cache, beside the lines of B and C that
//! pass through; a block of B (KC * NC) a part of level 2, beside the lines that pass through on their way to level 1;
//! packed A (MC * KC) a part of level 3. A larger KC visits C less often; a larger NC reads packed A less often; both
//! are worth little beyond the sizes here.
//!
//! With several threads, the loops are those of `plan/split.rs`: the same tiles in the order of units that threads
//! take, from packed panels that they share (`packed/team.rs`, `packed/units.rs`). The sum of an element has the same
//! order.
//!
//! A C of 16-bit numbers cannot hold the sums between two blocks of k. A block of floats, MC rows high, holds them
//! until the last block.
//!
//! Zeros that fill up a panel contribute only to elements that C does not have. Those are never stored, so it does not
//! matter that they may become NaN.

mod blocks;
mod panels;
mod row;
mod shared;
mod team;
mod units;

use machine::cache::Caches;
use op::{Threads, Workspace};
use simd::ElementType;

use self::{
    blocks::Blocks,
    shared::{STATE_FLOATS, SharedPanels},
    team::{Home, Team},
    units::{SharedSums, Units},
};
use crate::{
    choice::Blocking,
    chunks::equal_parts,
    error::GemmError,
    plan::{Split, SplitRequest, SumsIn},
    problem::Problem,
    shape::Shape,
    tile::{MAX_TILE, MicroKernel},
};

pub(crate) use self::panels::Reading;

/// How a product in blocks is computed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Schedule {
    /// On the calling thread.
    Alone(Blocking),
    /// By several threads.
    Team(Split),
}

impl Schedule {
    /// For a product of `shape` with a C of type `c`.
    pub(crate) fn new<K: MicroKernel>(shape: Shape, c: ElementType, reading: Reading, threads: Threads) -> Self {
        if !threads.is_serial() {
            let kc = K::k_block(shape.k);
            let split = Split::new(SplitRequest {
                shape,
                mr: K::MR,
                nr: K::NR,
                kc,
                packs_b: reading == Reading::Packed,
                keeps_sums: keeps_sums(c, kc, shape.k),
                caches: Caches::detect(),
                threads,
            });
            if split.threads() > 1 {
                return Self::Team(split);
            }
        }
        Self::Alone(blocking::<K>(shape, c))
    }

    /// The block sizes. Those of a team are of its units.
    pub(crate) fn blocking<K: MicroKernel>(&self) -> Blocking {
        match self {
            Self::Alone(tile) => *tile,
            Self::Team(split) => {
                let [mc, nc] = split.unit_extents();
                Blocking { mr: K::MR, nr: K::NR, mc, nc, kc: split.kc() }
            }
        }
    }

    pub(crate) fn threads(&self) -> usize {
        match self {
            Self::Alone(_) => 1,
            Self::Team(split) => split.threads(),
        }
    }

    /// Blocks of rows and of columns that C is cut into for threads.
    pub(crate) fn grid(&self) -> [usize; 2] {
        match self {
            Self::Alone(_) => [1, 1],
            Self::Team(split) => split.grid(),
        }
    }
}

/// Block sizes for a product of `shape` on one thread.
fn blocking<K: MicroKernel>(Shape { m, n, k }: Shape, c: ElementType) -> Blocking {
    let (mr, nr) = (K::MR, K::NR);
    let caches = Caches::detect();
    let kc = K::k_block(k);
    let fit = |bytes: usize, row: usize, width: usize| (bytes / size_of::<f32>() / row.max(1) / width).max(1) * width;
    let nc = equal_parts(n, fit(caches.l2_bytes / 4, kc, nr), nr);
    let packed_a = fit(caches.l3_bytes / 4, kc, mr);
    let sums = if keeps_sums(c, kc, k) { fit(caches.l3_bytes / 2, n, mr) } else { packed_a };
    let mc = equal_parts(m, packed_a.min(sums), mr);
    Blocking { mr, nr, mc, nc, kc }
}

/// Whether C cannot hold the sums between two blocks of k.
fn keeps_sums(c: ElementType, kc: usize, k: usize) -> bool {
    c != ElementType::F32 && kc < k
}

/// Floats of workspace in whole cache lines: packed A, packed B, sums, then what a team needs: states of the panels of
/// A and of B, and homes.
fn floats<K: MicroKernel>(
    Shape { n, k, .. }: Shape,
    c: ElementType,
    reading: Reading,
    schedule: &Schedule,
) -> [usize; 6] {
    let floats = match schedule {
        Schedule::Alone(tile) => {
            let sums = if keeps_sums(c, tile.kc, k) { tile.mc * n.next_multiple_of(K::NR) } else { 0 };
            let packed_b = if reading == Reading::PackedBefore { 0 } else { tile.kc * tile.nc };
            [tile.mc * tile.kc, packed_b, sums, 0, 0, 0]
        }
        Schedule::Team(split) => {
            let per_block = match reading {
                Reading::Packed => split.cols().stage_panels(),
                Reading::InPlace => usize::from(!n.is_multiple_of(K::NR)),
                Reading::PackedBefore => 0,
            };
            let panels =
                [split.rows().stage_panels(), per_block].map(|panels| panels.saturating_mul(split.stage_blocks()));
            let [a, b] = [(panels[0], K::MR), (panels[1], K::NR)]
                .map(|(panels, width)| panels.saturating_mul(width * split.kc()));
            let parts = match split.sums() {
                SumsIn::C => 0,
                SumsIn::Members => split.threads(),
                SumsIn::Units => split.places() * split.units(),
            };
            let states = panels.map(|panels| panels.saturating_mul(STATE_FLOATS));
            let sums = parts.saturating_mul(split.unit_extents().iter().product());
            [a, b, sums, states[0], states[1], split.threads() * Home::FLOATS]
        }
    };
    floats.map(|floats| floats.checked_next_multiple_of(Workspace::LINE).unwrap_or(usize::MAX))
}

fn sum(floats: &[usize]) -> usize {
    floats.iter().fold(0, |sum, &floats| sum.saturating_add(floats))
}

/// Floats of workspace for weights that were packed before.
pub(crate) fn floats_for_packed_weights<K: MicroKernel>(shape: Shape, c: ElementType, schedule: &Schedule) -> usize {
    sum(&floats::<K>(shape, c, Reading::PackedBefore, schedule))
}

/// C <- act(alpha A B + beta C + bias) + residual. alpha and k are not 0, and C is not empty.
pub(crate) fn product<K: MicroKernel>(
    kernel: K,
    problem: Problem<'_>,
    reading: Reading,
    schedule: &Schedule,
    workspace: &mut Workspace,
) -> Result<(), GemmError> {
    const { assert!(K::MR * K::NR <= MAX_TILE && K::NR == 2 * K::LANES) }
    let (c, shape) = (problem.c.element_type(), problem.shape());
    let lens = floats::<K>(shape, c, reading, schedule);
    let mut rest = workspace.floats(sum(&lens))?;
    let [packed_a, packed_b, sums, a_states, b_states, homes] = lens.map(|len| {
        let (part, after) = std::mem::take(&mut rest).split_at_mut(len);
        rest = after;
        part
    });
    match schedule {
        &Schedule::Alone(tile) => {
            let keeps_sums = keeps_sums(c, tile.kc, shape.k);
            Blocks { kernel, tile, reading, packed_a, packed_b, sums, keeps_sums }.multiply(problem);
        }
        Schedule::Team(split) => {
            let homes = &Home::in_memory(homes)[..split.threads()];
            let team = Team::new(homes, split.units(), split.stages());
            let sums = SharedSums { origin: sums.as_mut_ptr(), floats: split.unit_extents().iter().product() };
            let a = SharedPanels::new(packed_a, K::MR * split.kc(), a_states);
            let b = SharedPanels::new(packed_b, K::NR * split.kc(), b_states);
            let units = Units::new(kernel, problem, reading, split, (a, b, sums));
            team.run(&|claim, member| units.compute(&team, claim, member));
        }
    }
    Ok(())
}
