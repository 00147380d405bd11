//! What a member of a team does with a unit: packs what nobody has packed yet, and computes the unit's tiles.

use machine::cache::Caches;

use super::{
    panels::{self, BlockOfB, Panels, Reading},
    row::{Row, Sums},
    shared::SharedPanels,
    team::{Claim, Team},
};
use crate::{
    chunks::chunks,
    epilogue::Epilogue,
    matrix::{Input, Output},
    plan::{Split, Stage, SumsIn, Unit},
    problem::Problem,
    tile::{MicroKernel, Prefetcher, Target},
    weights::{Rhs, Source},
};

/// A product that a team computes.
pub(super) struct Units<'t, K> {
    pub(super) kernel: K,
    pub(super) reading: Reading,
    pub(super) split: &'t Split,
    pub(super) alpha: f32,
    pub(super) beta: f32,
    pub(super) a: Input<'t>,
    pub(super) b: Rhs<'t>,
    /// Only elements of a unit are accessed, by the member that has claimed it.
    pub(super) c: Output<'t>,
    pub(super) epilogue: Epilogue<'t>,
    /// Whether operands are too large for level 2, so that they are prefetched.
    pub(super) a_is_far: bool,
    pub(super) b_is_far: bool,
    pub(super) packed_a: SharedPanels<'t>,
    /// Panels of the columns that are packed: of all, or only of those that do not fill a panel.
    pub(super) packed_b: SharedPanels<'t>,
    pub(super) sums: SharedSums,
}

/// Sums between two blocks of k: a part for each unit of C, or for each member.
pub(super) struct SharedSums {
    pub(super) origin: *mut f32,
    /// Floats of a part.
    pub(super) floats: usize,
}

// SAFETY: each part is accessed by one member at a time: its own, or the one that has claimed the unit.
unsafe impl Sync for SharedSums {}

/// A block of k of a unit.
struct Block {
    /// Which of the stage's.
    number: usize,
    b: BlockOfB,
}

impl<'t, K: MicroKernel> Units<'t, K> {
    /// The product, in this memory.
    pub(super) fn new(
        kernel: K,
        problem: Problem<'t>,
        reading: Reading,
        split: &'t Split,
        (packed_a, packed_b, sums): (SharedPanels<'t>, SharedPanels<'t>, SharedSums),
    ) -> Self {
        let Problem { alpha, a, b, beta, c, epilogue } = problem;
        // What fits half of level 2 is there already, if anywhere.
        let far_bytes = (Caches::detect().l2_bytes / 2) as u64;
        let a_bytes = a.rows().saturating_mul(a.cols()).saturating_mul(a.element_type().bytes());
        let (a_is_far, b_is_far) = (a_bytes as u64 > far_bytes, b.bytes() > far_bytes);
        Self { kernel, reading, split, alpha, beta, a, b, c, epilogue, a_is_far, b_is_far, packed_a, packed_b, sums }
    }

    /// Computes the unit that a member has claimed.
    pub(super) fn compute(&self, team: &Team<'_>, claim: Claim, member: usize) {
        let stage = self.split.stage(claim.stage);
        let unit = self.split.unit(&stage, claim.home, claim.nth);
        if unit.rows.is_empty() || unit.cols.is_empty() {
            return;
        }
        let cols = self.split.cols().elements(unit.cols.clone());
        let k = self.a.cols();
        // SAFETY: only elements of this unit are accessed. Nobody else has claimed it in this stage, and stages follow
        // one another.
        let mut c = unsafe { self.c.alias() };
        for (number, steps) in chunks(stage.steps.clone(), self.split.kc()).enumerate() {
            let (is_first, is_last) = (steps.start == 0, steps.end == k);
            let block = Block { number, b: BlockOfB { steps, cols: cols.clone(), is_far: self.b_is_far } };
            let Some((full, rest)) = self.columns(team, &stage, &unit, &block) else { return };
            let mut sums = self.sums_of(&stage, &unit, member).map(|mut sums| {
                (sums.is_first, sums.is_last) = (is_first, is_last);
                sums
            });
            let mut target =
                Target::new(self.kernel, c.reborrow(), if is_last { self.epilogue } else { Epilogue::NONE });
            let beta = if is_first { self.beta } else { 1.0 };
            let mut b_prefetcher =
                Prefetcher::new(self.next_columns(&stage, &block), unit.rows.len() * unit.cols.len());
            for panel in unit.rows.clone() {
                let Some(address) = self.rows(team, &stage, &block, panel) else { return };
                let next = self.next_rows(&stage, &unit, &block, panel);
                let mut a_prefetcher = Prefetcher::new(next, unit.cols.len());
                let row = Row {
                    rows: self.split.rows().elements(panel..panel + 1),
                    cols: cols.clone(),
                    depth: block.b.steps.len(),
                    panel: address,
                    full: &full,
                    rest: &rest,
                    // The tiles of the first panel of A bring B into level 2, where the others find it.
                    prefetches: panel == unit.rows.start,
                    alpha: self.alpha,
                    beta,
                };
                // SAFETY: a panel has 1 to MR rows, and is packed with MR floats per step. B is in panels that are
                // packed, or has these columns in place, which then fill a panel and are adjacent (the route's
                // condition for reading in place). This member has claimed these elements of C.
                unsafe {
                    row.multiply(&mut target, sums.as_mut(), || {
                        a_prefetcher.step();
                        b_prefetcher.step();
                    });
                }
            }
        }
    }

    /// A panel of A, packed; `None` if the team is aborted.
    fn rows(&self, team: &Team<'_>, stage: &Stage, block: &Block, panel: usize) -> Option<*const f32> {
        let (index, generation) = (self.index_of_rows(stage, block.number, panel), stage.a_generation);
        let rows = self.split.rows().elements(panel..panel + 1);
        let pack = |floats: &mut [f32]| self.kernel.pack_a(self.a.part(rows, block.b.steps.clone()), floats);
        self.pack(team, &self.packed_a, index, generation, pack);
        let is_packed = || self.packed_a.is_packed(index, generation);
        (is_packed() || team.wait(is_packed)).then(|| self.packed_a.address(index))
    }

    fn index_of_rows(&self, stage: &Stage, block: usize, panel: usize) -> usize {
        block * self.split.rows().stage_panels() + panel - stage.rows.start
    }

    /// The columns of a block, packed where they have to be: where whole panels are, and where the rest is. `None` if
    /// the team is aborted.
    fn columns(&self, team: &Team<'_>, stage: &Stage, unit: &Unit, block: &Block) -> Option<(Panels, Panels)> {
        if let Source::Matrix(b) = self.b.0 {
            // First what nobody has begun, then what others have.
            for panel in (unit.first_to_pack..unit.cols.end).chain(unit.cols.start..unit.first_to_pack) {
                if let Some(index) = self.index_of_columns(stage, block.number, panel) {
                    let cols = self.split.cols().elements(panel..panel + 1);
                    let pack = |floats: &mut [f32]| {
                        self.kernel.pack_b(b.part(block.b.steps.clone(), cols).t(), floats);
                    };
                    self.pack(team, &self.packed_b, index, stage.b_generation, pack);
                }
            }
            for panel in unit.cols.clone() {
                if let Some(index) = self.index_of_columns(stage, block.number, panel) {
                    let is_packed = || self.packed_b.is_packed(index, stage.b_generation);
                    if !is_packed() && !team.wait(is_packed) {
                        return None;
                    }
                }
            }
        }
        // Where the block's first column is, or would be if it were packed.
        let first_packed = unit.cols.clone().find_map(|panel| {
            let index = self.index_of_columns(stage, block.number, panel)?;
            let floats = (panel - unit.cols.start) * K::NR * self.split.kc();
            Some(self.packed_b.address(index).wrapping_sub(floats))
        });
        let packed = (first_packed.unwrap_or(std::ptr::null()), self.split.kc());
        let panels = |width: usize| panels::panels::<K>(self.reading, &block.b, &self.b, packed, width);
        Some((panels(K::NR), panels(block.b.cols.len() % K::NR)))
    }

    /// Where a panel of columns is packed, if it is.
    fn index_of_columns(&self, stage: &Stage, block: usize, panel: usize) -> Option<usize> {
        match self.reading {
            Reading::Packed => Some(block * self.split.cols().stage_panels() + panel - stage.cols.start),
            _ => {
                let width = self.split.cols().elements(panel..panel + 1).len();
                self.reading.packs(width, K::NR).then_some(block)
            }
        }
    }

    /// Packs a panel if nobody has begun to.
    fn pack(
        &self,
        team: &Team<'_>,
        panels: &SharedPanels<'_>,
        index: usize,
        generation: usize,
        pack: impl FnOnce(&mut [f32]),
    ) {
        // SAFETY: the generation is that of a stage of which this member has a unit. Panels of earlier generations are
        // read in earlier stages only, and all of their units are finished.
        if unsafe { panels.pack(index, generation, pack) } {
            team.wake();
        }
    }

    /// The rows that this unit needs next, if they are to be packed and far away.
    fn next_rows(&self, stage: &Stage, unit: &Unit, block: &Block, panel: usize) -> Option<Input<'t>> {
        let steps = &block.b.steps;
        let (number, panel, steps) = match panel + 1 {
            next if next < unit.rows.end || steps.end == stage.steps.end => (block.number, next, steps.clone()),
            _ => {
                let later = steps.end..stage.steps.end.min(steps.end + self.split.kc());
                (block.number + 1, unit.rows.start, later)
            }
        };
        let is_wanted = self.a_is_far
            && panel < stage.rows.end
            && self.packed_a.is_awaited(self.index_of_rows(stage, number, panel), stage.a_generation);
        is_wanted.then(|| self.a.part(self.split.rows().elements(panel..panel + 1), steps))
    }

    /// The columns of the next block of k, if they are to be packed and far away.
    fn next_columns(&self, stage: &Stage, block: &Block) -> Option<Input<'t>> {
        let (Source::Matrix(b), Reading::Packed) = (self.b.0, self.reading) else { return None };
        let later = block.b.steps.end..stage.steps.end.min(block.b.steps.end + self.split.kc());
        let panel = block.b.cols.start / K::NR;
        let is_wanted = self.b_is_far
            && !later.is_empty()
            && self.packed_b.is_awaited(self.index_of_columns(stage, block.number + 1, panel)?, stage.b_generation);
        is_wanted.then(|| b.part(later, block.b.cols.clone()))
    }

    /// Where the sums of a unit are, if not in C.
    fn sums_of(&self, stage: &Stage, unit: &Unit, member: usize) -> Option<Sums<'_>> {
        let part = match self.split.sums() {
            SumsIn::C => return None,
            SumsIn::Members => member,
            SumsIn::Units => stage.place * self.split.units() + unit.index,
        };
        let SharedSums { origin, floats } = self.sums;
        // SAFETY: the part is in the memory. It is the member's own, or of a unit that this member has claimed.
        let floats = unsafe { std::slice::from_raw_parts_mut(origin.add(part * floats), floats) };
        let [_, stride] = self.split.unit_extents();
        let [row, col] = [(self.split.rows(), &unit.rows), (self.split.cols(), &unit.cols)]
            .map(|(side, panels)| side.elements(panels.clone()).start);
        Some(Sums { floats, stride, row, col, is_first: false, is_last: false })
    }
}
