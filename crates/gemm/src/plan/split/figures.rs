//! What a split costs, counted from its stages and units.

use super::Split;

/// What a split costs, counted from the split itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Bytes of packed panels that are written in all.
    pub packed_bytes: u64,
    /// Bytes of those that were written before.
    pub packed_again_bytes: u64,
    /// Tiles of the thread with most of them, over the mean; of each stage, added up.
    pub largest_share: f64,
    /// Register tiles.
    pub tiles: u64,
    /// Tiles with fewer rows or columns than the others, at the edges of C. The split itself cuts none.
    pub cut_tiles: u64,
    /// How often all threads wait for the last one, the end not counted.
    pub barriers: usize,
}

impl Split {
    /// What it costs.
    pub fn figures(&self) -> Figures {
        let (mut packed_bytes, mut largest, mut last) = (0, 0, (None, None));
        for stage in (0..self.stages()).map(|stage| self.stage(stage)) {
            let panel_bytes = (stage.steps.len() * size_of::<f32>()) as u64;
            if last.0 != Some(stage.a_generation) {
                packed_bytes += (stage.rows.len() * self.mr) as u64 * panel_bytes;
            }
            if self.packs_b && last.1 != Some(stage.b_generation) {
                packed_bytes += (stage.cols.len() * self.cols.panel) as u64 * panel_bytes;
            }
            last = (Some(stage.a_generation), Some(stage.b_generation));
            let tiles_of = |home| -> usize {
                let units = (0..self.home_units(home)).map(|nth| self.unit(&stage, home, nth));
                units.map(|unit| unit.rows.len() * unit.cols.len()).sum()
            };
            largest += (0..self.threads).map(tiles_of).max().unwrap_or(0) as u64;
        }
        let once =
            (self.rows.panels * self.mr + if self.packs_b { self.cols.panels * self.cols.panel } else { 0 }) as u64;
        let ranges = self.k.div_ceil(self.depth) as u64;
        let tiles = (self.rows.panels * self.cols.panels) as u64;
        let whole =
            (self.rows.panels - usize::from(self.rows.is_cut())) * (self.cols.panels - usize::from(self.cols.is_cut()));
        Figures {
            packed_bytes,
            packed_again_bytes: packed_bytes - once * (self.k * size_of::<f32>()) as u64,
            largest_share: largest as f64 * self.threads as f64 / (tiles * ranges) as f64,
            tiles,
            cut_tiles: tiles - whole as u64,
            barriers: self.stages() - 1,
        }
    }
}
