//! From blocks to verdicts: one statistical core for `compare`, `gate` and `selftest`.
//!
//! - **Effect**: the Hodges-Lehmann estimate of the log ratio head/base, with its exact signed-rank interval.
//! - **SLOWER** is an exact one-sided signed-rank test of "not slower than the margin", Holm-adjusted over the family
//!   of benchmarks that were tested on the same data. **FASTER** is its mirror image: a gain needs the same proof as a
//!   loss, or false gains ratchet the baseline.
//! - **SAME** must be proven too: the 90 % interval lies inside the margin (two one-sided tests at 5 %).
//! - Everything else is **INCONCLUSIVE**.
//!
//! If there are few benchmarks and enough time, all of them run N blocks (one stage). Otherwise a **screen** of three
//! blocks selects the benchmarks whose median moved, and only those are **confirmed**, on fresh blocks. The screen's
//! data select and are never tested, so the family consists of the flagged benchmarks alone. 100 benchmarks then take a
//! quarter of the time.

mod margin;
pub mod rivals;
mod verdict;

pub use margin::{DEFAULT_MARGIN, Margin, Margins, margin_for};
pub use verdict::{Estimate, Finding, Verdict, confirmed, estimate, screened};

/// Error rate of each family of tests.
pub const ALPHA: f64 = 0.05;
/// Blocks of the screen.
pub const SCREEN_BLOCKS: usize = 3;
/// If more benchmarks than this, or more than [`GLOBAL_SHARE`] of all, are flagged, the cause is one global shift and
/// not many regressions.
pub const GLOBAL_COUNT: usize = 30;
/// See [`GLOBAL_COUNT`].
pub const GLOBAL_SHARE: f64 = 0.4;
/// How many of the worst are confirmed under a global shift.
pub const GLOBAL_WORST: usize = 10;

/// Blocks for a family of `family` benchmarks: at least 12, and enough that an effect beyond the margin in every block
/// passes Holm's correction with a factor of 16 in p to spare.
///
/// ```
/// assert_eq!(compare::judge::blocks_for(1), 12);
/// assert_eq!(compare::judge::blocks_for(12), 12);
/// assert_eq!(compare::judge::blocks_for(20), 13);
/// ```
pub fn blocks_for(family: usize) -> usize {
    let needed = (family.max(1) as f64 / ALPHA).log2().ceil() as usize + 4;
    needed.max(12)
}

/// Total number of blocks of a confirmation, which the flagged benchmarks share.
const CONFIRMING_BLOCKS: usize = 200;
/// Most blocks for one benchmark: more of them detect little more.
const MOST_CONFIRMING_BLOCKS: usize = 24;

/// Blocks for each of `flagged` benchmarks in a confirmation: at least [`blocks_for`], and more if few benchmarks are
/// flagged. If a neighbor disturbs two blocks of twelve, a slowdown of 10 % is missed; with 24 blocks it is found. The
/// number depends on the screen alone, so it is fixed before the first block of the confirmation.
///
/// ```
/// assert_eq!([1, 8, 10, 16, 30].map(compare::judge::confirming_blocks), [24, 24, 20, 13, 14]);
/// ```
pub fn confirming_blocks(flagged: usize) -> usize {
    blocks_for(flagged).max((CONFIRMING_BLOCKS / flagged.max(1)).min(MOST_CONFIRMING_BLOCKS))
}

/// Whether the median effect of a screen is worth confirming, in either direction.
pub fn is_flagged(effects: &[f64], margin: Margin) -> bool {
    let threshold = (1.0 + (0.75 * margin.ratio).max(0.04)).ln();
    record::stats::median(effects).is_some_and(|d| d.abs() > threshold)
}

/// Whether so many benchmarks moved that one common cause is more likely than many separate ones.
pub fn is_global(flagged: usize, timed: usize) -> bool {
    timed >= 10 && (flagged > GLOBAL_COUNT || flagged as f64 > GLOBAL_SHARE * timed as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_blocks_always_allows_a_rejection() {
        for family in [1, 2, 12, 13, 20, 100, 1000] {
            assert!(record::stats::can_fire(blocks_for(family), family, ALPHA), "{family}");
        }
        assert!(!record::stats::can_fire(8, 13, ALPHA), "8 blocks under Holm over 13 never can");
    }

    #[test]
    fn the_screen_flags_by_magnitude_alone_in_both_directions() {
        let margin = Margin { ratio: 0.03, noise: None };
        assert!(is_flagged(&[0.05, 0.06, 0.01], margin));
        assert!(is_flagged(&[-0.05, -0.06, -0.01], margin));
        assert!(!is_flagged(&[0.03, 0.9, 0.01], margin));
        assert!(!is_flagged(&[], margin));
        let wide = Margin { ratio: 0.09, noise: Some(0.03) };
        assert!(!is_flagged(&[0.05, 0.06, 0.05], wide));
    }

    #[test]
    fn a_global_shift_needs_many_benchmarks() {
        assert!(!is_global(5, 6));
        assert!(is_global(5, 10));
        assert!(is_global(31, 100));
        assert!(!is_global(30, 100));
    }
}
