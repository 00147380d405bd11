//! How large an effect must be to count: the margin of a benchmark.

use std::collections::HashMap;

use record::stats;
use serde::{Deserialize, Serialize};

/// Margin where each side is drawn from several layouts.
pub const DEFAULT_MARGIN: f64 = 0.03;
/// Margin where each side is a single link: the effect then includes the difference between two layouts.
const ONE_LINK: f64 = 0.05;
/// Runs of an unchanged benchmark that are needed to estimate its noise.
const ENOUGH_RUNS: usize = 8;
/// A benchmark whose noise asks for a larger margin is advisory: shown, listed as unstable, never a reason to fail.
const ADVISORY: f64 = 0.15;
/// A margin is at least as many times the benchmark's noise.
const SIGMAS: f64 = 3.0;
/// Scales a median absolute deviation to a standard deviation of a normal distribution.
const MAD_TO_SIGMA: f64 = 1.4826;

/// A margin, as a ratio: 0.03 means that 3 % slower is not yet SLOWER.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Margin {
    /// The margin itself.
    pub ratio: f64,
    /// The benchmark's own noise (one sigma of the effect on unchanged code), if there were enough runs to estimate it.
    pub noise: Option<f64>,
}

impl Margin {
    /// The margin on the log scale, where it is symmetric.
    pub fn log(self) -> f64 {
        self.ratio.ln_1p()
    }

    /// Whether the benchmark is too noisy to gate.
    pub fn is_advisory(self) -> bool {
        self.noise.is_some_and(|noise| SIGMAS * noise > ADVISORY)
    }
}

/// Noise of each benchmark, from earlier runs of unchanged code.
#[derive(Clone, Debug, Default)]
pub struct Margins {
    nulls: HashMap<String, Vec<f64>>,
}

impl Margins {
    /// From pairs of benchmark id and log effect, one per run of unchanged, re-linked code on this machine class.
    pub fn from_nulls(nulls: impl IntoIterator<Item = (String, f64)>) -> Self {
        let mut margins = Self::default();
        for (id, effect) in nulls {
            margins.nulls.entry(id).or_default().push(effect);
        }
        margins
    }

    /// One sigma of the effect on unchanged code, once there are enough runs.
    pub fn noise(&self, id: &str) -> Option<f64> {
        let runs = self.nulls.get(id)?;
        if runs.len() < ENOUGH_RUNS { None } else { stats::median_abs_deviation(runs).map(|mad| MAD_TO_SIGMA * mad) }
    }

    /// The margin of a benchmark: the one that is `set`, or the default, and at least three times its noise. With a
    /// single link per side a margin below the default of that case would call layouts changes, so it is not used.
    pub fn of(&self, id: &str, relinked: bool, set: Option<f64>) -> Margin {
        let default = margin_for(self.noise(id), relinked);
        let Some(set) = set else { return default };
        let floor = if relinked { set } else { set.max(ONE_LINK) };
        Margin { ratio: default.noise.map_or(floor, |noise| floor.max(SIGMAS * noise)), ..default }
    }

    /// Benchmarks whose noise makes them advisory, with that noise.
    pub fn unstable(&self) -> Vec<(String, f64)> {
        let mut list: Vec<(String, f64)> = self
            .nulls
            .keys()
            .filter_map(|id| Some((id.clone(), self.noise(id)?)))
            .filter(|(_, noise)| margin_for(Some(*noise), true).is_advisory())
            .collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1));
        list
    }
}

/// The margin for a given noise: three sigma, but no less than the default margin.
pub fn margin_for(noise: Option<f64>, relinked: bool) -> Margin {
    let floor = if relinked { DEFAULT_MARGIN } else { ONE_LINK };
    Margin { ratio: noise.map_or(floor, |noise| floor.max(SIGMAS * noise)), noise }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_widens_the_margin_only_after_enough_runs() {
        let nulls = |n: usize| (0..n).map(|i| ("id".to_owned(), if i % 2 == 0 { 0.02 } else { -0.02 }));
        assert_eq!(Margins::from_nulls(nulls(7)).of("id", true, None).ratio, DEFAULT_MARGIN);
        let margin = Margins::from_nulls(nulls(8)).of("id", true, None);
        assert!((margin.ratio - 3.0 * 1.4826 * 0.02).abs() < 1e-12, "{margin:?}");
        assert_eq!(Margins::default().of("other", false, None).ratio, ONE_LINK);
    }

    #[test]
    fn a_margin_that_is_set_replaces_the_default_and_never_the_noise() {
        let noisy = Margins::from_nulls((0..8).map(|i| ("id".to_owned(), if i % 2 == 0 { 0.02 } else { -0.02 })));
        let quiet = Margins::default();
        let of = |margins: &Margins, relinked, set| margins.of("id", relinked, Some(set)).ratio;
        assert_eq!((of(&quiet, true, 0.02), of(&quiet, true, 0.2)), (0.02, 0.2));
        assert_eq!(of(&quiet, false, 0.02), ONE_LINK, "one link varies by its layout");
        assert!((of(&noisy, true, 0.02) - 3.0 * 1.4826 * 0.02).abs() < 1e-12);
        assert!(!quiet.of("id", true, Some(0.2)).is_advisory(), "a wide margin is no noise");
    }

    #[test]
    fn very_noisy_benchmarks_are_advisory_and_listed() {
        let nulls = (0..8).map(|i| ("wild".to_owned(), if i % 2 == 0 { 0.06 } else { -0.06 }));
        let margins = Margins::from_nulls(nulls);
        assert!(margins.of("wild", true, None).is_advisory());
        assert_eq!(margins.unstable().len(), 1);
    }
}
