//! Why a benchmark is left out for the budget.

use super::pilot::Pilot;
use crate::bench::{CriterionVersion, Settings};
use crate::measure::BenchPair;

/// Why a benchmark does not fit, and what would help.
pub(super) fn too_long(pilot: &Pilot) -> String {
    let Pilot { pair, samples } = pilot;
    let BenchPair { key, tier, process_s, .. } = pair;
    let asked = Settings::STANDARD.measurement_s;
    let own = samples.iter().filter_map(|sample| sample.measurement_s).fold(0.0, f64::max);
    let old = [&pair.base, &pair.head]
        .iter()
        .any(|variant| variant.version.is_some_and(CriterionVersion::counts_whole_seconds));
    let why = if old {
        "; criterion 0.3 counts whole seconds: a newer criterion measures in a tenth of that"
    } else if own > 2.0 * asked {
        &format!(
            "; its group sets {own} s of measurement itself: set it on `Criterion`, where the command line outweighs it"
        )
    } else {
        ""
    };
    format!("dropped for the budget: {key} (tier {tier}, {process_s:.1} s per process){why}")
}

/// Why a benchmark was not even piloted.
pub(super) fn not_reached(pair: &BenchPair) -> String {
    format!("dropped for the budget: {} (tier {}): the pilots before it took half of the budget", pair.key, pair.tier)
}
