//! The sides of C, and how they are cut.

use std::ops::Range;

/// One side of C: panels, of which each stage has a stretch, of which each unit has a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side {
    pub(super) extent: usize,
    /// Rows or columns of a panel.
    pub(super) panel: usize,
    pub(super) panels: usize,
    pub(super) stages: usize,
    /// Parts of a stage.
    pub(super) blocks: usize,
}

impl Side {
    pub(super) fn new(extent: usize, panel: usize) -> Self {
        Self { extent, panel, panels: extent.div_ceil(panel).max(1), stages: 1, blocks: 1 }
    }

    /// Most panels of a stage.
    pub(crate) fn stage_panels(&self) -> usize {
        self.panels.div_ceil(self.stages)
    }

    /// Most panels of a unit.
    pub(crate) fn unit_panels(&self) -> usize {
        self.stage_panels().div_ceil(self.blocks)
    }

    /// The rows or columns of some panels.
    pub(crate) fn elements(&self, panels: Range<usize>) -> Range<usize> {
        panels.start * self.panel..self.extent.min(panels.end * self.panel)
    }

    pub(super) fn is_cut(&self) -> bool {
        !self.extent.is_multiple_of(self.panel)
    }
}

/// Part `part` of `parts` almost equal ones.
pub(super) fn share(range: &Range<usize>, parts: usize, part: usize) -> Range<usize> {
    let cut = |part: usize| range.start + (range.len() as u128 * part as u128 / parts as u128) as usize;
    cut(part)..cut(part + 1)
}
