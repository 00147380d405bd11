//! Metrics beside time. They are deterministic or nearly so: each has a rule instead of a test.

use record::Unit;
use serde::{Deserialize, Serialize};

use super::figures::Figures;

/// Names of the metrics that are about memory.
pub(super) const MEMORY: [&str; 3] = ["allocations", "allocated_bytes", "peak_rss_bytes"];

/// One metric on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Name with its unit last.
    pub name: String,
    /// Before; `None` if not measured.
    pub base: Option<f64>,
    /// After; `None` if not measured.
    pub head: Option<f64>,
    /// Unit of both.
    pub unit: Unit,
    /// Whether the rule calls it worse.
    pub worse: bool,
    /// Whether being worse fails a gate, or is only reported.
    pub gates: bool,
    /// The rule in words.
    pub rule: String,
}

/// How much each metric may grow. Zero-valued metrics may not grow at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Growth of allocations per iteration, count and bytes, as a fraction.
    pub allocations: f64,
    /// Growth of peak memory, as a fraction; below 1 MiB it never counts.
    pub peak_rss: f64,
    /// Growth of the program file, as a fraction; reported only, unless `program_gates`.
    pub program: f64,
    /// Whether a larger program fails a gate.
    pub program_gates: bool,
    /// Growth of instructions, as a fraction; below 150 it never counts.
    pub instructions: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { allocations: 0.0, peak_rss: 0.03, program: 0.01, program_gates: false, instructions: 0.02 }
    }
}

impl Rules {
    fn change(
        name: &str,
        unit: Unit,
        values: (Option<f64>, Option<f64>),
        growth: f64,
        above: f64,
        gates: bool,
    ) -> Change {
        let (base, head) = values;
        let worse = base.zip(head).is_some_and(|(base, head)| head > base * (1.0 + growth) && head - base > above);
        let floor = if above > 0.0 { format!(" and {}", unit.show(above)) } else { String::new() };
        let kind = if gates { "" } else { " (reported only)" };
        let rule = format!("may grow by {:.0} %{floor}{kind}", 100.0 * growth);
        Change { name: name.to_owned(), base, head, unit, worse, gates, rule }
    }

    /// Instructions per iteration, from counts by difference. They fail nothing where the counts vary, nor where the
    /// ceiling is a bandwidth: such a benchmark waits for memory, not for instructions.
    pub fn instructions(&self, base: Option<f64>, head: Option<f64>, gates: bool) -> Change {
        Self::change("instructions", Unit::Instructions, (base, head), self.instructions, 150.0, gates)
    }
}

/// The changes of every metric that at least one side measured.
pub fn changes(rules: &Rules, base: &Figures, head: &Figures, program_bytes: (u64, u64)) -> Vec<Change> {
    let count = |side: &Figures| side.allocations.as_ref().map(|allocations| allocations.count as f64);
    let bytes = |side: &Figures| side.allocations.as_ref().map(|allocations| allocations.bytes as f64);
    let program = (Some(program_bytes.0 as f64), Some(program_bytes.1 as f64));
    let all = [
        Rules::change("allocations", Unit::Count, (count(base), count(head)), rules.allocations, 0.0, true),
        Rules::change("allocated_bytes", Unit::Bytes, (bytes(base), bytes(head)), rules.allocations, 0.0, true),
        Rules::change(
            "peak_rss_bytes",
            Unit::Bytes,
            (base.peak_rss_bytes, head.peak_rss_bytes),
            rules.peak_rss,
            1048576.0,
            true,
        ),
        Rules::change("program_bytes", Unit::Bytes, program, rules.program, 0.0, rules.program_gates),
    ];
    all.into_iter().filter(|change| change.base.is_some() || change.head.is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worse(growth: f64, above: f64, base: Option<f64>, head: Option<f64>) -> bool {
        Rules::change("m", Unit::Bytes, (base, head), growth, above, true).worse
    }

    #[test]
    fn growth_must_pass_both_the_share_and_the_floor() {
        assert!(worse(0.0, 0.0, Some(3.0), Some(4.0)));
        assert!(worse(0.0, 0.0, Some(0.0), Some(1.0)), "from none to one allocation");
        assert!(!worse(0.0, 0.0, Some(4.0), Some(3.0)));
        assert!(!worse(0.03, 1048576.0, Some(1e6), Some(1.9e6)), "below the floor");
        assert!(!worse(0.03, 1048576.0, Some(1e9), Some(1.02e9)), "below the share");
        assert!(worse(0.03, 1048576.0, Some(1e8), Some(1.1e8)));
    }

    #[test]
    fn what_was_not_measured_is_never_worse() {
        assert!(!worse(0.0, 0.0, None, Some(9.0)));
        assert!(!worse(0.0, 0.0, Some(9.0), None));
        assert!(!worse(0.0, 0.0, Some(1.0), Some(f64::NAN)));
    }

    #[test]
    fn a_bandwidth_bound_case_is_not_gated_by_instructions() {
        let rules = Rules::default();
        assert!(rules.instructions(Some(1e6), Some(2e6), true).gates);
        let change = rules.instructions(Some(1e6), Some(2e6), false);
        assert!(change.worse && !change.gates);
    }
}
