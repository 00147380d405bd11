//! How threads share a product in blocks: a function of shape, types, threads, caches and register tile, and of nothing
//! else. It decides about time alone: the bits of C are those of one thread, however C is cut.
//!
//! **Units.** C is cut into register tiles, rows of MR and columns of NR, never inside a tile. A *unit* is a rectangle
//! of tiles with all their steps of k: what a thread takes at a time. A thread that has a unit makes sure that the
//! panels of A and B it needs are packed: it packs those that nobody has begun, and waits for those that another thread
//! is packing. So every panel is packed once, by a thread that needs it, and read by all.
//!
//! **Homes.** Units are counted down the columns of C, and each thread has an equal stretch of them, its *home*.
//! Threads begin at different rows, so that at first each packs other panels of A. A thread that is done with its home
//! helps in the others, so threads that come late, or never, cost their share of the work and nothing more.
//!
//! **Stages.** Packed panels should stay in the caches. Where those of all of k do not, k is cut into ranges (of whole
//! blocks of k, so that sums keep their order), and the longer side of C into stretches. A *stage* is one range of k
//! and one stretch. Its panels take the place of those of the stage before, so all units of a stage end before the next
//! one begins. The panels of the shorter side are kept until k goes on, so that nothing is packed twice. Only where
//! even those exceed all bounds, the shorter side is cut as well, and the longer one is packed again for each part.
//!
//! ```text
//!   for each range of k
//!     for each stretch of the shorter side        one, but for huge products
//!       for each stretch of the longer side       a stage
//!         for each unit, on any thread
//!           for each block of k, each panel of A, each tile
//! ```
//!
//! **Sizes.** The time of a unit of `g` x `w` tiles is estimated in tiles:
//!
//! ```text
//!   g w (1 + A_FETCH / w + B_FETCH / g)
//! ```
//!
//! Each panel of A comes from level 3 once for `w` tiles. Columns of B come from there once for `g` tiles, unless all
//! their steps fit half of level 2, where the next unit finds them. Level 3 gives a core about 16 bytes per cycle; at
//! two multiply-adds of vectors per cycle and NR = 2 LANES, a step of a tile takes MR cycles, so the two factors are 4
//! MR / 16 / MR and 4 NR / 16 / MR. The largest home decides when all are done; one more than 5 % above the mean counts
//! 5 % longer, so that it is taken only for a clear gain. A fraction of a unit is added for threads that come late,
//! which only small units can make up for. Of some sizes of units, those that cost least are taken, and then as few
//! threads as take no longer.
//!
//! The scheme follows "Anatomy of High-Performance Many-Threaded Matrix Multiplication" (Smith et al., IPDPS 2014) in
//! that threads share packed blocks. It departs from it in that a team has no fixed members that meet at barriers.

mod figures;
mod side;

use std::ops::Range;

use machine::cache::Caches;
use op::Threads;

use crate::{
    chunks::equal_parts,
    grid::{PACKING, worthwhile},
    shape::Shape,
};

pub use self::figures::Figures;
use self::side::{Side, share};

/// What a split depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) shape: Shape,
    /// The register tile.
    pub(crate) mr: usize,
    pub(crate) nr: usize,
    /// Steps of k that are summed before C is updated.
    pub(crate) kc: usize,
    /// Whether B is packed, not read in place or packed before.
    pub(crate) packs_b: bool,
    /// Whether C cannot hold the sums between two blocks of k.
    pub(crate) keeps_sums: bool,
    pub(crate) caches: Caches,
    pub(crate) threads: Threads,
}

/// How threads share a product in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    threads: usize,
    rows: Side,
    cols: Side,
    k: usize,
    /// Steps of k of a stage: all, or a multiple of `kc`.
    depth: usize,
    kc: usize,
    /// Floats of a step of a panel of A.
    mr: usize,
    /// Whether A is the operand that is kept over stages, because it is the smaller one.
    keeps_a: bool,
    packs_b: bool,
    sums: SumsIn,
    /// Whether the columns of a unit are read from the level-2 cache again and again.
    b_stays: bool,
}

/// Where sums are between two blocks of k, if C cannot hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SumsIn {
    C,
    /// Each member of the team has those of its unit: a unit has all blocks of k.
    Members,
    /// Each unit of C has its own, from stage to stage.
    Units,
}

/// What is multiplied between two barriers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) steps: Range<usize>,
    /// Panels.
    pub(crate) rows: Range<usize>,
    pub(crate) cols: Range<usize>,
    /// Which packed panels of A it reads: those of a greater generation replace them.
    pub(crate) a_generation: usize,
    pub(crate) b_generation: usize,
    /// Which stretches of rows and columns it has, counted without those of k.
    pub(crate) place: usize,
}

/// A part of C: blocks of a stage's panels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Which of the stage's.
    pub(crate) index: usize,
    /// Panels.
    pub(crate) rows: Range<usize>,
    pub(crate) cols: Range<usize>,
    /// The first column panel that it packs: other units of these columns begin with others.
    pub(crate) first_to_pack: usize,
}

/// Time to fetch a panel of A for a tile, in tiles.
const A_FETCH: f64 = 0.25;
/// The same for the columns of B, for 12 x 32 and 6 x 16 alike.
const B_FETCH: f64 = 0.67;
/// A largest home this many times the mean counts as so much longer once more: what threads wait for each other is
/// certain, while prefetching hides a part of what they fetch.
const UNEVEN: f64 = 1.05;
/// Part of a unit that is lost when threads come late.
const LATE: f64 = 0.05;

/// Sizes of units that are tried, in panels.
const SIZES: [usize; 8] = [1, 2, 3, 4, 6, 8, 12, 16];

/// Bounds of what is packed at a time.
const PACKED_BYTES: Range<usize> = 4 << 20..32 << 20;
/// The kept side, or sums, may take this many times as much.
const KEPT: usize = 8;
/// Steps of k of a stage that are worth cutting the longer side.
const LEAST_DEPTH: usize = 512;
/// Most panels of a stage.
const MOST_PANELS: usize = 1 << 20;

impl Split {
    pub(crate) fn new(request: Request) -> Self {
        let Request { shape, mr, nr, kc, packs_b, keeps_sums, caches, threads } = request;
        let Shape { m, n, k } = shape;
        // Equal numbers of rows: a tile of one row has so few sums that it waits for them.
        let (mut rows, mut cols) = (Side::new(m, equal_parts(m, mr, 1)), Side::new(n, nr));
        let keeps_a = packs_b && n > m;
        let (a, b) = (rows.panels.saturating_mul(mr), cols.panels.saturating_mul(nr));
        let budget = (caches.l3_bytes / 4).clamp(PACKED_BYTES.start, PACKED_BYTES.end) / size_of::<f32>();
        let (kept, streamed) = if keeps_a { (a, b) } else { (if packs_b { b } else { 0 }, a) };
        let half = budget / 2;
        let most = (half / kept.max(streamed)).max(LEAST_DEPTH.min(half / kept.max(1)));
        let mut depth = stage_depth(k, kc, most);
        let sums = match keeps_sums {
            false => SumsIn::C,
            true if depth >= k => SumsIn::Members,
            true if m.saturating_mul(n) <= KEPT * budget => SumsIn::Units,
            true => {
                depth = k;
                SumsIn::Members
            }
        };
        // Panels of `width` floats per step that fit `floats`.
        let fit = |floats: usize, width: usize| (floats / width / depth.max(1)).clamp(1, MOST_PANELS);
        let (of_a, of_b) = if keeps_a { (KEPT * budget, half) } else { (half, KEPT * budget) };
        rows.stages = rows.panels.div_ceil(fit(of_a, mr));
        cols.stages = if packs_b { cols.panels.div_ceil(fit(of_b, nr)) } else { cols.panels.div_ceil(MOST_PANELS) };

        let threads = worthwhile(2.0 * m as f64 * n as f64 * k as f64, threads);
        let stays =
            |panels: usize| panels.saturating_mul(nr * size_of::<f32>()).saturating_mul(depth) <= caches.l2_bytes / 2;
        let mut best = (f64::INFINITY, rows, cols, 1);
        for width in sizes(cols.stage_panels()) {
            cols.blocks = cols.stage_panels().div_ceil(width);
            for height in sizes(rows.stage_panels()) {
                rows.blocks = rows.stage_panels().div_ceil(height);
                let threads = threads.min(rows.blocks.saturating_mul(cols.blocks));
                let time = stage_time(&rows, &cols, threads, stays(cols.unit_panels()));
                if time < best.0 {
                    best = (time, rows, cols, threads);
                }
            }
        }
        let (_, rows, cols, threads) = best;
        // As few threads as take no longer.
        let units = rows.blocks * cols.blocks;
        let threads = units.div_ceil(units.div_ceil(threads));
        let b_stays = stays(cols.unit_panels());
        Self { threads, rows, cols, k, depth, kc, mr, keeps_a, packs_b, sums, b_stays }
    }

    /// Estimated time, in multiply-adds of one core for each step of k.
    pub(crate) fn time(&self) -> f64 {
        let (places, tile) = (self.rows.stages * self.cols.stages, self.mr * self.cols.panel);
        let tiles = stage_time(&self.rows, &self.cols, self.threads, self.b_stays) * places as f64;
        let packed = self.rows.extent + if self.packs_b { self.cols.extent } else { 0 };
        tiles * tile as f64 + PACKING * packed as f64 / self.threads as f64
    }

    /// Threads with units of their own.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Blocks of rows and of columns that C is cut into: the units are their products.
    pub fn grid(&self) -> [usize; 2] {
        [self.rows.blocks * self.rows.stages, self.cols.blocks * self.cols.stages]
    }

    /// Most rows and columns of a unit.
    pub(crate) fn unit_extents(&self) -> [usize; 2] {
        [&self.rows, &self.cols].map(|side| side.unit_panels() * side.panel)
    }

    pub(crate) fn rows(&self) -> &Side {
        &self.rows
    }

    pub(crate) fn cols(&self) -> &Side {
        &self.cols
    }

    pub(crate) fn kc(&self) -> usize {
        self.kc
    }

    pub(crate) fn sums(&self) -> SumsIn {
        self.sums
    }

    /// Most blocks of k of a stage.
    pub(crate) fn stage_blocks(&self) -> usize {
        self.depth.div_ceil(self.kc)
    }

    /// How many stages there are.
    pub fn stages(&self) -> usize {
        self.k.div_ceil(self.depth) * self.places()
    }

    /// How many stages there are for each range of k.
    pub(crate) fn places(&self) -> usize {
        self.rows.stages * self.cols.stages
    }

    /// Units of a stage.
    pub(crate) fn units(&self) -> usize {
        self.rows.blocks * self.cols.blocks
    }

    pub(crate) fn stage(&self, stage: usize) -> Stage {
        let inner = if self.keeps_a { self.cols.stages } else { self.rows.stages };
        let (range, place) = (stage / self.places(), stage % self.places());
        let (kept, streamed) = (place / inner, place % inner);
        let (row, col) = if self.keeps_a { (kept, streamed) } else { (streamed, kept) };
        let (a_generation, b_generation) = if self.keeps_a { (stage / inner, stage) } else { (stage, stage / inner) };
        Stage {
            steps: range * self.depth..self.k.min((range + 1) * self.depth),
            rows: share(&(0..self.rows.panels), self.rows.stages, row),
            cols: share(&(0..self.cols.panels), self.cols.stages, col),
            a_generation,
            b_generation,
            place,
        }
    }

    /// Units of a thread's home.
    pub(crate) fn home_units(&self, home: usize) -> usize {
        share(&(0..self.units()), self.threads, home).len()
    }

    /// Unit `nth` of a home, in the order in which it is taken.
    pub(crate) fn unit(&self, stage: &Stage, home: usize, nth: usize) -> Unit {
        let (units, down) = (share(&(0..self.units()), self.threads, home), self.rows.blocks);
        // Homes of whole columns begin at rows that divide them evenly; so do shorter homes, which only share rows with
        // those of other columns.
        let first = if units.len() >= down {
            (home * down / self.threads + down - units.start % down) % down
        } else {
            units.start / down * units.len() / self.cols.blocks
        };
        let index = units.start + (nth + first) % units.len();
        let (row, col) = (index % down, index / down);
        let cols = share(&stage.cols, self.cols.blocks, col);
        Unit {
            index,
            rows: share(&stage.rows, self.rows.blocks, row),
            first_to_pack: cols.start + cols.len() * row / down,
            cols,
        }
    }
}

/// Steps of k of a stage, of which `most` fit: all, or equal ranges of whole blocks.
fn stage_depth(k: usize, kc: usize, most: usize) -> usize {
    if most >= k {
        return k;
    }
    let blocks = k.div_ceil(kc);
    let ranges = blocks.div_ceil((most / kc).max(1));
    blocks.div_ceil(ranges) * kc
}

/// Sizes of units to try for a side of so many panels.
fn sizes(panels: usize) -> impl Iterator<Item = usize> {
    SIZES.into_iter().take_while(move |&size| size <= panels).chain((panels < 16).then_some(panels))
}

/// Estimated time of a stage, in tiles.
fn stage_time(rows: &Side, cols: &Side, threads: usize, b_stays: bool) -> f64 {
    let (height, width) = (rows.unit_panels() as f64, cols.unit_panels() as f64);
    let all = rows.blocks.saturating_mul(cols.blocks);
    let units = all.div_ceil(threads);
    let fetch = A_FETCH / width + if b_stays { 0.0 } else { B_FETCH / height };
    let largest = height * width * units as f64;
    let of_stage = |side: &Side| side.panels as f64 / side.stages as f64;
    let mean = of_stage(rows) * of_stage(cols) / all.div_ceil(units) as f64;
    let uneven = if largest > UNEVEN * mean { UNEVEN } else { 1.0 };
    (largest * (1.0 + fetch) + height * width * LATE) * uneven
}

#[cfg(test)]
mod tests;
