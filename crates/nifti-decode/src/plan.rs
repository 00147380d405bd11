//! The description of a conversion, as data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Datatype, Orientation, stats::Voxels};

/// The complete description of a conversion. It can be stored, compared and printed, and selects the kernels that run.
///
/// The order of the steps is fixed, whatever the order of the calls: scale, reorient, clip, normalize. Statistics are
/// of the scaled values before clipping.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Whether slope and intercept are applied.
    pub is_scaled: bool,
    /// Order of the axes; `None` keeps that of the file.
    pub orientation: Option<Orientation>,
    /// Bounds of the values.
    pub clip: Clip,
    /// What is done to the clipped values.
    pub normalize: Normalize,
    /// Whether statistics are wanted.
    pub has_stats: bool,
}

/// Bounds of the values.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clip {
    /// None.
    #[default]
    None,
    /// These scaled values.
    Values {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// These percentiles, 0 to 100, of the whole volume.
    Percentiles {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
}

/// What is done to the clipped values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalize {
    /// Nothing.
    #[default]
    None,
    /// (value - mean) / std, both of the clipped values; a volume of equal values becomes 0.
    ZScore {
        /// Voxels that mean and std are computed over. All voxels are normalized.
        over: Voxels,
    },
}

impl Default for Plan {
    fn default() -> Self {
        Self::scaled()
    }
}

impl Plan {
    /// Scaled values in the file's order.
    pub fn scaled() -> Self {
        Self { is_scaled: true, orientation: None, clip: Clip::None, normalize: Normalize::None, has_stats: false }
    }

    /// Values as they are stored, in the file's order.
    pub fn stored() -> Self {
        Self { is_scaled: false, ..Self::scaled() }
    }

    /// With the axes in this order.
    #[must_use]
    pub fn oriented(self, orientation: Orientation) -> Self {
        Self { orientation: Some(orientation), ..self }
    }

    /// With statistics.
    #[must_use]
    pub fn with_stats(self) -> Self {
        Self { has_stats: true, ..self }
    }

    /// Clipped.
    #[must_use]
    pub fn clipped(self, clip: Clip) -> Self {
        Self { clip, ..self }
    }

    /// Normalized to mean 0 and standard deviation 1 of these voxels.
    #[must_use]
    pub fn zscored(self, over: Voxels) -> Self {
        Self { normalize: Normalize::ZScore { over }, ..self }
    }

    /// Whether the conversion depends on percentiles or moments of the whole volume.
    pub(crate) fn needs_distribution(&self) -> bool {
        matches!(self.clip, Clip::Percentiles { .. }) || self.normalize != Normalize::None
    }

    /// The passes that this plan makes over the stored voxels of `datatype`, in order. Searches can take fewer passes
    /// than this: they end as soon as few candidates are left.
    pub fn describe(&self, datatype: Datatype) -> Description {
        let is_countable = matches!(datatype, Datatype::Uint8 | Datatype::Int8 | Datatype::Uint16 | Datatype::Int16);
        // The first pass serves every search; each search takes one more for every further 16 bits.
        let search = if is_countable { 0 } else { datatype.bytes().div_ceil(2) - 1 };
        let mut passes = Vec::new();
        if self.needs_distribution() && is_countable {
            passes.push(Pass { work: "count", times: 1 });
        } else if self.needs_distribution() || self.has_stats && !is_countable {
            let percentiles = usize::from(matches!(self.clip, Clip::Percentiles { .. }));
            let moments = usize::from(self.normalize != Normalize::None);
            let stats = usize::from(self.has_stats);
            passes.push(Pass { work: "search", times: 1 + (percentiles + stats) * search });
            passes.push(Pass { work: "moments", times: 2 * moments + stats });
        }
        let fused = self.has_stats && is_countable && !self.needs_distribution();
        passes.push(Pass { work: if fused { "convert and count" } else { "convert" }, times: 1 });
        passes.retain(|pass| pass.times > 0);
        Description { passes }
    }
}

/// The passes of a plan over the stored voxels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// In order.
    pub passes: Vec<Pass>,
}

/// Passes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pass {
    /// `count`, `search`, `moments`, `convert` or `convert and count`.
    pub work: &'static str,
    /// How many.
    pub times: usize,
}

impl Description {
    /// Passes over the stored voxels in all; unpacking is not counted.
    pub fn total(&self) -> usize {
        self.passes.iter().map(|pass| pass.times).sum()
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(f, "{total} {}:", if total == 1 { "pass" } else { "passes" })?;
        for (i, pass) in self.passes.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if pass.times == 1 {
                write!(f, "{comma} {}", pass.work)?;
            } else {
                write!(f, "{comma} {} x {}", pass.times, pass.work)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_tells_its_passes_over_the_voxels() {
        let plan = Plan::scaled().oriented(Orientation::RAS).with_stats();
        assert_eq!(plan.describe(Datatype::Int16).to_string(), "1 pass: convert and count");
        assert_eq!(Plan::scaled().describe(Datatype::Float64).to_string(), "1 pass: convert");
        let zscore = Plan::scaled().clipped(Clip::Percentiles { low: 0.5, high: 99.5 }).zscored(Voxels::NonZero);
        assert_eq!(zscore.describe(Datatype::Int16).to_string(), "2 passes: count, convert");
        assert_eq!(zscore.describe(Datatype::Float32).total(), (1 + 1) + 2 + 1);
    }

    #[test]
    fn a_plan_is_data() {
        let plan = Plan::scaled().oriented(Orientation::LPS).clipped(Clip::Values { low: -1.0, high: 2.5 });
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
