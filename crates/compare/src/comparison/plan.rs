//! The plan: how many blocks of what, how long it takes, and what does not fit.
//!
//! N is never lowered to save time: with fewer blocks the run could not prove anything. Benchmarks that do not fit the
//! budget are dropped, least important first, and named.

use std::collections::BTreeSet;
use std::fmt;

use crate::judge::{ALPHA, SCREEN_BLOCKS, blocks_for, confirming_blocks};
use crate::measure::BenchPair;
use crate::report::text::minutes;
use crate::report::{Row, count};

use super::pilot::Pilot;

/// A process slower than this keeps its own settings and is dropped first.
const SLOW_PROCESS_S: f64 = 2.0;
/// The budget is a bound: measuring ends at this multiple of it, whatever is left to do.
pub(super) const OVERRUN: f64 = 1.25;
/// Share of benchmarks that a screen is expected to flag, for the estimate.
const EXPECTED_FLAGGED: f64 = 0.1;

/// What will be measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Indices of the pilots that are measured, in the pilots' order.
    pub kept: Vec<usize>,
    /// Indices of those that do not fit.
    pub dropped: Vec<usize>,
    /// Whether all of them run the full number of blocks; else a screen selects.
    pub one_stage: bool,
    /// Blocks per benchmark in one stage.
    pub blocks: usize,
    /// Estimated measurement, other links included. Seconds.
    pub seconds: f64,
    /// Time budget. Seconds.
    pub budget_s: f64,
}

/// What a benchmark costs and how much it matters.
#[derive(Clone, Copy, Debug)]
struct Cost {
    index: usize,
    rank: (u8, f64),
    block_s: f64,
    /// Numbers of the two programs that it is measured in. A head that is compared with several bases draws its links
    /// once for all of them.
    programs: [usize; 2],
}

/// What a set of benchmarks costs.
struct Price<'a> {
    costs: &'a [Cost],
    /// Benchmarks that run a second time, in other links of their programs.
    nulls: usize,
    /// Seconds for one link; 0 where programs are not linked again.
    link_s: f64,
}

impl Plan {
    /// The plan for `pilots` within `budget_s`. `nulls` benchmarks run a second time, as controls; another link of a
    /// program takes `link_s`.
    pub fn new(pilots: &[Pilot], nulls: usize, link_s: f64, budget_s: f64) -> Self {
        let mut known = Vec::new();
        let costs = pilots.iter().enumerate().map(|(index, Pilot { pair, .. })| {
            let programs = [&pair.base, &pair.head].map(|variant| {
                let executable = &variant.target.program.executable;
                known.iter().position(|known| *known == executable).unwrap_or_else(|| {
                    known.push(executable);
                    known.len() - 1
                })
            });
            cost(index, pair.tier, pair.process_s, programs)
        });
        Self::of_costs(costs.collect(), nulls, link_s, budget_s)
    }

    /// The plan for benchmarks of which only tier, cost of a process in seconds and number of the program are known.
    pub fn estimate(benches: &[(u8, f64, usize)], budget_s: f64) -> Self {
        let costs = benches
            .iter()
            .enumerate()
            .map(|(index, (tier, process_s, program))| cost(index, *tier, *process_s, sides_of(*program)));
        Self::of_costs(costs.collect(), 0, 0.0, budget_s)
    }

    /// The plan for programs; `settings` are the remarks on those in force.
    pub fn json(
        &self,
        pilots: &[Pilot],
        identical: &[BenchPair],
        rows: &[Row],
        notes: &[String],
        settings: &[String],
    ) -> serde_json::Value {
        let problem = |row: &Row| serde_json::json!({"id": row.id, "verdict": row.verdict, "why": row.why});
        let ids = |indices: &[usize]| indices.iter().map(|&at| pilots[at].pair.key.to_string()).collect::<Vec<_>>();
        serde_json::json!({
            "schema": crate::report::SCHEMA,
            "measured": ids(&self.kept),
            "dropped": ids(&self.dropped),
            "notes": notes,
            "settings": settings,
            "problems": rows.iter().map(problem).collect::<Vec<_>>(),
            "identical": identical.iter().map(|pair| pair.key.to_string()).collect::<Vec<_>>(),
            "one_stage": self.one_stage,
            "blocks": self.blocks,
            "seconds": self.seconds,
        })
    }

    fn of_costs(mut costs: Vec<Cost>, nulls: usize, link_s: f64, budget_s: f64) -> Self {
        costs.sort_by(|a, b| a.rank.0.cmp(&b.rank.0).then(a.rank.1.total_cmp(&b.rank.1)));
        let mut dropped = Vec::new();
        loop {
            let price = Price { costs: &costs, nulls, link_s };
            let (one, two) = (price.one_stage_s(), price.two_stage_s());
            let one_stage = one <= budget_s || one <= two;
            let seconds = if one_stage { one } else { two };
            // The last benchmark may use up what the bound allows; one that needs more is dropped like the others.
            let limit = if costs.len() == 1 { OVERRUN * budget_s } else { budget_s };
            if seconds <= limit || costs.is_empty() {
                let mut kept: Vec<usize> = costs.iter().map(|cost| cost.index).collect();
                kept.sort_unstable();
                dropped.sort_unstable();
                let blocks = blocks_for(kept.len());
                return Self { kept, dropped, one_stage, blocks, seconds, budget_s };
            }
            dropped.extend(costs.pop().map(|cost| cost.index));
        }
    }
}

/// Numbers of the two sides' programs of a target.
fn sides_of(target: usize) -> [usize; 2] {
    [2 * target, 2 * target + 1]
}

fn cost(index: usize, tier: u8, process_s: f64, programs: [usize; 2]) -> Cost {
    let tier = if process_s > SLOW_PROCESS_S { tier.max(3) } else { tier };
    Cost { index, rank: (tier, process_s), block_s: 4.0 * process_s, programs }
}

impl Price<'_> {
    /// Seconds for a block of each benchmark, and of the controls.
    fn block_s(&self) -> f64 {
        let (sum, n) = (self.costs.iter().map(|cost| cost.block_s).sum::<f64>(), self.costs.len().max(1));
        sum * (1.0 + self.nulls.min(n) as f64 / n as f64)
    }

    /// Seconds for the links that a block of `n` benchmarks draws: one of each program, and one more for each control,
    /// which shares the head's link with its benchmark; at most two for each benchmark.
    fn links_s(&self, n: usize) -> f64 {
        let programs: BTreeSet<usize> = self.costs.iter().flat_map(|cost| cost.programs).collect();
        self.link_s * (programs.len() + self.nulls).min(2 * n) as f64
    }

    fn one_stage_s(&self) -> f64 {
        let n = self.costs.len();
        (self.block_s() + self.links_s(n + self.nulls)) * blocks_for(n) as f64
    }

    /// Seconds with the fewest blocks that a confirmation may have: it runs more if there is time.
    fn two_stage_s(&self) -> f64 {
        let n = self.costs.len();
        let flagged = (EXPECTED_FLAGGED * n as f64).ceil().max(1.0);
        let share = flagged / n.max(1) as f64;
        let screen_s = (self.block_s() + self.links_s(n + self.nulls)) * SCREEN_BLOCKS as f64;
        screen_s + (share * self.block_s() + self.links_s(flagged as usize)) * blocks_for(flagged as usize) as f64
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.kept.len();
        let method = if self.one_stage {
            format!("{} blocks of 4 processes each", self.blocks)
        } else {
            format!(
                "a screen of {SCREEN_BLOCKS} blocks each, then {} to {} fresh blocks for those that moved",
                blocks_for(1),
                confirming_blocks(1)
            )
        };
        write!(f, "plan: {}, {method}, about {}", count(n, "benchmark"), minutes(self.seconds))?;
        if self.one_stage {
            write!(
                f,
                " (Holm over {n} at {ALPHA}; smallest attainable p {:.1e})",
                record::stats::smallest_p(self.blocks)
            )?;
        }
        if !self.dropped.is_empty() {
            write!(f, "; {} do not fit the budget (--budget)", self.dropped.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(costs: &[(u8, f64)], budget_s: f64) -> Plan {
        let costs = costs.iter().enumerate();
        let costs = costs.map(|(index, (tier, seconds))| cost(index, *tier, *seconds, sides_of(index % 2)));
        Plan::of_costs(costs.collect(), 0, 0.0, budget_s)
    }

    #[test]
    fn links_count() {
        let costs: Vec<Cost> = (0..4).map(|index| cost(index, 1, 0.25, sides_of(index % 2))).collect();
        let plan = |link_s| Plan::of_costs(costs.clone(), 0, link_s, 1e9);
        // Two pairs of programs, twelve layouts of each.
        assert!((plan(0.5).seconds - plan(0.0).seconds - 2.0 * 2.0 * 12.0 * 0.5).abs() < 1e-9);
        let control = Price { costs: &costs, nulls: 1, link_s: 1.0 };
        assert_eq!(control.links_s(5), 5.0, "a control needs one link of its own");
        assert_eq!(Plan::of_costs(costs, 0, 10.0, 260.0).kept.len(), 1);
        // One benchmark against two bases: the head's program is linked once.
        let two_bases = [cost(0, 1, 0.25, [0, 1]), cost(1, 1, 0.25, [2, 1])];
        assert_eq!(Price { costs: &two_bases, nulls: 0, link_s: 1.0 }.links_s(2), 3.0);
    }

    #[test]
    fn a_dozen_fits_five_minutes_in_one_stage() {
        let plan = plan(&[(1, 0.3); 12], 300.0);
        assert!(plan.one_stage && plan.dropped.is_empty());
        assert_eq!(plan.blocks, 12);
        assert!((plan.seconds - 12.0 * 12.0 * 4.0 * 0.3).abs() < 1e-9);
    }

    #[test]
    fn a_hundred_are_screened_within_ten_minutes() {
        let plan = plan(&[(2, 0.29); 100], 600.0);
        assert!(!plan.one_stage && plan.dropped.is_empty(), "{plan}");
    }

    #[test]
    fn what_does_not_fit_is_dropped_by_tier_then_cost_and_n_stays() {
        let plan = plan(&[(1, 0.3), (3, 0.3), (2, 0.9), (2, 0.4), (1, 5.0)], 40.0);
        assert_eq!(plan.dropped, [1, 2, 4], "the slow one counts as tier 3");
        assert!(plan.blocks >= 12);
        assert_eq!(plan.kept, [0, 3]);
    }

    #[test]
    fn nothing_is_planned_beyond_the_bound() {
        assert_eq!(plan(&[(1, 30.0)], 10.0).kept, [0; 0], "one that needs far more is dropped too");
        let tight = plan(&[(1, 0.25)], 10.0);
        assert!(tight.kept == [0] && tight.seconds > 10.0, "{tight}: the last one may use the reserve");
    }
}
